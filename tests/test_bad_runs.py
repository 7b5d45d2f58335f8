"""Folders of runs and their checkpoints: one line, the right exit status, nothing half written."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import A2, contents, edit, flip, sign, text_file
from PIL import Image
from safetensors.torch import save

fcntl = pytest.importorskip("fcntl", reason="these locks, permissions and limits are POSIX's")
NOBODY = 65534


# Runs


RESUMES: dict[str, tuple[Callable[[Path], object], int, tuple[str, ...]]] = {
    "no run": (lambda r: (r / "config.yaml").unlink(), 3, ("--resume run: not a run directory",)),
    "empty config": (lambda r: text_file(r / "config.yaml", ""), 3, ("--resume run", "config.yaml: expected")),
    "binary config": (lambda r: (r / "config.yaml").write_bytes(bytes(range(256))), 3, ("config.yaml: not YAML",)),
    "short config": (lambda r: _cut(r / "config.yaml", "batch_size"), 3, ("config.yaml has lost batch_size",)),
    "other config": (lambda r: edit(r / "config.yaml", "epochs: 3", "epochs: 4"), 3,
                     ("epochs is 4 in config.yaml, but 3 in report.json",)),
    "more seeds": (lambda r: edit(r / "config.yaml", "seeds: 1", "seeds: 2"), 3,
                   ("seeds is 2 in config.yaml, but 1 in report.json",)),
    "bad value": (lambda r: edit(r / "config.yaml", "epochs: 3", "epochs: x"), 3, ("config.yaml: epochs",)),
    "other command": (lambda r: edit(r / "config.yaml", "train-cnn", "train-mlp"), 3,
                      ("config.yaml: unknown setting 'channels'",)),
    "empty report": (lambda r: text_file(r / "report.json", ""), 3, ("run/report.json: damaged (not JSON",)),
    "cut report": (lambda r: _cut(r / "report.json", "created"), 3, ("run/report.json: damaged (not JSON",)),
    "deep values": (lambda r: text_file(r / "report.json", f'{{"schema_version": 3, "x": {"[" * 600}{"]" * 600}}}'), 3,
                    ("run/report.json: damaged (values within values, too deep)",)),
    "pipe for a report": (lambda r: _piped(r / "report.json"), 3, ("run/report.json: damaged (not a regular file)",)),
    "pipe for a config": (lambda r: _piped(r / "config.yaml"), 3, ("--resume run: not a run directory",)),
    "pipe for a lock": (lambda r: _piped(r / ".lock"), 3, ("run/.lock: damaged (not a regular file)",)),
    "no report of its version": (lambda r: _of_version_2(r / "report.json"), 3, ("not of version 2: KeyError",)),
    "report of nothing": (lambda r: text_file(r / "report.json", "{}"), 3, ("run/report.json: damaged or edited",)),
    "other report": (lambda r: text_file(r / "report.json", '{"schema_version": 1}'), 3, ("not a report", "command")),
    "no object": (lambda r: text_file(r / "report.json", "[1]"), 3, ("damaged (expected a JSON object, got list)",)),
    "deep report": (lambda r: text_file(r / "report.json", "[" * 100_000), 3, ("run/report.json: damaged (not JSON",)),
    "other words": (lambda r: edit(r / "report.json", '"running"', '"flying"'), 3, ("run/report.json", "status")),
    "no results": (lambda r: _rewritten(r / "report.json", results={}), 3,
                   ("(results.runs: field required)\n",)),
    "half a run": (lambda r: _rewritten(r / "report.json", results={"runs": [{"seed": 0}]}), 3,
                   ("(results.runs[0].parameters: field required)\n",)),
}  # fmt: skip


def _cut(path: Path, before: str) -> None:
    path.write_text(path.read_text().split(before)[0])


def _piped(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _rewritten(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    sign(path)


def _of_version_2(path: Path) -> None:
    """Write a report as version 2 never had it, with its SHA-256."""
    values = json.loads(path.read_text())
    values["results"]["runs"][0]["confusion"] = [[1]]
    path.write_text(json.dumps({**values, "schema_version": 2}))
    sign(path)


@pytest.mark.parametrize("kind", RESUMES)
def test_runs_that_cannot_be_resumed(kind: str, run: Path, a2: A2) -> None:
    break_it, status, words = RESUMES[kind]
    break_it(run)
    before = contents(run)
    a2("train-cnn", "--resume", "run", "--quiet").refused(status, *words)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        ("--epochs 5", 2, ("epochs is 3 in the run, 5 by --epochs",)),
        ("--preset 1.4-dropout", 2, ("normalize is train in the run, imagenet by preset 1.4-dropout",)),
        ("--out elsewhere", 2, ("--out",)),
        ("--final", 2, ("--final", "--test-fraction")),
    ],
)
def test_resumed_with_other_settings(flags: str, status: int, words: tuple[str, ...], run: Path, a2: A2) -> None:
    before = contents(run)
    a2("train-cnn", "--resume", "run", "--quiet", *flags.split()).refused(status, *words)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "not a run directory"),
        ("nosuch", "nosuch: does not exist"),
        ("sets", "does not exist; did you mean 'set'?"),
        ("set/adda", "does not exist; did you mean 'set/ada'?"),
        ("set/ada/0.png", "is a file; expected a run directory"),
        ("set/ada", "not a run directory"),
        ("set/none", "not a run directory"),
        ("set/broken", "is a link that leads nowhere"),
        ("x" * 5000, "cannot be read (File name too long)"),
    ],
)
def test_resumed_where_there_is_no_run(name: str, reason: str, data: Path, a2: A2, tmp_path: Path) -> None:
    (data / "none").mkdir()
    (data / "broken").symlink_to("nothing")
    a2("train-cnn", "--resume", name, "--quiet").refused(3, "--resume", reason)
    a2("predict", "--run", name, "set/ada/0.png").refused(3, "--run", reason)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


@pytest.mark.parametrize("witness", ["report.json", "checkpoints"])
def test_resumed_on_other_data(witness: str, data: Path, train: A2, a2: A2) -> None:
    run = train("--data", "set", "--out", "run").done()
    Image.open(data / "ada/0.png").rotate(90).save(data / "ada/0.png")
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run: trained on other data (data: fingerprint")
    if witness == "checkpoints":
        (run / "report.json").unlink()
        a2("train-cnn", "--resume", "run", "--quiet").refused(3, "checkpoints: of a run with other settings or data")


# Checkpoints


def newest(run: Path, ending: str) -> Path:
    return sorted(run.glob(f"checkpoints/*.{ending}"))[-1]


CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped weights": (lambda r: flip(newest(r, "safetensors")), "3.safetensors: damaged"),
    "cut weights": (lambda r: os.truncate(newest(r, "safetensors"), 500), "3.safetensors: damaged"),
    "no weights": (lambda r: newest(r, "safetensors").unlink(), "3.safetensors: not there"),
    "flipped state": (lambda r: edit(newest(r, "json"), '"waited": 0', '"waited": 1'), "3.json: damaged or edited"),
    "cut state": (lambda r: os.truncate(newest(r, "json"), 500), "3.json: damaged ("),
    "empty state": (lambda r: os.truncate(newest(r, "json"), 0), "3.json: damaged ("),
    "binary state": (lambda r: newest(r, "json").write_bytes(bytes(range(256))), "3.json: damaged ("),
    "other state": (lambda r: newest(r, "json").write_text("[]"), "3.json: damaged (expected a JSON object, got list)"),
    "deep state": (lambda r: newest(r, "json").write_text("[" * 100_000), "3.json: damaged ("),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    kind: str, run: Path, original: Path, train: A2, a2: A2
) -> None:
    break_it, reason = CHECKPOINTS[kind]
    break_it(run)
    ended = a2("train-cnn", "--resume", "run", "--quiet")
    assert ended.done(reason) == Path("run")
    assert "going on from epoch 2" in ended.err
    weights = "model/model.safetensors"
    assert (run / weights).read_bytes() == (original / weights).read_bytes()
    assert newest(run, "safetensors").read_bytes() == newest(original, "safetensors").read_bytes()


def test_no_checkpoint_is_whole(run: Path, a2: A2) -> None:
    for path in run.glob("checkpoints/*.safetensors"):
        flip(path)
    before = contents(run)
    a2("train-cnn", "--resume", "run", "--quiet").refused(
        3, "00003.safetensors: damaged", "no older checkpoint is whole"
    )
    assert {name: before[name] for name in before if "report" not in name} == {
        name: content for name, content in contents(run).items() if "report" not in name
    }


def _signed(run: Path, content: bytes) -> None:
    """Put other weights into the newest checkpoint, with the right SHA-256."""
    newest(run, "safetensors").write_bytes(content)
    state = json.loads(newest(run, "json").read_text())
    newest(run, "json").write_text(json.dumps({**state, "sha256": hashlib.sha256(content).hexdigest()}, indent=1))


FOREIGN = {
    "other names": save({"conv1.weight": torch.zeros(3)}),
    "other shapes": save({"model/conv1.weight": torch.zeros(3)}),
    "pickle": b"\x80\x04cos\nabort\n(tR.",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_weights(kind: str, run: Path, a2: A2) -> None:
    for path in sorted(run.glob("checkpoints/*"))[:-2]:
        path.unlink()
    _signed(run, FOREIGN[kind])
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run/checkpoints", "start the run anew")


@pytest.mark.parametrize("flags", ["--seed 1", "--learning-rate 0.1", "--channels 3"])
def test_a_checkpoint_of_another_run(flags: str, data: Path, train: A2, a2: A2) -> None:
    run = train("--data", "set", "--out", "run").done()
    edit(run / "report.json", '"done"', '"running"')
    other = train("--data", "set", "--out", "other", *flags.split()).done()
    for path in (other / "checkpoints").iterdir():
        shutil.copy(path, run / "checkpoints")
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run/checkpoints: of a run with other settings or data")

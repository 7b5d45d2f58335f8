"""Runs of earlier versions are opened, go on and say what they said; what a newer version stored is refused."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import A2
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from a2cli import versions
from a2cli.commands import COMMANDS
from a2cli.errors import DataError
from a2cli.runs.directory import Run
from a2cli.runtime import environment
from a2cli.settings.declare import declared
from a2cli.storage import yaml_with_digest
from a2cli.versions import newest

ARCHIVES = sorted((Path(__file__).parent / "old_runs").glob("*.tar.xz"))
CLOCK = {"seconds", "created", "images_per_second", "seconds_to_target", "trial_seconds"}
# Words may be put better and files named otherwise; which machine it was decides how exactly numbers are compared.
ASIDE = CLOCK | {"verdict", "folder", "environment", "warnings", "artifacts", "schema_version", "sha256", "reason"}
ASIDE |= {"test_accuracy"}  # once, --final read the test after every epoch as well
RUNS = ["cnn", "cnn-seeds", "cnn-folds", "mlp", "head", "tuned", "tuned-own", "compared", "ablated"]
LOOKS = ["probed", "probed-head", "viewed", "fields"]


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("old")
    with tarfile.open(request.param) as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture
def old(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with all runs of an earlier version, in which commands are run; figures are not written."""
    monkeypatch.setattr(Run, "_save_drawing", lambda *_: None)
    return shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)


def command_of(old: Path, name: str) -> list[str]:
    command: list[str] = json.loads((old / "commands.json").read_text())[name]
    return command


def report_of(run: Path) -> dict[str, Any]:
    """Return a run's report as this version has it, whichever wrote it."""
    return versions.upgraded("report", json.loads((run / "report.json").read_text()), run)


@pytest.fixture(scope="module")
def is_exact(unpacked: Path) -> bool:
    """Whether the old runs were computed by the torch that is here, on a processor that rounds as this one.

    Their reports name its instructions alone, and MKL orders sums otherwise on another with the same. So a head's
    answers are worked out by torch alone, nothing of a2's, and held to those then.
    """
    then, here = report_of(unpacked / "head")["environment"], environment(torch.device("cpu"))
    features, weights = (
        load_file(unpacked / name) for name in ("features.safetensors", "head/model/model.safetensors")
    )
    predicted = json.loads((unpacked / "predicted-head.json").read_text())["predictions"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = features["features.0"].flatten(1)[: len(predicted)]  # the first ten images, and one of the next class
    logits = functional.linear(rows, weights["head.output.weight"], weights["head.output.bias"])
    torch.set_num_threads(threads)
    same = logits.softmax(1).max(1).values.tolist() == [row["probability"] for row in predicted]
    return same and all(then[name] == here[name] for name in ("torch", "cpu"))


def agree(now: Any, then: Any, exact: bool, where: str = "") -> None:
    """Hold what was found now to what was found then, bit for bit.

    Where rounding differs: losses and probabilities to 0.02, as they follow the noise in `weights_agree`, and what was
    asked for. Of a handful of images one may be recognised instead of another, and all that is counted follows.
    Intervals and chances are held to 1e-12: Student's t has other last bits than in versions that worked it out.

    There may be more now, as later versions find more.
    """
    if isinstance(then, dict):
        if then.get("part", "") != now.get("part", ""):
            return  # earlier versions had the results by class of the validation images even of a run that is tested
        if then.keys() == {"mean", "deviation", "low", "high", "n"}:  # without the variance of rounding then
            assert now["low"] <= then["low"] + 1e-12 and then["high"] - 1e-12 <= now["high"], where
            then = {key: then[key] for key in ("mean", "deviation", "n")}
        for key in then.keys() - ASIDE:
            agree(now[key], then[key], exact, f"{where}.{key}")
    elif isinstance(then, list) and (exact or len(now) == len(then)):
        assert len(now) == len(then), where
        for i, (one, other) in enumerate(zip(now, then, strict=True)):
            agree(one, other, exact, f"{where}[{i}]")
    elif exact and isinstance(then, float) and where.endswith((".low", ".high", ".chance")):  # t was ours once
        assert now == pytest.approx(then, rel=1e-12, abs=1e-12), where
    elif exact or where.startswith((".config", ".data")):
        assert now == then, where
    elif where.endswith(("loss", "probability")):
        assert now == pytest.approx(then, rel=0.02, abs=0.02), where


def weights_agree(now: Path, then: Path, exact: bool) -> None:
    """Hold weights to those then: bit for bit, or to 1e-3 where rounding differs.

    Then all but what a norm takes away again, a bias before it and its running mean: their gradient is zero but for
    rounding, which Adam divides by its own size.
    """
    for path in then.rglob("model/model.safetensors"):
        other = now / path.relative_to(then)
        if exact:
            assert other.read_bytes() == path.read_bytes(), other
        else:
            mine, theirs = load_file(other), load_file(path)
            noise = {f"{name.partition('_norm')[0]}.bias" for name in theirs if "_norm" in name}
            noise |= {name for name in theirs if name.endswith("running_mean")}
            assert mine.keys() == theirs.keys()
            for name in theirs.keys() - noise:
                assert torch.allclose(mine[name], theirs[name], 1e-3, 1e-3), f"{other}: {name}"


def trained_in(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.rglob("model/model.safetensors")}


def test_settings_of_earlier_versions(unpacked: Path) -> None:
    """Every setting is in the config.yaml of their runs, or says what they had."""
    for config in unpacked.glob("*/config.yaml"):
        saved = yaml.safe_load(config.read_text())
        command = saved.pop("command")
        kinds = COMMANDS[command].settings_types() if command in COMMANDS else ()
        fitting = [kind for kind in kinds if saved.keys() <= {item.name for item in declared(kind)}]
        assert fitting, config
        for item in declared(fitting[0]):
            assert item.name in saved or item.added, f"{item.name} needs before=, as {config.parent.name} lacks it"


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_is_opened(name: str, old: Path, a2: A2) -> None:
    """Nothing is trained again, and it says what it said."""
    before, trained = report_of(old / name), trained_in(old / name)
    more = ["--jobs", "1"] if name in ("compared", "ablated") else []
    assert a2(command_of(old, name)[0], "--resume", name, "--quiet", *more).status == 0
    assert trained_in(old / name) == trained
    agree(report_of(old / name), before, exact=True)


@pytest.mark.parametrize("name", ["cnn", "cnn-seeds", "cnn-folds", "mlp", "head", "tuned", "compared", "ablated"])
def test_an_interrupted_run_goes_on(name: str, old: Path, a2: A2, is_exact: bool) -> None:
    """It ends as the one that was never stopped; what had ended is kept as it is, and the test is read once."""
    command, stopped, whole = command_of(old, name), old / f"{name}-stopped", report_of(old / name)
    trained = trained_in(stopped)
    more = [flag for flag in ("--final",) if flag in command] + (["--jobs", "1"] if "--jobs" in command else [])
    assert a2(command[0], "--resume", stopped.name, "--quiet", *more).status == 0
    assert trained.items() <= trained_in(stopped).items()
    agree(report_of(stopped), whole, is_exact)
    if "trials" not in [path.name for path in stopped.iterdir()]:
        weights_agree(stopped, old / name, is_exact)


@pytest.mark.parametrize("name", ["cnn", "mlp", "head", "tuned", "tuned-own"])
def test_its_config_repeats_a_run(name: str, old: Path, a2: A2, is_exact: bool) -> None:
    final = [flag for flag in command_of(old, name) if flag == "--final"]
    config, whole = f"{name}/config.yaml", report_of(old / name)
    assert a2(command_of(old, name)[0], "-p", config, "--out", "again", "--quiet", *final).status == 0
    agree(report_of(old / "again"), whole, is_exact)
    weights_agree(old / "again", old / name, is_exact)


@pytest.mark.parametrize("name", LOOKS)
def test_looks_at_runs_find_the_same(name: str, old: Path, a2: A2, is_exact: bool) -> None:
    """probe-invariance, visualize-weights and receptive-field on runs of an earlier version, by its config."""
    whole = report_of(old / name)
    ended = a2(command_of(old, name)[0], "-p", f"{name}/config.yaml", "--out", "again", "--quiet")
    assert ended.status == 0, ended.err
    agree(report_of(old / "again"), whole, is_exact)


@pytest.mark.parametrize("name", ["cnn", "seeds", "head", "tuned"])
def test_predictions_are_the_same(name: str, old: Path, a2: A2, is_exact: bool) -> None:
    file = "predicted.json" if name == "cnn" else f"predicted-{name}.json"
    ended = a2(*command_of(old, file))
    assert ended.status == 0, ended.err
    agree(json.loads(ended.out), json.loads((old / file).read_text()), is_exact)


def test_features_are_the_same(old: Path, a2: A2, is_exact: bool) -> None:
    assert a2(*command_of(old, "features.safetensors"), "--out", "again.safetensors").status == 0
    then, now = load_file(old / "features.safetensors"), load_file(old / "again.safetensors")
    for name, tensor in then.items():
        assert torch.equal(now[name], tensor) if is_exact else torch.allclose(now[name], tensor, 1e-3, 1e-3), name


def newer_json(path: Path) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "schema_version": 9, "settled_by": "later"}))


def newer_features(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        about = {**json.loads(file.metadata()["a2"]), "schema_version": 9}
    save_file(load_file(path), path, {"a2": json.dumps(about)})


NEWER = {
    "report": (newer_json, "cnn/report.json", "train-cnn --resume cnn"),
    "report, of a trial": (newer_json, "compared/trials/*/report.json", "compare-optimizers --resume compared"),
    "report, read by others": (newer_json, "cnn/report.json", "predict --run cnn set"),
    "model card": (newer_json, "cnn/model/model.json", "predict --run cnn set"),
    "checkpoint": (newer_json, "cnn-stopped/checkpoints/epoch-00000002.json", "train-cnn --resume cnn-stopped"),
    "film": (newer_json, "cnn/film/epoch-00000001.json", "visualize-weights --run cnn --show film"),
    "features file": (newer_features, "features.safetensors", "train-mlp --features features.safetensors"),
}


SAVED = {
    "train-cnn --resume": "cnn",
    "compare-optimizers --resume": "compared",
    "ablate --resume": "ablated",
    "probe-invariance --run": "cnn",
    "visualize-weights --run": "cnn",
    "receptive-field --run": "cnn",
}


@pytest.mark.parametrize("command", SAVED)
def test_a_config_of_a_newer_version_or_damaged(command: str, old: Path, a2: A2) -> None:
    """Whoever reads it: it names the run, and what it does not know or lacks."""
    config = old / SAVED[command] / "config.yaml"
    lines, look = config.read_text().splitlines(), [*command.split(), SAVED[command], "--quiet"]
    is_signed = lines[-1].startswith("#")

    def write(*lines: str) -> None:
        content = "".join(f"{line}\n" for line in lines).encode()
        config.write_bytes(yaml_with_digest(content) if is_signed else content)

    lines = lines[: -1 if is_signed else None]
    write(*lines, "settings_to_come: 1")
    a2(*look).refused(3, "made by a newer a2", "'settings_to_come'", SAVED[command])
    write(*(line for line in lines if not line.startswith("batch_size")))
    a2(*look).refused(3, "config.yaml has lost batch_size", SAVED[command])


@pytest.mark.parametrize("kind", NEWER)
def test_what_a_newer_version_stored_is_refused(kind: str, old: Path, a2: A2) -> None:
    """In one line, before anything else in it is looked at; nothing is removed or written anew."""
    make, pattern, command = NEWER[kind]
    file = next(old.glob(pattern))
    make(file)
    before, kept = file.read_bytes(), {*(old / pattern.split("/")[0]).rglob("*.safetensors")}
    word = kind.partition(",")[0]
    words = f"made by a newer a2 (version 9 of a {word}, this a2 knows {newest(word)}); update a2"
    a2(*command.split(), "--quiet").refused(3, str(file.relative_to(old)), words)
    assert file.read_bytes() == before and {*(old / pattern.split("/")[0]).rglob("*.safetensors")} == kept


def test_reports_of_every_version_are_upgraded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through all versions after their own, one after the other."""
    steps = [lambda values: {**values, "a": values["a"] + 1}, lambda values: {"b": values["a"] * 10}]
    monkeypatch.setitem(versions.UPGRADES, "report", steps)
    assert versions.upgraded("report", {"a": 1}, "x") == {"b": 20}
    assert versions.upgraded("report", {"a": 1, "schema_version": 2}, "x") == {"b": 10}
    assert versions.upgraded("report", {"b": 1, "schema_version": 3}, "x") == {"b": 1}
    for version in (0, -1, "2", True, None, 2.0):
        with pytest.raises(DataError, match="x: damaged"):
            versions.upgraded("report", {"schema_version": version}, "x")


@pytest.mark.parametrize(("name", "command"), [("compared", "compare-optimizers"), ("ablated", "ablate")])
def test_the_best_of_an_earlier_version(name: str, command: str, old: Path, a2: A2) -> None:
    """It was not named then; what is stopped has none yet."""
    before = (old / name / "report.json").read_bytes()
    ended = a2(command, "--resume", name, "--best")
    best = Path(ended.out.rstrip("\n"))
    assert ended.status == 0, ended.err
    trials = {path.parent: report_of(path.parent) for path in (old / name / "trials").glob("*/report.json")}
    assert report_of(old / best)["results"]["runs"][0]["val"]["value"] in {
        one["results"]["runs"][0]["val"]["value"] for one in trials.values()
    }
    assert (old / name / "report.json").read_bytes() == before
    predicted = a2("predict", "--run", name, "set/ada", "--json", "--device", "cpu", "--threads", "1")
    assert json.loads(predicted.out)["networks"] == [str(best)]
    a2("predict", "--run", f"{name}-stopped", "set/ada").refused(
        3, f"--run {name}-stopped: not finished (no report.json); go on with: a2 {command} --resume {name}-stopped"
    )

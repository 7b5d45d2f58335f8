"""Everything that is stored: any bit flipped in it is noticed before use or repaired, and what is read is bounded."""

import errno
import json
import math
import os
import random
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import A2, TINY, contents, draw_classes, edit, flip, once, sign, text_file

from a2cli import main, storage
from a2cli.command_line.arguments import training_of
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.errors import DataError
from a2cli.models.files import load_model, save_model
from a2cli.progress import WarningCollector
from a2cli.reports.transfer_results import FeatureResults
from a2cli.runs.checkpoints import load_checkpoint, load_frames
from a2cli.runs.directory import Run
from a2cli.settings.presets import resolve
from a2cli.settings.transfer import ExtractFeaturesSettings
from a2cli.strict_json import to_json
from a2cli.transfer.extract_features import extract_features
from a2cli.transfer.feature_file import read_features

fcntl = pytest.importorskip("fcntl", reason="these locks and permissions are POSIX's")
FLIPS = 300
EXTRACT = ["extract-features", "--data", "set", "--layer", "conv1", "--threads", "1", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its checkpoints and film, a features file, a cache."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
        draw_classes(place / "set")
        for command in (
            ["train-cnn", *TINY, "--data", "set", "--epochs", "2", "--out", "run"],
            [*EXTRACT, "--run", "run", "--out", "features.safetensors"],
        ):
            patch.setattr(sys, "argv", ["a2", *once(command)])
            assert main.run_command() == 0
    return place


# Bits


def as_bytes(value: Any) -> bytes:
    """Return what was read, so that it can be compared."""
    if isinstance(value, torch.Tensor):
        return repr((value.shape, value.dtype)).encode() + value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return b"".join(str(key).encode() + as_bytes(inner) for key, inner in value.items())
    return repr(value).encode()


def model(place: Path, _: WarningCollector) -> bytes:
    network, card = Run(place / "run").load_model()
    return as_bytes([card]) + as_bytes(dict(network.state_dict()))


def checkpoint(place: Path, ears: WarningCollector) -> bytes:
    found = load_checkpoint(place / "run/checkpoints")
    assert found is not None
    ears.warnings += found[2]
    return as_bytes(found[0]) + as_bytes(found[1])


def report(place: Path, _: WarningCollector) -> bytes:
    return to_json(Run(place / "run").read_report()).encode()


def config(place: Path, _: WarningCollector) -> bytes:
    return as_bytes(training_of("--run", str(place / "run")))


def film(place: Path, _: WarningCollector) -> bytes:
    return as_bytes(load_frames(place / "run/film"))


def features(place: Path, _: WarningCollector, name: str = "features.safetensors") -> bytes:
    found = read_features(str(place / name))
    return as_bytes([found.about]) + as_bytes({**found.layers, **found.weights, "labels": found.labels})


def packed(place: Path, ears: WarningCollector) -> bytes:
    found = pack(find_source("set"), 8, "squash", False, ears)
    return found.images.tobytes() + as_bytes([found.labels.tolist(), list(found.names), found.fingerprint])


def activations(place: Path, ears: WarningCollector) -> bytes:
    flags = {flag[2:].replace("-", "_"): value for flag, value in zip(EXTRACT[1:-1:2], EXTRACT[2::2], strict=True)}
    flags |= {"run": str(place / "run"), "data": "set"}
    settings = resolve(ExtractFeaturesSettings, "extract-features", [], flags).settings
    report = extract_features(settings, str(place / "again.safetensors"), ears, overwrite=True)
    assert isinstance(report.results, FeatureResults)
    ears.warnings += ["computed again"] * (report.results.computed > 0)
    return features(place, ears, "again.safetensors")


READERS: dict[str, Callable[[Path, WarningCollector], bytes]] = {
    "run/model/model.safetensors": model,
    "run/model/model.json": model,
    "run/checkpoints/*.safetensors": checkpoint,
    "run/checkpoints/*.json": checkpoint,
    "run/report.json": report,
    "run/config.yaml": config,
    "run/film/*.safetensors": film,
    "run/film/*.json": film,
    "features.safetensors": features,
    "cache/packed/*/*": packed,
    "cache/activations/*/rows.f32": activations,
    "cache/activations/*/digests": activations,
}


@pytest.mark.slow
def test_any_flipped_bit_is_noticed_or_repaired(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it changes nothing that is read, as a letter of a comment. A word is said of what is repaired."""
    monkeypatch.setenv("A2_CACHE_DIR", str(made / "cache"))
    monkeypatch.chdir(made)
    draw, silent, refused, repaired = random.Random(17), [], 0, 0
    whole = {reader: reader(made, WarningCollector()) for reader in READERS.values()}
    for i in range(FLIPS):
        pattern = [*READERS][i % len(READERS)]
        reader, path = READERS[pattern], draw.choice(sorted(made.glob(pattern)))
        beside = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
        content = beside[path]
        bit = draw.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        ears = WarningCollector()
        try:
            found = reader(made, ears)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            repaired += bool(ears.warnings)
            older = reader is checkpoint and ears.warnings  # which gave way to the one before
            if found != whole[reader] and not older:
                silent.append(f"{path.name}: bit {bit}")
        for file, content in beside.items():
            file.write_bytes(content)
    assert not silent
    assert refused > FLIPS // 2
    assert repaired > FLIPS // 5


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with all that."""
    monkeypatch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


# Edited numbers


EDITED = {
    "report": ("run/report.json", '"value": 0', '"value": 1', "run/report.json: damaged or edited"),
    "card": ("run/model/model.json", '"fit": "squash"', '"fit": "crop"', "run/model/model.json: damaged or edited"),
    "config": ("run/config.yaml", "epochs: 2", "epochs: 3", "run: config.yaml was damaged or edited"),
}


def change(path: Path, old: str, new: str) -> None:
    """Edit a file as a user would, who gives it no new SHA-256."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("kind", EDITED)
def test_what_was_edited_is_refused(kind: str, place: Path, a2: A2) -> None:
    path, old, new, reason = EDITED[kind]
    change(place / path, old, new)
    before = contents(place / "run")
    if kind != "card":
        a2("train-cnn", "--resume", "run", "--quiet").refused(3, reason)
    a2("predict", "--run", "run", "set/ada/0.png", "--quiet").refused(3, reason)
    assert contents(place / "run") == before


def test_an_edited_report_is_written_again_once_it_is_gone(place: Path, a2: A2) -> None:
    whole = json.loads((place / "run/report.json").read_text())
    (place / "run/report.json").unlink()
    a2("train-cnn", "--resume", "run", "--quiet").done()
    assert json.loads((place / "run/report.json").read_text())["results"] == whole["results"]


def test_an_edited_summary_over_seeds_is_not_written_over(place: Path, a2: A2) -> None:
    a2("train-cnn", *TINY, "--data", "set", "--seeds", "2", "--jobs", "1", "--out", "seeds").done()
    change(place / "seeds/report.json", '"mean": 0', '"mean": 1')
    before = contents(place / "seeds")
    a2("train-cnn", "--resume", "seeds", "--quiet").refused(3, "seeds/report.json: damaged or edited")
    assert contents(place / "seeds") == before


def test_edited_reports_of_a_comparison_and_its_trials(place: Path, a2: A2) -> None:
    flags = ["--optimizers", "adam,sgd", "--tuning", "none", "--seeds", "2", "--jobs", "1", "--out", "compared"]
    a2("compare-optimizers", *TINY[:-5], "--data", "set", "--device", "cpu", "--quiet", *flags).done()
    for which, old in (("trials/*/report.json", '"value": 0'), ("report.json", '"accuracy": 0')):
        path = next((place / "compared").glob(which))
        whole = path.read_bytes()
        change(path, old, old.replace("0", "1"))
        ended = a2("compare-optimizers", "--resume", "compared", "--jobs", "1", "--quiet")
        ended.refused(3, f"{path.relative_to(place)}: damaged or edited")
        path.write_bytes(whole)


def test_an_edited_config_as_a_preset_is_said(place: Path, a2: A2) -> None:
    unchanged = a2("train-cnn", "-p", "run/config.yaml", "--dry-run")
    assert (unchanged.status, unchanged.err) == (0, "")
    change(place / "run/config.yaml", "epochs: 2", "epochs: 3")
    ended = a2("train-cnn", "-p", "run/config.yaml", "--dry-run")
    assert ended.err == "warning: --preset run/config.yaml: edited since a2 wrote it; taken as it is now\n"
    assert re.search(r"epochs +3 ", ended.out)


def test_metrics_are_written_again_on_resume(place: Path, a2: A2) -> None:
    whole = (place / "run/metrics.csv").read_bytes()
    edit(place / "run/report.json", '"done"', '"running"')
    flip(place / "run/metrics.csv")
    a2("train-cnn", "--resume", "run", "--quiet").done()
    assert (place / "run/metrics.csv").read_bytes() == whole


# Networks that a card asks for

WIDE = 2**20
CARDS: dict[str, tuple[dict[str, Any], str]] = {
    "fit": ({"fit": "center-abc"}, "fit: expected squash, crop, pad or center-SIZE, got 'center-abc'"),
    "other fit": ({"fit": "pae"}, "fit: expected squash"),
    "no classes": ({"class_names": []}, "class_names: expected the names of its classes, got none"),
    "many classes": ({"class_names": ["a"] * 5000}, "a network of at least"),
    "wide": (
        {"network": {"channels": [WIDE, WIDE], "kernel_size": [3]}},
        "a network of at least 3 layers with 9,895,635,058,688 weights, where",
    ),
    "deep": ({"network": {"hidden": [1] * 30_000}}, "at most 1000 items"),
    "deep but light": ({"network": {"hidden": [1] * 10}}, "a network of at least 12 layers"),
    "less deep": ({"network": {"hidden": [1] * 900}}, "a network of at least 902 layers"),
    "large image": ({"image_size": 10**6}, "image_size: expected 1 to 4096 pixels"),
    "two means": ({"mean": [0.5, 0.5]}, "mean: expected a number for each of 3 channels"),
    "no number": ({"mean": [math.nan, 0.5, 0.5]}, "mean: expected a number for each of 3 channels, got [nan,"),
    "no deviation": ({"std": [0, 0.5, 0.5]}, "std: expected a number for each of 3 channels"),
    "a class twice": ({"class_names": ["ada", "ada"]}, "class_names: expected each name once"),
    "a range of no values": ({"value_range": [9, 5]}, "value_range: expected the values that become 0 and 255"),
    "a range without an end": ({"value_range": [0, math.inf]}, "value_range: expected"),
    "other network": ({"architecture": "mlp"}, "network: not the settings of architecture mlp"),
    "a head without a trunk": ({"architecture": "transfer"}, "unknown architecture 'transfer'"),
}


@pytest.mark.parametrize("version", ["with its SHA-256", "of an earlier version"])
@pytest.mark.parametrize("kind", CARDS)
def test_a_card_of_no_network(kind: str, version: str, place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    changed, reason = CARDS[kind]
    path = place / "run/model/model.json"
    values = json.loads(path.read_text())
    network = {**values["network"], **changed.get("network", {})}
    path.write_text(json.dumps({**values, **changed, "network": network}))
    sign(path)
    if version == "of an earlier version":
        values = json.loads(path.read_text())
        del values["state_sha256"], values["schema_version"]
        path.write_text(json.dumps(values))
    monkeypatch.setattr("a2cli.models.files.build_network", None)  # nothing is built
    ended = a2("predict", "--run", "run", "set/ada/0.png", "--quiet")
    ended.refused(3, "run/model/model.json: not a network's card", reason)


def test_the_card_of_a_network_within_is_checked(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a2cli.transfer.finetune.draw_run", lambda *_: None)
    tune = "finetune --run run --layer conv1 --head-grid 1 --stages head:1@0.01 --data set --threads 1 --device cpu"
    assert a2(*tune.split(), "--val-count", "2", "--out", "tuned", "--quiet").status == 0
    assert a2("predict", "--run", "tuned", "set/ada/0.png", "--quiet").status == 0
    path = place / "tuned/model/model.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "trunk": {**values["trunk"], "fit": "pae"}}))
    sign(path)
    ended = a2("predict", "--run", "tuned", "set/ada/0.png", "--quiet")
    ended.refused(3, "tuned/model/model.json: not a network's card (fit: expected squash")


def test_a_network_with_nan_is_refused(place: Path, a2: A2) -> None:
    model, card = load_model(place / "run/model")
    next(iter(model.parameters())).data[0] = math.nan
    save_model(place / "run/model", card, model)
    a2("predict", "--run", "run", "set/ada/0.png", "--quiet").refused(3, "run/model: ", "holds NaN or infinite values")


def test_reading_json_is_bounded(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MOST_JSON", 1000)
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run/report.json: damaged (larger than 1,000 bytes)")


# Disks


def syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that what is put on disk is added to by its name, and each rename as '-> NAME'."""
    events: list[str] = []
    real, replaced = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        events.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        real(handle)

    def replace(path: Path, target: Path) -> Path:
        events.append(f"-> {target.name}")
        return replaced(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return events


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files on this system")
def test_every_rename_is_on_disk(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it, the folder after it; so is the last line of metrics.csv."""
    events = syncs(monkeypatch)
    a2("train-cnn", *TINY, "--data", "set", "--out", "new/run").done()
    a2(*EXTRACT, "--run", "new/run", "--out", "new.safetensors").done()
    renames = [i for i, event in enumerate(events) if event.startswith("-> ")]
    wanted = {"config.yaml", "report.json", "metrics.csv", "model.json", "model.safetensors", "new.safetensors"}
    assert wanted <= {events[i][3:] for i in renames}
    for i in renames:
        assert events[i - 1].startswith(".writing-"), events[i - 1 : i + 2]
        folder = events[i + 1].split("-")[0]  # a pack is written in .unfinished-XXXX
        assert folder in {"run", "model", "checkpoints", "film", ".unfinished", place.name}, events[i - 1 : i + 2]
    assert {"new", place.name} <= {*events}, "new folders are known to those above them"
    assert {"rows.f32", "digests"} <= {*events}
    after = events[max(i for i in renames if events[i] == "-> metrics.csv") :]
    assert not any("epoch-" in event for event in after), "it is written when all epochs are in it"


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_permissions_are_the_umasks(mask: int, place: Path, a2: A2) -> None:
    before = os.umask(mask)
    try:
        a2("train-cnn", *TINY, "--data", "set", "--out", "new").done()
        a2(*EXTRACT, "--run", "new", "--out", "new.safetensors").done()
    finally:
        os.umask(before)
    files = [place / "new.safetensors", *(path for path in (place / "new").rglob("*") if path.is_file())]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~mask}


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(code: int, place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    a2("train-cnn", *TINY, "--data", "set", "--out", "new").done("new: this file system has no locks")
    a2(*EXTRACT, "--run", "new", "--out", "new.safetensors").done()


def test_a_lock_that_fails_otherwise_is_an_error(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    a2("train-cnn", *TINY, "--data", "set", "--out", "new").refused(3, "new: cannot be written (Input/output error)")


# What is there already


def test_a_folder_of_a_run_that_never_began(place: Path, a2: A2) -> None:
    """Killed while packing, it holds a lock and unfinished files."""
    text_file(place / "new/.lock")
    text_file(place / "new/.writing-12ab")
    (place / "new/figures").mkdir()
    reason = "new: this run was stopped before it began; begin it again, with --out new"
    a2("train-cnn", "--resume", "new", "--quiet").refused(3, f"--resume {reason}")
    a2("predict", "--run", "new", "set/ada/0.png").refused(3, f"--run {reason}")
    a2("train-cnn", *TINY, "--data", "set", "--out", "new").done()
    assert not list((place / "new").rglob(".writing-*"))


@pytest.mark.parametrize("name", ["notes.txt", "figures/notes.txt", "figures/link"])
def test_a_folder_with_anything_else_is_not_taken(name: str, place: Path, a2: A2) -> None:
    text_file(place / "new/.lock")
    (place / "new/figures").mkdir()
    (place / "new/figures/link").symlink_to(place) if "link" in name else text_file(place / "new" / name)
    a2("train-cnn", *TINY, "--data", "set", "--out", "new").refused(3, "--out new: already there and not empty")
    a2("train-cnn", "--resume", "new", "--quiet").refused(3, "--resume new: not a run directory")


def test_a_picture_that_is_there_is_kept(place: Path, a2: A2) -> None:
    text_file(place / "sheet.png", "mine")
    flags = ["predict", "--run", "run", "set/ada/0.png", "--quiet"]
    a2(*flags, "--picture", "sheet.png").refused(3, "--picture sheet.png: already there", "or use --overwrite")
    assert (place / "sheet.png").read_text() == "mine"
    a2(*flags, "--overwrite").refused(2, "--overwrite: acts only with --picture")
    assert a2(*flags, "--picture", "sheet.png", "--overwrite").status == 0
    assert (place / "sheet.png").read_bytes().startswith(b"\x89PNG")

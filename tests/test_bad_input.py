"""Whatever is wrong ends in one line with the right exit status, and nothing half written stays."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, TINY, draw_classes, nothing_left
from safetensors.torch import save

from a2cli.errors import DataError
from a2cli.experiments import trial
from a2cli.experiments.train import train_network
from a2cli.options import PRESET_BYTES, described, resolve
from a2cli.report import Nobody
from a2cli.runs import Run
from a2cli.settings import TrainCnnSettings, declared

fcntl = pytest.importorskip("fcntl", reason="these locks, permissions and limits are POSIX's")
NOBODY = 65534


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set")


# Flags

USAGE: dict[str, tuple[str, str]] = {
    "--epoch 3": ("No such option: --epoch", "--epochs"),
    "--dropuot 0.1": ("No such option: --dropuot", "--dropout"),
    "--epochs": ("--epochs", "requires an argument"),
    "somewhere": ("unexpected extra argument", "somewhere"),
    "--skip-damaged=3": ("--skip-damaged", "does not take a value"),
    "--optimizer adm": ("--optimizer", "did you mean 'adam'?"),
    "--pool maxi": ("--pool", "did you mean 'max'?"),
    "--split stratfied": ("--split", "did you mean 'stratified'?"),
    "--preset 1.4-dropuot": ("--preset", "did you mean '1.4-dropout'?"),
    "--preset nosuch.yaml": ("--preset", "no file 'nosuch.yaml'"),
    "--augment flp": ("--augment", "'flp'"),
    "--augment flip=nan": ("--augment", "'flip=nan'"),
    "--augment rotate=181": ("--augment", "'rotate=181'"),
    "--channels 8,,8": ("--channels", "valid integer"),
    "--channels none": ("--channels", "at least 1 item"),
    # Too large for any machine: torch would crash or fail in words of its own
    "--threads 99999": ("--threads", "1024"),
    "--batch-size 9999999999999": ("--batch-size", "less than or equal"),
    "--channels 999999999": ("conv1", "--channels"),
    "--hidden 999999999": ("hidden1", "--hidden"),
    "--padding 100000": ("conv1", "--padding"),
    # Contradictory
    "--kernel-size 99": ("conv1", "image 8 -> conv1 nothing"),
    "--channels 2,2,2 --stride 2 --kernel-size 3": ("image 8 -> conv1 3 -> conv2 1 -> conv3 nothing",),
    "--channels 2,2 --kernel-size 3,3,3": ("--kernel-size", "got 3"),
    "--dropout-at conv9 --dropout 0.5": ("--dropout-at", "'conv9'"),
    "--warmup-epochs 1": ("--warmup-epochs", "leave no other"),
    "--scheduler cosine --min-learning-rate 1": ("--min-learning-rate", "above the learning rate"),
    "--scheduler multistep --milestones 40,20": ("--milestones", "40,20"),
    "--norm group --kernel-size 8": ("--norm group", "conv1"),
    # Idle
    "--momentum 0.5": ("--momentum", "--optimizer momentum or nesterov"),
    "--pool-size 2": ("--pool-size", "--pool max or average"),
    "--val-fraction 0.2 --val-count 3": ("--val-fraction", "--val-count"),
    "--plateau-patience 3": ("--plateau-patience", "--scheduler plateau"),
    "--dropout-at conv1": ("--dropout-at", "--dropout above 0"),
    "--dropout 0.5 --dropout-at hidden": ("--dropout-at hidden", "no such layer"),
    "--no-restore-best --monitor val-loss": ("--monitor", "--early-stopping"),
}  # fmt: skip


@pytest.mark.parametrize("flags", USAGE)
def test_flags_that_cannot_be_used(flags: str, data: Path, train: A2, tmp_path: Path) -> None:
    train("--data", "set", *flags.split()).refused(2, *USAGE[flags])
    assert nothing_left(tmp_path)


WHOLE = "image_size val_count train_per_class channels kernel_size stride padding pool_size pool_stride hidden epochs"
WHOLE += " batch_size plateau_patience step_size milestones warmup_epochs early_stopping threads seed seeds"
SHARES = "val_fraction test_fraction dropout weight_decay momentum label_smoothing plateau_factor gamma"
NUMBERS = f"{WHOLE} {SHARES} learning_rate min_learning_rate".split()
MAY_BE_0 = "padding dropout test_fraction weight_decay label_smoothing plateau_patience min_learning_rate warmup_epochs"
MAY_BE_0 += " early_stopping threads seed"


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_bounds(name: str, a2: A2) -> None:
    flag = "--" + name.replace("_", "-")
    bad = ["nan", "inf", "-inf", "-1", "x", "1e400", "0x10", "1,nan"]
    bad += [] if name in MAY_BE_0.split() else ["0"]
    bad += ["1.5"] if name in WHOLE.split() else []
    bad += ["1"] if name in SHARES.split() else []
    bad += [] if name == "seed" else ["9" * 25]
    for value in bad:
        a2("train-cnn", flag, value, "--dry-run").refused(2, flag)


def test_all_numbers_are_tried() -> None:
    numeric = {i.name for i in declared(TrainCnnSettings) if described(i)[0].split()[-1].startswith(("INT", "NUMBER"))}
    assert numeric == set(NUMBERS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian-cnn"], ("No such command 'trian-cnn'", "'train-cnn'")),
        (["--nosuch"], ("No such option: --nosuch",)),
        (["data", "get", "paintngs"], ("expected paintings", "'paintngs'")),
        (["data", "gte"], ("No such command 'gte'",)),
    ],
)
def test_commands_that_are_not_there(arguments: list[str], words: tuple[str, ...], a2: A2) -> None:
    a2(*arguments).refused(2, *words)


@pytest.mark.parametrize("device", ["quantum", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there(device: str, data: Path, train: A2, tmp_path: Path) -> None:
    train("--data", "set", "--device", device).refused(2, "--device", repr(device), "try auto or cpu")
    assert nothing_left(tmp_path)


# Presets

LAUGHS = "a: &a [ha, ha]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
PRESETS: dict[str, tuple[str | bytes, str]] = {
    "billion laughs": (LAUGHS, "aliases (*name) are not allowed"),
    "huge": ("# " + "x" * PRESET_BYTES, "at most"),
    "deep": ("[" * 30_000, "lists within lists"),
    "list": ("- epochs: 3", "got list"),
    "scalar": ("5", "got int"),
    "text": ("epochs 3", "got str"),
    "binary": (bytes(range(256)), "not YAML"),
    "empty": ("", "expected 'setting: value' lines"),
    "comment": ("# epochs: 3", "expected 'setting: value' lines"),
    "not UTF-8": ("about: 3 \xb5m".encode("latin-1"), "not YAML"),
    "two documents": ("epochs: 1\n---\nepochs: 2", "not YAML"),
    "code": ("epochs: !!python/object/apply:os.getpid []", "not YAML"),
    "other command": ("command: train-mlp\nepochs: 3", "'a2 train-mlp'"),
    "unknown key": ("epoch: 3", "unknown setting 'epoch'; did you mean 'epochs'?"),
    "a run option": ("resume: somewhere", "unknown setting 'resume'"),
    "key twice": ("epochs: 3\nseed: 1\nepochs: 4", "epochs is set twice"),
    "number as word": ("epochs: many", "epochs: expected a valid integer"),
    "number as yes": ("epochs: yes", "epochs: expected a number, got True"),
    "list of yes": ("hidden: [yes]", "hidden: expected a number"),
    "number as list": ("epochs: [1, 2]", "epochs: expected a valid integer"),
    "number as map": ("learning_rate: {high: 1}", "learning_rate: expected a valid number"),
    "number as nothing": ("epochs:", "epochs: expected a valid integer"),
    "fraction": ("epochs: 1.5", "epochs: expected a valid integer"),
    "nan": ("learning_rate: .nan", "learning_rate: expected a finite number"),
    "inf in a list": ("dropout: [0.1, .inf]", "dropout: expected a finite number"),
    "word as number": ("data: 5", "data: expected a valid string"),
    "word as no": ("pool: no", "pool: expected 'none', 'max' or 'average', got False"),
    "flag as word": ("skip_damaged: perhaps", "skip_damaged: expected a valid boolean"),
    "date": ("epochs: 2020-13-01", "not YAML: month"),
    "extends itself": ("extends: ./mine.yaml", "extends itself"),
    "extends nothing": ("extends: 1.4-dropuot", "did you mean '1.4-dropout'?"),
    "extends a list": ("extends: [1.4-dropout]", "unknown preset"),
    "does not fit": ("channels: [2, 2]\nstride: [1, 1, 1]", "--stride"),
}


@pytest.mark.parametrize("kind", PRESETS)
def test_presets_that_cannot_be_used(kind: str, a2: A2, tmp_path: Path) -> None:
    content, reason = PRESETS[kind]
    (tmp_path / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.monotonic()
    a2("train-cnn", "--preset", "mine.yaml", "--dry-run").refused(2, reason)
    assert time.monotonic() - began < 5, "a few kilobytes may not take long"


@pytest.mark.parametrize("name", ["folder.yaml", "dangling.yaml", "x" * 5000, "x" * 5000 + ".yaml", ""])
def test_presets_that_are_no_files(name: str, a2: A2, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to("nowhere.yaml")
    a2("train-cnn", "--preset", name, "--dry-run").refused(
        2, f"--preset: {'no file' if name[-5:] == '.yaml' else 'unk'}"
    )


# Folders of images

FOLDERS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "empty class": (lambda p: (p / "cleo").mkdir(), ("set/cleo", "without an image")),
    "class of other files": (lambda p: _text(p / "cleo" / "notes.txt"), ("set/cleo", "without an image")),
    "one class": (lambda p: shutil.rmtree(p / "bea"), ("set", "at least two classes", "only ada")),
    "no class": (lambda p: [shutil.rmtree(p / name) for name in ("ada", "bea")], ("set", "found none")),
    "case": (lambda p: (p / "ada").rename(p / "BEA"), ("'BEA' and 'bea'", "differ in case only")),
    "one image each": (
        lambda p: [path.unlink() for path in p.glob("*/[1-9].png")],
        ("no image is left", "--val-count"),
    ),
    "class missing in val": (lambda p: _split(p, "val", "bea"), ("'bea' is missing from val/",)),
    "class missing in train": (lambda p: _split(p, "train", "ada"), ("'ada' is missing from train/",)),
    "empty split": (lambda p: _split(p, "val", "ada", "bea"), ("set/val", "found none")),
}


def _text(path: Path, text: str = "nothing") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def _split(root: Path, part: str, *missing: str) -> None:
    parts = {name: shutil.copytree(root, root.parent / name) for name in ("train", "val")}
    shutil.rmtree(root)
    for name, folder in parts.items():
        shutil.move(folder, root / name)
    for name in missing:
        shutil.rmtree(root / part / name)


@pytest.mark.parametrize("kind", FOLDERS)
def test_folders_that_cannot_be_used(kind: str, data: Path, train: A2, tmp_path: Path) -> None:
    break_it, words = FOLDERS[kind]
    break_it(data)
    train("--data", "set").refused(3, *words)
    assert not (tmp_path / "runs").exists()
    assert not list((tmp_path / "cache").rglob(".unfinished-*"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("atelir", ("did you mean 'atelier'?",)),
        ("painting", ("did you mean 'paintings'?",)),
        ("CIFAR-10", ("did you mean 'cifar10'?",)),
        ("qwxyz", ("names known: atelier, portraits, paintings",)),
        ("nosuch/folder", ("'nosuch/folder'",)),
        ("nosuch.npz", ("'nosuch.npz'",)),
        ("notes.txt", ("notes.txt: expected a folder, a .csv manifest or an .npz file",)),
        ("paintings", ("a2 data get paintings",)),
        ("x" * 5000, ("--data xxx",)),
        ("", ("--data", "got nothing")),
    ],
)
def test_data_that_is_not_there(name: str, words: tuple[str, ...], train: A2, tmp_path: Path) -> None:
    _text(tmp_path / "notes.txt")
    train("--data", name).refused(3, *words)
    assert nothing_left(tmp_path)


def test_torchvision_without_a_network(train: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unplugged)
    train("--data", "fashionmnist").refused(3, "--data FashionMNIST", "torchvision cannot fetch it")
    assert nothing_left(tmp_path)


def test_torchvision_without_scipy(train: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def without(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'scipy'")

    monkeypatch.setattr(datasets, "SVHN", without)
    train("--data", "svhn").refused(3, "--data SVHN", "scipy")


# Splits

SPLITS = {
    "--val-count 10": "cannot hold out 10 of 10 images",
    "--val-count 9": "cannot hold out 9 images and leave one of every class",
    "--val-fraction 0.01": "no image is left for validation",
    "--test-fraction 0.01": "no image is left for test",
    "--val-fraction 0.6 --test-fraction 0.6": "cannot hold out",
    "--split random --val-count 9": "no training image of class",
}


@pytest.mark.parametrize("flags", SPLITS)
def test_splits_that_cannot_be_made(flags: str, data: Path, train: A2, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    train("--data", "set", "--out", "mine", *flags.split()).refused(3, SPLITS[flags])
    assert list((tmp_path / "mine").iterdir()) == []


def test_settings_that_only_the_data_shows_to_be_wrong(data: Path, train: A2, tmp_path: Path) -> None:
    train("--data", "set", "--final").refused(2, "--final", "--test-fraction")
    one_left = ("--norm", "batch", "--kernel-size", "8", "--batch-size", "7")  # 8 training images: 7 and 1
    train("--data", "set", *one_left).refused(2, "--norm batch", "--batch-size")
    train("--data", "set", *one_left[:-1], "1").refused(2, "--norm batch", "--batch-size")
    assert not (tmp_path / "runs").exists()
    train("--data", "set", *one_left[:-1], "4").done()


def test_a_share_that_the_data_has_of_its_own(data: Path, train: A2) -> None:
    _split(data, "val")
    train("--data", "set", "--val-count", "2").done("val_count does not act")


# Manifests and arrays

LINES = [f"set/{name}/{i}.png,{name}" for name in ("ada", "bea") for i in range(5)]
MANIFESTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "path,label"),
    "header alone": (b"path,label\n", "path,label"),
    "missing column": (b"path,class\nset/ada/0.png,ada\n", "path,label"),
    "not UTF-8": (b"path,label\nset/ada/0.png,ad\xe4\n", "not a CSV file in UTF-8"),
    "no label": (b"path,label\nset/ada/0.png\n", "line 2"),
    "zero byte": (b"path,label\nset/ada\0.png,ada\n", "line 2"),
    "endless field": (b"path,label\n" + b"x" * 200_000 + b",ada\n", "not a CSV file"),
    "bad split": ("\n".join(["path,label,split", LINES[0] + ",train", LINES[5] + ",tset"]).encode(), "line 3"),
    "split here and there": ("\n".join(["path,label,split", LINES[0] + ",train", LINES[5] + ","]).encode(), "in none"),
    "no training": ("\n".join(["path,label,split", *(line + ",val" for line in LINES)]).encode(), "lines for train"),
    "missing file": ("\n".join(["path,label", *LINES, "set/ada/nosuch.png,ada"]).encode(), "set/ada/nosuch.png: "),
    "folder": ("\n".join(["path,label", *LINES, "set/ada,ada"]).encode(), "set/ada: Is a directory"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifests_that_cannot_be_used(kind: str, data: Path, train: A2, tmp_path: Path) -> None:
    content, reason = MANIFESTS[kind]
    (tmp_path / "set.csv").write_bytes(content)
    train("--data", "set.csv").refused(3, "--data set.csv", reason)
    assert nothing_left(tmp_path)


IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(10) % 2
ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "pickled": ({"images": IMAGES.astype(object), "labels": LABELS}, "allow_pickle=False"),
    "pickled names": ({"images": IMAGES, "labels": LABELS, "class_names": np.array([{}, 1])}, "allow_pickle=False"),
    "no images": ({"labels": LABELS}, "images is not a file"),
    "no labels": ({"images": IMAGES}, "labels is not a file"),
    "floats": ({"images": IMAGES / 255, "labels": LABELS}, "float64"),
    "shape": ({"images": IMAGES[..., :2], "labels": LABELS}, "(10, 8, 8, 2)"),
    "no height": ({"images": IMAGES[:, :0], "labels": LABELS}, "(10, 0, 8, 3)"),
    "no image": ({"images": IMAGES[:0], "labels": LABELS[:0], "class_names": ["a", "b"]}, "(0, 8, 8, 3)"),
    "too few labels": ({"images": IMAGES, "labels": LABELS[:5]}, "expected 10 labels"),
    "labels as floats": ({"images": IMAGES, "labels": LABELS / 1}, "float64"),
    "label too large": ({"images": IMAGES, "labels": LABELS, "class_names": ["a"]}, "from 0 to 1"),
    "label too small": ({"images": IMAGES, "labels": LABELS - 1, "class_names": ["a", "b"]}, "from -1 to 0"),
    "one name": ({"images": IMAGES, "labels": LABELS, "class_names": "a"}, "from 0 to 1"),
    "name twice": ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "a"]}, "a name twice"),
    "one class": ({"images": IMAGES, "labels": LABELS * 0}, "at least two classes"),
    "class without images": ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "b", "c"]}, "class 'c'"),
    "fewer images than classes": (
        {"images": IMAGES[:2], "labels": LABELS[:2], "class_names": ["a", "b", "c"]},
        "2 usable images for 3 classes",
    ),
    "a class an image": ({"images": IMAGES, "labels": np.arange(10)}, "leave one of every class"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_cannot_be_used(kind: str, train: A2, tmp_path: Path) -> None:
    arrays, reason = ARRAYS[kind]
    np.savez(tmp_path / "set.npz", **arrays)
    train("--data", "set.npz").refused(3, reason)
    assert not (tmp_path / "runs").exists()
    assert not list((tmp_path / "cache").rglob(".unfinished-*"))


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "images",
    [
        _header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 99, 99, 3)}\n"),
        _header("{'descr': '|u1', 'fortran_order': False, 'shape': (1" + "0" * 30 + ",)}\n"),
        _header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 3)}\n"),
        _header("__import__('os').abort()\n"),
        _header("((((((((((\n"),
        b"no array at all",
    ],
    ids=["huge", "more than an int", "negative", "code", "brackets", "text"],
)
def test_arrays_with_hostile_headers(images: bytes, train: A2, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("images.npy" if images[:1] == b"\x93" else "images", images)
        archive.writestr("labels.npy", _header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}\n") + b"0")
    train("--data", "set.npz").refused(3, "--data set.npz")
    assert nothing_left(tmp_path)


def test_damaged_archives(train: A2, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, images=IMAGES, labels=LABELS)
    whole = path.read_bytes()
    for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2], whole[:90] + bytes(20) + whole[110:]):
        path.write_bytes(content)
        train("--data", "set.npz").refused(3, "--data set.npz", "expected an .npz")
    path.write_bytes(whole)
    train("--data", "set.npz").done()


# Runs


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of three epochs on ../set with all of its checkpoints, as if it had been stopped at the last moment."""
    place = tmp_path_factory.mktemp("original")
    data = draw_classes(place / "set")
    flags = dict(zip((flag[2:].replace("-", "_") for flag in TINY[:-1:2]), TINY[1:-1:2], strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(trial, "_draw", lambda *_: None)
        settings = resolve(TrainCnnSettings, "train-cnn", [], {**flags, "data": str(data), "epochs": "3"}).settings
        train_network(settings, Run.create("train-cnn", str(place / "run")), Nobody())
    report = json.loads((place / "run/report.json").read_text())
    (place / "run/report.json").write_text(json.dumps({**report, "status": "running"}))
    return place / "run"


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


RESUMES: dict[str, tuple[Callable[[Path], object], int, tuple[str, ...]]] = {
    "no run": (lambda r: (r / "config.yaml").unlink(), 3, ("--resume run: not a run's folder",)),
    "empty config": (lambda r: _text(r / "config.yaml", ""), 3, ("--resume run", "config.yaml: expected")),
    "binary config": (lambda r: (r / "config.yaml").write_bytes(bytes(range(256))), 3, ("config.yaml: not YAML",)),
    "short config": (lambda r: _cut(r / "config.yaml", "batch_size"), 3, ("config.yaml has lost batch_size",)),
    "other config": (lambda r: edit(r / "config.yaml", "epochs: 3", "epochs: 4"), 3, ("(epochs was 3, is 4)",)),
    "more seeds": (lambda r: edit(r / "config.yaml", "seeds: 1", "seeds: 2"), 3, ("(seeds was 1, is 2)",)),
    "bad value": (lambda r: edit(r / "config.yaml", "epochs: 3", "epochs: x"), 3, ("config.yaml: epochs",)),
    "other command": (lambda r: edit(r / "config.yaml", "train-cnn", "train-mlp"), 3, ("'a2 train-mlp'",)),
    "empty report": (lambda r: _text(r / "report.json", ""), 3, ("run/report.json: not a report",)),
    "cut report": (lambda r: _cut(r / "report.json", "created"), 3, ("run/report.json: not a report",)),
    "report of nothing": (lambda r: _text(r / "report.json", "{}"), 3, ("run/report.json: not a report", "command")),
    "deep report": (lambda r: _text(r / "report.json", "[" * 100_000), 3, ("run/report.json: not a report",)),
    "other words": (lambda r: edit(r / "report.json", '"running"', '"flying"'), 3, ("run/report.json", "status")),
}  # fmt: skip


def _cut(path: Path, before: str) -> None:
    path.write_text(path.read_text().split(before)[0])


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
        ("--preset 1.4-dropout", 2, ("is stratified in the run, random by preset 1.4-dropout",)),
        ("--out elsewhere", 2, ("--out",)),
        ("--final", 2, ("--final", "--test-fraction")),
    ],
)
def test_resumed_with_other_settings(flags: str, status: int, words: tuple[str, ...], run: Path, a2: A2) -> None:
    before = contents(run)
    a2("train-cnn", "--resume", "run", "--quiet", *flags.split()).refused(status, *words)
    assert contents(run) == before


@pytest.mark.parametrize("name", ["", "nosuch", "set/ada/0.png", "x" * 5000])
def test_resumed_where_there_is_no_run(name: str, data: Path, a2: A2, tmp_path: Path) -> None:
    a2("train-cnn", "--resume", name, "--quiet").refused(3, "--resume", "not a run's folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


@pytest.mark.parametrize("witness", ["report.json", "checkpoints"])
def test_resumed_on_other_data(witness: str, data: Path, train: A2, a2: A2) -> None:
    run = train("--data", "set", "--out", "run").done()
    shutil.copy(data / "bea/0.png", data / "ada/0.png")
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run: trained on other data (data: fingerprint")
    if witness == "checkpoints":
        (run / "report.json").unlink()
        a2("train-cnn", "--resume", "run", "--quiet").refused(3, "checkpoints: of a run with other settings or data")


# Checkpoints


def flip(path: Path, at: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def newest(run: Path, ending: str) -> Path:
    return sorted(run.glob(f"checkpoints/*.{ending}"))[-1]


CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped weights": (lambda r: flip(newest(r, "safetensors")), "3.safetensors: damaged"),
    "cut weights": (lambda r: os.truncate(newest(r, "safetensors"), 500), "3.safetensors: damaged"),
    "no weights": (lambda r: newest(r, "safetensors").unlink(), "3.safetensors: not there"),
    "flipped state": (lambda r: edit(newest(r, "json"), '"waited": 0', '"waited": 1'), "3.json: damaged"),
    "cut state": (lambda r: os.truncate(newest(r, "json"), 500), "3.json: not a file of a2's"),
    "empty state": (lambda r: os.truncate(newest(r, "json"), 0), "3.json: not a file of a2's"),
    "binary state": (lambda r: newest(r, "json").write_bytes(bytes(range(256))), "3.json: not a file of a2's"),
    "other state": (lambda r: newest(r, "json").write_text("[]"), "not a file of a2's"),
    "deep state": (lambda r: newest(r, "json").write_text("[" * 100_000), "3.json: not a file of a2's"),
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


# Cache

CACHES: dict[str, Callable[[Path], object]] = {
    "flipped pixel": lambda c: flip(c / "images.u8"),
    "cut pixels": lambda c: os.truncate(c / "images.u8", 100),
    "no pixels": lambda c: (c / "images.u8").unlink(),
    "flipped class name": lambda c: edit(c / "index.json", '"bea"', '"bee"'),
    "flipped split": lambda c: edit(c / "index.json", '""]', '"val"]'),
    "cut index": lambda c: os.truncate(c / "index.json", 50),
    "empty index": lambda c: os.truncate(c / "index.json", 0),
    "binary index": lambda c: (c / "index.json").write_bytes(bytes(range(256))),
    "no index": lambda c: (c / "index.json").unlink(),
    "empty": lambda c: [path.unlink() for path in c.iterdir()],
}


@pytest.mark.parametrize("kind", CACHES)
def test_a_damaged_cache_is_packed_anew(kind: str, data: Path, train: A2, tmp_path: Path) -> None:
    first = train("--data", "set").done()
    (entry,) = (tmp_path / "cache/packed").iterdir()
    whole = contents(entry)
    CACHES[kind](entry)
    second = train("--data", "set").done("damaged and are packed anew")
    assert contents(entry) == whole
    assert (first / "model/model.safetensors").read_bytes() == (second / "model/model.safetensors").read_bytes()
    reports = [json.loads((run / "report.json").read_text()) for run in (first, second)]
    assert reports[0]["data"] == reports[1]["data"]
    assert reports[0]["results"] == reports[1]["results"]


@pytest.mark.parametrize("place", ["file", "file/inside", "dangling/inside"])
def test_a_cache_that_cannot_be_written(
    place: str, data: Path, train: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _text(tmp_path / "file")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / place))
    train("--data", "set").refused(3, f"cache {tmp_path / place.split('/')[0]}", "set A2_CACHE_DIR to another folder")
    assert not (tmp_path / "runs").exists()


# Full disks, permissions, other processes


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow larger, as on a full disk; Python ignores the signal, and gets an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("size", [0, 1000, 1920])
def test_a_full_disk_while_packing(size: int, mine: bool, data: Path, train: A2, tmp_path: Path) -> None:
    if mine:
        (tmp_path / "out").mkdir()
    with room_for(size):  # ten images of 8x8 take 1,920 bytes, their index more
        ended = train("--data", "set", "--image-size", "8", "--out", "out")
    if size < 1920:
        ended.refused(3, "cache ", "A2_CACHE_DIR")
        assert list((tmp_path / "cache/packed").iterdir()) == []
    assert (tmp_path / "out").exists() == (mine or ended.status == 0 or (tmp_path / "out/config.yaml").exists())
    if mine and size < 1920:
        assert list((tmp_path / "out").iterdir()) == []


WRITTEN = ["config.yaml", "checkpoints/*.json", "checkpoints/*.safetensors", "model/model.json", "report.json"]


@pytest.mark.parametrize("name", ["", *WRITTEN])
def test_a_full_disk_while_running(name: str, data: Path, train: A2, a2: A2, tmp_path: Path) -> None:
    whole = train("--data", "set", "--epochs", "3").done()
    # Times are written in it, and are not as long in every run.
    varies = 100 if name in {"report.json", "checkpoints/*.json"} else 1
    size = next(whole.glob(name)).stat().st_size - varies if name else 0
    with room_for(size):
        train("--data", "set", "--epochs", "3", "--out", "out").refused(3, "out", "cannot be written")
    out = tmp_path / "out"
    assert not list(tmp_path.rglob(".writing-*"))
    assert out.exists() == (out / "config.yaml").exists() == (size >= (whole / "config.yaml").stat().st_size)
    if out.exists():
        a2("train-cnn", "--resume", "out", "--quiet").done()
        assert (out / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_standard_output_that_is_full() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "a2cli", "presets"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 3
    assert done.stderr.splitlines()[0].startswith("error: output: No space left")
    assert "Traceback" not in done.stderr


@pytest.fixture
def bound(train: A2, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a data set, in which permissions bind this process: it gives up root's rights for the time."""
    folder = Path(tempfile.mkdtemp())
    draw_classes(folder / "set")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("A2_CACHE_DIR", str(folder / "cache"))
    train("--data", "set").done()  # everything is imported, whatever the other user may read
    shutil.rmtree(folder / "runs")
    root = os.geteuid() == 0
    if root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


FORBIDDEN: dict[str, tuple[str, int, str, tuple[str, ...]]] = {
    "image": ("set/ada/0.png", 0, "--data set", ("ada/0.png: Permission denied", "--skip-damaged")),
    "class": ("set/ada", 0, "--data set", ("set/ada", "cannot be read (Permission denied)")),
    "folder in a class": ("set/ada/more", 0, "--data set", ("set/ada/more", "cannot be read (Permission denied)")),
    "data": ("set", 0, "--data set", ("--data set: cannot be read (Permission denied)",)),
    "manifest": ("set.csv", 0, "--data set.csv", ("--data set.csv: cannot be read (Permission denied)",)),
    "arrays": ("set.npz", 0, "--data set.npz", ("set.npz", "Permission denied")),
    "cache": ("cache", 0o500, "--data set --image-size 9", ("cache/packed", "Permission denied", "A2_CACHE_DIR")),
    "place for runs": (".", 0o500, "--data set", ("runs", "cannot make the run's folder (Permission denied)", "--out")),
    "the run": ("mine", 0o500, "--data set --out mine", ("mine/.lock", "cannot be written (Permission denied)")),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_what_permissions_forbid(kind: str, bound: Path, train: A2) -> None:
    name, mode, flags, words = FORBIDDEN[kind]
    (bound / "set/ada/more").mkdir()
    shutil.copy(bound / "set/ada/0.png", bound / "set/ada/more")
    (bound / "mine").mkdir()
    _text(bound / "set.csv", "\n".join(["path,label", *LINES]))
    np.savez(bound / "set.npz", images=IMAGES, labels=LABELS)
    if kind == "cache":
        shutil.rmtree(bound / "cache/packed")
    kept, names = (bound / name).stat().st_mode, sorted(bound.iterdir())
    (bound / name).chmod(mode)
    try:
        train(*flags.split()).refused(3, *words)
    finally:
        (bound / name).chmod(kept)
    assert sorted(bound.iterdir()) == names
    assert list((bound / "mine").iterdir()) == []


def test_permissions_on_presets_and_runs(bound: Path, train: A2, a2: A2) -> None:
    preset = _text(bound / "mine.yaml", "epochs: 3")
    preset.chmod(0)
    a2("train-cnn", "--preset", "mine.yaml", "--dry-run").refused(2, "mine.yaml: cannot be read (Permission denied)")
    run = train("--data", "set", "--out", "run").done()
    edit(run / "report.json", '"done"', '"running"')
    run.chmod(0o500)
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run", "cannot be written (Permission denied)")
    run.chmod(0)
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "--resume run: not a run's folder")
    a2("train-cnn", "--preset", "run/config.yaml", "--dry-run").refused(2, "--preset: no file 'run/config.yaml'")


def test_an_image_that_may_not_be_read_is_left_out_on_request(bound: Path, train: A2) -> None:
    (bound / "set/ada/0.png").chmod(0)
    train("--data", "set", "--skip-damaged").done("1 damaged file left out, as ada/0.png: Permission denied")


def test_two_runs_in_one_folder(data: Path, run: Path, train: A2, a2: A2) -> None:
    with open(run / ".lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        before = contents(run)
        a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run: another process is running in this folder")
        train("--data", "set", "--out", "run").refused(3, "--out run: already there and not empty")
        assert contents(run) == before
    a2("train-cnn", "--resume", "run", "--quiet").done()


def test_a_second_run_does_not_take_the_firsts_lock_away(tmp_path: Path) -> None:
    first, second = (Run.create("train-cnn", str(tmp_path / "mine")) for _ in range(2))  # both found it empty
    with first.locked():
        with pytest.raises(DataError, match="another process is running"), second.locked():
            pass
        second.discard()
        assert (tmp_path / "mine/.lock").exists(), "a third could come in"


def test_a_run_that_cannot_begin_leaves_what_was_there(train: A2, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    train("--data", "nosuch", "--out", "mine").refused(3, "'nosuch'")
    assert list((tmp_path / "mine").iterdir()) == []
    train("--data", "nosuch", "--out", "mine/a/b").refused(3, "'nosuch'")
    assert list((tmp_path / "mine").iterdir()) == []
    train("--data", "nosuch").refused(3, "'nosuch'")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("file", ("--out file", "already there")),
        ("full", ("--out full: already there and not empty", "--resume full")),
        ("file/inside", ("file/inside: cannot make the run's folder",)),
        ("dangling", ("dangling: cannot make the run's folder",)),
        ("x" * 300, ("cannot make the run's folder (File name too long)",)),
        ("", ("--out", "already there")),
    ],
)
def test_out_where_no_run_can_be(out: str, words: tuple[str, ...], data: Path, train: A2, tmp_path: Path) -> None:
    _text(tmp_path / "file")
    _text(tmp_path / "full/notes.txt")
    (tmp_path / "dangling").symlink_to("nowhere")
    train("--data", "set", "--out", out).refused(3, *words)
    assert (tmp_path / "full/notes.txt").read_text() == "nothing"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling", "file", "full", "set"]


# While it trains


def test_divergence(data: Path, train: A2, tmp_path: Path) -> None:
    flags = "--optimizer sgd --learning-rate 1000 --activation elu --hidden 8,8 --batch-size 1 --epochs 9 --out run"
    ended = train("--data", "set", *flags.split())
    ended.refused(4, "training diverged: the loss is ", " of 8 in epoch 1, learning rate 1000", "--learning-rate")
    assert len((tmp_path / "run/metrics.csv").read_text().splitlines()) == 1, "no epoch was finished"
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["status"] == "diverged"
    assert report["results"] is None


def test_too_little_memory(data: Path, train: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("a2cli.models.zoo.ModelCard.build", full)
    train("--data", "set").refused(2, "not enough memory", "--batch-size")


def test_debug_shows_the_traceback(train: A2) -> None:
    with pytest.raises(DataError, match="nosuch"):
        train("--data", "nosuch", "--debug")


def test_the_same_from_outside(data: Path, tmp_path: Path) -> None:
    (data / "ada/0.png").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "a2cli", "train-cnn", *TINY, "--data", "set"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == ("error: --data set: ada/0.png: an empty file; mend or remove it, or use --skip-damaged\n")
    assert nothing_left(tmp_path)

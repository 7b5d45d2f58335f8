"""Folders, manifests, arrays and the cache: one line, the right exit status, nothing half written."""

import errno
import io
import json
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, IMAGES, LABELS, LINES, contents, edit, flip, nothing_left, text_file

from a2cli.user_folders import USED

fcntl = pytest.importorskip("fcntl", reason="these locks, permissions and limits are POSIX's")
NOBODY = 65534


# Folders of images

FOLDERS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "empty class": (lambda p: (p / "cleo").mkdir(), ("set/cleo", "without an image")),
    "class of other files": (lambda p: text_file(p / "cleo" / "notes.txt"), ("set/cleo", "without an image")),
    "one class": (lambda p: shutil.rmtree(p / "bea"), ("set", "at least two classes", "only 'ada'")),
    "no class": (lambda p: [shutil.rmtree(p / name) for name in ("ada", "bea")], ("set", "found none")),
    "case": (lambda p: (p / "ada").rename(p / "BEA"), ("'BEA' and 'bea'", "differ in case only")),
    "one image each": (
        lambda p: [path.unlink() for path in p.glob("*/[1-9].png")],
        ("no image is left", "--val-count"),
    ),
    "class missing in train": (lambda p: _split(p, "train", "ada"), ("class 'ada' of val/ is missing from train/",)),
    "empty split": (lambda p: _split(p, "val", "ada", "bea"), ("set/val", "found none")),
}


def _split(root: Path, part: str, *missing: str) -> None:
    parts = {name: shutil.copytree(root, root.parent / name) for name in ("train", "val")}
    shutil.rmtree(root)
    for name, folder in parts.items():
        shutil.move(folder, root / name)
    for name in missing:
        shutil.rmtree(root / part / name)


def test_a_folder_of_the_classes_folder_is_told_which_one_is_meant(
    data: Path, train: A2, a2: A2, tmp_path: Path
) -> None:
    (tmp_path / "iç bir").mkdir()
    shutil.move(data, tmp_path / "iç bir/veri")
    said = "expected at least two classes, found only 'veri'; did you mean"
    for flags in ([], ["--dry-run"]):
        train("--data", "iç bir", *flags).refused(3, f"{said} --data 'iç bir/veri', which has 2 folders?\n")
    a2("data", "check", "iç bir").refused(3, f"DATA iç bir: {said} 'iç bir/veri', which has 2 folders?\n")
    train("--data", "iç bir/veri").done()


def test_images_without_class_folders_are_counted(data: Path, train: A2) -> None:
    put = "put them into one folder a class, or name them with their classes in a .csv"
    train("--data", "set/ada").refused(3, f"found none; 5 images lie directly in it: {put}\n")
    shutil.copytree(data / "ada", data / "ada/inside")
    train("--data", "set/ada").refused(3, f"found only 'inside'; 5 images lie directly in it: {put}\n")


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
        ("nosuch/folder", ("--data nosuch/folder: does not exist",)),
        ("nosuch.npz", ("--data nosuch.npz: does not exist",)),
        ("ntes.txt", ("--data ntes.txt: does not exist; did you mean 'notes.txt'?",)),
        ("Painting", ("did you mean 'paintings'?",)),
        ("notes.txt", ("notes.txt: expected a folder, a .csv manifest or an .npz file",)),
        ("zipped.zip", ("or an .npz file; unzip it, and name the folder\n",)),
        ("paintings", ("a2 data get paintings",)),
        ("x" * 5000, ("--data xxx",)),
        ("", ("--data", "got nothing")),
    ],
)
def test_data_that_is_not_there(name: str, words: tuple[str, ...], train: A2, tmp_path: Path) -> None:
    text_file(tmp_path / "notes.txt")
    text_file(tmp_path / "zipped.zip")
    train("--data", name).refused(3, *words)
    assert nothing_left(tmp_path)


def test_torchvision_without_a_network(train: A2, a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unplugged)
    folder = tmp_path / "data/torchvision"
    for command in (train, lambda *flags: a2("data", "check", flags[1], "--json")):
        said = f"FashionMNIST: torchvision cannot fetch it into {folder} (no connection: no route to host)\n"
        command("--data", "fashionmnist").refused(3, said)
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
    said = ("20 identical images", "10 of 10 validation images are also", "val_count does not act")
    train("--data", "set", "--val-count", "2").done(*said)


# Manifests and arrays

MANIFESTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "path,label"),
    "header alone": (b"path,label\n", "path,label"),
    "missing column": (b"path,class\nset/ada/0.png,ada\n", "path,label"),
    "not UTF-8": (b"path,label\nset/ada/0.png,ad\xe4\n", "not a CSV file in UTF-8"),
    "no label": (b"path,label\nset/ada/0.png\n", "line 2"),
    "zero byte": (b"path,label\nset/ada\0.png,ada\n", "line 2"),
    "endless field": (b"path,label\n" + b"x" * 200_000 + b",ada\n", "line 2: not a row of a CSV file"),
    "bad split": (
        "\n".join(["path,label,split", LINES[0] + ",train", LINES[5] + ",tset"]).encode(),
        "line 3: expected as split",
    ),
    "misspelt split": (
        "\n".join(["path,label,split", LINES[0] + ",train", LINES[5] + ",validaton"]).encode(),
        "got 'validaton'; did you mean 'validation'?\n",
    ),
    "split here and there": (
        "\n".join(["path,label,split", LINES[0] + ",train", LINES[5] + ","]).encode(),
        "line 3: expected a split in every line or in none, and here it is empty\n",
    ),
    "split twice empty": (
        "\n".join(["path,label,split", LINES[0] + ",train", *(one + "," for one in LINES[5:8])]).encode(),
        "line 3: expected a split in every line or in none, and here it is empty, as 2 more lines have",
    ),
    "no path": ("\n".join(["path,label", *LINES, ",ada"]).encode(), "expected a path and a label, got '', 'ada'\n"),
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


ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "pickled": (
        {"images": IMAGES.astype(object), "labels": LABELS},
        "array images holds Python objects, which could run code and are not read; save images.astype('uint8')\n",
    ),
    "pickled labels": ({"images": IMAGES, "labels": LABELS.astype(object)}, "not read; save labels.astype(str)\n"),
    "pickled names": (
        {"images": IMAGES, "labels": LABELS, "class_names": np.array([{}, 1])},
        "class_names holds Python",
    ),
    "no images": (
        {"labels": LABELS},
        "expected arrays 'images' and 'labels', found 'labels'; write images anew with numpy.savez",
    ),
    "no labels": (
        {"images": IMAGES},
        "found 'images'; write labels anew with numpy.savez(FILE, images=..., labels=...)\n",
    ),
    "labels of real numbers": (
        {"images": IMAGES, "labels": LABELS.astype(float)},
        "whole numbers or names, got (10,) float64; save labels.astype(int) if they are whole numbers\n",
    ),
    "complex": ({"images": IMAGES * 1j, "labels": LABELS}, "complex128"),
    "not numbers": ({"images": IMAGES / 255 * np.nan, "labels": LABELS}, "not finite numbers"),
    "other names": (
        {"x_train": IMAGES, "y_train": LABELS},
        "found 'x_train', 'y_train'; write images and labels anew with numpy.savez(FILE, images=..., labels=...)\n",
    ),
    "channels first": (
        {"images": IMAGES.transpose(0, 3, 1, 2), "labels": LABELS},
        "got (10, 3, 8, 8) uint8; move the channels last: images.transpose(0, 2, 3, 1)\n",
    ),
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
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    train("--data", "set.npz").refused(3, "--data set.npz", "a git-lfs pointer; 'git lfs pull' fetches the file itself")
    path.write_bytes(whole)
    train("--data", "set.npz").done()


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


@pytest.mark.parametrize("name", ["index.json", "index.sha256", "images.u8"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_a_cache_that_cannot_be_read_is_left_as_it_is(
    name: str, code: int, data: Path, train: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first right after packing; then a pack that was used before."""
    opened = io.open

    def failing(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file).endswith(name) and ".unfinished" not in str(file):
            raise OSError(code, os.strerror(code), str(file))
        return opened(file, *arguments, **options)

    for _ in ("packed now", "packed before"):
        with monkeypatch.context() as patch:
            patch.setattr(io, "open", failing)
            patch.setattr("builtins.open", failing)  # numpy's
            train("--data", "set").refused(3, name, os.strerror(code), "set A2_CACHE_DIR to another folder")
        (entry,) = (tmp_path / "cache/packed").iterdir()
        files = [path for path in entry.iterdir() if path.name != USED]
        times = [path.stat().st_mtime_ns for path in files]
        train("--data", "set").done()
        assert [path.stat().st_mtime_ns for path in files] == times, "it was packed anew"


def test_a_pack_is_on_the_disk_before_it_has_its_name(data: Path, train: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file, then its folder, then the rename, then the folder around."""
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(handle: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        calls.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    train("--data", "set").done()
    order = calls[calls.index("images.u8") : calls.index("packed") + 1]
    kinds = [name if name[0] != "." else name.split("-")[0] for name in order]
    assert kinds == ["images.u8", *[".writing", ".unfinished"] * 2, "renamed", "packed"]


@pytest.mark.parametrize("place", ["file", "file/inside", "dangling/inside"])
def test_a_cache_that_cannot_be_written(
    place: str, data: Path, train: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text_file(tmp_path / "file")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / place))
    train("--data", "set").refused(3, f"cache {tmp_path / place.split('/')[0]}", "set A2_CACHE_DIR to another folder")
    assert not (tmp_path / "runs").exists()

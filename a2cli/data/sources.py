"""Where images come from: folders, manifests, arrays, torchvision's data sets, and the built-in sets."""

import csv
import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image

from a2cli.data.decode import decode
from a2cli.data.files import image_files
from a2cli.errors import DataError
from a2cli.text import printable

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
TORCHVISION = ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10", "Flowers102", "OxfordIIITPet")
BUILT_IN = ("atelier", "portraits")
NPZ_BYTES = 16 << 30


@dataclass(frozen=True)
class Items:
    """Labelled images: `image(i)` decodes one, `splits` says train, val or test, or '' where the source does not.

    `image` raises `decode.DamagedImageError`.
    """

    class_names: tuple[str, ...]
    names: Sequence[str]
    labels: Sequence[int]
    splits: Sequence[str]
    image: Callable[[int], Image.Image]


@dataclass(frozen=True)
class Source:
    """A place that images come from: what decides its content (`key`), and how to list its images (`items`)."""

    label: str
    key: str
    items: Callable[[], Items]


def data_folder() -> Path:
    """Return where downloaded data is kept: $A2_DATA_DIR, or the user's data folder."""
    return Path(os.environ.get("A2_DATA_DIR") or platformdirs.user_data_path("a2"))


def find_source(data: str) -> Source:
    """Return the source that `--data` names.

    Raises DataError where there is none, or its layout is not one of labelled images.
    """
    if not data:
        raise DataError("--data: expected a folder, a file or a data set's name, got nothing")
    if data in BUILT_IN:
        return _drawn(data)
    if data == "paintings":
        folder = data_folder() / "paintings"
        if not folder.is_dir():
            raise DataError(f"--data paintings: not there yet; fetch them with 'a2 data get paintings' (into {folder})")
        return _folder(folder)
    by_name = {name.lower(): name for name in TORCHVISION}
    if data.lower() in by_name and not Path(data).exists():
        return _torchvision(by_name[data.lower()])
    path = Path(data)
    try:
        if path.is_dir():
            return _folder(path)
        if path.suffix.lower() == ".csv" and path.is_file():
            return _manifest(path)
        if path.suffix.lower() == ".npz" and path.is_file():
            return _arrays(path)
        if path.exists():
            raise DataError(f"--data {printable(data)}: expected a folder, a .csv manifest or an .npz file")
    except OSError as error:
        raise DataError(f"--data {printable(error.filename or data)}: cannot be read ({error.strerror})") from None
    names = [*BUILT_IN, "paintings", *by_name]
    close = difflib.get_close_matches(data.lower(), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f" (names known: {', '.join(names)})"
    raise DataError(f"--data: no file, folder or data set named {printable(data)!r}{hint}")


# Folders


def _folder(root: Path) -> Source:
    parts = {entry.name: entry.path for entry in _subfolders(root)}
    if "train" in parts and all(name in SPLIT_FOLDERS for name in parts):
        files = [
            (path, label, SPLIT_FOLDERS[part])
            for part, inside in parts.items()
            for path, label in _class_files(Path(inside))
        ]
        _same_classes(root, files)
    else:
        files = [(path, label, "") for path, label in _class_files(root)]
    return _from_files(str(root), root, files)


def _subfolders(root: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(root) as entries:
        return sorted((e for e in entries if e.is_dir() and not e.name.startswith(".")), key=lambda e: e.name)


def _class_files(root: Path) -> Iterator[tuple[str, str]]:
    classes = _subfolders(root)
    if not classes:
        raise DataError(f"--data {printable(str(root))}: expected one sub-folder a class, found none")
    seen: dict[str, str] = {}
    for entry in classes:
        other = seen.setdefault(entry.name.casefold(), entry.name)
        if other != entry.name:
            raise DataError(
                f"--data {printable(str(root))}: class folders {other!r} and {entry.name!r} differ in case only"
            )
        empty = True
        for path in image_files(entry.path):
            empty = False
            yield path, entry.name
        if empty:
            raise DataError(f"--data {printable(entry.path)}: a class folder without an image; fill it or remove it")


def _same_classes(root: Path, files: list[tuple[str, str, str]]) -> None:
    classes: dict[str, set[str]] = {}
    for _, label, split in files:
        classes.setdefault(split, set()).add(label)
    for split, found in classes.items():
        if found != classes["train"]:
            name = printable(sorted(found ^ classes["train"])[0])
            lacks = "train" if name in found else split
            raise DataError(f"--data {printable(str(root))}: class {name!r} is missing from {lacks}/")


def _from_files(label: str, root: Path, files: list[tuple[str, str, str]]) -> Source:
    """Files as (path, class, split); a file's path, size and time stand for its content."""
    classes = sorted({name for _, name, _ in files})
    index = {name: i for i, name in enumerate(classes)}
    lines = [f"{path}\t{name}\t{split}\t{_stamp(path)}" for path, name, split in files]
    paths = [path for path, _, _ in files]
    items = Items(
        class_names=tuple(map(printable, classes)),
        names=[printable(os.path.relpath(path, root)) for path in paths],
        labels=[index[name] for _, name, _ in files],
        splits=[split for _, _, split in files],
        image=lambda i: decode(paths[i]),
    )
    return Source(printable(label), "\n".join([str(root.resolve()), *lines]), lambda: items)


def _stamp(path: str) -> str:
    try:
        stat = Path(path).stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"
    except OSError:
        return "missing"  # a link that leads nowhere; reported as a damaged file when it is decoded


# Manifests and arrays


def _manifest(path: Path) -> Source:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--data {path}: not a CSV file in UTF-8 ({error})") from None
    if not rows or not {"path", "label"} <= set(rows[0]):
        got = f", got {','.join(map(str, rows[0]))[:60]!r}" if rows else ""
        raise DataError(f"--data {path}: expected lines under a header 'path,label' or 'path,label,split'{got}")
    files = []
    for number, row in enumerate(rows, start=2):
        split = (row.get("split") or "").strip().lower()
        path_and_label = row["path"] and row["label"] and "\0" not in row["path"]
        if not path_and_label or (split and split not in SPLIT_FOLDERS):
            raise DataError(
                f"--data {path}, line {number}: expected a path, a label, and as split train, val, test or nothing"
            )
        files.append((str(path.parent / row["path"]), row["label"], SPLIT_FOLDERS.get(split, "")))
    if any(split for *_, split in files):
        if not all(split for *_, split in files) or not any(split == "train" for *_, split in files):
            raise DataError(f"--data {path}: expected a split in every line or in none, and lines for train")
        _same_classes(path, files)
    return _from_files(str(path), path.parent, files)


def _arrays(path: Path) -> Source:
    stat = path.stat()
    return Source(str(path), f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}", lambda: _read_arrays(path))


def _read_arrays(path: Path) -> Items:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > NPZ_BYTES:
                raise DataError(f"--data {path}: holds more than {NPZ_BYTES >> 30} GB")
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = np.asarray(arrays["images"]), np.asarray(arrays["labels"])
            given = list(map(str, np.atleast_1d(arrays["class_names"]))) if "class_names" in arrays else None
    except OSError:
        raise
    except Exception as error:  # zipfile, zlib and numpy's header parser raise whatever they stumble over
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"--data {path}: expected an .npz with arrays 'images' and 'labels' ({reason})") from None
    if given is not None and len(set(given)) < len(given):
        raise DataError(f"--data {path}: class_names has a name twice")
    good_shape = 0 not in images.shape and (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in {1, 3}))
    if images.dtype != np.uint8 or not good_shape:
        raise DataError(
            f"--data {path}: expected images (N, H, W) or (N, H, W, 3) uint8, got {images.shape} {images.dtype}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "iuU":
        raise DataError(
            f"--data {path}: expected {len(images)} labels, numbers or names, got {labels.shape} {labels.dtype}"
        )
    values, numbers = np.unique(labels, return_inverse=True)
    if given is not None and labels.dtype.kind in "iu":
        if values.min() < 0 or values.max() >= len(given):
            raise DataError(
                f"--data {path}: labels reach from {values.min()} to {values.max()}, class_names has {len(given)}"
            )
        return _from_array(images, labels, given)
    return _from_array(images, numbers, [str(value) for value in values])


def _from_array(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str], names: Sequence[str] | None = None
) -> Items:
    return Items(
        class_names=tuple(classes),
        names=names or [f"{i:06d}" for i in range(len(images))],
        labels=[int(label) for label in labels],
        splits=[""] * len(images),
        image=lambda i: Image.fromarray(images[i].squeeze()).convert("RGB"),
    )


# Named sets


def _drawn(name: str) -> Source:
    def items() -> Items:
        from a2cli.data.atelier import draw_atelier
        from a2cli.data.portraits import draw_portraits

        drawn = {"atelier": draw_atelier, "portraits": draw_portraits}[name]()
        return _from_array(drawn.images, drawn.labels, drawn.class_names, drawn.names)

    return Source(name, f"{name} 1", items)


def _torchvision(name: str) -> Source:
    def items() -> Items:
        from torchvision import datasets

        folder, kind = str(data_folder() / "torchvision"), getattr(datasets, name)
        by_flag = name in {"CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST"}
        try:
            train = kind(folder, True, download=True) if by_flag else kind(folder, download=True)
            test = kind(folder, False, download=True) if by_flag else kind(folder, "test", download=True)
        except (OSError, RuntimeError, ImportError) as error:  # some sets need SciPy
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"--data {name}: torchvision cannot fetch it into {folder} ({reason})") from None
        both = [*((train, i) for i in range(len(train))), *((test, i) for i in range(len(test)))]
        labels = [int(part[i][1]) for part, i in both]
        classes = getattr(train, "classes", None) or sorted({str(label) for label in labels}, key=int)
        return Items(
            class_names=tuple(classes),
            names=[f"{'train' if part is train else 'test'}/{i:06d}" for part, i in both],
            labels=labels,
            splits=["train" if part is train else "test" for part, _ in both],
            image=lambda i: both[i][0][both[i][1]][0].convert("RGB"),
        )

    return Source(name, f"torchvision {name}", items)

"""Images and labels in an `.npz` archive. N images, H x W pixels."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a2cli.data.items import Items, items_of
from a2cli.data.listing import (
    SPLIT_WORDS,
    UNDERSTOOD,
    check_class_names,
    check_same_classes,
    listed,
    split_named,
    split_note,
)
from a2cli.data.manifests import split_column
from a2cli.errors import DataError, nearest
from a2cli.formats import counted
from a2cli.text import printable, sent_instead

USED = ("images", "labels", "class_names")
MOST_BYTES = 16 << 30
SMALL_BYTES = 64 << 20  # of a larger array, real images never shrink a hundredfold: zip bombs do
MOST_SHRUNK = 100
Arrays = dict[str, NDArray[Any]]


def read_arrays(path: Path) -> Items:
    """Return the images of an .npz archive; raises DataError where it does not hold labelled images, and OSError."""
    where = f"--data {printable(str(path))}"
    try:
        arrays, others = _read(path, where)
    except (OSError, DataError):
        raise
    except Exception as error:  # zipfile, zlib and numpy's header parser raise whatever they stumble over
        reason = sent_instead(path) or printable(" ".join(str(error).split()))[:120]
        raise DataError(f"{where}: expected an .npz with arrays 'images' and 'labels' ({reason})") from None
    images, labels = arrays.pop("images"), arrays.pop("labels")
    class_names = list(map(str, np.atleast_1d(arrays.pop("class_names")))) if "class_names" in arrays else None
    _check(images, labels, class_names, where)
    split, splits = _splits(arrays, len(images), where)
    values, numbers = np.unique(labels, return_inverse=True)
    if class_names is None or labels.dtype.kind == "U":
        classes = [str(value) for value in values]
    else:
        classes, numbers = class_names, labels
        if values.min() < 0 or values.max() >= len(class_names):
            raise DataError(
                f"{where}: labels reach from {values.min()} to {values.max()}, class_names has {len(class_names)}"
            )
    check_class_names(classes, where, "classes")
    check_same_classes((("", classes[int(k)], part) for k, part in zip(numbers, splits, strict=True)), where)
    unused = [f"array {printable(name)}" for name in (*arrays, *others) if name != split]
    notes = [f"array {printable(split)!r} is read as the split"] if split and split != "split" else []
    notes += split_note(map(_text, arrays[split])) if split else []
    return items_of(images, numbers, [printable(name) for name in classes], splits=splits, unused=unused, notes=notes)


def _read(path: Path, where: str) -> tuple[Arrays, list[str]]:
    """Return the arrays that are used, or may be the split, and the names of the others, which are not read."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    if lacking := [name for name in ("images", "labels") if name not in members]:
        there = listed(members) if members else "none"
        raise DataError(
            f"{where}: expected arrays 'images' and 'labels', found {there}; write {' and '.join(lacking)} "
            "anew with numpy.savez(FILE, images=..., labels=...)"
        )
    wanted = [name for name in members if name in USED or split_column({name: ["train"]}, where, "array")]
    if sum(members[name].file_size for name in wanted) > MOST_BYTES:
        raise DataError(f"{where}: holds more than {MOST_BYTES >> 30} GB")
    for name in wanted:
        large, small = members[name].file_size, members[name].compress_size
        if large > SMALL_BYTES and large > MOST_SHRUNK * small:
            raise DataError(
                f"{where}: array {printable(name)} would grow from {small / 1e6:.1f} to {large / 1e6:,.0f} MB, "
                f"more than {MOST_SHRUNK} times, as no real images do"
            )
    with np.load(path, allow_pickle=False) as archive:
        arrays = {}
        for name in dict.fromkeys(("images", "labels", *wanted)):
            try:
                arrays[name] = np.asarray(archive[name])
            except ValueError as error:
                if "Object arrays" not in str(error):
                    raise
                as_type = "astype(str)" if name == "labels" else "astype('uint8')" if name == "images" else "tolist()"
                raise DataError(
                    f"{where}: array {printable(name)} holds Python objects, which could run code and are not read; "
                    f"save {printable(name)}.{as_type}"
                ) from None
    return arrays, [name for name in members if name not in wanted]


def _check(images: NDArray[Any], labels: NDArray[Any], class_names: list[str] | None, where: str) -> None:
    """Raise DataError for arrays of another shape or type."""
    if class_names is not None and len(set(class_names)) < len(class_names):
        raise DataError(f"{where}: class_names has a name twice")
    good_shape = 0 not in images.shape and (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in {1, 3}))
    if images.dtype.kind not in "uif" or not good_shape:
        raise DataError(
            f"{where}: expected images (N, H, W) or (N, H, W, 3) of whole or real numbers, "
            f"got {images.shape} {images.dtype}{_channels_first(images)}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "iuU":
        whole = "; save labels.astype(int) if they are whole numbers" if labels.dtype.kind in "fb" else ""
        raise DataError(
            f"{where}: expected {counted(len(images), 'label')}, whole numbers or names, got {labels.shape} "
            f"{labels.dtype}{whole}"
        )
    if "" in (class_names or ()) or (labels.dtype.kind == "U" and "" in labels):
        raise DataError(f"{where}: a class without a name; name each")


def _channels_first(images: NDArray[Any]) -> str:
    """Return how to move channels last, where they are the second axis."""
    is_first = images.ndim == 4 and images.shape[1] in {1, 3} and images.dtype.kind in "uif"
    return "; move the channels last: images.transpose(0, 2, 3, 1)" if is_first else ""


def _splits(arrays: Arrays, count: int, where: str) -> tuple[str | None, list[str]]:
    """Return the name of the array that says each image's part of the split, if any, and the parts."""
    texts = {name: [_text(value) for value in values] for name, values in arrays.items() if values.shape == (count,)}
    if "split" in arrays and "split" not in texts:
        raise DataError(f"{where}: expected {counted(count, 'value')} of 'split', got {arrays['split'].shape}")
    split = split_column(texts, where, "array")
    if split is None:
        return None, [""] * count
    parts = {value: split_named(value) or "" for value in dict.fromkeys(texts[split])}
    if wrong := [value for value, part in parts.items() if not part]:
        got = f"got {printable(wrong[0])!r}{nearest(wrong[0], SPLIT_WORDS)}"
        raise DataError(f"{where}: array {split!r}: expected {UNDERSTOOD} for each image, {got}")
    if "train" not in parts.values():
        raise DataError(f"{where}: array {split!r}: no image is for train")
    return split, [parts[value] for value in texts[split]]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

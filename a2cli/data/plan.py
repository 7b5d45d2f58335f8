"""What there is to read in a folder or manifest, for `--dry-run`, and which parts of a split data came with.

Imports nothing heavy.
"""

import json
import zipfile
from collections import Counter
from pathlib import Path

from a2cli.data.folders import list_folder
from a2cli.data.listing import BUILT_IN, MOVED, TORCHVISION, Listing, passed_over_in_words
from a2cli.data.manifests import list_manifest, split_column
from a2cli.errors import DataError, MissingDataError, missing
from a2cli.formats import counted
from a2cli.text import printable

MOST_HEADER = 100 << 20  # bytes, as safetensors has it


def plan_data(data: str | None, features: str | None = None) -> tuple[list[str], frozenset[str] | None, int | None]:
    """Return what `--data` names, line by line, the parts of a split that it came with, and how many are to be split.

    Only folders and manifests, which are listed at once, have lines and a count. The parts are None where only reading
    would tell; with `features` they are that file's. Raises DataError as reading them would.
    """
    data = MOVED.get(data or "", data)
    path = Path(data or "")
    of_file = _of_features(Path(MOVED.get(features, features))) if features else None
    try:
        if data and path.is_dir():
            listing = list_folder(path)
        elif path.suffix.lower() == ".csv" and path.is_file():
            listing = list_manifest(path)
        elif data and (path.suffix or path.name != data) and not path.exists():  # no data set's name
            raise MissingDataError(f"--data {printable(data)}: {missing(data)}", data)
        else:
            return [], of_file if features else _of_others(data or "", path), None
    except OSError as error:
        raise DataError(f"--data {printable(str(error.filename or path))}: cannot be read ({error.strerror})") from None
    parts = Counter(part for *_, part in listing.files)
    to_split = parts[""] + parts["train"]
    return _lines(listing, parts), of_file if features else frozenset(parts) - {""}, None if features else to_split


def _lines(listing: Listing, parts: Counter[str]) -> list[str]:
    split = f" ({', '.join(f'{part} {count}' for part, count in parts.items())})" * ("" not in parts)
    classes = len({label for _, label, _ in listing.files})
    lines = [f"Data: {counted(len(listing.files), 'image')} of {classes} classes{split}"]
    if passed_over := passed_over_in_words(listing.passed_over, all_of_it=True):
        lines.append(f"Passed over: {passed_over}")
    if listing.unused:
        lines.append(f"Not used: {', '.join(listing.unused)}")
    return [*lines, *(f"Note: {note}" for note in listing.notes)]


def _of_others(data: str, path: Path) -> frozenset[str] | None:
    """Return the parts that a set by name has, or an archive without an array that might be the split: none."""
    if path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = [name.removesuffix(".npy") for name in archive.namelist()]
        except (OSError, zipfile.BadZipFile):
            return None
        return None if any(split_column({name: ["train"]}, "", "") for name in arrays) else frozenset()
    if data.lower() in {name.lower() for name in TORCHVISION}:
        return frozenset({"train", "test"})
    return frozenset() if data.lower() in {*BUILT_IN, "paintings"} else None


def _of_features(path: Path) -> frozenset[str] | None:
    """Return the parts of the split that a features file says its images came with."""
    try:
        with path.open("rb") as file:  # by hand, as the safetensors library imports numpy
            size = int.from_bytes(file.read(8), "little")
            about = json.loads(json.loads(file.read(min(size, MOST_HEADER)))["__metadata__"]["a2"])
        return frozenset(map(str, about["splits"])) - {""}
    except (OSError, ValueError, LookupError, TypeError):  # what is wrong with it is said when it is read
        return None

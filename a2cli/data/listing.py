"""The image files of a folder, what is passed over there, and what the names of splits and classes mean.

Imports nothing heavy: `--dry-run` lists folders too.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from a2cli.errors import DataError
from a2cli.text import printable

MOVED: dict[str, str] = {}  # where the data of a resumed run lies now, by what its settings call it
IMAGE_ENDINGS = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".bmp", ".dib", ".gif",
    ".tif", ".tiff", ".webp", ".avif",
}  # fmt: skip
PHOTOS = {
    ".heic", ".heif", ".hif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw",
}  # fmt: skip
SELDOM_IMAGES = {
    ".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".htm", ".ini", ".cfg", ".log",
    ".db", ".py", ".ipynb", ".lnk", ".url", ".sha256", ".md5",
}  # fmt: skip
TOOL_FOLDERS = {
    "__macosx", "__pycache__", "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot",
    "$recycle.bin", "system volume information", "lost+found",
}  # fmt: skip
HIDDEN, NO_ENDING = "(hidden)", "(no ending)"
NO_CLASS, LINKED_AGAIN = "(images outside the class folders)", "(folders linked again)"
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development", "eval", "evaluation"),
                    "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}  # fmt: skip
PLAIN_SPLIT_NAMES = {"train", "val", "valid", "validation", "test"}
BESIDE_SPLIT_WORDS = {"set", "data", "dataset", "split", "part", "subset", "images", "image", "imgs", "img", "samples"}
UNDERSTOOD = "train, val and test (or training, valid, validation, dev, eval, testing, train_set, Test2024, ...)"
SHOWN = 6
BUILT_IN = ("atelier", "portraits")
TORCHVISION = ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10", "Flowers102", "OxfordIIITPet")


@contextmanager
def relocated(moved: Mapping[str, str]) -> Iterator[None]:
    """Read data from elsewhere, by what a run's settings call it: those stay, and so does all that is compared."""
    MOVED.update(moved)
    try:
        yield
    finally:
        MOVED.clear()


@dataclass(frozen=True)
class Listing:
    """Labelled image files, each as (path, class, split), the split '' where there is none.

    `passed_over` counts files by ending, and those in folders of tools by the folder's name with a slash; `unused`
    names columns that were not read; `notes` say what else was decided.
    """

    files: Sequence[tuple[str, str, str]]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    unused: Sequence[str] = ()
    notes: Sequence[str] = ()


# Files


def ending_of(name: str) -> str:
    """Return the end of a file's name from its last dot on, in lower case."""
    stem, _, ending = name.rpartition(".")
    return f".{ending.lower()}" * bool(stem)


def is_image(name: str) -> bool:
    """Return whether a file of this name is read as an image."""
    return ending_of(name) in IMAGE_ENDINGS and not name.startswith(".")


def is_for_tools(folder: str) -> bool:
    """Return whether a folder of this name belongs to a tool or the system, and holds none of the user's images."""
    return folder.startswith(".") or folder.casefold() in TOOL_FOLDERS


class Walk:  # os.walk would miss links to folders, or follow one that leads back up for ever
    """Goes through folders, links to folders too, each real folder once, and counts what it passes over."""

    def __init__(self) -> None:
        self.passed_over: Counter[str] = Counter()
        self._places: dict[tuple[int, int], tuple[str, str]] = {}

    def enter(self, folder: str, place: str = "") -> bool:
        """Return whether a real folder is new; `place` is the class, with its part of a split, that it is read for.

        Raises DataError where it was read for another class or part, and OSError.
        """
        stat = Path(folder).stat()
        if not stat.st_ino:  # a file system without such numbers
            return True
        first, first_place = self._places.setdefault((stat.st_dev, stat.st_ino), (folder, place))
        if first == folder:
            return True
        if place and first_place and first_place != place:
            raise DataError(
                f"--data {printable(folder)}: is the folder {printable(first)} again, which is read as "
                f"{printable(first_place)!r}; an image has one class and one part: remove the link"
            )
        self.passed_over[LINKED_AGAIN] += 1
        return False

    def subfolders(self, root: str) -> dict[str, str]:
        """Return the paths of the folders in a folder of folders by name, without those of tools; raises OSError."""
        files, folders = self._entries(root)
        for name in files:
            self._pass_over(name, NO_CLASS)
        return {entry.name: entry.path for entry in folders}

    def images(self, root: str, place: str = "") -> Iterator[str]:
        """Yield the paths of the image files in a folder and in those inside it, in order; raises as `enter` does."""
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            if not self.enter(folder, place):
                continue
            files, folders = self._entries(folder)
            for name in files:
                if is_image(name):
                    yield f"{folder}/{name}"
                else:
                    self._pass_over(name)
            waiting += [f"{folder}/{entry.name}" for entry in reversed(folders)]

    def _pass_over(self, name: str, image: str = "") -> None:
        ending = printable(ending_of(name)) or NO_ENDING
        self.passed_over[HIDDEN if name.startswith(".") else image if is_image(name) else ending] += 1

    def _entries(self, folder: str) -> tuple[list[str], list["os.DirEntry[str]"]]:
        files, folders = [], []
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.is_dir():
                    files.append(entry.name)
                elif not is_for_tools(entry.name):
                    folders.append(entry)
                elif count := sum(is_image(name) for *_, names in os.walk(entry.path) for name in names):
                    self.passed_over[f"{printable(entry.name)}/"] += count
        return files, folders


def passed_over_in_words(passed_over: Mapping[str, int], *, all_of_it: bool = False) -> str:
    """Return what was passed over in words, what to do with it included, or nothing.

    Without `all_of_it` only what might have been meant to be read.
    """
    counts = []
    for name, count in sorted(passed_over.items()):
        if name.endswith("/"):
            counts.append(f"{count} image{'s' * (count > 1)} in {name}")
        elif name in PHOTOS:
            counts.append(f"{count} {name} (convert to .jpg or .png to use)")
        elif all_of_it or name not in {*SELDOM_IMAGES, HIDDEN}:
            counts.append(f"{count} {name}")
    return ", ".join(counts)


# Names


def split_named(name: str) -> str | None:
    """Return the part of a split, train, val or test, that a folder's name or a column's value means, or None."""
    words = [word for word in re.split(r"[^a-z]+", name.casefold()) if word not in {*BESIDE_SPLIT_WORDS, ""}]
    if len(words) != 1:
        return None
    (word,) = words
    ends = ["", *(end for end in BESIDE_SPLIT_WORDS if word.endswith(end))]
    return next((SPLIT_WORDS[stem] for end in ends if (stem := word.removesuffix(end)) in SPLIT_WORDS), None)


def split_note(names: Iterable[str]) -> list[str]:
    """Return how names of a split's parts are understood, where they are not the plain ones."""
    parts = {name: split_named(name) for name in dict.fromkeys(names) if name}
    if parts.keys() <= PLAIN_SPLIT_NAMES:
        return []
    return [f"the split: {', '.join(f'{printable(name)!r} is read as {part}' for name, part in parts.items())}"]


def listed(names: Iterable[str]) -> str:
    """Return names in quotes, the first few of many."""
    shown = [repr(printable(name)) for name in names]
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")


def check_class_names(names: Iterable[str], where: str, what: str) -> None:
    """Raise DataError for two names that differ only in case, blanks, or how Unicode writes them, or print alike."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        others = [seen.setdefault(_bare(shown), name) for shown in (name, printable(name))]
        if other := next((other for other in others if other != name), None):
            raise DataError(
                f"{where}: {what} {printable(other)!r} and {printable(name)!r} {_difference(other, name)}; "
                "give one class one name"
            )


def _bare(name: str) -> str:
    return "".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())


def _difference(first: str, second: str) -> str:
    same_in: dict[str, Callable[[str], str]] = {
        "print alike, as one has a character that cannot be printed": printable,
        "differ only in how Unicode writes their accents (NFC, NFD)": partial(unicodedata.normalize, "NFC"),
        "differ in case only": str.casefold,
        "differ in blanks only": lambda name: "".join(name.split()),
    }
    alike = (words for words, form in same_in.items() if form(first) == form(second))
    return next(alike, "differ in case, blanks or Unicode's form only")


def check_same_classes(files: Iterable[tuple[str, str, str]], where: str) -> None:
    """Raise DataError where a part of the split has a class that training lacks; the opposite is warned of later."""
    classes: dict[str, set[str]] = defaultdict(set)
    for _, label, split in files:
        classes[split].add(label)
    for split, labels in list(classes.items()):
        if split and (unknown := sorted(labels - classes["train"])):
            raise DataError(f"{where}: class {printable(unknown[0])!r} of {split}/ is missing from train/")

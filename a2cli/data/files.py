"""Image files: those of a folder, and those that are named, one by one, by folder, by pattern or on standard input."""

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from a2cli.data.decode import DamagedImageError
from a2cli.results.predictions import Broken
from a2cli.text import printable

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
# How files of decode.FORMATS begin; stricter than Pillow, to whom paths such as P1010001.JPG and BMW.png begin so too.
BEGINNING = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8|II[*+]\0|MM\0[*+]|RIFF.{4}WEBP|BM[^\n]{0,16}?\0|P[1-6fF]\s+[#\d]", re.DOTALL
)
PATTERN = re.compile(r"[*?\[]")


def image_files(root: str) -> Iterator[str]:
    """Yield the paths of the image files in a folder and in those inside it, in order.

    Raises OSError for a folder that may not be read.
    """
    for folder, inner, names in os.walk(root, onerror=_raise):
        inner.sort()
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_ENDINGS:
                yield f"{folder}/{name}"


def _raise(error: OSError) -> None:
    raise error  # a folder that may not be read; os.walk would pass it over


# Images that are named


@dataclass(frozen=True)
class NamedImage:
    """An image by its path, or its content where it came on standard input, and its name as it can be printed."""

    name: str
    file: str | bytes


def find_images(words: Sequence[str]) -> tuple[list[NamedImage], list[Broken]]:
    """Return the images that the words name, in their order, and the words that name none, with the reason.

    A word is a file, a folder (its image files), a pattern (the image files it matches, `**` through folders), or `-`:
    standard input, which is an image, or the names of files and folders, one a line.
    """
    found: list[NamedImage] = []
    broken: list[Broken] = []
    for word in words:
        names = [word]
        if word == "-":
            content = sys.stdin.buffer.read() if sys.stdin else b""
            if BEGINNING.match(content):
                found.append(NamedImage("-", content))
                continue
            names = [os.fsdecode(line) for line in content.replace(b"\r\n", b"\n").split(b"\n") if line.strip()]
            broken += [Broken("-", "nothing came in on standard input")] * (not names)
        for name in names:
            try:
                found += [NamedImage(printable(path), path) for path in _files(name, pattern=word != "-")]
            except (DamagedImageError, OSError) as error:
                broken.append(Broken(printable(name), getattr(error, "strerror", None) or str(error)))
    return found, broken


def _files(name: str, *, pattern: bool) -> list[str]:
    """Return the files that a name stands for; raises DamagedImageError where it stands for none, and OSError."""
    path = Path(name)
    if path.is_dir():
        files, reason = _inside(path), "a folder without an image"
    elif path.exists() or path.is_symlink():  # whatever its name looks like
        files, reason = [name], ""
    elif pattern and PATTERN.search(name):
        files, reason = _matches(name), "no image matches this pattern"
    else:
        files, reason = [], "no such file"
    if not files:
        raise DamagedImageError(reason)
    return files


def _inside(folder: Path) -> list[str]:
    """Return a folder's image files but for those in hidden folders, as patterns pass those over too."""
    root = str(folder)
    return [path for path in image_files(root) if "/." not in path[len(root) :]]


def _matches(pattern: str) -> list[str]:
    files: set[str] = set()
    for match in glob.glob(pattern, recursive=True):  # noqa: PTH207 (Path.glob takes no absolute pattern)
        if Path(match).is_dir():
            files.update(_inside(Path(match)))
        elif Path(match).suffix.lower() in IMAGE_ENDINGS:
            files.add(match)
    return sorted(files)

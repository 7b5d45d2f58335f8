"""Image files that are named, one by one, by folder, by pattern or on standard input."""

import codecs
import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from a2cli.data.decode import DamagedImageError
from a2cli.data.listing import IMAGE_ENDINGS, Walk, ending_of, is_for_tools, is_image, passed_over_in_words
from a2cli.errors import missing
from a2cli.reports.predictions import Broken
from a2cli.text import printable

MOST_INPUT = 256 << 20  # bytes of standard input
# How files of decode.FORMATS begin; stricter than Pillow, to whom paths such as P1010001.JPG and BMW.png begin so too.
BEGINNING = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8|II[*+]\0|MM\0[*+]|RIFF.{4}WEBP|BM[^\n]{0,16}?\0|P[1-6fF]\s+[#\d]|\0\0\0.ftyp",
    re.DOTALL,
)
PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class NamedImage:
    """An image by its path, or its content where it came on standard input, and its name as it can be printed."""

    name: str
    file: str | bytes


def find_images(words: Sequence[str]) -> tuple[list[NamedImage], list[Broken], list[str]]:
    """Return the images that words name, in their order, the words that name none, and notes of what is passed over.

    A word is a file, a folder (its image files), a pattern (the image files it matches, `**` through folders), or `-`:
    standard input, which is an image, or the names of files and folders, one a line.
    """
    images: list[NamedImage] = []
    broken: list[Broken] = []
    passed_over = Counter[str]()
    for word in words:
        names = [word]
        if word == "-":
            content = sys.stdin.buffer.read(MOST_INPUT + 1) if sys.stdin else b""
            if len(content) > MOST_INPUT:
                broken.append(Broken("-", f"more than {MOST_INPUT >> 20} MB on standard input"))
                continue
            if BEGINNING.match(content):
                images.append(NamedImage("-", content))
                continue
            names = list(_lines(content))
            broken += [Broken("-", "nothing came in on standard input")] * (not names)
            if any("\0" in name for name in names):
                broken.append(Broken("-", "zero bytes on standard input; expected an image, or names, one a line"))
                continue
        for name in names:
            try:
                files = _files(name, passed_over, pattern=word != "-")
                images += [NamedImage(printable(path), path) for path in files]
            except (DamagedImageError, OSError) as error:
                broken.append(Broken(printable(name), getattr(error, "strerror", None) or str(error)))
    others = passed_over_in_words(passed_over)
    return images, broken, [f"passed over in folders: {others}"] * bool(others)


def _lines(content: bytes) -> Iterator[str]:
    """Yield the names in a list, without the byte-order mark that Windows' programs put before it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
    content = content.removeprefix(codecs.BOM_UTF8)
    return (os.fsdecode(line) for line in content.replace(b"\r\n", b"\n").split(b"\n") if line.strip())


def _files(name: str, passed_over: Counter[str], *, pattern: bool) -> list[str]:
    """Return the files that a name stands for; raises DamagedImageError where it stands for none, and OSError."""
    path, before = Path(name), passed_over.copy()
    if path.is_dir():
        files, reason = _inside(path, passed_over), "a folder without an image"
    elif path.exists() or path.is_symlink():  # whatever its name looks like
        files, reason = [name], ""
    elif pattern and PATTERN.search(name):
        files, reason = _matches(name, passed_over), "no image matches this pattern"
    else:
        files, reason = [], missing(name)
    if not files:
        others = passed_over_in_words(passed_over - before, all_of_it=True)
        raise DamagedImageError(f"{reason}{f' (passed over: {others})' * bool(others)}")
    return files


def _inside(folder: Path, passed_over: Counter[str]) -> list[str]:
    walk = Walk()
    files = list(walk.images(str(folder)))
    passed_over += walk.passed_over
    return files


def _matches(pattern: str, passed_over: Counter[str]) -> list[str]:
    begin, rest = _literal_begin(pattern)
    for ending in (rest, rest.replace("[", "[[]")):  # where it matches nothing, a [ stands for itself
        matches = glob.glob(glob.escape(begin) + ending, recursive=True)  # noqa: PTH207 (it takes no absolute pattern)
        if matches:
            break
    files: set[str] = set()
    walked: tuple[str, ...] = ()
    for match in sorted(matches):  # a folder before what is in it
        below = Path(match[len(begin) :]).parts
        if match.startswith(walked):
            continue
        if folder := next((part for part in below if is_for_tools(part) and part not in rest), None):
            passed_over[f"{printable(folder)}/"] += is_image(below[-1])
        elif Path(match).is_dir():
            files.update(_inside(Path(match), passed_over))
            walked += (match.rstrip("/") + "/",)
        elif ending_of(match) in IMAGE_ENDINGS:
            files.add(match)
    return sorted(files)


def _literal_begin(pattern: str) -> tuple[str, str]:
    """Return the longest beginning of a pattern that is a folder, whatever its name looks like, and the rest."""
    end = pattern.rfind("/")
    while end >= 0 and not Path(pattern[: end + 1]).is_dir():
        end = pattern.rfind("/", 0, end)
    return pattern[: end + 1], pattern[end + 1 :]

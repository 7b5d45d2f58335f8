"""CSV manifests: a line for each image with its path, its class and, if there is one, its part of the split.

Imports nothing heavy: `--dry-run` reads manifests too.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.data.listing import (
    SPLIT_WORDS,
    UNDERSTOOD,
    Listing,
    check_class_names,
    check_same_classes,
    listed,
    split_named,
    split_note,
)
from a2cli.errors import DataError, nearest
from a2cli.formats import counted
from a2cli.text import printable

if TYPE_CHECKING:
    import _csv

NEARLY_SPLIT = {"set", "subset", "partition", "phase", "fold", "dataset", "part", "splits", "usage"}
SURELY_NEARLY = {"fold", "subset", "partition", "splits"}  # whatever they hold


@dataclass(frozen=True)
class Line:
    """A line of a manifest, by its number in the file and its values by column."""

    number: int
    values: Mapping[str, str]


def list_manifest(path: Path) -> Listing:
    """Return the labelled images that a CSV file lists; raises DataError, with the line, for what is not strictly one.

    Paths are relative to the file's folder.
    """
    where = f"--data {printable(str(path))}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            columns, lines = _lines(file, where)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not a CSV file in UTF-8 ({error})") from None
    notes, split = [], split_column({name: [line.values[name] for line in lines] for name in columns}, where, "column")
    if split and split != "split":
        notes = [f"column {printable(split)!r} is read as the split"]
    parts = {said: split_named(said) if said else "" for line in lines if split for said in [line.values[split]]}
    files, first = [], dict[str, tuple[int, str]]()
    for line in lines:
        at, image, label = f"{where}, line {line.number}", line.values["path"], line.values["label"]
        part = parts[line.values[split]] if split else ""
        if not image or not label or "\0" in image:
            raise DataError(f"{at}: expected a path and a label, got {listed([image, label])}")
        if part is None:
            said = line.values[split or ""]
            raise DataError(
                f"{at}: expected as split {UNDERSTOOD}, got {printable(said)!r}{nearest(said, SPLIT_WORDS)}"
            )
        real = os.path.normpath(path.parent / image)
        other, other_label = first.setdefault(real, (line.number, label))
        if other != line.number:
            contrary = f", as {printable(label)!r} here and {printable(other_label)!r} there" * (label != other_label)
            raise DataError(f"{at}: {printable(image)} is in line {other} already{contrary}; name each image once")
        files.append((str(path.parent / image), label, part))
    notes += split_note(parts)
    given = {part for *_, part in files}
    if given != {""} and "" in given:
        some = [line for line, (*_, part) in zip(lines, files, strict=True) if not part]
        more = f", as {counted(len(some) - 1, 'more line')} {'have' if len(some) > 2 else 'has'}" * (len(some) > 1)
        raise DataError(
            f"{where}, line {some[0].number}: expected a split in every line or in none, and here it is empty{more}"
        )
    if given != {""} and "train" not in given:
        raise DataError(f"{where}: expected lines for train, got {listed(parts)} alone")
    check_class_names({label for _, label, _ in files}, where, "labels")
    if given != {""}:
        check_same_classes(files, where)
    unused = [f"column {name}" for name in columns if name not in {"path", "label", split}]
    return Listing(files, unused=unused, notes=notes)


def _lines(file: Iterator[str], where: str) -> tuple[list[str], list[Line]]:
    """Return the columns, path, label and split by these names, and the lines; raises DataError."""
    reader = csv.reader(file, strict=True)
    rows, lines = _rows(reader, where), list[Line]()
    _, header = next(rows, (0, []))
    columns = [_column(name) for name in header]
    if not {"path", "label"} <= {*columns}:
        got = f", got {','.join(map(printable, header))[:60]!r}" if header else ""
        raise DataError(f"{where}: expected lines under a header 'path,label' or 'path,label,split'{got}")
    if twice := [name for i, name in enumerate(columns) if name in columns[:i]]:
        raise DataError(f"{where}: two columns are named {printable(twice[0])!r}; name each once")
    for number, row in rows:
        at = f"{where}, line {number}"
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(f"{at}: expected {counted(len(header), 'value')}, as in the header, got {len(row)}")
        for name, value in zip(columns, row, strict=True):
            if "\n" in value or "\r" in value:
                raise DataError(f"{at}: {printable(name)} has a line break in quotes; put each image on one line")
            if value != value.strip() and name in {"path", "label", "split"}:
                raise DataError(f"{at}: blanks around {printable(name)} {printable(value)!r}; remove them")
        lines.append(Line(number, dict(zip(columns, row, strict=True))))
    if not lines:
        raise DataError(f"{where}: expected lines under the header 'path,label', got none")
    return columns, lines


def _rows(reader: "_csv.Reader", where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line in which each row begins, and the row; raises DataError."""
    end = 0
    try:
        for row in reader:
            yield end + 1, row
            end = reader.line_num  # a row begins behind the last one's end, whatever it has in quotes
    except csv.Error as error:
        raise DataError(f"{where}, line {end + 1}: not a row of a CSV file ({error})") from None


def _column(name: str) -> str:
    """Return a column's name, and of path, label and split the usual way to write it."""
    usual = name.strip().casefold()
    return usual if usual in {"path", "label", "split"} else name


def split_column(columns: Mapping[str, Sequence[str]], where: str, kind: str) -> str | None:
    """Return the column, or array, that says each image's part of the split: 'split', or one nearly named so.

    Raises DataError for two of them, and for one nearly named so that holds no parts, where its name leaves no doubt.
    """
    near = [name for name in columns if name == "split" or name.strip().casefold() in {"split", *NEARLY_SPLIT}]
    parts = {name for name in near if any(columns[name]) and all(map(split_named, {*columns[name]} - {""}))}
    good = [name for name in near if name == "split" or name in parts]
    for name in near:
        if name not in good and name.strip().casefold() in {"split", *SURELY_NEARLY}:
            some = listed(dict.fromkeys(columns[name]))
            raise DataError(
                f"{where}: {kind} {printable(name)!r} looks like a split but holds {some}; expected 'split' with "
                f"{UNDERSTOOD}; rename or remove it (--folds makes folds of its own)"
            )
    if len(good) > 1:
        raise DataError(f"{where}: {kind}s {listed(good)} all look like the split; keep one, named 'split'")
    return good[0] if good else None

"""CSV manifests: a line for each image with its path, its class and, if there is one, its part of the split.

Imports nothing heavy: `--dry-run` reads manifests too.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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

NEARLY_SPLIT = {"set", "subset", "partition", "phase", "fold", "dataset", "part", "splits", "usage"}
SURELY_NEARLY = {"fold", "subset", "partition", "splits"}  # whatever they hold


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
    split = split_column({name: [line[name] for line in lines.values()] for name in columns}, where, "column")
    notes = [f"column {printable(split)!r} is read as the split"] if split and split != "split" else []
    values = dict.fromkeys(line[split] for line in lines.values()) if split else {}
    parts = {value: split_named(value) if value else "" for value in values}
    files, lines_of = [], dict[str, tuple[int, str]]()
    for number, line in lines.items():
        at, image, label = f"{where}, line {number}", line["path"], line["label"]
        value = line[split] if split else ""
        part = parts.get(value, "")
        if not image or not label or "\0" in image:
            raise DataError(f"{at}: expected a path and a label, got {listed([image, label])}")
        if part is None:
            raise DataError(
                f"{at}: expected as split {UNDERSTOOD}, got {printable(value)!r}{nearest(value, SPLIT_WORDS)}"
            )
        first, first_label = lines_of.setdefault(os.path.normpath(path.parent / image), (number, label))
        if first != number:
            contrary = f", as {printable(label)!r} here and {printable(first_label)!r} there" * (label != first_label)
            raise DataError(f"{at}: {printable(image)} is in line {first} already{contrary}; name each image once")
        files.append((str(path.parent / image), label, part))
    if any(parts.values()):
        if without := [number for number, (*_, part) in zip(lines, files, strict=True) if not part]:
            more = counted(len(without) - 1, "more line") + (" have" if len(without) > 2 else " has")
            raise DataError(
                f"{where}, line {without[0]}: expected a split in every line or in none, and here it is empty"
                f"{f', as {more}' * (len(without) > 1)}"
            )
        if "train" not in parts.values():
            raise DataError(f"{where}: expected lines for train, got {listed(parts)} alone")
    check_class_names({label for _, label, _ in files}, where, "labels")
    check_same_classes(files, where)
    notes += split_note(parts)
    unused = [f"column {name}" for name in columns if name not in {"path", "label", split}]
    return Listing(files, unused=unused, notes=notes)


def _lines(file: Iterator[str], where: str) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Return the columns, and by the number of the line in which each row begins its values; raises DataError.

    The columns path, label and split have these names, in whatever case the file has them.
    """
    rows, lines = _rows(file, where), dict[int, dict[str, str]]()
    _, header = next(rows, (0, []))
    usual = {name: name.strip().casefold() for name in header}
    columns = [usual[name] if usual[name] in {"path", "label", "split"} else name for name in header]
    if not {"path", "label"} <= {*columns}:
        got = f", got {','.join(map(printable, header))[:60]!r}" if header else ""
        raise DataError(f"{where}: expected lines under a header 'path,label' or 'path,label,split'{got}")
    if repeated := [name for i, name in enumerate(columns) if name in columns[:i]]:
        raise DataError(f"{where}: two columns are named {printable(repeated[0])!r}; name each once")
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
        lines[number] = dict(zip(columns, row, strict=True))
    if not lines:
        raise DataError(f"{where}: expected lines under the header 'path,label', got none")
    return columns, lines


def _rows(file: Iterator[str], where: str) -> Iterator[tuple[int, list[str]]]:
    reader, end = csv.reader(file, strict=True), 0
    try:
        for row in reader:
            yield end + 1, row
            end = reader.line_num  # a row begins behind the last one's end, whatever it has in quotes
    except csv.Error as error:
        raise DataError(f"{where}, line {end + 1}: not a row of a CSV file ({error})") from None


def split_column(columns: Mapping[str, Sequence[str]], where: str, kind: str) -> str | None:
    """Return the column, or array, that says each image's part of the split: 'split', or one nearly named so.

    Raises DataError for two of them, and for one nearly named so that holds no parts, where its name leaves no doubt.
    """
    near = [name for name in columns if name == "split" or name.strip().casefold() in {"split", *NEARLY_SPLIT}]
    parts = {name for name in near if any(columns[name]) and all(map(split_named, {*columns[name]} - {""}))}
    good = [name for name in near if name == "split" or name in parts]
    for name in near:
        if name not in good and name.strip().casefold() in {"split", *SURELY_NEARLY}:
            values = listed(dict.fromkeys(columns[name]))
            raise DataError(
                f"{where}: {kind} {printable(name)!r} looks like a split but holds {values}; expected 'split' with "
                f"{UNDERSTOOD}; rename or remove it (--folds makes folds of its own)"
            )
    if len(good) > 1:
        raise DataError(f"{where}: {kind}s {listed(good)} all look like the split; keep one, named 'split'")
    return good[0] if good else None

"""Where two accounts of the same numbers differ: the path to each, what is stated, and what it has to be."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from math import isclose, isfinite
from pathlib import Path
from typing import Any

from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.storage import read_json
from a2cli.versions import VERSION_KEY, upgraded

WHAT_TO_DO = "one of them was edited or damaged: put back the files as they were, or begin a new run"
Row = tuple[str, object, object, str]  # a field, what is stated there, what it has to be, and by what
OTHER = object()  # in place of the two values: they differ, and neither is for people to read


@dataclass(frozen=True)
class Difference:
    """A number or word in a file of a run, and what it has to be by others."""

    file: Path
    field: str
    stated: object
    derived: object
    by: str

    def __str__(self) -> str:
        if self.stated is OTHER:
            return f"{self.file}: {self.field} is not as in {self.by}"
        stated, derived = shown(self.stated), shown(self.derived)
        if stated == derived:
            return f"{self.file}: {self.field} is not what it is by {self.by}"
        return f"{self.file}: {self.field} is {stated}, but {derived} by {self.by}"


def refuse(differences: Sequence[Difference]) -> None:
    """Raise DataError where anything differs, in one line that names the first."""
    if differences:
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise DataError(f"{differences[0]}{more}; {WHAT_TO_DO}")


def compare(file: Path, rows: Iterable[Row]) -> Iterator[Difference]:
    """Yield the rows, or what is inside them, whose two values differ."""
    for field, stated, derived, by in rows:
        for difference in _unequal(field, stated, derived):
            yield Difference(file, *difference, by)


def _unequal(path: str, stated: Any, derived: Any) -> Iterator[tuple[str, object, object]]:
    if is_dataclass(stated) and type(stated) is type(derived):
        for item in fields(stated):
            yield from _unequal(f"{path}.{item.name}", getattr(stated, item.name), getattr(derived, item.name))
    elif isinstance(stated, dict) and isinstance(derived, dict) and stated.keys() <= derived.keys():
        for key, value in stated.items():  # of an earlier version, it may have fewer fields
            yield from _unequal(f"{path}.{key}".removeprefix("."), value, derived[key])
    elif isinstance(stated, list | tuple) and isinstance(derived, list | tuple) and len(stated) == len(derived):
        for i, pair in enumerate(zip(stated, derived, strict=True)):
            yield from _unequal(f"{path}[{i}]", *pair)
    elif isinstance(stated, float) and isinstance(derived, float):
        # Sums in another order, and another version's scipy, differ in the last bits. JSON has null for nan and inf.
        if not isclose(stated, derived, rel_tol=1e-9, abs_tol=1e-12) and (isfinite(stated) or isfinite(derived)):
            yield path, stated, derived
    elif stated != derived:
        yield path, stated, derived


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a value and all values inside it, with the path to each; what is in dictionaries is left out."""
    yield path, value
    if is_dataclass(value):
        for item in fields(value):
            yield from walk(getattr(value, item.name), f"{path}.{item.name}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from walk(inner, f"{path}[{i}]")


def as_stored(file: Path) -> dict[str, Any]:
    """Return a report as its file has it, so that fields which its version lacked are not there."""
    return upgraded("report", read_json(file), file)


def has_rounding(file: Path) -> bool:
    """Return whether the intervals over seeds in a report have the variance of rounding, as from version 5 on."""
    return bool(read_json(file).get(VERSION_KEY, 1) >= 5)


def numbers(text: str) -> list[str]:
    """Return the numbers in a text."""
    return re.findall(r"\d+(?:\.\d+)?", text)


def shown(value: object) -> str:
    """Return a value on one line, shortened."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, list | dict):
        return counted(len(value), "value") if len(text) > 60 else text
    return f"{text[:57]}..." if len(text) > 60 else text

"""Where two accounts of the same numbers differ: the path to each, what is stated, and what it has to be."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from math import isclose, isfinite
from pathlib import Path
from typing import Any

from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.reports.training_results import Accuracy

WHAT_TO_DO = "one of them was edited or damaged: put back the files as they were, or begin a new run"


@dataclass(frozen=True)
class Difference:
    """A number or word in a file of a run, and what it has to be by others."""

    file: Path
    field: str
    stated: object
    derived: object
    by: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field} is {shown(self.stated)}, but {shown(self.derived)} by {self.by}"


def refuse(found: Sequence[Difference]) -> None:
    """Raise DataError where anything differs, in one line that names the first."""
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise DataError(f"{found[0]}{more}; {WHAT_TO_DO}")


def accuracies(value: Any, where: str) -> Iterator[tuple[str, Accuracy]]:
    """Yield all accuracies in a dataclass, with the path to each."""
    if isinstance(value, Accuracy):
        yield where, value
    elif is_dataclass(value):
        for item in fields(value):
            yield from accuracies(getattr(value, item.name), f"{where}.{item.name}")
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from accuracies(one, f"{where}[{i}]")


def unlike(stated: Any, derived: Any, where: str) -> Iterator[tuple[str, object, object]]:
    """Yield the path of all that differs, as it is and as it has to be; numbers may differ in the last bits."""
    if is_dataclass(stated) and type(stated) is type(derived):
        for item in fields(stated):
            yield from unlike(getattr(stated, item.name), getattr(derived, item.name), f"{where}.{item.name}")
    elif isinstance(stated, dict) and isinstance(derived, dict) and stated.keys() <= derived.keys():
        for key, value in stated.items():  # of an earlier version, it may have fewer fields
            yield from unlike(value, derived[key], f"{where}.{key}")
    elif isinstance(stated, list | tuple) and isinstance(derived, list | tuple) and len(stated) == len(derived):
        for i, (one, other) in enumerate(zip(stated, derived, strict=True)):
            yield from unlike(one, other, f"{where}[{i}]")
    elif isinstance(stated, float) and isinstance(derived, float):
        if not isclose(stated, derived, rel_tol=1e-9, abs_tol=1e-12) and (isfinite(stated) or isfinite(derived)):
            yield where, stated, derived
    elif stated != derived:
        yield where, stated, derived


def floats(value: Any) -> Iterator[float]:
    """Yield all numbers that are not whole in a dataclass."""
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from floats(getattr(value, item.name))
    elif isinstance(value, list):
        for one in value:
            yield from floats(one)
    elif isinstance(value, float):
        yield value


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

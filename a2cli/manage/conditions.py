"""The conditions of `a2 runs --where`, such as `val>0.6 and optimizer=adam`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from a2cli.commands import COMMANDS
from a2cli.errors import SettingsError, nearest
from a2cli.formats import bytes_of, seconds_of
from a2cli.manage.summaries import RunSummary
from a2cli.reports.report import Report
from a2cli.settings.declare import shown
from a2cli.settings.flag_names import UNDERSTOOD, hyphenated

# What a condition may name besides settings: the attribute of a run's summary, and how a value is written.
NAMES: Mapping[str, tuple[str, Callable[[str], float | None] | None]] = {
    "folder": ("folder", None),
    "command": ("command", None),
    "status": ("status", None),
    "data": ("data", None),
    "val": ("accuracy", None),
    "accuracy": ("accuracy", None),
    "test": ("test", None),
    "seeds": ("seeds", None),
    "seconds": ("seconds", seconds_of),
    "age": ("age", seconds_of),
    "size": ("bytes", bytes_of),
}
MEANT = {
    "acc": "accuracy",
    **dict.fromkeys(("validation", "val_acc", "val_accuracy", "validation_accuracy"), "val"),
    **dict.fromkeys(("test_acc", "test_accuracy"), "test"),
}
STATUSES = (*get_args(Report.__annotations__["status"]), "damaged", "not finished")
ENDED_WELL = {"finished", "complete", "completed", "success", "ok"}
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
PATTERN = re.compile(r"\s*([\w-]+)\s*(<=|>=|!=|==|=|<|>|~)\s*([^<>=!~\s].*?)\s*")


@dataclass(frozen=True)
class Condition:
    """One comparison: a name, an operator, and the value as it is written."""

    name: str
    sign: str
    value: str

    def holds(self, run: RunSummary) -> bool:
        """Return whether a run meets it; a run that lacks the value meets none."""
        attribute, unit = NAMES.get(self.name, ("", None))
        found = getattr(run, attribute) if attribute else run.settings.get(self.name)
        if found is None:
            return False
        if self.sign == "~":
            return self.value.casefold() in shown(found).casefold()
        numbers = _number(found), unit(self.value) if unit and self.value[-1:].isalpha() else _number(self.value)
        if self.sign in COMPARED:
            return None not in numbers and COMPARED[self.sign](*numbers)
        same = numbers[0] == numbers[1] if None not in numbers else shown(found).casefold() == self.value.casefold()
        return same != (self.sign == "!=")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def conditions(texts: Sequence[str]) -> list[Condition]:
    """Return the conditions that texts hold, joined by `and`; raises SettingsError for what is none.

    Each names what a run's summary has, or a setting of some command.
    """
    found = [_condition(part) for text in texts for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE)]
    known: set[str] = {*NAMES}
    if any(one.name not in known for one in found):
        known |= {item.name for command in COMMANDS.values() for item in command.declared()}
    for one in found:
        if one.name not in known:
            near = (
                nearest(one.name, sorted(known)) or f"; known: {', '.join(NAMES)}, and settings such as learning_rate"
            )
            raise SettingsError(f"--where: unknown {one.name!r}{near}")
        if one.name == "status" and one.sign in {"=", "!="} and one.value.casefold() not in STATUSES:
            meant = "; did you mean 'done'?" if one.value.casefold() in ENDED_WELL else nearest(one.value, STATUSES)
            raise SettingsError(f"--where status: expected one of {', '.join(STATUSES)}; got {one.value!r}{meant}")
        unit = NAMES.get(one.name, ("", None))[1]
        if one.sign in COMPARED and _number(one.value) is None and not (unit and unit(one.value) is not None):
            example = "30d" if unit is seconds_of else "5MB" if unit else "0.5"
            raise SettingsError(f"--where {one.name}: expected a value such as {example}, got {one.value!r}")
    return found


def _condition(text: str) -> Condition:
    match = PATTERN.fullmatch(text)
    if match is None:
        raise SettingsError(f"--where: expected conditions such as 'val>0.6 and optimizer=adam', got {text.strip()!r}")
    name, sign, value = match.groups()
    name = hyphenated(name).replace("-", "_")
    if name not in NAMES:  # which come before names of flags
        name = MEANT.get(name) or UNDERSTOOD.get(hyphenated(name), name)
    return Condition(name, "=" if sign == "==" else sign, value.strip("'\""))

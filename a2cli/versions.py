"""The versions of all that is stored: what each one changed, in one table. A newer one than is known is refused."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from a2cli.errors import DataError

Kind = Literal["report", "model card", "checkpoint", "film", "features file"]
Values = dict[str, Any]
VERSION_KEY = "schema_version"


class NewerVersionError(DataError):
    """It was stored by a newer a2, and is not damaged."""


def _unchanged(values: Values) -> Values:
    """A version of the same values: with a SHA-256 of them, which whoever reads it checks; or computed otherwise."""
    return values


def _by_class(values: Values) -> Values:
    """The version that has a training's results by class of whichever part is judged, and no zeros of the confusion."""
    results = values.get("results")
    for run in results.get("runs", []) if isinstance(results, dict) else []:
        if isinstance(run, dict) and "confusion" in run:
            names = [row["name"] for row in run["classes"]]
            run["judged"] = {
                "part": "val",
                "majority": run["majority"],
                "classes": run.pop("classes"),
                "confusion": {truth: {answer: n for answer, n in zip(names, row, strict=True) if n}
                              for truth, row in zip(names, run.pop("confusion"), strict=True) if any(row)},
                "most_wrong": run.pop("most_wrong"),
            }  # fmt: skip
    return values


def _within_0_and_1(values: Values) -> Values:
    """The version whose intervals of a share over seeds end at 0 and 1."""
    return {name: _clipped(value) if name in ("results", "transfer") else value for name, value in values.items()}


def _clipped(value: Any) -> Any:
    if isinstance(value, list):
        return [_clipped(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"mean", "deviation", "low", "high", "n"}:  # a Spread, in a report always of shares
        return {**value, "low": max(0.0, value["low"]), "high": min(1.0, value["high"])}
    return {key: _clipped(one) for key, one in value.items()}


# Each function makes what one version stored into what the next one does, beginning with version 1. What has a default
# in its dataclass can be added without a new version. Caches have theirs in the names of their folders.
UPGRADES: Mapping[Kind, Sequence[Callable[[Values], Values]]] = {
    # The last one's intervals over seeds have the variance of rounding to whole images; earlier ones stay.
    "report": [_unchanged, _by_class, _within_0_and_1, _unchanged],
    "model card": [_unchanged],
    "checkpoint": [],
    "film": [_unchanged],
    "features file": [],
}


# Fields that every later version writes, with a SHA-256, and the first one did not.
LATER: Mapping[Kind, Sequence[str]] = {"report": ["test_curve_reads"]}


def newest(kind: Kind) -> int:
    """Return the version that this a2 writes."""
    return 1 + len(UPGRADES[kind])


def version_of(kind: Kind, values: Mapping[str, Any], path: str | Path) -> int:
    """Return the version of what was stored; raises DataError for a newer one than is known, or none that can be."""
    version = values.get(VERSION_KEY, 1)
    if type(version) is not int or version < 1:
        raise DataError(f"{path}: damaged ({VERSION_KEY} is {str(version)[:20]!r}, expected a number from 1)")
    if version == 1 and (later := [name for name in LATER.get(kind, ()) if name in values]):
        raise DataError(f"{path}: edited ({VERSION_KEY} is 1, which has no {later[0]})")
    if version > newest(kind):
        raise NewerVersionError(
            f"{path}: made by a newer a2 (version {version} of a {kind}, this a2 knows {newest(kind)}); update a2"
        )
    return version


def upgraded(kind: Kind, values: Mapping[str, Any], path: str | Path) -> Values:
    """Return what was stored by any version as this one stores it, without the version; raises as `version_of`."""
    upgrades = UPGRADES[kind][version_of(kind, values, path) - 1 :]
    current = {name: value for name, value in values.items() if name != VERSION_KEY}
    try:
        for upgrade in upgrades:
            current = upgrade(current)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # what no version wrote
        raise DataError(f"{path}: damaged (not of version {values.get(VERSION_KEY, 1)}: {error!r:.80})") from None
    return current

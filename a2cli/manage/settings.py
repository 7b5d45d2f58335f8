"""The settings of `a2 runs` and `a2 cache`."""

from dataclasses import dataclass
from typing import Literal

from a2cli.settings.declare import setting

Sort = Literal["age", "accuracy", "size", "folder", "command", "data", "seconds"]


@dataclass(frozen=True, kw_only=True)
class ListRunsSettings:
    """Which runs"""

    folder: tuple[str, ...] = setting(
        ("runs",), "Folders to look for runs in, at any depth; links inside are not followed.", positional=True
    )
    where: tuple[str, ...] = setting(
        (),
        "Only runs that meet this condition, as 'val>0.6 and optimizer=adam': settings, or command, status, data, val, "
        "test, seeds, age (30d), size (5MB), seconds; =, !=, <, <=, >, >=, ~ (contains). Several: all of them.",
        repeatable=True,
    )
    inner: bool = setting(False, "Also list the runs inside a run: its seeds, folds and trials.")
    sort: Sort = setting(
        "age",
        "Order: the newest, most accurate or largest first, names by the alphabet.",
        words=(("val", "accuracy"), ("validation", "accuracy"), ("acc", "accuracy")),
    )
    reverse: bool = setting(False, "Order the other way round.")


@dataclass(frozen=True, kw_only=True)
class ListRunsOptions:
    """Run"""

    csv: bool = setting(False, "Print a CSV table, a row per run.")
    json: bool = setting(False, "Print one JSON document, with all settings of each run.")
    quiet: bool = setting(False, "Print only the run directories, one per line.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class RemoveRunsSettings:
    """Which runs"""

    run: tuple[str, ...] = setting((), "Run directories to remove, with all that is in them.", positional=True)


@dataclass(frozen=True, kw_only=True)
class RemoveRunsOptions:
    """Run"""

    dry_run: bool = setting(False, "Say what would be removed, and remove nothing.")
    yes: bool = setting(False, "Remove without asking.", short="-y")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class ExportRunsSettings:
    """Which runs"""

    run: tuple[str, ...] = setting((), "Run directories to export.", positional=True)


@dataclass(frozen=True, kw_only=True)
class ExportRunsOptions:
    """Where to"""

    csv: bool = setting(False, "Print a CSV table: a row per run, a column per result and per setting.")
    tensorboard: str | None = setting(None, "Write TensorBoard event files into this folder, one folder per training.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """Which entries"""


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Run"""

    json: bool = setting(False, "Print one JSON document.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class PruneSettings:
    """Which entries"""

    older: str | None = setting(None, "Remove what was not used for so long, as 30d, 12h.")
    max: str | None = setting(None, "Remove what was unused longest until the cache is at most so large, as 5GB.")


@dataclass(frozen=True, kw_only=True)
class PruneOptions:
    """Run"""

    dry_run: bool = setting(False, "Say what would be removed, and remove nothing.")
    json: bool = setting(False, "Print what was removed as one JSON document.")
    debug: bool = setting(False, "Show the traceback of an error.")

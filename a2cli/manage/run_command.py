"""`a2 runs list`, `a2 runs rm` and `a2 runs export`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from a2cli import storage
from a2cli.console import base as console
from a2cli.errors import DataError, SettingsError, missing
from a2cli.formats import counted, shown_size
from a2cli.manage.conditions import conditions
from a2cli.manage.console import in_csv_text, show_runs
from a2cli.manage.settings import (
    ExportRunsOptions,
    ExportRunsSettings,
    ListRunsOptions,
    ListRunsSettings,
    RemoveRunsOptions,
    RemoveRunsSettings,
)
from a2cli.manage.summaries import RunSummary, find_runs, read_runs, size_of
from a2cli.settings.presets import resolve
from a2cli.strict_json import to_json

LARGEST_FIRST = ("accuracy", "size", "seconds")


def list_runs(chosen: ListRunsOptions, flags: dict[str, Any]) -> None:
    """The runs below folders, filtered and sorted."""
    settings = resolve(ListRunsSettings, "runs list", (), flags).settings
    given = [f"--{name}" for name in ("csv", "json", "quiet") if getattr(chosen, name)]
    if len(given) > 1:
        raise SettingsError(f"{given[0]}: give it or {given[1]}")
    wanted = conditions(settings.where)
    problems: list[str] = []
    folders, empty = list[Path](), list[str]()
    for name in settings.folder:
        before, below = len(problems), _below(name, settings.inner, problems)
        folders += below
        empty += [name] if not below and len(problems) == before else []
    found = read_runs(folders, datetime.now(UTC))
    for name in empty if found or given else ():  # else they are named in the list's place
        console.note(f"no run in {name}")
    # Of all runs: one that is damaged may lack the value by which it would have been chosen.
    problems += [run.problem for run in found if run.problem]
    runs = [run for run in found if all(one.holds(run) for one in wanted)]
    runs.sort(key=lambda run: _order(run, settings.sort), reverse=settings.reverse)
    if chosen.json:
        console.out(to_json([asdict(run) for run in runs]))
    elif chosen.csv:
        console.out(in_csv_text(runs).rstrip("\n"))
    elif chosen.quiet:
        for run in runs:
            console.out(run.folder)
    else:
        show_runs(runs, len(found), settings.folder)
    _end_with(problems)


def _below(name: str, inner: bool, problems: list[str]) -> list[Path]:
    if not os.path.lexists(name) and name != ListRunsSettings().folder[0]:  # where that is missing, nothing was run yet
        raise DataError(f"{name}: no such folder; 'a2 runs --help' lists the commands")
    if storage.is_broken_link(Path(name)):
        raise DataError(f"{name}: {missing(name)}")

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            problems.append(f"{error.filename or name}: cannot be read ({error.strerror})")

    return list(find_runs(Path(name), unreadable, inner=inner))


def _end_with(problems: Sequence[str]) -> None:
    """Say what is damaged, a line each, and end with the exit status of data that are wrong if anything is."""
    for problem in problems:
        console.error(problem)
    if problems:
        raise typer.Exit(DataError.exit_status)


def _order(run: RunSummary, sort: str) -> tuple[bool, float | str]:
    value = {"size": run.bytes, "age": run.age}.get(sort, getattr(run, sort, None))
    if value is None:
        return True, 0.0
    return False, -value if sort in LARGEST_FIRST else value


# Removing


def remove_runs(chosen: RemoveRunsOptions, flags: dict[str, Any]) -> None:
    """Remove run directories, each whole."""
    from a2cli.manage.removal import check_removable, remove

    settings = resolve(RemoveRunsSettings, "runs rm", (), flags).settings
    if not settings.run:
        raise SettingsError("a2 runs rm: expected RUN: run directories")
    folders = [Path(name) for name in dict.fromkeys(settings.run)]
    for folder in folders:
        check_removable(folder)
    if not chosen.dry_run and not chosen.yes and not sys.stdin.isatty():
        raise SettingsError("a2 runs rm: nobody to ask, as standard input is no terminal; give --yes")
    for folder in folders:
        console.note(f"{folder}: {shown_size(size_of(folder))}")
    if chosen.dry_run:
        console.note(f"{counted(len(folders), 'run')} would be removed")
        return
    if not chosen.yes and not _agreed(len(folders)):
        raise SettingsError("a2 runs rm: nothing was removed")
    for folder in folders:
        remove(folder)
        console.out(str(folder))


def _agreed(count: int) -> bool:
    """Return whether the user says yes."""
    console.note(f"Remove {counted(count, 'run')} for good? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# Exporting


def export_runs(chosen: ExportRunsOptions, flags: dict[str, Any]) -> None:
    """Runs as rows of a table, or as TensorBoard's event files."""
    settings = resolve(ExportRunsSettings, "runs export", (), flags).settings
    if not settings.run:
        raise SettingsError("a2 runs export: expected RUN: run directories")
    if not chosen.csv and chosen.tensorboard is None:
        raise SettingsError("a2 runs export: expected --csv or --tensorboard DIR")
    folders = [Path(name) for name in dict.fromkeys(settings.run)]
    problems = [f"{folder}: {storage.no_run(folder)}" for folder in folders if not storage.is_run(folder)]
    if len(problems) == len(folders):
        raise DataError(problems[0])
    runs = read_runs([folder for folder in folders if storage.is_run(folder)], datetime.now(UTC))
    problems += [run.problem for run in runs if run.problem]
    if chosen.tensorboard is not None and (whole := [Path(run.folder) for run in runs if not run.problem]):
        _to_tensorboard(whole, Path(chosen.tensorboard))
    if chosen.csv:
        from a2cli.manage.export import table_of_runs

        console.out(table_of_runs(runs).rstrip("\n"))
    _end_with(problems)


def _to_tensorboard(folders: Sequence[Path], out: Path) -> None:
    from a2cli.manage.export import write_events

    try:
        count = write_events(folders, out)
    except OSError as error:
        raise DataError(f"--tensorboard {error.filename or out}: cannot be written ({error.strerror})") from None
    if not count:
        raise DataError("--tensorboard: no training in these runs has epochs to write")
    console.note(f"{counted(count, 'training')} written into {out}, for TensorBoard")

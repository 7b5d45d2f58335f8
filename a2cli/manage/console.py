"""The lists of runs and of the cache, as printed and as CSV."""

import csv
import io
import textwrap
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from a2cli.columns import Column, in_csv, in_print
from a2cli.console.base import out, results_console, table_from
from a2cli.formats import counted, shown_age, shown_size
from a2cli.manage.cache import CacheEntry
from a2cli.manage.summaries import RunSummary
from a2cli.text import printable


def _described(run: RunSummary) -> str:
    """Return a run's command and data, and what its settings differ in."""
    settings = " ".join(f"{name}={value}" for name, value in run.differs.items())
    status = "" if run.status == "done" else f", {run.status}"
    return f"{run.command}{f' on {run.data}' if run.data else ''}{status}{': ' if settings else ''}{settings}"


def _accuracy(run: RunSummary) -> str:
    return f"{run.accuracy:.3f}" if run.accuracy is not None else ""


def _interval(run: RunSummary) -> str:
    return f"[{run.low:.3f}, {run.high:.3f}]" if run.low is not None and run.high is not None else ""


def _in_csv(*names: str) -> list[Column[RunSummary]]:
    return [Column(name, attrgetter(name), printed=False) for name in names]


RUNS: list[Column[RunSummary]] = [
    Column("accuracy", lambda run: run.accuracy, text=_accuracy),
    Column("interval", text=_interval, title="95%"),
    *_in_csv("low", "high"),
    Column("seeds", lambda run: run.seeds),
    *_in_csv("test"),
    Column("age", lambda run: round(run.age), text=lambda run: shown_age(run.age)),
    Column("bytes", lambda run: run.bytes, text=lambda run: shown_size(run.bytes), title="size"),
    Column("folder", lambda run: run.folder, title="run"),
    *_in_csv("command", "status", "data", "created", "seconds"),
    Column("differs", lambda run: " ".join(f"{name}={value}" for name, value in run.differs.items()), printed=False),
    *_in_csv("problem"),
]
CACHE: list[Column[CacheEntry]] = [
    Column("kind", lambda entry: entry.kind),
    Column("what", lambda entry: entry.what),
    Column("bytes", lambda entry: entry.bytes, text=lambda entry: shown_size(entry.bytes), title="size"),
    Column("unused", lambda entry: round(entry.unused), text=lambda entry: shown_age(entry.unused), title="unused for"),
]


def in_csv_text(runs: Sequence[RunSummary]) -> str:
    """Return the runs as CSV."""
    names, rows = in_csv(RUNS, runs)
    return csv_text([names, *rows])


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as CSV; what would steer a terminal is an escape."""
    text = io.StringIO()
    shown = ([printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(shown)
    return text.getvalue()


def show_runs(runs: Sequence[RunSummary], found: int, looked_in: Sequence[str]) -> None:
    """Print two lines or more for each run: what was measured, its age, size and folder, which stays whole, to be
    copied; below, its command, data, and what its settings differ in. Where none is found, say where that was."""
    console = results_console()
    heads, rows = in_print(RUNS, runs)
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads) - 1)]

    def line(row: Sequence[object]) -> str:
        return "  ".join([*(f"{cell!s:{width}}" for cell, width in zip(row, widths, strict=False)), str(row[-1])])

    if runs:
        console.print(line(heads), style="bold", soft_wrap=True)
    for run, row in zip(runs, rows, strict=True):
        console.print(line(row), soft_wrap=True)
        indent = "    "
        described = textwrap.wrap(_described(run), max(40, console.width), initial_indent=indent,
                                  subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)  # fmt: skip
        for part in described:
            console.print(part, style="dim", soft_wrap=True)
    of = f" of {found}" if found != len(runs) else ""
    size = shown_size(sum(run.bytes for run in runs))
    if found:
        out(f"{len(runs)}{of} {'run' if found == 1 else 'runs'}, {size}")
        return
    places = " or ".join(str(Path(folder).resolve()) for folder in looked_in)
    out(f"no runs in {places}; look elsewhere with: a2 runs FOLDER")


def show_cache(entries: Sequence[CacheEntry], folder: str) -> None:
    """Print what is cached, and where."""
    if entries:
        results_console().print(table_from(CACHE, entries))
    size = shown_size(sum(entry.bytes for entry in entries))
    out(f"{folder}: {counted(len(entries), 'entry', 'entries')}, {size}")

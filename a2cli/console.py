"""All that prints: progress, warnings and errors for people on standard error, results on standard output."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from a2cli.report import Report, to_json
from a2cli.results.fields import EffectiveField, FieldResults, MapCone
from a2cli.results.training import Accuracy, EpochLog, Spread, TrainingResults
from a2cli.settings import Declared

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.table import Table


T = TypeVar("T")
LIVE_SECONDS = 0.1
PLAIN_LINES = 10


def error(message: str) -> None:
    """Print one error line on standard error."""
    _people().print(
        "error:", message.replace("\n", " "), style="bold red", soft_wrap=True, markup=False, highlight=False
    )


def note(message: str) -> None:
    """Print one line for people on standard error."""
    _people().print(message, soft_wrap=True, markup=False, highlight=False)


def out(text: str) -> None:
    """Print a result as it is on standard output."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _people() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


class Show:
    """Looks on while an experiment runs: a live line in a terminal, now and then a plain one in a pipe or in CI."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = _people()
        self.quiet = quiet
        self.live = (
            self.console.is_terminal and not self.console.is_dumb_terminal and not os.environ.get("CI") and not quiet
        )
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.title, self.epochs, self.done = "", 0, 0

    def __enter__(self) -> "Show":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def phase(self, text: str) -> None:
        self.close()
        if self.live:
            self._open(text, "")
        elif not self.quiet:
            note(text)

    def warn(self, text: str) -> None:
        self.console.print("warning:", text, style="yellow", soft_wrap=True, markup=False, highlight=False)

    def start(self, title: str, epochs: int, done: int) -> None:
        self.close()
        self.title, self.epochs, self.done = title, epochs, done
        if self.live:
            self._open(title, f"{done}/{epochs}", total=epochs, done=done)
        elif not self.quiet and done:
            note(f"{title}: going on after epoch {done} of {epochs}")

    def epoch(self, log: EpochLog) -> None:
        self.done = log.epoch
        line = (
            f"{log.epoch}/{self.epochs} loss {log.train_loss:.3f} train {log.train_accuracy:.3f} "
            f"val {log.val_accuracy:.3f} lr {log.learning_rate:.0e} {log.images_per_second:.0f}/s"
        )
        if self.progress and self.task is not None:
            self.progress.update(self.task, completed=log.epoch, line=line)
        elif not self.quiet and (log.epoch % max(1, self.epochs // PLAIN_LINES) == 0 or log.epoch == self.epochs):
            note(f"{self.title}: epoch {line}")

    def batches(self, batches: Iterable[T], count: int) -> Iterable[T]:
        if not self.progress or self.task is None:
            yield from batches
            return
        if not self.epochs:
            self.progress.update(self.task, total=count)
        shown = time.monotonic()
        for number, batch in enumerate(batches):
            yield batch
            if time.monotonic() - shown > LIVE_SECONDS:
                share = self.done + (number + 1) / count if self.epochs else number + 1
                self.progress.update(self.task, completed=share)
                shown = time.monotonic()

    def _open(self, title: str, line: str, total: float | None = None, done: int = 0) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None if total is None else 8),
            TextColumn("{task.fields[line]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            refresh_per_second=4,
            transient=True,
        )
        self.progress.start()
        self.task = self.progress.add_task(title, total=total, completed=done, line=line)

    def close(self) -> None:
        if self.progress:
            self.progress.stop()
        self.progress, self.task, self.epochs, self.done = None, None, 0, 0


# Results


def show_training(report: Report, folder: Path) -> None:
    """Print a training report: the data, a table, the verdict in words, and where the rest is."""
    assert isinstance(report.results, TrainingResults), "a finished training has results"
    assert report.data is not None, "a finished report has its data"
    results, data = report.results, report.data
    console = _results()

    def say(*lines: str) -> None:
        console.print(*lines, sep="\n", soft_wrap=True, markup=False, highlight=False)

    say(f"{data.source}: {data.train + data.val + data.test} images of {_classes(list(data.classes))}")
    read = f"test, read {'once' if report.test_reads == 1 else f'{report.test_reads} times'}"
    if len(results.runs) == 1:
        table = _table("images", "correct", "accuracy", "95% interval")
        only = results.runs[0]
        rows: list[tuple[str, Accuracy | None]] = [
            ("training", only.train),
            (f"validation, epoch {only.kept_epoch}", only.val),
            (read, only.test),
            ("always the largest class", only.majority),
        ]
        for name, share in rows:
            if share:
                interval = f"{share.low:.3f} to {share.high:.3f}"
                table.add_row(name, f"{share.correct} of {share.count}", f"{share.value:.3f}", interval)
    else:
        table = _table("", "seeds", "mean ± deviation", "95% interval of the mean")
        spreads: list[tuple[str, Spread | None]] = [
            ("training", results.train),
            ("validation", results.val),
            ("validation, last epoch", results.last_val),
            (read, results.test),
        ]
        for name, found in spreads:
            if found:
                middle = f"{found.mean:.3f} ± {found.deviation:.3f}"
                table.add_row(name, str(found.n), middle, f"{found.low:.3f} to {found.high:.3f}")
    console.print(table)
    console.print(results.verdict, markup=False, highlight=False)
    _say_where(console, report, folder)


def _classes(names: Sequence[str]) -> str:
    """Return how many classes there are and the first ones' names, so that a wrong folder shows."""
    shown = ", ".join(names[:2])
    return f"{len(names)} classes ({shown}{', ...' * (len(names) > 2)})"


def show_fields(report: Report, folder: Path | None) -> None:
    """Print what each layer's units see: the derivation, a table, a drawing, and what was asked of a unit or pixel."""
    results = report.results
    assert isinstance(results, FieldResults), "a look at fields has those"
    console = _results()

    def say(*lines: str) -> None:
        console.print(*lines, sep="\n", markup=False, highlight=False)

    say(*results.derivation)
    known = results.image_size is not None
    table = _table("map", "k", "s", "p", "d", "size", "field", "jump", "centre", *["image", "padded"] * known)
    table.columns[0].overflow = "fold"
    for one in results.layers:
        windows = [_by(*pair) for pair in (one.kernel_size, one.stride, one.padding, one.dilation)]
        cells = [_by(*(one.size or one.size_formula or ("", ""))), one.status, "", ""]
        if one.field and not one.jump:
            cells[1] = f"{_by(*one.field)} measured"
        elif one.field and one.jump and one.centre:
            marks = "!" * bool(one.beyond_image) + "?" * one.misaligned
            cells[1:] = [_by(*one.field) + marks, _by(*one.jump), _by(*one.centre)]
        shares = []
        if one.size and one.share is not None and one.padded_units is not None:
            shares = [f"{one.share:.0%}", f"{one.padded_units / (one.size[0] * one.size[1]):.0%}"]
        table.add_row(one.name, *windows, *cells, *shares)
    console.print(table)
    if known:
        say("image: the field's share of it; padded: the share of units that see padding.")
    if any(one.beyond_image for one in results.layers):
        say("!: larger than the image.")
    if any(one.misaligned for one in results.layers):
        say("?: joins branches whose fields have different centres.")
    if results.cone:
        say("", *_drawn(results.cone))
    if unit := results.unit:
        inside = [f"{ends[0]} to {ends[1]}" if ends else "none" for ends in (unit.clipped_rows, unit.clipped_columns)]
        say(
            f"\nUnit {unit.unit[0]},{unit.unit[1]} of {unit.layer}: rows {unit.rows[0]} to {unit.rows[1]}, "
            f"columns {unit.columns[0]} to {unit.columns[1]}; in the image rows {inside[0]}, columns {inside[1]}; "
            f"{unit.pixels} pixels."
        )
    for i, seen in enumerate(results.pixel):
        where = "no unit"
        if seen.rows and seen.columns:
            (top, bottom), (left, right) = seen.rows, seen.columns
            many = f"{seen.units} units, rows {top} to {bottom}, columns {left} to {right}"
            where = f"unit {top},{left}" if seen.units == 1 else many
        say(*[""] * (i == 0), f"The pixel is seen in {seen.layer} by {where}.")
    if results.effective:
        console.print(_effective(results.effective))
    say("", results.verdict)
    if folder:
        _say_where(console, report, folder)


def _effective(found: Sequence[EffectiveField]) -> "Table":
    table = _table("unit", "weights", "pixels", *(f"{share}% in" for share in ("50", "90", "99")), "deviation")
    table.columns[0].overflow = "fold"
    for other in table.columns[1:]:
        other.no_wrap = True
    for one in found:
        row, column = one.unit
        cells = ["no gradient", "", "", ""]
        if one.shares and one.deviation:
            cells = [*(f"{share:.0%}" for share in one.shares.values()), ""]
            cells[-1] = _by(*(float(f"{value:.3g}") for value in one.deviation))
        table.add_row(f"{one.layer},{row},{column}", one.weights, str(one.pixels), *cells)
    return table


def _say_where(console: "Console", report: Report, folder: Path) -> None:
    """Print the run's folder and the figures in it."""
    figures = [Path(name).stem for name in report.artifacts if name.startswith("figures/") and name.endswith(".png")]
    lines = ["", f"Run: {folder}", f"Figures, in its folder figures: {', '.join(figures)}"]
    console.print(*lines, sep="\n", soft_wrap=True, markup=False, highlight=False)


def _by(rows: object, columns: object) -> str:
    """Return a pair of rows and columns, once if they agree."""
    first, second = (f"{value:g}" if isinstance(value, float) else str(value) for value in (rows, columns))
    return first if first == second else f"{first}x{second}"


def _drawn(cone: Sequence[MapCone], width: int = 78) -> list[str]:
    """Return a line for each map, over the image's columns: what the unit at the cone's tip sees is solid."""
    pixels, words = cone[0].size[1], min(24, max(len(one.name) for one in cone))
    per_character = -(-pixels // (width - words))
    lines = []
    for one in reversed(cone):
        line = [" "] * -(-pixels // per_character)
        for unit in range(one.size[1]):
            place = int((one.centre[1] + unit * one.jump[1] + 0.5) // per_character)
            lit = any(first <= unit <= last for first, last in one.columns)
            if 0 <= place < len(line) and line[place] != "█":
                line[place] = "█" if lit else "·"
        lines.append(f"{one.name[-words:]:>{words}}  {''.join(line)}".rstrip())
    return lines


def show_report_json(report: Report) -> None:
    out(to_json(report))


def show_plan(rows: Sequence[tuple[str, str, str]], plan: Sequence[str]) -> None:
    """Print every setting with its value and where it came from, then what would happen, line by line."""
    console = _results()
    table = _table("setting", "value", "from")
    for row in rows:
        table.add_row(*row, style=None if row[2] == "default" else "bold")
    console.print(table)
    for line in plan:
        console.print(line, markup=False, highlight=False)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of words."""
    console = _results()
    table = _table(*columns)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _results() -> "Console":
    from rich.console import Console

    return Console()


def _table(*columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


# Help


def help_text(command: str, about: str, items: Sequence[Declared], describe: Any, width: int = 0) -> str:
    """Return a command's help: its sentence, then its options under their panels' titles.

    `describe` gives an option's left column and its help.
    """
    width = width or min(100, max(60, shutil.get_terminal_size((80, 24)).columns))
    lines = [f"Usage: a2 {command} [OPTIONS]", "", *textwrap.wrap(about, width)]
    for panel, group in groupby(items, key=lambda item: item.panel):
        lines += ["", f"{panel}:"]
        for item in group:
            left, help_of = describe(item)
            indent = " " * 26
            wrapped = textwrap.wrap(help_of, width - 26) or [""]
            first = f"  {left}".ljust(26) if len(left) < 23 else f"  {left}\n{indent}"
            lines.append(first + wrapped[0])
            lines += [indent + line for line in wrapped[1:]]
    return "\n".join(lines) + "\n"


class Transfer:
    """Looks on while something is downloaded."""

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        console = _people()
        live = console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")
        self.bar = Progress(
            TextColumn(title),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=not live,
        )
        self.task = self.bar.add_task(title, total=None)

    def __enter__(self) -> "Transfer":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        self.bar.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def progress(self, done: int, total: int | None) -> None:
        self.bar.update(self.task, completed=done, total=total)

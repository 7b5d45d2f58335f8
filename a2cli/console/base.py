"""Words and tables: errors and notes for people on standard error, results on standard output.

Whatever is printed is text: `console_on` parses no markup and makes control characters visible, wherever a string comes
from. So each string given to it is one line.
"""

import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2cli.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from a2cli.columns import Column, R
    from a2cli.reports.best_results import BestRun
    from a2cli.reports.report import Report

DRAWN = (".png", ".svg", ".pdf", ".gif")
_kept: ContextVar["list[str | Table] | None"] = ContextVar("kept", default=None)


def error(message: str) -> None:
    """Print one error line on standard error."""
    people().print("error:", message.replace("\n", " "), style="bold red", soft_wrap=True)


def note(*lines: str) -> None:
    """Print lines for people on standard error."""
    people().print(*lines, sep="\n", soft_wrap=True)


def show_traceback(error: BaseException) -> None:
    """Print where an error arose, on standard error."""
    note(*(line for part in traceback.format_exception(error) for line in part.rstrip("\n").split("\n")))


def out(text: str) -> None:
    """Print a result on standard output: in a pipe or a file as it is, in a terminal as printable lines."""
    if sys.stdout.isatty():
        text = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, or hours and minutes."""
    minutes = round(seconds) // 60
    return f"{minutes}:{round(seconds) % 60:02}" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}"


def people() -> "Console":
    """Return the console for people, on standard error."""
    return console_on(stderr=True)


def results_console() -> "Console":
    """Return the console for results, on standard output, or one that keeps them."""
    return console_on(stderr=False)


@contextmanager
def keep_results() -> "Iterator[list[str | Table]]":
    """Give a list to which all goes that is printed as results meanwhile, lines and tables, in place of the screen."""
    kept: list[str | Table] = []
    before = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(before)


def console_on(*, stderr: bool) -> "Console":
    """Return a console that shows every string as text, whatever it is a part of: a line, a cell, a title."""
    from rich.console import Console
    from rich.text import Text

    class TextConsole(Console):
        # Rich turns every string into a Text here, and offers no other place that all of them pass.
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

        def print(self, *objects: Any, **options: Any) -> None:
            if stderr or (kept := _kept.get()) is None:
                super().print(*objects, **options)
            else:
                kept.extend(objects)

    return TextConsole(stderr=stderr, markup=False, emoji=False, highlight=False)


def show_report_json(report: "Report") -> None:
    from a2cli.storage import with_digest
    from a2cli.strict_json import to_json

    out(to_json(with_digest(asdict(report))))


def show_plan(rows: Sequence[tuple[str, str, str]], plan: Sequence[str]) -> None:
    """Print every setting with its value and where it came from, then what would happen, line by line."""
    console = results_console()
    table = table_of("setting", "value", "from")
    for row in rows:
        table.add_row(*row, style=None if row[2] == "default" else "bold")
    console.print(table)
    for line in plan:
        console.print(line)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of words."""
    results_console().print(table_of(*columns, rows=rows))


def table_of(*columns: str, rows: Iterable[Sequence[Any]] = ()) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


def table_from(columns: "Sequence[Column[R]]", rows: "Iterable[R]") -> "Table":
    """Return a table made of its columns."""
    from a2cli.columns import in_print

    heads, cells = in_print(columns, rows)
    return table_of(*heads, rows=cells)


def add_layers(table: "Table", rows: Sequence[Sequence[str]], width: int) -> None:
    """Add rows that begin with a layer's name to a table for so wide a screen, columns close together.

    A name that leaves no room for the other columns goes on several lines, broken after dots.
    """
    from rich.text import Text

    table.padding = (0, 1, 0, 0)
    cells = [[str(column.header) for column in table.columns], *rows]
    others = sum(max(len(row[i]) for row in cells) + 2 for i in range(1, len(table.columns)))
    for name, *rest in rows:
        lines = [""]
        for part in re.findall(r"[^.]*\.?", printable(name)):
            fits = len(lines[-1] + part) <= width - others - 3
            lines = [*lines[:-1], lines[-1] + part] if fits or not lines[-1] else [*lines, f"  {part}"]
        table.add_row(Text("\n".join(lines), overflow="fold"), *rest)


def say_data(console: "Console", report: "Report") -> None:
    """Print how many images there were, once it is known."""
    if report.data:
        console.print(
            f"{report.data.source}: {report.data.train} images to train on, {report.data.val} to validate",
            soft_wrap=True,
        )


def say_split(console: "Console", report: "Report") -> None:
    """Print how other commands hold out the same images, where their defaults do not."""
    from a2cli.settings.training import split_flags

    if flags := split_flags(report.config, report.data.given if report.data else ()):
        console.print(f"Not the default's split: other commands hold out the same images with {flags}.", soft_wrap=True)


def say_best(console: "Console", best: "BestRun | None", folder: Path) -> None:
    """Print the best run inside a run directory, its config, and by what it is the best."""
    if best:
        lines = (f"Best run: {folder / best.folder}", f"Its settings: {folder / best.config}")
        console.print("", *lines, sep="\n", soft_wrap=True)  # paths stay whole, to be copied
        console.print(f"It is the best as {best.reason}.")


def say_where(console: "Console", report: "Report", folder: Path) -> None:
    """Print the run directory and the figures in it."""
    drawn = [Path(name) for name in report.artifacts if name.startswith("figures/") and name.endswith(DRAWN)]
    figures = list(dict.fromkeys(path.stem for path in drawn))
    console.print("", f"Run: {folder}", sep="\n", soft_wrap=True)  # a path stays whole, to be copied
    if figures:
        console.print(f"Figures, in its folder figures: {', '.join(figures)}")

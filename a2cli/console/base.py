"""Words and tables: errors and notes for people on standard error, results on standard output."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2cli.report import Report, to_json
from a2cli.settings import Declared

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DRAWN = (".png", ".svg", ".pdf", ".gif")


def error(message: str) -> None:
    """Print one error line on standard error."""
    people().print(
        "error:", message.replace("\n", " "), style="bold red", soft_wrap=True, markup=False, highlight=False
    )


def note(message: str) -> None:
    """Print one line for people on standard error."""
    people().print(message, soft_wrap=True, markup=False, highlight=False)


def out(text: str) -> None:
    """Print a result as it is on standard output."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, or hours and minutes."""
    minutes = round(seconds) // 60
    return f"{minutes}:{round(seconds) % 60:02}" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}"


def people() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def show_report_json(report: Report) -> None:
    out(to_json(report))


def show_plan(rows: Sequence[tuple[str, str, str]], plan: Sequence[str]) -> None:
    """Print every setting with its value and where it came from, then what would happen, line by line."""
    console = results_console()
    table = table_of("setting", "value", "from")
    for row in rows:
        table.add_row(*row, style=None if row[2] == "default" else "bold")
    console.print(table)
    for line in plan:
        console.print(line, markup=False, highlight=False)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of words."""
    console = results_console()
    table = table_of(*columns)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def results_console() -> "Console":
    from rich.console import Console

    return Console()


def table_of(*columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def say_data(console: "Console", report: Report) -> None:
    """Print how many images there were, once it is known."""
    if report.data:
        console.print(
            f"{report.data.source}: {report.data.train} images to train on, {report.data.val} to validate",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def say_where(console: "Console", report: Report, folder: Path) -> None:
    """Print the run's folder and the figures in it."""
    drawn = [Path(name) for name in report.artifacts if name.startswith("figures/") and name.endswith(DRAWN)]
    figures = list(dict.fromkeys(path.stem for path in drawn))
    lines = ["", f"Run: {folder}", f"Figures, in its folder figures: {', '.join(figures)}"]
    console.print(*lines, sep="\n", soft_wrap=True, markup=False, highlight=False)


def help_text(command: str, about: str, items: Sequence[Declared], describe: Any, width: int = 0) -> str:
    """Return a command's help: its sentence, then its options under their panels' titles.

    `describe` gives an option's left column and its help.
    """
    width = width or min(100, max(60, shutil.get_terminal_size((80, 24)).columns))
    words = "".join(f" {item.flag}..." for item in items if item.positional)
    lines = [f"Usage: a2 {command} [OPTIONS]{words}", "", *textwrap.wrap(about, width)]
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

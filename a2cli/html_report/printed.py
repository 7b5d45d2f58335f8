"""What a command prints of its report, as parts of a page: one table or paragraph for each that the terminal shows."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2cli.commands import COMMANDS
from a2cli.console.base import keep_results
from a2cli.html_report.table import Table
from a2cli.reports.report import Report

if TYPE_CHECKING:
    from rich.table import Table as RichTable

GAP = re.compile(" {2,}")  # which HTML would make one space
ALIGNED = re.compile("\\S {2,}\\S|^ {2}|[█·]")  # text that is a drawing, or in columns


@dataclass(frozen=True)
class Printed:
    """A table with what it is called, or a line of text; `aligned` text is to keep its spaces."""

    table: Table | None = None
    caption: str = ""
    text: str = ""
    aligned: bool = False


def printed(report: Report, folder: Path, known: str) -> list[Printed]:
    """Return what the command prints of a report, but for the words that are `known`, and where its files are."""
    show = COMMANDS[report.command].show_function()
    kept = kept_of(lambda: show(report, folder))
    where = next((place for place, part in enumerate(kept) if part.text == f"Run: {folder}"), None)
    return [part for part in kept[:where] if part.text != known]


def kept_of(show: Callable[[], None]) -> list[Printed]:
    """Return what a function prints as results."""
    with keep_results() as kept:
        show()
    parts = list(_parts(kept))
    tables = [part for part in parts if part.table]
    if len(tables) == 1:
        return [replace(part, caption="Results") if part.table else part for part in parts]
    return [replace(part, caption=f"Results, table {tables.index(part) + 1}") if part.table else part for part in parts]


def _parts(kept: list[Any]) -> Iterator[Printed]:
    drawing: list[str] = []
    for part in [*kept, None]:
        if isinstance(part, str) and ALIGNED.search(part):
            drawing.append(part)
            continue
        if drawing:
            yield Printed(text="\n".join(drawing), aligned=True)
            drawing = []
        if isinstance(part, str) and part.strip():
            yield Printed(text=part)
        elif part is not None and not isinstance(part, str):
            yield Printed(_table(part))


def _table(table: "RichTable") -> Table:
    columns = [[_text(part) for part in (column.header, *column.cells)] for column in table.columns]
    heads, *rows = zip(*(column for column in columns if any(column)), strict=True)
    return Table(heads, rows)


def _text(part: Any) -> str:
    """Return a cell's text, of a group its lines; what is indented or has a gap keeps it."""
    if hasattr(part, "renderables"):
        return "; ".join(map(_text, part.renderables))
    return GAP.sub(lambda gap: "\u2003" * (len(gap[0]) // 2), str(part))

"""The page itself: a Jinja2 template with all text escaped, and a policy under which it can ask for nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from a2cli import __version__
from a2cli.errors import DataError
from a2cli.formats import TO
from a2cli.html_report.contents import Table, contents_of, estimates_of
from a2cli.manage.summaries import RunSummary, read_runs
from a2cli.replicate.console import remarks
from a2cli.settings.declare import shown
from a2cli.text import printable


def page_of(folders: Sequence[Path]) -> str:
    """Return one HTML document on runs; raises DataError for one that is not finished, or damaged."""
    summaries = read_runs(folders, datetime.now(UTC))
    for summary in summaries:
        if summary.problem:
            raise DataError(summary.problem)
    runs = [contents_of(folder, summary, number) for number, (folder, summary) in enumerate(
        zip(folders, summaries, strict=True), 1)]  # fmt: skip
    compared = _compared(summaries) if len(runs) > 1 else None
    title, heading = (f"{len(runs)} runs",) * 2 if len(runs) > 1 else (runs[0].name, f"a2 {summaries[0].command}")
    return _template().render(title=title, heading=heading, runs=runs, compared=compared, version=__version__,
                              remarks=remarks, estimates_of=estimates_of)  # fmt: skip


def _compared(summaries: Sequence[RunSummary]) -> Table:
    """Return the runs side by side, a column each: what was measured, then the settings that differ."""
    names = list(dict.fromkeys(name for summary in summaries for name in summary.differs))
    rows = [
        ["command", *(one.command for one in summaries)],
        ["data", *(one.data for one in summaries)],
        ["validation accuracy", *(f"{one.accuracy:.3f}" if one.accuracy is not None else "" for one in summaries)],
        ["95% interval", *(TO.format(f"{one.low:.3f}", f"{one.high:.3f}") if one.low is not None else ""
                           for one in summaries)],
        ["over runs", *(str(one.seeds or "") for one in summaries)],
        ["test accuracy", *(f"{one.test:.3f}" if one.test is not None else "" for one in summaries)],
        *([name, *(shown(one.settings[name]) if name in one.settings else "" for one in summaries)] for name in names),
    ]  # fmt: skip
    return Table(["", *(one.folder for one in summaries)], [row for row in rows if any(row[1:])])


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    return environment.from_string((files("a2cli.html_report") / "page.html.j2").read_text("utf-8"))


def _shown(value: Any) -> Any:
    """Return text from outside without what would steer a line, such as marks that turn its direction."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

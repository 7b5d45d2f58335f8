"""The page itself: a Jinja2 template with all text escaped, and a policy under which it can ask for nothing."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from a2cli import __version__
from a2cli.formats import TO, interval
from a2cli.html_report.assets import asset, source_of
from a2cli.html_report.charts import overlaid
from a2cli.html_report.contents import RunContents, contents_of, contents_of_predictions, estimates_of
from a2cli.html_report.page_data import are_of_other_images
from a2cli.html_report.table import Table
from a2cli.manage.summaries import RunSummary, distinct_names, summary_from, test_accuracy, with_differences
from a2cli.replicate.console import remarks
from a2cli.reports.agreement import check_config
from a2cli.reports.best import check_accuracies, not_finished
from a2cli.reports.predictions import Predictions
from a2cli.reports.report import Report, read_report
from a2cli.settings.declare import shown
from a2cli.text import printable

FEATURES = ".safetensors"
MINUS, INTERVAL = re.compile(r"(?:(?<=[\s(\[])|^)-(?=[.\d])"), re.compile(r"\[([-+\d.e%]+), ([-+\d.e%]+)\]")
OTHER_IMAGES = (
    "These runs were evaluated on different images (other data, or another split of it), so differences between their "
    "accuracies are not due to their settings alone."
)


def page_of(paths: Sequence[Path]) -> str:
    """Return one HTML document on run directories and features files.

    Raises DataError for a run that is not finished, and for one that is damaged.
    """
    return _page([(_report_of(path), path) for path in paths])


def page_of_report(report: Report, path: Path) -> str:
    """Return one HTML document on a report, of this run directory or features file."""
    return _page([(report, path)])


def page_of_predictions(results: Predictions, sheet: bytes | None) -> str:
    """Return one HTML document on answers to images, with their contact sheet (PNG), if there is one."""
    return _rendered([contents_of_predictions(results, sheet)], None)


def is_features(path: Path) -> bool:
    """Return whether a path is that of a file which can be a features file."""
    return path.suffix == FEATURES and path.is_file()


def _report_of(path: Path) -> Report:
    if is_features(path):
        from a2cli.transfer.feature_report import report_of_features

        return report_of_features(path)
    report = read_report(path)
    if report is None or report.status != "done":
        raise not_finished("RUN", str(path), report)
    check_config(path, report)
    check_accuracies("RUN", path, report.results)
    return report


def _page(reports: Sequence[tuple[Report, Path]]) -> str:
    now = datetime.now(UTC)
    summaries = with_differences([summary_from(report, path, now) for report, path in reports])
    names = distinct_names([path for _, path in reports])
    runs = [contents_of(report, path, summary, name, number) for number, ((report, path), summary, name)
            in enumerate(zip(reports, summaries, names, strict=True), 1)]  # fmt: skip
    alone = [report for report, _ in reports]
    caution = "" if len(runs) == 1 or not are_of_other_images(alone) else OTHER_IMAGES
    return _rendered(runs, _compared(names, summaries, alone) if len(runs) > 1 else None, caution)


def _rendered(runs: Sequence[RunContents], compared: Table | None, caution: str = "") -> str:
    charts = {run.summary.folder: [chart for figures in run.figures.values() for figure in figures
                                   for chart in figure.charts] for run in runs}  # fmt: skip
    scripts = [asset("page.js")]
    if charted := any(charts.values()):
        scripts.insert(0, asset("uplot/uPlot.iife.min.js"))
    title, heading = (f"{len(runs)} runs",) * 2 if len(runs) > 1 else (
        f"{runs[0].name}: a2 {runs[0].summary.command}", f"a2 {runs[0].summary.command}"
    )  # fmt: skip
    return _template().render(title=title, heading=heading, runs=runs, compared=compared, caution=caution,
                              version=__version__, overlaid=overlaid(charts), charted=charted, scripts=scripts,
                              asset=asset, remarks=remarks, estimates_of=estimates_of)  # fmt: skip


def _compared(names: Sequence[str], summaries: Sequence[RunSummary], reports: Sequence[Report]) -> Table:
    """Return the runs side by side, a column each: what was measured, then the settings that differ."""
    tested = [test_accuracy(report.results) for report in reports]
    differing = list(dict.fromkeys(name for summary in summaries for name in summary.differs))
    rows = [
        ["command", *(one.command for one in summaries)],
        ["data", *(one.data for one in summaries)],
        ["validation accuracy", *(f"{one.accuracy:.3f}" if one.accuracy is not None else "" for one in summaries)],
        ["95% interval, validation", *(TO.format(f"{one.low:.3f}", f"{one.high:.3f}") if one.low is not None else ""
                           for one in summaries)],
        ["over runs", *(str(one.seeds or "") for one in summaries)],
        ["test accuracy", *(f"{one.test:.3f}" if one.test is not None else "" for one in summaries)],
        ["95% interval, test", *(interval(found) if found else "" for found in tested)],
        ["times that the test images were read", *(str(one.test_reads or "") for one in reports)],
        *([name, *(_setting(one, name) for one in summaries)] for name in differing),
    ]  # fmt: skip
    return Table(["", *names], [row for row in rows if any(row[1:])])


def _setting(run: RunSummary, name: str) -> str:
    """Return a setting's value; a fine-tuning whose every stage has its own does not use the one for all."""
    stages, mark = str(run.settings.get("stages", "")).split(), {"epochs": ":", "learning_rate": "@"}.get(name, " ")
    if stages and all(mark in stage for stage in stages):
        return f"by stages: {run.settings['stages']}"
    return shown(run.settings[name]) if name in run.settings else ""


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters["source_of"], environment.filters["code"] = source_of, _code
    return environment.from_string(str(asset("page.html.j2")))


def _code(text: str) -> Markup:
    """Return what is to be copied, each character as it is."""
    return Markup("<code>{}</code>").format(printable(text))


def _shown(value: Any) -> Any:
    """Return text without what would steer a line, such as marks that turn its direction, and as it is read aloud.

    A screen reader passes over a hyphen before a number, and reads an interval in brackets as two numbers.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = printable(value)
    if "-" in text or "[" in text:
        text = MINUS.sub("\N{MINUS SIGN}", INTERVAL.sub(r"[\1 to \2]", text))
    return text

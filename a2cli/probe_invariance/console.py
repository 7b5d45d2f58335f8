"""What changes do to networks, as printed: a table a run, runs against each other, sentences."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.columns import Column
from a2cli.console.base import results_console, say_where, table_from
from a2cli.formats import counted, interval, points, points_interval
from a2cli.probe_invariance.results import (
    ChangeResult,
    InvarianceResults,
    ProbedRun,
    RunComparison,
    StrengthPoint,
    by_reason,
)
from a2cli.reports.report import Report
from a2cli.reports.training_results import without_knowledge

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show_probe(report: Report, folder: Path) -> None:
    """Print for each run what each change does at its worst, and the verdict; then runs against each other."""
    results = report.results
    assert isinstance(results, InvarianceResults), "a probe has those"
    console = results_console()
    say = partial(console.print, sep="\n")
    for run in results.runs:
        u = run.unchanged
        networks = f", {counted(run.networks, 'network')}" if run.networks > 1 else ""
        least, knows_nothing = without_knowledge(run.majority.value, len(run.counts))
        say(
            f"{run.name} on {run.source}: {counted(run.images, 'image')}{networks}; unchanged {u.value:.3f} "
            f"({interval(u)}), {knows_nothing} {least:.3f}"
        )
        console.print(_changes(run, console))
        skipped = [f"Skipped: {', '.join(names)}, as {reason}." for names, reason in by_reason(run.skipped)]
        for line in [*_would_decide(run, f" for {run.name}" * (len(results.runs) > 1)), *skipped]:
            say(line)
    augmented = any(row.augmented for run in results.runs for row in run.changes)
    say(
        "worst: the strength that does most harm, its accuracy, its change in points, and the share of answers that "
        "stay the same; halved: where accuracy is half; breaks: the mildest strengths with a significant loss; "
        "undecided: the interval at the worst strength, in points. It can lie wholly below 0 and still not decide, as "
        "each strength is judged more strictly the more there are, or within the margin, as that of another strength "
        "does not." + (" *: seen in training, as augmentation." if augmented else "")
    )
    for pair in dict.fromkeys((row.first, row.second) for row in results.comparisons):
        say("", f"Accuracy kept by {pair[0]} minus that kept by {pair[1]}, in points, mean over strengths:")
        rows = [row for row in results.comparisons if (row.first, row.second) == pair]
        idle = [run.name for run in results.runs if run.name in pair and not run.has_something_to_lose]
        console.print(table_from(AGAINST[: -1 if idle else None], rows))
        if idle:
            say(
                f"Not judged, as {' and '.join(idle)} {'have' if len(idle) > 1 else 'has'} nothing to lose (see below)."
            )
    for run in results.runs:
        say("", run.verdict)
    say_where(console, report, folder)


def _changes(run: ProbedRun, console: "Console") -> "Table":
    """Return the table of changes, a line each, but the verdict on two where the screen is too narrow."""
    from rich.measure import Measurement

    table = table_from(CHANGES, run.changes)
    for column in table.columns[:-1]:
        column.no_wrap = True
    table.padding = (0, 1, 0, 0)
    if Measurement.get(console, console.options.update(max_width=1000), table).maximum > console.width:
        table.padding = 0
    return table


def _worst(change: ChangeResult) -> StrengthPoint:
    return min(change.points, key=lambda point: point.accuracy.value)


def _would_decide(run: ProbedRun, named: str) -> list[str]:
    """Return how many more images would decide what is undecided, or that ten times as many would not."""
    undecided = [change for change in run.changes if change.verdict == "undecided"]
    more = [(change.more_images, change.title) for change in undecided if change.more_images]
    sentences = []
    if more:
        images = ", ".join(f"{title} {images}" for images, title in sorted(more))
        sentences.append(f"More images that would decide{named}: {images}.")
    if len(more) < len(undecided) and run.has_something_to_lose:
        which = "The others" if more else f"What is undecided{named}"
        sentences.append(f"{which} would stay undecided with ten times as many images.")
    return [" ".join(sentences)] if sentences else []


def _verdict(change: ChangeResult) -> str:
    if change.verdict == "breaks":
        return f"breaks {', '.join(f'{value:g}' for value in change.breaks_at)}".rstrip()
    if change.verdict == "undecided":
        worst = _worst(change)
        return f"undecided [{100 * worst.low:+z.1f}, {100 * worst.high:+z.1f}]"
    return change.verdict


CHANGES: list[Column[ChangeResult]] = [
    Column("change", text=lambda row: row.title + " *" * (row.augmented is not None)),
    Column("worst", lambda row: _worst(row).strength, "g"),
    Column("accuracy", lambda row: _worst(row).accuracy.value, ".3f"),
    Column("points", text=lambda row: points(_worst(row).difference)),
    Column("same", lambda row: _worst(row).consistency.value, ".2f"),
    Column("halved", text=lambda row: ", ".join(f"{value:.2g}" for value in row.halved_at)),
    Column("verdict", text=_verdict),
]
AGAINST: list[Column[RunComparison]] = [
    Column("change", lambda row: row.change),
    Column("points", text=lambda row: points(row.difference)),
    Column("interval", text=points_interval),
    Column("verdict", lambda row: row.verdict, title=""),
]

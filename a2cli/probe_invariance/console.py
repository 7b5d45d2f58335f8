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
        say(
            f"{run.name} on {run.source}: {counted(run.images, 'image')}{networks}; unchanged {u.value:.3f} "
            f"({interval(u)}), always the largest class {run.majority.value:.3f}"
        )
        console.print(_changes(run, console))
        say(*_would_decide(run))
        say(*(f"Skipped: {', '.join(names)}, as {reason}." for names, reason in by_reason(run.skipped)))
    seen = any(one.augmented for run in results.runs for one in run.changes)
    say(
        "worst: the strength that does most harm, its accuracy, the change in points, and the share of answers that "
        "stay the same; halved: where accuracy is half; breaks: the mildest strengths that do harm for certain; "
        "undecided: the interval at the worst strength, in points, which can lie below 0 as all strengths are judged "
        "together" + ("; *: seen in training, as augmentation." if seen else ".")
    )
    for pair in dict.fromkeys((one.first, one.second) for one in results.comparisons):
        say("", f"How much more of its accuracy {pair[0]} keeps than {pair[1]}, in points, mean over strengths:")
        console.print(table_from(AGAINST, [one for one in results.comparisons if (one.first, one.second) == pair]))
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


def _worst(one: ChangeResult) -> StrengthPoint:
    return min(one.points, key=lambda point: point.accuracy.value)


def _would_decide(run: ProbedRun) -> list[str]:
    """Return how many more images would decide what is undecided, if ten times as many would decide anything."""
    more = [(one.more_images, one.title) for one in run.changes if one.more_images]
    if not more:
        return []
    others = any(one.verdict == "undecided" and not one.more_images for one in run.changes)
    said = f"More images that would decide: {', '.join(f'{title} {images}' for images, title in sorted(more))}"
    return [said + "; for the others not even ten times as many would." * others + "." * (not others)]


def _accuracy(point: StrengthPoint) -> str:
    return f"{point.accuracy.value:.3f} {points(point.difference)}"


def _verdict(one: ChangeResult) -> str:
    if one.verdict == "breaks":
        return f"breaks {', '.join(f'{value:g}' for value in one.breaks_at)}".rstrip()
    if one.verdict == "undecided":
        worst = _worst(one)
        return f"undecided [{100 * worst.low:+z.1f}, {100 * worst.high:+z.1f}]"
    return one.verdict


CHANGES: list[Column[ChangeResult]] = [
    Column("change", text=lambda one: one.title + " *" * (one.augmented is not None)),
    Column("worst", lambda one: _worst(one).strength, "g"),
    Column("accuracy", text=lambda one: _accuracy(_worst(one))),
    Column("same", lambda one: _worst(one).consistency.value, ".2f"),
    Column("halved", text=lambda one: ", ".join(f"{value:.2g}" for value in one.halved_at)),
    Column("verdict", text=_verdict),
]
AGAINST: list[Column[RunComparison]] = [
    Column("change", lambda one: one.change),
    Column("points", text=lambda one: points(one.difference)),
    Column("interval", text=points_interval),
    Column("verdict", lambda one: one.verdict, title=""),
]

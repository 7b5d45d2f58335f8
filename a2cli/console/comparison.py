"""A comparison's contenders and verdicts, as printed."""

from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.console.base import clock, results_console, say_best, say_data, say_split, say_where, table_of
from a2cli.formats import in_points, interval, mean_and_deviation
from a2cli.report import Report
from a2cli.results.comparison import ComparisonResults, Contender, Plan, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

MARKS = {"better": "+", "worse": "-", "equivalent": "=", "undecided": "?"}


def show_comparison(report: Report, folder: Path) -> None:
    """Print for each way of tuning the contenders, best first, and the matrix of verdicts; then the words."""
    results = report.results
    assert isinstance(results, ComparisonResults), "a comparison has those"
    console = results_console()
    say_data(console, report)
    for table in results.tables:
        title = "Each at its tuned learning rate" if table.tuning == "grid" else "All at one learning rate"
        console.print("", title, sep="\n")
        console.print(_contenders(table, results.target))
        if table.pairs:
            console.print(_matrix(table))
    if any(table.pairs for table in results.tables):
        console.print(
            f"Row against column: + better, - worse, = equivalent within {in_points(results.margin)}, ? undecided; "
            "intervals with simultaneous 95% confidence."
        )
    if results.target:
        console.print(
            f"to {results.target:.2f}: epochs until validation accuracy reached that target, the median over runs, and "
            "how many of them did, if not all; the target is --target, without it 90% of the best contender's accuracy."
        )
    for table in results.tables:
        console.print("", table.verdict, sep="\n")
    say_split(console, report)
    say_best(console, results.best, folder)
    say_where(console, report, folder)


def show_comparison_plan(plan: Plan) -> None:
    """Print what numbers of seeds would take and find."""
    console = results_console()
    shown = table_of("seeds", "trials", "time", "finds differences of", *["fits"] * (plan.budget is not None))
    for row in plan.rows:
        fits = ["yes" if row.fits else "no"] if plan.budget is not None else []
        finds = in_points(row.detectable, ".1f") if row.detectable < 1 else "nothing"
        bold = "bold" if row.seeds == plan.best else None
        shown.add_row(str(row.seeds), str(row.trials), clock(row.seconds), finds, *fits, style=bold)
    console.print(shown)
    console.print(
        f"A trial takes {plan.trial_seconds:.1f} s, {plan.jobs} run side by side. Differences are found with 80% "
        f"power at a standard deviation of {100 * plan.deviation:.1f} points over seeds ({plan.deviation_from})."
    )
    console.print(plan.verdict)


def _contenders(table: Table, target: float | None) -> "RichTable":
    reach = [f"to {target:.2f}"] if target else []
    shown = table_of("", "contender", "rate", "accuracy", "95%", *reach, "")
    for column in shown.columns[2:-1]:
        column.no_wrap = True
    for number, one in enumerate(table.contenders, start=1):
        accuracy, interval = _accuracy(one)
        marks = ["edge"] * one.at_edge + [f"{one.diverged} diverged"] * (one.diverged > 0)
        marks += [f"{one.failed} failed"] * (one.failed > 0)
        time = [f"{one.epochs_to_target:g} ep" if one.epochs_to_target else "-"] if reach else []
        if time and 0 < one.reached < len(one.runs):
            time[0] += f" {one.reached}/{len(one.runs)}"
        shown.add_row(str(number), one.name, f"{one.learning_rate:g}", accuracy, interval, *time, ", ".join(marks))
    return shown


def _accuracy(one: Contender) -> tuple[str, str]:
    if one.accuracy:
        found = one.accuracy
        return mean_and_deviation(found), interval(found, 2)
    known = [run.accuracy for run in one.runs if run.accuracy is not None]
    return (f"{known[0]:.3f}" if known else "none"), ""


def _matrix(table: Table) -> "RichTable":
    names = [one.name for one in table.contenders]
    shown = table_of("", "against", *(str(i) for i in range(1, len(names) + 1)))
    for number, row in enumerate(names, start=1):
        against = table.against(row)
        cells = [MARKS[against[column].verdict] if column in against else "" for column in names]
        shown.add_row(str(number), row, *cells)
    return shown

"""A comparison's contenders and verdicts, as printed."""

from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.columns import Column
from a2cli.console.base import clock, results_console, say_best, say_data, say_split, say_where, table_from, table_of
from a2cli.formats import in_points
from a2cli.reports.report import Report
from a2cli.reports.study_results import ComparisonResults, Contender, Plan, PlanRow, Table, called, contender_columns

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
    columns: list[Column[PlanRow]] = [
        Column("seeds", lambda row: row.seeds),
        Column("trials", lambda row: row.trials),
        Column("time", text=lambda row: clock(row.seconds)),
        Column("finds differences of",
               text=lambda row: in_points(row.detectable, ".1f") if row.detectable < 1 else "nothing"),
        Column("fits", text=lambda row: "yes" if row.fits else "no", printed=plan.budget is not None),
    ]  # fmt: skip
    shown = table_from(columns, plan.rows)
    for row, made in zip(plan.rows, shown.rows, strict=True):
        made.style = "bold" if row.seeds == plan.best else None
    console.print(shown)
    console.print(
        f"A trial takes {plan.trial_seconds:.1f} s, {plan.jobs} run side by side. Differences are found with 80% "
        f"power at a standard deviation of {100 * plan.deviation:.1f} points over seeds ({plan.deviation_from})."
    )
    console.print(plan.verdict)


def _contenders(table: Table, target: float | None) -> "RichTable":
    number = {contender.name: str(place) for place, contender in enumerate(table.contenders, start=1)}
    numbers: Column[Contender] = Column("number", text=lambda contender: number[contender.name], title="")
    shown = table_from([numbers, *contender_columns(target)], table.contenders)
    for column in shown.columns[2:-1]:
        column.no_wrap = True
    return shown


def _matrix(table: Table) -> "RichTable":
    names = [contender.name for contender in table.contenders]
    shown = table_of("", "against", *(str(i) for i in range(1, len(names) + 1)))
    for number, row in enumerate(names, start=1):
        against = table.against(row)
        cells = [MARKS[against[column].verdict] if column in against else "" for column in names]
        shown.add_row(str(number), called(row), *cells)
    return shown

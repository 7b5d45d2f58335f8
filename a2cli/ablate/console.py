"""What each ingredient brings, as printed."""

from collections import Counter
from pathlib import Path

from a2cli.ablate.verdict import WORDS
from a2cli.columns import Column
from a2cli.console.base import results_console, say_best, say_data, say_split, say_where, table_from
from a2cli.formats import interval, points, points_interval
from a2cli.reports.ablation_results import AblationResults, Combination, Contribution, Design, called
from a2cli.reports.report import Report
from a2cli.reports.study_results import PairVerdict, accuracy_text, bad_ends
from a2cli.settings.declare import shown


def show_ablation(report: Report, folder: Path) -> None:
    """Print for each ingredient the points it brings, both ways, with intervals and verdict; then the words."""
    results = report.results
    assert isinstance(results, AblationResults), "an ablation has those"
    console = results_console()
    say_data(console, report)
    shown = table_from(_ingredients(results.design), results.ingredients)
    for column in shown.columns[1:]:
        column.no_wrap = True
    console.print(shown)
    order = {"orders": "orders drawn for each seed", "all": "all orders"}.get(results.design)
    said = "Points of accuracy that it brings, and their interval; simultaneous 95% confidence for each column."
    said += f" On average: over {order} of taking away one ingredient after the other." if order else ""
    console.print(said)
    console.print(table_from(_combinations(results), _listed(results)))
    console.print(results.verdict)
    say_split(console, report)
    say_best(console, results.best, folder)
    say_where(console, report, folder)


def _ingredients(design: Design) -> list[Column[Contribution]]:
    """Return the columns of what each ingredient brings."""

    def verdict(one: Contribution) -> str:
        pair = one.decisive(design)
        return WORDS[pair.verdict] if pair else ""

    return [
        Column("ingredient", lambda one: one.name),
        Column("taken away alone", text=lambda one: _points(one.alone)),
        Column("on average", text=lambda one: _points(one.average), printed=design != "one-out"),
        Column("verdict", text=verdict),
    ]


def _points(pair: PairVerdict | None) -> str:
    if pair is None:
        return ""
    return f"{points(pair.difference)}  {points_interval(pair)}"


def _listed(results: AblationResults) -> list[Combination]:
    """Return the combinations to print: all, those without one ingredient, none, and the best."""
    count, best = len(results.ingredients), results.best.name if results.best else ""
    return [one for one in results.combinations if len(one.kept) in (0, count - 1, count) or one.name == best]


def _combinations(results: AblationResults) -> list[Column[Combination]]:
    """Return the columns of the combinations that were trained with."""
    return [
        Column("trained with", text=lambda one: _name(one, results)),
        Column("accuracy", text=accuracy_text),
        Column("95%", text=lambda one: interval(one.accuracy, 2) if one.accuracy else ""),
        Column("ended", title="", text=lambda one: ", ".join(bad_ends(Counter(run.status for run in one.runs)))),
    ]


def _name(one: Combination, results: AblationResults) -> str:
    """Return a combination's name; of one without one ingredient, also what stands in its place."""
    name, gone = called(one.name), [each for each in results.ingredients if each.name not in one.kept]
    if one.kept and len(gone) == 1:
        values = [shown(value) for value in gone[0].settings.values()]
        instead = [value for value in values if not value.startswith("without ")]  # an item of a list, which is named
        name += f" ({', '.join(instead)})" if instead else ""
    return name

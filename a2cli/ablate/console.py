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
    sentence = "Points of accuracy that it brings, and their interval; simultaneous 95% confidence for each column."
    sentence += f" On average: over {order} of taking away one ingredient after the other." if order else ""
    console.print(sentence)
    console.print(table_from(_combinations(results), _listed(results)))
    console.print(results.verdict)
    say_split(console, report)
    say_best(console, results.best, folder)
    say_where(console, report, folder)


def _ingredients(design: Design) -> list[Column[Contribution]]:
    """Return the columns of what each ingredient brings."""

    def verdict(contribution: Contribution) -> str:
        pair = contribution.decisive(design)
        return WORDS[pair.verdict] if pair else ""

    return [
        Column("ingredient", lambda row: row.name),
        Column("taken away alone", text=lambda row: _points(row.alone)),
        Column("on average", text=lambda row: _points(row.average), printed=design != "one-out"),
        Column("verdict", text=verdict),
    ]


def _points(pair: PairVerdict | None) -> str:
    if pair is None:
        return ""
    return f"{points(pair.difference)}  {points_interval(pair)}"


def _listed(results: AblationResults) -> list[Combination]:
    """Return the combinations to print: all, those without one ingredient, none, and the best."""
    count, best = len(results.ingredients), results.best.name if results.best else ""
    return [row for row in results.combinations if len(row.kept) in (0, count - 1, count) or row.name == best]


def _combinations(results: AblationResults) -> list[Column[Combination]]:
    """Return the columns of the combinations that were trained with."""
    return [
        Column("trained with", text=lambda row: _name(row, results)),
        Column("accuracy", text=accuracy_text),
        Column("95%", text=lambda row: interval(row.accuracy, 2) if row.accuracy else ""),
        Column("ended", title="", text=lambda row: ", ".join(bad_ends(Counter(run.status for run in row.runs)))),
    ]


def _name(combination: Combination, results: AblationResults) -> str:
    """Return a combination's name; of one without one ingredient, also what stands in its place."""
    name = called(combination.name)
    lacks = [ingredient for ingredient in results.ingredients if ingredient.name not in combination.kept]
    if combination.kept and len(lacks) == 1:
        values = [shown(value) for value in lacks[0].settings.values()]
        instead = [value for value in values if not value.startswith("without ")]  # an item of a list, which is named
        name += f" ({', '.join(instead)})" if instead else ""
    return name

"""What each ingredient brings, as printed."""

from pathlib import Path

from a2cli.console.base import results_console, say_best, say_data, say_split, say_where, table_of
from a2cli.formats import interval, mean_and_deviation, points, points_interval
from a2cli.report import Report
from a2cli.results.ablation import AblationResults, Combination
from a2cli.results.comparison import PairVerdict
from a2cli.settings.declare import shown

VERDICTS = {"better": "helps", "worse": "hurts", "equivalent": "no difference", "undecided": "undecided"}


def show_ablation(report: Report, folder: Path) -> None:
    """Print for each ingredient the points it brings, both ways, with intervals and verdict; then the words."""
    results = report.results
    assert isinstance(results, AblationResults), "an ablation has those"
    console = results_console()
    say_data(console, report)
    averaged = results.design != "one-out"
    shown = table_of("ingredient", "taken away alone", *["on average"] * averaged, "verdict")
    for column in shown.columns[1:]:
        column.no_wrap = True
    for one in results.ingredients:
        decides = one.average if averaged else one.alone
        cells = [_points(one.alone), *[_points(one.average)] * averaged]
        shown.add_row(one.name, *cells, VERDICTS[decides.verdict] if decides else "")
    console.print(shown)
    accuracies = table_of("trained with", "accuracy", "95%", "")
    for combination in _listed(results):
        accuracies.add_row(*_accuracy(combination, results))
    console.print(accuracies)
    order = {"orders": "orders drawn for each seed", "all": "all orders"}.get(results.design)
    said = "Points of accuracy that it brings, and their interval; simultaneous 95% confidence for each column."
    said += f" On average: over {order} of taking away one ingredient after the other." if order else ""
    console.print(said, "", results.verdict, sep="\n")
    say_split(console, report)
    say_best(console, results.best, folder)
    say_where(console, report, folder)


def _points(pair: PairVerdict | None) -> str:
    if pair is None:
        return ""
    return f"{points(pair.difference)}  {points_interval(pair)}"


def _listed(results: AblationResults) -> list[Combination]:
    """Return the combinations to print: all, those without one ingredient, none, and the best."""
    count, best = len(results.ingredients), results.best.name if results.best else ""
    return [one for one in results.combinations if len(one.kept) in (0, count - 1, count) or one.name == best]


def _accuracy(one: Combination, results: AblationResults) -> tuple[str, str, str, str]:
    """Return a combination's row; of one without one ingredient, also what stands in its place."""
    name, gone = one.name, [each for each in results.ingredients if each.name not in one.kept]
    if one.kept and len(gone) == 1:
        values = [shown(value) for value in gone[0].settings.values()]
        instead = [value for value in values if not value.startswith("without ")]  # an item of a list, which is named
        name += f" ({', '.join(instead)})" if instead else ""
    bad = ", ".join(f"{sum(run.status == status for run in one.runs)} {status}" for status in ("diverged", "failed")
                    if any(run.status == status for run in one.runs))  # fmt: skip
    if one.accuracy is None:
        known = [run.accuracy for run in one.runs if run.accuracy is not None]
        return name, f"{known[0]:.3f}" if known else "none", "", bad
    found = one.accuracy
    return (name, mean_and_deviation(found), interval(found, 2), bad)

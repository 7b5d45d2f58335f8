"""What networks learned, as printed: a table of layers for each network, units, maps of images."""

from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.console.base import add_layers, results_console, say_where, table_of
from a2cli.formats import counted
from a2cli.report import Report
from a2cli.results.invariance import by_reason
from a2cli.results.weights import LayerWeights, Look, ViewedNetwork, WeightResults

if TYPE_CHECKING:
    from rich.table import Table

MOST_UNITS = 8
LEGEND = (
    "In brackets: re-initialised networks. dead: units that answer all images alike; same: groups of units with equal "
    "weights; rank: effective, a share of the largest; smooth: correlation of neighbouring weights; moved: "
    "distance from the initial weights, divided by their norm; as begun: like its initialisation by these measures, "
    "which does not mean that it learned nothing or is of no use."
)


def show_weights(report: Report, folder: Path) -> None:
    """Print for each network what its layers' weights show beside re-initialised ones, then maps, then the verdict."""
    results = report.results
    assert isinstance(results, WeightResults), "such a run has those"
    console = results_console()

    def say(*lines: str) -> None:
        if lines:
            console.print(*lines, sep="\n")

    for one in results.networks:
        images = f", on {one.source} ({counted(one.images, 'image')})" if one.images else ""
        say(f"{one.name}, weights {one.weights}{images}")
        if one.layers:
            console.print(_layers(one, console.width))
        say(*_units(one), *(f"Left out: {', '.join(parts)}, as {why}." for parts, why in by_reason(one.skipped)))
    if any(one.layers for one in results.networks):
        say(LEGEND)
    for look in results.looks:
        say("", f"{look.image}: {look.answer} ({look.probability:.2f}) by {look.network}; maps for {look.looked_for}")
        console.print(_maps(look))
        say(*(f"Left out: {', '.join(methods)}, as {why}." for methods, why in by_reason(look.skipped)))
    if results.looks:
        say("alike: the rank correlation with maps of so many networks with random weights, mean, least and most.")
    if results.verdict:
        say("", results.verdict)
    say_where(console, report, folder)


def _layers(network: ViewedNetwork, width: int) -> "Table":
    table = table_of("layer", "units", "dead", "same", "rank", "smooth", "moved", "verdict")
    for column in table.columns[1:]:
        column.no_wrap = True
    add_layers(table, [_cells(one) for one in network.layers], width)
    return table


def _cells(one: LayerWeights) -> list[str]:
    found = {measure.name: f"{measure.value:.2f} ({measure.random:.2f})" for measure in one.measures}
    dead = f"{len(one.dead)} ({one.dead_random})"
    moved = "" if one.moved is None else f"{one.moved:.2f}"
    same = f"{len(one.duplicates)} ({one.duplicates_random})"
    measures = [found.get(name, "") for name in ("effective rank", "smoothness")]
    verdict = "learned" if one.verdict == "learned" else "as begun"
    return [one.layer, str(one.units), dead, same, *measures, moved, verdict]


def _units(network: ViewedNetwork) -> list[str]:
    lines = []
    for layer in dict.fromkeys(view.layer for view in network.units):
        views = [view for view in network.units if view.layer == layer]
        some = ", ".join(str(view.unit) for view in views[:MOST_UNITS]) + (", ..." if len(views) > MOST_UNITS else "")
        order = "by their number" if views[0].use is None else "the most used first"
        lines.append(f"Units of {layer} shown, {order}: {some}")
    return lines


def _maps(look: Look) -> "Table":
    table = table_of("map", "alike", "least to most", "of", "about learning")
    for column in table.columns:
        column.no_wrap = True
    for one in look.maps:
        shown = "", "empty"
        if one.alike is not None:
            mean, least, most = one.alike
            shown = f"{mean:.2f}", f"{least:.2f} to {most:.2f}"
        table.add_row(one.method, *shown, str(one.compared), "says nothing" if one.says_nothing else "")
    return table

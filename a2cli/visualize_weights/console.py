"""What networks learned, as printed: a table of layers for each network, units, maps of images."""

from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.columns import Column, in_print
from a2cli.console.base import add_layers, results_console, say_where, table_from, table_of
from a2cli.formats import counted
from a2cli.probe_invariance.results import by_reason
from a2cli.reports.report import Report
from a2cli.visualize_weights.results import LayerWeights, Look, Map, ViewedNetwork, WeightResults

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

    for network in results.networks:
        images = f", on {network.source} ({counted(network.images, 'image')})" if network.images else ""
        say(f"{network.name}, weights {network.weights}{images}")
        if network.layers:
            console.print(_layers(network, console.width))
        say(
            *_units(network), *(f"Left out: {', '.join(parts)}, as {why}." for parts, why in by_reason(network.skipped))
        )
    if any(network.layers for network in results.networks):
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
    heads, rows = in_print(LAYERS, network.layers)
    table = table_of(*heads)
    add_layers(table, rows, width)
    for column in table.columns[1:]:
        column.no_wrap = True
    return table


def _measure(name: str, title: str) -> Column[LayerWeights]:
    """Return the column of a measure, in brackets that of re-initialised networks."""

    def text(one: LayerWeights) -> str:
        return next((f"{found.value:.2f} ({found.random:.2f})" for found in one.measures if found.name == name), "")

    return Column(name, text=text, title=title)


LAYERS: list[Column[LayerWeights]] = [
    Column("layer", lambda one: one.layer),
    Column("units", lambda one: one.units),
    Column("dead", text=lambda one: f"{len(one.dead)} ({one.dead_random})"),
    Column("same", text=lambda one: f"{len(one.duplicates)} ({one.duplicates_random})"),
    _measure("effective rank", "rank"),
    _measure("smoothness", "smooth"),
    Column("moved", lambda one: one.moved, ".2f"),
    Column("verdict", text=lambda one: "learned" if one.verdict == "learned" else "as begun"),
]


def _units(network: ViewedNetwork) -> list[str]:
    lines = []
    for layer in dict.fromkeys(view.layer for view in network.units):
        views = [view for view in network.units if view.layer == layer]
        some = ", ".join(str(view.unit) for view in views[:MOST_UNITS]) + (", ..." if len(views) > MOST_UNITS else "")
        order = "by their number" if views[0].use is None else "the most used first"
        lines.append(f"Units of {layer} shown, {order}: {some}")
    return lines


def _maps(look: Look) -> "Table":
    table = table_from(MAPS, look.maps)
    for column in table.columns:
        column.no_wrap = True
    return table


MAPS: list[Column[Map]] = [
    Column("map", lambda one: one.method),
    Column("alike", lambda one: one.alike and one.alike[0], ".2f"),
    Column("least to most", text=lambda one: f"{one.alike[1]:.2f} to {one.alike[2]:.2f}" if one.alike else "empty"),
    Column("of", lambda one: one.compared),
    Column("about learning", text=lambda one: "says nothing" if one.says_nothing else ""),
]

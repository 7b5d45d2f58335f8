"""A probe's heat maps: accuracy over translations, how far layers move, what share of each class is recognised."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorizer import ColorizingArtist
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from a2cli.figures.common import (
    FAINT,
    INK,
    MAPS,
    color_bar,
    evenly,
    fitted,
    new_axes,
    on_color,
    some_of,
    spaced,
    titled,
    width_of,
)
from a2cli.formats import rounded
from a2cli.probe_invariance.results import ProbedRun

MOST_CLASSES, MOST_LAYERS, MOST_CHANGES, MOST_RUNS, MOST_MAPS = 30, 12, 24, 2, 9  # that there is room for
ACROSS, DOWN = 0.34, 0.19  # inches of a cell
LABEL, NAME = 1.4, 1.2  # of changes and their axis, of a class or layer
MANY_CHANGES = 5  # whose rows are as high as a longer name of their axis
BAR = 0.95  # a colour bar with its numbers
STRONGEST = "each change at the strength, given after its name, that moves the layers most on average"
WORST = "each change at the strength, given after its name, with the lowest accuracy"
MOVEMENT = (
    "0: stays where it was; 1: goes as far as to another image; "
    "off course: from where the unchanged activations would be, moved as the image was"
)
Grid = NDArray[np.float64]


def translations(runs: Sequence[ProbedRun]) -> Figure:
    """Accuracy over translations right and down, a panel a run."""
    of, runs = len(runs), runs[:MOST_MAPS]
    side, between, below, columns = 2.9, 0.85, 1.05, min(3, len(runs))
    deep = -(-len(runs) // columns)
    title = f"Percent of images recognised when they are moved{some_of(len(runs), of, 'runs')}"
    figure, head = titled(columns * (side + between) + BAR, deep * (side + below) - 0.15, title)
    width, height = figure.get_size_inches()
    drawn: ColorizingArtist | None = None
    for i, run in enumerate(runs):
        across = sorted({right for right, _, _ in run.translations})
        along = sorted({down for _, down, _ in run.translations})
        grid = np.zeros((len(along), len(across)))
        for right, down, accuracy in run.translations:
            grid[along.index(down), across.index(right)] = 100 * accuracy
        left, top = 0.75 + i % columns * (side + between), head + 0.3 + i // columns * (side + below)
        axes = new_axes(figure, left, height - top - side, width - left - side, top)
        drawn = _heat(axes, grid, 100, rounded)
        axes.set_xticks(range(len(across)), [f"{value:+.2g}" for value in across], fontsize=7)
        axes.set_yticks(range(len(along)), [f"{value:+.2g}" for value in along], fontsize=7)
        axes.set_xlabel("right, share of the width", fontsize=8)
        axes.set_ylabel("down, share of the height", fontsize=8)
        axes.set_title(fitted(run.name, side, 9), loc="left", fontsize=9, color=INK)
    assert drawn is not None, "there is one run at least"
    color_bar(figure, drawn, width - BAR + 0.1, height - head - 0.3 - side, side, "percent recognised")
    return figure


def layers(runs: Sequence[ProbedRun]) -> Figure:
    """How far each layer moves, and off its course, at each change's strength that moves most; a row a run."""
    kinds, of = ("moved", "off_course"), len(runs)
    runs = runs[:MOST_RUNS]
    by_change = [[_fewer(*_movement(run, kind)) for kind in kinds] for run in runs]
    panel = max(2.4, max(len(part[1]) for row in by_change for part in row) * ACROSS)
    foot = 0.1 + max((width_of(name, 7) for row in by_change for part in row for name in part[1]), default=0.3)
    deep = [max(len(changes) for changes, _, _, _ in row) * DOWN + foot + 0.55 for row in by_change]
    width = 2 * (LABEL + 0.15 + panel) + BAR + 0.1
    title = "How far each layer moves under each change"
    title += some_of(len(runs), of, "runs")
    figure, head = titled(width, sum(deep), title, STRONGEST, MOVEMENT)
    height = figure.get_size_inches()[1]
    values = np.concatenate([grid.ravel() for row in by_change for _, _, grid, _ in row])
    most = min(2.0, max(1.0, float(np.nanmax(values, initial=0))))
    drawn = None
    for number, (run, row) in enumerate(zip(runs, by_change, strict=True)):
        top = head + sum(deep[:number]) + 0.3
        for i, (changes, names, grid, some) in enumerate(row):
            if changes:
                left = LABEL + 0.05 + i * (panel + LABEL + 0.15)
                high, wide = len(changes) * DOWN, len(names) * ACROSS
                axes = new_axes(figure, left, height - top - high, width - left - wide, top)
                drawn = _heat(axes, grid, most, "{:.1f}".format)
                _label(axes, changes, names, "layer")
                words = f": {kinds[i].replace('_', ' ')}{some}"
                name = fitted(run.name, max(0.6, panel + 0.2 - width_of(words, 8.5)), 8.5)
                axes.set_title(name + words, loc="left", fontsize=8.5, color=INK)
    if drawn is not None:
        tall = min(2.5, deep[0] - foot - 0.55)
        color_bar(figure, drawn, width - BAR + 0.1, height - head - 0.3 - tall, tall, "distance",
                  extend="max" if most < np.nanmax(values) else "neither")  # fmt: skip
    return figure


def _fewer(changes: list[str], names: list[str], grid: Grid) -> tuple[list[str], list[str], Grid, str]:
    """Return what there is room for of a movement, and words that say how many layers and changes those are."""
    shown = evenly(range(len(names)), MOST_LAYERS)
    some = some_of(len(shown), len(names), "layers") + some_of(min(MOST_CHANGES, len(changes)), len(changes), "changes")
    changes = changes[:MOST_CHANGES]
    return changes, [names[i] for i in shown], grid[: len(changes), shown] if len(names) else grid, some


def classes(runs: Sequence[ProbedRun]) -> Figure:
    """What share of each class is recognised, unchanged and under each change at its worst; a row a run.

    Of very many classes those with the most images.
    """
    of, runs = len(runs), runs[:MOST_RUNS]
    largest = [np.sort(np.argsort([-n for n in run.counts.values()], kind="stable")[:MOST_CLASSES]) for run in runs]
    by_run = [_recognised(run) for run in runs]
    names = [[fitted(spaced(list(run.counts)[column]), NAME, 7) for column in shown_classes]
             for run, shown_classes in zip(runs, largest, strict=True)]  # fmt: skip
    foot = 0.1 + max(width_of(name, 7) for row in names for name in row)
    deep = [len(grid) * DOWN + foot + 0.55 for _, grid in by_run]
    panel = max(3.0, max(map(len, largest)) * ACROSS)
    width = LABEL + 0.3 + panel + BAR
    title = "Percent of each class recognised, unchanged and changed"
    title += some_of(len(runs), of, "runs")
    figure, head = titled(width, sum(deep), title, WORST, "white without a number: no image of the class")
    height = figure.get_size_inches()[1]
    for number, (run, (changes, grid), shown_classes) in enumerate(zip(runs, by_run, largest, strict=True)):
        top, high, wide = head + sum(deep[:number]) + 0.3, len(grid) * DOWN, len(shown_classes) * ACROSS
        axes = new_axes(figure, LABEL + 0.05, height - top - high, width - LABEL - 0.05 - wide, top)
        drawn = _heat(axes, 100 * grid[:, shown_classes], 100, rounded)
        _label(axes, changes, names[number], "class")
        some = some_of(len(shown_classes), len(run.counts), "classes, those with the most images")
        name = fitted(run.name, max(1.0, panel - width_of(some, 8.5)), 8.5)
        axes.set_title(name + some, loc="left", fontsize=8.5, color=INK)
        if number == 0:
            tall = min(2.5, height - top - 0.1)  # of few changes there is less room than the bar takes
            color_bar(figure, drawn, width - BAR + 0.1, height - top - tall, tall, "share of the class's images",
                      format=PercentFormatter())  # fmt: skip
    return figure


def _recognised(run: ProbedRun) -> tuple[list[str], Grid]:
    """Return what was done to the images, and the share of each class recognised then, NaN of a class without any."""
    counts = np.array(list(run.counts.values()), dtype=np.float64)
    counts[counts == 0] = np.nan
    rows = {"unchanged": np.array(run.by_class) / counts}
    for change in run.changes[:MOST_CHANGES]:
        point = min(change.points, key=lambda p: p.accuracy.value)
        draws = point.accuracy.count / run.unchanged.count
        at = "" if point.strength is None else f" {point.strength:g}"
        rows[change.title + at] = np.array(point.classes) / draws / counts
    return list(rows), np.array(list(rows.values()))


def _heat(axes: Axes, grid: Grid, most: float, form: Callable[[float], str]) -> ColorizingArtist:
    drawn = axes.imshow(grid, cmap=MAPS, vmin=0, vmax=most, aspect="auto")
    colors = drawn.to_rgba(grid)
    for row, column in np.ndindex(grid.shape):
        if not np.isnan(value := grid[row, column]):
            axes.text(column, row, form(float(value)), ha="center", va="center_baseline", fontsize=6.5,
                      color=on_color(colors[row, column]))  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)
    return drawn


def _label(axes: Axes, changes: Sequence[str], names: Sequence[str], what: str) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(changes)), [fitted(change, LABEL - 0.35, 7) for change in changes], fontsize=7)
    axes.set_xlabel(what, fontsize=8)
    axes.set_ylabel("change and strength" if len(changes) > MANY_CHANGES else "change", fontsize=8)


def _movement(run: ProbedRun, kind: str) -> tuple[list[str], list[str], Grid]:
    """Return the changes, the layers, and what stands in each cell, NaN where nothing is known."""
    by_title = {}
    for change in run.changes:
        point = max(change.points, key=lambda p: sum(layer.moved for layer in p.layers))
        at = "" if point.strength is None else f" {point.strength:g}"
        values = {layer.layer: getattr(layer, kind) for layer in point.layers}
        if any(value is not None for value in values.values()):
            by_title[change.title + at] = values
    rows = list(by_title.values())
    names = dict.fromkeys(name for values in rows for name, value in values.items() if value is not None)
    grid = np.array([[np.nan if (v := values.get(name)) is None else v for name in names] for values in rows])
    return list(by_title), ["image" if name == "normalize" else fitted(name, NAME, 7) for name in names], grid

"""The figures of a probe: accuracy over each change's strength, changed images with answers, two heat maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from a2cli.plots.common import (
    FAINT,
    INK,
    TRAIN,
    VAL,
    evenly,
    in_legend,
    new_axes,
    new_figure,
    plain,
    readable,
    shortened,
    some_of,
)
from a2cli.results.invariance import ChangeResult, ProbedRun

COLORS = mpl.color_sequences["tab10"]
COLUMNS = 4
WIDTH, HEIGHT = 2.45, 2.15
LEVEL = 7  # names that fit side by side
MOST_CLASSES, MOST_LAYERS, MOST_RUNS, MOST_MAPS = 32, 16, 2, 9  # that there is room for


@dataclass(frozen=True)
class Tile:
    """One image in a contact sheet: (S, S, 3) uint8, what stands above it and below, whether the answer is right."""

    image: NDArray[np.uint8]
    title: str
    answer: str
    is_right: bool


def curves(runs: Sequence[ProbedRun], margin: float) -> Figure:
    """A panel a change: accuracy over strength with its interval, the share of answers that stay, the unchanged.

    What has no strength, or one drawn for each image, is in the last row. Of several runs each has its colour.
    """
    names = list(dict.fromkeys(one.title for run in runs for one in run.changes if one.points[0].strength is not None))
    plainer = list(dict.fromkeys(one.title for run in runs for one in run.changes if one.points[0].strength is None))
    rows = -(-len(names) // COLUMNS) + bool(plainer)
    width, top = COLUMNS * WIDTH + 0.5, 0.75 + 0.19 * ((len(runs) - 1) // COLUMNS)  # four names a row in the legend
    foot = 0.85 if len(plainer) <= LEVEL else 1.25
    figure = new_figure(width, max(1, rows) * HEIGHT + top + (foot - 0.5 if plainer else -0.3))
    height = figure.get_size_inches()[1]
    for i, name in enumerate(names):
        left, above = 0.5 + i % COLUMNS * WIDTH, top + i // COLUMNS * HEIGHT
        axes = new_axes(figure, left, height - above - HEIGHT + 0.8, width - left - WIDTH + 0.3, above + 0.1)
        _panel(axes, [(run, one) for run in runs for one in run.changes if one.title == name], len(runs) == 1)
        if i % COLUMNS:
            axes.set_yticklabels([])
    if plainer:
        axes = new_axes(figure, 0.5, foot, 0.3, height - foot - (HEIGHT - 0.8))
        _bars(axes, runs, plainer)
    _legend(figure, runs, margin)
    return figure


def _panel(axes: Axes, changes: Sequence[tuple[ProbedRun, ChangeResult]], alone: bool) -> None:
    for i, (run, one) in enumerate(changes):
        color = VAL if alone else COLORS[i % len(COLORS)]
        known = [(p.strength, p.accuracy.value, p.accuracy.low, p.accuracy.high, p.consistency.value)
                 for p in one.points if p.strength is not None]  # fmt: skip
        if one.identity is not None:
            u = run.unchanged
            known = sorted([*known, (one.identity, u.value, u.low, u.high, 1.0)])
        strengths, values, lows, highs, same = zip(*known, strict=True)
        axes.fill_between(strengths, lows, highs, color=color, alpha=0.18 if alone else 0.08, linewidth=0)
        axes.plot(strengths, values, color=color, linewidth=1.6, marker="o", markersize=2.5)
        if alone:
            axes.plot(strengths, same, color=TRAIN, linewidth=1, linestyle="--")
            axes.axhline(run.unchanged.value, color=INK, linewidth=0.7, linestyle=":")
            axes.axhline(run.majority.value, color=INK, linewidth=0.7, linestyle=(0, (1, 3)))
    first = changes[0][1]
    plain(axes, first.title + (f": {first.verdict}" if alone else ""), first.unit)
    axes.title.set_fontsize(9)
    axes.xaxis.label.set_fontsize(7.5)
    axes.tick_params(labelsize=7.5)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if first.identity is None:
        axes.invert_xaxis()  # of qualities the mildest is the highest


def _bars(axes: Axes, runs: Sequence[ProbedRun], names: Sequence[str]) -> None:
    for i, run in enumerate(runs):
        color = VAL if len(runs) == 1 else COLORS[i % len(COLORS)]
        shift = (i - (len(runs) - 1) / 2) * 0.6 / max(1, len(runs))
        for one in run.changes:
            if one.title in names:
                point, at = one.points[0], names.index(one.title) + shift
                axes.vlines(at, point.accuracy.low, point.accuracy.high, color=color, linewidth=1)
                axes.plot(at, point.accuracy.value, "o", color=color, markersize=5)
                axes.plot(at, point.consistency.value, "_", color=TRAIN if len(runs) == 1 else color, markersize=9)
        axes.axhline(run.unchanged.value, color=INK if len(runs) == 1 else color, linewidth=0.7, linestyle=":")
        if len(runs) == 1:
            axes.axhline(run.majority.value, color=INK, linewidth=0.7, linestyle=(0, (1, 3)))
    verdicts = {one.title: one.verdict for run in runs for one in run.changes} if len(runs) == 1 else {}
    plain(axes, "Without a strength, or with one drawn for each image", "")
    labels = [f"{name}\n{verdicts[name]}" if name in verdicts else name for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=20 if len(names) <= LEVEL else 45, ha="right", fontsize=8)
    axes.set_ylim(0, 1)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _legend(figure: Figure, runs: Sequence[ProbedRun], margin: float) -> None:
    axes = figure.axes[0]
    if len(runs) == 1:
        lines = [
            axes.plot([], [], color=VAL, marker="o", markersize=3, label="accuracy, 95% interval")[0],
            axes.plot([], [], color=TRAIN, linestyle="--", label="same answer as unchanged")[0],
            axes.plot([], [], color=INK, linestyle=":", label="unchanged")[0],
            axes.plot([], [], color=INK, linestyle=(0, (1, 3)), label="largest class")[0],
        ]
    else:
        lines = [axes.plot([], [], color=COLORS[i % len(COLORS)], marker="o", label=in_legend(run.name, 30))[0]
                 for i, run in enumerate(runs)]  # fmt: skip
    what = shortened(runs[0].name, 40) if len(runs) == 1 else f"{len(runs)} runs"
    height = figure.get_size_inches()[1]
    title = f"Accuracy under changes of the image, {what} (margin {100 * margin:g} points)"
    figure.text(0.01, 1 - 0.24 / height, title, fontsize=11, color=INK, va="center")
    figure.legend(
        handles=lines, frameon=False, fontsize=8, ncols=4, loc="upper left", bbox_to_anchor=(0, 1 - 0.3 / height)
    )


def sheet(title: str, rows: Sequence[tuple[str, Sequence[Tile]]]) -> Figure:
    """One image under every change: a row a change, weak to strong, the network's answer under each."""
    tile, gap, words, name = 0.92, 0.14, 0.36, 1.0
    columns = max(len(tiles) for _, tiles in rows)
    figure = new_figure(name + columns * (tile + gap) + 0.1, len(rows) * (tile + words) + 0.5)
    width, height = figure.get_size_inches()
    axes = new_axes(figure, 0, 0, 0, 0)  # one for all pictures: axes of their own cost ten times the time
    axes.set_axis_off()
    axes.text(0.1, height - 0.25, shortened(title, 80), fontsize=11, color=INK, va="center")
    for row, (change, tiles) in enumerate(rows):
        top = height - 0.5 - row * (tile + words)
        axes.text(0.1, top - 0.16 - tile / 2, change.replace(" ", "\n"), fontsize=8.5, color=INK, va="center")
        for column, one in enumerate(tiles):
            left = name + column * (tile + gap)
            axes.text(left, top - 0.02, one.title, fontsize=6.5, color=INK, va="top")
            axes.imshow(one.image, extent=(left, left + tile, top - 0.16 - tile, top - 0.16), interpolation="nearest")
            color = VAL if one.is_right else TRAIN
            axes.text(left, top - 0.18 - tile, shortened(one.answer, 18), fontsize=6.5, color=color, va="top")
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure


def translations(runs: Sequence[ProbedRun]) -> Figure:
    """Accuracy over translations right and down, a panel a run."""
    runs = runs[:MOST_MAPS]
    side, between, columns = 2.9, 0.95, min(3, len(runs))
    deep = -(-len(runs) // columns)
    figure = new_figure(columns * (side + between) + 0.1, deep * (side + 1.15))
    width, height = figure.get_size_inches()
    for i, run in enumerate(runs):
        across = sorted({right for right, _, _ in run.translations})
        along = sorted({down for _, down, _ in run.translations})
        grid = np.zeros((len(along), len(across)))
        for right, down, accuracy in run.translations:
            grid[along.index(down), across.index(right)] = accuracy
        left, top = 0.75 + i % columns * (side + between), 0.5 + i // columns * (side + 1.15)
        axes = new_axes(figure, left, height - top - side, width - left - side, top)
        axes.imshow(grid, cmap="viridis", vmin=0, vmax=1)
        for row, column in np.ndindex(grid.shape):
            ink = "white" if grid[row, column] < 0.6 else INK
            axes.text(column, row, f"{100 * grid[row, column]:.0f}", ha="center", va="center", fontsize=7.5, color=ink)
        axes.set_xticks(range(len(across)), [f"{value:+.2g}" for value in across], fontsize=7.5)
        axes.set_yticks(range(len(along)), [f"{value:+.2g}" for value in along], fontsize=7.5)
        axes.set_xlabel("right, share of the width", fontsize=8)
        axes.set_ylabel("down, share of the height", fontsize=8)
        axes.set_title(f"{shortened(run.name, 28)}: % right when moved", loc="left", fontsize=9, color=INK)
    return figure


def layers(runs: Sequence[ProbedRun]) -> Figure:
    """How far each layer moves under each change at its strongest, and off its course; a row a run."""
    kinds, of = ("moved", "off_course"), len(runs)
    runs = runs[:MOST_RUNS]
    found = [[_fewer(*_movement(run, kind)) for kind in kinds] for run in runs]
    cell, words, foot, head = 0.34, 1.75, 1.3, 0.45
    across = [words + max(len(row[i][1]) for row in found) * cell + 0.3 for i in range(len(kinds))]
    deep = [max(len(changes) for changes, _, _, _ in row) * cell + foot + head for row in found]
    figure = new_figure(max(sum(across), 7.5), sum(deep) + 0.55)
    width, height = figure.get_size_inches()
    title = "Each layer's movement: 0 stays where it was, 1 goes as far as to another image"
    title += some_of(len(runs), of, "runs")
    under = "off course: from where the unchanged activations would be, moved as the image was"
    figure.text(0.1 / width, 1 - 0.2 / height, title, fontsize=11, color=INK, va="center")
    figure.text(0.1 / width, 1 - 0.42 / height, under, fontsize=8.5, color=INK, va="center")
    for number, (run, row) in enumerate(zip(runs, found, strict=True)):
        top = 0.55 + sum(deep[:number]) + head
        for i, (changes, names, grid, some) in enumerate(row):
            if changes:
                left, bottom = words + sum(across[:i]), height - top - len(changes) * cell
                axes = new_axes(figure, left, bottom, width - left - len(names) * cell, top)
                _heat(axes, changes, names, grid)
                what = kinds[i].replace("_", " ")
                axes.set_title(f"{shortened(run.name, 28)}: {what}{some}", loc="left", fontsize=9.5, color=INK)
    return figure


def _fewer(
    changes: list[str], names: list[str], grid: NDArray[np.float64]
) -> tuple[list[str], list[str], NDArray[np.float64], str]:
    """Return what there is room for of a movement, and words that say how many layers those are."""
    shown = evenly(range(len(names)), MOST_LAYERS)
    some = some_of(len(shown), len(names), "layers")
    return changes, [names[i] for i in shown], grid[:, shown] if len(names) else grid, some


def classes(runs: Sequence[ProbedRun]) -> Figure:
    """What share of each class is recognised, unchanged and under each change at its worst; a row a run.

    Of very many classes those with the most images.
    """
    of, runs = len(runs), runs[:MOST_RUNS]
    largest = [np.sort(np.argsort([-n for n in run.counts.values()], kind="stable")[:MOST_CLASSES]) for run in runs]
    found = [_recognised(run) for run in runs]
    cell, words, foot, head = 0.34, 1.85, 1.5, 0.45
    deep = [len(grid) * cell + foot + head for _, grid in found]
    figure = new_figure(max(words + max(map(len, largest)) * cell + 0.3, 7.5), sum(deep) + 0.4)
    width, height = figure.get_size_inches()
    title = "Percent of each class recognised: unchanged, and where each change does most harm"
    title += some_of(len(runs), of, "runs")
    figure.text(0.1 / width, 1 - 0.2 / height, title, fontsize=11, color=INK, va="center")
    for number, (run, (changes, grid), kept) in enumerate(zip(runs, found, largest, strict=True)):
        top = 0.4 + sum(deep[:number]) + head
        axes = new_axes(figure, words, height - top - len(grid) * cell, width - words - len(kept) * cell, top)
        names = [readable(list(run.counts)[column], 18) for column in kept]
        _heat(axes, changes, names, 100 * grid[:, kept], "viridis", 100, "{:.0f}")
        some = some_of(len(kept), len(run.counts), "classes, those with the most images")
        axes.set_title(f"{shortened(run.name, 28)}{some}", loc="left", fontsize=9.5, color=INK)
    return figure


def _recognised(run: ProbedRun) -> tuple[list[str], NDArray[np.float64]]:
    """Return what was done to the images, and the share of each class recognised then, NaN of a class without any."""
    counts = np.array(list(run.counts.values()), dtype=np.float64)
    counts[counts == 0] = np.nan
    rows = {"unchanged": np.array(run.by_class) / counts}
    for one in run.changes:
        point = min(one.points, key=lambda p: p.accuracy.value)
        draws = point.accuracy.count / run.unchanged.count
        at = "" if point.strength is None else f" {point.strength:g}"
        rows[one.title + at] = np.array(point.classes) / draws / counts
    return list(rows), np.array(list(rows.values()))


def _heat(
    axes: Axes,
    changes: Sequence[str],
    names: Sequence[str],
    grid: NDArray[np.float64],
    cmap: str = "magma_r",
    most: float = 1.2,
    form: str = "{:.1f}",
) -> None:
    colors = axes.imshow(grid, cmap=cmap, vmin=0, vmax=most, aspect="auto").to_rgba(grid)
    for row, column in np.ndindex(grid.shape):
        if not np.isnan(value := grid[row, column]):
            ink = INK if colors[row, column, :3].sum() > 1.5 else "white"
            axes.text(column, row, form.format(value), ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7.5)
    axes.set_yticks(range(len(changes)), changes, fontsize=7.5)
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)


def _movement(run: ProbedRun, kind: str) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return the changes, the layers, and what stands in each cell, NaN where nothing is known."""
    strongest = [(one, max(one.points, key=lambda p: sum(layer.moved for layer in p.layers))) for one in run.changes]
    found = {}
    for one, point in strongest:
        at = "" if point.strength is None else f" {point.strength:g}"
        values = {layer.layer: getattr(layer, kind) for layer in point.layers}
        if any(value is not None for value in values.values()):
            found[one.title + at] = values
    known = dict.fromkeys(name for values in found.values() for name, value in values.items() if value is not None)
    names = list(known)
    grid = np.array([[np.nan if (v := values.get(name)) is None else v for name in names] for values in found.values()])
    return list(found), ["image" if name == "normalize" else shortened(name, 18) for name in names], grid

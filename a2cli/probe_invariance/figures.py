"""The figures of a probe: accuracy over each change's strength, changed images with answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from a2cli.figures.common import (
    GREY,
    INK,
    TRAIN,
    VAL,
    VERDICTS,
    fitted,
    in_legend,
    legend_above,
    legend_height,
    new_axes,
    page,
    percent,
    place,
    plain,
    series,
    some_of,
    titled,
)
from a2cli.formats import in_points
from a2cli.probe_invariance.results import ChangeResult, ProbedRun
from a2cli.reports.training_results import without_knowledge

COLUMNS, WIDTH, HEIGHT, LEFT = 4, 2.45, 1.95, 0.65  # of panels; inches
MOST_RUNS, MOST_PANELS, MOST_ROWS = 8, 20, 18  # that there is room for
UNCHANGED: Final[dict[str, Any]] = {"linestyle": ":", "linewidth": 1.2}
# Solid, as two broken lines are alike in small panels.
NO_KNOWLEDGE: Final[dict[str, Any]] = {"linestyle": "-", "linewidth": 0.7}


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
    of, runs = len(runs), runs[:MOST_RUNS]
    changes = [change for run in runs for change in run.changes]
    titles = list(dict.fromkeys(change.title for change in changes if change.points[0].strength is not None))
    names = titles[:MOST_PANELS]
    plainer = list(dict.fromkeys(change.title for change in changes if change.points[0].strength is None))
    wide = max(2.5, 1.1 * len(plainer)) if plainer else 0.0
    columns = min(COLUMNS, max(2 if plainer else 1, len(names), ceil(wide / WIDTH)))  # no wider than what is drawn
    rows, width, foot = -(-len(names) // columns), columns * WIDTH + LEFT, HEIGHT + 0.3 if plainer else 0.0
    handles = _handles(runs, any(plainer))
    legend = legend_height(width, [str(handle.get_label()) for handle in handles])
    what = fitted(runs[0].name, 3.5, 11) if of == 1 else f"{len(runs)} of {of} runs" if len(runs) < of else f"{of} runs"
    title = f"Accuracy under changes of the image, {what}"
    title += some_of(len(names), len(titles), "changes")
    caption = f"invariant: at every strength within {in_points(margin)} of the accuracy unchanged"
    figure, head = titled(width, legend + rows * HEIGHT + foot, title, caption)
    height = figure.get_size_inches()[1]
    for i, name in enumerate(names):
        left, above = LEFT + i % columns * WIDTH, head + legend + i // columns * HEIGHT
        axes = new_axes(figure, left, height - above - HEIGHT + 0.5, width - left - WIDTH + 0.25, above + 0.25)
        of_name = [(run, change) for run in runs for change in run.changes if change.title == name]
        _panel(axes, of_name, len(runs) == 1)
        if i % columns:
            axes.set_yticklabels([])
        else:
            axes.set_ylabel("accuracy", fontsize=8)
    if plainer:
        wide = min(width - LEFT - 0.25, wide)
        axes = new_axes(figure, LEFT, 0.95, width - LEFT - wide, height - foot + 0.35)
        _switches(axes, runs, plainer, wide)
    legend_above(figure, handles, head)
    return figure


def _panel(axes: Axes, changes: Sequence[tuple[ProbedRun, ChangeResult]], alone: bool) -> None:
    for i, (run, change) in enumerate(changes):
        look = {"color": VAL, "marker": "s"} if alone else series(i)
        points = [(p.strength, p.accuracy.value, p.accuracy.low, p.accuracy.high, p.consistency.value)
                 for p in change.points if p.strength is not None]  # fmt: skip
        if change.identity is not None:
            u = run.unchanged
            points = sorted([*points, (change.identity, u.value, u.low, u.high, 1.0)])
        strengths, values, lows, highs, same = zip(*points, strict=True)
        axes.fill_between(strengths, lows, highs, color=look["color"], alpha=0.18 if alone else 0.08, linewidth=0)
        axes.plot(strengths, values, **look, linewidth=1.6, markersize=3)
        if alone:
            axes.plot(strengths, same, color=TRAIN, linewidth=1.2, linestyle="--")
            axes.axhline(run.unchanged.value, color=INK, **UNCHANGED)
    _without_knowledge(axes, [run for run, _ in changes])
    first = changes[0][1]
    plain(axes, first.title + (f": {first.verdict} {VERDICTS[first.verdict]['sign']}" if alone else ""), first.unit)
    axes.title.set_fontsize(9)
    axes.xaxis.label.set_fontsize(8)
    _shares(axes)
    if first.identity is None:
        axes.invert_xaxis()  # of qualities the mildest is the highest


def _without_knowledge(axes: Axes, runs: Sequence[ProbedRun]) -> None:
    """Draw what always answering the largest class reaches, or chance, a line for each value that the runs have."""
    for value in dict.fromkeys(without_knowledge(run.majority.value, len(run.counts))[0] for run in runs):
        axes.axhline(value, color=INK, **NO_KNOWLEDGE)


def _shares(axes: Axes) -> None:
    axes.tick_params(labelsize=7.5)
    axes.set_ylim(0, 1.02)
    percent(axes.yaxis)


def _switches(axes: Axes, runs: Sequence[ProbedRun], names: Sequence[str], wide: float) -> None:
    """Draw what has no axis of strengths, side by side; `wide` are the inches of all."""
    alone = len(runs) == 1
    for i, run in enumerate(runs):
        look = {"color": VAL, "marker": "s"} if alone else {**series(i), "linestyle": ""}
        shift = (i - (len(runs) - 1) / 2) * 0.6 / len(runs)
        for change in run.changes:
            if change.title in names:
                point, at = change.points[0], names.index(change.title) + shift
                axes.vlines(at, point.accuracy.low, point.accuracy.high, color=look["color"], linewidth=1)
                axes.plot(at, point.accuracy.value, **look, markersize=5)
                axes.plot(at, point.consistency.value, "_", color=TRAIN if alone else look["color"], markersize=9,
                          markeredgewidth=1.5)  # fmt: skip
        axes.axhline(run.unchanged.value, color=INK if alone else look["color"], **UNCHANGED)
    _without_knowledge(axes, runs)
    verdicts = {change.title: change.verdict for change in runs[0].changes} if alone else {}
    plain(axes, "Without a strength, or with one drawn for each image", "change", "accuracy")
    axes.title.set_fontsize(9)
    axes.yaxis.label.set_fontsize(8)
    axes.xaxis.label.set_fontsize(8)
    each = wide / len(names)
    turned = each < 0.75
    labels = [_label(name, verdicts.get(name, ""), 0.75 if turned else each - 0.06) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90 if turned else 0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    _shares(axes)
    axes.tick_params(axis="x", labelsize=7)


def _label(name: str, verdict: str, inches: float) -> str:
    """Return a change's name on two lines at the most, its verdict on a third."""
    first, mark, second = name.partition(" ") if " " in name else name.partition("-")
    lines = [first + mark.strip(), second, f"{verdict} {VERDICTS[verdict]['sign']}" if verdict else ""]
    return "\n".join(fitted(line, inches, 7) for line in lines if line)


def _handles(runs: Sequence[ProbedRun], switches: bool) -> list[Line2D]:
    if len(runs) == 1:
        return [
            Line2D([], [], color=VAL, marker="s", markersize=4, label="accuracy, 95% interval"),
            Line2D([], [], color=TRAIN, linestyle="--", label="same answer as unchanged"),
            Line2D([], [], color=INK, **UNCHANGED, label="unchanged"),
            Line2D([], [], color=INK, **NO_KNOWLEDGE, label="largest class, or chance"),
        ]
    lines = [Line2D([], [], **series(i), markersize=4, label=in_legend(run.name, 2.1)) for i, run in enumerate(runs)]
    if switches:
        lines.append(Line2D([], [], color=GREY, linestyle="", marker="_", label="same answer as unchanged"))
        lines.append(Line2D([], [], color=GREY, **UNCHANGED, label="unchanged"))
    return [*lines, Line2D([], [], color=INK, **NO_KNOWLEDGE, label="largest class, or chance")]


def sheet(title: str, rows: Sequence[tuple[str, Sequence[Tile]]]) -> Figure:
    """One image under every change: a row a change, weak to strong, the network's answer under each.

    What has no strength is in the first row; of many rows there are two columns.
    """
    of, rows = len(rows), rows[:MOST_ROWS]
    tile, gap, name, above, below = 0.62, 0.08, 0.78, 0.16, 0.32
    columns = 1 if len(rows) <= 5 else 2
    deep = -(-len(rows) // columns)
    most = max(len(tiles) for _, tiles in rows)
    wide = name + most * (tile + gap) + 0.15
    high = above + tile + below
    extra = 0.12  # a second line above the first row: names of changes, not strengths
    title += some_of(len(rows), of, "changes")
    caption = "under each image the network's answer and its probability; ✓ right, ✗ wrong"
    figure, axes, head = page(max(4.0, columns * wide), deep * high + extra + 0.05, title, caption)
    for row, (change, tiles) in enumerate(rows):
        start, top = row // deep * wide, head + extra + row % deep * high
        for i, words in enumerate((change or "without a strength").split(" ", 1)):
            axes.text(start + 0.1, top + above + tile / 2 + 0.13 * i, fitted(words, name - 0.12, 7.5), fontsize=7.5,
                      color=INK, va="center")  # fmt: skip
        for column, image_tile in enumerate(tiles):
            left = start + name + column * (tile + gap)
            lines = image_tile.title.replace("-", "-\n", 1).split("\n") if row == 0 else [image_tile.title]
            for i, line in enumerate(reversed(lines)):
                axes.text(left, top + above - 0.05 - 0.11 * i, fitted(line, tile, 6.5), fontsize=6.5, color=INK,
                          va="baseline")  # fmt: skip
            place(axes, image_tile.image, left, top + above, tile, tile)
            answer, _, share = image_tile.answer.rpartition(" ")
            for i, line in enumerate((answer, f"{share} {'✓' if image_tile.is_right else '✗'}")):
                axes.text(left, top + above + tile + 0.11 * (i + 1), fitted(line, tile, 6.5), fontsize=6.5,
                          color=VAL if image_tile.is_right else TRAIN, va="baseline")  # fmt: skip
    return figure

"""Weights, units and their training as pictures that a report can use as they are: 7 inches wide, one scale each.

U units, C = 3 colours, H x W pixels. Weights are shown as colours, grey being zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from a2cli.figures.common import (
    GREY,
    INK,
    LARGEST,
    TRAIN,
    VAL,
    evenly,
    fitted,
    page,
    place,
    readable,
    shortened,
    some_of,
    spaced,
    width_of,
    wrapped,
)
from a2cli.formats import counted
from a2cli.visualize_weights.results import Frame, UnitView

Pictures = NDArray[np.float32]
WIDTH = 7.0
FULL = 99.5  # the percentile of |w| that has full colour
MOST_FILTERS = 256
MOST_ROWS, MOST_UNITS = 17, 24  # that a page has room for
MOST_NAMED = 20  # classes whose names are listed below their bars
LINE, SPARE = 0.17, 1.2  # inches of a line, and for what is above and below the pictures of a page
CLASSES_SAID = "at the left the class of more than half, or of how many classes they are"
NAME = 40  # letters of a network's or a layer's name


@dataclass(frozen=True)
class Bank:
    """One network's first layer: its name, the units shown, their weights (U, C, H, W), and what is said of them."""

    name: str
    units: Sequence[int]
    weights: Pictures
    views: Sequence[UnitView] = ()
    class_names: Sequence[str] = ()


def scale_of(banks: Sequence[Pictures]) -> float:
    """Return the one weight that full colour stands for in a figure."""
    return float(np.percentile(np.concatenate([np.abs(one).ravel() for one in banks]), FULL)) or 1.0


def _said(scale: float) -> str:
    """Return what a weight's colour means; of the three channels each has its own part of a pixel's colour."""
    return (
        f"red, green and blue are the weights of these channels of the image, each from -{scale:.2g} (none of it) "
        f"over 0 (half) to +{scale:.2g} (full), percentile {FULL:g} of |w|; all 0 is grey; one scale in all pictures"
    )


def _coloured(weights: Pictures, scale: float) -> Pictures:
    """Return weights (..., C, H, W) as colours (..., H, W, C) in [0, 1]."""
    found: Pictures = np.clip(0.5 + np.moveaxis(weights, -3, -1) / (2 * scale), 0, 1)
    return found


def _mosaic(tiles: Pictures, columns: int) -> Pictures:
    """Return tiles (U, H, W, C) side by side, thin white lines between."""
    gap = max(1, tiles.shape[1] // 12)
    padded = np.pad(tiles, ((0, -len(tiles) % columns), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    rows = padded.reshape(-1, columns, *padded.shape[1:]).swapaxes(1, 2)
    found: Pictures = rows.reshape(rows.shape[0] * rows.shape[1], -1, tiles.shape[-1])
    return found[:-gap, :-gap]


def _fewer(banks: Sequence[Bank], heights: Sequence[float]) -> tuple[Sequence[Bank], str]:
    """Return the first networks that a page has room for, and words that say how many those are."""
    shown = max(1, int(np.searchsorted(np.cumsum(heights), LARGEST - SPARE, side="right")))
    return banks[:shown], some_of(min(shown, len(banks)), len(banks), "networks")


def filters(banks: Sequence[Bank]) -> Figure:
    """The first layer's filters of each network, by their number."""
    room = WIDTH - 0.1

    def shape(one: Bank) -> tuple[int, int, float]:
        """Return the columns and rows of a network's filters, and the width of all."""
        columns = 8 if len(one.units) <= 32 else 16
        return columns, -(-len(one.units) // columns), room * min(1.0, len(one.units) / columns)

    heights = [shape(one)[1] * room / shape(one)[0] + 1.4 * LINE for one in banks]
    banks, some = _fewer(banks, heights)
    scale = scale_of([one.weights for one in banks])
    figure, axes, top = page(WIDTH, sum(heights[: len(banks)]) + 0.05, f"First filters, {_names(banks)}{some}",
                             _said(scale))  # fmt: skip
    for one, high in zip(banks, heights, strict=False):
        columns, _, wide = shape(one)
        size = "x".join(map(str, one.weights.shape[2:]))
        words = f": {counted(len(one.units), 'filter')} of {size}, row by row"
        axes.text(0.1, top, fitted(one.name, room - width_of(words, 8), 8) + words, fontsize=8, color=INK, va="top")
        picture = _mosaic(_coloured(one.weights, scale), min(columns, len(one.units)))
        place(axes, picture, 0.05, top + 1.1 * LINE, wide, wide * picture.shape[0] / picture.shape[1])
        top += high
    return figure


def _names(banks: Sequence[Bank]) -> str:
    return shortened(banks[0].name, NAME) if len(banks) == 1 else counted(len(banks), "network")


def units(banks: Sequence[Bank], class_name: str | None, note: str = "") -> Figure:
    """Hidden units as pictures, each beside what it says for each class; the most used first."""
    of = max(len(one.units) for one in banks)
    some = slice(MOST_UNITS)
    banks = [replace(one, units=one.units[some], weights=one.weights[some], views=one.views[some]) for one in banks]
    note += some_of(min(of, MOST_UNITS), of, "units")
    across, tile, below = 3, 0.95, 0.36
    heights = [-(-len(one.units) // across) * (tile + below) + 1.5 * LINE for one in banks]
    banks, fewer = _fewer(banks, heights)
    scale = scale_of([one.weights for one in banks])
    names = banks[0].class_names
    key = f"classes from left to right: {', '.join(f'{i} {readable(name, 18)}' for i, name in enumerate(names))}"
    if len(names) > MOST_NAMED:
        key = f"classes from left to right: the {len(names)} of the run's model.json, in its order, from 0 on"
    foot = wrapped(key, WIDTH - 0.2, 7)
    whose = f"the most used by {readable(class_name)} first" if class_name else "the most used first"
    figure, axes, top = page(
        WIDTH, sum(heights[: len(banks)]) + 0.13 * len(foot) + 0.1,
        f"Hidden units, {_names(banks)}: {whose}{note}{fewer}",
        _said(scale), "bars: what a unit adds to each class (up) or takes from it (down), one scale a network",
    )  # fmt: skip
    cell = WIDTH / across
    for one, high in zip(banks, heights, strict=False):
        axes.text(0.1, top, fitted(one.name, WIDTH - 0.2, 8.5), fontsize=8.5, color=INK, va="top")
        pictures = _coloured(one.weights, scale)
        most = max((abs(value) for view in one.views for value in view.classes), default=0) or 1.0
        for i, (picture, view) in enumerate(zip(pictures, one.views, strict=True)):
            left, under = 0.1 + i % across * cell, top + 1.5 * LINE + i // across * (tile + below)
            place(axes, picture, left, under, tile, tile)
            _bars(axes, view.classes, most, left + tile + 0.08, under, cell - tile - 0.38, tile)
            for k, line in enumerate(_unit_said(view, one.class_names, cell - 0.2)):
                axes.text(left, under + tile + 0.11 * (k + 1), line, fontsize=6.5, color=INK, va="baseline")
        top += high
    for i, line in enumerate(foot):
        axes.text(0.1, top + 0.13 * (i + 0.5), line, fontsize=7, color=INK, va="center_baseline")
    return figure


def _unit_said(view: UnitView, names: Sequence[str], room: float) -> tuple[str, str]:
    order = np.argsort(view.classes)
    best, worst = (int(order[i]) for i in (-1, 0))
    starts = (f"unit {view.unit}: most for {best} ", f"most against {worst} ")
    first, second = (start + fitted(spaced(names[number]), room - width_of(start, 6.5), 6.5)
                     for start, number in zip(starts, (best, worst), strict=True))  # fmt: skip
    return first, second


def _bars(
    axes: Axes, values: Sequence[float], most: float, left: float, top: float, width: float, height: float
) -> None:
    """Draw values as bars up and down from a line in the middle; the largest of the figure reaches the edge."""
    middle, step = top + height / 2, width / len(values)
    axes.plot((left, left + width), (middle, middle), color=INK, linewidth=0.5)
    starts, ends = left + step * np.arange(len(values)), middle - np.array(values) / most * height / 2
    base = np.full(len(values), middle)
    corners = np.stack([starts, base, starts + 0.85 * step, base, starts + 0.85 * step, ends, starts, ends], axis=1)
    colors = [VAL if value > 0 else TRAIN for value in values]
    axes.add_collection(PolyCollection(list(corners.reshape(-1, 4, 2)), facecolors=colors, linewidths=0), autolim=False)
    for words, at, side in (("0", left, "left"), (f"class {len(values) - 1}", left + width, "right")):
        axes.text(at, top + height + 0.005, words, fontsize=5.5, color=GREY, ha=side, va="center_baseline")


def patches(layer: str, name: str, views: Sequence[UnitView], cut: Pictures, pictures: Pictures | None,
            class_name: str | None) -> Figure:  # fmt: skip
    """Each unit's ascent, if there is one, and the patches of images that it answers most to.

    cut: (U, N, H, W, 3) uint8, pictures: (U, 3, H, W) in [0, 1].
    """
    words, tile, of = 0.95, 0.6, len(views)
    views = views[:MOST_ROWS]
    parts = ["the picture of an ascent"] * (pictures is not None)
    if cut.shape[1]:
        parts += [f"the {cut.shape[1]} strongest patches, one an image", "grey lies beyond the image"]
    title = f"{shortened(layer, NAME)} of {shortened(name, NAME)}: what its units answer most to"
    title += f", those that {readable(class_name)} uses most first" if class_name else ""
    title += some_of(len(views), of, "units")
    figure, axes, head = page(WIDTH, len(views) * (tile + 0.04) + 0.05, title, f"{'; '.join(parts)}; {CLASSES_SAID}")
    for row, view in enumerate(views):
        top, left = head + row * (tile + 0.04), words
        _say_patches(axes, view, top, words, tile)
        if pictures is not None:
            place(axes, pictures[row].transpose(1, 2, 0), left, top, tile, tile)
            left += tile + 0.06
        for column in range(cut.shape[1]):
            place(axes, cut[row, column], left + column * 0.595, top, tile - 0.03, tile - 0.03)
    return figure


def _say_patches(axes: Axes, view: UnitView, top: float, wide: float, high: float) -> None:
    """Write beside a unit's row which it is, and the class of more than half of its patches, or of how many."""
    truths = [one.truth for one in view.patches]
    most = max(dict.fromkeys(truths), key=truths.count, default="")
    lines = [f"unit {view.unit}"]
    if not truths:
        lines.append("answers to none")
    elif 2 * truths.count(most) <= len(truths):
        lines.append(counted(len(set(truths)), "class", "classes"))
    else:
        lines += [f"{truths.count(most)} of {len(truths)}:", fitted(spaced(most), wide - 0.15, 6.5)]
    for i, line in enumerate(lines):
        at = top + high / 2 + 0.12 * (i - (len(lines) - 1) / 2)
        axes.text(0.1, at, line, fontsize=6.5, color=INK, va="center_baseline")


def places(layer: str, name: str, views: Sequence[UnitView], images: Mapping[str, Pictures]) -> Figure:
    """The images that units answer most to, whole, and in each the field that the unit sees."""
    words, tile, of = 0.95, 0.64, len(views)
    views = views[:MOST_ROWS]
    title = f"{shortened(layer, NAME)} of {shortened(name, NAME)}: the images that its units answer most to"
    title += some_of(len(views), of, "units")
    said = "the square is what the unit sees there; " + CLASSES_SAID
    figure, axes, head = page(WIDTH, len(views) * (tile + 0.04) + 0.05, title, said)
    for row, view in enumerate(views):
        top = head + row * (tile + 0.04)
        _say_patches(axes, view, top, words, tile)
        for column, patch in enumerate(view.patches):
            picture, left = images[patch.image], words + column * (tile + 0.02)
            side = picture.shape[0]
            place(axes, picture, left, top, tile, tile)
            edges = [np.clip((ends[0], ends[1] + 1), 0, side) / side * tile for ends in (patch.columns, patch.rows)]
            for color, wide in (("#000000", 1.8), ("#ffd400", 0.9)):  # seen on light and on dark images
                box = Rectangle((left + edges[0][0], top + edges[1][0]), np.ptp(edges[0]), np.ptp(edges[1]),
                                fill=False, edgecolor=color, linewidth=wide)  # fmt: skip
                axes.add_patch(box)
    return figure


def film(frames: Sequence[tuple[Frame, Pictures]], name: str, shown: Sequence[int]) -> Figure:
    """The first layer's weights over the training: a row an epoch, a column a unit; weights (U, C, H, W)."""
    words, of = 1.0, len(frames)
    tile = (WIDTH - words - 0.05) / max(8, len(shown))
    gap = 0.12 * tile
    frames = evenly(frames, int((LARGEST - SPARE) / tile))
    scale = scale_of([weights[list(shown)] for _, weights in frames])
    title = f"First layer of {shortened(name, NAME)} over its training{some_of(len(frames), of, 'epochs')}"
    said = "a column a unit, by its number; moved: the distance from where it began, over the length there"
    figure, axes, top = page(WIDTH, len(frames) * tile + LINE + 0.05, title, _said(scale), said)
    axes.text(0.1, top + LINE / 2, "unit", fontsize=7, color=INK, va="center_baseline")
    for column, unit in enumerate(shown):
        axes.text(words + column * tile + (tile - gap) / 2, top + LINE / 2, str(unit), fontsize=7, color=INK,
                  ha="center", va="center_baseline")  # fmt: skip
    top += LINE
    for row, (frame, weights) in enumerate(frames):
        for line, at in ((f"epoch {frame.epoch}", -0.07), (f"moved {frame.moved:.2f}", 0.07)):
            axes.text(0.1, top + (row + 0.44) * tile + at, line, fontsize=7, color=INK, va="center_baseline")
        for column, picture in enumerate(_coloured(weights[list(shown)], scale)):
            place(axes, picture, words + column * tile, top + row * tile, tile - gap, tile - gap)
    return figure


def frames_of(frames: Sequence[tuple[Frame, Pictures]], shown: Sequence[int]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return each frame of an animation as pixels (H, W, 3), with what it says."""
    scale = scale_of([weights[list(shown)] for _, weights in frames])
    found = []
    for frame, weights in frames:
        tiles = _coloured(weights[list(shown)], scale)
        larger = max(1, 96 // tiles.shape[1])
        pixels = _mosaic(tiles.repeat(larger, axis=1).repeat(larger, axis=2), min(8, len(shown)))
        found.append((f"epoch {frame.epoch}", (255 * pixels).astype(np.uint8)))
    return found

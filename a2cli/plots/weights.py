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
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from a2cli.plots.common import (
    FAINT,
    INK,
    TRAIN,
    VAL,
    evenly,
    new_axes,
    new_figure,
    plain,
    readable,
    shortened,
    some_of,
)
from a2cli.results.weights import Frame, LayerWeights, UnitView

Pictures = NDArray[np.float32]
WIDTH = 7.0
FULL = 99.5  # the percentile of |w| that has full colour
MOST_FILTERS = 256
MOST_ROWS, MOST_UNITS, MOST_LAYERS = 20, 30, 21  # that a page has room for
LINE = 0.17
TITLE, NAME, CLASS, UNIT_CLASS = 88, 40, 15, 28  # letters that there is room for


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
    return f"grey is 0, full colour ±{scale:.2g} (percentile {FULL:g} of |w|), the same in all pictures"


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


def _page(height: float) -> tuple[Figure, Axes]:
    """Return a page of inches from the top left, with one axes for all pictures: axes of their own cost ten times."""
    figure = new_figure(WIDTH, height)
    axes = new_axes(figure, 0, 0, 0, 0)
    axes.set_axis_off()
    return figure, axes


def _finish(axes: Axes, height: float) -> None:
    axes.set(xlim=(0, WIDTH), ylim=(height, 0), aspect="auto")


def _place(axes: Axes, picture: NDArray[np.generic], left: float, top: float, width: float, height: float) -> None:
    axes.imshow(picture, extent=(left, left + width, top + height, top), interpolation="nearest")


def _head(axes: Axes, title: str, under: str) -> None:
    title = shortened(title, TITLE)
    axes.text(0.05, 0.05, title, fontsize=9.5, color=INK, va="top")
    axes.text(0.05, 0.05 + 1.3 * LINE, under, fontsize=7, color=INK, va="top")


def filters(banks: Sequence[Bank]) -> Figure:
    """The first layer's filters of each network, by their number."""
    scale = scale_of([one.weights for one in banks])
    columns = [8 if len(one.units) <= 32 else 16 for one in banks]
    tall = [WIDTH / 16 * -(-len(one.units) // across) for one, across in zip(banks, columns, strict=True)]
    height = 0.5 + sum(tall) + len(banks) * 1.4 * LINE
    figure, axes = _page(height)
    _head(axes, f"First filters, {_names(banks)}", _said(scale))
    top = 0.5
    for one, across, high in zip(banks, columns, tall, strict=True):
        size = "x".join(map(str, one.weights.shape[2:]))
        words = f"{shortened(one.name, NAME)}: {len(one.units)} filters of {size}, row by row"
        axes.text(0.05, top, words, fontsize=7.5, color=INK, va="top")
        picture = _mosaic(_coloured(one.weights, scale), across)
        wide = WIDTH / 16 * across - 0.1
        _place(axes, picture, 0.05, top + 1.1 * LINE, wide, wide * picture.shape[0] / picture.shape[1])
        top += high + 1.4 * LINE
    _finish(axes, height)
    return figure


def _names(banks: Sequence[Bank]) -> str:
    return shortened(banks[0].name, NAME) if len(banks) == 1 else f"{len(banks)} networks"


def units(banks: Sequence[Bank], class_name: str | None, note: str = "") -> Figure:
    """Hidden units as pictures, each beside what it says for each class; the most used first."""
    scale, of = scale_of([one.weights for one in banks]), max(len(one.units) for one in banks)
    some = slice(MOST_UNITS)
    banks = [replace(one, units=one.units[some], weights=one.weights[some], views=one.views[some]) for one in banks]
    note += some_of(min(of, MOST_UNITS), of, "units")
    across, tile, below = 3, 0.95, 0.34
    rows = [-(-len(one.units) // across) for one in banks]
    height = 0.6 + sum(rows) * (tile + below) + len(banks) * 1.5 * LINE
    figure, axes = _page(height)
    whose = f"the most used by {readable(class_name)} first" if class_name else "the most used first"
    _head(axes, f"Hidden units, {_names(banks)}: {whose}{note}",
          f"{_said(scale)}; bars: what it adds to each class, a scale a network")  # fmt: skip
    top, cell = 0.6, WIDTH / across
    for one, deep in zip(banks, rows, strict=True):
        axes.text(0.05, top, shortened(one.name, 2 * NAME), fontsize=8.5, color=INK, va="top")
        top += 1.5 * LINE
        pictures = _coloured(one.weights, scale)
        most = max((abs(value) for view in one.views for value in view.classes), default=0) or 1.0
        for i, (picture, view) in enumerate(zip(pictures, one.views, strict=True)):
            left, under = 0.05 + i % across * cell, top + i // across * (tile + below)
            _place(axes, picture, left, under, tile, tile)
            _bars(axes, view.classes, most, left + tile + 0.08, under, cell - tile - 0.28, tile)
            axes.text(left, under + tile + 0.03, _unit_said(view, one.class_names), fontsize=6.5, color=INK, va="top")
        top += deep * (tile + below)
    _finish(axes, height)
    return figure


def _unit_said(view: UnitView, names: Sequence[str]) -> str:
    order = np.argsort(view.classes)
    best, worst = (readable(names[int(order[i])], UNIT_CLASS) for i in (-1, 0))
    return f"unit {view.unit}: most for {best}\nmost against {worst}"


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


def patches(layer: str, name: str, views: Sequence[UnitView], cut: Pictures, pictures: Pictures | None,
            class_name: str | None) -> Figure:  # fmt: skip
    """Each unit's ascent, if there is one, and the patches of images that it answers most to.

    cut: (U, N, H, W, 3) uint8, pictures: (U, 3, H, W) in [0, 1].
    """
    words, tile, of = 0.95, 0.6, len(views)
    views = views[:MOST_ROWS]
    height = 0.55 + len(views) * (tile + 0.04)
    figure, axes = _page(height)
    parts = ["the picture of an ascent"] * (pictures is not None)
    if cut.shape[1]:
        parts += [f"the {cut.shape[1]} strongest patches, one an image", "grey lies beyond the image"]
    title = f"{shortened(layer, NAME)} of {shortened(name, NAME)}: what its units answer most to{_whose(class_name)}"
    title += some_of(len(views), of, "units")
    _head(axes, title, f"{'; '.join(parts)}; at the left the class that most are of")
    for row, view in enumerate(views):
        top, left = 0.55 + row * (tile + 0.04), words
        axes.text(0.05, top + tile / 2, _patches_said(view), fontsize=6.5, color=INK, va="center")
        if pictures is not None:
            _place(axes, pictures[row].transpose(1, 2, 0), left, top, tile, tile)
            left += tile + 0.06
        for column in range(cut.shape[1]):
            _place(axes, cut[row, column], left + column * 0.595, top, tile - 0.03, tile - 0.03)
    _finish(axes, height)
    return figure


def _patches_said(view: UnitView) -> str:
    if not view.patches:
        return f"unit {view.unit}\nanswers to none"
    truths = [one.truth for one in view.patches]
    most = max(dict.fromkeys(truths), key=truths.count)
    if truths.count(most) == 1:
        return f"unit {view.unit}\n{len(truths)} classes"
    return f"unit {view.unit}\n{truths.count(most)} of {len(truths)}:\n{readable(most, CLASS)}"


def _whose(class_name: str | None) -> str:
    return f", those that {readable(class_name)} uses most first" if class_name else ""


def places(layer: str, name: str, views: Sequence[UnitView], images: Mapping[str, Pictures]) -> Figure:
    """The images that units answer most to, whole, and in each the field that the unit sees."""
    words, tile, of = 0.95, 0.64, len(views)
    views = views[:MOST_ROWS]
    height = 0.55 + len(views) * (tile + 0.04)
    figure, axes = _page(height)
    title = f"{shortened(layer, NAME)} of {shortened(name, NAME)}: the images that its units answer most to"
    _head(axes, title + some_of(len(views), of, "units"), "the square is what the unit sees there")
    for row, view in enumerate(views):
        top = 0.55 + row * (tile + 0.04)
        axes.text(0.05, top + tile / 2, _patches_said(view), fontsize=6.5, color=INK, va="center")
        for column, patch in enumerate(view.patches):
            picture, left = images[patch.image], words + column * (tile + 0.02)
            side = picture.shape[0]
            _place(axes, picture, left, top, tile, tile)
            edges = [np.clip((ends[0], ends[1] + 1), 0, side) / side * tile for ends in (patch.columns, patch.rows)]
            box = Rectangle((left + edges[0][0], top + edges[1][0]), np.ptp(edges[0]), np.ptp(edges[1]), fill=False,
                            edgecolor="#ffd400", linewidth=0.9)  # fmt: skip
            axes.add_patch(box)
    _finish(axes, height)
    return figure


def film(frames: Sequence[tuple[Frame, Pictures]], name: str, shown: Sequence[int]) -> Figure:
    """The first layer's weights over the training: a row an epoch, a column a unit; weights (U, C, H, W)."""
    scale = scale_of([weights[list(shown)] for _, weights in frames])
    words = 1.0
    tile = (WIDTH - words - 0.05) / max(8, len(shown))
    height = 0.55 + len(frames) * (tile + 0.04)
    figure, axes = _page(height)
    _head(axes, f"First layer of {shortened(name, NAME)} over its training", _said(scale))
    for row, (frame, weights) in enumerate(frames):
        top = 0.55 + row * (tile + 0.04)
        said = f"epoch {frame.epoch}\nmoved {frame.moved:.2f}"
        axes.text(0.05, top + tile / 2, said, fontsize=7, color=INK, va="center")
        for column, picture in enumerate(_coloured(weights[list(shown)], scale)):
            _place(axes, picture, words + column * tile, top, tile * 0.96, tile * 0.96)
    _finish(axes, height)
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


def evidence(
    name: str, layers: Sequence[LayerWeights], spectra: Mapping[str, tuple[Pictures, Pictures, Pictures]]
) -> Figure:
    """Each layer's singular values, over the band of those of networks drawn anew."""
    of, layers = len(layers), evenly(layers, MOST_LAYERS)
    across = min(3, len(layers))
    deep, wide, high = -(-len(layers) // across), WIDTH / across, 1.75
    figure = new_figure(WIDTH, 0.5 + deep * high)
    title = f"Singular values of each layer's weights, {shortened(name, NAME)}, in their order"
    title += some_of(len(layers), of, "layers")
    under = "grey: networks drawn anew, least to most; blue: its own, learned; red: its own, like its initialisation"
    whole = 0.5 + deep * high
    figure.text(0.05 / WIDTH, 1 - 0.18 / whole, title, fontsize=9.5, color=INK)
    figure.text(0.05 / WIDTH, 1 - 0.38 / whole, under, fontsize=7, color=INK)
    for i, layer in enumerate(layers):
        left, top = i % across * wide, 0.5 + i // across * high
        axes = new_axes(
            figure, left + 0.42, (deep - 1 - i // across) * high + 0.42, WIDTH - left - wide + 0.1, top + 0.2
        )
        values, least, largest = spectra[layer.layer]
        order = np.arange(1, len(values) + 1)
        axes.fill_between(order, least, largest, color=FAINT)
        axes.plot(order, values, color=VAL if layer.verdict == "learned" else TRAIN, linewidth=1.3)
        plain(axes, "", "")
        axes.set_title(f"{shortened(layer.layer, 24)}: {layer.verdict}", loc="left", fontsize=7.5, color=INK)
        axes.tick_params(labelsize=6.5)
        axes.set_ylim(0, None)
        axes.set_xlim(1, max(2, len(values)))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure

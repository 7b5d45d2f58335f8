"""Weights, units and their training as pictures that a report can use as they are: 7 inches wide, one scale each.

U units, C = 3 colours, H x W pixels. Weights are shown as colours, grey being zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from a2cli.figures.common import (
    FAINT,
    GREY,
    INK,
    LARGEST,
    TRAIN,
    VAL,
    VERDICTS,
    evenly,
    fitted,
    legend_above,
    legend_height,
    new_axes,
    page,
    place,
    plain,
    readable,
    shortened,
    some_of,
    spaced,
    titled,
    width_of,
    wrapped,
)
from a2cli.formats import counted
from a2cli.visualize_weights.results import Frame, LayerWeights, UnitView

Pictures = NDArray[np.float32]
WIDTH = 7.0
FULL = 99.5  # the percentile of |w| that has full colour
MOST_FILTERS = 256
MOST_UNITS, MOST_LAYERS = 24, 21  # that a page has room for
MOST_NAMED = 20  # classes whose names are listed below their bars
LINE, SPARE = 0.17, 1.2  # inches of a line, and for what is above and below the pictures of a page
NAME = 40  # letters of a network's or a layer's name
SCALE = "these depend on the scale of the weights; what is judged as learned does not"
STYLES: dict[str, Literal["-", "--"]] = {"learned": "-", "like its initialisation": "--"}


@dataclass(frozen=True)
class Bank:
    """One network's first layer: its name, the weights (U, C, H, W) of the units shown, and what is said of them."""

    name: str
    weights: Pictures
    views: Sequence[UnitView] = ()
    class_names: Sequence[str] = ()

    def first(self, count: int) -> "Bank":
        return replace(self, weights=self.weights[:count], views=self.views[:count])


def _scale_of(pictures: Iterable[Pictures]) -> float:
    """Return the one weight that full colour stands for in a figure."""
    return float(np.percentile(np.concatenate([np.abs(weights).ravel() for weights in pictures]), FULL)) or 1.0


def _legend(scale: float) -> str:
    """Return what a weight's colour means."""
    return (
        f"red, green and blue are the weights of these channels of the image, each from -{scale:.2g} (none of it) "
        f"over 0 (half) to +{scale:.2g} (full), percentile {FULL:g} of |w|; all 0 is grey; one scale in all pictures"
    )


def _coloured(weights: Pictures, scale: float) -> Pictures:
    """Return weights (..., C, H, W) as colours (..., H, W, C) in [0, 1]."""
    colours: Pictures = np.clip(0.5 + np.moveaxis(weights, -3, -1) / (2 * scale), 0, 1)
    return colours


def _mosaic(tiles: Pictures, columns: int) -> Pictures:
    """Return tiles (U, H, W, C) side by side, thin white lines between."""
    gap = max(1, tiles.shape[1] // 12)
    padded = np.pad(tiles, ((0, -len(tiles) % columns), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    rows = padded.reshape(-1, columns, *padded.shape[1:]).swapaxes(1, 2)
    picture: Pictures = rows.reshape(rows.shape[0] * rows.shape[1], -1, tiles.shape[-1])
    return picture[:-gap, :-gap]


def _that_fit(banks: Sequence[Bank], heights: Sequence[float]) -> tuple[Sequence[Bank], str, str]:
    """Return the first networks that a page has room for, and what its title says of whose they are."""
    shown = banks[: max(1, int(np.searchsorted(np.cumsum(heights), LARGEST - SPARE, side="right")))]
    names = shortened(shown[0].name, NAME) if len(shown) == 1 else counted(len(shown), "network")
    return shown, names, some_of(len(shown), len(banks), "networks")


def filters(banks: Sequence[Bank]) -> Figure:
    """The first layer's filters of each network, by their number."""
    room = WIDTH - 0.1
    across = [8 if len(bank.weights) <= 32 else 16 for bank in banks]
    heights = [
        -(-len(bank.weights) // columns) * room / columns + 1.4 * LINE
        for bank, columns in zip(banks, across, strict=True)
    ]
    banks, names, some = _that_fit(banks, heights)
    scale = _scale_of(bank.weights for bank in banks)
    high = sum(heights[: len(banks)]) + 0.05
    figure, axes, top = page(WIDTH, high, f"First filters, {names}{some}", _legend(scale))
    for bank, columns, high in zip(banks, across, heights, strict=False):
        count, size = len(bank.weights), "x".join(map(str, bank.weights.shape[2:]))
        words = f": {counted(count, 'filter')} of {size}, row by row"
        axes.text(0.1, top, fitted(bank.name, room - width_of(words, 8), 8) + words, fontsize=8, color=INK, va="top")
        picture, wide = _mosaic(_coloured(bank.weights, scale), min(columns, count)), room * min(1.0, count / columns)
        place(axes, picture, 0.05, top + 1.1 * LINE, wide, wide * picture.shape[0] / picture.shape[1])
        top += high
    return figure


def units(banks: Sequence[Bank], class_name: str | None, note: str = "") -> Figure:
    """Hidden units as pictures, each beside what it says for each class; the most used first."""
    most = max(len(bank.views) for bank in banks)
    banks = [bank.first(MOST_UNITS) for bank in banks]
    note += some_of(min(most, MOST_UNITS), most, "units")
    across, tile, below = 3, 0.95, 0.43
    heights = [-(-len(bank.views) // across) * (tile + below) + 1.5 * LINE for bank in banks]
    banks, whose, some = _that_fit(banks, heights)
    scale = _scale_of(bank.weights for bank in banks)
    names = banks[0].class_names
    numbered = (f"{i}\N{NO-BREAK SPACE}{readable(name, 18)}" for i, name in enumerate(names))
    key = f"classes from left to right: {', '.join(numbered)}"
    if len(names) > MOST_NAMED:
        key = f"classes from left to right: the {len(names)} of the run's model.json, in its order, from 0 on"
    foot = wrapped(key, WIDTH - 0.2, 7)
    order = f"the most used by {readable(class_name)} first" if class_name else "the most used first"
    figure, axes, top = page(
        WIDTH, sum(heights[: len(banks)]) + 0.13 * len(foot) + 0.1, f"Hidden units, {whose}: {order}{note}{some}",
        _legend(scale), "bars: what a unit adds to each class (up) or takes from it (down), one scale a network",
    )  # fmt: skip
    cell = WIDTH / across
    for bank, high in zip(banks, heights, strict=False):
        axes.text(0.1, top, fitted(bank.name, WIDTH - 0.2, 8.5), fontsize=8.5, color=INK, va="top")
        largest = max((abs(value) for view in bank.views for value in view.classes), default=0) or 1.0
        for i, (picture, view) in enumerate(zip(_coloured(bank.weights, scale), bank.views, strict=True)):
            left, under = 0.1 + i % across * cell, top + 1.5 * LINE + i // across * (tile + below)
            place(axes, picture, left, under, tile, tile)
            _bars(axes, view.classes, largest, left + tile + 0.08, under, cell - tile - 0.38, tile)
            order_of = np.argsort(view.classes)
            for k, (words, number) in enumerate(
                ((f"unit {view.unit}: most for", order_of[-1]), ("most against", order_of[0])), start=1
            ):
                words = f"{words} {number} "
                words += fitted(spaced(bank.class_names[number]), cell - 0.2 - width_of(words, 6.5), 6.5)
                axes.text(left, under + tile + 0.08 + 0.11 * k, words, fontsize=6.5, color=INK, va="baseline")
        top += high
    for i, line in enumerate(foot):
        axes.text(0.1, top + 0.13 * (i + 0.5), line, fontsize=7, color=INK, va="center_baseline")
    return figure


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
        axes.text(at, top + height + 0.045, words, fontsize=5.5, color=GREY, ha=side, va="center_baseline")


def film(frames: Sequence[tuple[Frame, Pictures]], name: str, shown: Sequence[int]) -> Figure:
    """The first layer's weights over the training: a row an epoch, a column a unit; weights (U, C, H, W)."""
    words, of = 1.0, len(frames)
    tile = (WIDTH - words - 0.05) / max(8, len(shown))
    size = tile - 0.12 * tile
    frames = evenly(frames, int((LARGEST - SPARE) / tile))
    scale = _scale_of(weights for _, weights in frames)
    title = f"First layer of {shortened(name, NAME)} over its training{some_of(len(frames), of, 'epochs')}"
    key = "a column a unit, by its number; moved: the distance from where it began, over the length there"
    figure, axes, top = page(WIDTH, len(frames) * tile + LINE + 0.05, title, _legend(scale), key)
    axes.text(0.1, top + LINE / 2, "unit", fontsize=7, color=INK, va="center_baseline")
    for column, unit in enumerate(shown):
        axes.text(words + column * tile + size / 2, top + LINE / 2, str(unit), fontsize=7, color=INK,
                  ha="center", va="center_baseline")  # fmt: skip
    top += LINE
    for row, (frame, weights) in enumerate(frames):
        for line, at in ((f"epoch {frame.epoch}", -0.07), (f"moved {frame.moved:.2f}", 0.07)):
            axes.text(0.1, top + (row + 0.44) * tile + at, line, fontsize=7, color=INK, va="center_baseline")
        for column, picture in enumerate(_coloured(weights, scale)):
            place(axes, picture, words + column * tile, top + row * tile, size, size)
    return figure


def frames_of(frames: Sequence[tuple[Frame, Pictures]]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return each frame of an animation as pixels (H, W, 3), with what it says."""
    scale = _scale_of(weights for _, weights in frames)
    pictures = []
    for frame, weights in frames:
        tiles = _coloured(weights, scale)
        larger = max(1, 96 // tiles.shape[1])
        pixels = _mosaic(tiles.repeat(larger, axis=1).repeat(larger, axis=2), min(8, len(weights)))
        pictures.append((f"epoch {frame.epoch}", (255 * pixels).astype(np.uint8)))
    return pictures


def evidence(name: str, layers: Sequence[LayerWeights], spectra: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Each layer's singular values, over the band of those of re-initialised networks."""
    of, layers = len(layers), evenly(layers, MOST_LAYERS)
    across = min(3, len(layers))
    deep, wide, high = -(-len(layers) // across), WIDTH / across, 1.7
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=VERDICTS[verdict]["color"], label=f"its own: {verdict}", linestyle=style)
        for verdict, style in STYLES.items()
    ]
    handles.append(Patch(facecolor=FAINT, label="re-initialised networks, least to most"))
    legend = legend_height(WIDTH, [str(handle.get_label()) for handle in handles])
    title = f"Singular values of each layer's weights, {shortened(name, NAME)}, in their order"
    figure, head = titled(WIDTH, legend + deep * high, title + some_of(len(layers), of, "layers"), SCALE)
    for i, layer in enumerate(layers):
        left, top = i % across * wide, head + legend + i // across * high
        axes = new_axes(
            figure, left + 0.5, (deep - 1 - i // across) * high + 0.45, WIDTH - left - wide + 0.12, top + 0.22
        )
        values, least, largest = spectra[layer.layer]
        order = np.arange(1, len(values) + 1)
        axes.fill_between(order, least, largest, color=FAINT)
        axes.plot(order, values, color=VERDICTS[layer.verdict]["color"], linewidth=1.3, linestyle=STYLES[layer.verdict],
                  marker="o" if len(values) == 1 else "")  # fmt: skip
        plain(axes, "", "place in the order", "singular value")
        axes.set_title(fitted(layer.layer, wide - 0.65, 7.5), loc="left", fontsize=7.5, color=INK)
        axes.tick_params(labelsize=6.5)
        axes.xaxis.label.set_fontsize(7)
        axes.yaxis.label.set_fontsize(7)
        axes.set_ylim(0, None)
        axes.set_xlim((1, len(values)) if len(values) > 1 else (0.5, 1.5))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    legend_above(figure, handles, head)
    return figure

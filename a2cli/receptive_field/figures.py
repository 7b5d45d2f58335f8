"""The figures of `a2 receptive-field`: the maps and a unit's cone, fields over depth, boxes on an image, heat maps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from a2cli.figures.common import (
    FAINT,
    INK,
    LARGEST,
    TRAIN,
    VAL,
    color_bar,
    evenly,
    fitted,
    in_legend,
    legend_beside,
    new_axes,
    plain,
    shortened,
    some_of,
    titled,
    width_of,
)
from a2cli.formats import counted
from a2cli.receptive_field.results import EffectiveField, LayerField, MapCone, UnitField

THINNEST, THICKEST = 1.4, 6.0  # frames of boxes, in points
MOST_MAPS, MOST_BOXES, MOST_TICKS = 10, 20, 60
NAME = 1.25  # inches of a layer's name
LOOKS: dict[str, dict[str, Any]] = {
    "untrained": {"color": VAL, "marker": "s", "linestyle": "--"},
    "trained": {"color": TRAIN, "marker": "^"},
}
GRIDDED = 40  # units a side up to which they are drawn one by one
SLANT = np.array([0.42, 0.30])  # where a map's columns lead on the page; its rows lead straight down


def maps(cone: Sequence[MapCone], image: NDArray[np.uint8] | None) -> Figure:
    """The maps side by side, seen from an angle; what the last one's unit sees in each is filled, joined by lines."""
    of = len(cone)
    most, heights, lefts, width = _most_side_by_side(cone)
    cone, top = evenly(cone, most), 2.2 * (1 + SLANT[1])
    title = f"What one unit of {shortened(cone[-1].name, 40)} sees, back to the image{some_of(len(cone), of, 'maps')}"
    figure, head = titled(width + 0.4, top + 0.95, title, "filled: the units of each map that it sees")
    axes = new_axes(figure, 0.2, 0.1, 0.2, head)
    axes.set_axis_off()
    corners = []
    for map_cone, left, height in zip(cone, lefts, heights, strict=True):
        plane = _Plane(map_cone, float(left), (top - height * (1 + SLANT[1])) / 2, height)
        plane.draw(axes, image if map_cone.name == "image" else None)
        corners.append(plane.lit_corners())
    for before, after in pairwise(corners):
        for start, end in zip(before, after, strict=True):
            axes.plot(*zip(start, end, strict=True), color=TRAIN, linewidth=0.8, alpha=0.8, zorder=5)
    axes.set(xlim=(0, width), ylim=(-0.85, top), aspect="auto")
    return figure


def _most_side_by_side(cone: Sequence[MapCone]) -> tuple[int, list[float], NDArray[np.float64], float]:
    """Return how many maps a figure has room for, their heights and left ends, and the width of all, in inches."""
    for most in range(min(MOST_MAPS, len(cone)), 0, -1):
        some = evenly(cone, most) if most > 1 else [cone[-1]]
        largest = max(max(map_cone.size) for map_cone in some)
        heights = [max(0.35, (max(map_cone.size) / largest) ** 0.5) * 2.2 for map_cone in some]
        words = [max(width_of(line, 7.5) for line in _said_of(map_cone)) + 0.15 for map_cone in some]
        steps = [max(height * SLANT[0] + 0.45, word) for height, word in zip(heights, words, strict=True)]
        width = sum(steps)
        if width <= LARGEST - 0.4 or most == 1:
            break
    return most, heights, np.concatenate([[0.0], np.cumsum(steps[:-1])]), max(width, 3.0)


def _said_of(map_cone: MapCone) -> tuple[str, str, str]:
    rows, columns = map_cone.size
    spans = [sum(last - first + 1 for first, last in runs) for runs in (map_cone.rows, map_cone.columns)]
    share = f"{spans[0]}x{spans[1]} of them seen" if rows * columns > 1 else "seen"
    return fitted(map_cone.name, NAME, 7.5), f"{rows}x{columns}", share


class _Plane:
    """One map as a parallelogram; its units' rows lead down, their columns along the slant."""

    def __init__(self, map_cone: MapCone, left: float, bottom: float, height: float) -> None:
        rows, columns = map_cone.size
        self.cone, self.corner = map_cone, np.array([left, bottom + height])
        self.down = np.array([0.0, -height]) / rows
        self.along = height * SLANT / columns

    def at(self, row: float, column: float) -> tuple[float, float]:
        place = self.corner + row * self.down + column * self.along
        return float(place[0]), float(place[1])

    def box(self, top: float, left: float, bottom: float, right: float) -> list[tuple[float, float]]:
        return [self.at(top, left), self.at(top, right), self.at(bottom, right), self.at(bottom, left)]

    def lit_corners(self) -> list[tuple[float, float]]:
        rows, columns = self.cone.rows, self.cone.columns
        return self.box(rows[0][0], columns[0][0], rows[-1][1] + 1, columns[-1][1] + 1)

    def draw(self, axes: Axes, image: NDArray[np.uint8] | None) -> None:
        rows, columns = self.cone.size
        if image is not None:
            (a, b), (c, d), (x, y) = self.along, self.down, self.corner
            slanted = Affine2D(np.array([[a, c, x], [b, d, y], [0, 0, 1]])) + axes.transData
            axes.imshow(image, extent=(0, columns, rows, 0), transform=slanted, alpha=0.55, interpolation="nearest")
        edge = "none" if image is not None else "#f6f6f6"
        axes.add_patch(Polygon(self.box(0, 0, rows, columns), facecolor=edge, edgecolor=INK, linewidth=0.8))
        if max(rows, columns) <= GRIDDED and image is None:
            lines = [[self.at(row, 0), self.at(row, columns)] for row in range(1, rows)]
            lines += [[self.at(0, column), self.at(rows, column)] for column in range(1, columns)]
            for line in lines:
                axes.plot(*zip(*line, strict=True), color="#bbbbbb", linewidth=0.4)
        for top, bottom in self.cone.rows:
            for left, right in self.cone.columns:
                lit = self.box(top, left, bottom + 1, right + 1)
                axes.add_patch(Polygon(lit, facecolor=TRAIN, alpha=0.75, edgecolor="none", zorder=4))
        x, y = self.at(rows, 0)
        axes.text(x, y - 0.1, "\n".join(_said_of(self.cone)), fontsize=7.5, color=INK, va="top")


def depth(layers: Sequence[LayerField], effective: Sequence[EffectiveField], image_size: int | None) -> Figure:
    """The field's size after each layer, against the side of a square as large as the effective one, and the image."""
    names, beside = [layer.name for layer in layers], 2.2
    every = -(-len(names) // MOST_TICKS)
    ticks = [fitted(name, NAME, 6.5) for name in names[::every]]
    below = 0.5 + max(width_of(tick, 6.5) for tick in ticks)
    figure, head = titled(
        max(5.0, min(LARGEST, 0.2 * len(names) + 3 + beside)), 3.0 + below, "Receptive field over depth"
    )
    axes = new_axes(figure, 0.65, below, beside, head + 0.1)
    derived = [i for i, layer in enumerate(layers) if layer.field]
    fields = np.array([layers[i].field for i in derived])
    alike = bool(len(fields)) and bool((fields[:, 0] == fields[:, 1]).all())
    for axis, (label, style) in enumerate(
        (("field", "-") if alike else ("field, rows", "-"), ("field, columns", "--"))
    ):
        if len(fields) and not (alike and axis):
            axes.plot(derived, fields[:, axis], style, color=INK, marker="o", markersize=3, label=label)
    for kind, look in LOOKS.items():
        of_kind = [field for field in effective if field.weights == kind]
        sides_by_layer = {field.layer: field.holding["90"] ** 0.5 for field in of_kind if field.holding}
        places = [i for i, name in enumerate(names) if name in sides_by_layer]
        if places:
            sides = [sides_by_layer[names[i]] for i in places]
            axes.plot(places, sides, **look, markersize=4, label=f"90% of the gradient,\n{kind}")
    if image_size:
        axes.axhline(image_size, color=INK, linewidth=0.8, linestyle=":", label="image")
    if whole := [i for i, layer in enumerate(layers) if layer.status == "global"]:
        axes.axvspan(whole[0] - 0.5, len(names) - 0.5, color=FAINT, zorder=0, label="sees the whole image")
    axes.set_xticks(range(0, len(names), every), ticks, rotation=90, fontsize=6.5)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(bottom=0)
    plain(axes, "", "layer", "pixels per side")
    legend_beside(axes)
    return figure


def boxes(image: NDArray[np.uint8], units: Sequence[UnitField], mask: NDArray[np.bool_]) -> Figure:
    """One unit's pixels on an image, the rest dimmed; inside it the boxes of the `units` before it, if any."""
    units, size = evenly(units, MOST_BOXES), len(image)
    tip = units[-1]
    title = f"Unit {tip.unit[0]},{tip.unit[1]} of {shortened(tip.layer, 40)} sees "
    title += f"{counted(tip.pixels, 'pixel')} of the image"
    frames = "; frames: the middle units of the layers before it" * (len(units) > 1)
    figure, head = titled(7.4, 4.9, title, f"dimmed: what it does not see{frames}")
    axes = new_axes(figure, 0.65, 0.5, 2.4, head + 0.1)
    shown = image / 255 * np.where(mask, 1.0, 0.35)[..., None] + np.where(mask, 0.0, 0.35)[..., None]
    axes.imshow(shown, interpolation="nearest")
    colors = mpl.colormaps["plasma"](np.linspace(0.05, 0.85, len(units)))
    thick = min(THICKEST, THINNEST + 1.2 * (len(units) - 1))
    widths = np.linspace(THINNEST, thick, len(units))  # so that of edges in one place, each shows beside the one on it
    for place, (unit, color, width) in enumerate(zip(units, colors, widths, strict=True)):
        (top, bottom), (left, right) = unit.rows, unit.columns
        label = f"{in_legend(unit.layer, 1.3)}  {bottom - top + 1}x{right - left + 1}"
        frame = Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, fill=False, linewidth=width,
                          edgecolor=color, label=label, zorder=3 - place / len(units))  # fmt: skip
        axes.add_patch(frame)
    ends = [*tip.rows, *tip.columns]
    margin = min(max(0, -min(ends), max(ends) - size + 1), size) + 1.5
    axes.set(xlim=(-margin - 0.5, size - 0.5 + margin), ylim=(size - 0.5 + margin, -margin - 0.5))
    axes.set_xlabel("column, pixels")
    axes.set_ylabel("row, pixels")
    legend_beside(axes)
    return figure


def effective(
    name: str, influences: Mapping[str, NDArray[np.float64]], fields: Sequence[EffectiveField], unit: UnitField | None
) -> Figure:
    """Heat maps of the gradient on one colour scale, the derived field framed, and its profile along a row."""
    kinds, tile, bottom, space = list(influences), 3.0, 0.5, 0.75
    title = f"Effective receptive field of {shortened(name, 40)}"
    figure, head = titled(len(kinds) * (tile + space) + 4.9, bottom + tile + 0.5, title,
                          "dashed frame, dotted lines: the receptive field as derived" if unit else "")  # fmt: skip
    width, top = figure.get_size_inches()[0], head + 0.5
    most = max(float(spread.max()) for spread in influences.values()) or 1.0  # in any pixel of any
    drawn = None
    for i, (kind, spread) in enumerate(influences.items()):
        left = 0.6 + i * (tile + space)
        axes = new_axes(figure, left, bottom, width - left - tile, top)
        drawn = axes.imshow(spread / most, cmap="viridis", norm=PowerNorm(0.5, 0, 1))
        _frame(axes, unit, spread.shape)
        field = next(field for field in fields if field.weights == kind)
        held = "no gradient"
        if field.holding:
            held = "pixels that hold 50, 90, 99%: " + ", ".join(map(str, field.holding.values()))
        axes.set_title(f"{kind}\n{held}", loc="left", fontsize=8, color=INK)
    assert drawn is not None, "there is one kind of weights at least"
    bar = 0.6 + len(kinds) * (tile + space) - space + 0.15
    color_bar(figure, drawn, bar, bottom, tile, "gradient, of the strongest pixel's (root scale)",
              ticks=[0, 0.05, 0.25, 0.5, 0.75, 1], format=PercentFormatter(1.0))  # fmt: skip
    axes = new_axes(figure, bar + 1.5, bottom, 0.2, top)
    for kind, spread in influences.items():
        look = LOOKS[kind]
        axes.plot(spread.sum(axis=0), **look, markersize=4, markevery=max(1, len(spread) // 8), label=kind)
    if unit:
        for place_of in (unit.columns[0] - 0.5, unit.columns[1] + 0.5):
            if -1 <= place_of <= len(spread):
                axes.axvline(place_of, color=INK, linewidth=0.8, linestyle=":")
    axes.yaxis.set_major_formatter("{x:.1%}")
    axes.tick_params(labelsize=7)
    plain(axes, "", "column, pixels", "share of the gradient in a column")
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return figure


def _frame(axes: Axes, unit: UnitField | None, shape: tuple[int, ...]) -> None:
    """Frame the derived field, and leave out what is far from it."""
    rows = unit.clipped_rows if unit and unit.clipped_rows else (0, shape[0] - 1)
    columns = unit.clipped_columns if unit and unit.clipped_columns else (0, shape[1] - 1)
    (top, bottom), (left, right) = rows, columns
    axes.add_patch(
        Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, fill=False, edgecolor="white",
                  linewidth=1.2, linestyle="--")
    )  # fmt: skip
    room = max(2, (bottom - top) // 8, (right - left) // 8)
    axes.set_xlim(max(-0.5, left - room - 0.5), min(shape[1] - 0.5, right + room + 0.5))
    axes.set_ylim(min(shape[0] - 0.5, bottom + room + 0.5), max(-0.5, top - room - 0.5))
    axes.tick_params(labelsize=7)
    axes.set_xlabel("column, pixels", fontsize=8)
    axes.set_ylabel("row, pixels", fontsize=8)

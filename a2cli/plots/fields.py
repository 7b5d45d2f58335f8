"""The figures of `a2 receptive-field`: the maps and a unit's cone, fields over depth, boxes on an image, heat maps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Affine2D
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
    shortened,
    some_of,
)
from a2cli.results.fields import EffectiveField, LayerField, MapCone, UnitField

MOST_MAPS, MOST_BOXES = 10, 20
LONGEST = 22  # characters of a name
GRIDDED = 40  # units a side up to which they are drawn one by one
SLANT = np.array([0.42, 0.30])  # where a map's columns lead on the page; its rows lead straight down


def maps(cone: Sequence[MapCone], image: NDArray[np.uint8] | None) -> Figure:
    """The maps side by side, seen from an angle; what the last one's unit sees in each is filled, joined by lines."""
    of, cone = len(cone), evenly(cone, MOST_MAPS)
    sides = [max(one.size) for one in cone]
    heights = [max(0.35, (side / sides[0]) ** 0.5) * 2.2 for side in sides]
    gap = max(1.05, *(0.062 * min(LONGEST, len(one.name)) for one in cone[1:]), 1.05)
    lefts = np.concatenate([[0.0], np.cumsum([height * SLANT[0] + gap for height in heights[:-1]])])
    width, top = float(lefts[-1]) + max(1.0, 0.075 * min(LONGEST, len(cone[-1].name))) + 0.1, 2.2 * (1 + SLANT[1])
    figure = new_figure(width + 0.5, top + 1.25)
    axes = new_axes(figure, 0.25, 0.1, 0.25, 0.35)
    axes.set_axis_off()
    corners = []
    for one, left, height in zip(cone, lefts, heights, strict=True):
        plane = _Plane(one, float(left), (top - height * (1 + SLANT[1])) / 2, height)
        plane.draw(axes, image if one.name == "image" else None)
        corners.append(plane.lit_corners())
    for before, after in pairwise(corners):
        for start, end in zip(before, after, strict=True):
            axes.plot(*zip(start, end, strict=True), color=TRAIN, linewidth=0.8, alpha=0.8, zorder=5)
    axes.set(xlim=(0, width), ylim=(-0.85, top), aspect="equal")
    title = f"What one unit of {shortened(cone[-1].name, 40)} sees, back to the image{some_of(len(cone), of, 'maps')}"
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


class _Plane:
    """One map as a parallelogram; its units' rows lead down, their columns along the slant."""

    def __init__(self, one: MapCone, left: float, bottom: float, height: float) -> None:
        rows, columns = one.size
        self.one, self.corner = one, np.array([left, bottom + height])
        self.down = np.array([0.0, -height]) / rows
        self.along = height * SLANT / columns

    def at(self, row: float, column: float) -> tuple[float, float]:
        place = self.corner + row * self.down + column * self.along
        return float(place[0]), float(place[1])

    def box(self, top: float, left: float, bottom: float, right: float) -> list[tuple[float, float]]:
        return [self.at(top, left), self.at(top, right), self.at(bottom, right), self.at(bottom, left)]

    def lit_corners(self) -> list[tuple[float, float]]:
        one = self.one
        return self.box(one.rows[0][0], one.columns[0][0], one.rows[-1][1] + 1, one.columns[-1][1] + 1)

    def draw(self, axes: Axes, image: NDArray[np.uint8] | None) -> None:
        rows, columns = self.one.size
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
        for top, bottom in self.one.rows:
            for left, right in self.one.columns:
                lit = self.box(top, left, bottom + 1, right + 1)
                axes.add_patch(Polygon(lit, facecolor=TRAIN, alpha=0.75, edgecolor="none", zorder=4))
        spans = [sum(last - first + 1 for first, last in runs) for runs in (self.one.rows, self.one.columns)]
        x, y = self.at(rows, 0)
        seen = f"{spans[0]}x{spans[1]} of them seen" if rows * columns > 1 else "seen"
        words = f"{shortened(self.one.name, LONGEST)}\n{rows}x{columns}\n{seen}"
        axes.text(x, y - 0.1, words, fontsize=7.5, color=INK, va="top")


def depth(layers: Sequence[LayerField], effective: Sequence[EffectiveField], image_size: int | None) -> Figure:
    """The field's size after each layer, against the side of a square as large as the effective one, and the image."""
    names = [layer.name for layer in layers]
    below = 0.3 + 0.068 * min(LONGEST, max(map(len, names)))
    figure = new_figure(max(5.0, min(13.0, 0.3 * len(names) + 3)), 3.2 + below)
    axes = new_axes(figure, 0.65, below, 0.15, 0.35)
    known = [i for i, layer in enumerate(layers) if layer.field]
    fields = np.array([layers[i].field for i in known])
    alike = bool(len(fields)) and bool((fields[:, 0] == fields[:, 1]).all())
    for axis, (label, style) in enumerate(
        (("field", "-") if alike else ("field, rows", "-"), ("field, columns", "--"))
    ):
        if len(fields) and not (alike and axis):
            axes.plot(known, fields[:, axis], style, color=INK, marker="o", markersize=3, label=label)
    for kind, color in (("untrained", VAL), ("trained", TRAIN)):
        found = {one.layer: one.holding["90"] ** 0.5 for one in effective if one.weights == kind and one.holding}
        places = [i for i, name in enumerate(names) if name in found]
        if places:
            sides = [found[names[i]] for i in places]
            axes.plot(places, sides, color=color, marker="s", markersize=4, label=f"90% of the gradient, {kind}")
    if image_size:
        axes.axhline(image_size, color=INK, linewidth=0.8, linestyle=":", label="image")
    if whole := [i for i, layer in enumerate(layers) if layer.status == "global"]:
        axes.axvspan(whole[0] - 0.5, len(names) - 0.5, color=FAINT, zorder=0, label="sees the whole image")
    every = -(-len(names) // 60)
    axes.set_xticks(
        range(0, len(names), every), [shortened(name, LONGEST) for name in names[::every]], rotation=90, fontsize=6.5
    )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("pixels a side")
    plain(axes, "Receptive field over depth", "")
    axes.legend(frameon=False, fontsize=8)
    return figure


def boxes(image: NDArray[np.uint8], units: Sequence[UnitField], mask: NDArray[np.bool_]) -> Figure:
    """One unit's pixels on an image, the rest dimmed; the middle units' boxes of the layers before it inside."""
    units, size = evenly(units, MOST_BOXES), len(image)
    tip = units[-1]
    figure = new_figure(7.2, 5.2)
    axes = new_axes(figure, 0.65, 0.45, 2.3, 0.4)
    shown = image / 255 * np.where(mask, 1.0, 0.35)[..., None] + np.where(mask, 0.0, 0.35)[..., None]
    axes.imshow(shown, interpolation="nearest")
    colors = mpl.colormaps["plasma"](np.linspace(0.05, 0.85, len(units)))
    for unit, color in zip(units, colors, strict=True):
        (top, bottom), (left, right) = unit.rows, unit.columns
        label = f"{in_legend(unit.layer, 20)}  {bottom - top + 1}x{right - left + 1}"
        frame = Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, fill=False, linewidth=1.6,
                          edgecolor=color, label=label)  # fmt: skip
        axes.add_patch(frame)
    ends = [*tip.rows, *tip.columns]
    margin = min(max(0, -min(ends), max(ends) - size + 1), size) + 1.5
    axes.set(xlim=(-margin - 0.5, size - 0.5 + margin), ylim=(size - 0.5 + margin, -margin - 0.5))
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8, handlelength=1)
    title = f"Unit {tip.unit[0]},{tip.unit[1]} of {shortened(tip.layer, 40)} sees {tip.pixels} pixels"
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


def effective(
    name: str, influences: Mapping[str, NDArray[np.float64]], found: Sequence[EffectiveField], unit: UnitField | None
) -> Figure:
    """Heat maps of the gradient on one colour scale, the derived field framed, and its profile along a row."""
    kinds, tile = list(influences), 3.0
    figure = new_figure(len(kinds) * (tile + 0.35) + 4.6, tile + 1.1)
    most = max(float(spread.max()) for spread in influences.values()) or 1.0  # in any pixel of any
    drawn = None
    for i, (kind, spread) in enumerate(influences.items()):
        left = 0.45 + i * (tile + 0.35)
        axes = new_axes(figure, left, 0.45, figure.get_size_inches()[0] - left - tile, 0.65)
        drawn = axes.imshow(spread / most, cmap="viridis", norm=PowerNorm(0.5, 0, 1))
        _frame(axes, unit, spread.shape)
        one = next(one for one in found if one.weights == kind)
        held = "no gradient"
        if one.holding:
            held = "pixels that hold 50, 90, 99%: " + ", ".join(map(str, one.holding.values()))
        axes.set_title(f"{kind}\n{held}", loc="left", fontsize=8, color=INK)
    assert drawn is not None, "there is one kind of weights at least"
    bar = 0.45 + len(kinds) * (tile + 0.35) - 0.2
    place = new_axes(figure, bar, 0.45, figure.get_size_inches()[0] - bar - 0.12, 0.65)
    figure.colorbar(drawn, cax=place, ticks=[0, 0.05, 0.25, 0.5, 0.75, 1], format=PercentFormatter(1.0))
    place.tick_params(labelsize=7)
    place.set_ylabel("gradient, of the strongest pixel's (root scale)", fontsize=7)
    axes = new_axes(figure, bar + 1.35, 0.45, 0.2, 0.65)
    for kind, spread in influences.items():
        axes.plot(spread.sum(axis=0), color={"untrained": VAL, "trained": TRAIN}[kind], label=kind)
    if unit:
        for place_of in (unit.columns[0] - 0.5, unit.columns[1] + 0.5):
            if -1 <= place_of <= len(spread):
                axes.axvline(place_of, color=INK, linewidth=0.8, linestyle=":")
    axes.yaxis.set_major_formatter("{x:.1%}")
    axes.tick_params(labelsize=7)
    axes.legend(frameon=False, fontsize=7)
    plain(axes, "Share of each column", "column of the image")
    axes.title.set_fontsize(8)
    figure.suptitle(f"Effective receptive field of {shortened(name, 40)}", x=0.02, ha="left", fontsize=11, color=INK)
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

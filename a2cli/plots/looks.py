"""What a network looks at in one image: each method's map over the same map of a network with random weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.plots.common import INK, TRAIN, VAL, new_axes, new_figure, readable, shortened
from a2cli.results.weights import Look, Map

WIDTH, FULL = 7.0, 99.5
ACROSS = 5  # maps in a row
Values = NDArray[np.float32]


@dataclass(frozen=True)
class MapPair:
    """One method's maps (H, W), of the network and of one with random weights."""

    said: Map
    signed: bool
    trained: Values
    random: Values


def looks(look: Look, image: NDArray[np.uint8], maps: Sequence[MapPair]) -> Figure:
    """The image, then a column a method: the network's own map above, one of random weights below."""
    across = min(ACROSS, len(maps))
    tile = min(1.4, WIDTH / (across + 1))
    band = 2 * (tile + 0.22) + 0.3
    bands = -(-len(maps) // across)
    figure = new_figure(WIDTH, 0.45 + bands * band)
    axes = new_axes(figure, 0, 0, 0, 0)
    axes.set_axis_off()
    of = "" if look.looked_for == look.answer else f"; maps for {readable(look.looked_for)}"
    title = f"{shortened(look.image.rpartition('/')[2], 24)} by {shortened(look.network, 24)}: {readable(look.answer)}"
    axes.text(0.05, 0.05, f"{title}, {look.probability:.2f}{of}", fontsize=9.5, color=INK, va="top")
    scale = f"a scale a map, full at percentile {FULL:g}: from dark, nothing, to bright; signed: red for, blue against"
    axes.text(0.05, 0.28, scale, fontsize=7, color=INK, va="top")
    for number, one in enumerate(maps):
        top = 0.62 + number // across * band
        below, left = top + tile + 0.08, (number % across + 1) * tile
        if number % across == 0:
            axes.imshow(image, extent=(0.04, tile - 0.04, top + tile - 0.08, top), interpolation="nearest")
            axes.text(0.06, below + tile / 2, "random\nweights", fontsize=8, color=INK, va="center")
        axes.text(left, top - 0.02, one.said.method, fontsize=6.5, color=INK, va="bottom")
        for row, values in ((top, one.trained), (below, one.random)):
            picture = coloured(values, signed=one.signed)
            axes.imshow(picture, extent=(left, left + tile - 0.08, row + tile - 0.08, row), interpolation="nearest")
        color = TRAIN if one.said.says_nothing else VAL
        axes.text(left, below + tile - 0.05, _said(one), fontsize=6.5, color=color, va="top")
    axes.set(xlim=(0, WIDTH), ylim=(0.45 + bands * band, 0), aspect="auto")
    return figure


def _said(one: MapPair) -> str:
    if one.said.alike is None:
        return "empty: nothing to\ncompare"
    return f"alike {one.said.alike[0]:.2f}" + (": says\nnothing of learning" if one.said.says_nothing else "")


def coloured(values: Values, *, signed: bool) -> Values:
    """Return a map (H, W) as colours (H, W, 3): perceptually even, of a signed one symmetric around zero."""
    most = float(np.percentile(np.abs(values), FULL)) or float(np.abs(values).max()) or 1.0
    shares = np.clip(values / (2 * most) + 0.5, 0, 1) if signed else np.clip(values / most, 0, 1)
    found: Values = colormaps["berlin" if signed else "viridis"](shares)[..., :3]
    return found

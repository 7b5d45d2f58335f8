"""What a network looks at in one image: each method's map over the same map of a network with random weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.figures.common import INK, VERDICTS, fitted, page, place, readable, shortened
from a2cli.visualize_weights.results import Look, Map

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
    tile = min(1.36, (WIDTH - 0.2) / (across + 1))
    band = 2 * (tile + 0.05) + 0.55
    bands = -(-len(maps) // across)
    of = "" if look.looked_for == look.answer else f"; maps for {readable(look.looked_for)}"
    title = f"{shortened(look.image.rpartition('/')[2], 24)} by {shortened(look.network, 40)}: {readable(look.answer)}"
    scale = f"a scale a map, full at percentile {FULL:g}: from dark, nothing, to bright; signed: red for, blue against"
    alike = "alike: how much the map is like those of networks with random weights (rank correlation)"
    figure, axes, head = page(WIDTH, bands * band, f"{title}, probability {look.probability:.2f}{of}", scale, alike)
    for number, one in enumerate(maps):
        top = head + number // across * band + 0.18
        below, left = top + tile + 0.03, 0.1 + (number % across + 1) * tile
        if number % across == 0:
            place(axes, image, 0.1, top, tile - 0.08, tile - 0.08)
            axes.text(0.1, below + tile / 2, "random\nweights", fontsize=8, color=INK, va="center")
        axes.text(left, top - 0.05, fitted(one.said.method, tile - 0.06, 7), fontsize=7, color=INK, va="baseline")
        for row, values in ((top, one.trained), (below, one.random)):
            place(axes, coloured(values, signed=one.signed), left, row, tile - 0.08, tile - 0.08)
        color = VERDICTS["worse" if one.said.says_nothing else "better"]["color"]
        for i, line in enumerate(_said(one)):
            axes.text(left, below + tile + 0.06 + 0.12 * i, line, fontsize=6.5, color=color, va="baseline")
    return figure


def _said(one: MapPair) -> tuple[str, ...]:
    if one.said.alike is None:
        return "empty: nothing to", "compare"
    alike = f"alike {one.said.alike[0]:.2f}"
    return (f"{alike}: says", "nothing of learning") if one.said.says_nothing else (alike,)


def coloured(values: Values, *, signed: bool) -> Values:
    """Return a map (H, W) as colours (H, W, 3): perceptually even, of a signed one symmetric around zero."""
    most = float(np.percentile(np.abs(values), FULL)) or float(np.abs(values).max()) or 1.0
    shares = np.clip(values / (2 * most) + 0.5, 0, 1) if signed else np.clip(values / most, 0, 1)
    found: Values = colormaps["berlin" if signed else "viridis"](shares)[..., :3]
    return found

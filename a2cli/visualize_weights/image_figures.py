"""Images and what a network makes of them: what excites its units, and what it looks at.

U units, H x W pixels.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from a2cli.figures.common import INK, VERDICTS, fitted, page, place, readable, shortened, some_of, spaced
from a2cli.formats import counted
from a2cli.visualize_weights.figures import FULL, NAME, WIDTH, Pictures
from a2cli.visualize_weights.results import Look, UnitView
from a2cli.visualize_weights.saliency import MapPair

MOST_ROWS = 17  # that a page has room for
WORDS = 0.95  # inches at the left of a row of pictures
ACROSS = 5  # maps in a row


def _unit_rows(
    views: Sequence[UnitView], tile: float, title: str, under: str
) -> tuple[Figure, Axes, list[tuple[UnitView, float]]]:
    """Return a page with a row of pictures a unit, what is said of it at the left, and where each row begins."""
    shown = views[:MOST_ROWS]
    title += some_of(len(shown), len(views), "units")
    under += "; at the left the class of more than half, or of how many classes they are"
    figure, axes, head = page(WIDTH, len(shown) * (tile + 0.04) + 0.05, title, under)
    rows = [(view, head + row * (tile + 0.04)) for row, view in enumerate(shown)]
    for view, top in rows:
        truths = [patch.truth for patch in view.patches]
        most = max(dict.fromkeys(truths), key=truths.count, default="")
        lines = [f"unit {view.unit}"]
        if not truths:
            lines.append("answers to none")
        elif 2 * truths.count(most) <= len(truths):
            lines.append(counted(len(set(truths)), "class", "classes"))
        else:
            lines += [f"{truths.count(most)} of {len(truths)}:", fitted(spaced(most), WORDS - 0.15, 6.5)]
        for i, line in enumerate(lines):
            at = top + tile / 2 + 0.12 * (i - (len(lines) - 1) / 2)
            axes.text(0.1, at, line, fontsize=6.5, color=INK, va="center_baseline")
    return figure, axes, rows


def patches(layer: str, name: str, views: Sequence[UnitView], cut: Pictures, pictures: Pictures | None,
            class_name: str | None) -> Figure:  # fmt: skip
    """Each unit's ascent, if there is one, and the patches of images that it answers most to.

    cut: (U, N, H, W, 3) uint8, pictures: (U, 3, H, W) in [0, 1].
    """
    tile = 0.6
    parts = ["the picture of an ascent"] * (pictures is not None)
    if cut.shape[1]:
        parts += [f"the {cut.shape[1]} strongest patches, one an image", "grey lies beyond the image"]
    title = f"{shortened(layer, NAME)} of {shortened(name, NAME)}: what its units answer most to"
    title += f", those that {readable(class_name)} uses most first" if class_name else ""
    figure, axes, rows = _unit_rows(views, tile, title, "; ".join(parts))
    for row, (_, top) in enumerate(rows):
        left = WORDS
        if pictures is not None:
            place(axes, pictures[row].transpose(1, 2, 0), left, top, tile, tile)
            left += tile + 0.06
        for column, patch in enumerate(cut[row]):
            place(axes, patch, left + column * 0.595, top, tile - 0.03, tile - 0.03)
    return figure


def places(layer: str, name: str, views: Sequence[UnitView], images: Mapping[str, Pictures]) -> Figure:
    """The images that units answer most to, whole, and in each the field that the unit sees."""
    tile = 0.64
    title = f"{shortened(layer, NAME)} of {shortened(name, NAME)}: the images that its units answer most to"
    figure, axes, rows = _unit_rows(views, tile, title, "the square is what the unit sees there")
    for view, top in rows:
        for column, patch in enumerate(view.patches):
            picture, left = images[patch.image], WORDS + column * (tile + 0.02)
            side = picture.shape[0]
            place(axes, picture, left, top, tile, tile)
            edges = [np.clip((first, last + 1), 0, side) / side * tile for first, last in (patch.columns, patch.rows)]
            for color, wide in (("#000000", 1.8), ("#ffd400", 0.9)):  # seen on light and on dark images
                box = Rectangle((left + edges[0][0], top + edges[1][0]), np.ptp(edges[0]), np.ptp(edges[1]),
                                fill=False, edgecolor=color, linewidth=wide)  # fmt: skip
                axes.add_patch(box)
    return figure


def looks(look: Look, image: NDArray[np.uint8], maps: Sequence[MapPair]) -> Figure:
    """The image, then a column a method: the network's own map above, one of random weights below."""
    across = min(ACROSS, len(maps))
    tile = min(1.36, (WIDTH - 0.2) / (across + 1))
    size, band = tile - 0.08, 2 * (tile + 0.05) + 0.55
    of = "" if look.looked_for == look.answer else f"; maps for {readable(look.looked_for)}"
    title = f"{shortened(look.image.rpartition('/')[2], 24)} by {shortened(look.network, 40)}: {readable(look.answer)}"
    scale = f"a scale a map, full at percentile {FULL:g}: from dark, nothing, to bright; signed: red for, blue against"
    alike = "alike: how much the map is like those of networks with random weights (rank correlation)"
    high = -(-len(maps) // across) * band
    figure, axes, head = page(WIDTH, high, f"{title}, probability {look.probability:.2f}{of}", scale, alike)
    for number, pair in enumerate(maps):
        top = head + number // across * band + 0.18
        below, left = top + tile + 0.03, 0.1 + (number % across + 1) * tile
        if number % across == 0:
            place(axes, image, 0.1, top, size, size)
            axes.text(0.1, below + tile / 2, "random\nweights", fontsize=8, color=INK, va="center")
        axes.text(left, top - 0.05, fitted(pair.result.method, tile - 0.06, 7), fontsize=7, color=INK, va="baseline")
        place(axes, coloured(pair.trained, signed=pair.signed), left, top, size, size)
        place(axes, coloured(pair.random, signed=pair.signed), left, below, size, size)
        color = VERDICTS["worse" if pair.result.says_nothing else "better"]["color"]
        for i, line in enumerate(_likeness(pair)):
            axes.text(left, below + tile + 0.06 + 0.12 * i, line, fontsize=6.5, color=color, va="baseline")
    return figure


def _likeness(pair: MapPair) -> Iterator[str]:
    if pair.result.alike is None:
        yield from ("empty: nothing to", "compare")
    elif pair.result.says_nothing:
        yield from (f"alike {pair.result.alike[0]:.2f}: says", "nothing of learning")
    else:
        yield f"alike {pair.result.alike[0]:.2f}"


def coloured(values: Pictures, *, signed: bool) -> Pictures:
    """Return a map (H, W) as colours (H, W, 3): perceptually even, of a signed one symmetric around zero."""
    most = float(np.percentile(np.abs(values), FULL)) or float(np.abs(values).max()) or 1.0
    shares = np.clip(values / (2 * most) + 0.5, 0, 1) if signed else np.clip(values / most, 0, 1)
    colours: Pictures = colormaps["berlin" if signed else "viridis"](shares)[..., :3]
    return colours

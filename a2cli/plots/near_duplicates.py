"""The figure of near duplicates: pairs of images side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.plots.common import INK, new_axes, new_figure, shortened
from a2cli.results.data import NearDuplicate

COLUMNS, TILE, WORDS, GAP = 3, 1.3, 0.62, 0.25
LETTERS = 40


def near_duplicates(images: NDArray[np.uint8], pairs: Sequence[NearDuplicate]) -> Figure:
    """Draw pairs of images (P, 2, H, W, 3) with their names, the parts of the split they are in, and how similar."""
    rows, wide = -(-len(pairs) // COLUMNS), 2 * TILE + GAP
    figure = new_figure(COLUMNS * (wide + GAP), rows * (TILE + WORDS) + 0.45)
    axes = new_axes(figure, 0, 0, 0, 0)
    width, height = figure.get_size_inches()
    axes.set_axis_off()
    axes.text(GAP / 2, height - 0.27, "Nearly identical images, the worst pairs", fontsize=11, color=INK)
    for i, (two, pair) in enumerate(zip(images, pairs, strict=True)):
        left, top = GAP / 2 + (i % COLUMNS) * (wide + GAP), height - 0.4 - (i // COLUMNS) * (TILE + WORDS)
        for k, image in enumerate(two):
            place = left + k * (TILE + 0.05)
            axes.imshow(image, extent=(place, place + TILE, top - TILE, top), interpolation="nearest")
        names = [f"{shortened_start(name, LETTERS)}  {part}" for name, part in (
            (pair.first, pair.first_part), (pair.second, pair.second_part))]  # fmt: skip
        said = f"similarity {pair.similarity:.3f}{'' if pair.same_class else ', two labels'}"
        axes.text(left, top - TILE - 0.06, "\n".join([*names, said]), fontsize=6.5, color=INK, va="top",
                  linespacing=1.2, parse_math=False)  # fmt: skip
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure


def shortened_start(text: str, most: int) -> str:
    """Return a path that fits into so many letters, its beginning left out: the end tells files apart."""
    return shortened(text[::-1], most)[::-1]

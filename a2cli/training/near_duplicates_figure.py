"""The figure of near duplicates: pairs of images side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.figures.common import INK, fitted_end, page, place, width_of
from a2cli.reports.data_results import NearDuplicate

COLUMNS, TILE, WORDS, GAP = 3, 1.3, 0.62, 0.25


def near_duplicates(images: NDArray[np.uint8], pairs: Sequence[NearDuplicate]) -> Figure:
    """Draw pairs of images (P, 2, H, W, 3) with their names, the parts of the split they are in, and how similar."""
    rows, wide = -(-len(pairs) // COLUMNS), 2 * TILE + GAP
    figure, axes, head = page(COLUMNS * (wide + GAP), rows * (TILE + WORDS) + 0.05,
                              "Nearly identical images, the worst pairs")  # fmt: skip
    for i, (two, pair) in enumerate(zip(images, pairs, strict=True)):
        left, top = GAP / 2 + i % COLUMNS * (wide + GAP), head + i // COLUMNS * (TILE + WORDS)
        for k, image in enumerate(two):
            place(axes, image, left + k * (TILE + 0.05), top, TILE, TILE)
        lines = [f"{fitted_end(name, wide - width_of(part, 6.5) - 0.1, 6.5)}  {part}" for name, part in (
            (pair.first, pair.first_part), (pair.second, pair.second_part))]  # fmt: skip
        lines.append(f"similarity {pair.similarity:.3f}{'' if pair.same_class else ', two labels'}")
        for k, line in enumerate(lines):
            axes.text(left, top + TILE + 0.14 + 0.13 * k, line, fontsize=6.5, color=INK, va="baseline")
    return figure

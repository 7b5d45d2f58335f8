"""The contact sheet of a prediction: images, and the answer under each."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.figures.common import (
    GREY,
    INK,
    LARGEST,
    fitted,
    fitted_end,
    new_axes,
    new_figure,
    shortened,
    spaced,
    width_of,
    wrapped,
)
from a2cli.reports.predictions import Predictions

TILE, GAP, WORDS, LINE = 1.5, 0.2, 0.5, 0.2
FEWEST, MOST = 4, 6  # columns; fewer leave no room for the title, and more come as many images make a square
HEAD = 1.0  # inches that the title takes at the most
ALARM = "#b00020"


def contact_sheet(results: Predictions, thumbnails: Sequence[NDArray[np.uint8]]) -> Figure:
    """The first images, each (H, W, 3) with its sides' proportion, over its answer, its probability and its name."""
    columns, tile = _tiles(len(thumbnails))
    width = columns * (tile + GAP)
    words = [(f"{shortened(results.run, 80)}: {results.method}", INK)]
    words += [(shortened(note, 300), ALARM) for note in results.warnings]
    title = [(line, color) for text, color in words for line in wrapped(text, width - GAP, 10)]
    head, rows = LINE * len(title) + 0.2, -(-len(thumbnails) // columns)
    height = head + rows * (tile + WORDS)
    figure = new_figure(width, height)
    axes = new_axes(figure, 0, 0, 0, 0)  # one for all images: axes of their own cost ten times the time
    axes.set_axis_off()
    for i, (line, color) in enumerate(title):
        axes.text(GAP / 2, height - LINE * (i + 1), line, fontsize=10, color=color)
    for i, (image, prediction) in enumerate(zip(thumbnails, results.predictions, strict=False)):
        left, top = GAP / 2 + i % columns * (tile + GAP), height - head - i // columns * (tile + WORDS)
        high, wide = (tile * side / max(image.shape[:2]) for side in image.shape[:2])
        x, y = left + (tile - wide) / 2, top - tile  # in the middle, standing on its answer
        axes.imshow(image, extent=(x, x + wide, y, y + high))
        share = f" {prediction.probability:.1%}"
        answer = fitted(spaced(prediction.answer), tile + 0.1 - width_of(share, 8), 8) + share
        for line, color, below in ((answer, INK, 0.15), (fitted_end(prediction.image, tile + 0.1, 8), GREY, 0.29)):
            axes.text(left + tile / 2, y - below, line, fontsize=8, color=color, ha="center")
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure


def _tiles(count: int) -> tuple[int, float]:
    """Return how many columns so many images are in, and the inches of each."""
    usual = max(FEWEST, min(MOST, count), ceil(count**0.5))

    def side(columns: int) -> float:
        return min(TILE, LARGEST / columns - GAP, (LARGEST - HEAD) / max(1, ceil(count / columns)) - WORDS)

    columns = max(range(usual, 2 * usual), key=side)  # the first of equals
    return columns, side(columns)

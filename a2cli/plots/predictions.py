"""The contact sheet of a prediction: images, and the answer under each."""

import textwrap
from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.plots.common import INK, new_axes, new_figure, readable, shortened
from a2cli.results.predictions import Predictions

TILE, GAP, WORDS, LINE = 1.5, 0.2, 0.5, 0.2
FEWEST, MOST = 4, 6  # columns; fewer leave no room for the title, and more come as many images make a square
LETTERS = 22  # that fit under a tile
GREY, ALARM = "#777777", "#b00020"


def contact_sheet(found: Predictions, thumbnails: Sequence[NDArray[np.uint8]]) -> Figure:
    """The first images, each (H, W, 3) with its sides' proportion, over its answer, its probability and its name."""
    columns = max(FEWEST, min(MOST, len(thumbnails)), ceil(len(thumbnails) ** 0.5))
    width = columns * (TILE + GAP)
    said = [(f"{shortened(found.run, 80)}: {found.method}", INK)]
    said += [(shortened(note, 300), ALARM) for note in found.warnings]
    title = [(line, color) for words, color in said for line in textwrap.wrap(words, round(12 * width))]
    head, rows = LINE * len(title) + 0.2, -(-len(thumbnails) // columns)
    height = head + rows * (TILE + WORDS)
    figure = new_figure(width, height)
    axes = new_axes(figure, 0, 0, 0, 0)  # one for all images: axes of their own cost ten times the time
    axes.set_axis_off()
    for i, (line, color) in enumerate(title):
        axes.text(GAP / 2, height - LINE * (i + 1), line, fontsize=10, color=color)
    for i, (image, one) in enumerate(zip(thumbnails, found.predictions, strict=False)):
        left, top = GAP / 2 + i % columns * (TILE + GAP), height - head - i // columns * (TILE + WORDS)
        high, wide = (TILE * side / max(image.shape[:2]) for side in image.shape[:2])
        x, y = left + (TILE - wide) / 2, top - TILE  # in the middle, standing on its answer
        axes.imshow(image, extent=(x, x + wide, y, y + high), interpolation="nearest")
        answer = f"{readable(one.answer, LETTERS - 6)} {one.probability:.1%}"
        for line, color, below in ((answer, INK, 0.15), (shortened(one.image, LETTERS), GREY, 0.29)):
            middle = left + TILE / 2
            axes.text(middle, y - below, line, fontsize=8, color=color, ha="center")
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure

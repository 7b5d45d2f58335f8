"""The figures of a training run that show images: mistakes, samples of each class, nearly identical images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from a2cli.figures.common import INK, LARGEST, fitted, fitted_end, page, place, some_of, spaced, width_of
from a2cli.formats import counted, in_percent
from a2cli.reports.data_results import NearDuplicate
from a2cli.reports.training_results import Mistake
from a2cli.training.figures import CALLED


def most_wrong(images: NDArray[np.uint8], mistakes: Sequence[Mistake], part: str) -> Figure:
    """The images answered wrongly with most confidence: what they are, what was answered, how surely."""
    columns, tile, words, gap = 4, 1.9, 0.42, 0.2
    rows, of = int((LARGEST - 1) / (tile + words)), len(mistakes)
    mistakes = mistakes[: rows * columns]
    title = f"The {CALLED[part]} images answered wrongly with most confidence"
    title = title if mistakes else f"No {CALLED[part]} image is answered wrongly"
    title += some_of(len(mistakes), of, "images")
    height = -(-len(mistakes) // columns) * (tile + words) + 0.1
    figure, axes, head = page(columns * (tile + gap), height, title)
    for i, (image, mistake) in enumerate(zip(images, mistakes, strict=False)):
        left, top = i % columns * (tile + gap) + gap / 2, head + i // columns * (tile + words)
        share = f" {in_percent(mistake.probability)}"
        answer = fitted(f"answer: {spaced(mistake.answer)}", tile - width_of(share, 8), 8) + share
        truth = fitted(f"truth: {spaced(mistake.truth)}", tile, 8)
        axes.text(left, top + 0.18, answer, fontsize=8, color=INK, va="baseline")
        axes.text(left, top + 0.33, truth, fontsize=8, color=INK, va="baseline")
        place(axes, image, left, top + words - 0.02, tile, tile)
    return figure


def samples(pictures: Sequence[NDArray[np.uint8]], counts: Mapping[str, int]) -> Figure:
    """A row for each class, its name and how many images it has, and a few of them; `pictures` are (K, H, W, 3)."""
    tile, words, gap = 0.55, 2.2, 0.04
    most = int((LARGEST - 1) / (tile + gap))
    columns = max((len(own) for own in pictures), default=0)
    title = "Images of each class" + some_of(min(most, len(counts)), len(counts), "classes")
    height = min(most, len(counts)) * (tile + gap) + 0.1
    figure, axes, head = page(words + columns * (tile + gap) + 0.1, height, title)
    for row, ((name, count), own) in enumerate(zip(list(counts.items())[:most], pictures, strict=False)):
        top = head + row * (tile + gap)
        axes.text(0.1, top + 0.24, fitted(spaced(name), words - 0.2, 8), fontsize=8, color=INK, va="baseline")
        axes.text(0.1, top + 0.38, counted(count, "image"), fontsize=7, color=INK, va="baseline")
        for column, picture in enumerate(own):
            place(axes, picture, words + column * (tile + gap), top, tile, tile)
    return figure


def near_duplicates(images: NDArray[np.uint8], pairs: Sequence[NearDuplicate]) -> Figure:
    """Draw pairs of images (P, 2, H, W, 3) with their names, the parts of the split they are in, and how similar."""
    columns, tile, words, gap = 3, 1.3, 0.62, 0.25
    rows, wide = -(-len(pairs) // columns), 2 * tile + gap
    figure, axes, head = page(columns * (wide + gap), rows * (tile + words) + 0.05,
                              "Nearly identical images, pairs in two parts of the split first")  # fmt: skip
    for i, (both, pair) in enumerate(zip(images, pairs, strict=True)):
        left, top = gap / 2 + i % columns * (wide + gap), head + i // columns * (tile + words)
        for k, image in enumerate(both):
            place(axes, image, left + k * (tile + 0.05), top, tile, tile)
        lines = [f"{fitted_end(name, wide - width_of(part, 6.5) - 0.1, 6.5)}  {part}" for name, part in (
            (pair.first, pair.first_part), (pair.second, pair.second_part))]  # fmt: skip
        lines.append(f"similarity {pair.similarity:.3f}{'' if pair.same_class else ', two labels'}")
        for k, line in enumerate(lines):
            axes.text(left, top + tile + 0.14 + 0.13 * k, line, fontsize=6.5, color=INK, va="baseline")
    return figure

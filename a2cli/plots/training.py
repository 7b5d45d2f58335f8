"""The figures of a training run: numbers -> matplotlib figures, made to be read at a glance."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from a2cli.plots.common import (
    GREY,
    INK,
    KEPT,
    LARGEST,
    MAPS,
    PARTS,
    VAL,
    color_bar,
    epochs,
    every,
    fitted,
    legend_above,
    logarithmic,
    new_axes,
    on_color,
    page,
    percent,
    place,
    plain,
    small_numbers,
    some_of,
    spaced,
    titled,
    width_of,
)
from a2cli.results.training import EpochLog, Mistake, TrainingResult, repeated_by

MOST_CONFUSED = 40  # classes whose names and counts can be read in one figure
NAME = 1.9  # inches of a class name beside a matrix
History = Mapping[str, Sequence[EpochLog]]
CALLED = {"train": "training", "val": "validation", "test": "test"}


def learning_curves(history: History, results: Sequence[TrainingResult], stages: Mapping[int, str]) -> Figure:
    """Loss and accuracy over the epochs, training and validation, the kept epoch marked; of several seeds the mean.

    `stages` are the names of stages by their first epoch.
    """
    several = len(history) > 1
    title = "Learning curves" + (f", {len(history)} {repeated_by(results)} and their mean" if several else "")
    names = [f"{stage}: {name}" for stage, name in enumerate(stages.values(), start=1)]
    last = max(len(logs) for logs in history.values())
    figure, head = titled(9, 3.8, title, f"stages {', '.join(names)}" if names else "")
    top = head + (0.45 if names else 0.3)
    loss_axes, accuracy_axes = new_axes(figure, 0.65, 0.5, 4.75, top), new_axes(figure, 5.1, 0.5, 0.15, top)
    for axes, quantity in ((loss_axes, "loss"), (accuracy_axes, "accuracy")):
        for part in ("train", "val"):
            _draw_runs(axes, [[getattr(log, f"{part}_{quantity}") for log in logs] for logs in history.values()], part)
        tests = [[log.test_accuracy for log in logs if log.test_accuracy is not None] for logs in history.values()]
        if quantity == "accuracy" and all(
            len(test) == len(logs) for test, logs in zip(tests, history.values(), strict=True)
        ):
            _draw_runs(axes, tests, "test")
        if not several:
            kept = results[0].kept_epoch
            axes.axvline(kept, color=INK, linewidth=1, linestyle=":", label=f"kept epoch ({kept})")
        else:
            kept_epochs = [one.kept_epoch for one in results]
            values = [getattr(logs[kept - 1], f"val_{quantity}")
                      for logs, kept in zip(history.values(), kept_epochs, strict=True)]  # fmt: skip
            axes.plot(kept_epochs, values, KEPT, markersize=9, markeredgecolor=INK, color=VAL, label="kept epochs")
        axes.set_ylim(0, 1.05 * axes.dataLim.y1 or 1)  # all wrong, every epoch: accuracy is zero throughout
        epochs(axes, last)
        _draw_stages(axes, list(stages), last)
    majority = max(result.majority.value for result in results)
    accuracy_axes.axhline(majority, color=INK, linewidth=0.8, linestyle="--", label="largest class")
    accuracy_axes.set_ylim(0, 1.02)
    percent(accuracy_axes.yaxis)
    plain(loss_axes, "", y="loss, mean over images")
    plain(accuracy_axes, "", y="accuracy")
    legend_above(figure, accuracy_axes.get_legend_handles_labels()[0], head)
    return figure


def _draw_runs(axes: Axes, runs: Sequence[Sequence[float]], part: str) -> None:
    look, label = PARTS[part], CALLED[part]
    if len(runs) > 1:
        for values in runs:
            axes.plot(range(1, len(values) + 1), values, color=look["color"], linewidth=0.7, alpha=0.35)
        shared, label = min(map(len, runs)), f"{label}, mean"
        runs = [np.mean([values[:shared] for values in runs], axis=0).tolist()]
    count = len(runs[0])
    axes.plot(range(1, count + 1), runs[0], **look, linewidth=1.8, markersize=4, markevery=every(count), label=label)


def _draw_stages(axes: Axes, firsts: Sequence[int], last: int) -> None:
    """Number the stages above the curves, and part them by lines; where there is no room for a number there is none."""
    left, right = axes.get_xlim()
    inches = 3.6 / (right - left)
    for number, (first, end) in enumerate(zip(firsts, [*firsts, last + 1][1:], strict=True), start=1):
        axes.axvline(first - 0.5, color=GREY, linewidth=1)
        if (end - first) * inches > 0.2:
            axes.text((first + end - 1) / 2, 1.01, str(number), color=GREY, fontsize=8, ha="center", va="bottom",
                      transform=axes.get_xaxis_transform())  # fmt: skip


def learning_rate(history: History) -> Figure:
    """The learning rate of each epoch; logarithmic where it spans more than a decade."""
    several = len(history) > 1
    figure, head = titled(5, 2.9, "Learning rate of each epoch" + (f", {len(history)} runs" if several else ""))
    axes = new_axes(figure, 0.85, 0.5, 0.15, head + 0.05)
    for logs in history.values():
        rates = [log.learning_rate for log in logs]
        axes.step([log.epoch for log in logs], rates, where="mid", color=VAL, alpha=0.5 if several else 1,
                  marker="o", markersize=3, markevery=every(len(logs)))  # fmt: skip
    rates = [log.learning_rate for logs in history.values() for log in logs]
    if 0 < min(rates) < max(rates) / 10:
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
    else:
        axes.set_ylim(0, max(rates) * 1.1)
        small_numbers(axes.yaxis, max(rates))
    epochs(axes, max(map(len, history.values())))
    plain(axes, "", y="learning rate")
    return figure


def confusion(matrix: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Truth by row, answer by column, as shares of each row, with counts; of many classes those most confused."""
    shown = most_confused(matrix, MOST_CONFUSED)
    count = len(shown)
    size, cell = (8, 0.3) if count <= 20 else (6, 0.2)
    names = [fitted(spaced(class_names[i]), NAME, size) for i in shown]
    words = max(width_of(name, size) for name in names) + 0.45
    side = max(3.2, cell * count)
    some = f": the {count} most confused of {len(class_names)} classes" if count < len(class_names) else ""
    figure, head = titled(words + side + 1.0, side + words + 0.1, f"Validation images by truth and answer{some}")
    axes = new_axes(figure, words, words, 1.0, head + 0.1)
    of_each = np.maximum(matrix[shown].sum(axis=1, keepdims=True), 1)  # those answered with other classes as well
    matrix = matrix[np.ix_(shown, shown)]
    shares = matrix / of_each
    drawn = axes.imshow(shares, cmap=MAPS, vmin=0, vmax=1)
    colors = mpl.colormaps[MAPS](shares)
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    digits = len(str(matrix.max()))
    inside = min(size, 72 * 0.9 * side / count / (0.64 * digits))  # so that the largest number stays in its cell
    for row, column in zip(*np.nonzero(matrix), strict=True):
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=inside,
                  color=on_color(colors[row, column]))  # fmt: skip
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    color_bar(figure, drawn, words + side + 0.15, words, side, "share of the true class",
              format=PercentFormatter(1.0))  # fmt: skip
    return figure


def most_confused(matrix: NDArray[np.int64], most: int) -> list[int]:
    """Return at most so many classes, in order: of the most frequent mistakes, among equals of the most mistaken."""
    count = len(matrix)
    if count <= most:
        return list(range(count))
    mistakes = matrix.copy()
    np.fill_diagonal(mistakes, 0)
    rows, columns = np.nonzero(mistakes)
    of_class = mistakes.sum(axis=0) + mistakes.sum(axis=1)
    order = np.lexsort((-of_class[rows] - of_class[columns], -mistakes[rows, columns]))
    pairs = np.stack([rows[order], columns[order]], axis=1).ravel().tolist()
    others = np.argsort(-matrix.sum(axis=1), kind="stable").tolist()
    return sorted(list(dict.fromkeys([*pairs, *others]))[:most])


def most_wrong(images: NDArray[np.uint8], mistakes: Sequence[Mistake]) -> Figure:
    """The images answered wrongly with most confidence: what they are, what was answered, how surely."""
    columns, tile, words, gap = 4, 1.9, 0.42, 0.2
    rows, of = int((LARGEST - 1) / (tile + words)), len(mistakes)
    mistakes = mistakes[: rows * columns]
    title = "The validation images answered wrongly with most confidence" if mistakes else "No mistake in validation"
    title += some_of(len(mistakes), of, "images")
    height = -(-len(mistakes) // columns) * (tile + words) + 0.1
    figure, axes, head = page(columns * (tile + gap), height, title)
    for i, (image, mistake) in enumerate(zip(images, mistakes, strict=False)):
        left, top = i % columns * (tile + gap) + gap / 2, head + i // columns * (tile + words)
        share = f" {mistake.probability:.0%}"
        answer = fitted(f"answer: {spaced(mistake.answer)}", tile - width_of(share, 8), 8) + share
        truth = fitted(f"truth: {spaced(mistake.truth)}", tile, 8)
        axes.text(left, top + 0.18, answer, fontsize=8, color=INK, va="baseline")
        axes.text(left, top + 0.33, truth, fontsize=8, color=INK, va="baseline")
        place(axes, image, left, top + words - 0.02, tile, tile)
    return figure

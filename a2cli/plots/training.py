"""The figures of a training run: numbers -> matplotlib figures, made to be read at a glance."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from a2cli.plots.common import (
    FAINT,
    INK,
    TEST,
    TRAIN,
    VAL,
    logarithmic,
    new_axes,
    new_figure,
    plain,
    readable,
    shortened,
)
from a2cli.results.training import EpochLog, Mistake, TrainingResult, repeated_by

MOST_CONFUSED = 40  # classes whose names and counts can be read in one figure
History = Mapping[str, Sequence[EpochLog]]


def learning_curves(history: History, results: Sequence[TrainingResult], stages: Mapping[int, str]) -> Figure:
    """Loss and accuracy over the epochs, training and validation, the kept epoch marked; of several seeds the mean.

    `stages` are the names of stages by their first epoch.
    """
    figure = new_figure(9, 3.8)
    loss_axes, accuracy_axes = new_axes(figure, 0.55, 0.55, 4.75, 0.6), new_axes(figure, 5.0, 0.55, 0.15, 0.6)
    for axes, quantity in ((loss_axes, "loss"), (accuracy_axes, "accuracy")):
        for part, color in (("train", TRAIN), ("val", VAL)):
            runs = [[getattr(log, f"{part}_{quantity}") for log in logs] for logs in history.values()]
            _draw_runs(axes, runs, color, {"train": "training", "val": "validation"}[part])
        tests = [[log.test_accuracy for log in logs if log.test_accuracy is not None] for logs in history.values()]
        if quantity == "accuracy" and all(
            len(test) == len(logs) for test, logs in zip(tests, history.values(), strict=True)
        ):
            _draw_runs(axes, tests, TEST, "test")
        if len(history) == 1:
            kept = results[0].kept_epoch
            axes.axvline(kept, color=INK, linewidth=1, linestyle=":", label=f"kept epoch ({kept})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_ylim(0, 1.05 * axes.dataLim.y1 or 1)  # all wrong, every epoch: accuracy is zero throughout
        for first, name in stages.items():
            axes.axvline(first - 0.5, color=FAINT, linewidth=1)
            at = 0.98 if quantity == "loss" else 0.5  # where the curves are not
            axes.text(first - 0.4, at, shortened(name, 30), color=INK, fontsize=7, rotation=90, va="top",
                      transform=axes.get_xaxis_transform())  # fmt: skip
    majority = max(result.majority.value for result in results)
    accuracy_axes.axhline(majority, color=INK, linewidth=0.8, linestyle="--", label="largest class")
    accuracy_axes.set_ylim(0, 1)
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    plain(loss_axes, "Loss")
    plain(accuracy_axes, "Accuracy" + (f", {len(history)} {repeated_by(results)}" if len(history) > 1 else ""))
    lines, names = accuracy_axes.get_legend_handles_labels()
    figure.legend(lines, names, frameon=False, fontsize=8, ncols=len(lines), loc="upper center", borderaxespad=0.4)
    return figure


def _draw_runs(axes: Axes, runs: Sequence[Sequence[float]], color: str, label: str) -> None:
    if len(runs) == 1:
        axes.plot(range(1, len(runs[0]) + 1), runs[0], color=color, linewidth=1.8, label=label)
        return
    for values in runs:
        axes.plot(range(1, len(values) + 1), values, color=color, linewidth=0.7, alpha=0.35)
    shared = min(map(len, runs))
    mean = np.mean([values[:shared] for values in runs], axis=0)
    axes.plot(range(1, shared + 1), mean, color=color, linewidth=2, label=f"{label}, mean")


def learning_rate(history: History) -> Figure:
    """The learning rate of each epoch; logarithmic where it spans more than a decade."""
    figure = new_figure(5, 3)
    axes = new_axes(figure, 0.8, 0.55, 0.15, 0.35)
    several = len(history) > 1
    for logs in history.values():
        axes.step(
            [log.epoch for log in logs],
            [log.learning_rate for log in logs],
            where="mid",
            color=VAL,
            alpha=0.5 if several else 1,
        )
    rates = [log.learning_rate for logs in history.values() for log in logs]
    if 0 < min(rates) < max(rates) / 10:
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
    else:
        axes.set_ylim(0, max(rates) * 1.1)
        axes.yaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    plain(axes, "Learning rate")
    return figure


def confusion(matrix: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Truth by row, answer by column, as shares of each row, with counts; of many classes those most confused."""
    shown = most_confused(matrix, MOST_CONFUSED)
    names, count = [readable(class_names[i]) for i in shown], len(shown)
    size = 8 if count <= 20 else 6
    words = 0.0085 * size * max(map(len, names)) + 0.4
    side = max(3.2, (0.3 if count <= 20 else 0.2) * count)
    figure = new_figure(words + side + 1.1, words + side + 0.35)
    axes = new_axes(figure, words, words, 1.1, 0.35)
    of_each = np.maximum(matrix[shown].sum(axis=1, keepdims=True), 1)  # those answered with other classes as well
    matrix = matrix[np.ix_(shown, shown)]
    shares = matrix / of_each
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        ink = "white" if shares[row, column] > 0.6 else INK
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=size, color=ink)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    some = f": the {count} most confused of {len(class_names)} classes" if count < len(class_names) else ""
    axes.set_title(f"Validation images by truth and answer{some}", loc="left", fontsize=11, color=INK)
    figure.colorbar(drawn, cax=new_axes(figure, words + side + 0.15, words, 0.8, 0.35), format=PercentFormatter(1.0))
    figure.axes[-1].set_ylabel("share of the true class", fontsize=8)
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
    columns, tile, words = 4, 1.9, 0.42
    rows = max(1, -(-len(mistakes) // columns))
    figure = new_figure(columns * (tile + 0.2), rows * (tile + words) + 0.4)
    axes = new_axes(figure, 0, 0, 0, 0)  # one for all pictures: axes of their own cost ten times the time
    width, height = figure.get_size_inches()
    axes.set_axis_off()
    title = "The validation images answered wrongly with most confidence" if mistakes else "No mistake in validation"
    axes.text(0.1, height - 0.25, title, fontsize=11, color=INK)
    for i, (image, mistake) in enumerate(zip(images, mistakes, strict=True)):
        left, top = (i % columns) * (tile + 0.2) + 0.1, height - 0.4 - (i // columns) * (tile + words)
        answer, truth = readable(mistake.answer, 18), readable(mistake.truth)
        words_of = f"answer: {answer} {mistake.probability:.0%}\ntruth: {truth}"
        axes.text(left, top - words + 0.14, words_of, fontsize=8, color=INK, va="baseline", linespacing=1.2)
        axes.imshow(
            image, extent=(left, left + tile, top - words - tile + 0.08, top - words + 0.08), interpolation="nearest"
        )
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure

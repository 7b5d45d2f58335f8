"""The figures of a training run: numbers -> matplotlib figures, made to be read at a glance."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from a2cli.figures.common import (
    GREY,
    INK,
    KEPT,
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
    percent,
    plain,
    small_numbers,
    spaced,
    titled,
    width_of,
)
from a2cli.formats import counted
from a2cli.reports.training_results import ClassScore, EpochLog, JudgedPart, TrainingResult, repeated_by
from a2cli.statistics.intervals import wilson

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
        is_whole = all(len(test) == len(logs) for test, logs in zip(tests, history.values(), strict=True))
        if quantity == "accuracy" and is_whole:
            _draw_runs(axes, tests, "test")
        if not several:
            kept = results[0].kept_epoch
            axes.axvline(kept, color=INK, linewidth=1, linestyle=":", label=f"kept epoch ({kept})")
        else:
            kept_epochs = [result.kept_epoch for result in results]
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
    title = "Learning rate of each epoch" + (f", {counted(len(history), 'run')}" if several else "")
    figure, head = titled(5, 2.9, title)
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


def confusion(matrix: NDArray[np.int64], class_names: Sequence[str], part: str) -> Figure:
    """Truth by row, answer by column, as shares of each row, with counts; of many classes those most confused."""
    shown = most_confused(matrix, MOST_CONFUSED)
    count = len(shown)
    size, cell = (8, 0.3) if count <= 20 else (6, 0.2)
    names = [fitted(spaced(class_names[i]), NAME, size) for i in shown]
    words = max(width_of(name, size) for name in names) + 0.45
    side = max(3.2, cell * count)
    some = f": the {count} most confused of {len(class_names)} classes" if count < len(class_names) else ""
    title = f"{CALLED[part].capitalize()} images by truth and answer{some}"
    figure, head = titled(words + side + 1.0, side + words + 0.1, title)
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


def class_scores(judged: JudgedPart) -> Figure:
    """Recall with its interval and precision of each class; of many classes of those with the lowest F1."""
    shown = lowest_f1(judged.classes, MOST_CONFUSED)
    count, row = len(shown), 0.22
    names = [fitted(spaced(score.name), NAME, 8) for score in shown]
    words = max(width_of(name, 8) for name in names) + 0.45
    some = f": the {count} of {len(judged.classes)} classes with the lowest F1" if count < len(judged.classes) else ""
    title = f"{CALLED[judged.part].capitalize()} images by class{some}"
    figure, head = titled(words + 4.6, row * count + 0.95, title)
    axes = new_axes(figure, words, 0.5, 0.7, head + 0.35)
    look = PARTS[judged.part]
    for y, score in enumerate(shown):
        if score.count:
            recall = wilson(score.correct, score.count)
            axes.plot([recall.low, recall.high], [y, y], color=look["color"], linewidth=1.4)
        axes.text(1.03, y, f"{score.count}", fontsize=8, color=INK, va="center", transform=axes.get_yaxis_transform())
    styles = {"recall": look, "precision": {"color": INK, "marker": "D", "markerfacecolor": "none"}}
    for name, style in styles.items():
        points = [(value, y) for y, score in enumerate(shown) if (value := getattr(score, name)) is not None]
        axes.plot([value for value, _ in points], [y for _, y in points], **style, linestyle="none", markersize=5,
                  label="recall, 95% interval" if name == "recall" else name, clip_on=False, zorder=3)  # fmt: skip
    axes.text(1.03, -1, "images", fontsize=8, color=GREY, va="center", transform=axes.get_yaxis_transform())
    axes.set(xlim=(0, 1), ylim=(count - 0.4, -0.6))
    axes.set_yticks(range(count), names, fontsize=8)
    percent(axes.xaxis)
    plain(axes, "", x="share of the class's images (recall), of the answers that name it (precision)", y="class")
    axes.xaxis.label.set_fontsize(8)
    legend_above(figure, axes.get_legend_handles_labels()[0], head + 0.05)
    return figure


def lowest_f1(scores: Sequence[ClassScore], most: int) -> list[ClassScore]:
    """Return at most so many classes, in their order: those with the lowest F1, and those without any at the end."""
    by_f1 = sorted(scores, key=lambda score: (score.f1 is None, score.f1 or 0.0, -score.count))
    lowest = {score.name for score in by_f1[:most]}
    return [score for score in scores if score.name in lowest]


def reliability(judged: JudgedPart) -> Figure:
    """How often answers are right that are held to be so probable, over how many images are answered so surely."""
    of = f"{sum(bin_.count for bin_ in judged.calibration)} {CALLED[judged.part]} images"
    error = "" if judged.calibration_error is None else f"expected calibration error {judged.calibration_error:.3f}"
    figure, head = titled(4.75, 5.3, f"Reliability diagram, {of}", error)
    top = head + 0.3
    axes, below = new_axes(figure, 0.75, 1.95, 0.3, top), new_axes(figure, 0.75, 0.5, 0.3, top + 3.55)
    look = PARTS[judged.part]
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", label="perfectly calibrated")
    shares = [wilson(round(bin_.accuracy * bin_.count), bin_.count) for bin_ in judged.calibration]
    confidences = [bin_.confidence for bin_ in judged.calibration]
    for x, share in zip(confidences, shares, strict=True):
        axes.plot([x, x], [share.low, share.high], color=look["color"], linewidth=1.2)
    axes.plot(confidences, [share.value for share in shares], **look, linestyle="none", markersize=5, clip_on=False,
              zorder=3, label="accuracy, 95% interval")  # fmt: skip
    for bin_ in judged.calibration:
        width = bin_.high - bin_.low
        below.bar(bin_.low, bin_.count, width=width, align="edge", color=look["color"], edgecolor="white")
    for each in (axes, below):
        each.set_xlim(0, 1)
        percent(each.xaxis)
    axes.set_ylim(0, 1)
    percent(axes.yaxis)
    plain(axes, "", x="probability of the answer", y="accuracy")
    plain(below, "", x="probability of the answer", y="images")
    below.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    legend_above(figure, axes.get_legend_handles_labels()[0], head)
    return figure

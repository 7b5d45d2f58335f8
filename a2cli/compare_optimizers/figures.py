"""The figures of a comparison: curves with bands, accuracy over learning rate, the matrix of verdicts."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from a2cli.figures.common import (
    INK,
    KEPT,
    LARGEST,
    VERDICTS,
    epochs,
    every,
    fitted,
    in_legend,
    legend_beside,
    logarithmic,
    new_axes,
    on_color,
    percent,
    plain,
    series,
    some_of,
    titled,
    width_of,
)
from a2cli.formats import counted, in_points
from a2cli.reports.study_results import Table, called
from a2cli.reports.training_results import EpochLog

History = Mapping[int, Sequence[tuple[EpochLog, float]]]
MOST_CONTENDERS = 20  # there is room for in a legend
NAME = 2.0  # inches of a name
WORDS = ("better", "equivalent", "undecided", "worse")


def curves(histories: Mapping[str, History], kept: Mapping[str, tuple[float, float, float]], over: str) -> Figure:
    """Validation accuracy of each contender, its mean over seeds with a band of one deviation, over epochs or seconds.

    `kept` is the mean of the epochs whose weights are kept, of the seconds until then, and the accuracy compared. Where
    seeds stopped at different epochs, over as many as all have; seconds are the seeds' mean at each epoch.
    """
    seeds = max((len(runs) for runs in histories.values()), default=0)
    title = "Validation accuracy of contenders, "
    title += f"mean and standard deviation over {counted(seeds, 'seed')}" if seeds > 1 else "one seed"
    title += some_of(min(MOST_CONTENDERS, len(histories)), len(histories), "contenders, the best")
    figure, head = titled(8.2, 3.9, title)
    axes = new_axes(figure, 0.8, 0.5, 2.3, head + 0.1)
    last = 1
    for i, (name, runs) in enumerate(list(histories.items())[:MOST_CONTENDERS]):
        if not runs:
            continue
        shared = min(len(logs) for logs in runs.values())
        last = max(last, shared)
        values = np.array([[log.val_accuracy for log, _ in logs[:shared]] for logs in runs.values()])
        seconds = np.array([[second for _, second in logs[:shared]] for logs in runs.values()]).mean(axis=0)
        places = seconds if over == "seconds" else np.arange(1, shared + 1)
        mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1) if len(values) > 1 else 0
        look = series(i)
        axes.plot(
            places, mean, **look, linewidth=1.6, markersize=4, markevery=every(shared), label=in_legend(called(name))
        )
        axes.fill_between(places, mean - deviation, mean + deviation, color=look["color"], alpha=0.1, lw=0)
        if name in kept:
            epoch, second, accuracy = kept[name]
            at = second if over == "seconds" else epoch
            axes.plot(at, accuracy, KEPT, markersize=9, markeredgecolor=INK, color=look["color"])
    axes.plot([], [], KEPT, markersize=9, markeredgecolor=INK, color="white", label="compared: epochs kept")
    axes.set_ylim(0, 1.02)
    percent(axes.yaxis)
    plain(axes, "", "seconds of training" if over == "seconds" else "epoch", "validation accuracy")
    if over == "epoch":
        epochs(axes, last)
    else:
        axes.set_xlim(left=0)
    legend_beside(axes)
    return figure


def rates(table: Table) -> Figure:
    """Accuracy over learning rate in tuning: each contender's mean, its lowest and highest run, the rate chosen."""
    some = some_of(min(MOST_CONTENDERS, len(table.contenders)), len(table.contenders), "contenders, the best")
    figure, head = titled(8.2, 3.9, f"Validation accuracy by learning rate in tuning{some}",
                          "points: means over seeds; upright lines: the lowest and the highest run; "
                          "ringed: the rate chosen")  # fmt: skip
    axes = new_axes(figure, 0.8, 0.5, 2.3, head + 0.1)
    for i, contender in enumerate(table.contenders[:MOST_CONTENDERS]):
        points = [(point.learning_rate, [run.accuracy for run in point.runs if run.accuracy is not None])
                  for point in contender.tuning]  # fmt: skip
        points = [(rate, values) for rate, values in points if values]
        if not points:
            continue
        places, means = [rate for rate, _ in points], [fmean(values) for _, values in points]
        look = series(i)
        axes.plot(places, means, **look, markersize=4, label=in_legend(called(contender.name)))
        axes.vlines(places, [min(v) for _, v in points], [max(v) for _, v in points], linewidth=0.8,
                    color=look["color"])  # fmt: skip
        if contender.learning_rate in places:
            mean = means[places.index(contender.learning_rate)]
            axes.plot(contender.learning_rate, mean, "o", markersize=10, markerfacecolor="none", color=look["color"])
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.set_ylim(0, 1.02)
    percent(axes.yaxis)
    plain(axes, "", "learning rate", "validation accuracy")
    legend_beside(axes)
    return figure


def verdicts(table: Table, margin: float) -> Figure:
    """Each row's contender against each column's: the difference of accuracies in points, and the verdict as colour."""
    names = [contender.name for contender in table.contenders[:MOST_CONTENDERS]]
    count = len(names)
    size, cell = (8, 0.52) if count <= 12 else (6, 0.45)
    labels = [fitted(called(name), NAME, size) for name in names]
    words, beside = max(width_of(label, size) for label in labels) + 0.45, 1.25
    side = min(max(2.6, cell * count), LARGEST - 0.8 - words)
    some = some_of(count, len(table.contenders), "contenders, the best")
    title = f"Difference of accuracy in points, row minus column{some}"
    figure, head = titled(words + side + beside, side + words + 0.05, title,
                          f"equivalent: within {in_points(margin)} of each other")  # fmt: skip
    axes = new_axes(figure, words, words, beside, head + 0.05)
    grid = np.full((count, count), np.nan)
    colors = [VERDICTS[word]["color"] for word in WORDS]
    for row, name in enumerate(names):
        for other, pair in table.against(name).items():
            if other not in names:
                continue
            column, points = names.index(other), 100 * pair.difference
            grid[row, column] = WORDS.index(pair.verdict)
            look = VERDICTS[pair.verdict]
            axes.text(column, row, f"{points:+z.1f}\n{look['sign']}", ha="center", va="center", fontsize=size,
                      color=on_color(to_rgb(look["color"])))  # fmt: skip
    axes.imshow(grid, cmap=ListedColormap(colors), vmin=-0.5, vmax=len(WORDS) - 0.5)
    axes.set_xticks(range(count), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(count), labels, fontsize=size)
    axes.tick_params(length=0)
    axes.set_xlabel("against")
    axes.set_ylabel("contender")
    for i, word in enumerate(WORDS):
        at = 1 - 0.24 / side * (i + 0.5)
        look = VERDICTS[word]
        axes.text(1 + 0.1 / side, at, "■", color=look["color"], fontsize=13, transform=axes.transAxes, va="center")
        axes.text(1 + 0.3 / side, at, f"{look['sign']} {word}", color=INK, fontsize=8, transform=axes.transAxes,
                  va="center")  # fmt: skip
    return figure

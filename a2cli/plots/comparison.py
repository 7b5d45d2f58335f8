"""The figures of a comparison: curves with bands, accuracy over learning rate, the matrix of verdicts."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.typing import ColorType

from a2cli.plots.common import INK, in_legend, logarithmic, new_axes, new_figure, plain, shortened, some_of
from a2cli.results.comparison import Table
from a2cli.results.training import EpochLog

History = Mapping[int, Sequence[tuple[EpochLog, float]]]
MOST_CONTENDERS = 20  # there is room for in a legend
COLORS = [*mpl.color_sequences["tab10"], *mpl.color_sequences["Dark2"]]
STYLES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
VERDICT_COLORS = {"worse": "#d9795d", "undecided": "#eeeeee", "equivalent": "#b9d7a8", "better": "#6ba3b8"}


def _color(i: int) -> ColorType:
    """Return the colour of the i-th contender."""
    return COLORS[i % len(COLORS)]


def _style(i: int) -> Literal["-", "--", ":", "-."]:
    """Return the style of its line: another once the colours are used up."""
    return STYLES[i // len(COLORS) % len(STYLES)]


def curves(histories: Mapping[str, History], over: str) -> Figure:
    """Validation accuracy of each contender, its mean over seeds with a band of one deviation, over epochs or seconds.

    Where seeds stopped at different epochs, over as many as all have; seconds are the seeds' mean at each epoch.
    """
    figure = new_figure(7.6, 4.2)
    axes = new_axes(figure, 0.65, 0.55, 2.0, 0.35)
    for i, (name, runs) in enumerate(list(histories.items())[:MOST_CONTENDERS]):
        if not runs:
            continue
        shared = min(len(logs) for logs in runs.values())
        values = np.array([[log.val_accuracy for log, _ in logs[:shared]] for logs in runs.values()])
        seconds = np.array([[second for _, second in logs[:shared]] for logs in runs.values()]).mean(axis=0)
        places = seconds if over == "seconds" else np.arange(1, shared + 1)
        mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1) if len(values) > 1 else 0
        axes.plot(places, mean, _style(i), linewidth=1.6, label=in_legend(name, 22), color=_color(i))
        axes.fill_between(places, mean - deviation, mean + deviation, color=_color(i), alpha=0.1, lw=0)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    title = "Validation accuracy, mean and deviation over seeds"
    title += some_of(min(MOST_CONTENDERS, len(histories)), len(histories), "contenders, the best")
    plain(axes, title, "seconds of training" if over == "seconds" else "epoch")
    if over == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8)
    return figure


def rates(table: Table) -> Figure:
    """Accuracy over learning rate in tuning: each contender's mean, its lowest and highest run, the rate chosen."""
    figure = new_figure(7.6, 4.2)
    axes = new_axes(figure, 0.65, 0.55, 2.0, 0.35)
    for i, one in enumerate(table.contenders[:MOST_CONTENDERS]):
        points = [(point.learning_rate, [run.accuracy for run in point.runs if run.accuracy is not None])
                  for point in one.tuning]  # fmt: skip
        points = [(rate, values) for rate, values in points if values]
        if not points:
            continue
        places, means = [rate for rate, _ in points], [fmean(values) for _, values in points]
        color = _color(i)
        axes.plot(places, means, _style(i), marker="o", markersize=3, label=in_legend(one.name, 22), color=color)
        axes.vlines(places, [min(v) for _, v in points], [max(v) for _, v in points], linewidth=0.8, color=color)
        if one.learning_rate in places:
            mean = means[places.index(one.learning_rate)]
            axes.plot(one.learning_rate, mean, "o", markersize=8, markerfacecolor="none", color=color)
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    some = some_of(min(MOST_CONTENDERS, len(table.contenders)), len(table.contenders), "contenders, the best")
    plain(axes, f"Validation accuracy in tuning; the rate chosen is ringed{some}", "learning rate")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8)
    return figure


def verdicts(table: Table, margin: float) -> Figure:
    """Each row's contender against each column's: the difference of accuracies in points, and the verdict as colour."""
    names = [one.name for one in table.contenders[:MOST_CONTENDERS]]
    labels = [shortened(name, 24) for name in names]
    count, size = len(names), 8 if len(names) <= 12 else 6
    grid = np.full((count, count), np.nan)
    kinds = list(VERDICT_COLORS)
    words = 0.0085 * size * max(map(len, labels)) + 0.25
    side = max(3.4, 0.52 * count)
    figure = new_figure(words + side + 1.4, words + side + 0.4)
    axes = new_axes(figure, words, words, 1.4, 0.4)
    for row, name in enumerate(names):
        for other, pair in table.against(name).items():
            if other not in names:
                continue
            column, points = names.index(other), 100 * pair.difference
            grid[row, column] = kinds.index(pair.verdict)
            axes.text(column, row, f"{points:+.1f}", ha="center", va="center", fontsize=size, color=INK)
    axes.imshow(grid, cmap=ListedColormap(list(VERDICT_COLORS.values())), vmin=-0.5, vmax=len(kinds) - 0.5)
    axes.set_xticks(range(count), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(count), labels, fontsize=size)
    axes.tick_params(length=0)
    for i, (kind, color) in enumerate(VERDICT_COLORS.items()):
        at = 1 - 0.24 / side * (len(kinds) - i)
        axes.text(1 + 0.1 / side, at, "■", color=color, fontsize=12, transform=axes.transAxes, va="center")
        axes.text(1 + 0.31 / side, at, kind, color=INK, fontsize=8, transform=axes.transAxes, va="center")
    some = some_of(count, len(table.contenders), "contenders")
    title = f"Row against column, points of accuracy (margin {100 * margin:g}){some}"
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    return figure

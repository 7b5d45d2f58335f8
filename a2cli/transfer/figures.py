"""How well layers serve: numbers -> matplotlib figures, made to be read at a glance."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from a2cli.figures.common import (
    MARKERS,
    SERIES,
    TRAIN,
    VAL,
    evenly,
    fitted,
    in_legend,
    legend_beside,
    new_axes,
    plain,
    shortened,
    some_of,
    titled,
    width_of,
)
from a2cli.reports.training_results import Spread
from a2cli.reports.transfer_results import ProbeScore, TransferResults
from a2cli.transfer.feature_file import PIXELS, RANDOM

LOOKS = {"this run's head": (VAL, "s"), "logistic regression": (TRAIN, "o"), "nearest neighbours": (SERIES[1], "^")}
MOST_LAYERS = 24
NAME, BESIDE = 1.3, 2.9  # inches of a layer's name, and of the legend


def probes(results: TransferResults) -> Figure:
    """Accuracy by layer, a colour for each answer, with 95% intervals; random weights hollow and dashed."""
    part = "test" if all(score.test for score in results.probes) else "val"
    names = list(dict.fromkeys(score.layer.removeprefix(RANDOM) for score in results.probes))
    names.sort(key=lambda name: name != PIXELS)
    count, names = len(names), evenly(names, MOST_LAYERS)
    scores = [score for score in results.probes if score.layer.removeprefix(RANDOM) in names]
    answers = list(dict.fromkeys(score.answer for score in scores))
    lines = [(answer, random) for answer in answers for random in (False, True) if _scores_of(scores, answer, random)]
    labels = [fitted(name, NAME, 8) for name in names]
    width, left, longest = 9.4, 0.8, max(width_of(label, 8) for label in labels)
    turned = longest + 0.1 > (width - left - BESIDE) / len(names)
    below = 0.5 + (longest if turned else 0.15)
    where = {"val": "validation", "test": "test"}[part]
    backbone = shortened(results.backbone.backbone, 30)
    title = f"How well the layers of {backbone} serve{some_of(len(names), count, 'layers')}"
    figure, head = titled(width, 3.3 + below, title, "points: accuracy with its 95% interval")
    axes = new_axes(figure, left, below, BESIDE, head + 0.1)
    for number, (answer, random) in enumerate(lines):
        aside = 0.5 * (number / max(1, len(lines) - 1) - 0.5)  # or intervals would lie on each other
        label = in_legend(f"{answer}, random weights" if random else answer, BESIDE - 0.5)
        i = answers.index(answer) + len(LOOKS)
        look = LOOKS.get(answer, (SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)]))
        _line(axes, names, _scores_of(scores, answer, random), part, aside, label, look, hollow=random)
    axes.set_xticks(range(len(names)), labels, rotation=90 if turned else 0, fontsize=8)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain(axes, "", "layer", f"{where} accuracy")
    axes.grid(visible=False, axis="x")
    legend_beside(axes)
    return figure


def _scores_of(scores: Sequence[ProbeScore], answer: str, random: bool) -> list[ProbeScore]:
    return [score for score in scores if score.answer == answer and score.layer.startswith(RANDOM) == random]


def _line(
    axes: Axes,
    names: Sequence[str],
    scores: Sequence[ProbeScore],
    part: str,
    aside: float,
    label: str,
    look: tuple[str, str],
    *,
    hollow: bool,
) -> None:
    """Draw points with intervals a little aside of their layers, joined from layer to layer; pixels are none."""
    color, marker = look
    places = [names.index(score.layer.removeprefix(RANDOM)) for score in scores]
    points = sorted(zip(places, (getattr(score, part) for score in scores), strict=True), key=lambda point: point[0])
    x = [place + aside for place, _ in points]
    y = [accuracy.mean if isinstance(accuracy, Spread) else accuracy.value for _, accuracy in points]
    below = [max(0.0, value - accuracy.low) for value, (_, accuracy) in zip(y, points, strict=True)]
    above = [max(0.0, min(1.0, accuracy.high) - value) for value, (_, accuracy) in zip(y, points, strict=True)]
    axes.errorbar(x, y, yerr=(below, above), color=color, linestyle="", marker=marker, markersize=5,
                  markerfacecolor="white" if hollow else color, linewidth=1.2, capsize=2, label=label)  # fmt: skip
    layers = [i for i, (place, _) in enumerate(points) if names[place] != PIXELS]
    axes.plot([x[i] for i in layers], [y[i] for i in layers], color=color, linewidth=1.2, alpha=0.6,
              linestyle="--" if hollow else "-")  # fmt: skip

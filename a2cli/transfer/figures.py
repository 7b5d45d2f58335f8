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

LOOKS = {"this run's head": (VAL, "s"), "logistic regression": (TRAIN, "o"), "nearest neighbours": (SERIES[1], "^")}
RANDOM, PIXELS = "random-", "pixels"
MOST_LAYERS = 24
NAME, BESIDE = 1.3, 2.9  # inches of a layer's name, and of the legend


def probes(found: TransferResults) -> Figure:
    """Accuracy by layer, a colour for each answer, with 95% intervals; random weights hollow and dashed."""
    part = "test" if all(one.test for one in found.probes) else "val"
    names = list(dict.fromkeys(one.layer.removeprefix(RANDOM) for one in found.probes))
    names.sort(key=lambda name: name != PIXELS)
    of, names = len(names), evenly(names, MOST_LAYERS)
    scores = [one for one in found.probes if one.layer.removeprefix(RANDOM) in names]
    answers = list(dict.fromkeys(one.answer for one in scores))
    lines = [(answer, random) for answer in answers for random in (False, True)]
    lines = [line for line in lines if _of(scores, *line)]
    shown = [fitted(name, NAME, 8) for name in names]
    width, left = 9.4, 0.8
    turned = max(width_of(name, 8) for name in shown) + 0.1 > (width - left - BESIDE) / len(names)
    below = 0.5 + (max(width_of(name, 8) for name in shown) if turned else 0.15)
    where = {"val": "validation", "test": "test"}[part]
    title = f"How well the layers of {shortened(found.backbone.backbone, 30)} serve{some_of(len(names), of, 'layers')}"
    figure, head = titled(width, 3.3 + below, title, "points: accuracy with its 95% interval")
    axes = new_axes(figure, left, below, BESIDE, head + 0.1)
    for number, (answer, random) in enumerate(lines):
        aside = 0.5 * (number / max(1, len(lines) - 1) - 0.5)
        label = in_legend(f"{answer}, random weights" if random else answer, BESIDE - 0.5)
        i = answers.index(answer)
        look = LOOKS.get(answer, (SERIES[(i + 3) % len(SERIES)], MARKERS[(i + 3) % len(MARKERS)]))
        _line(axes, names, _of(scores, answer, random), part, aside, label, look, hollow=random)
    axes.set_xticks(range(len(names)), shown, rotation=90 if turned else 0, fontsize=8)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain(axes, "", "layer", f"{where} accuracy")
    axes.grid(visible=False, axis="x")
    legend_beside(axes)
    return figure


def _of(scores: Sequence[ProbeScore], answer: str, random: bool) -> list[ProbeScore]:
    return [one for one in scores if one.answer == answer and one.layer.startswith(RANDOM) == random]


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
    points = [(names.index(one.layer.removeprefix(RANDOM)) + aside, getattr(one, part)) for one in scores]
    points.sort(key=lambda point: point[0])
    values = [found.mean if isinstance(found, Spread) else found.value for _, found in points]
    below = [max(0.0, value - found.low) for value, (_, found) in zip(values, points, strict=True)]
    above = [max(0.0, min(1.0, found.high) - value) for value, (_, found) in zip(values, points, strict=True)]
    places, (color, marker) = [place for place, _ in points], look
    axes.errorbar(places, values, yerr=(below, above), color=color, linestyle="", marker=marker, markersize=5,
                  markerfacecolor="white" if hollow else color, linewidth=1.2, capsize=2, label=label)  # fmt: skip
    layers = [i for i, place in enumerate(places) if names[round(place - aside)] != PIXELS]
    axes.plot([places[i] for i in layers], [values[i] for i in layers], color=color, linewidth=1.2, alpha=0.6,
              linestyle="--" if hollow else "-")  # fmt: skip

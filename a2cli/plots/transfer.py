"""How well layers serve: numbers -> matplotlib figures, made to be read at a glance."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from a2cli.plots.common import TRAIN, VAL, new_axes, new_figure, plain, shortened
from a2cli.results.training import Spread
from a2cli.results.transfer import ProbeScore, TransferResults

COLORS = {"this run's head": VAL, "logistic regression": TRAIN, "nearest neighbours": "#6a8f3c"}
OTHER_COLOR = "#8c5fa8"
RANDOM, PIXELS = "random-", "pixels"


def probes(found: TransferResults) -> Figure:
    """Accuracy by layer, a colour for each answer, with 95% intervals; random weights hollow and dashed."""
    figure = new_figure(9.2, 4.4)
    part = "test" if all(one.test for one in found.probes) else "val"
    names = list(dict.fromkeys(one.layer.removeprefix(RANDOM) for one in found.probes))
    names.sort(key=lambda name: name != PIXELS)
    many = len(names) > 8
    axes = new_axes(figure, 0.7, 1.6 if many else 0.55, 3.1, 0.45)
    answers = list(dict.fromkeys(one.answer for one in found.probes))
    lines = [(answer, random) for answer in answers for random in (False, True)]
    lines = [line for line in lines if _of(found.probes, *line)]
    for number, (answer, random) in enumerate(lines):
        aside = 0.5 * (number / max(1, len(lines) - 1) - 0.5)
        label = f"{answer}, random weights" if random else answer
        color = COLORS.get(answer, OTHER_COLOR)
        _line(axes, names, _of(found.probes, answer, random), part, aside, label, color, hollow=random)
    every = -(-len(names) // 36)
    shown = [shortened(name, 18) for name in names[::every]]
    axes.set_xticks(range(0, len(names), every), shown, rotation=90 if many else 0, fontsize=8 if many else None)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    where = {"val": "validation", "test": "test"}[part]
    plain(axes, f"How well the layers of {shortened(found.backbone.backbone, 30)} serve: {where} accuracy", "layer")
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0))
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
    color: str,
    *,
    hollow: bool,
) -> None:
    """Draw points with intervals a little aside of their layers, joined from layer to layer; pixels are none."""
    points = [(names.index(one.layer.removeprefix(RANDOM)) + aside, getattr(one, part)) for one in scores]
    points.sort(key=lambda point: point[0])
    values = [found.mean if isinstance(found, Spread) else found.value for _, found in points]
    below = [max(0.0, value - found.low) for value, (_, found) in zip(values, points, strict=True)]
    above = [max(0.0, min(1.0, found.high) - value) for value, (_, found) in zip(values, points, strict=True)]
    places = [place for place, _ in points]
    axes.errorbar(places, values, yerr=(below, above), color=color, linestyle="", marker="o", markersize=5,
                  markerfacecolor="white" if hollow else color, linewidth=1.2, capsize=2, label=label)  # fmt: skip
    layers = [i for i, place in enumerate(places) if names[round(place - aside)] != PIXELS]
    axes.plot([places[i] for i in layers], [values[i] for i in layers], color=color, linewidth=1.2, alpha=0.6,
              linestyle="--" if hollow else "-")  # fmt: skip

"""The figure of an ablation: what each ingredient brings, with intervals and verdicts."""

from typing import Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from a2cli.ablate.verdict import WORDS
from a2cli.figures.common import (
    GREY,
    INK,
    VERDICTS,
    fitted,
    legend_above,
    legend_height,
    new_axes,
    plain,
    some_of,
    titled,
    width_of,
)
from a2cli.formats import in_points
from a2cli.reports.ablation_results import AblationResults

MOST_INGREDIENTS = 27
WIDTH, ROW, NAME = 7.6, 0.42, 2.2  # inches
LEAST = 0.9  # inches of the axis, which has to be as tall as its name is long
WAYS: tuple[tuple[str, str, Literal["full", "none"]], ...] = (
    ("alone", "taken away alone", "full"),
    ("average", "on average over orders", "none"),
)


def contributions(results: AblationResults) -> Figure:
    """Points of accuracy that each ingredient brings, most on top: taken away alone, and on average over orders."""
    ingredients = results.ingredients[:MOST_INGREDIENTS]
    count = len(ingredients)
    names = [fitted(ingredient.name, NAME, 9) for ingredient in ingredients]
    shown = [way for way in WAYS if any(getattr(ingredient, way[0]) for ingredient in ingredients)]
    met = {pair.verdict for ingredient in ingredients for field, _, _ in shown if (pair := getattr(ingredient, field))}
    handles = [Line2D([], [], linestyle="", marker=VERDICTS[verdict]["marker"], color=VERDICTS[verdict]["color"],
                      markeredgecolor=GREY if verdict == "undecided" else VERDICTS[verdict]["color"], label=word)
               for verdict, word in WORDS.items() if verdict in met]  # fmt: skip
    if len(shown) > 1:
        handles += [Line2D([], [], linestyle="", marker="o", color=INK, fillstyle=fill, label=label)
                    for _, label, fill in shown]  # fmt: skip
    legend = legend_height(WIDTH, [str(handle.get_label()) for handle in handles])
    some = some_of(count, len(results.ingredients), "that bring most")
    margin = f"95% intervals over {len(results.seeds)} seeds; shaded: within the margin of {in_points(results.margin)}"
    figure, head = titled(WIDTH, legend + max(LEAST, ROW * count) + 0.6, f"What each ingredient brings{some}", margin)
    axes = new_axes(figure, 0.5 + max(width_of(name, 9) for name in names), 0.5, 0.3, head + legend + 0.05)
    for number, (field, _, fill) in enumerate(shown):
        shift = 0.15 * (2 * number - len(shown) + 1)
        for i, ingredient in enumerate(ingredients):
            if pair := getattr(ingredient, field):
                look = VERDICTS[pair.verdict]
                axes.plot([100 * pair.low, 100 * pair.high], [i + shift] * 2, color=INK, linewidth=1.6)
                edge = GREY if pair.verdict == "undecided" else look["color"]
                axes.plot(100 * pair.difference, i + shift, marker=look["marker"], markersize=7, color=look["color"],
                          markerfacecolor=look["color"] if fill == "full" else "white", markeredgecolor=edge,
                          markeredgewidth=1.6)  # fmt: skip
    low, high = axes.get_xlim()
    within = 120 * results.margin  # so that what is shaded is on the page, however far off the intervals are
    low, high = min(low, -within), max(high, within)
    axes.set_xlim(max(-100, low), min(100, high))  # of two seeds an interval can be wider than accuracy itself
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.axvspan(-100 * results.margin, 100 * results.margin, color=INK, alpha=0.06, linewidth=0)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks(range(count), names, fontsize=9)
    axes.tick_params(axis="y", length=0)
    plain(axes, "", "points of validation accuracy", "ingredient")
    axes.grid(visible=False, axis="y")
    legend_above(figure, handles, head)
    return figure

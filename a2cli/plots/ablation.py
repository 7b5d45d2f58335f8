"""The figure of an ablation: what each ingredient brings, with intervals."""

from matplotlib.figure import Figure

from a2cli.plots.common import INK, TRAIN, VAL, new_axes, new_figure, plain, shortened, some_of
from a2cli.results.ablation import AblationResults

MOST_INGREDIENTS = 28
WAYS = (("alone", "taken away alone", TRAIN), ("average", "on average over orders", VAL))


def contributions(results: AblationResults) -> Figure:
    """Points of accuracy that each ingredient brings, most on top: taken away alone, and on average over orders."""
    ingredients = results.ingredients[:MOST_INGREDIENTS]
    count = len(ingredients)
    figure = new_figure(7.6, 1.3 + 0.42 * count)
    names = [shortened(one.name, 26) for one in ingredients]
    axes = new_axes(figure, 0.3 + 0.085 * max(map(len, names)), 0.75, 0.25, 0.4)
    shown = [(field, label, color) for field, label, color in WAYS
             if any(getattr(one, field) for one in ingredients)]  # fmt: skip
    for number, (field, label, color) in enumerate(shown):
        shift = 0.13 * (2 * number - len(shown) + 1)
        known = [(i, pair) for i, one in enumerate(ingredients) if (pair := getattr(one, field))]
        axes.errorbar(
            [100 * pair.difference for _, pair in known],
            [i + shift for i, _ in known],
            xerr=[
                [100 * (pair.difference - pair.low) for _, pair in known],
                [100 * (pair.high - pair.difference) for _, pair in known],
            ],
            fmt="o", markersize=5, capsize=2, linewidth=1.4, color=color, label=label,
        )  # fmt: skip
    low, high = axes.get_xlim()
    axes.set_xlim(max(-100, low), min(100, high))  # of two seeds an interval can be wider than accuracy itself
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.axvspan(-100 * results.margin, 100 * results.margin, color=INK, alpha=0.06, linewidth=0)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks(range(count), names)
    axes.tick_params(axis="y", length=0)
    some = some_of(count, len(results.ingredients), "that bring most")
    plain(axes, f"What each ingredient brings{some}", "points of validation accuracy (shaded: within the margin)")
    axes.grid(visible=False, axis="y")
    if len(shown) > 1:
        axes.legend(frameon=False, fontsize=8, loc="best")
    return figure

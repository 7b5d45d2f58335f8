"""The figures of a replication: how far each comparison of a section is from what its claim is held to."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from a2cli.figures.common import (
    FAINT,
    GREY,
    INK,
    VERDICTS,
    fitted,
    legend_above,
    legend_height,
    new_axes,
    plain,
    titled,
    width_of,
)
from a2cli.replicate.results import ClaimResult, Estimate, ReplicationResults

MOST_ROWS = 24  # on a page
PANEL, ROW, NAME, SPACE = 3.6, 0.3, 3.2, 0.25  # inches
LEAST = 1.2  # inches of an axis, for its title
LOOKS = {
    "supported": VERDICTS["better"],
    "contradicted": VERDICTS["worse"],
    "undecided": VERDICTS["undecided"],
}


@dataclass(frozen=True)
class Row:
    """One comparison that a claim rests on, in each world that it has been made in."""

    claim: ClaimResult
    what: str
    by_world: dict[str, Estimate]


def pages_of(results: ReplicationResults, section: str) -> list[list[Row]]:
    """Return a section's comparisons of accuracies, in their order, as many a page as a figure has room for."""
    rows = []
    for claim in results.claims:
        if claim.section != section or claim.unit != "points":
            continue
        by_what: dict[str, dict[str, Estimate]] = {}
        for judged in claim.judged:
            for one in judged.estimates:
                by_what.setdefault(one.what, {})[judged.world] = one
        rows += [Row(claim, what, by_world) for what, by_world in by_what.items()]
    return [rows[first : first + MOST_ROWS] for first in range(0, len(rows), MOST_ROWS)]


def forest(results: ReplicationResults, title: str, rows: Sequence[Row]) -> Figure:
    """Points of accuracy between what was measured and what the claim is held to, with intervals and margins."""
    worlds = [world for world in results.worlds if any(world in row.by_world for row in rows)]
    names = [fitted(f"{row.claim.id}: {row.what}", NAME, 8) for row in rows]
    met = {one.verdict for row in rows for one in row.by_world.values()}
    handles = [Line2D([], [], linestyle="", marker=look["marker"], color=look["color"], label=verdict,
                      markeredgecolor=GREY if verdict == "undecided" else look["color"])
               for verdict, look in LOOKS.items() if verdict in met]  # fmt: skip
    left = 0.5 + max(width_of(name, 8) for name in names)
    width = left + len(worlds) * (PANEL + SPACE)
    legend = legend_height(width, [str(handle.get_label()) for handle in handles])
    under = "intervals at each claim's share of the ledger's 5%, of printed numbers for one new run; bars: margins"
    figure, head = titled(width, legend + max(LEAST, ROW * len(rows)) + 0.9, title, under)
    for number, world in enumerate(worlds):
        right = width - left - (number + 1) * PANEL - number * SPACE
        axes = new_axes(figure, left + number * (PANEL + SPACE), 0.5, right, head + legend + 0.3)
        for i, row in enumerate(rows):
            claim, one = row.claim, row.by_world.get(world)
            if claim.margin:
                axes.plot([-100 * claim.margin, 100 * claim.margin], [i, i], color=FAINT, linewidth=9, zorder=1,
                          solid_capstyle="butt")  # fmt: skip
            if one is None:
                continue
            look = LOOKS[one.verdict]
            mean, low, high = (100 * (bound - claim.value) for bound in (one.mean, one.low, one.high))
            axes.plot([low, high], [i, i], color=INK, linewidth=1.4)
            edge = GREY if one.verdict == "undecided" else look["color"]
            axes.plot(mean, i, marker=look["marker"], markersize=6, color=look["color"], markeredgecolor=edge)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlim(max(-100, axes.get_xlim()[0]), min(100, axes.get_xlim()[1]))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), names if number == 0 else [""] * len(rows), fontsize=8)
        axes.tick_params(axis="y", length=0)
        plain(axes, world if len(worlds) > 1 else "", "points from what it is held to", "claim" if number == 0 else "")
        axes.grid(visible=False, axis="y")
    legend_above(figure, handles, head)
    return figure

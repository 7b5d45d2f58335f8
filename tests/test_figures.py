"""Every figure, with few and many of everything: named, whole, nothing over anything else, readable in any print."""

import itertools

import numpy as np
import pytest
from contact_sheet import CASES, RUN
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from a2cli.plots import common
from a2cli.runs import MOST_PIXELS, captioned

# Machado, Oliveira & Fernandes 2009, severity 1, in linear RGB; then CIE 1976 L*a*b* under D65.
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopes": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopes": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(color: str, seen_by: str) -> NDArray[np.float64]:
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(SEEN_BY[seen_by] @ linear, 0, 1) / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


FOUR = ("better", "equivalent", "undecided", "worse")


@pytest.mark.parametrize(
    ("colors", "apart", "lighter"),
    [
        ([look["color"] for look in common.PARTS.values()], 40, 15),
        ([common.VERDICTS[word]["color"] for word in FOUR], 40, 15),
        (common.SERIES, 25, 9),
    ],
    ids=["parts", "verdicts", "series"],
)
def test_colours_are_told_apart(colors: list[str], apart: float, lighter: float) -> None:
    for seen_by in SEEN_BY:
        for a, b in itertools.combinations(colors, 2):
            assert np.linalg.norm(lab(a, seen_by) - lab(b, seen_by)) >= apart, (seen_by, a, b)
    lightness = sorted(lab(color, "all")[0] for color in colors)
    assert min(np.diff(lightness)) >= lighter, "in grey print"


def test_verdicts_and_series_differ_by_more_than_colour() -> None:
    assert len({common.VERDICTS[word]["marker"] for word in FOUR}) == 4
    assert len({common.VERDICTS[word]["sign"] for word in FOUR}) == 4
    assert len({look["marker"] for look in common.PARTS.values()}) == 3
    assert len({tuple(common.series(i).values()) for i in range(24)}) == 24


def axes_of(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]


def tick_labels(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [text for tick in ticks for text in (tick.label1, tick.label2) if text.get_visible()]


def texts(figure: Figure) -> list[Text]:
    """Return all text that is drawn."""
    both = [(axes, axis) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    ticks = [tick for _, axis in both for tick in axis.get_major_ticks() + axis.get_minor_ticks()]
    elsewhere = {id(text) for tick in ticks for text in (tick.label1, tick.label2)}
    elsewhere |= {id(axis.label) for axes, axis in both if not axes.axison}
    shown = [text for axes, axis in both if axes.axison for text in tick_labels(axis)]
    others = [text for text in figure.findobj(Text) if id(text) not in elsewhere and text.get_visible()]
    return [text for text in shown + others if text.get_text().strip()]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("case", CASES)
def test_figure(case: str) -> None:
    figure = CASES[case]()
    width, height = figure.get_size_inches()
    below = captioned(figure, f"run {RUN} · data atelier", "NOT PRETRAINED")
    assert max(width, height + below) * 150 <= MOST_PIXELS, "it would be made smaller, and its text with it"
    figure.draw_without_rendering()
    shown = texts(figure)
    boxes = np.array([text.get_window_extent().extents for text in shown]) / figure.dpi
    low, high = (0, -below), (width, height)
    outside = ((boxes[:, :2] < np.array(low) - 0.01) | (boxes[:, 2:] > np.array(high) + 0.01)).any(axis=1)
    assert not outside.any(), [(shown[i].get_text(), boxes[i]) for i in np.flatnonzero(outside)][:5]
    small = boxes + np.array([0.02, 0.02, -0.02, -0.02])  # boxes leave room for accents
    over = (small[:, None, :2] < small[None, :, 2:]).all(axis=2)
    over &= over.T & ~np.eye(len(boxes), dtype=bool)
    assert not over.any(), [(shown[i].get_text(), shown[k].get_text()) for i, k in np.argwhere(over)][:5]
    top = [text for text, box in zip(shown, boxes, strict=True) if box[3] > height - 0.35 and text.get_fontsize() >= 10]
    assert top, "no title"
    for axes in axes_of(figure):
        assert axes.get_xlabel(), "an axis without a name"
        assert axes.get_ylabel() or not any(text.get_text() for text in tick_labels(axes.yaxis))
        kinds = {label for label in axes.get_legend_handles_labels()[1] if not label.startswith("_")}
        assert len(kinds) < 2 or axes.get_legend() or figure.legends, "several kinds of lines, and no legend"

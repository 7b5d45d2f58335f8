"""Every figure, with few and many of everything: named, whole, nothing over anything else, readable in any print."""

import itertools
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conftest import A2, TINY
from contact_sheet import CASES, RUN, VERDICTS, contributions, movements, runs
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from a2cli.figures import common
from a2cli.formats import in_percent
from a2cli.probe_invariance import figures as invariance
from a2cli.probe_invariance import heat_maps
from a2cli.runs.directory import Run
from a2cli.runs.figure_files import MOST_PIXELS, captioned, rendered
from a2cli.visualize_weights import figures as weights

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


# What others of the kind show as well, and takes long: for the eye, in `contact_sheet.py`.
LOOKED_AT = (
    "confusion, 11",
    "confusion, 136 classes, wide",
    "confusion, 1000 classes,",
    "verdicts, 12",
    "verdicts, 20",
)
LOOKED_AT += ("recognised, 2 runs", "recognised, 1 runs of 1000", "movements, 20", "translations, 2 runs")
LOOKED_AT += ("confusion, 40 classes, long", "film, 30", "evidence, 7", "predictions, 25", "filters, 6")


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith(LOOKED_AT)])
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
    room = np.minimum(0.02, 0.12 * (boxes[:, 3] - boxes[:, 1]))[:, None]  # that boxes leave for accents
    small = boxes + room * np.array([1, 1, -1, -1])
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


def test_each_figure_names_its_run_and_its_data(a2: A2, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {}

    def listen(figure: Figure, kind: str, below: float) -> bytes:
        said[figure] = [text.get_text() for text in figure.texts]
        return rendered(figure, kind, below)

    monkeypatch.setattr("a2cli.runs.directory.rendered", listen)
    a2("train-cnn", "--data", data, *TINY, "--out", "runs/mine").done()
    assert len(said) == 7
    assert all("run mine · data set" in texts for texts in said.values())
    assert Run(Path("runs/mine")).child("seeds/3").child("stages/1-head").name == "mine/seeds/3/stages/1-head"


def test_what_is_below_a_figure() -> None:
    """Lines of their own, none of them beyond the edges, however long names are; the figure stays as large."""
    figure = common.new_figure(2, 1)
    bare, below = rendered(figure, "png"), captioned(figure, "W" * 999, "NOT PRETRAINED")
    with Image.open(BytesIO(bare)) as before, Image.open(BytesIO(rendered(figure, "png", below))) as after:
        assert (before.size, after.size) == ((300, 150), (300, 150 + round(150 * below)))
        pixels = np.asarray(after.convert("RGB")).astype(int)
    assert (pixels[:150] == 255).all()
    assert (pixels[:, :5] == 255).all() and (pixels[:, -5:] == 255).all()
    red = pixels[150:, :, 0] - pixels[150:, :, 1] > 90
    assert red[: len(red) // 2].any() and not red[len(red) // 2 :].any()
    assert (pixels[-25:] < 200).any()


@pytest.mark.parametrize("size", [6.5, 8, 11])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_text_is_as_wide_as_it_is_said_to_be(size: float) -> None:
    figure = common.new_figure(9, 1)
    for words in ("class 7", "W" * 30, "画廊の肖像" * 4, "iIl1.,;" * 9, "conv1.0.weight"):
        shown = figure.text(0, 0, words, fontsize=size).get_window_extent().width / figure.dpi
        assert common.width_of(words, size) == pytest.approx(shown, abs=0.06 + 0.06 * shown)
        for fit in (common.fitted, common.fitted_end):
            assert fit(words, 99, size) == words
            short = fit(words * 50, 1.0, size)
            assert "…" in short and common.width_of(short, size) <= 1.0
    assert common.fitted_end("folder/" * 90 + "7.png", 1.0, size).endswith("7.png")
    assert common.wrapped("a bb " + "c" * 999, 1.0, size)[0] == "a bb"


def test_an_axis_has_one_notation() -> None:
    """1e-4 falling to its eighth was 0.0001 beside 8e-05."""
    figure = common.new_figure(5, 3)
    for largest, expected in ((1e-4, {"0", "2e-05", "1e-04"}), (1e-2, {"0", "0.002", "0.01"})):
        axes = figure.add_subplot()
        axes.set_ylim(0, 1.1 * largest)
        common.small_numbers(axes.yaxis, largest)
        figure.draw_without_rendering()
        assert expected <= {text.get_text() for text in tick_labels(axes.yaxis)}
        axes.remove()


def test_verdicts_of_an_ablation_have_their_colours_and_shapes() -> None:
    figure = contributions(4, 2, "", average=False)
    points = [line for line in figure.axes[0].lines if line.get_marker() in {"^", "v", "s", "o"}]
    shown = [(line.get_marker(), line.get_markerfacecolor()) for line in points]
    assert shown == [(common.VERDICTS[word]["marker"], common.VERDICTS[word]["color"]) for word in VERDICTS]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {*labels} == {"helps", "hurts", "no difference", "undecided"}


def test_the_shaded_margin_of_an_ablation_is_on_the_page() -> None:
    """Far from intervals that are all above it."""
    low, high = contributions(1, 20, "", average=False).axes[0].get_xlim()
    assert low < -2 and high > 2


def test_the_axis_of_a_single_ingredient_is_as_tall_as_its_name() -> None:
    figure = contributions(1, 5, "", average=False)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.yaxis.label.get_window_extent().height <= axes.get_window_extent().height


def test_shades_of_layers_reach_what_was_measured() -> None:
    """Half of them were black: all from 1.2 on."""
    figure = movements(1, 6)
    grid = figure.axes[0].images[0]
    assert grid.get_clim() == (0, pytest.approx(float(grid.get_array().max())))
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_label() == "<colorbar>"] == ["distance"]


def test_several_probed_runs_without_strengths() -> None:
    """Two changes: side by side, not at the ends of an empty axis; the dashes are in the legend."""
    some = [replace(run, changes=[one for one in run.changes if one.name.startswith("flip")]) for run in runs(2)]
    figure = invariance.curves(some, 0.02)
    (axes,) = figure.axes
    assert axes.get_window_extent().width / figure.dpi < 3
    assert {"same answer as unchanged", "unchanged"} <= {text.get_text() for text in figure.legends[0].get_texts()}


def test_several_probed_runs_show_the_largest_class_apart_from_unchanged() -> None:
    """In every panel, and told apart without colours: one is solid, one dotted, and the legend says which."""
    some = runs(2)
    figure = invariance.curves(some, 0.02)
    for axes in figure.axes:
        level = [line for line in axes.lines if list(line.get_ydata()) == [some[0].majority.value] * 2]
        assert [line.get_linestyle() for line in level] == ["-"]
    shown = {str(line.get_label()): line.get_linestyle() for line in figure.legends[0].legend_handles}
    assert (shown["unchanged"], shown["largest class, or chance"]) == (":", "-")


def test_few_changes_of_several_runs_leave_no_empty_half() -> None:
    some = [replace(run, changes=[one for one in run.changes if one.name in ("rotate", "jpeg")]) for run in runs(2)]
    some = [replace(run, changes=[one for one in run.changes if not one.drawn]) for run in some]
    figure = invariance.curves(some, 0.02)
    right = max(axes.get_position().x1 for axes in figure.axes)
    assert right > 0.9


def test_percentages_round_halves_up() -> None:
    """As one does by hand: 12.5, 62.5 and 87.5 were 12, 62 and 88."""
    assert [in_percent(n / 8) for n in (1, 5, 7)] == ["13%", "63%", "88%"]
    assert in_percent(29 / 200) == "15%"
    run = runs(1)[0]
    eighths = replace(run, counts=dict.fromkeys(run.counts, 8), by_class=[1] * len(run.counts), changes=[])
    written = [text.get_text() for text in heat_maps.classes([eighths]).axes[0].texts]
    assert written == ["13"] * len(run.counts)


def test_figures_of_weights_say_what_colours_stand_for() -> None:
    figure = weights.filters([weights.Bank("run", np.full((4, 3, 5, 5), 0.25, np.float32))])
    said = " ".join(text.get_text() for text in figure.texts)
    assert "each from -0.25 (none of it) over 0 (half) to +0.25 (full)" in said


def test_qualities_of_jpeg_are_in_the_order_of_their_curve(
    a2: A2, train: A2, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    draw = invariance.sheet
    monkeypatch.setattr(invariance, "sheet", lambda title, rows: seen.update(rows) or draw(title, rows))
    run = train("--data", data).done()
    a2("probe-invariance", "--run", run, "--changes", "jpeg,rotate", "--no-layers", "--quiet", "--out", "probe").done()
    assert [tile.title for tile in seen["jpeg"]] == ["90", "70", "50", "30", "10", "5"]
    assert seen["rotate"][0].title == "-90"
    rows = (Path("probe") / "figures/sheet-1-1.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows if row.startswith("jpeg")] == ["5", "10", "30", "50", "70", "90"]

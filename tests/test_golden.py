"""What people see, exactly: of a fixed report of each command what it prints, its CSV files, and what figures draw.

The reports in `tests/golden` were made once by the commands of `test_agreement.py`; some of their numbers were changed
so that no two in a row are alike (the sentences of their verdicts were left). After a change that is meant, write the
other files again with `A2_WRITE_GOLDEN=1 pytest tests/test_golden.py` and read the difference line by line.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from a2cli.ablate.console import show_ablation
from a2cli.ablate.run import Ablation
from a2cli.check_data.console import show_data_check
from a2cli.columns import Column, R
from a2cli.compare_optimizers.console import show_comparison
from a2cli.compare_optimizers.draw import draw_comparison
from a2cli.data.packing import Packed
from a2cli.predict.console import show_predictions
from a2cli.probe_invariance import draw as invariance_figures
from a2cli.probe_invariance import heat_maps
from a2cli.probe_invariance.console import show_probe
from a2cli.probe_invariance.settings import ProbeSettings
from a2cli.progress import NullReporter
from a2cli.receptive_field import run as receptive_field
from a2cli.receptive_field.console import show_fields
from a2cli.reports.data_results import DataCheck, NearDuplicate
from a2cli.reports.predictions import Predictions
from a2cli.reports.report import Report, report_from
from a2cli.reports.study_results import called
from a2cli.reports.training_results import EpochLog
from a2cli.runs.directory import Run, to_csv
from a2cli.study.ledger import Ledger, TrialKey
from a2cli.train.console import show_training
from a2cli.train.workers import Workers
from a2cli.training import draw as training_figures
from a2cli.transfer.console import show_features
from a2cli.transfer.summary import draw_transfer
from a2cli.visualize_weights import draw as weight_figures
from a2cli.visualize_weights.console import show_weights

GOLDEN = Path(__file__).parent / "golden"
FOLDER = Path("runs/example")
TRAININGS = ["train-cnn", "train-cnn-seeds", "train-cnn-folds", "train-mlp", "train-mlp-features", "finetune"]
SHOWN: dict[str, Callable[[Report, Path], None]] = {
    **dict.fromkeys(TRAININGS, show_training),
    "compare-optimizers": show_comparison,
    "ablate": show_ablation,
    "probe-invariance": show_probe,
    "visualize-weights": show_weights,
    "receptive-field": show_fields,
    "extract-features": lambda report, _: show_features(report, Path("f2.safetensors")),
}


def values_of(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.report.json").read_text())


def report_of(name: str) -> Report:
    return report_from(values_of(name))


def hold(file: str, found: str) -> None:
    """Compare with what is kept, or keep it where that is asked for."""
    path = GOLDEN / file
    if os.environ.get("A2_WRITE_GOLDEN"):
        path.write_text(found)
    assert found == path.read_text(), f"{path}: see the first lines of this file"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", SHOWN)
def test_a_report_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    SHOWN[name](report_of(name), FOLDER)
    hold(f"{name}.txt", capsys.readouterr().out)


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_cut_off(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    SHOWN[name](report_of(name), FOLDER)
    assert "…" not in capsys.readouterr().out


def test_a_probe_is_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    """Also with the widest of each column: both of a change's ends halve and break it, and it was in the training."""
    values = values_of("probe-invariance")
    for change in values["results"]["runs"][0]["changes"]:
        change |= {"title": "flip-horizontal", "halved_at": [-0.28, 0.27], "verdict": "undecided"}
        widest = {"strength": -0.25, "difference": -0.144, "low": -0.295, "high": -0.018}
        change["points"] = [{**point, **widest} for point in change["points"]]
    show_probe(report_from(values), FOLDER)
    out = capsys.readouterr().out
    lines = re.findall(r"^ flip-horizontal .* -0\.28, 0\.27 +undecided \[-29\.5, -1\.8\] *$", out, re.MULTILINE)
    assert len(lines) == len(values["results"]["runs"][0]["changes"])


def test_predictions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show_predictions(TypeAdapter(Predictions).validate_python(values_of("predict")))
    hold("predict.txt", capsys.readouterr().out)


def test_a_data_check_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show_data_check(TypeAdapter(DataCheck).validate_python(values_of("data-check")))
    hold("data-check.txt", capsys.readouterr().out)


# Figures


class Recorded(Run):
    """A run that writes nothing: it keeps the CSV of each figure, and the figure."""

    def __init__(self) -> None:
        super().__init__(FOLDER)
        self.tables: dict[str, str] = {}
        self.figures: dict[str, Figure] = {}

    def save_figure(
        self, name: str, draw: Callable[[], Figure], columns: Sequence[Column[R]], rows: Iterable[R]
    ) -> None:
        self.figures[name] = draw()
        self.tables[name] = to_csv(columns, rows).decode()


def drawn(figure: Figure) -> dict[str, Any]:
    """Return what a figure says and draws, but for where on the page and in which colours."""
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return {"texts": [text.get_text() for text in figure.texts], "legend": legends,
            "axes": [_axes(axes) for axes in figure.axes]}  # fmt: skip


def _axes(axes: Axes) -> dict[str, Any]:
    legend = axes.get_legend()
    found = {
        "title": [axes.get_title(loc=place) for place in ("left", "center", "right")],
        "x": axes.get_xlabel(),
        "y": axes.get_ylabel(),
        "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
        "ticks": [tick.get_text() for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_ticklabels()
                  if not _is_number(tick.get_text())],
        "texts": [[text.get_text(), *_numbers(text.get_position())] for text in axes.texts],
        "lines": [[line.get_label(), _numbers(line.get_xdata()), _numbers(line.get_ydata())] for line in axes.lines],
        "points": [_numbers(one.get_offsets()) for one in axes.collections if len(one.get_offsets()) > 1],
        "segments": [_numbers(one.get_segments()) for one in axes.collections if isinstance(one, LineCollection)],
        "bands": [_numbers(one.get_paths()[0].vertices) for one in axes.collections if isinstance(one, PolyCollection)],
        "bars": [_numbers(one.get_bbox().bounds) for one in axes.patches if hasattr(one, "get_bbox")],
        "images": [_picture(image.get_array()) for image in axes.images],
    }  # fmt: skip
    return {key: value for key, value in found.items() if value and any(value)}


def _picture(values: Any) -> Any:
    """Return a picture's values, or of a large one its shape and its mean."""
    return _numbers(values) if values.size <= 200 else [*values.shape, *_numbers([values.mean()])]


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-−+\d.,%]*|\$\\mathdefault.*", text))


def _numbers(values: Any) -> Any:
    """Return numbers to six digits, as platforms differ in the last."""
    return [float(f"{value:.6g}") + 0.0 for value in np.ma.filled(np.ma.asarray(values, float), np.nan).ravel()]


def _training(name: str, run: Run) -> None:
    report = report_of(name)
    several = report.results.runs
    if len(several) > 1:
        training_figures.draw_training(run, report.history, several)
        return
    mistakes = [one.image for one in several[0].judged.most_wrong]
    stages = report.transfer.stages if report.transfer else []
    firsts = {1 + sum(one.epochs for one in stages[:i]): stage.stage for i, stage in enumerate(stages)}
    classes = tuple(report.data.classes)
    packed = _packed(mistakes, classes, [classes.index(one.truth) for one in several[0].judged.most_wrong])
    training_figures.draw_run(run, packed, report.history, several[0], firsts)
    draw_transfer(run, report.transfer)


def _packed(names: Sequence[str], classes: tuple[str, ...], labels: Sequence[int]) -> Packed:
    """Black images of these names and classes."""
    pictures = np.zeros((len(names), 8, 8, 3), np.uint8)
    numbers = np.array(labels, np.int64)
    return Packed(pictures, numbers, names, [""] * len(names), classes, (), "", np.arange(len(names)))


def _logs(seed: int) -> list[EpochLog]:
    """Three epochs, no two of their numbers alike."""
    return [
        EpochLog(epoch, learning_rate=0.1 / epoch, train_loss=1 / epoch, train_accuracy=0.4 + 0.1 * epoch,
                 val_loss=1.3 / epoch, val_accuracy=0.35 + 0.1 * epoch + 0.01 * seed,
                 images_per_second=250.0 + 50 * epoch)
        for epoch in (1, 2, 3)
    ]  # fmt: skip


def _comparison(name: str, run: Run) -> None:
    results = report_of(name).results
    ended = {
        TrialKey(called(one.name), one.learning_rate, seed.seed): SimpleNamespace(
            report=SimpleNamespace(history={str(seed.seed): _logs(seed.seed)}, data=SimpleNamespace(train=48))
        )
        for table in results.tables
        for one in table.contenders
        for seed in one.runs
    }
    ledger = Ledger(FOLDER, Workers(1), NullReporter())
    ledger.ended = ended
    ledger.result = lambda key: SimpleNamespace(kept_epoch=2 + key.seed)
    draw_comparison(run, ledger, results)


def _fields(name: str, run: Run) -> None:
    results = report_of(name).results
    image = np.zeros((results.image_size, results.image_size, 3), np.uint8)
    last = results.middle[-1]
    spread = np.zeros((results.image_size, results.image_size))
    spread[2:5, 3:5] = [[0.1, 0.2], [0.3, 0.15], [0.05, 0.2]]
    receptive_field._draw(run, results, {last.layer: {"trained": spread, "untrained": spread.T}}, image[None])


def _spectra(name: str, run: Run) -> None:
    network = report_of(name).results.networks[0]
    spectra = {
        layer.layer: torch.tensor([[3.0 + i, 1.0 + i], [1.5, 0.5], [2.0, 0.75]])
        for i, layer in enumerate(network.layers)
    }
    weight_figures._draw_evidence(run, "evidence", network.name, network.layers, spectra)


def _near_duplicates(name: str, run: Run) -> None:
    pairs = [
        NearDuplicate("set/ada/1.png", "set/bea/2.png", 0.97, "train", "val", False),
        NearDuplicate("set/ada/3.png", "set/ada/4.png", 0.985, "train", "train", True),
    ]
    images = [one for pair in pairs for one in (pair.first, pair.second)]
    training_figures.draw_near_duplicates(run, pairs, _packed(images, ("ada",), [0] * len(images)))


def _probe(name: str, run: Run) -> None:
    results = report_of(name).results
    invariance_figures.draw(run, results, [None] * len(results.runs), ProbeSettings())


DRAWN: Mapping[str, Callable[[str, Run], None]] = {
    **dict.fromkeys(TRAININGS, _training),
    "compare-optimizers": _comparison,
    "ablate": lambda name, run: Ablation.draw(None, run, report_of(name).results),
    "probe-invariance": _probe,
    "visualize-weights": _spectra,
    "near-duplicates": _near_duplicates,
    "receptive-field": _fields,
}


def recorded(name: str) -> Recorded:
    run = Recorded()
    DRAWN[name](name, run)
    return run


@pytest.mark.parametrize("name", DRAWN)
def test_figures_and_their_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariance_figures, "_draw_sheet", lambda *_: None)
    run = recorded(name)
    assert run.figures
    for figure in run.figures.values():
        within_page(figure)
    hold(f"{name}.csv", "".join(f"# {figure}.csv\n{table}" for figure, table in run.tables.items()))
    lines = (f" {json.dumps(figure)}: {{\n{_listed(drawn(made))}\n }}" for figure, made in run.figures.items())
    hold(f"{name}.figures.json", "{\n" + ",\n".join(lines) + "\n}\n")


def within_page(figure: Figure) -> None:
    for axes in figure.axes:
        box = axes.get_position()
        assert min(box.min) >= 0 and max(box.max) <= 1, f"{axes.get_label() or axes.get_title()}: beyond the page"


@pytest.mark.parametrize("draw", [heat_maps.classes, heat_maps.layers])
def test_of_one_run_and_few_changes_nothing_is_cut(draw: Callable[[Any], Figure]) -> None:
    within_page(draw(report_of("probe-invariance").results.runs[:1]))


def _listed(found: Mapping[str, Any]) -> str:
    """Return JSON with a line for each thing drawn, so that a difference shows where it is."""
    axes = ",\n".join(
        "   {" + ",\n    ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in one.items()) + "}"
        for one in found["axes"]
    )
    rest = ",\n".join(f"  {json.dumps(key)}: {json.dumps(found[key])}" for key in ("texts", "legend"))
    return f'{rest},\n  "axes": [\n{axes}\n  ]'

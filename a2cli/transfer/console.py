"""Features and fine-tuning, as printed."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.columns import Column
from a2cli.console.base import results_console, table_from
from a2cli.formats import mean_and_deviation
from a2cli.reports.report import Report
from a2cli.reports.training_results import Accuracy, Spread
from a2cli.reports.transfer_results import (
    BackboneUsed,
    FeatureResults,
    LayerFeatures,
    ProbeScore,
    StageResult,
    TransferResults,
)

if TYPE_CHECKING:
    from rich.console import Console


def show_features(report: Report, file: Path) -> None:
    """Print what a features file holds."""
    assert isinstance(report.results, FeatureResults), "that is what was extracted"
    results, console = report.results, results_console()
    say = partial(console.print, sep="\n", soft_wrap=True)
    weights = f"{results.weights}, SHA-256 {results.sha256[:12]}" if results.pretrained else "none: NOT PRETRAINED"
    squares, _, values = results.preprocessing.partition(", mean")  # more than 80 columns on one line
    say(f"{results.backbone}, weights {weights}", f"images as {squares}", f"normalised by mean{values}")
    if results.random:
        say(f"random weights: {', '.join(results.random)}")
    console.print(table_from(LAYERS, results.layers))
    say(results.verdict, "", f"File: {file}")


def backbone_lines(used: BackboneUsed) -> list[str]:
    """Return what is said of a backbone: its name and layer, where its weights are from."""
    weights = [f"weights: {used.weights}", f"SHA-256: {used.sha256[:12]}"] if used.pretrained else ["NOT PRETRAINED"]
    random = [f"of these, random: {', '.join(used.random)}"] if used.random else []
    return [f"{used.backbone} up to {used.layer}", *weights, *random]


def show_transfer(console: "Console", results: TransferResults) -> None:
    """Print a training's stages and probes."""
    if results.stages:
        console.print(table_from(STAGES, results.stages))
        for stage in results.stages:
            once = ", computed once for each image" if stage.cached else ""
            if stage.frozen:
                ends = " to ".join(dict.fromkeys([stage.frozen[0], stage.frozen[-1]]))
                console.print(f"Frozen in {stage.stage}: {ends}{once}.")
    if results.probes:
        tested = any(score.test for score in results.probes)
        test: Column[ProbeScore] = Column("test", text=lambda score: _short(score.test), printed=tested)
        console.print(table_from([*PROBES, test], results.probes))


def _short(accuracy: Accuracy | Spread | None) -> str:
    if accuracy is None:
        return ""
    return mean_and_deviation(accuracy) if isinstance(accuracy, Spread) else f"{accuracy.value:.3f}"


LAYERS: list[Column[LayerFeatures]] = [
    Column("layer", lambda layer: layer.name),
    Column("node", lambda layer: layer.node),
    Column("shape of an image's", text=lambda layer: " x ".join(map(str, layer.shape))),
    Column("megabytes", lambda layer: layer.megabytes, ",.1f"),
]
STAGES: list[Column[StageResult]] = [
    Column("stage", text=lambda stage: f"{stage.stage} (kept)" if stage.kept else stage.stage),
    Column("epochs", text=lambda stage: f"{stage.epochs} at {stage.learning_rate:g}"),
    Column("weights", lambda stage: stage.learned_parameters, ","),
    Column("frozen", lambda stage: stage.frozen_parameters, ","),
    Column("training", text=lambda stage: _short(stage.train)),
    Column("validation", text=lambda stage: _short(stage.val)),
]
PROBES: list[Column[ProbeScore]] = [
    Column("layer", lambda score: score.layer),
    Column("answer", lambda score: score.answer),
    Column("chosen", lambda score: score.chosen),
    Column("validation", text=lambda score: _short(score.val)),
]

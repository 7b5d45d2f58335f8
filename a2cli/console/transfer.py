"""Features and fine-tuning, as printed."""

from functools import partial
from typing import TYPE_CHECKING

from a2cli.console.base import results_console, table_of
from a2cli.formats import mean_and_deviation
from a2cli.report import Report
from a2cli.results.training import Accuracy, Spread
from a2cli.results.transfer import BackboneUsed, FeatureResults, TransferResults

if TYPE_CHECKING:
    from rich.console import Console


def show_features(report: Report) -> None:
    """Print what a features file holds."""
    assert isinstance(report.results, FeatureResults), "that is what was extracted"
    found, console = report.results, results_console()
    say = partial(console.print, sep="\n", soft_wrap=True)
    weights = f"{found.weights}, SHA-256 {found.sha256[:12]}" if found.pretrained else "none: NOT PRETRAINED"
    squares, _, values = found.preprocessing.partition(", mean")  # more than 80 columns on one line
    say(f"{found.backbone}, weights {weights}", f"images as {squares}", f"normalised by mean{values}")
    if found.random:
        say(f"random weights: {', '.join(found.random)}")
    table = table_of("layer", "node", "shape of an image's", "megabytes")
    for layer in found.layers:
        table.add_row(layer.name, layer.node, " x ".join(map(str, layer.shape)), f"{layer.megabytes:,.1f}")
    console.print(table)
    say(found.verdict, "", f"File: {found.file}")


def backbone_lines(used: BackboneUsed) -> list[str]:
    """Return what is said of a backbone: its name and layer, where its weights are from."""
    weights = [f"weights: {used.weights}", f"SHA-256: {used.sha256[:12]}"] if used.pretrained else ["NOT PRETRAINED"]
    lines = [f"{used.backbone} up to {used.layer}", *weights]
    return [*lines, f"of these, random: {', '.join(used.random)}"] if used.random else lines


def show_transfer(console: "Console", found: TransferResults) -> None:
    """Print a training's stages and probes."""
    if found.stages:
        table = table_of("stage", "epochs", "weights", "frozen", "training", "validation")
        for stage in found.stages:
            name = f"{stage.stage} (kept)" if stage.kept else stage.stage
            epochs = f"{stage.epochs} at {stage.learning_rate:g}"
            table.add_row(name, epochs, f"{stage.learned_parameters:,}", f"{stage.frozen_parameters:,}",
                          _short(stage.train), _short(stage.val))  # fmt: skip
        console.print(table)
        for stage in found.stages:
            once = ", computed once for each image" if stage.cached else ""
            if stage.frozen:
                ends = " to ".join(dict.fromkeys([stage.frozen[0], stage.frozen[-1]]))
                console.print(f"Frozen in {stage.stage}: {ends}{once}.")
    if found.probes:
        tested = any(one.test for one in found.probes)
        table = table_of("layer", "answer", "chosen", "validation", *(["test"] if tested else []))
        for one in found.probes:
            tests = [_short(one.test) if one.test else ""] if tested else []
            table.add_row(one.layer, one.answer, one.chosen, _short(one.val), *tests)
        console.print(table)


def _short(found: Accuracy | Spread) -> str:
    return mean_and_deviation(found) if isinstance(found, Spread) else f"{found.value:.3f}"

"""Features and fine-tuning, as printed."""

from a2cli.console.base import results_console, table_of
from a2cli.report import Report
from a2cli.results.transfer import FeatureResults


def show_features(report: Report) -> None:
    """Print what a features file holds."""
    assert isinstance(report.results, FeatureResults), "that is what was extracted"
    found, console = report.results, results_console()

    def say(*lines: str) -> None:
        console.print(*lines, sep="\n", soft_wrap=True, markup=False, highlight=False)

    weights = f"{found.weights}, SHA-256 {found.sha256[:12]}" if found.pretrained else "none: NOT PRETRAINED"
    say(f"{found.backbone}, weights {weights}", f"images as {found.preprocessing}")
    if found.random:
        say(f"random weights: {', '.join(found.random)}")
    table = table_of("layer", "node", "shape of an image's", "megabytes")
    for layer in found.layers:
        table.add_row(layer.name, layer.node, " x ".join(map(str, layer.shape)), f"{layer.megabytes:,.1f}")
    console.print(table)
    say(found.verdict, "", f"File: {found.file}")

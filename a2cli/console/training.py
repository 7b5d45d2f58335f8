"""The results of a training run, as printed."""

from collections.abc import Sequence
from pathlib import Path

from a2cli.console.base import results_console, say_split, say_where, table_of
from a2cli.console.transfer import backbone_lines, show_transfer
from a2cli.report import Report
from a2cli.results.training import Accuracy, Spread, TrainingResults


def show_training(report: Report, folder: Path) -> None:
    """Print a training report: the data, a table, the verdict in words, and where the rest is."""
    assert isinstance(report.results, TrainingResults), "a finished training has results"
    assert report.data is not None, "a finished report has its data"
    results, data = report.results, report.data
    console = results_console()

    def say(*lines: str) -> None:
        console.print(*lines, sep="\n", soft_wrap=True)

    if report.transfer:
        say(*backbone_lines(report.transfer.backbone))
    say(f"{data.source}: {data.train + data.val + data.test} images of {_classes(list(data.classes))}")
    reads = report.test_reads + report.test_curve_reads
    read = f"test, read {'once' if reads == 1 else f'{reads} times'}"
    if len(results.runs) == 1:
        table = table_of("images", "correct", "accuracy", "95% interval")
        only = results.runs[0]
        rows: list[tuple[str, Accuracy | None]] = [
            ("training", only.train),
            (f"validation, epoch {only.kept_epoch}", only.val),
            ("  without duplicates", only.val_without_duplicates),
            (read, only.test),
            ("  without duplicates", only.test_without_duplicates),
            ("always the largest class", only.majority),
        ]
        classes = len(data.classes)
        for name, share in rows:
            if share:
                interval = f"{share.low:.3f} to {share.high:.3f}"
                table.add_row(name, f"{share.correct} of {share.count}", f"{share.value:.3f}", interval)
        table.add_row("chance", f"1 of {classes} classes", f"{1 / classes:.3f}", "")
    else:
        table = table_of("", results.repeated, "mean ± deviation", "95% interval of the mean")
        spreads: list[tuple[str, Spread | None]] = [
            ("training", results.train),
            ("validation", results.val),
            ("  without duplicates", results.val_without_duplicates),
            ("validation, last epoch", results.last_val),
            (read, results.test),
            ("  without duplicates", results.test_without_duplicates),
        ]
        for name, found in spreads:
            if found:
                middle = f"{found.mean:.3f} ± {found.deviation:.3f}"
                table.add_row(name, str(found.n), middle, f"{max(0.0, found.low):.3f} to {min(1.0, found.high):.3f}")
    console.print(table)
    if report.transfer:
        show_transfer(console, report.transfer)
    console.print(results.verdict)
    say_split(console, report)
    say_where(console, report, folder)


def _classes(names: Sequence[str]) -> str:
    """Return how many classes there are and the first ones' names, so that a wrong folder shows."""
    shown = ", ".join(names[:2])
    return f"{len(names)} classes ({shown}{', ...' * (len(names) > 2)})"

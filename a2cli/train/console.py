"""The results of a training run, as printed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.console.base import results_console, say_split, say_where, table_from, table_of
from a2cli.formats import counted, interval, mean_and_deviation
from a2cli.reports.report import Report
from a2cli.reports.training_results import CLASSES, Accuracy, JudgedPart, Spread, TrainingResults
from a2cli.transfer.console import backbone_lines, show_transfer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


MOST_CLASSES, MOST_MISTAKES = 12, 3
PARTS = {"val": "validation", "test": "test"}
MEASURES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "top5": "top-5 accuracy",
    "calibration_error": "calibration error",
}


def show_training(report: Report, folder: Path) -> None:
    """Print a training report: the data, a table, the verdict in words, and where the rest is."""
    assert isinstance(report.results, TrainingResults), "a finished training has results"
    assert report.data is not None, "a finished report has its data"
    results, data = report.results, report.data
    console = results_console()
    say = partial(console.print, sep="\n", soft_wrap=True)
    if report.transfer:
        say(*backbone_lines(report.transfer.backbone))
    say(f"{data.source}: {data.train + data.val + data.test} images of {_classes(list(data.classes))}")
    reads = report.test_reads + report.test_curve_reads
    read = f"test, read {'once' if reads == 1 else f'{reads} times'}"
    if len(results.runs) == 1:
        table = table_of("images", "correct", "accuracy", "95% interval")
        only = results.runs[0]
        judged = only.judged
        parts: list[tuple[str, dict[str, Accuracy | None]]] = [
            ("", {"training": only.train}),
            (
                "val",
                {
                    f"validation, epoch {only.kept_epoch}": only.val,
                    "  without duplicates": only.val_without_duplicates,
                    "  always the largest class": only.majority,
                },
            ),
            (
                "test",
                {
                    read: only.test,
                    "  without duplicates": only.test_without_duplicates,
                    "  always the largest class": judged.majority if only.test else None,
                },
            ),
        ]
        for part, rows in parts:
            for name, share in rows.items():
                if share:
                    add_share(table, name, share)
            if part == judged.part:
                add_measures(table, judged)
        classes = len(data.classes)
        table.add_row("chance", f"1 of {classes} classes", f"{1 / classes:.3f}", "")
    else:
        table = table_of("", results.repeated, "mean ± deviation", "95% interval of the mean")
        of_judged = {f"  {MEASURES[name]}": one for name, one in results.judged.items()}
        part = results.runs[0].judged.part
        spreads: list[tuple[str, Spread | None]] = [
            ("training", results.train),
            ("validation", results.val),
            ("  without duplicates", results.val_without_duplicates),
            *(of_judged.items() if part == "val" else ()),
            ("validation, last epoch", results.last_val),
            (read, results.test),
            ("  without duplicates", results.test_without_duplicates),
            *(of_judged.items() if part == "test" else ()),
        ]
        for name, found in spreads:
            if found:
                table.add_row(name, str(found.n), mean_and_deviation(found), interval(found))
    console.print(table)
    if len(results.runs) == 1:
        show_classes(console, results.runs[0].judged)
    if report.transfer:
        show_transfer(console, report.transfer)
    console.print(results.verdict)
    say_split(console, report)
    say_where(console, report, folder)


def _classes(names: Sequence[str]) -> str:
    """Return how many classes there are and the first ones' names, so that a wrong folder shows."""
    shown = ", ".join(names[:2])
    return f"{counted(len(names), 'class', 'classes')} ({shown}{', ...' * (len(names) > 2)})"


def add_share(table: "Table", name: str, share: Accuracy) -> None:
    table.add_row(name, f"{share.correct} of {share.count}", f"{share.value:.3f}", interval(share))


def add_measures(table: "Table", judged: JudgedPart) -> None:
    """Add the rows of what is measured by class and of the probabilities, below those of the part that is judged."""
    balanced = judged.balanced_accuracy
    for name, value in judged.measures.items():
        title = f"  {MEASURES[name]}"
        if name == "top5" and judged.top5:
            add_share(table, title, judged.top5)
        elif name == "balanced_accuracy" and balanced:
            known = f"{sum(one.count > 0 for one in judged.classes)} of {len(judged.classes)} classes"
            table.add_row(title, known, f"{value:.3f}", interval(balanced))
        else:
            table.add_row(title, "", f"{value:.3f}", "")


def show_classes(console: "Console", judged: JudgedPart) -> None:
    """Print the results by class, of many classes the worst, and which class is most often taken for which."""
    scores = [one for one in judged.classes if one.precision is not None or one.recall is not None]
    if not scores:
        return  # a report of an earlier version
    some = sorted(scores, key=lambda one: one.f1 or 0.0)[:MOST_CLASSES] if len(scores) > MOST_CLASSES else scores
    name, *others = CLASSES
    console.print(table_from([replace(name, title=f"{PARTS[judged.part]} by class"), *others], some))
    if len(some) < len(scores):
        console.print(f"The {len(some)} of {len(judged.classes)} classes with the lowest F1; all: figures/classes.csv.")
    mistakes = [(n, sum(row.values()), truth, answer) for truth, row in judged.confusion.items()
                for answer, n in row.items() if answer != truth and n > 1]  # fmt: skip
    if mistakes:
        most = sorted(mistakes, key=lambda one: (-one[0], one[1]))[:MOST_MISTAKES]
        said = ", ".join(f"{truth} as {answer} ({n} of {count})" for n, count, truth, answer in most)
        console.print(f"Most frequent mistakes: {said}.")

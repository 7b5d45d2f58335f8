"""The results of a training run, as printed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.console.base import results_console, say_split, say_where, table_from, table_of
from a2cli.formats import counted, interval, mean_and_deviation
from a2cli.reports.report import Report
from a2cli.reports.training_results import CLASSES, Accuracy, JudgedPart, TrainingResult, TrainingResults
from a2cli.transfer.console import backbone_lines, show_transfer

if TYPE_CHECKING:
    from rich.console import Console


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
    only = results.runs[0] if len(results.runs) == 1 else None
    rows = _rows_of_one(only, read, len(data.classes)) if only else _rows_of_several(results, read)
    several = ("", results.repeated, "mean ± deviation", "95% interval of the mean")
    console.print(table_of(*(("images", "correct", "accuracy", "95% interval") if only else several), rows=rows))
    if only:
        show_classes(console, only.judged)
    if report.transfer:
        show_transfer(console, report.transfer)
    console.print(results.verdict)
    say_split(console, report)
    say_where(console, report, folder)


def _rows_of_one(result: TrainingResult, read: str, classes: int) -> Iterator[tuple[str, str, str, str]]:
    judged = result.judged
    shares: dict[str, dict[str, Accuracy | None]] = {
        "": {"training": result.train},
        "val": {
            f"validation, epoch {result.kept_epoch}": result.val,
            "  without duplicates": result.val_without_duplicates,
            "  always the largest class": result.majority,
        },
        "test": {
            read: result.test,
            "  without duplicates": result.test_without_duplicates,
            "  always the largest class": judged.majority if result.test else None,
        },
    }
    for part, accuracies in shares.items():
        yield from (_share(name, accuracy) for name, accuracy in accuracies.items() if accuracy)
        for name, value in judged.measures.items() if part == judged.part else ():
            title, balanced = f"  {MEASURES[name]}", judged.balanced_accuracy
            if name == "top5" and judged.top5:
                yield _share(title, judged.top5)
            elif name == "balanced_accuracy" and balanced:
                with_images = f"{sum(score.count > 0 for score in judged.classes)} of {len(judged.classes)} classes"
                yield title, with_images, f"{value:.3f}", interval(balanced)
            else:
                yield title, "", f"{value:.3f}", ""
    yield "chance", f"1 of {classes} classes", f"{1 / classes:.3f}", ""


def _share(name: str, share: Accuracy) -> tuple[str, str, str, str]:
    return name, f"{share.correct} of {share.count}", f"{share.value:.3f}", interval(share)


def _rows_of_several(results: TrainingResults, read: str) -> Iterator[tuple[str, str, str, str]]:
    measures = [(f"  {MEASURES[name]}", spread) for name, spread in results.judged.items()]
    judged, kept_other = results.runs[0].judged.part, any(run.kept_epoch != run.epochs for run in results.runs)
    spreads = [
        ("training", results.train),
        ("validation", results.val),
        ("  without duplicates", results.val_without_duplicates),
        *(measures if judged == "val" else ()),
        ("validation, last epoch", results.last_val if kept_other else None),
        (read, results.test),
        ("  without duplicates", results.test_without_duplicates),
        *(measures if judged == "test" else ()),
    ]
    yield from (
        (name, str(spread.n), mean_and_deviation(spread), interval(spread)) for name, spread in spreads if spread
    )


def _classes(names: Sequence[str]) -> str:
    """Return how many classes there are and the first ones' names, so that a wrong folder shows."""
    shown = ", ".join(names[:2])
    return f"{counted(len(names), 'class', 'classes')} ({shown}{', ...' * (len(names) > 2)})"


def show_classes(console: "Console", judged: JudgedPart) -> None:
    """Print the results by class, of many classes the worst, and which class is most often taken for which."""
    scores = [score for score in judged.classes if score.precision is not None or score.recall is not None]
    if not scores:
        return  # a report of an earlier version
    worst = sorted(scores, key=lambda score: score.f1 or 0.0)[:MOST_CLASSES] if len(scores) > MOST_CLASSES else scores
    name, *others = CLASSES
    console.print(table_from([replace(name, title=f"{PARTS[judged.part]} by class"), *others], worst))
    if len(worst) < len(scores):
        console.print(
            f"The {len(worst)} of {len(judged.classes)} classes with the lowest F1; all: figures/classes.csv."
        )
    mistakes = [(n, sum(row.values()), truth, answer) for truth, row in judged.confusion.items()
                for answer, n in row.items() if answer != truth and n > 1]  # fmt: skip
    if mistakes:
        most = sorted(mistakes, key=lambda mistake: (-mistake[0], mistake[1]))[:MOST_MISTAKES]
        shown = ", ".join(f"{truth} as {answer} ({n} of {count})" for n, count, truth, answer in most)
        console.print(f"Most frequent mistakes: {shown}.")

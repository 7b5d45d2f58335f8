"""What a page shows of a run, from its run directory alone, and without torch."""

import base64
import csv
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a2cli.commands import COMMANDS
from a2cli.errors import DataError
from a2cli.formats import interval, mean_and_deviation, shown_size
from a2cli.manage.summaries import RunSummary
from a2cli.probe_invariance.results import InvarianceResults
from a2cli.replicate.results import Judged, ReplicationResults
from a2cli.reports.best import not_finished
from a2cli.reports.report import DataSummary, Report, read_report
from a2cli.reports.training_results import Accuracy, EpochLog, Spread, TrainingResults
from a2cli.settings.declare import declared, shown

MOST_ROWS = 200  # of a table beside a figure; its CSV has all
EPOCHS = ("epoch", "learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_accuracy")


@dataclass(frozen=True)
class Table:
    """Rows of cells, with their heads; `left_out` are rows that there is no room for."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int = 0


@dataclass(frozen=True)
class PageFigure:
    """A figure as a data URL, and the numbers that it was drawn from."""

    name: str
    url: str
    numbers: Table | None


@dataclass(frozen=True)
class RunContents:
    """All that a page shows of one run, in its order."""

    name: str
    anchor: str
    summary: RunSummary
    verdict: str
    measured: Table | None
    warnings: Sequence[str]
    data: Table | None
    classes: Table | None
    differing: Table | None
    settings: Table
    figures: Sequence[PageFigure]
    not_shown: Sequence[str]
    histories: Mapping[str, Table]
    replication: ReplicationResults | None
    provenance: Table
    repeat: str
    refuted: Sequence[str] = field(default_factory=list)


def contents_of(folder: Path, summary: RunSummary, number: int) -> RunContents:
    """Return what a page shows of a run; raises DataError where it is not finished, or damaged."""
    report = read_report(folder)
    if report is None or report.status != "done":
        raise not_finished("RUN", str(folder), report)
    results: Any = report.results
    return RunContents(
        name=folder.resolve().name,
        anchor=f"run-{number}",
        summary=summary,
        verdict=getattr(results, "verdict", ""),
        measured=_measured(results),
        warnings=report.warnings,
        data=_data(report.data, report) if report.data else _inputs(results),
        classes=_pairs("class", "images", report.data.classes if report.data else {}),
        differing=_pairs("setting", "value", summary.differs),
        settings=_settings(report),
        figures=list(_figures(folder, report)),
        not_shown=[name for name in report.artifacts if _is_figure(folder / name) and not _is_shown(folder / name)],
        histories={seed: _history(logs) for seed, logs in report.history.items() if logs},
        replication=results if isinstance(results, ReplicationResults) else None,
        provenance=_provenance(report, summary),
        repeat=shlex.join(["a2", report.command, "-p", str(folder / "config.yaml")]),
        refuted=results.refuted if isinstance(results, InvarianceResults) else [],
    )


def _measured(results: Any) -> Table | None:
    """Return a training's accuracies: of each part, with their intervals."""
    if not isinstance(results, TrainingResults):
        return None
    several = len(results.runs) > 1
    first = results.runs[0]
    parts: dict[str, Accuracy | Spread | None] = {
        "training": results.train if several else first.train,
        "validation": results.val if several else first.val,
        "validation, without duplicates": results.val_without_duplicates if several else first.val_without_duplicates,
        "test": results.test if several else first.test,
        "test, without duplicates": results.test_without_duplicates if several else first.test_without_duplicates,
    }
    rows = [[name, *_cells(part)] for name, part in parts.items() if part]
    if not several:
        rows.append(["always the largest class", *_cells(first.majority)])
    return Table(["images", "accuracy", "95% interval", results.repeated if several else "right"], rows)


def _cells(part: Accuracy | Spread) -> list[str]:
    if isinstance(part, Spread):
        return [mean_and_deviation(part), interval(part), f"{part.n}"]
    return [f"{part.value:.3f}", interval(part), f"{part.correct} of {part.count}"]


def _data(data: DataSummary, report: Report) -> Table:
    rows = [
        ["source", data.source],
        ["images to train on, to validate, to test", f"{data.train:,}, {data.val:,}, {data.test:,}"],
        ["classes", f"{len(data.classes):,}"],
        ["times that the test images were read", f"{report.test_reads}"],
        ["groups of identical images", f"{len(data.identical):,}"],
        ["pairs of nearly identical images", f"{data.near_duplicate_pairs:,}"],
        ["damaged, left out", ", ".join(data.skipped)],
        ["passed over", ", ".join(f"{count:,} {name}" for name, count in data.passed_over.items())],
        ["not used", ", ".join(data.unused)],
        ["scaled", data.scaling],
        ["SHA-256 of pixels and labels", data.fingerprint],
    ]
    return Table(["", ""], [row for row in rows if row[1]])


def _settings(report: Report) -> Table:
    """Return every setting with its value and what it means."""
    kinds = COMMANDS[report.command].settings_types() if report.command in COMMANDS else ()
    items = {item.name: item for kind in kinds for item in declared(kind)}
    rows = [[name, shown(value, items.get(name)), items[name].help if name in items else ""]
            for name, value in report.config.items() if name != "command"]  # fmt: skip
    return Table(["setting", "value", "what it is"], rows)


def _pairs(left: str, right: str, values: Mapping[str, object]) -> Table | None:
    return Table([left, right], [[name, str(value)] for name, value in values.items()]) if values else None


def _inputs(results: Any) -> Table | None:
    """Return the data and weights that a replication took."""
    if not isinstance(results, ReplicationResults):
        return None
    rows = [[one.name, one.source, "" if one.images is None else f"{one.images:,}", str(one.classes or ""),
             one.fingerprint] for one in results.inputs]  # fmt: skip
    return Table(["input", "source", "images", "classes", "SHA-256 of pixels and labels"], rows)


def _is_figure(path: Path) -> bool:
    return path.parent.name == "figures" and path.suffix not in (".csv", ".npz")


def _is_shown(path: Path) -> bool:
    return path.suffix == ".png" and path.is_file()


def _figures(folder: Path, report: Report) -> Iterator[PageFigure]:
    for path in sorted((folder / name for name in report.artifacts), key=lambda path: (path.stem != "curves", path)):
        if _is_figure(path) and _is_shown(path):
            url = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
            yield PageFigure(path.stem, url, _numbers(path.with_suffix(".csv")))


def _numbers(path: Path) -> Table | None:
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            heads, *rows = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: damaged ({error})") from None
    return Table(heads, rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)) if heads else None


def _history(logs: Sequence[EpochLog]) -> Table:
    names = [name for name in EPOCHS if getattr(logs[-1], name) is not None]
    rows = [[f"{value:.6g}" if (value := getattr(log, name)) is not None else "" for name in names] for log in logs]
    return Table([name.replace("_", " ") for name in names], rows)


def estimates_of(one: Judged) -> Table:
    """Return the comparisons that a verdict rests on."""
    rows = [[each.what, f"{each.seeds}", f"{each.mean:.4g}", f"{each.deviation:.3g}",
             f"{each.low:.4g} to {each.high:.4g}", each.verdict] for each in one.estimates]  # fmt: skip
    return Table(["comparison", "seeds", "mean", "standard deviation", "interval", "verdict"], rows)


def _provenance(report: Report, summary: RunSummary) -> Table:
    rows = [
        ["command", f"a2 {report.command}"],
        ["created", report.created],
        ["time taken", f"{report.seconds['all']:.0f} s" if "all" in report.seconds else ""],
        ["size of the run directory", shown_size(summary.bytes)],
        *([name, str(value)] for name, value in report.environment.items()),
        ["SHA-256 of the report", report.sha256],
    ]
    if isinstance(report.results, TrainingResults):
        rows += [[f"SHA-256 of the weights, seed {run.seed}", run.weights_sha256] for run in report.results.runs]
    return Table(["", ""], [row for row in rows if row[1]])

"""What a page shows of a run, from its run directory alone, and without torch."""

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from a2cli.commands import COMMANDS
from a2cli.errors import DataError
from a2cli.formats import shown_size
from a2cli.html_report.assets import pictures
from a2cli.html_report.charts import Chart, charts_of
from a2cli.html_report.printed import Printed, kept_of, printed
from a2cli.html_report.table import Table
from a2cli.manage.summaries import RunSummary, summary_from
from a2cli.predict.console import show_predictions
from a2cli.probe_invariance.results import InvarianceResults
from a2cli.replicate.results import Judged, ReplicationResults
from a2cli.reports.predictions import Predictions
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.training_results import EpochLog, TrainingResults
from a2cli.settings.declare import declared, shown
from a2cli.text import printable

MOST_ROWS = 200  # of a table beside a figure; its CSV has all
SAMPLES, IN_CHARTS = "samples", {"curves", "learning-rate"}
MOST_CSV = 60_000  # characters of CSV to copy
EPOCHS = ("epoch", "learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_accuracy")


@dataclass(frozen=True)
class PageFigure:
    """A figure as a data URL, what is said of it, and the numbers that it was drawn from: as charts, a table, CSV."""

    name: str
    url: str
    remark: str
    charts: Sequence[Chart]
    numbers: Table | None
    csv: Markup = Markup()


@dataclass(frozen=True)
class RunContents:
    """All that a page shows of one run, in its order."""

    name: str
    anchor: str
    summary: RunSummary
    verdict: str
    printed: Sequence[Printed]
    warnings: Sequence[str]
    data: Table | None
    classes: Table | None
    samples: PageFigure | None
    differing: Table | None
    settings: Table | None
    figures: Mapping[str, Sequence[PageFigure]]  # by the folder in the run directory, "" for its own
    not_shown: Sequence[str]
    histories: Mapping[str, Table]
    replication: ReplicationResults | None
    provenance: Table
    repeat: str
    refuted: Sequence[str] = field(default_factory=list)


def contents_of(report: Report, folder: Path, summary: RunSummary, number: int) -> RunContents:
    """Return what a page shows of a finished run, or of a features file; raises DataError where files are damaged."""
    results: Any = report.results
    verdict = getattr(results, "verdict", "")
    repeated = results.repeated if isinstance(results, TrainingResults) else "seeds"
    figures, not_shown = _figures(folder, report, repeated.removesuffix("s"))
    samples = next((one for several in figures.values() for one in several if one.name == SAMPLES), None)
    figures = {name: [one for one in several if one is not samples] for name, several in figures.items()}
    return RunContents(
        name=folder.resolve().name,
        anchor=f"run-{number}",
        summary=summary,
        verdict=verdict,
        printed=[] if report.command == "replicate" else printed(report, folder, verdict),
        warnings=report.warnings,
        data=_data(report.data, report) if report.data else _inputs(results),
        classes=_pairs("class", "images", report.data.classes if report.data else {}),
        differing=_pairs("setting", "value", summary.differs),
        settings=_settings(report) if report.config else None,
        samples=samples,
        figures=figures,
        not_shown=not_shown,
        histories={
            f"{repeated.removesuffix('s')} {key}": _history(logs) for key, logs in report.history.items() if logs
        },
        replication=results if isinstance(results, ReplicationResults) else None,
        provenance=_provenance(report, summary),
        repeat=shlex.join(["a2", report.command, "-p", str(folder / "config.yaml")]) if folder.is_dir() else "",
        refuted=results.refuted if isinstance(results, InvarianceResults) else [],
    )


def contents_of_predictions(results: Predictions, sheet: bytes | None) -> RunContents:
    """Return what a page shows of the answers to images, with their contact sheet (PNG), if there is one."""
    figures: dict[str, list[PageFigure]] = {}
    if sheet and (picture := pictures([sheet])[0]):
        figures[""] = [PageFigure("answers", picture.url, "", [], None)]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report("predict", {}, {}, "done", now)
    return RunContents(
        name="Answers",
        anchor="answers",
        summary=summary_from(report, Path(results.run), datetime.now(UTC)),
        verdict="",
        printed=kept_of(lambda: show_predictions(results)),
        warnings=[f"{one.image}: {one.reason}" for one in results.broken],
        data=None,
        classes=None,
        samples=None,
        differing=None,
        settings=None,
        figures=figures,
        not_shown=[],
        histories={},
        replication=None,
        provenance=Table(["", ""], [["networks", ", ".join(results.networks)], ["created", now]]),
        repeat="",
    )


def _data(data: DataSummary, report: Report) -> Table:
    rows = [
        ["source", data.source],
        ["images to train on, to validate, to test" if data.val or data.test else "images",
         f"{data.train:,}, {data.val:,}, {data.test:,}" if data.val or data.test else f"{data.train:,}"],
        ["classes", f"{len(data.classes):,}"],
        ["times that the test images were read", f"{report.test_reads}"],
        ["groups of identical images", f"{len(data.identical):,}"],
        ["pairs of nearly identical images", f"{data.near_duplicate_pairs:,}"],
        ["damaged, left out", ", ".join(data.skipped)],
        ["passed over", ", ".join(f"{count:,} {name}" for name, count in data.passed_over.items())],
        ["not used", ", ".join(data.unused)],
        ["scaled", data.scaling],
        ["SHA-256 of pixels and labels", data.fingerprint],
    ]  # fmt: skip
    return Table(["", ""], [row for row in rows if row[1]])


def _settings(report: Report) -> Table:
    """Return every setting with its value, where that came from, if it is known, and what the setting is."""
    kinds = COMMANDS[report.command].settings_types() if report.command in COMMANDS else ()
    items = {item.name: item for kind in kinds for item in declared(kind)}
    known = report.config_from
    rows = [
        [name, shown(value, items.get(name)), *([] if known is None else [known.get(name, "default")]),
         items[name].help if name in items else ""]
        for name, value in report.config.items() if name != "command"
    ]  # fmt: skip
    return Table(["setting", "value", *([] if known is None else ["from"]), "what it is"], rows)


def _pairs(left: str, right: str, values: Mapping[str, object]) -> Table | None:
    return Table([left, right], [[name, str(value)] for name, value in values.items()]) if values else None


def _inputs(results: Any) -> Table | None:
    """Return the data and weights that a replication took."""
    if not isinstance(results, ReplicationResults) or not results.inputs:
        return None
    rows = [[one.name, one.source, "" if one.images is None else f"{one.images:,}", str(one.classes or ""),
             one.fingerprint] for one in results.inputs]  # fmt: skip
    return Table(["input", "source", "images", "classes", "SHA-256 of pixels and labels"], rows)


def _figures(folder: Path, report: Report, repeated: str) -> tuple[dict[str, list[PageFigure]], list[str]]:
    """Return the figures by their folder in the run directory, and which cannot be shown, and why."""
    names = [Path(name) for name in report.artifacts if "figures" in Path(name).parts]
    names = [name for name in names if name.suffix not in (".csv", ".npz")]
    names.sort(key=lambda name: (len(name.parts), name.parent, name.stem != "curves", name))
    # Each seed has the same samples, and its curves are lines of the charts for all seeds.
    own = {name.stem for name in names if len(name.parts) == 2}
    samples = [name for name in names if name.stem == SAMPLES]
    names = [name for name in names if name not in samples[1:]]
    names = [name for name in names if len(name.parts) == 2 or name.stem not in own & IN_CHARTS]
    here = [name for name in names if name.suffix == ".png" and (folder / name).is_file()]
    shown = dict(zip(here, pictures([folder / name for name in here]), strict=True))
    figures: dict[str, list[PageFigure]] = {}
    not_shown = []
    for name in names:
        if (picture := shown.get(name)) is None:
            path = folder / name
            why = "gone" if not path.is_file() else "damaged" if name in shown else "no PNG file"
            not_shown.append(f"{name} ({why})")
            continue
        of = name.parent.parent
        heads, rows = _csv((folder / name).with_suffix(".csv"))
        cells = [] if of != Path() else [dict(zip(heads, row, strict=False)) for row in rows]
        charts = charts_of(name.stem, cells, repeated)
        remark = "" if picture.exact else f"shown with small losses; exact in {name}"
        text = _csv_text(heads, rows)
        figures.setdefault("" if of == Path() else of.as_posix(), []).append(
            PageFigure(
                name.stem, picture.url, remark, charts, _first_rows(heads, rows),
                text if len(text) <= MOST_CSV else Markup(),
            )
        )  # fmt: skip
    return figures, not_shown


def _csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of a CSV file, none where there is no file; raises DataError for a damaged one."""
    if not path.is_file():
        return [], []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            heads, *rows = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: damaged ({error})") from None
    return heads, rows


def _first_rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table | None:
    return Table(heads, rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)) if heads else None


def _csv_text(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table as CSV, as text on the page: what would steer a line is an escape, but for the lines' ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([printable(cell) for cell in row] for row in (heads, *rows))
    return escape(text.getvalue())


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
        ["size on disk", shown_size(summary.bytes)],
        *([name, str(value)] for name, value in report.environment.items()),
        ["SHA-256 of the report", report.sha256],
    ]
    if isinstance(report.results, TrainingResults):
        rows += [[f"SHA-256 of the weights, seed {run.seed}", run.weights_sha256] for run in report.results.runs]
    return Table(["", ""], [row for row in rows if row[1]])

"""What a page shows of a run, from its run directory alone, and without torch."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import escape

from a2cli.commands import COMMANDS
from a2cli.formats import shown_size
from a2cli.html_report.page_data import DataPart, data_of, weights_of
from a2cli.html_report.page_figures import PageFigure, figures_of, title_of
from a2cli.html_report.pictures import SAMPLES, pictures
from a2cli.html_report.printed import Printed, kept_of, printed
from a2cli.html_report.table import Table, pairs
from a2cli.manage.summaries import ELSEWHERE, RunSummary, off_default, summary_from
from a2cli.predict.console import show_predictions
from a2cli.probe_invariance.results import InvarianceResults
from a2cli.replicate.results import Judged, ReplicationResults
from a2cli.reports.best import OF_TRIALS, RESUMABLE, done_trials
from a2cli.reports.predictions import Predictions
from a2cli.reports.report import Report
from a2cli.reports.training_results import EpochLog, TrainingResults
from a2cli.settings.declare import declared, shown

EPOCHS = ("epoch", "learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_accuracy")


@dataclass(frozen=True)
class RunContents:
    """All that a page shows of one run, in its order."""

    name: str
    anchor: str
    summary: RunSummary
    printed: Sequence[Printed]
    warnings: Sequence[str]
    figures: Mapping[str, Sequence[PageFigure]]  # by the folder in the run directory, "" for its own
    provenance: Table
    verdict: str = ""
    refuted: Sequence[str] = ()
    replication: ReplicationResults | None = None
    data: Sequence[DataPart] = ()
    weights: Table | None = None
    samples: PageFigure | None = None
    settings: Table | None = None
    differing: Table | None = None
    not_shown: Sequence[str] = ()
    histories: Mapping[str, Table] = field(default_factory=dict)
    repeat: str = ""
    checked: bool = False
    figures_checked: bool = False
    check: tuple[str, str] | None = None  # the command that checks more, and what it does


def contents_of(report: Report, folder: Path, summary: RunSummary, name: str, number: int) -> RunContents:
    """Return what a page shows of a finished run, or of a features file; raises DataError where files are damaged.

    `name` is its section's heading.
    """
    results: Any = report.results
    verdict = getattr(results, "verdict", "")
    repeated = results.repeated.removesuffix("s") if isinstance(results, TrainingResults) else "seed"
    figures, not_shown = figures_of(folder, report, repeated)
    samples = next((one for several in figures.values() for one in several if one.name == SAMPLES), None)
    return RunContents(
        name=name,
        anchor=f"run-{number}",
        summary=summary,
        verdict=verdict,
        printed=[] if report.command == "replicate" else printed(report, folder, verdict),
        warnings=report.warnings,
        data=data_of(report),
        differing=pairs("setting", "value", {**_inputs_named(report), **summary.differs}),
        settings=_settings(report) if report.config else None,
        samples=samples,
        figures={name: [one for one in several if one is not samples] for name, several in figures.items()},
        not_shown=not_shown,
        histories={f"{repeated} {key}": _history(logs) for key, logs in report.history.items() if logs},
        replication=results if isinstance(results, ReplicationResults) else None,
        provenance=_provenance(report, summary),
        weights=pairs("of", "SHA-256", weights_of(report)),
        checked=bool(report.sha256) and folder.is_dir(),
        figures_checked=bool(report.figure_sha256),
        check=_check(report, folder),
        repeat=_command(report) if report.config else "",
        refuted=results.refuted if isinstance(results, InvarianceResults) else [],
    )


def contents_of_predictions(results: Predictions, sheet: bytes | None) -> RunContents:
    """Return what a page shows of the answers to images, with their contact sheet (PNG), if there is one."""
    figures: dict[str, list[PageFigure]] = {}
    if sheet and (picture := pictures([sheet])[0]):
        figures[""] = [PageFigure("answers", title_of("answers"), "figure-1", picture.url, "", [], None)]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report("predict", {}, {}, "done", now)
    return RunContents(
        name="Answers",
        anchor="answers",
        summary=summary_from(report, Path(results.run), datetime.now(UTC)),
        printed=kept_of(lambda: show_predictions(results)),
        warnings=[f"{one.image}: {one.reason}" for one in results.broken],
        figures=figures,
        provenance=Table(["", ""], [["networks", ", ".join(results.networks)], ["created", now]]),
        weights=pairs("of", "SHA-256", dict(zip(results.networks, results.weights_sha256, strict=True))),
    )


def _command(report: Report) -> str:
    """Return the command line that repeats a run, from its settings that are not the defaults."""
    config = {name: value for name, value in report.config.items() if name != "command"}
    words = ["a2", report.command]
    for item, value in off_default(report.command, config):
        if config.get(item.instead_of) is not None:  # of two, as a share and a number, the one that acts
            continue
        flag = [] if item.positional else [item.flag]
        if isinstance(value, bool):
            words.append(item.flag if value else f"--no-{item.flag[2:]}")
        elif item.repeatable or (item.positional and item.takes_several):
            words += [word for one in value for word in (*flag, str(one))]
        elif value is not None:
            words += [*flag, shown(value, item)]
    return shlex.join([*words, *(["--final"] if report.is_tested else [])])


def _check(report: Report, folder: Path) -> tuple[str, str] | None:
    """Return the command that checks a run by what lies in its folder, and how; None where that is gone."""
    if report.command in OF_TRIALS:
        there = all((folder / run / "report.json").is_file() for run in done_trials(report.results))
        does = "derives its tables from its trials' reports again"
    elif isinstance(report.results, TrainingResults):
        there = all((folder / run.folder / "model").is_dir() for run in report.results.runs)
        does = "measures its networks again"
    else:
        judged = [one for claim in getattr(report.results, "claims", ()) for one in claim.judged]
        there = report.command in RESUMABLE and all((folder / run).exists() for one in judged for run in one.folders)
        does = "judges its claims by its runs' reports again"
    return (f"a2 {report.command} --resume {shlex.quote(str(folder))}", does) if there else None


def _inputs_named(report: Report) -> dict[str, str]:
    """Return the data, features and runs that were named, which the column of the data tells in a list of runs."""
    config = {name: value for name, value in report.config.items() if name != "command"}
    return {item.name: shown(value, item) for item, value in off_default(report.command, config)
            if item.name in ELSEWHERE}  # fmt: skip


def _settings(report: Report) -> Table:
    """Return every setting with its value, where that came from, if it is known, and what the setting is."""
    kinds = COMMANDS[report.command].settings_types() if report.command in COMMANDS else ()
    items = {item.name: item for kind in kinds for item in declared(kind)}
    known = report.config_from
    rows = [
        [name, shown(value, items.get(name)), *([] if known is None else [known.get(name, "default")]),
         escape(items[name].help) if name in items else ""]  # as the page leaves it: [0, 1] is no interval of a result
        for name, value in report.config.items() if name != "command"
    ]  # fmt: skip
    return Table(["setting", "value", *([] if known is None else ["from"]), "what it is"], rows)


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
        ["SHA-256 of what the report says", report.sha256],
    ]
    return Table(["", ""], [row for row in rows if row[1]])

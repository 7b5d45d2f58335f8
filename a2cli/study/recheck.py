"""A study's report held to what its trials say."""

import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from a2cli.progress import ProgressReporter
from a2cli.reports.ablation_results import AblationResults
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.study_results import ComparisonResults
from a2cli.reports.training_results import Spread
from a2cli.runs.directory import Run
from a2cli.settings.declare import completed, flat
from a2cli.statistics.intervals import without_rounding
from a2cli.storage import hashed, read_json
from a2cli.strict_json import plain
from a2cli.train.differences import Difference, Row, as_stored, compare, has_rounding, numbers, refuse
from a2cli.train.recheck_files import older_than
from a2cli.versions import VERSION_KEY, newest

WORDS = {"folder", "config", "reason"}  # which other versions put otherwise
TIMES = {"seconds", "seconds_to_target"}
COUNTS = ("classes", "train", "val", "test", "fingerprint")
# Earlier versions' ablations said: 1 of 3 runs diverged.
ENDED_BADLY = r" (?:In tuning )?\d+ (?:of \d+ )?runs? (?:diverged|failed)(?: \(|\.)"
DIVERGED = r", of which \d+ diverged and counts? as the largest class"  # which earlier versions did not say
DECISIONS = r"better|equivalent|undecided|help|hurt|no difference"


def trials_stated(run: Run) -> set[str]:
    """Return the folders of the trials that a finished study's report has as done.

    Raises DataError for a report that was edited.
    """
    report = run.read_report()
    if report is None or report.status != "done":
        return set()
    trials = _trials(as_stored(run.folder / "report.json"))
    return {Path(name).name for name, trial in trials.items() if trial["status"] == "done"}


def check_results(
    run: Run,
    settings: Any,
    results: ComparisonResults | AblationResults,
    data: DataSummary,
    reporter: ProgressReporter,
    *,
    ran: bool,
) -> Report | None:
    """Raise DataError where a study is finished and its report says otherwise than its trials and data do.

    `results` are what the trials say. Where some `ran` since, as they were gone, these found the same again but for
    times; where one had failed before, only the others are compared. Of other settings the report is not held to them.
    Says so where none ran and they agree, and returns the report where it and its files can stay as they are.
    """
    report = run.read_report()
    if report is None or report.status != "done" or not isinstance(report.results, type(results)):
        return None
    config, file = plain(flat(settings)), run.folder / "report.json"
    before = plain(completed(type(settings), report.config))
    if other := [name for name, value in config.items() if before.get(name) != value]:
        if not ran:
            reporter.warn(
                f"{file}: {other[0]} was {before.get(other[0])}, is {config[other[0]]}: written anew, not compared"
            )
        return None
    stored, by = as_stored(file), f"the reports in {run.folder}/trials"
    derived = plain(asdict(results))
    if not has_rounding(file):
        derived = _without_rounding(derived)
    rows: list[Row] = [("results", _by_seed(stored["results"]), derived, by)]
    if ran:
        then, now = _trials(stored["results"]), _trials(derived)
        if any(one["status"] == "failed" != now.get(name, one)["status"] for name, one in then.items()):
            rows = [(f"results, {name}", one, now[name], by) for name, one in then.items()
                    if one["status"] == "done" and name in now]  # fmt: skip
    summary = plain(asdict(data))
    rows += [(f"data.{name}", stored["data"][name], summary[name], "the data") for name in COUNTS]
    reads = ("test_reads", "test_curve_reads")
    rows += [(name, getattr(report, name), 0, "a study, which reads no test images") for name in reads]
    is_newest = read_json(file).get(VERSION_KEY) == newest("report")
    found = [one for one in compare(file, rows) if not (ran and one.field.rpartition(".")[2] in TIMES)]
    if not ran and not is_newest:
        found = [*older_than(file, sorted(run.folder.glob("trials/*/report.json"))), *found]
    refuse([item for one in found for item in _but_for_wording(one, results, is_newest)])
    if ran:
        return None
    reporter.warn("this run was finished before, and agrees with its trials, which were not measured again")
    if changed := _changed_files(run, report):
        reporter.warn(f"{run.folder / changed[0]}: gone, or not as the run wrote it; all are written again")
    can_stay = is_newest and not found and not changed and _is_complete(report)
    return report if can_stay else None


def _is_complete(report: Report) -> bool:
    """Return whether every figure was drawn, and every table of numbers has its SHA-256."""
    undrawn = any("could not be drawn" in warning for warning in report.warnings)
    return not undrawn and all(name in report.figure_sha256 for name in report.artifacts if name.endswith(".csv"))


def _changed_files(run: Run, report: Report) -> list[str]:
    """Return the files of a report that are gone, or of which it has another SHA-256."""
    stated = report.figure_sha256
    return [name for name in report.artifacts if not (run.folder / name).is_file()
            or (name in stated and hashed(run.folder / name).hexdigest() != stated[name])]  # fmt: skip


def _but_for_wording(
    difference: Difference, results: ComparisonResults | AblationResults, is_newest: bool
) -> Iterator[Difference]:
    """Yield a difference, but not one of words that other versions put otherwise; a pair's verdict is one word in all.

    Of a verdict in sentences, and of why a run is the best, numbers and decisions are held, where the report is of the
    newest version.
    """
    field, stated, derived = difference.field, str(difference.stated), str(difference.derived)
    name = field.rpartition(".")[2]
    if name == "verdict" and " " in stated and " " in derived:
        if is_newest and _decisions(stated, results) != _decisions(derived, results):
            yield difference
    elif field == "results.best.reason":
        if is_newest and numbers(re.sub(DIVERGED, "", stated)) != numbers(re.sub(DIVERGED, "", derived)):
            yield difference
    elif name not in WORDS:
        yield difference
    elif field == "results.best.folder":
        # A trial is called otherwise once a setting is added, so only another one's folder is wrong.
        is_other = (difference.file.parent / stated).exists()
        if is_other or Path(stated).parent != Path(derived).parent:
            yield difference


def _decisions(verdict: str, results: ComparisonResults | AblationResults) -> list[str]:
    """Return what a verdict decides of whom, in its order, then its numbers, up to where runs ended badly.

    Those are held one by one, and why they did is in words, as of how much memory there was.
    """
    verdict = re.split(ENDED_BADLY, verdict)[0]
    parts = results.ingredients if isinstance(results, AblationResults) else results.tables[0].contenders
    names = sorted((re.escape(part.name) for part in parts if part.name), key=len, reverse=True)
    return [*re.findall("|".join([*names, DECISIONS]), verdict, re.IGNORECASE), *numbers(verdict)]


def _trials(values: Any) -> dict[str, Any]:
    """Return all outcomes of trials in values of a report, by their folders."""
    if isinstance(values, dict) and values.keys() >= {"folder", "status"}:
        return {values["folder"]: values}
    inside = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    return {name: one for value in inside for name, one in _trials(value).items()}


def _without_rounding(values: Any) -> Any:
    """Return values of a report with each interval over seeds as versions before 5 have it."""
    if isinstance(values, list):
        return [_without_rounding(value) for value in values]
    if not isinstance(values, dict):
        return values
    if values.keys() == {item.name for item in fields(Spread)}:
        return asdict(without_rounding(Spread(**values)))
    return {key: _without_rounding(value) for key, value in values.items()}


def _by_seed(values: Any) -> Any:
    """Return values of a report with all runs in the order of their seeds; earlier versions had them as they ended."""
    if isinstance(values, dict):
        return {key: _by_seed(value) for key, value in values.items()}
    if not isinstance(values, list):
        return values
    has_seeds = all(isinstance(value, dict) and isinstance(value.get("seed"), int) for value in values)
    return [_by_seed(value) for value in (sorted(values, key=lambda run: run["seed"]) if has_seeds else values)]

"""What several seeds or folds of one training say together, derived from their own reports alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from a2cli.reports.report import Report
from a2cli.reports.training_results import Accuracy, EpochLog, Spread, TrainingResult, TrainingResults
from a2cli.reports.transfer_results import TransferResults
from a2cli.settings.kinds import AnyTraining
from a2cli.statistics.intervals import spread_of_shares
from a2cli.training.verdict import training_verdict
from a2cli.transfer.summary import combined


@dataclass(frozen=True)
class OverRuns:
    """The part of a report that follows from those of its seeds or folds; `history` by the name of each's folder."""

    results: TrainingResults
    history: dict[str, list[EpochLog]]
    transfer: TransferResults | None


def over_runs(settings: AnyTraining, reports: Mapping[str, Report]) -> OverRuns:
    """Return what at least two finished runs of a training say together; `reports` by their folders, as seeds/3."""
    runs = [replace(report.results.runs[0], folder=folder) for folder, report in reports.items()
            if isinstance(report.results, TrainingResults)]  # fmt: skip
    train, val = spread_of_shares([r.train.value for r in runs]), spread_of_shares([r.val.value for r in runs])
    last_val = spread_of_shares([r.last_val_accuracy for r in runs])
    test = _spread_of_all([r.test for r in runs])
    val_without = _spread_of_all([r.val_without_duplicates for r in runs])
    test_without = _spread_of_all([r.test_without_duplicates for r in runs])
    history = {Path(folder).name: logs for folder, report in reports.items()
               for logs in report.history.values()}  # fmt: skip
    verdict = training_verdict(
        runs, list(history.values()), settings.training.monitor, val, train, test, settings,
        data=next(iter(reports.values())).data,
    )  # fmt: skip
    judged = _spread_of_measures(runs)
    results = TrainingResults(runs, train, val, last_val, test, verdict, val_without, test_without, judged)
    return OverRuns(results, history, combined([report.transfer for report in reports.values() if report.transfer]))


def _spread_of_all(found: Sequence[Accuracy | None]) -> Spread | None:
    """Return the spread of what every run has; None where one lacks it."""
    values = [accuracy.value for accuracy in found if accuracy]
    return spread_of_shares(values) if len(values) == len(found) else None


def _spread_of_measures(runs: Sequence[TrainingResult]) -> dict[str, Spread]:
    """Return the spread of what was measured by class; nothing where not all runs were judged on the same part."""
    if len({run.judged.part for run in runs}) > 1:
        return {}
    measures = [run.judged.measures for run in runs]
    shared = [name for name in measures[0] if all(name in one for one in measures)]
    return {name: spread_of_shares([one[name] for one in measures]) for name in shared}

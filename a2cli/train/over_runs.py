"""What several seeds or folds of one training say together, derived from their own reports alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from a2cli.reports.report import Report
from a2cli.reports.training_results import EpochLog, TrainingResults
from a2cli.reports.transfer_results import TransferResults
from a2cli.settings.kinds import AnyTraining
from a2cli.statistics.intervals import spread_of_accuracies, spread_of_shares, step_of
from a2cli.training.verdict import training_verdict
from a2cli.transfer.summary import combined


@dataclass(frozen=True)
class OverRuns:
    """The part of a report that follows from those of its seeds or folds; `history` by the name of each's folder."""

    results: TrainingResults
    history: dict[str, list[EpochLog]]
    transfer: TransferResults | None


def over_runs(settings: AnyTraining, reports: Mapping[str, Report], *, rounding: bool = True) -> OverRuns:
    """Return what at least two finished runs of a training say together; `reports` by their folders, as seeds/3.

    Without `rounding`, intervals leave out its variance, as reports before schema version 5 do.
    """
    runs = [replace(report.results.runs[0], folder=folder) for folder, report in reports.items()
            if isinstance(report.results, TrainingResults)]  # fmt: skip
    parts = ("train", "val", "test", "val_without_duplicates", "test_without_duplicates")
    accuracies = {part: [getattr(run, part) for run in runs] for part in parts}
    # Over all runs or none: a mean over those that have it would be of fewer seeds than are listed.
    spreads = {part: spread_of_accuracies(values, rounding) if all(values) else None
               for part, values in accuracies.items()}  # fmt: skip
    history = {Path(folder).name: logs for folder, report in reports.items()
               for logs in report.history.values()}  # fmt: skip
    first, epochs = next(iter(reports.values())), list(history.values())
    val, train, test = (spreads[part] for part in ("val", "train", "test"))
    verdict = training_verdict(runs, epochs, settings, val, train, test, first.data)
    measures = [run.judged.measures for run in runs]
    alike = len({run.judged.part for run in runs}) == 1  # measures of val and of test images are not put together
    shared = [name for name in measures[0] if alike and all(name in of_run for of_run in measures)]
    step = step_of([run.judged.majority for run in runs], rounding)
    results = TrainingResults(
        runs=runs,
        **spreads,
        last_val=spread_of_shares(
            [run.last_val_accuracy for run in runs], step_of([run.val for run in runs], rounding)
        ),
        verdict=verdict,
        judged={name: spread_of_shares([of_run[name] for of_run in measures], step) for name in shared},
    )
    transfer = combined([report.transfer for report in reports.values() if report.transfer], rounding)
    return OverRuns(results, history, transfer)

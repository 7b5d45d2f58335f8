"""A study in one run directory: all its trials are checked, those that are missing are run, and all are judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from a2cli.errors import naming
from a2cli.progress import ProgressReporter
from a2cli.reports.report import DataSummary, Report, new_report
from a2cli.runs.directory import Run
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining
from a2cli.study.ledger import Ledger, data_of
from a2cli.study.recheck import check_results, trials_stated
from a2cli.train.run import TrainingTask, task_for
from a2cli.train.workers import Workers
from a2cli.training.draw import draw_samples
from a2cli.training.images import summary_of
from a2cli.training.trial import ended_early


class Study(Protocol):
    """What differs between studies: which trials are wanted, and what they say once they ended.

    `first` is the trial whose data the report sums up; `folders` is what trials' folders are called.
    """

    command: str
    folders: str
    first: AnyTraining

    def __init__(self, settings: Any, ledger: Ledger, device: str) -> None: ...

    def to_check(self) -> Mapping[str, AnyTraining]:
        """Return the trials that are checked before any begins, by what errors call them."""

    def results(self, data: DataSummary) -> Any:
        """Run all trials that have not ended yet, in as many rounds as it takes, and return what they found."""

    def draw(self, run: Run, results: Any) -> None:
        """Write the tables beside the report, and the figures."""


def run_study(
    kind: type[Study],
    settings: Any,
    run: Run,
    workers: Workers,
    reporter: ProgressReporter,
    warnings: Sequence[str] = (),
) -> Report:
    """Run in a folder, new or left early, the trials that it lacks, and return the report written there.

    Raises SettingsError and DataError for what no trial could do; a trial's own failure is in the results.
    """
    with run.locked(reporter):
        stated = trials_stated(run)
        device = set_up(settings.training.device, 1)
        ledger = Ledger(run.folder / "trials", workers, reporter, kind.folders, stated)
        study = kind(settings, ledger, str(device))
        task = task_for(study.first, warnings, reporter)
        reporter.warn_all(task.warnings[len(warnings) :])
        ledger.made_from[data_of(study.first)] = task.packed.fingerprint, task.weights_sha256
        _check(study, task, ledger, reporter)
        data = summary_of(task.packed, task.check(study.first), task.source)
        run.write_config(study.command, flat(settings))
        begun = new_report(
            study.command, flat(settings), environment(torch.device(device)), status="running", data=data
        )
        try:
            with ended_early(run, begun):
                results = study.results(data)
        finally:
            workers.close()
        if whole := check_results(run, settings, results, data, reporter, ran=ledger.ran):
            return whole
        report = new_report(
            study.command,
            flat(settings),
            environment(torch.device(device)),
            data=data,
            results=results,
            warnings=list(task.warnings),
        )

        def draw() -> None:
            study.draw(run, results)
            if task.packed.has_pictures:
                draw_samples(run, task.packed)

        with ended_early(run, report):
            return run.finish(report, reporter, draw)


def _check(study: Study, task: TrainingTask, ledger: Ledger, reporter: ProgressReporter) -> None:
    """Raise SettingsError or DataError for what would stop any trial, before the first one trains."""
    trials, before = study.to_check(), study.first
    reporter.phase("checking the trials' settings on the data", "checking", brief=True)
    for name, trial in reporter.batches(trials.items(), len(trials)):
        with naming(name):
            # Loading the data again for each of thousands of trials would take longer than the checks.
            if replace(trial, training=before.training) != before:
                task, before = task_for(trial, (), reporter), trial
                ledger.made_from[data_of(trial)] = task.packed.fingerprint, task.weights_sha256
            task.check(trial)

"""Every training command: a network trained in a run directory, on one seed, several, or on folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch

from a2cli.data.listing import MOVED
from a2cli.data.packing import Packed
from a2cli.data.splits import Split, split_of
from a2cli.errors import SettingsError, naming
from a2cli.formats import counted
from a2cli.geometry import auto_threads
from a2cli.machine import cores, jobs_for
from a2cli.models.cards import ModelCard
from a2cli.progress import NullReporter, ProgressReporter, WarningCollector
from a2cli.reports.report import DataSummary, Report, new_report
from a2cli.reports.training_results import TrainingResults
from a2cli.runs.directory import Run
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining, command_of, split_into_runs
from a2cli.settings.transfer import FinetuneSettings, TrainFeaturesSettings
from a2cli.train.checks import no_test
from a2cli.train.differences import refuse
from a2cli.train.over_runs import over_runs
from a2cli.train.recheck import check_training, differences
from a2cli.train.remeasure import JudgedOn, check_again
from a2cli.train.side_by_side import train_side_by_side
from a2cli.training.draw import draw_training
from a2cli.training.images import Images, title_of
from a2cli.training.trial import ended_early
from a2cli.transfer.summary import draw_transfer
from a2cli.versions import VERSION_KEY

NOT_AGAIN = "; its results were not measured again"
GONE = " is gone, and with it how often the test images were read"


class TrainingTask(Protocol):
    """What all runs of a training begin with: its data, and how one run is trained on it."""

    @property
    def packed(self) -> Packed: ...
    @property
    def weights_sha256(self) -> str: ...  # of a backbone that is fine-tuned
    @property
    def source(self) -> str: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    def check(self, alone: Any) -> Split:
        """Return a run's split; raises SettingsError or DataError for what would stop the run."""

    def expected(self, alone: Any) -> tuple[ModelCard, DataSummary]:
        """Return the card of the network that a run saves, and what its report says of the data."""

    def train(self, alone: Any, run: Run, reporter: ProgressReporter, *, final: bool, figures: bool) -> Report:
        """Train one run in its folder, and return the report written there."""


def train_network(
    settings: AnyTraining,
    run: Run,
    reporter: ProgressReporter,
    *,
    final: bool = False,
    warnings: Sequence[str] = (),
    figures: bool = True,
    jobs: int = 1,
) -> Report:
    """Train in a run directory, new or interrupted, until it is done, and return the report written there.

    With `final`, the sealed test images are read once at the end; `warnings` go into the report. Of several seeds or
    folds, `jobs` are trained side by side, 0: as many as keep every core busy. Raises SettingsError, DataError and
    DivergedError.
    """
    with run.locked(reporter):
        check_training(run, settings, reporter)
        threads, auto = settings.training.threads, ""
        if not threads:
            threads, auto = auto_threads(settings)
        device = set_up(settings.training.device, threads, auto)
        # What was left open is settled here, so that the run's config repeats the run elsewhere and in later versions.
        training = replace(settings.training, device=str(device), threads=threads)
        settings = replace(settings, training=training)
        alone_in = split_into_runs(settings)
        warnings = list(dict.fromkeys([*warnings, *_said_to_be_gone(run.folder, alone_in)]))
        task = task_for(settings, warnings, reporter)
        for warning in task.warnings:
            reporter.warn(warning)
        began = (run.folder / "config.yaml").exists()
        if not final and any(_was_testing(run.folder / folder) for folder in alone_in):
            final = True
            reporter.warn("going on with --final, which was interrupted after the test images were read")
        has_test = False
        reporter.phase("checking the settings on the data", "checking", brief=True)
        for alone in reporter.batches(alone_in.values(), len(alone_in)):
            with naming(title_of(alone) if alone != settings else ""):
                split = task.check(alone)
            has_test = has_test or len(split.test) > 0
            if (final or settings.training.test_curve) and not len(split.test):
                raise SettingsError(no_test(final=final, began=began).format(task.source))
        if has_test and (lost := _without_report(run.folder, alone_in)):
            warnings = [*warnings, *(f"{report}{GONE}" for report in lost)]
            task = task_for(settings, warnings, reporter)
            for report in lost:
                reporter.warn(f"{report}{GONE}")
        if began:
            for name in alone_in:
                Run(run.folder / name).check_backbone(task.weights_sha256)
        else:  # all that can be wrong beforehand was checked: the run begins
            run.write_config(command_of(settings), flat(settings))
        previous = run.previous_report(settings, task.packed.fingerprint)
        measured = _measure_again(task, run.folder, alone_in, reporter)
        if previous and previous.status == "done" and not final:
            absent = [name for name in alone_in if not (run.folder / name / "report.json").exists()]
            if absent:
                reporter.warn(f"{run.folder / absent[0]}: its report is gone, so it is trained again")
            else:
                part = f" ({measured} of {len(alone_in)} networks)" if measured < len(alone_in) else ""
                found = f", and agrees with what was measured again{part}" if measured else NOT_AGAIN
                reporter.warn(f"this run was finished before{found}; nothing is left to train")
        if len(alone_in) == 1:
            return task.train(settings, run, reporter, final=final, figures=figures)
        if not jobs:
            jobs = jobs_for(len(alone_in), cores()) if device.type == "cpu" else 1
        begun = new_report(command_of(settings), flat(settings), environment(device), status="running")
        with ended_early(run, begun):
            return _several(settings, task, run, reporter, final, jobs, warnings)


def _measure_again(
    task: TrainingTask, folder: Path, alone_in: Mapping[str, AnyTraining], reporter: ProgressReporter
) -> int:
    """Hold the runs that are done to the data and to what their saved networks get on it; raises DataError.

    Returns how many networks there are, and were measured again.
    """
    packed, done = task.packed, []
    for name, alone in alone_in.items():
        report = Run(folder / name).previous_report(alone, packed.fingerprint)
        if report and report.status == "done":
            done.append((Run(folder / name), alone))
    if done:
        reporter.phase(f"measuring again what is trained ({counted(len(done), 'network')})", "evaluating")
    return sum(
        check_again(run, alone, JudgedOn(packed, split_of(packed, alone), *task.expected(alone)), reporter)
        for run, alone in done
    )


def _said_to_be_gone(folder: Path, runs: Iterable[str]) -> list[str]:
    """Return the warnings of reports on one that was gone: a report that is written anew must not lose them."""
    reports = [report for name in (".", *runs) if (report := Run(folder / name).read_report())]
    return [warning for report in reports for warning in report.warnings if warning.endswith(GONE)]


def _without_report(folder: Path, runs: Iterable[str]) -> list[Path]:
    """Return the reports that are missing where runs have trained a network."""
    reports = [folder / name / "report.json" for name in runs]
    return [path for path in reports if path.with_name("model").is_dir() and not path.exists()]


def _was_testing(folder: Path) -> bool:
    """Return whether a run was stopped with its test's result, and before it was done."""
    report = Run(folder).read_report()
    results = report.results if report and report.status != "done" else None
    return isinstance(results, TrainingResults) and any(result.test for result in results.runs)


def _tested_before(whole: Report | None, reports: Mapping[str, Report | None]) -> list[str]:
    """Return which runs have no report any more, but a test's result in the finished report on all of them."""
    if whole is None or whole.status != "done" or not isinstance(whole.results, TrainingResults):
        return []
    tested = zip(reports.items(), whole.results.runs, strict=False)
    return [name for (name, report), result in tested if report is None and result.test is not None]


def task_for(settings: AnyTraining, warnings: Sequence[str], reporter: ProgressReporter) -> TrainingTask:
    """Return what a training begins with; raises SettingsError, DataError."""
    if isinstance(settings, TrainFeaturesSettings):
        from a2cli.transfer.on_features import Features

        return Features.find(settings, warnings, reporter)
    if isinstance(settings, FinetuneSettings):
        from a2cli.transfer.finetune import Finetuning

        return Finetuning.find(settings, warnings, reporter)
    return Images.find(settings, warnings, reporter)


def _train_part(
    alone: AnyTraining,
    folder: Path,
    name: str,
    warnings: Sequence[str],
    auto: str,
    final: bool,
    moved: Mapping[str, str],
) -> tuple[str, list[str]]:
    """Train one of several seeds or folds in a process of its own; return its folder's name and what it warned of."""
    MOVED.update(moved)
    reporter = WarningCollector()
    set_up(alone.training.device, alone.training.threads, auto)
    with naming(title_of(alone)):
        task = task_for(alone, warnings, NullReporter())
        child = Run(folder).child(name)
        child.write_config(command_of(alone), flat(alone))
        task.train(alone, child, reporter, final=final, figures=True)
    return name, reporter.warnings


def _several(
    settings: AnyTraining,
    task: TrainingTask,
    run: Run,
    reporter: ProgressReporter,
    final: bool,
    jobs: int,
    warnings: Sequence[str],
) -> Report:
    """Train every seed or fold as a run of its own inside this one, then report on all; those already done are kept."""
    device = torch.device(settings.training.device)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    reports, alone_in = dict[str, Report](), split_into_runs(settings)
    previous = run.read_report()
    reads = previous.test_reads if previous and previous.status == "done" else 0
    before = {name: Run(run.folder / name).read_report() for name in alone_in}
    # What an interrupted --final has read already is not read again.
    reading = {name: final and not (earlier and earlier.is_tested and earlier.test_reads > reads)
               for name, earlier in before.items()}  # fmt: skip
    again = _tested_before(previous, before)
    for name in again if not final else ():
        whole = f"{run.folder}/report.json"
        reporter.warn(f"{title_of(alone_in[name])}: its test images are read again, as {whole} has a result on them")
    reading |= dict.fromkeys(again, True)
    left = {name: alone_in[name] for name, earlier in before.items()
            if reading[name] or not (earlier and earlier.status == "done")}  # fmt: skip
    if previous and previous.status == "done" and not left and not final:
        return previous  # as it is, since it agrees with them
    jobs = min(jobs, len(left))
    if jobs > 1:
        auto = str(environment(device).get("threads_chosen_by", "")).removeprefix("auto: ")
        calls = [(alone, run.folder, name, warnings, auto, reading[name], dict(MOVED)) for name, alone in left.items()]
        reporter.phase(f"{counted(len(left), 'run')}, {jobs} side by side", "training")
        train_side_by_side(_train_part, calls, left, run.folder, jobs, reporter)
        reading = dict.fromkeys(reading, False)
    parts = reporter.parts([title_of(alone) for alone in alone_in.values()], [float(name in left) for name in alone_in])
    for name, _ in zip(alone_in, parts if jobs == 1 else alone_in, strict=True):
        alone, child = alone_in[name], run.child(name, reporter)
        child.write_config(command_of(alone), flat(alone))
        with naming(title_of(alone)):
            earlier = child.previous_report(alone, task.packed.fingerprint)
            if earlier and earlier.status == "done" and not reading[name]:
                reports[name] = earlier  # nothing of it is prepared again
            else:
                reports[name] = task.train(alone, child, reporter, final=reading[name], figures=True)
    if previous and previous.status == "done" and not final:
        # With what was missing and was trained again: what that contradicts, but for times, is not written over.
        passed_over = ("images_per_second", VERSION_KEY)
        refuse([one for one in differences(run, settings) if not one.field.endswith(passed_over)])
    combined = over_runs(settings, reports)
    report = new_report(
        command_of(settings),
        flat(settings),
        environment(device),
        created=created,
        data=next(iter(reports.values())).data,
        results=combined.results,
        transfer=combined.transfer,
        history=combined.history,
        warnings=list(task.warnings),
        test_reads=max(report.test_reads for report in reports.values()),
        test_curve_reads=max(report.test_curve_reads for report in reports.values()),
    )

    def draw() -> None:
        draw_training(run, combined.history, combined.results.runs)
        draw_transfer(run, combined.transfer)

    return run.finish(report, reporter, draw)

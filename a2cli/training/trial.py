"""One network trained on one split, from its first step or from where it was stopped, with its results and figures."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a2cli.data.packing import Packed
from a2cli.data.splits import Split
from a2cli.errors import DataError, DivergedError
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import DataSummary, Report, new_report
from a2cli.reports.training_results import Accuracy, JudgedPart, TrainingResult, TrainingResults
from a2cli.runs.checkpoints import save_frame
from a2cli.runs.directory import Run
from a2cli.runtime import environment, repeats
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining, command_of
from a2cli.statistics.intervals import wilson
from a2cli.training.by_class import judged_part
from a2cli.training.draw import draw_near_duplicates, draw_run
from a2cli.training.loop import Evaluation, evaluate, fit
from a2cli.training.train_state import RunSpec, TrainState
from a2cli.training.verdict import training_verdict

# Between two at least. A resume replays what is missing from the streams, so this changes no result.
CHECKPOINT_SECONDS = 1.0


def run_trial(
    job: RunSpec, run: Run, reporter: ProgressReporter, *, final: bool = False, figures: bool = True, more: bool = False
) -> Report:
    """Train until done, from the newest checkpoint if the folder has one, and return the report written there.

    A run that is already done is returned as it stands, unless `final` asks for its test. With `more` to come in its
    folder, it is not done yet. Raises DataError where the folder holds a run on other data or of other settings, or
    a finished one without its last checkpoint, and DivergedError.
    """
    previous = run.previous_report(job.settings, job.summary.fingerprint)
    is_done = previous is not None and previous.status == "done"
    if previous is not None and is_done and not final:
        return previous
    with under_way(run, job.settings, job.summary, job.warnings, final=final) as report:
        state = TrainState(job, job.device)
        state.restore(run, reporter)
        if is_done and not state.finished:  # training again would test other weights than the report's
            raise DataError(
                f"{run.folder}/checkpoints: the last epoch's, which --final needs, is gone or damaged; put it back, or "
                "begin a new run with --final"
            )
        run.start_metrics(state.history)
        reporter.start(job.title, job.training.epochs, len(state.history))
        if not state.finished:
            _train(state, run, reporter)
            run.start_metrics(state.history)  # lines are appended without waiting for the disk
        reporter.phase("evaluating", "evaluating")
        state.model.load_state_dict(state.best_weights if job.training.restore_best else state.evaluated.state_dict())
        weights, card = run.save_model(job.card, state.whole)
        reporter.step("validation images")
        val = evaluate(state.model, job.val, job.training, job.device, reporter)
        if final:
            reporter.step("test images")
            run.write_report(report)
        test = evaluate(state.model, job.test, job.training, job.device, reporter) if final else None
        reporter.step("training images")
        train = evaluate(state.model, job.train.data, job.training, job.device, reporter)
        result = replace(_result(state, train, val, test), weights_sha256=weights, card_sha256=card)
        history = {str(job.training.seed): state.history}
        verdict = training_verdict([result], [state.history], job.settings)
        report = replace(
            report,
            status="running" if more else "done",
            results=TrainingResults([result], None, None, None, None, verdict),
            history=history,
            warnings=[*report.warnings, *repeats()],
            test_curve_reads=sum(log.test_accuracy is not None for log in state.history),
        )

        def draw() -> None:
            draw_run(run, job.packed, history, result)
            draw_near_duplicates(run, job.summary.near_duplicates, job.packed)

        return run.finish(report, reporter, draw if figures else None)


@contextmanager
def under_way(
    run: Run, settings: AnyTraining, summary: DataSummary, warnings: Sequence[str], *, final: bool
) -> Iterator[Report]:
    """Write the report of a run that is under way, and into it how it ended, if it did not end well.

    A finished run's stays as it is until something is read that it has not, as that may fail. What is given is to be
    written when, with `final`, the test images are read: it counts that, once for a reading that was interrupted.
    """
    previous = run.read_report()
    reads = previous.test_reads if previous else 0
    goes_on = previous is not None and previous.status != "done" and reads > 0
    report = new_report(
        command_of(settings),
        flat(settings),
        environment(torch.device(settings.training.device), previous.environment if previous else None),
        status="running",
        **({"created": previous.created} if previous else {}),
        data=summary,
        warnings=list(warnings),
        test_reads=reads + (final and not goes_on),
        test_curve_reads=previous.test_curve_reads if previous else 0,
    )
    if previous is None or previous.status != "done":
        run.write_report(replace(report, test_reads=reads))
    with ended_early(run, report):
        yield report


@contextmanager
def ended_early(run: Run, report: Report) -> Iterator[None]:
    """Have a run's report, or this one where it has none yet, say so if it is interrupted or diverges."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        written = run.read_report() or report
        if written.status == "running":
            run.write_report(replace(written, status="interrupted"))
        raise
    except DivergedError as error:
        before = run.read_report()
        if before is None or before.status != "done":
            run.write_report(replace(report, status="diverged", warnings=[*report.warnings, str(error)]))
        raise


def _train(state: TrainState, run: Run, reporter: ProgressReporter) -> None:
    job, streams = state.job, Streams(state.job.training.seed, state.job.epochs_before)
    saved, film = time.perf_counter(), state.first_layer
    epochs = fit(
        state.model,
        job.train,
        job.val,
        job.training,
        state.optimizer,
        state.schedule,
        streams,
        job.device,
        reporter,
        first_epoch=len(state.history),
        test=job.test if job.training.test_curve else None,
        average=state.average,
    )
    for log in epochs:
        state.record(log)
        run.append_metrics(log)
        if film and log.epoch.bit_count() == 1:  # after 1, 2, 4, 8, ... epochs, as weights move most at first
            # In half precision: a few small files are enough for a film.
            save_frame(run.folder / "film", log.epoch, {"weight": film.weight.detach().half()})
        reporter.epoch(log)
        if state.stopped_early:
            break
        if time.perf_counter() - saved > CHECKPOINT_SECONDS:
            state.save(run)
            saved = time.perf_counter()
    state.save(run)
    reporter.warn_all(repeats())


def _result(state: TrainState, train: Evaluation, val: Evaluation, test: Evaluation | None) -> TrainingResult:
    job = state.job
    val_accuracy, val_alone, judged = judged_on(job.packed, job.split, "val", val)
    majority, test_accuracy, test_alone = judged.majority, None, None
    if test:
        test_accuracy, test_alone, judged = judged_on(job.packed, job.split, "test", test)
    return TrainingResult(
        seed=job.training.seed,
        parameters=sum(p.numel() for p in state.whole.parameters()),
        epochs=len(state.history),
        kept_epoch=state.kept_epoch,
        best_epoch=state.best_epoch,
        stopped_early=state.stopped_early,
        train=wilson(train.correct, len(train.labels)),
        val=val_accuracy,
        val_loss=val.loss,
        last_train_accuracy=state.history[-1].train_accuracy,
        last_val_accuracy=state.history[-1].val_accuracy,
        majority=majority,
        test=test_accuracy,
        judged=judged,
        folder=".",
        val_without_duplicates=val_alone,
        test_without_duplicates=test_alone,
    )


def judged_on(
    packed: Packed, split: Split, part: Literal["val", "test"], evaluation: Evaluation
) -> tuple[Accuracy, Accuracy | None, JudgedPart]:
    """Return a network's accuracy on a part's images, that without those seen before, and the results by class."""
    val_repeated, test_repeated = split.repeated(packed.groups)
    rows, repeated = (split.val, val_repeated) if part == "val" else (split.test, test_repeated)
    largest = largest_class(torch.from_numpy(packed.labels[split.train]), len(packed.class_names))
    judged = judged_part(part, evaluation, largest, packed.class_names, [packed.names[row] for row in rows])
    return wilson(evaluation.correct, len(evaluation.labels)), without_duplicates(evaluation, repeated), judged


def largest_class(labels: Tensor, classes: int) -> int:
    """Return the class of the most training images, the first among equals: what the baseline always answers."""
    return int(torch.bincount(labels, minlength=classes).argmax())


def without_duplicates(evaluation: Evaluation, repeated: NDArray[np.bool_]) -> Accuracy | None:
    """Return the accuracy on the images not seen before; None where none was, or all were."""
    if not repeated.any() or repeated.all():
        return None
    right = (evaluation.answers == evaluation.labels).numpy()[~repeated]
    return wilson(int(right.sum()), len(right))

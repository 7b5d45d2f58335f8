"""The numbers of a finished training, derived again from all that its folder holds, and compared.

A report's SHA-256 shows damage and plain edits, but whoever edits can compute it anew. What is stored twice, or follows
from other numbers, has to agree all the same: counts and accuracies, the confusion matrix, the epochs in report.json,
metrics.csv and the checkpoint, the seeds or stages and what is said of all, the verdict, the weights' SHA-256. Whoever
rewrites all of it consistently is noticed by measuring the network again (`measured_again.py`), as far as that goes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import accumulate
from math import isclose
from pathlib import Path

from a2cli.progress import ProgressReporter
from a2cli.reports.report import Report
from a2cli.reports.training_results import Accuracy, EpochLog, TrainingResult, TrainingResults
from a2cli.reports.transfer_results import TransferResults
from a2cli.runs.directory import Run
from a2cli.settings.declare import completed, flat
from a2cli.settings.kinds import AnyTraining, split_into_runs
from a2cli.statistics.intervals import wilson
from a2cli.storage import read_json
from a2cli.strict_json import plain
from a2cli.train.over_runs import over_runs
from a2cli.train.rechecked_backbone import in_backbone, in_probes, in_stages_chosen
from a2cli.train.rechecked_classes import by_class
from a2cli.train.rechecked_files import (
    downgraded,
    has_digest,
    in_card,
    in_checkpoint,
    in_kept_weights,
    in_rows,
    in_weights,
    rows_gone,
)
from a2cli.train.unlike import Difference, accuracies, floats, numbers, refuse, unlike
from a2cli.training.loop import monitored
from a2cli.training.train_state import identity_of
from a2cli.training.verdict import training_verdict
from a2cli.versions import upgraded

# Kept weights are measured once more after the last epoch, by --final perhaps on another machine, which rounds
# otherwise: an image on the edge, and the loss a little, may differ.
ROUNDING_IMAGES, ROUNDING_LOSS = 0.005, 0.01
CURVE_READS = "test_curve_reads"  # the first version counted none
NO_DIGEST = (
    "{}: of an earlier a2, without a SHA-256; its numbers agree with each other and with the run's other files, "
    "which is all that can be checked"
)


def check_training(run: Run, settings: AnyTraining, reporter: ProgressReporter | None = None) -> None:
    """Raise DataError where the numbers of a training, as far as it is finished, contradict each other.

    Says so where its report is of a version that had no SHA-256, or metrics.csv is gone.
    """
    refuse(list(differences(run, settings)))
    report = run.read_report()
    if reporter and report and report.status == "done" and not has_digest(run.folder / "report.json"):
        reporter.warn(NO_DIGEST.format(run.folder / "report.json"))
    if reporter:
        for gone in rows_gone(run.folder / folder for folder in split_into_runs(settings)):
            reporter.warn(gone)


def differences(run: Run, settings: AnyTraining) -> Iterator[Difference]:
    """Yield what contradicts each other in the folder of a training, of one run or of several seeds or folds.

    Raises DataError for a report that is not as it was written.
    """
    report, alone_in = run.read_report(), split_into_runs(settings)
    is_done = report is not None and report.status == "done" and isinstance(report.results, TrainingResults)
    if len(alone_in) == 1:
        if report is not None and is_done:
            yield from _in_one(run.folder, report, settings)
        elif isinstance(report, Report):
            for stage in sorted(run.folder.glob("stages/*")):
                yield from differences(Run(stage), settings)
        return
    children = {folder: Run(run.folder / folder) for folder in alone_in}
    for folder, child in children.items():
        yield from differences(child, alone_in[folder])
    reports = {folder: found for folder, child in children.items() if (found := child.read_report())}
    finished = len(reports) == len(children) and all(found.status == "done" for found in reports.values())
    if report is not None and is_done and finished:
        yield from _over_several(run.folder, report, settings, reports)


def _over_several(
    folder: Path, report: Report, settings: AnyTraining, reports: Mapping[str, Report]
) -> Iterator[Difference]:
    """Yield what a report on several runs says otherwise than their own do."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    # After a --final that was stopped, they know more of the test than it does.
    testing = report.test_reads < max(found.test_reads for found in reports.values())
    of_all, file = over_runs(settings, reports), folder / "report.json"
    by = f"the reports in {folder / next(iter(reports)).partition('/')[0]}"
    stated, derived = upgraded("report", read_json(file), file), plain(asdict(of_all))
    if missing := [name for name in of_all.history if name not in report.history]:
        yield Difference(file, f"history.{missing[0]}", "not there", "there", by)
    for name, value in derived.items():
        for field, one, other in unlike(stated.get(name), value, name):
            if field != "results.verdict" and not (testing and "test" in field):
                yield Difference(file, field, one, other, by)
    first, curve = next(iter(reports.values())), max(found.test_curve_reads for found in reports.values())
    if report.test_curve_reads != curve and CURVE_READS in read_json(file):
        yield Difference(file, CURVE_READS, report.test_curve_reads, curve, by)
    for field, one, other in unlike(report.data, first.data, "data"):
        yield Difference(file, field, one, other, by)
    if report.test_reads < any(one.test for one in report.results.runs):
        yield Difference(file, "test_reads", report.test_reads, "1 or more", "results.runs")
    if not testing:
        yield from _in_words(file, report.results.verdict, of_all.results)


def _in_one(folder: Path, report: Report, settings: AnyTraining) -> Iterator[Difference]:
    """Yield what contradicts each other in the folder of one run."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    file, (result, *_) = folder / "report.json", report.results.runs
    history = report.history.get(str(result.seed), [])
    stages = report.transfer.stages if report.transfer else []
    told = [*_by_counts(result, report), *_by_epochs(result, history, settings, [stage.epochs for stage in stages])]
    yield from (Difference(file, *one) for one in told)
    curve = sum(log.test_accuracy is not None for log in history)
    if report.test_curve_reads != curve and CURVE_READS in read_json(file):
        yield Difference(file, CURVE_READS, report.test_curve_reads, curve, "history")
    if history and len(history) >= max(result.kept_epoch, 1):
        verdict = training_verdict([result], [history], settings.training.monitor, settings=settings)
        yield from _in_words(file, report.results.verdict, replace(report.results, verdict=verdict))
    yield from in_rows(folder / "metrics.csv", history)
    yield from in_checkpoint(folder, history, _identity(report, settings))
    yield from in_weights(folder, result)
    yield from in_card(folder, report)
    yield from in_kept_weights(folder, settings)
    yield from in_backbone(folder, report, settings)
    yield from in_probes(folder, report)
    if report.transfer:
        yield from _in_stages(folder, report.transfer, result, history, settings)
    yield from downgraded(folder)


def _by_counts(result: TrainingResult, report: Report) -> Iterator[tuple[str, object, object, str]]:
    """Yield each field that is otherwise than counts have it, what it is, what it has to be, and by what."""
    for where, found in accuracies(result, "results.runs[0]"):
        yield from _by_its_counts(where, found)
    for where, found in accuracies(report.transfer, "transfer"):
        yield from _by_its_counts(where, found)
    yield from by_class(result)
    at = "results.runs[0]"
    if report.test_reads < bool(result.test):
        yield "test_reads", report.test_reads, "1 or more", f"{at}.test"
    if result.judged.part == "test" and not result.test:
        yield f"{at}.test", "not there", "there", f"{at}.judged.part"
    if result.majority.count != result.val.count:
        yield f"{at}.majority.count", result.majority.count, result.val.count, "val.count"
    for part in ("train", "val", "test"):
        accuracy: Accuracy | None = getattr(result, part)
        if accuracy and report.data and accuracy.count != getattr(report.data, part):
            yield f"{at}.{part}.count", accuracy.count, getattr(report.data, part), f"data.{part}"
    if report.data and sum(report.data.classes.values()) < report.data.train + report.data.val + report.data.test:
        yield "data.classes", sum(report.data.classes.values()), "all images", "data.train, data.val and data.test"


def _by_its_counts(where: str, found: Accuracy) -> Iterator[tuple[str, object, object, str]]:
    by = f"{found.correct} of {found.count}"
    if not 0 <= found.correct <= found.count or not found.count:
        yield f"{where}.correct", found.correct, f"at most {found.count}", f"{where}.count"
        return
    for name, stated, derived in unlike(found, wilson(found.correct, found.count), where):
        yield name, stated, derived, by


def _by_epochs(
    result: TrainingResult, history: Sequence[EpochLog], settings: AnyTraining, stages: Sequence[int]
) -> Iterator[tuple[str, object, object, str]]:
    """Yield each field of a result that is otherwise than its epochs have it; `stages` are the epochs of each."""
    at, by, training = "results.runs[0]", "history", settings.training
    if result.epochs != len(history):
        yield f"{at}.epochs", result.epochs, len(history), by
    if not history:
        return
    judged = history if training.restore_best or not stages else history[-stages[-1] :]
    best = min(judged, key=lambda log: (monitored(log, training.monitor), log.epoch)).epoch
    kept = best if training.restore_best else len(history)
    exact: list[tuple[str, object, object]] = [
        ("best_epoch", result.best_epoch, best),
        ("kept_epoch", result.kept_epoch, kept),
        ("last_train_accuracy", result.last_train_accuracy, history[-1].train_accuracy),
        ("last_val_accuracy", result.last_val_accuracy, history[-1].val_accuracy),
    ]
    if not stages:
        patience = training.early_stopping
        stopped = bool(patience and len(history) - best >= patience)
        exact.append(("stopped_early", result.stopped_early, stopped))
    for name, stated, derived in exact:
        for where, one, other in unlike(stated, derived, f"{at}.{name}"):
            yield where, one, other, by
    log = history[kept - 1]
    images = max(1, ROUNDING_IMAGES * result.val.count) + 1e-6
    if abs(result.val.value - log.val_accuracy) * result.val.count > images:
        yield f"{at}.val.value", result.val.value, log.val_accuracy, f"history, epoch {kept}"
    if not isclose(result.val_loss, log.val_loss, rel_tol=ROUNDING_LOSS, abs_tol=ROUNDING_LOSS / 10):
        yield f"{at}.val_loss", result.val_loss, log.val_loss, f"history, epoch {kept}"


def _in_words(file: Path, stated: str, results: TrainingResults) -> Iterator[Difference]:
    """Yield a number or word of a verdict that is otherwise than the results have it.

    Other versions put it in other words, so only those in the same words have to be the same; in others each number
    has to be one of the results'.
    """
    derived, field = results.verdict, "results.verdict"
    if re.sub(r"\d", "0", stated) == re.sub(r"\d", "0", derived):
        if stated != derived:
            pairs = zip(numbers(stated), numbers(derived), strict=True)
            one, other = next((pair for pair in pairs if pair[0] != pair[1]), (stated, derived))
            yield Difference(file, field, one, other, "its results")
        return
    known = {f"{value:.3f}" for value in floats(results)} | set(numbers(derived))
    for number in re.findall(r"\d\.\d{3}", stated):
        if number not in known:
            yield Difference(file, field, number, "none of its numbers", "its results")
            return
    words = "not shown to be better than"
    if (words in stated) != (words in derived):
        yield Difference(file, field, *(("not shown", "shown") if words in stated else ("shown", "not shown")),
                         "its results: better than always answering the largest class")  # fmt: skip


def _identity(report: Report, settings: AnyTraining) -> str:
    """Return what a run's checkpoints have for its settings and data; '' for a stage's, whose settings are its own."""
    own = report.data and plain(flat(settings)) == plain(completed(type(settings), report.config))
    return identity_of(settings, report.data.fingerprint) if report.data and own else ""


def _in_stages(
    folder: Path, transfer: TransferResults, result: TrainingResult, history: Sequence[EpochLog], settings: AnyTraining
) -> Iterator[Difference]:
    """Yield where a fine-tuning's report and those of its stages differ."""
    file = folder / "report.json"
    yield from in_stages_chosen(folder, transfer.stages, settings)
    ends = list(accumulate(stage.epochs for stage in transfer.stages))
    for i, (stage, end) in enumerate(zip(transfer.stages, ends, strict=True)):
        child = Run(folder / stage.folder)
        report = child.read_report()
        if report is None or not isinstance(report.results, TrainingResults):
            continue
        yield from differences(child, settings)
        own, by = report.results.runs[0], f"{child.folder / 'report.json'}"
        begin = end - stage.epochs
        logs = [replace(log, epoch=log.epoch - begin) for log in history[begin:end]]
        for name in ("epochs", "train", "val", "val_loss"):
            for field, one, other in unlike(getattr(stage, name), getattr(own, name), f"transfer.stages[{i}].{name}"):
                yield Difference(file, field, one, other, by)
        for field, one, other in unlike(logs, next(iter(report.history.values()), []), f"stage {stage.stage}: epochs"):
            yield Difference(file, field, one, other, by)
        for name in ("train", "val", "val_loss", "judged") if stage.kept else ():
            if name == "judged" and result.judged.part != own.judged.part:
                continue  # the test is read with the whole's weights alone
            for field, one, other in unlike(getattr(result, name), getattr(own, name), f"results.runs[0].{name}"):
                yield Difference(file, field, one, other, by)

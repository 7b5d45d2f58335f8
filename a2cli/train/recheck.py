"""The numbers of a finished training, derived again from all that its folder holds, and compared.

A report's SHA-256 shows damage and plain edits, but whoever edits can compute it anew. What is stored twice, or follows
from other numbers, has to agree all the same: counts and accuracies, the confusion matrix, the epochs in report.json,
metrics.csv and the checkpoint, the seeds or stages and what is said of all, the verdict, the weights' SHA-256. Whoever
rewrites all of it consistently is noticed by measuring the network again (`remeasure.py`), as far as that goes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from math import isclose
from pathlib import Path

from a2cli.progress import ProgressReporter
from a2cli.reports.report import Report
from a2cli.reports.training_results import Accuracy, ClassScore, EpochLog, JudgedPart, TrainingResult, TrainingResults
from a2cli.runs.directory import Run
from a2cli.settings.declare import completed, flat
from a2cli.settings.kinds import AnyTraining, command_of, split_into_runs
from a2cli.statistics.intervals import wilson
from a2cli.storage import read_json
from a2cli.strict_json import plain
from a2cli.train.differences import Difference, Row, as_stored, compare, has_rounding, numbers, refuse, walk
from a2cli.train.over_runs import over_runs
from a2cli.train.recheck_files import checkpoints_gone, downgraded, has_digest, in_files, metrics_gone, older_than
from a2cli.train.recheck_transfer import in_stage, in_transfer
from a2cli.training.by_class import BINS, MOST_WRONG, balanced_accuracy, calibration_error, class_score, macro_f1
from a2cli.training.loop import monitored
from a2cli.training.train_state import identity_of
from a2cli.training.verdict import training_verdict

# Kept weights are measured once more after the last epoch, by --final perhaps on another machine, which rounds
# otherwise: an image on the edge, and the loss a little, may differ.
ROUNDING_IMAGES, ROUNDING_LOSS = 0.005, 0.01
CURVE_READS = "test_curve_reads"  # the first version counted none
RESULT = "results.runs[0]"
NO_DIGEST = (
    "{}: of an earlier a2, without a SHA-256; its numbers agree with each other and with the run's other files, "
    "which is all that can be checked"
)


def check_training(run: Run, settings: AnyTraining, reporter: ProgressReporter | None = None) -> None:
    """Raise DataError where the numbers of a training, as far as it is finished, contradict each other.

    Says so where its report is of a version that had no SHA-256, or metrics.csv is gone.
    """
    refuse(list(differences(run, settings)))
    if reporter is None:
        return
    report, file = run.read_report(), run.folder / "report.json"
    if report and report.status == "done" and not has_digest(file):
        reporter.warn(NO_DIGEST.format(file))
    folders = [run.folder / folder for folder in split_into_runs(settings)]
    reporter.warn_all([*metrics_gone(folders), *checkpoints_gone(folders)])


def differences(run: Run, settings: AnyTraining) -> Iterator[Difference]:
    """Yield what contradicts each other in the folder of a training, of one run or of several seeds or folds.

    Raises DataError for a report that is not as it was written.
    """
    report, alone_in = run.read_report(), split_into_runs(settings)
    is_done = report is not None and report.status == "done" and isinstance(report.results, TrainingResults)
    if report is not None and is_done:
        yield from compare(
            run.folder / "report.json", [("command", report.command, command_of(settings), "config.yaml")]
        )
    if len(alone_in) == 1:
        if report is not None and is_done:
            yield from _in_one(run.folder, report, settings)
        elif report is not None:
            for stage in sorted(run.folder.glob("stages/*")):
                yield from differences(Run(stage), settings)
        return
    for folder, alone in alone_in.items():
        yield from differences(Run(run.folder / folder), alone)
    reports = {folder: own for folder in alone_in if (own := Run(run.folder / folder).read_report())}
    all_done = len(reports) == len(alone_in) and all(own.status == "done" for own in reports.values())
    if report is not None and is_done and all_done:
        yield from _in_several(run.folder, report, settings, reports)


def _in_several(
    folder: Path, report: Report, settings: AnyTraining, reports: Mapping[str, Report]
) -> Iterator[Difference]:
    """Yield what a report on several runs says otherwise than their own do."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    # After a --final that was stopped, they know more of the test than it does.
    reads = max(own.test_reads for own in reports.values())
    testing = report.test_reads < reads
    file, first = folder / "report.json", next(iter(reports))
    combined = over_runs(settings, reports, rounding=has_rounding(file))
    stated, by = as_stored(file), f"the reports in {folder / first.partition('/')[0]}"
    missing = [name for name in combined.history if name not in report.history]
    rows: list[Row] = [(f"history.{name}", "not there", "there", by) for name in missing[:1]]
    rows += [(name, stated.get(name), value, by) for name, value in plain(asdict(combined)).items()]
    for difference in compare(file, rows):
        if difference.field != "results.verdict" and not (testing and "test" in difference.field):
            yield difference
    rows = _curve_reads(file, report, max(own.test_curve_reads for own in reports.values()), by)
    rows += [("data", report.data, reports[first].data, by)]
    if report.test_reads < reads - 1:
        rows += [("test_reads", report.test_reads, f"{reads - 1} or more", by)]
    if report.test_reads < any(result.test for result in report.results.runs):
        rows += [("test_reads", report.test_reads, "1 or more", "results.runs")]
    yield from compare(file, rows)
    if not testing:
        yield from older_than(file, [folder / name / "report.json" for name in reports])
        yield from compare(file, _in_words(report.results.verdict, combined.results))


def _in_one(folder: Path, report: Report, settings: AnyTraining) -> Iterator[Difference]:
    """Yield what contradicts each other in the folder of one run."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    file, result = folder / "report.json", report.results.runs[0]
    history = report.history.get(str(result.seed), [])
    stages = report.transfer.stages if report.transfer else []
    tested = sum(log.test_accuracy is not None for log in history)
    rows = [*_by_counts(result, report), *_by_epochs(result, history, settings, [stage.epochs for stage in stages])]
    rows += _curve_reads(file, report, tested, "history")
    rows += [(f"{RESULT}.folder", result.folder, ".", "its one run")]
    rows += [("results.runs", f"{len(report.results.runs)} of them", "1 of them", "config.yaml")]
    if history and len(history) >= max(result.kept_epoch, 1):
        verdict = training_verdict([result], [history], settings)
        rows += _in_words(report.results.verdict, replace(report.results, verdict=verdict))
    yield from compare(file, rows)
    yield from in_files(folder, report, result, history, settings, _identity(report, settings))
    if report.transfer:
        yield from compare(file, in_transfer(folder, report, report.transfer, result, settings))
    for i, stage in enumerate(stages):
        own = Run(folder / stage.folder).read_report()
        if own is not None and isinstance(own.results, TrainingResults):
            yield from differences(Run(folder / stage.folder), settings)
            yield from compare(file, in_stage(folder, i, stages, own, result, history))
    yield from downgraded(folder)


def _by_counts(result: TrainingResult, report: Report) -> Iterator[Row]:
    for root, at in ((result, RESULT), (report.transfer, "transfer")):
        for where, value in walk(root, at):
            if isinstance(value, Accuracy):
                yield from _by_its_counts(where, value)
    yield from _by_class(result)
    if report.test_reads < bool(result.test):
        yield "test_reads", report.test_reads, "1 or more", f"{RESULT}.test"
    if result.judged.part == "test" and not result.test:
        yield f"{RESULT}.test", "not there", "there", f"{RESULT}.judged.part"
    yield f"{RESULT}.majority.count", result.majority.count, result.val.count, "val.count"
    if report.data is None:
        return
    for part in ("train", "val", "test"):
        accuracy: Accuracy | None = getattr(result, part)
        if accuracy:
            yield f"{RESULT}.{part}.count", accuracy.count, getattr(report.data, part), f"data.{part}"
    images = sum(report.data.classes.values())
    if images < report.data.train + report.data.val + report.data.test:
        yield "data.classes", images, "all images", "data.train, data.val and data.test"


def _by_its_counts(at: str, accuracy: Accuracy) -> Iterator[Row]:
    correct, count = accuracy.correct, accuracy.count
    if 0 <= correct <= count and count:
        yield at, accuracy, wilson(correct, count), f"{correct} of {count}"
    else:
        yield f"{at}.correct", correct, f"at most {count}", f"{at}.count"


def _by_class(result: TrainingResult) -> Iterator[Row]:
    """Yield the results by class, and what they have to be by the confusion matrix and the bins of probabilities."""
    judged, matrix = result.judged, result.judged.matrix
    accuracy = (result.test if judged.part == "test" else result.val) or result.val
    if (least := min(map(min, matrix), default=0)) < 0:
        yield f"{RESULT}.judged.confusion", least, "0 or more", "what it counts"
        return
    counts, answered = [sum(row) for row in matrix], [sum(column) for column in zip(*matrix, strict=True)]
    right = [row[i] for i, row in enumerate(matrix)]
    names = [score.name for score in judged.classes]
    scores = [class_score(*row) for row in zip(names, counts, answered, right, strict=True)]
    derived: dict[str, object] = {"classes": [ClassScore(score.name, score.count, score.correct) for score in scores]}
    if judged.macro_f1 is not None and any(counts) and judged.calibration:  # earlier versions had nothing but counts
        derived = {"classes": scores, "macro_f1": macro_f1(scores), "balanced_accuracy": balanced_accuracy(scores)}
        if sum(each.count for each in judged.calibration):
            derived |= {"calibration_error": calibration_error(judged.calibration)}
    of_largest = dict(zip(names, counts, strict=True)).get(judged.largest_class or "")
    rows: list[tuple[str, object, object]] = [
        (f"{judged.part}.correct", accuracy.correct, sum(right)),
        (f"{judged.part}.count", accuracy.count, sum(counts)),
        ("judged.majority.count", judged.majority.count, accuracy.count),
        *((f"judged.{name}", getattr(judged, name), value) for name, value in derived.items()),
        *_mistakes(judged),
        *_bins(judged, sum(counts), sum(right)),
    ]
    if judged.majority.correct not in (counts if of_largest is None else [of_largest]):
        rows.append(("judged.majority.correct", judged.majority.correct, "a class's count"))
    yield from ((f"{RESULT}.{at}", stated, wanted, "its confusion matrix") for at, stated, wanted in rows)


def _mistakes(judged: JudgedPart) -> Iterator[tuple[str, object, object]]:
    """Yield mistakes that the confusion matrix does not have, or that are not the most probable first."""
    at = "judged.most_wrong"
    wrong = sum(n for truth, row in judged.confusion.items() for answer, n in row.items() if answer != truth)
    yield at, len(judged.most_wrong), min(MOST_WRONG, wrong)
    for (truth, answer), count in Counter((mistake.truth, mistake.answer) for mistake in judged.most_wrong).items():
        in_matrix = judged.confusion.get(truth, {}).get(answer, 0)
        if truth == answer or count > in_matrix:
            yield at, f"{count} {truth} as {answer}", in_matrix
    probable = [mistake.probability for mistake in judged.most_wrong]
    if probable != sorted(probable, reverse=True) or not all(0 <= value <= 1 for value in probable):
        yield at, "probabilities out of order", "the most probable first"


def _bins(judged: JudgedPart, images: int, right: int) -> Iterator[tuple[str, object, object]]:
    """Yield what has to be so of equal bins that hold the images which were judged."""
    at, bins = "judged.calibration", judged.calibration
    for i, bin_ in enumerate(bins):
        low = round(BINS * bin_.low)
        yield f"{at}[{i}]", (bin_.low, bin_.high), (low / BINS, (low + 1) / BINS)
        if not bin_.low - 1e-6 <= bin_.confidence <= bin_.high + 1e-6:
            yield f"{at}[{i}].confidence", bin_.confidence, f"from {bin_.low:.3f} to {bin_.high:.3f}"
    if bins:
        yield f"{at}: images", sum(bin_.count for bin_ in bins), images
        yield f"{at}: right", float(round(sum(bin_.accuracy * bin_.count for bin_ in bins), 6)), float(right)


def _by_epochs(
    result: TrainingResult, history: Sequence[EpochLog], settings: AnyTraining, stages: Sequence[int]
) -> Iterator[Row]:
    """Yield the fields of a result, and what its epochs have; `stages` are the epochs of each."""
    by, training = "history", settings.training
    yield f"{RESULT}.epochs", result.epochs, len(history), by
    if not history:
        return
    candidates = history if training.restore_best or not stages else history[-stages[-1] :]
    best = min(candidates, key=lambda log: (monitored(log, training.monitor), log.epoch)).epoch
    kept = best if training.restore_best else len(history)
    yield f"{RESULT}.best_epoch", result.best_epoch, best, by
    yield f"{RESULT}.kept_epoch", result.kept_epoch, kept, by
    yield f"{RESULT}.last_train_accuracy", result.last_train_accuracy, history[-1].train_accuracy, by
    yield f"{RESULT}.last_val_accuracy", result.last_val_accuracy, history[-1].val_accuracy, by
    if not stages:
        patience = training.early_stopping
        yield f"{RESULT}.stopped_early", result.stopped_early, bool(patience and len(history) - best >= patience), by
    log, by = history[kept - 1], f"history, epoch {kept}"
    images = max(1, ROUNDING_IMAGES * result.val.count) + 1e-6
    if abs(result.val.value - log.val_accuracy) * result.val.count > images:
        yield f"{RESULT}.val.value", result.val.value, log.val_accuracy, by
    if not isclose(result.val_loss, log.val_loss, rel_tol=ROUNDING_LOSS, abs_tol=ROUNDING_LOSS / 10):
        yield f"{RESULT}.val_loss", result.val_loss, log.val_loss, by


def _curve_reads(file: Path, report: Report, reads: int, by: str) -> list[Row]:
    return [(CURVE_READS, report.test_curve_reads, reads, by)] * (CURVE_READS in read_json(file))


def _in_words(stated: str, results: TrainingResults) -> Iterator[Row]:
    """Yield a number or word of a verdict that is otherwise than the results have it.

    Other versions put it in other words, so only those in the same words have to be the same; in others each number
    has to be one of the results', and their accuracy has to be among them.
    """
    derived, field = results.verdict, "results.verdict"
    if re.sub(r"\d", "0", stated) == re.sub(r"\d", "0", derived):
        pairs = zip(numbers(stated), numbers(derived), strict=True)
        yield field, *next((pair for pair in pairs if pair[0] != pair[1]), (stated, derived)), "its results"
        return
    allowed = {f"{value:.3f}" for _, value in walk(results) if isinstance(value, float)} | {*numbers(derived)}
    if unknown := [number for number in re.findall(r"\d\.\d{3}", stated) if number not in allowed]:
        yield field, unknown[0], "none of its numbers", "its results"
        return
    if lacking := [number for number in re.findall(r"\d\.\d{3}", derived)[:1] if number not in stated]:
        yield field, "without its accuracy", lacking[0], "its results"
        return
    if ("chance, 1 of" in stated) != ("chance, 1 of" in derived):  # earlier versions did not compare with that
        return
    words = ["not shown" if "not shown to be better than" in text else "shown" for text in (stated, derived)]
    yield field, words[0], words[1], "its results: better than what knows nothing"


def _identity(report: Report, settings: AnyTraining) -> str:
    """Return what a run's checkpoints have for its settings and data; '' for a stage's, whose settings are its own."""
    own = report.data and plain(flat(settings)) == plain(completed(type(settings), report.config))
    return identity_of(settings, report.data.fingerprint) if report.data and own else ""

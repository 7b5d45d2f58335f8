"""A run's results by class, derived again from its confusion matrix and the bins of its probabilities."""

from collections import Counter
from collections.abc import Iterator

from a2cli.reports.training_results import ClassScore, JudgedPart, TrainingResult
from a2cli.train.unlike import unlike
from a2cli.training.by_class import BINS, MOST_WRONG, balanced_accuracy, calibration_error, class_score, macro_f1


def by_class(result: TrainingResult) -> Iterator[tuple[str, object, object, str]]:
    """Yield each field that differs from what the confusion matrix has, as it is and as it has to be, and by what."""
    judged, at, by = result.judged, "results.runs[0]", "its confusion matrix"
    matrix, whole = judged.matrix, (result.test if judged.part == "test" else result.val) or result.val
    counts, answered = [sum(row) for row in matrix], [sum(column) for column in zip(*matrix, strict=True)]
    right = [row[i] for i, row in enumerate(matrix)]
    names = [one.name for one in judged.classes]
    scores = [class_score(*one) for one in zip(names, counts, answered, right, strict=True)]
    derived: dict[str, object] = {"classes": [ClassScore(one.name, one.count, one.correct) for one in scores]}
    if judged.macro_f1 is not None and any(counts) and judged.calibration:  # earlier versions had nothing but counts
        derived = {"classes": scores, "macro_f1": macro_f1(scores), "balanced_accuracy": balanced_accuracy(scores)}
        derived |= {"calibration_error": calibration_error(judged.calibration)}
    found = [
        *unlike(whole.correct, sum(right), f"{at}.{judged.part}.correct"),
        *unlike(whole.count, sum(counts), f"{at}.{judged.part}.count"),
        *unlike(judged.majority.count, whole.count, f"{at}.judged.majority.count"),
    ]
    for name, value in derived.items():
        found += unlike(getattr(judged, name), value, f"{at}.judged.{name}")
    found += [*_mistakes(judged, f"{at}.judged.most_wrong"), *_bins(judged, f"{at}.judged.calibration")]
    yield from ((where, stated, wanted, by) for where, stated, wanted in found)
    largest = dict(zip(names, counts, strict=True)).get(judged.largest_class or "")
    known = counts if largest is None else [largest]
    if judged.majority.correct not in known:
        yield f"{at}.judged.majority.correct", judged.majority.correct, "a class's count", by


def _mistakes(judged: JudgedPart, at: str) -> Iterator[tuple[str, object, object]]:
    """Yield mistakes that the confusion matrix does not have, or that are not the most probable first."""
    wrong = sum(n for truth, row in judged.confusion.items() for answer, n in row.items() if answer != truth)
    if len(judged.most_wrong) != min(MOST_WRONG, wrong):
        yield at, len(judged.most_wrong), min(MOST_WRONG, wrong)
    counts = Counter((one.truth, one.answer) for one in judged.most_wrong)
    for (truth, answer), count in counts.items():
        if truth == answer or count > judged.confusion.get(truth, {}).get(answer, 0):
            yield at, f"{count} {truth} as {answer}", judged.confusion.get(truth, {}).get(answer, 0)
    probable = [one.probability for one in judged.most_wrong]
    if probable != sorted(probable, reverse=True) or not all(0 <= one <= 1 for one in probable):
        yield at, "probabilities out of order", "the most probable first"


def _bins(judged: JudgedPart, at: str) -> Iterator[tuple[str, object, object]]:
    """Yield bins of probabilities that are not equal, or hold other images than were judged."""
    for i, one in enumerate(judged.calibration):
        low = round(BINS * one.low)
        yield from unlike((one.low, one.high), (low / BINS, (low + 1) / BINS), f"{at}[{i}]")
        if not one.low - 1e-6 <= one.confidence <= one.high + 1e-6:
            yield f"{at}[{i}].confidence", one.confidence, f"from {one.low:.3f} to {one.high:.3f}"
    if judged.calibration:
        right = sum(one.accuracy * one.count for one in judged.calibration)
        yield from unlike(sum(one.count for one in judged.calibration), sum(map(sum, judged.matrix)), f"{at}: images")
        yield from unlike(
            float(round(right, 6)), float(sum(row[i] for i, row in enumerate(judged.matrix))), f"{at}: right"
        )

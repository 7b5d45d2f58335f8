"""A run's results by class, derived again from its confusion matrix and the bins of its probabilities."""

from collections.abc import Iterator

from a2cli.analysis.by_class import balanced_accuracy, calibration_error, class_score, macro_f1
from a2cli.experiments.unlike import unlike
from a2cli.results.training import ClassScore, TrainingResult


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
    yield from ((where, stated, wanted, by) for where, stated, wanted in found)
    largest = dict(zip(names, counts, strict=True)).get(judged.largest_class or "")
    known = counts if largest is None else [largest]
    if judged.majority.correct not in known:
        yield f"{at}.judged.majority.correct", judged.majority.correct, "a class's count", by

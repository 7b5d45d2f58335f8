"""How a network did on the images of one part of the data: class by class, and how reliable its probabilities are.

N images, K classes; measures by the definitions and names of scikit-learn, where it has them.
Importing that takes seconds, so they are computed here.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from a2cli.reports.training_results import CalibrationBin, ClassScore, JudgedPart, Measure, Mistake
from a2cli.statistics.intervals import wilson
from a2cli.training.loop import Evaluation

BINS = 15  # of the calibration error, as in Guo et al. 2017
TOP, LEAST_CLASSES_FOR_TOP = 5, 20
MOST_WRONG = 16


def judged_part(
    part: Literal["val", "test"], evaluation: Evaluation, largest: int, classes: Sequence[str], images: Sequence[str]
) -> JudgedPart:
    """Return the results by class of a network's answers to the images of these names.

    `largest` is the class with the most training images, which the baseline always answers.
    """
    probabilities, labels, count = evaluation.probabilities, evaluation.labels, len(classes)
    confidence, answers = probabilities.max(dim=1)
    confusion = torch.bincount(labels * count + answers, minlength=count**2).view(count, count)
    truths, answered, right = confusion.sum(dim=1).tolist(), confusion.sum(dim=0).tolist(), confusion.diag().tolist()
    scores = [class_score(*row) for row in zip(classes, truths, answered, right, strict=True)]
    bins = calibration_bins(confidence, answers == labels)
    top = None
    if count >= LEAST_CLASSES_FOR_TOP:
        # `topk` leaves open which of equally probable classes it takes.
        first = probabilities.sort(dim=1, descending=True, stable=True).indices[:, :TOP]
        top = wilson(int((first == labels[:, None]).any(dim=1).sum()), len(labels))
    return JudgedPart(
        part=part,
        majority=wilson(truths[largest], len(labels)),
        largest_class=classes[largest],
        balanced_accuracy=balanced_accuracy(scores),
        macro_f1=macro_f1(scores),
        top5=top,
        calibration_error=calibration_error(bins),
        calibration=bins,
        classes=scores,
        confusion={truth: {answer: n for answer, n in zip(classes, row, strict=True) if n}
                   for truth, row in zip(classes, confusion.tolist(), strict=True) if any(row)},
        most_wrong=_most_wrong(confidence, answers, labels, classes, images),
    )  # fmt: skip


def class_score(name: str, count: int, answered: int, correct: int) -> ClassScore:
    """Return a class's precision, recall and F1 by its images, the answers that name it, and those that do rightly.

    Null where there is nothing to divide by; scikit-learn says 0 there, and warns.
    """
    both = count + answered
    return ClassScore(
        name,
        count,
        correct,
        answered,
        precision=correct / answered if answered else None,
        recall=correct / count if count else None,
        f1=2 * correct / both if both else None,
    )


def balanced_accuracy(scores: Sequence[ClassScore]) -> Measure:
    """Return the mean recall of the classes that have images, as scikit-learn's `balanced_accuracy_score`.

    Its 95% interval puts together the classes' Wilson intervals as independent ones (Zou, Huang & Zhang 2009).
    """
    recalls = [wilson(score.correct, score.count) for score in scores if score.count]
    mean = sum(recall.value for recall in recalls) / len(recalls)
    below = math.sqrt(sum((recall.value - recall.low) ** 2 for recall in recalls)) / len(recalls)
    above = math.sqrt(sum((recall.high - recall.value) ** 2 for recall in recalls)) / len(recalls)
    return Measure(mean, max(0.0, mean - below), min(1.0, mean + above))


def macro_f1(scores: Sequence[ClassScore]) -> float:
    """Return the mean F1 of the classes with images or answers, as scikit-learn's `f1_score(average="macro")`."""
    defined = [score.f1 for score in scores if score.f1 is not None]
    return sum(defined) / len(defined)


def calibration_bins(confidence: Tensor, right: Tensor) -> list[CalibrationBin]:
    """Return the images (N,) by how probable their answer was held: equal bins (low, high], without the empty ones.

    Of each the mean probability and the share of right answers, as scikit-learn's `calibration_curve` of the two.
    """
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)
    confidence = confidence.double()
    bin_of = torch.bucketize(confidence, edges[1:-1])
    bins = []
    for i in sorted(set(bin_of.tolist())):
        inside = bin_of == i
        mean, share = float(confidence[inside].mean()), float(right[inside].double().mean())
        bins.append(CalibrationBin(float(edges[i]), float(edges[i + 1]), int(inside.sum()), mean, share))
    return bins


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 3)."""
    distances = sum(each.count * abs(each.accuracy - each.confidence) for each in bins)
    return distances / sum(each.count for each in bins)


def _most_wrong(
    confidence: Tensor, answers: Tensor, labels: Tensor, classes: Sequence[str], images: Sequence[str]
) -> list[Mistake]:
    """Return the images answered wrongly, the most confident answers first."""
    wrong = (answers != labels).nonzero().flatten()
    order = wrong[confidence[wrong].argsort(descending=True, stable=True)][:MOST_WRONG].tolist()
    return [Mistake(images[i], classes[int(labels[i])], classes[int(answers[i])], float(confidence[i])) for i in order]

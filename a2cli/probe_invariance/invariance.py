"""What answers before and after a change say: of each strength, of the whole change, of two runs.

M answers: one for each network and each of its images, and with strengths drawn at random for each draw as well.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from a2cli.probe_invariance.paired import corrected_p, effective_size, holm, mean_over, score_interval, sign_flip_test
from a2cli.probe_invariance.results import ChangeResult, LayerMovement, RunComparison, StrengthPoint, Survival
from a2cli.probe_invariance.settings import Probe
from a2cli.reports.training_results import Accuracy
from a2cli.statistics.intervals import wilson
from a2cli.statistics.pairs import ERROR, half_width, judged

TENFOLD = 10
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """M answers: of which image and network, the true class, the answer, and the true class's probability."""

    images: Labels
    networks: Labels
    truths: Labels
    answers: Labels
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.answers == self.truths
        return right

    @property
    def size(self) -> float:
        """How many independent images would tell as much."""
        return effective_size(list(Counter(self.images.tolist()).values()))

    @property
    def accuracy(self) -> Accuracy:
        return wilson(int(self.right.sum()), len(self), size=self.size)

    def by_class(self, classes: int) -> list[int]:
        return [int(count) for count in np.bincount(self.truths[self.right], minlength=classes)]

    def by_network(self) -> list[float]:
        counts = np.bincount(self.networks)
        return [float(share) for share in np.bincount(self.networks[self.right], minlength=len(counts)) / counts]


def by_image(images: Labels, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each image's values, in the order of the images' numbers."""
    _, places = np.unique(images, return_inverse=True)
    means: NDArray[np.float64] = np.bincount(places, values) / np.bincount(places)
    return means


def strength_point(
    before: Answers,
    after: Answers,
    strength: float | None,
    classes: int,
    changes: int,
    layers: Sequence[LayerMovement] = (),
) -> StrengthPoint:
    """Return what one strength does; `before` and `after` are paired entry by entry, `changes` are tried in all."""
    lost, gained = before.right & ~after.right, after.right & ~before.right
    size, count = before.size, len(before)
    low, high = score_interval(lost.sum() / count, gained.sum() / count, size, 1 - ERROR / changes)
    _, places = np.unique(before.images, return_inverse=True)
    falls = np.bincount(places, gained.astype(np.float64) - lost).astype(np.int64)
    shift = after.probabilities.astype(np.float64) - before.probabilities
    p = sign_flip_test(falls.tolist())
    return StrengthPoint(
        strength=strength,
        accuracy=after.accuracy,
        difference=int(gained.sum() - lost.sum()) / count,
        low=low,
        high=high,
        lost=int(lost.sum()),
        gained=int(gained.sum()),
        p=p,
        p_adjusted=p,
        consistency=wilson(int((before.answers == after.answers).sum()), count, size=size),
        probability=mean_over(by_image(before.images, shift).tolist()),
        classes=after.by_class(classes),
        networks=after.by_network(),
        layers=list(layers),
    )


def judged_changes(
    probed: Sequence[tuple[Probe, Sequence[StrengthPoint]]],
    before: Answers,
    margin: float,
    augmentations: Sequence[str],
    *,
    counts: bool,
) -> list[ChangeResult]:
    """Return each change's verdict; with `counts` false the network is no better than chance, and nothing is decided.

    The p of all changes and strengths are adjusted together.
    """
    adjusted = holm([point.p for _, points in probed for point in points])
    each, left = iter(adjusted), sum(p >= ERROR for p in adjusted)
    results = []
    for probe, measured in probed:
        points = [replace(point, p_adjusted=next(each)) for point in measured]
        broken = [point for point in points if point.p_adjusted < ERROR and point.difference < 0]
        within = all(-margin < point.low and point.high < margin for point in points)
        verdict: Survival = "invariant" if within else "breaks" if broken else "undecided"
        verdict = verdict if counts else "undecided"
        accuracies = [(point.strength, point.accuracy.value) for point in points if point.strength is not None]
        shown_in_training = [name for name in probe.change.augmentations if name in augmentations]
        images = len(np.unique(before.images))
        breaks_at = [point.strength for point in broken if point.strength is not None] if verdict == "breaks" else []
        results.append(
            ChangeResult(
                name=probe.name,
                title=probe.title,
                unit=probe.change.unit,
                identity=probe.change.identity,
                drawn=probe.drawn,
                points=points,
                verdict=verdict,
                breaks_at=[side[0] for side in _sides(probe, breaks_at)],
                halved_at=halved_at(probe, accuracies, before.accuracy.value),
                more_images=_more(points, before.size, images, margin, len(probed), left)
                if verdict == "undecided" and counts
                else None,
                augmented=shown_in_training[0] if shown_in_training else None,
                mean_accuracy=float(np.mean([point.accuracy.value for point in points])),
            )
        )
    return results


def _sides(probe: Probe, strengths: Sequence[float]) -> list[list[float]]:
    """Return the strengths of each direction from the mildest on."""
    mildest = probe.change.mildest
    ordered = sorted(strengths, key=lambda value: (value > mildest, abs(value - mildest)))
    return [list(side) for _, side in groupby(ordered, key=lambda value: value > mildest)]


def halved_at(probe: Probe, points: Sequence[tuple[float, float]], unchanged: float) -> list[float]:
    """Return the first strength in each direction where accuracy, straight between points, is half of the unchanged."""
    accuracies, crossings = dict(points), []
    for side in _sides(probe, list(accuracies)):
        strength, accuracy = probe.change.mildest, unchanged
        for value in side:
            if accuracies[value] <= unchanged / 2 < accuracy:
                share = (accuracy - unchanged / 2) / (accuracy - accuracies[value])
                crossings.append(strength + share * (value - strength))
                break
            strength, accuracy = value, accuracies[value]
    return crossings


def _more(
    points: Sequence[StrengthPoint], size: float, images: int, margin: float, changes: int, left: int
) -> int | None:
    """Return how many more images would decide, if all shares stayed; `left` is how many p Holm's method has left."""
    shares = [(point.lost / point.accuracy.count, point.gained / point.accuracy.count) for point in points]

    def decided(times: float) -> bool:
        n = times * size
        intervals = [score_interval(lost, gained, n, 1 - ERROR / changes) for lost, gained in shares]
        survives = all(-margin < low and high < margin for low, high in intervals)
        return survives or any(
            corrected_p(lost * n, gained * n) < ERROR / left for lost, gained in shares if lost > gained
        )

    return _least(decided, images)


def _least(decided: Callable[[float], bool], images: int) -> int | None:
    low, high = 1.0, float(TENFOLD)
    if not decided(high):
        return None
    while (high - low) * images > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return int(np.ceil((high - 1) * images))


def compared(
    change: str, first: str, second: str, falls: tuple[dict[int, float], dict[int, float]], margin: float, changes: int
) -> RunComparison:
    """Return which of two runs loses less accuracy, by the mean loss of each image of two and more in common."""
    shared = sorted(falls[0].keys() & falls[1].keys())
    differences = np.array([falls[1][image] - falls[0][image] for image in shared])
    mean, half = float(differences.mean()), half_width(float(differences.std(ddof=1)), len(shared), changes)
    if differences.min() == differences.max():
        # Alike on every image, which few images are by chance: as wide as where none of so many changed.
        half = score_interval(0.0, 0.0, len(shared), 1 - ERROR / changes)[1]
    verdict = judged(mean, half, margin)
    return RunComparison(change, first, second, len(shared), mean, mean - half, mean + half, verdict)


def falls_by_image(pairs: Sequence[tuple[Answers, Answers]]) -> dict[int, float]:
    """Return each image's mean loss of right answers over pairs of answers before and after."""
    images = np.concatenate([before.images for before, _ in pairs])
    falls = np.concatenate([before.right.astype(np.float64) - after.right for before, after in pairs])
    return dict(zip(np.unique(images).tolist(), by_image(images, falls).tolist(), strict=True))

"""Paired comparisons of many contenders.

Every pair of contenders is compared on the seeds that both have: a seed decides the split, the starting weights and the
order, so what a seed does to both cancels in their difference. The differences are taken as normal, and their mean gets
Student's interval. With m pairs each interval has the confidence 1 - 0.05 / m, so that all together have 95%
(Dunn, Multiple comparisons among means, 1961). Accuracies come in steps of one image, so a few seeds can agree by
rounding alone: its variance is added. An interval beside zero says better or worse; one within the margin on
both sides says equivalent (the two one-sided tests of Schuirmann 1987, at half their level or less); anything else is
undecided. It speaks of seeds and splits of this data set, not of other data: there the overlap of the splits' training
images would have to be counted as well (Nadeau & Bengio 2003).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev

from a2cli.reports.study_results import PairVerdict, Verdict
from a2cli.statistics.intervals import t_quantile

MOST_SEEDS = 10_000
ERROR = 0.05
POWER = 0.8
ROUNDING = math.sqrt(1 / 6)  # the deviation of the difference of two values rounded to whole numbers

BySeed = Mapping[int, float]


def pair_verdicts(accuracies: Mapping[str, BySeed], margin: float, resolution: float = 0.0) -> list[PairVerdict]:
    """Return the verdict on each pair of contenders, in their order; accuracies and margin in [0, 1].

    `resolution` is the step in which accuracies come, one image's share. Pairs with fewer than two seeds in common are
    left out, but count among the comparisons.
    """
    pairs = list(combinations(accuracies, 2))
    verdicts = []
    for first, second in pairs:
        shared = sorted(accuracies[first].keys() & accuracies[second].keys())
        if len(shared) > 1:
            differences = [accuracies[first][seed] - accuracies[second][seed] for seed in shared]
            verdicts.append(pair_verdict(first, second, differences, margin, len(pairs), resolution))
    return verdicts


def pair_verdict(
    first: str, second: str, differences: Sequence[float], margin: float, comparisons: int = 1, resolution: float = 0.0
) -> PairVerdict:
    """Return the verdict on one pair out of `comparisons`, by their differences seed by seed."""
    mean, n = fmean(differences), len(differences)
    deviation = math.hypot(stdev(differences), resolution * ROUNDING)
    half = half_width(deviation, n, comparisons)
    verdict = judged(mean, half, margin)
    more = seeds_needed(mean, deviation, margin, comparisons, n) if verdict == "undecided" else None
    return PairVerdict(first, second, n, mean, mean - half, mean + half, verdict, more)


def judged(mean: float, half: float, margin: float) -> Verdict:
    """Return what an interval says; one that is within the margin is equivalent, whichever side of zero it is on."""
    if abs(mean) + half < margin:
        return "equivalent"
    if mean - half > 0:
        return "better"
    return "worse" if mean + half < 0 else "undecided"


def half_width(deviation: float, n: int, comparisons: int) -> float:
    """Return half of the interval of a mean of n differences."""
    return t_quantile(1 - ERROR / comparisons / 2, n - 1) * deviation / math.sqrt(n)


def seeds_needed(mean: float, deviation: float, margin: float, comparisons: int, n: int) -> int | None:
    """Return how many seeds beyond n would decide, if mean and deviation stayed; None where too many."""

    def decided(count: int) -> bool:
        return judged(mean, half_width(deviation, count, comparisons), margin) != "undecided"

    more = bisect_left(range(n, MOST_SEEDS + 1), True, key=decided)  # the width falls as the count rises
    return more if n + more <= MOST_SEEDS else None


def detectable(deviation: float, n: int, error: float) -> float:
    """Return the difference that n seeds find with that power and one-sided error, its deviation over seeds given.

    By the noncentral t.
    """
    from scipy.special import nctdtrinc  # scipy.stats has it as well, and takes 0.3 s more to import

    return float(nctdtrinc(n - 1, 1 - POWER, t_quantile(1 - error, n - 1))) * deviation / math.sqrt(n)

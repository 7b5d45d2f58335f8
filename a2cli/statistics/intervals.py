"""Intervals for accuracies and for figures over seeds.

Accuracies come in steps of one image, so a few seeds can agree by rounding alone: its variance is added, or their
interval would have no width.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import NormalDist, mean, stdev

from a2cli.reports.study_results import TrialOutcome, accuracies
from a2cli.reports.training_results import Accuracy, Spread


def wilson(correct: int, count: int, confidence: float = 0.95, size: float | None = None) -> Accuracy:
    """Return a share of correct answers with its score interval (Wilson 1927), which stays in [0, 1].

    Answers that are not independent tell as much as `size` that are.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, n = correct / count, count if size is None else size
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Of none or all the bound is exact; computed, it is off by 1e-17, and 0 of 180 were "better than" 0 of 180.
    low = max(0.0, centre - half) if correct else 0.0
    return Accuracy(correct, count, share, low, min(1.0, centre + half) if correct < count else 1.0)


def spread(values: Sequence[float], resolution: float = 0.0) -> Spread:
    """Return mean, sample deviation and Student's 95% interval of the mean; needs two values at least.

    `resolution` is the step in which the values come, one image's share.
    """
    # `fmean` of equal values can be above them, and seeds that all answer the largest class "better than" it.
    centre, deviation, n = mean(values), stdev(values), len(values)
    rounding = resolution / math.sqrt(12)  # the deviation of a value rounded to whole steps
    half = t_quantile(0.975, n - 1) * math.hypot(deviation, rounding) / math.sqrt(n)
    return Spread(centre, deviation, centre - half, centre + half, n)


def spread_of_shares(values: Sequence[float], resolution: float = 0.0) -> Spread:
    """Return the spread of shares, such as accuracies: its interval, which is symmetric, ends at 0 and 1."""
    return _within_0_and_1(spread(values, resolution))


def spread_of_accuracies(values: Sequence[Accuracy], rounding: bool) -> Spread:
    """Return the spread of accuracies, with or without the variance of rounding."""
    return spread_of_shares([one.value for one in values], step_of(values, rounding))


def step_of(values: Sequence[Accuracy], rounding: bool) -> float:
    """Return one image's share, of folds that with the fewest images; 0 without rounding."""
    return 1 / min(one.count for one in values) if rounding else 0.0


def spread_of_runs(runs: Iterable[TrialOutcome], resolution: float) -> Spread | None:
    """Return the spread of the accuracies of runs over seeds; None where fewer than two have one."""
    values = accuracies(runs)
    return spread_of_shares(values, resolution) if len(values) > 1 else None


def without_rounding(found: Spread) -> Spread:
    """Return a spread of shares as reports before schema version 5 have it."""
    half = t_quantile(0.975, found.n - 1) * found.deviation / math.sqrt(found.n)
    return _within_0_and_1(replace(found, low=found.mean - half, high=found.mean + half))


def _within_0_and_1(found: Spread) -> Spread:
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def t_quantile(probability: float, freedom: int) -> float:
    """Return the t that Student's distribution with whole degrees of freedom is below with this probability."""
    from scipy.special import stdtrit  # a third of a second, which a training with one seed saves

    return float(stdtrit(freedom, probability))

"""Intervals for accuracies and for figures over seeds."""

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


def spread(values: Sequence[float]) -> Spread:
    """Return mean, sample deviation and Student's 95% interval of the mean; needs two values at least."""
    # `fmean` of equal values can be above them, and seeds that all answer the largest class "better than" it.
    centre, deviation, n = mean(values), stdev(values), len(values)
    half = t_quantile(0.975, n - 1) * deviation / math.sqrt(n)
    return Spread(centre, deviation, centre - half, centre + half, n)


def spread_of_shares(values: Sequence[float]) -> Spread:
    """Return the spread of shares, such as accuracies: its interval, which is symmetric, ends at 0 and 1."""
    unbounded = spread(values)
    return replace(unbounded, low=max(0.0, unbounded.low), high=min(1.0, unbounded.high))


def spread_of_runs(runs: Iterable[TrialOutcome]) -> Spread | None:
    """Return the spread of the accuracies of runs over seeds; None where fewer than two have one."""
    values = accuracies(runs)
    return spread_of_shares(values) if len(values) > 1 else None


def t_quantile(probability: float, freedom: int) -> float:
    """Return the t that Student's distribution with whole degrees of freedom is below with this probability."""
    from scipy.special import stdtrit  # a third of a second, which a training with one seed saves

    return float(stdtrit(freedom, probability))

"""Two sets of answers to the same images, before and after a change, in plain Python and numpy.

Of one network each image has one answer before and one after; of several networks, or of a change drawn several times,
an image has several, which are not independent: tests go by image, and intervals by the number of images that would
tell as much (Kish, Survey Sampling, 1965, section 8.2).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean

import numpy as np

from a2cli.probe_invariance.results import Mean
from a2cli.statistics.intervals import spread

BISECTIONS = 60


def effective_size(counts: Sequence[int]) -> float:
    """Return the number of independent images that tell as much, of images counted so often: (sum m)^2 / sum m^2."""
    return sum(counts) ** 2 / sum(count * count for count in counts)


def sign_flip_test(differences: Sequence[int]) -> float:
    """Return the exact two-sided p that the sum of whole numbers is as far from zero under random signs of each.

    Of differences that are -1, 0 or 1 it is McNemar's exact test (McNemar 1947), of an image's several summed it is
    Fisher's randomisation test of pairs (The Design of Experiments, 1935, section 21). The distribution of the sum is
    the Fourier transform of its characteristic function, the product of cos(t v) over the sizes v.
    """
    sizes = Counter(abs(value) for value in differences if value)
    reach = sum(size * count for size, count in sizes.items())
    if not reach:
        return 1.0
    period = 2 * reach + 1
    turns = 2 * np.pi / period * np.arange(period)
    wave = np.ones(period)
    for size, count in sizes.items():
        wave *= np.cos(turns * size) ** count
    probabilities = np.fft.fft(wave).real / period  # of the sums 0, 1, .., reach, -reach, .., -1
    observed = abs(sum(differences))
    tail = probabilities[observed : reach + 1].sum() * (2 if observed else 1)
    least = 2.0 ** (1 - sum(sizes.values()))  # all signs alike, beyond the transform's rounding
    return float(min(1.0, max(least, tail))) if observed else 1.0


def corrected_p(lost: float, gained: float) -> float:
    """Return McNemar's p of counts that need not be whole, corrected for continuity (Edwards, Psychometrika, 1948)."""
    apart = max(0.0, abs(lost - gained) - 1)
    return 2 * NormalDist().cdf(-apart / math.sqrt(lost + gained)) if apart else 1.0


def score_interval(lost: float, gained: float, size: float, confidence: float) -> tuple[float, float]:
    """Return the interval of the difference gained - lost of two paired shares (Tango, Statistics in Medicine, 1998).

    `lost` and `gained` are shares of `size` pairs. The interval holds every difference d whose score, with the
    likelihood's maximum under d in its deviation, is within the normal's quantile: it is right for small counts too,
    and has a width where nothing changed.
    """
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)

    def score(d: float) -> float:
        b = -lost - gained + (2 - gained + lost) * d  # the quadratic 2 q^2 + b q + c = 0 of q21's maximum likelihood
        c = -lost * d * (1 - d)
        q = (math.sqrt(max(0.0, b * b - 8 * c)) - b) / 4
        variance = (2 * q + d * (1 - d)) / size
        return (gained - lost - d) / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gained - lost - d)

    centre = gained - lost
    return _crossing(score, -1.0, centre, quantile), _crossing(score, centre, 1.0, -quantile)


def _crossing(score: Callable[[float], float], low: float, high: float, level: float) -> float:
    """Return where a falling score passes a level."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > level else (low, middle)
    return (low + high) / 2


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p adjusted for their number, so that all together err at most so often (Holm 1979)."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def mean_over(values: Sequence[float]) -> Mean:
    """Return a mean with its 95% interval (Student's t), which of a single value is unknown and spans everything."""
    if len(values) < 2:
        return Mean(fmean(values), -1.0, 1.0)
    interval = spread(values)
    return Mean(interval.mean, interval.low, interval.high)

"""Tests and intervals on paired answers, against scipy, enumeration and a likelihood maximised by force."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm, ttest_1samp

from a2cli.probe_invariance.invariance import compared
from a2cli.probe_invariance.paired import corrected_p, effective_size, holm, mean_over, score_interval, sign_flip_test


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (5, 1), (3, 3), (0, 12), (40, 11), (200, 0), (700, 550)])
def test_sign_flips_of_one_answer_an_image_are_mcnemars_exact_test(lost: int, gained: int) -> None:
    p = sign_flip_test([-1] * lost + [1] * gained + [0] * 17)
    expected = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert p == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (1, 1), (9, 4), (30, 12), (55, 70)])
def test_corrected_p_is_near_the_exact_one(lost: int, gained: int) -> None:
    exact = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert corrected_p(lost, gained) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("values", [[3, -1], [5, 5, 5, -2, 1], [-4, -4, 2, 0, 7, -1, -1], [1, 2, 3, 4, 5, 6, -7, -8]])
def test_sign_flips_of_sums_against_all_signs(values: list[int]) -> None:
    sums = [abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
            for signs in product((-1, 1), repeat=len(values))]  # fmt: skip
    assert sign_flip_test(values) == pytest.approx(np.mean([one >= abs(sum(values)) for one in sums]), rel=1e-9)


def likelihood(lost: int, gained: int, n: int, difference: float) -> float:
    """Return the lost share that makes the counts likeliest under a difference gained - lost."""

    def negative(q: float) -> float:
        shares = (q, q + difference, 1 - 2 * q - difference)
        counts = (lost, gained, n - lost - gained)
        return -sum(count * math.log(max(share, 1e-300)) for count, share in zip(counts, shares, strict=True) if count)

    found = minimize_scalar(negative, bounds=(max(0, -difference), (1 - difference) / 2), method="bounded",
                            options={"xatol": 1e-12})  # fmt: skip
    return float(found.x)


@pytest.mark.parametrize(("lost", "gained", "n"), [(12, 3, 91), (1, 0, 91), (40, 39, 91), (5, 30, 60), (90, 0, 91)])
@pytest.mark.parametrize("confidence", [0.95, 0.9975])
def test_score_interval_ends_where_the_score_is_the_quantile(lost: int, gained: int, n: int, confidence: float) -> None:
    ends = score_interval(lost / n, gained / n, n, confidence)
    observed = (gained - lost) / n
    assert -1 <= ends[0] < observed < ends[1] <= 1
    for end in ends:
        q = likelihood(lost, gained, n, end)
        score = (observed - end) / math.sqrt((2 * q + end - end * end) / n)
        assert abs(score) == pytest.approx(norm.ppf((1 + confidence) / 2), rel=1e-3)


def test_score_interval_of_no_change_has_a_width() -> None:
    quantile = norm.ppf(0.975)
    low, high = score_interval(0.0, 0.0, 91, 0.95)
    assert high == pytest.approx(quantile**2 / (91 + quantile**2), rel=1e-6)
    assert low == pytest.approx(-high, rel=1e-6)


def test_score_interval_covers_as_often_as_it_says() -> None:
    """Over all outcomes of 30 pairs, weighed by their probability."""
    n, lost, gained = 30, 0.15, 0.05
    covered = 0.0
    for i in range(n + 1):
        for j in range(n + 1 - i):
            weight = math.factorial(n) / math.factorial(i) / math.factorial(j) / math.factorial(n - i - j)
            weight *= lost**i * gained**j * (1 - lost - gained) ** (n - i - j)
            low, high = score_interval(i / n, j / n, n, 0.95)
            covered += weight * (low <= gained - lost <= high)
    assert 0.93 < covered < 0.97


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_effective_size() -> None:
    assert effective_size([1] * 91) == 91
    assert effective_size([5] * 91) == 91
    assert effective_size([3, 1]) == pytest.approx(16 / 10)


def test_mean_has_students_interval() -> None:
    values = [0.1, -0.2, 0.4, 0.0]
    interval = ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_over(values)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(("images", "verdict"), [(20, "undecided"), (400, "equivalent")])
@pytest.mark.parametrize("fall", [0.0, 0.1])
def test_runs_alike_on_every_image_are_not_certain(images: int, verdict: str, fall: float) -> None:
    """The width is Wilson's of none of so many, as of images of which any may differ."""
    falls = dict.fromkeys(range(images), fall)
    found = compared("flip", "a", "b", (falls, falls), 0.05, 1)
    bound = binomtest(0, images).proportion_ci(0.95, method="wilson").high
    assert (found.low, found.high) == pytest.approx((-bound, bound), abs=1e-9)
    assert (found.difference, found.verdict) == (0, verdict)

"""Intervals against scipy's."""

import numpy as np
import pytest
from scipy import stats

from a2cli.statistics.intervals import (
    spread,
    spread_of_accuracies,
    spread_of_shares,
    t_quantile,
    wilson,
    without_rounding,
)


@pytest.mark.parametrize(("correct", "count"), [(0, 10), (10, 10), (1, 3), (54, 91), (4990, 5000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson(correct: int, count: int, confidence: float) -> None:
    expected = stats.binomtest(correct, count).proportion_ci(confidence, method="wilson")
    found = wilson(correct, count, confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.value == correct / count


@pytest.mark.parametrize("count", [1, 3, 90, 180, 997])
def test_bounds_are_exact_where_nothing_rounds(count: int) -> None:
    """0 of 180 is not above 0, nor are seeds above what each of them has: `better than` is asked of these bounds."""
    assert wilson(0, count).low == 0
    assert wilson(count, count).high == 1
    for correct in range(count + 1):
        assert spread([correct / count] * 3).mean == correct / count


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 99])
def test_students_t(freedom: int) -> None:
    for probability in (0.01, 0.5, 0.9, 0.975, 0.999):
        assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-9, abs=1e-9)


def test_spread() -> None:
    values = np.random.default_rng(0).normal(0.6, 0.05, 7)
    found = spread(values.tolist())
    low, high = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.deviation, found.n) == pytest.approx((values.mean(), values.std(ddof=1), 7))


@pytest.mark.parametrize("correct", [0, 7, 20])
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_equal_accuracies_are_not_certain(correct: int, seeds: int) -> None:
    """Accuracies that would round to the same number of 20 images can differ by a step: by simulation."""
    found = spread_of_accuracies([wilson(correct, 20)] * seeds, rounding=True)
    rounded = np.random.default_rng(0).uniform(-0.5, 0.5, 100_000) / 20
    half = stats.t.ppf(0.975, seeds - 1) * rounded.std() / seeds**0.5
    low, high = max(0.0, correct / 20 - half), min(1.0, correct / 20 + half)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)
    assert found.deviation == 0 and found.low < found.high


def test_rounding_hardly_widens_what_varies() -> None:
    found, plain = spread_of_shares([0.7, 0.75, 0.8], 0.01), spread_of_shares([0.7, 0.75, 0.8])
    assert plain.low - 0.001 < found.low < plain.low < plain.high < found.high < plain.high + 0.001
    assert without_rounding(found) == plain


def test_intervals_of_shares_end_at_0_and_1() -> None:
    found, plain = spread_of_shares([0.9, 1.0]), spread([0.9, 1.0])
    assert plain.high > 1
    assert (found.low, found.high, found.mean) == (plain.low, 1.0, plain.mean)
    assert spread_of_shares([0.0, 0.1]).low == 0

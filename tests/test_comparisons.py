"""The statistics of comparisons: against scipy, by counting, and in simulations whose truth is known."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from a2cli.reports.study_results import PairVerdict
from a2cli.statistics.pairs import detectable, half_width, judged, pair_verdict, pair_verdicts, seeds_needed

MARGIN = 0.01
FAMILIES = 500


def accuracies(
    rng: np.random.Generator, means: list[float], seeds: int, images: int | None = 91
) -> dict[str, dict[int, float]]:
    """Draw what contenders would reach: what a seed does to all of them, and what to each, some wider than others."""
    shared = rng.normal(0, 0.04, seeds)
    found = {}
    for i, mean in enumerate(means):
        values = mean + shared + rng.normal(0, 0.01 + 0.01 * i, seeds)
        found[f"c{i}"] = dict(enumerate(np.round(values * images) / images if images else values))
    return found


@pytest.mark.parametrize("comparisons", [1, 3, 28])
def test_intervals_are_scipys(comparisons: int) -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 12):
        first, second = rng.normal(0.6, 0.05, n), rng.normal(0.55, 0.03, n)
        found = pair_verdict("a", "b", (first - second).tolist(), MARGIN, comparisons)
        whole = stats.ttest_rel(first, second)
        interval = whole.confidence_interval(1 - 0.05 / comparisons)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert (found.verdict in {"better", "worse"}) == (whole.pvalue < 0.05 / comparisons)


@pytest.mark.parametrize(
    ("mean", "half", "verdict"),
    [
        (0.03, 0.02, "better"),
        (-0.03, 0.02, "worse"),
        (0.03, 0.03, "undecided"),
        (0.0, 0.009, "equivalent"),
        (0.006, 0.003, "equivalent"),
        (0.006, 0.005, "better"),
        (-0.006, 0.005, "worse"),
        (0.0, 0.01, "undecided"),
    ],
)
def test_what_an_interval_says(mean: float, half: float, verdict: str) -> None:
    assert judged(mean, half, MARGIN) == verdict


@pytest.mark.parametrize(("mean", "deviation"), [(0.03, 0.05), (0.0, 0.02), (0.004, 0.05), (-0.02, 0.01)])
@pytest.mark.parametrize("comparisons", [1, 28])
def test_more_seeds_are_counted(mean: float, deviation: float, comparisons: int) -> None:
    more = seeds_needed(mean, deviation, MARGIN, comparisons, 2)
    assert more is not None
    decided = [judged(mean, half_width(deviation, n, comparisons), MARGIN) != "undecided" for n in range(2, more + 4)]
    assert decided == [False] * more + [True] * 2 if more else decided[0]


def test_what_no_number_of_seeds_decides() -> None:
    assert seeds_needed(0.0, 5.0, MARGIN, 28, 5) is None


def test_each_pair_once_over_the_seeds_that_both_have() -> None:
    given = {"a": {0: 0.5, 1: 0.6, 2: 0.7}, "b": {1: 0.5, 2: 0.7, 3: 0.1}, "c": {0: 0.9}}
    (only,) = pair_verdicts(given, MARGIN)
    assert (only.first, only.second, only.seeds, only.difference) == ("a", "b", 2, pytest.approx(0.05))
    assert only.high == pytest.approx(pair_verdict("a", "b", [0.1, 0.0], MARGIN, 3).high), "pairs left out count"


def verdicts(rng: np.random.Generator, means: list[float], seeds: int) -> list[PairVerdict]:
    return pair_verdicts(accuracies(rng, means, seeds), MARGIN, 1 / 91)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_without_a_difference_better_is_rare(seeds: int) -> None:
    """In at most 5% of all tables any pair at all is said to differ."""
    rng = np.random.default_rng(seeds)
    wrong = sum(
        any(pair.verdict in {"better", "worse"} for pair in verdicts(rng, [0.6] * 5, seeds)) for _ in range(FAMILIES)
    )
    print(f"{seeds} seeds, no difference: some pair differs in {wrong / FAMILIES:.1%} of tables")
    assert wrong <= 0.05 * FAMILIES


@pytest.mark.parametrize("seeds", [5, 30])
def test_contenders_a_margin_apart_are_rarely_equivalent(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    means = [0.6, 0.6 + MARGIN, 0.6 + 2 * MARGIN, 0.6 + 3 * MARGIN]
    apart = {pair: abs(pair[0] - pair[1]) for pair in combinations(range(4), 2)}
    assert min(apart.values()) == 1, "every pair is a margin apart, or more"
    wrong = sum(any(pair.verdict == "equivalent" for pair in verdicts(rng, means, seeds)) for _ in range(FAMILIES))
    print(f"{seeds} seeds, a margin apart: some pair is equivalent in {wrong / FAMILIES:.1%} of tables")
    assert wrong <= 0.05 * FAMILIES


def test_equivalent_is_said_where_it_holds() -> None:
    rng = np.random.default_rng(0)
    said = sum(
        pair_verdict("a", "b", rng.normal(0, 0.005, 10).tolist(), MARGIN).verdict == "equivalent" for _ in range(200)
    )
    assert said > 190


def test_the_power_at_twice_the_margin() -> None:
    """Printed, and what the plan promises: a difference called detectable is found in at least 80% of cases."""
    rng = np.random.default_rng(0)
    deviation = 0.03
    for pairs in (1, 28):
        found = np.mean(
            [
                pair_verdict("a", "b", rng.normal(2 * MARGIN, deviation, 10).tolist(), MARGIN, pairs).verdict
                == "better"
                for _ in range(FAMILIES)
            ]
        )
        print(f"10 seeds, {pairs} pairs, a difference of 2 points that deviates by 3: found in {found:.1%}")
        size = detectable(deviation, 10, 0.025 / pairs)
        threshold = stats.t.ppf(1 - 0.025 / pairs, 9)
        exact = 1 - stats.nct.cdf(threshold, 9, size / deviation * np.sqrt(10))
        assert exact == pytest.approx(0.8, abs=0.002)
        assert abs(found - (1 - stats.nct.cdf(threshold, 9, 2 * MARGIN / deviation * np.sqrt(10)))) < 0.05


@pytest.mark.parametrize("n", [2, 3, 5, 31])
@pytest.mark.parametrize("comparisons", [1, 28, 190])
def test_what_is_detectable_is_found_in_four_of_five(n: int, comparisons: int) -> None:
    shift = detectable(0.03, n, 0.025 / comparisons) / 0.03 * np.sqrt(n)
    quantile = stats.t.ppf(1 - 0.025 / comparisons, n - 1)
    assert stats.nct.sf(quantile, n - 1, shift) == pytest.approx(0.8, abs=1e-4)

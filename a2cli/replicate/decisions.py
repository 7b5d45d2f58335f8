"""Verdicts on claims, from values seed by seed, at looks that are paid for.

Of a claim two hypotheses can make its verdict false: that there is no such difference (it is not *supported* then), and
that there is one that matters (it is not *contradicted* then). Both cannot be true, so each is tested one-sided at all
of the claim's share of the error: 0.05 times its weight over the weights of all claims in all worlds, split evenly over
the planned looks (Bonferroni's inequality; Dunn 1961). It holds whatever the looks have in common and whichever is the
last, so a claim may stop as soon as it is decided, and all verdicts of a ledger are right together with 95%, but for a
printed number that is *supported*: it lies where a new run would, which is no test.
The differences are paired by seed and taken as normal; the variance of rounding to whole images is added.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean, stdev

from a2cli.replicate.claims import STATED, Claim, ClaimLedger
from a2cli.replicate.results import ClaimVerdict, Estimate
from a2cli.statistics.intervals import t_quantile

ERROR = 0.05
LOOKS = (6, 10, 16, 24, 36, 54)
NEW_RUN = 0.95  # how sure a printed number's prediction interval is
MOST_SEEDS = 10_000
quantile = cache(t_quantile)


@dataclass(frozen=True)
class Rule:
    """How one comparison of a claim is decided: kind, margin, the number it is held to, its error at one look.

    `rounding` is the standard deviation that rounding accuracies to whole images gives a value.
    """

    kind: str
    margin: float
    value: float
    error: float
    rounding: float = 0.0


def error_of(claim: Claim, ledger: ClaimLedger, looks: int) -> float:
    """Return the error that a claim may make at one look in one world, its share of the ledger's.

    Claims on what a report states are not judged by intervals, and have no share.
    """
    judged = [one for one in ledger.claims if one.kind not in STATED]
    whole = sum(one.weight for world in ledger.worlds for one in judged if not one.worlds or world in one.worlds)
    return ERROR * claim.weight / whole / looks


def rule_of(claim: Claim, ledger: ClaimLedger, looks: int, rounding: float) -> Rule:
    """Return how each comparison of a claim is decided: any of several can contradict it, so they share its error.

    The margin of a printed number is the widest prediction interval, to each side, that still says something. What is
    above or below a number has no margin unless one is given: all that is not above is against it.
    """
    value = claim.printed if claim.kind == "number" else claim.value
    error = error_of(claim, ledger, looks) / max(1, len(claim.than))
    return Rule(claim.kind, margin_of(claim, ledger), value or 0.0, error, rounding)


def margin_of(claim: Claim, ledger: ClaimLedger) -> float:
    """Return a claim's margin, or the one that its kind has in a ledger."""
    usual = {"above": 0.0, "below": 0.0, "number": 3 * ledger.margin}.get(claim.kind, ledger.margin)
    return usual if claim.margin is None else claim.margin


def estimate(what: str, values: Sequence[float], rule: Rule) -> Estimate:
    """Return one comparison of a claim with its interval and verdict, from its values seed by seed, two at least."""
    n, mean = len(values), fmean(values)
    deviation = math.hypot(stdev(values), rule.rounding)
    half = _half_width(deviation, n, rule)
    return Estimate(what, n, mean, deviation, mean - half, mean + half, verdict_at(mean, deviation, n, rule))


def _half_width(deviation: float, n: int, rule: Rule) -> float:
    """Return half of the interval that is shown: of a printed number that of one new run."""
    if rule.kind == "number":
        return _new_run(deviation, n, 1 - NEW_RUN)
    return quantile(1 - rule.error, n - 1) * deviation / math.sqrt(n)


def _new_run(deviation: float, n: int, error: float) -> float:
    """Return half of the interval in which one more run would lie, but for that error (Student's prediction)."""
    return quantile(1 - error / 2, n - 1) * deviation * math.sqrt(1 + 1 / n)


def verdict_at(mean: float, deviation: float, n: int, rule: Rule) -> ClaimVerdict:
    """Return what n seeds with this mean and standard deviation say of a claim."""
    half, difference, margin = _half_width(deviation, n, rule), mean - rule.value, rule.margin
    if rule.kind == "number":
        if abs(difference) > _new_run(deviation, n, rule.error):
            return "contradicted"
        return "supported" if abs(difference) <= half <= margin else "undecided"
    if rule.kind == "alike":
        if abs(difference) + half < margin:
            return "supported"
        # Two tails show that it is not, so each has half of the error.
        outer = quantile(1 - rule.error / 2, n - 1) * deviation / math.sqrt(n)
        return "contradicted" if abs(difference) - outer > margin else "undecided"
    if rule.kind in ("lower", "below"):
        difference = -difference
    if difference + half < margin or (not margin and difference + half == 0):
        return "contradicted"  # no difference, or none that matters
    return "supported" if difference - half > 0 else "undecided"


def together(verdicts: Iterable[ClaimVerdict]) -> ClaimVerdict:
    """Return the verdict on a claim that several comparisons must bear out: one that does not contradicts it."""
    different = set(verdicts)
    if "contradicted" in different:
        return "contradicted"
    return "supported" if different == {"supported"} else "undecided"


def at_margin(estimates: Sequence[Estimate], rule: Rule, factor: float) -> ClaimVerdict:
    """Return the verdict that these comparisons give at another margin."""
    other = replace(rule, margin=rule.margin * factor)
    return together(verdict_at(one.mean, one.deviation, one.seeds, other) for one in estimates)


def seeds_to_decide(estimates: Sequence[Estimate], rule: Rule) -> int | None:
    """Return how many seeds would decide in all, if means and deviations stayed; None where no 10,000 would."""

    def decided(n: int) -> bool:
        return together(verdict_at(one.mean, one.deviation, n, rule) for one in estimates) != "undecided"

    seeds = range(min(one.seeds for one in estimates), MOST_SEEDS + 1)
    place = bisect_left(seeds, True, key=decided)  # intervals only get narrower
    return seeds[place] if place < len(seeds) else None

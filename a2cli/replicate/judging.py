"""A claim judged on what its runs gave, seed by seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from a2cli.formats import counted, points
from a2cli.replicate.claims import OF_PROBES, STATED, Claim, ClaimLedger, Compared
from a2cli.replicate.decisions import Rule, at_margin, estimate, rule_of, seeds_to_decide, together
from a2cli.replicate.quantities import EPOCHS, MEASURES
from a2cli.replicate.results import Alternative, ClaimVerdict, Estimate
from a2cli.statistics.pairs import ROUNDING

MARGINS = (0.5, 2.0)
POINTS = "points"
BOUNDED = ("validation", "training", "highest-validation", "gap")  # from 0 to 1
Values = Callable[[str], Mapping[int, float]]  # of a run's name: its values by seed


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim in one world at one look."""

    verdict: ClaimVerdict
    why: str
    seeds: int
    estimates: list[Estimate]
    to_decide: int | None
    alternatives: list[Alternative]
    has_room: bool = True  # for what is claimed

    @property
    def fragile(self) -> list[str]:
        """The choices under which the claim would be decided the other way."""
        decided = {"supported", "contradicted"}
        return [one.choice for one in self.alternatives if {one.verdict, self.verdict} == decided]


def judge(claim: Claim, ledger: ClaimLedger, looks: int, image: float, values_of: Mapping[str, Values]) -> Finding:
    """Return what the seeds at hand say of a claim; `image` is one validation image's share.

    `values_of` gives the measure of each run, as '' by the weights that are kept, and by other choices of the epoch.
    """
    rule = rule_of(claim, ledger, looks, _rounding(claim, image))
    estimates = _estimates(claim, rule, values_of[""])
    if not estimates:
        return Finding("undecided", "fewer than two seeds have a result", 0, [], None, [])
    if full := _without_room(claim, rule, values_of[""]):
        return Finding("undecided", full, min(one.seeds for one in estimates), estimates, None, [], has_room=False)
    verdict = together(one.verdict for one in estimates)
    alternatives = [
        Alternative(f"margin {_amount(rule.margin * factor, claim, difference=True)}",
                    at_margin(estimates, rule, factor))
        for factor in MARGINS if rule.margin and claim.kind != "number"
    ]  # fmt: skip
    for choice, values in values_of.items():
        if choice and (others := _estimates(claim, rule, values)):
            alternatives.append(Alternative(choice, together(one.verdict for one in others)))
    to_decide = seeds_to_decide(estimates, rule) if verdict == "undecided" else None
    seeds = min(one.seeds for one in estimates)
    return Finding(verdict, _why(claim, rule, estimates, verdict), seeds, estimates, to_decide, alternatives)


def _without_room(claim: Claim, rule: Rule, values: Values) -> str:
    """Return why data cannot show what is claimed: one that it is compared with has no margin left on that side.

    Easy images, on which every network is right, would contradict each claim of a gain.
    """
    if claim.measure not in BOUNDED or claim.base or claim.over:
        return ""
    for other in claim.others:
        reached = values(other.run)
        mean = fmean(reached.values()) if reached and not other.base else 0.5
        if (claim.kind == "higher" and mean > 1 - rule.margin) or (claim.kind == "lower" and mean < rule.margin):
            side = "above" if claim.kind == "higher" else "below"
            name = "" if claim.measure == "validation" else f" in {claim.measure}"
            return (
                f"no room for a difference that matters: {other.run} is at {100 * mean:.1f}%{name}, with less than "
                f"a margin {side} it"
            )
    return ""


def _rounding(claim: Claim, image: float) -> float:
    """Return the standard deviation that rounding to whole images gives one of a claim's values."""
    if unit_of(claim) != POINTS:
        return 0.0
    accuracies = {"fall": 2, "changed": 1}.get(claim.measure) or MEASURES[claim.measure][2]
    sides = (1 + bool(claim.base)) * (1 + bool(claim.than))
    return float(image * ROUNDING * (accuracies * sides / 2) ** 0.5)


def _estimates(claim: Claim, rule: Rule, values: Values) -> list[Estimate]:
    """Return the comparisons of a claim on the seeds that all its runs have; [] where those are fewer than two."""
    own = Compared(run=claim.run, base=claim.base)
    found = []
    others: list[Compared | None] = [*claim.others] or [None]
    for other in others:
        sides = [_of(own, claim.over, values)] + ([_of(other, claim.over, values)] if other else [])
        seeds = sorted(set.intersection(*(set(side) for side in sides)))
        if len(seeds) < 2:
            return []
        differences = [sides[0][seed] - (sides[1][seed] if other else 0.0) for seed in seeds]
        found.append(estimate(_what(claim, own, other), differences, rule))
    return found


def _of(one: Compared, over: str, values: Values) -> dict[int, float]:
    own = values(one.run)
    if one.base:
        base = values(one.base)
        return {seed: own[seed] - base[seed] for seed in own if seed in base}
    if over:
        below = values(over)
        return {seed: own[seed] / below[seed] for seed in own if below.get(seed)}
    return dict(own)


def _what(claim: Claim, own: Compared, other: Compared | None) -> str:
    measured = claim.change or (claim.measure if claim.measure != "validation" else "")
    sides = [one.run + (f" over its base {one.base}" if one.base else "") for one in (own, other) if one]
    text = " against ".join(sides) + (f" over {claim.over}" if claim.over else "")
    return f"{measured}: {text}" if measured else text


def unit_of(claim: Claim) -> str:
    """Return the unit that a claim's values are in: points of accuracy, that of its measure, or none."""
    if claim.over or claim.kind in STATED:
        return ""
    if claim.measure in OF_PROBES or MEASURES[claim.measure][1]:
        return POINTS
    return {"epochs": "epochs", "speed": "images per second"}[claim.measure]


def is_difference(claim: Claim) -> bool:
    """Return whether a claim's values are differences, which in accuracies are told in points."""
    return bool(claim.than or claim.base) or claim.measure in ("fall", "gap", "early-rise")


def _amount(value: float, claim: Claim, *, difference: bool) -> str:
    """Return a value of a claim's measure as it is printed."""
    if unit_of(claim) != POINTS:
        return f"{value:+.3g}" if is_difference(claim) and not difference else f"{value:.3g}"
    if difference:
        return f"{100 * value:g} points"
    return f"{points(value)} points" if is_difference(claim) else f"{100 * value:.1f}%"


def _why(claim: Claim, rule: Rule, estimates: Sequence[Estimate], verdict: ClaimVerdict) -> str:
    """Return the comparison that decided, or of an undecided claim the one that is farthest from it."""
    deciding = [one for one in estimates if one.verdict == verdict] or list(estimates)
    one = min(deciding, key=lambda each: abs(each.mean - rule.value) - (each.high - each.mean))
    bounds = one.low, one.high
    if unit_of(claim) == POINTS and not is_difference(claim):  # of few seeds it can leave the accuracies that there are
        bounds = max(0.0, one.low), min(1.0, one.high)
    low, high = (_amount(bound, claim, difference=False) for bound in bounds)
    text = f"{_amount(one.mean, claim, difference=False)} [{_bare(low)}, {_bare(high)}]"
    if claim.kind == "number":
        text = f"a new run gives {_bare(low)} to {high}; printed {100 * rule.value:.1f}%"
    elif rule.value:
        text += f" against {_amount(rule.value, claim, difference=False)}"
    if rule.margin and claim.kind != "number":
        text += f", margin {_amount(rule.margin, claim, difference=True)}"
    if len(estimates) > 1:
        count = sum(each.verdict == verdict for each in estimates)
        text = f"{one.what}: {text}; {count} of {counted(len(estimates), 'comparison')} so"
    return text


def _bare(amount: str) -> str:
    return amount.removesuffix("%").removesuffix(" points")


def epochs_of(claim: Claim) -> list[str]:
    """Return the other choices of the epoch under which a claim can be judged."""
    return list(EPOCHS) if claim.measure == "validation" and not claim.over else []

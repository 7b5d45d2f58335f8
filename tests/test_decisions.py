"""Verdicts on claims: each kind by hand, and how often whole ledgers err, looks included."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from a2cli.replicate.claims import Claim, ClaimLedger, Compared, InputEntry, RunEntry
from a2cli.replicate.decisions import (
    ERROR,
    LOOKS,
    Rule,
    at_margin,
    error_of,
    estimate,
    rule_of,
    seeds_to_decide,
    together,
    verdict_at,
)
from a2cli.replicate.judging import judge
from a2cli.replicate.results import ClaimVerdict
from a2cli.statistics.pairs import detectable

IMAGES = 91
WORLDS: dict[str, dict[str, object]] = {"one": {}, "two": {}}


def ledger_of(*claims: Claim) -> ClaimLedger:
    return ClaimLedger(
        title="A ledger", inputs={"data": InputEntry(about="images")}, worlds=WORLDS, sections={"1": "One"},
        runs={"a": RunEntry(command="train-cnn")}, claims=claims,
    )  # fmt: skip


def claim(kind: str, name: str = "claim", **more: object) -> Claim:
    return Claim(id=name, section="1", claim="So it is.", kind=kind, **{"run": "a", **more})  # type: ignore[arg-type]


def rule(kind: str, margin: float = 0.05, value: float = 0.0, error: float = 0.025) -> Rule:
    return Rule(kind, margin, value, error)


def test_the_error_is_shared_out_by_weight() -> None:
    claims = claim("higher", "a", than=("b",)), claim("lower", "b", than=("c",), weight=3.0)
    ledger = ledger_of(*claims, claim("derived", "c", expect={"x": 1}), claim("alike", "d", value=0.0, worlds=("one",)))
    shares = [error_of(each, ledger, 5) for each in claims]
    assert shares == [pytest.approx(0.05 / 9 / 5), pytest.approx(3 * 0.05 / 9 / 5)]
    several = claim("higher", "a", than=("b", Compared(run="c")))
    assert rule_of(several, ledger, 5, 0.0).error == pytest.approx(shares[0] / 2), "either can contradict it"


@pytest.mark.parametrize(
    ("kind", "mean", "verdict"),
    [
        ("higher", 0.10, "supported"), ("higher", 0.06, "supported"), ("higher", 0.03, "undecided"),
        ("higher", 0.005, "contradicted"), ("higher", -0.2, "contradicted"),
        ("lower", -0.10, "supported"), ("lower", -0.03, "undecided"), ("lower", 0.0, "contradicted"),
        ("lower", 0.2, "contradicted"),
        ("alike", 0.0, "supported"), ("alike", -0.005, "supported"), ("alike", 0.03, "undecided"),
        ("alike", 0.06, "undecided"), ("alike", 0.15, "contradicted"), ("alike", -0.15, "contradicted"),
    ],
)  # fmt: skip
def test_kinds(kind: str, mean: float, verdict: ClaimVerdict) -> None:
    """With 16 seeds and a deviation of 7 points the interval is 3.7 points to each side, the margin is 5."""
    half = stats.t.ppf(0.975, 15) * 0.07 / 4
    assert half == pytest.approx(0.0373, abs=1e-4)
    assert verdict_at(mean, 0.07, 16, rule(kind)) == verdict


def test_held_to_a_number() -> None:
    at = {mean: verdict_at(mean, 0.07, 16, rule("alike", value=0.35)) for mean in (0.35, 0.36, 0.38, 0.5)}
    assert list(at.values()) == ["supported", "supported", "undecided", "contradicted"]
    above = [verdict_at(mean, 0.07, 16, rule("above", 0.0, 0.5)) for mean in (0.45, 0.49, 0.51, 0.55)]
    assert above == ["contradicted", "undecided", "undecided", "supported"]
    below = [verdict_at(mean, 0.07, 16, rule("below", 0.0, 0.5)) for mean in (0.45, 0.49, 0.51, 0.55)]
    assert below == ["supported", "undecided", "undecided", "contradicted"]


def test_without_any_spread_the_mean_decides() -> None:
    equal = [0.0] * 6
    assert estimate("", equal, rule("higher")).verdict == "contradicted"
    assert estimate("", equal, rule("above", 0.0)).verdict == "contradicted", "not above"
    assert estimate("", equal, rule("alike")).verdict == "supported"
    assert estimate("", [1e-9] * 6, rule("above", 0.0)).verdict == "supported"


def test_an_interval_is_students() -> None:
    rng = np.random.default_rng(0)
    values = list(rng.normal(0.02, 0.05, 12))
    found = estimate("", values, rule("higher", error=0.001))
    low, high = stats.t.interval(0.998, 11, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    rounded = estimate("", values, replace(rule("higher", error=0.001), rounding=0.04))
    assert rounded.deviation == pytest.approx(np.hypot(np.std(values, ddof=1), 0.04))


def test_a_printed_number_lies_where_95_percent_of_new_runs_do() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.6, 0.05, (4000, 9))
    inside = 0
    for row in values:
        found = estimate("", list(row[:8]), rule("number", 1.0, float(row[8]), 1e-4))
        inside += found.low <= row[8] <= found.high
        assert (found.verdict == "supported") == (found.low <= row[8] <= found.high)
    assert stats.binomtest(inside, len(values), 0.95).pvalue > 0.001


def test_a_wide_prediction_supports_nothing() -> None:
    assert verdict_at(0.6, 0.05, 6, rule("number", 0.10, 0.6)) == "undecided"
    assert verdict_at(0.6, 0.05, 6, rule("number", 0.15, 0.6)) == "supported"
    between = rule("number", 0.15, 0.73, 1e-4)
    assert verdict_at(0.6, 0.05, 30, between) == "undecided", "outside of 95%, inside of what the ledger's error allows"
    assert verdict_at(0.6, 0.05, 30, replace(between, value=0.95)) == "contradicted"


def test_several_comparisons() -> None:
    assert together(["supported", "supported"]) == "supported"
    assert together(["supported", "undecided"]) == "undecided"
    assert together(["supported", "undecided", "contradicted"]) == "contradicted"


@given(st.sampled_from(["higher", "lower", "alike", "above", "below"]), st.integers(-200, 200), st.integers(10, 100),
       st.integers(2, 60))  # fmt: skip
def test_seeds_to_decide_are_the_fewest(kind: str, thousandths: int, spread: int, seeds: int) -> None:
    mean, deviation = thousandths / 1000, spread / 1000
    own = rule(kind, 0.0 if kind in ("above", "below") else 0.05, error=1e-3)
    [one] = [replace(estimate("", [0.0] * 2, own), mean=mean, deviation=deviation, seeds=seeds)]
    needed = seeds_to_decide([one], own)
    if needed is not None:
        assert verdict_at(mean, deviation, needed, own) != "undecided"
        assert needed == seeds or verdict_at(mean, deviation, needed - 1, own) == "undecided"


def test_other_margins() -> None:
    own = rule("alike", error=1e-3)
    found = [estimate("", [0.01, 0.02, 0.03] * 6, own)]
    assert found[0].verdict == at_margin(found, own, 1.0) == "supported"
    assert at_margin(found, own, 0.5) == "undecided"
    assert at_margin(found, own, 0.1) == "contradicted"


def test_what_is_detectable_is_found_four_times_out_of_five() -> None:
    error, seeds = 1e-3, 16
    difference = detectable(0.05, seeds, error)
    rng = np.random.default_rng(2)
    found = sum(
        estimate("", list(rng.normal(difference, 0.05, seeds)), rule("higher", 1e-9, error=error)).verdict
        == "supported"
        for _ in range(2000)
    )
    assert stats.binomtest(found, 2000, 0.8).pvalue > 0.001


@pytest.mark.parametrize(
    ("kind", "measure", "reached", "has_room"),
    [
        ("higher", "validation", 0.97, False), ("higher", "validation", 0.94, True),
        ("lower", "validation", 0.97, True), ("lower", "validation", 0.03, False),
        ("lower", "gap", 0.02, False), ("lower", "gap", 0.1, True), ("higher", "epochs", 100.0, True),
    ],
)  # fmt: skip
def test_data_on_which_nothing_can_be_gained_contradicts_no_gain(
    kind: str, measure: str, reached: float, has_room: bool
) -> None:
    one = claim(kind, than=("b",), measure=measure)
    found = judge(one, ledger_of(one), 6, 0.0, {"": lambda name: dict.fromkeys(range(6), reached)})
    assert (found.verdict == "contradicted") is found.has_room is has_room
    assert ("no room" in found.why) is not has_room


# Whole ledgers, with looks

RUNS = 20


def accuracies(rng: np.random.Generator, truths: np.ndarray) -> np.ndarray:
    """Return accuracies (runs, seeds) on 91 images: a seed's own split moves all runs, its training each."""
    seeds = LOOKS[-1]
    split = rng.normal(0, 0.04, seeds)
    own = rng.normal(0, 0.035, (len(truths), seeds))
    shares = np.clip(truths[:, None] + split + own, 0, 1)
    found: np.ndarray = np.round(shares * IMAGES) / IMAGES
    return found


def judged_over_looks(claims: list[Claim], ledger: ClaimLedger, values: dict[str, np.ndarray]) -> list[ClaimVerdict]:
    """Return each claim's verdict at the look that decides it, as a replication has it."""
    verdicts = list[ClaimVerdict]()
    for one in claims:
        verdict: ClaimVerdict = "undecided"
        for seeds in LOOKS:
            of = {"": lambda name, seeds=seeds: dict(enumerate(values[name][:seeds].tolist()))}
            verdict = judge(one, ledger, len(LOOKS), 1 / IMAGES, of).verdict
            if verdict != "undecided":
                break
        verdicts.append(verdict)
    return verdicts


def errors(difference: float, wrong: dict[str, str], ledgers: int, seed: int) -> int:
    """Return in how many ledgers some verdict is wrong: of 30 claims in two worlds, all of the same true difference."""
    rng = np.random.default_rng(seed)
    claims = [
        claim(("higher", "lower", "alike")[i % 3], f"c{i}", run=f"r{1 + i % (RUNS - 1)}", than=("r0",))
        for i in range(30)
    ]
    claims += [claim("number", f"n{i}", run=f"r{i}", printed=0.6) for i in range(5)]
    ledger = ledger_of(*claims)
    count = 0
    for _ in range(ledgers):
        bad = False
        for _ in WORLDS:
            truths = np.full(RUNS, 0.6)
            truths[1:] += difference
            values = {f"r{i}": row for i, row in enumerate(accuracies(rng, truths))}
            one_more = accuracies(rng, truths)[:, 0]
            asked = [replace(each, printed=float(one_more[int(each.run[1:])])) if each.kind == "number" else each
                     for each in claims]  # fmt: skip
            verdicts = judged_over_looks(asked, ledger, values)
            bad |= any(verdict == wrong.get(each.kind) for each, verdict in zip(asked, verdicts, strict=True))
        count += bad
    return count


LEDGERS = 150
MOST = int(stats.binom.ppf(0.999, LEDGERS, ERROR))  # more than so many are not 5%


@pytest.mark.slow
def test_where_nothing_is_true_some_verdict_is_wrong_in_5_percent_of_ledgers_at_most() -> None:
    """No run differs: higher and lower must not be supported, and no printed number is out of what runs give."""
    assert errors(0.0, {"higher": "supported", "lower": "supported", "number": "contradicted"}, LEDGERS, 3) <= MOST


@pytest.mark.slow
def test_at_a_difference_of_a_margin_nothing_is_called_alike() -> None:
    """Nor is it said that nothing is gained where just what matters is."""
    assert errors(0.05, {"alike": "supported", "higher": "contradicted"}, LEDGERS, 4) <= MOST
    assert errors(-0.05, {"alike": "supported", "lower": "contradicted"}, LEDGERS, 5) <= MOST


@pytest.mark.slow
def test_intervals_that_do_not_pay_for_looks_and_claims_are_wrong_in_most_ledgers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("a2cli.replicate.decisions.error_of", lambda *_: 0.025)
    wrong = {"higher": "supported", "lower": "supported"}
    assert errors(0.0, wrong, 20, 6) > int(stats.binom.ppf(0.999, 20, ERROR))


@pytest.mark.parametrize("kind", ["higher", "alike"])
def test_the_docs_table_of_power_is_by_the_same_rule(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from generate import decided_at

    own = rule(kind, error=ERROR / 80 / len(LOOKS))
    drawn = np.random.default_rng(0).normal(0.05, 0.05, (200, LOOKS[-1]))
    at = [
        next((n for n in LOOKS if estimate("", row[:n].tolist(), own).verdict != "undecided"), 0)
        for row in drawn
    ]  # fmt: skip
    assert decided_at(kind, 0.05, 0.05, times=200).tolist() == at

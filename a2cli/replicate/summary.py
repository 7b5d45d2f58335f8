"""What became of all claims, as the report of a replication has it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from a2cli.replicate.claims import STATED, Claim
from a2cli.replicate.decisions import ERROR, LOOKS, margin_of
from a2cli.replicate.evidence import words_of
from a2cli.replicate.evidence_runs import EvidenceRuns, Pair
from a2cli.replicate.judging import unit_of
from a2cli.replicate.quantities import value_at
from a2cli.replicate.question import Question
from a2cli.replicate.results import ClaimResult, ClaimVerdict, InputSummary, Judged, MeasuredRun, ReplicationResults
from a2cli.replicate.settings import ClaimSettings
from a2cli.replicate.verdict import replication_verdict
from a2cli.reports.report import DataSummary
from a2cli.settings.declare import shown

# What values of reports that claims are on are called; others by their path in the report.
VALUE_NAMES = (
    (r"layers\.([^.]+)\.field", r"the receptive field of layer \1"),
    (r"layers\.([^.]+)\.size(_formula)?", r"the size of layer \1's maps"),
    (r"layers\.([^.]+)\.status", r"the receptive field of layer \1"),
    (r"last_sees\.([^.]+)", r"what the last layer sees of \1"),
    (r"networks\.0\.layers\.0\.verdict", "the verdict on the first layer's weights"),
)

SEEDS_STATED = {"derived": 1, "learned": 3, "works": 1}


def results_of(
    settings: ClaimSettings, questions: Sequence[Question], runs: EvidenceRuns, data: Mapping[str, DataSummary]
) -> ReplicationResults:
    """Return what all questions came to, claim by claim in the ledger's order."""
    ledger = runs.evidence.ledger
    trials, seconds = runs.spent
    by_claim: dict[str, list[Judged]] = {}
    for one in questions:
        by_claim.setdefault(one.claim.id, []).append(_judged(one, runs, settings.seed))
    claims = [_claim(claim, by_claim[claim.id], runs) for claim in ledger.claims if claim.id in by_claim]
    weights = runs.evidence.inputs.found.get("weights")
    results = ReplicationResults(
        ledger=settings.ledger or "",
        title=ledger.title,
        worlds={name: {key: shown(value) for key, value in flags.items()} for name, flags in ledger.worlds.items()},
        sections={name: title for name, title in ledger.sections.items()
                  if any(claim.section == name for claim in claims)},
        inputs=[InputSummary(name, one.source, one.fingerprint, sum(one.classes.values()), len(one.classes))
                for name, one in data.items()]
        + ([InputSummary("weights", weights, "", None, None)] if weights else []),
        looks=list(LOOKS),
        error=ERROR,
        trials=trials,
        trial_seconds=seconds,
        claims=claims,
        verdict="",
        runs=[found for pair in runs.trainings if (found := _measured(runs, pair, settings.seed))],
    )  # fmt: skip
    return replace(results, verdict=replication_verdict(results))


def _measured(runs: EvidenceRuns, pair: Pair, first_seed: int) -> MeasuredRun | None:
    """Return what the trainings of a run came to; None where none is done."""
    found, failed = runs.accuracies(pair)
    if not found:
        return None
    training, validation = zip(*found, strict=True)
    over_seeds = len(found) > 1
    return MeasuredRun(
        run=pair[0],
        world=pair[1],
        seeds=len(found),
        failed=failed,
        training=fmean(training),
        training_deviation=stdev(training) if over_seeds else None,
        validation=fmean(validation),
        validation_deviation=stdev(validation) if over_seeds else None,
        command=command_of(runs, pair[1], pair[0], first_seed),
    )


def _claim(claim: Claim, found: Sequence[Judged], runs: EvidenceRuns) -> ClaimResult:
    return ClaimResult(
        id=claim.id,
        section=claim.section,
        claim=claim.claim,
        kind=claim.kind,
        measure=claim.change or claim.measure,
        unit=unit_of(claim),
        printed=claim.printed,
        value=(claim.printed if claim.kind == "number" else claim.value) or 0.0,
        margin=None if claim.kind in STATED else margin_of(claim, runs.evidence.ledger),
        weight=claim.weight,
        judged=[_with_worlds(one, found) for one in found],
    )


def _judged(one: Question, runs: EvidenceRuns, first_seed: int) -> Judged:
    claim, finding = one.claim, one.finding
    if one.missing:
        return Judged(one.world, "not attempted", one.missing, 0, [], None, [], [], [], [])
    if one.found:
        return one.found
    commands = [command_of(runs, one.world, name, first_seed) for name in claim.runs]
    if finding is None:
        why = "the budget was spent before its first look"
        return Judged(one.world, "undecided", why, 0, [], None, [], [], [], commands)
    folders = [relative(runs, runs.trial(runs.training_of(name, one.world), seed)[0])
               for name in claim.runs for seed in one.seeds(first_seed, one.look)]  # fmt: skip
    return Judged(
        world=one.world,
        verdict=finding.verdict,
        why=finding.why,
        seeds=finding.seeds,
        estimates=finding.estimates,
        more_seeds=finding.to_decide - finding.seeds if finding.to_decide else None,
        alternatives=finding.alternatives,
        fragile=finding.fragile,
        folders=list(dict.fromkeys(folders)),
        commands=commands,
    )


def _with_worlds(one: Judged, found: Sequence[Judged]) -> Judged:
    """Return a verdict that says in which other worlds the claim is decided the other way."""
    opposite: dict[str, ClaimVerdict] = {"supported": "contradicted", "contradicted": "supported"}
    others = [each.world for each in found if each.verdict == opposite.get(one.verdict)]
    return replace(one, fragile=[*one.fragile, *others])


def command_of(runs: EvidenceRuns, world: str, name: str, seed: int) -> str:
    """Return the command that repeats a run, on this seed."""
    evidence = runs.evidence
    entry = evidence.ledger.runs[name]
    flags: dict[str, Any] = dict(entry.flags)
    if entry.of:
        flags = {"run": "THE-RUN", **flags}
    elif evidence.of(name):
        flags = {**evidence.flags(entry, world), "seed": seed, "threads": 1}
    return shlex.join(words_of(entry, flags))


def relative(runs: EvidenceRuns, folder: Path) -> str:
    """Return a folder by its path inside the run directory."""
    return folder.relative_to(runs.folder).as_posix()


# Claims on what a report states


def stated(one: Question, runs: EvidenceRuns, first_seed: int) -> Judged:
    """Return the verdict on what the reports of a run state: on each of so many networks, or of a run without any."""
    claim, alone = one.claim, not runs.evidence.of(one.claim.run)
    seeds = range(first_seed, first_seed + (1 if alone else SEEDS_STATED[claim.kind]))
    if not alone:
        runs.run(f"the networks of {claim.run}", [((claim.run, one.world), seed) for seed in seeds])
    held, whys, folders, failed = list[bool](), list[str](), list[str](), False
    for seed in seeds:
        folder, results, why = runs.stated(claim.run, one.world, seed)
        folders.append(relative(runs, folder))
        failed = failed or (results is None and claim.kind != "works")
        wrong = [why] if results is None else _unlike(results, claim.expect)
        held.append(not wrong)
        whys += wrong
    said = "; ".join(f"{_named(path)} is {_shown(value)}" for path, value in claim.expect.items()) or "it ended well"
    return Judged(
        world=one.world,
        verdict="supported" if all(held) else "undecided" if any(held) or failed else "contradicted",
        why=whys[0] if whys else said,
        seeds=0 if alone else len(seeds),
        estimates=[],
        more_seeds=None,
        alternatives=[],
        fragile=[],
        folders=folders,
        commands=[command_of(runs, one.world, claim.run, first_seed)],
    )


def _unlike(results: Any, expected: Any) -> list[str]:
    """Return what a report states otherwise than is expected of it."""
    wrong = []
    for path, value in expected.items():
        try:
            found = value_at(results, path)
        except KeyError:
            wrong.append(f"{path} is not in the report")
            continue
        if found != value:
            wrong.append(f"{_named(path)} is {_shown(found)}, not {_shown(value)}")
    return wrong


def _named(path: str) -> str:
    """Return what a value of a report is called."""
    return next((found.expand(name) for form, name in VALUE_NAMES if (found := re.fullmatch(form, path))), path)


def _shown(value: object) -> str:
    if isinstance(value, list):
        numbers = all(isinstance(part, int) for part in value)
        return "x".join(map(str, value)) if numbers else " x ".join(f"({part})" for part in value)
    return str(value)

"""Options of `a2 replicate` that cannot act together, and what it would do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from a2cli.errors import SettingsError, nearest
from a2cli.formats import counted
from a2cli.machine import cores
from a2cli.replicate.claims import STATED, Claim, ClaimLedger
from a2cli.replicate.decisions import ERROR, LOOKS, error_of
from a2cli.replicate.evidence import Evidence, shared
from a2cli.replicate.results import PlanRow
from a2cli.replicate.schedule import budget_of
from a2cli.replicate.settings import ClaimSettings, ReplicateOptions
from a2cli.settings.kinds import AnyTraining
from a2cli.statistics.pairs import detectable

COMMAND = "replicate"
DEVIATION = 0.05  # of a difference of two accuracies on 91 paintings over seeds, about


def chosen_claims(ledger: ClaimLedger, only: Sequence[str]) -> list[Claim]:
    """Return the claims of the sections, or with the ids, that are wanted; all unless some are."""
    return [
        claim for claim in ledger.claims
        if not only or any(word == claim.id or f"{claim.section}.".startswith(f"{word}.") for word in only)
    ]  # fmt: skip


def check_replication(settings: ClaimSettings, ledger: ClaimLedger, chosen: ReplicateOptions) -> None:
    """Raise SettingsError for settings and options that cannot be, or could not act."""
    budget_of(settings.budget)
    names = [*ledger.sections, *(claim.id for claim in ledger.claims)]
    for word in settings.only:
        if not chosen_claims(ledger, [word]):
            raise SettingsError(f"--only {word}: no section or claim of this ledger{nearest(word, names)}")
    if chosen.cluster is not None and chosen.backend == "loky":
        raise SettingsError("--cluster: acts only with --backend dask or ray")
    if chosen.write is not None and chosen.resume is None:
        raise SettingsError("--write: writes the pages of a run that is there; name it by --resume")
    ways = {"--list": chosen.list_, "--plan": chosen.plan, "--dry-run": chosen.dry_run, "--write": chosen.write}
    if len(given := [flag for flag, value in ways.items() if value]) > 1:
        raise SettingsError(f"{given[1]}: give it or {given[0]}")


def wanted_claims(evidence: Evidence, claims: Sequence[Claim]) -> list[tuple[Claim, str]]:
    """Return the claims that are attempted, each with its world."""
    ledger = evidence.ledger
    return [
        (claim, world)
        for claim in claims if not evidence.not_attempted(claim)
        for world in ledger.worlds if not claim.worlds or world in claim.worlds
    ]  # fmt: skip


def different_trainings(evidence: Evidence, claims: Sequence[Claim]) -> dict[tuple[str, str], AnyTraining]:
    """Return the trainings that claims are judged on, by run and world; those with the same settings once."""
    wanted = [(claim, world) for claim, world in wanted_claims(evidence, claims) if claim.kind not in STATED]
    trainings = evidence.trainings(wanted)
    return {key: trainings[key] for key in dict.fromkeys(shared(trainings).values())}


def plan_rows(evidence: Evidence, trainings: int, seconds: float) -> list[PlanRow]:
    """Return for each look what all claims take together, and the difference that one of weight 1 shows there.

    `trainings` are the different ones, `seconds` what one seed of all of them takes.
    """
    judged = [claim for claim in evidence.ledger.claims if claim.kind not in STATED]
    error = error_of(replace(judged[0], weight=1.0), evidence.ledger, len(LOOKS)) if judged else ERROR
    return [
        PlanRow(look, seeds, trainings * seeds, seconds * seeds, detectable(DEVIATION, seeds, error))
        for look, seeds in enumerate(LOOKS, 1)
    ]


def not_attempted(evidence: Evidence, claims: Sequence[Claim]) -> dict[str, str]:
    """Return why claims are not attempted, by their ids."""
    return {claim.id: why for claim in claims if (why := evidence.not_attempted(claim))}


def in_words(missing: Mapping[str, str]) -> list[str]:
    """Say which claims are not attempted, a line for each reason."""
    return [
        f"Not attempted: {', '.join(name for name, reason in missing.items() if reason == why)}: {why}"
        for why in dict.fromkeys(missing.values())
    ]


def beside_looks(evidence: Evidence, claims: Sequence[Claim]) -> list[str]:
    """Say which claims no look is taken at: they need no training, or are stated by the reports of a few, or lack it.

    The last are told as `in_words` does.
    """
    missing = not_attempted(evidence, claims)
    stated = [claim for claim in claims if claim.kind in STATED and claim.id not in missing]
    lines = []
    for trained, words in ((False, "No training needed"), (True, "Judged on 1 to 3 trainings each, not timed")):
        if ids := [claim.id for claim in stated if bool(evidence.of(claim.run)) == trained]:
            lines.append(f"{words}: {', '.join(ids)}")
    return [*lines, *in_words(missing)]


def plan_replication(evidence: Evidence, claims: Sequence[Claim], settings: ClaimSettings, jobs: int) -> list[str]:
    """Return what a replication would do, line by line."""
    inputs = evidence.inputs
    lines = [
        f"{name.capitalize()}: {value}" + ("" if name in inputs.given else ", built in")
        for name, value in inputs.found.items()
    ]
    missing = not_attempted(evidence, claims)
    lines += in_words(missing)
    for name, entry in evidence.ledger.inputs.items():
        numbers = [claim.id for claim in claims if claim.printed is not None and evidence.input_of(claim) == name]
        if entry.images and numbers and name in inputs.given:
            lines.append(
                f"Printed numbers, attempted only if --{name} has {entry.images} images of {entry.classes} classes as "
                f"the report's data has: {', '.join(numbers)}"
            )
    wanted, different = wanted_claims(evidence, claims), len(different_trainings(evidence, claims))
    counts = ", ".join(f"{seeds} seeds {different * seeds:,}" for seeds in LOOKS)
    lines.append(f"Claims: {counted(len(wanted), 'verdict')} on {counted(len(claims) - len(missing), 'claim')}")
    lines.append(f"Trainings, if all claims took so many seeds: {counts}; {jobs or cores()} side by side")
    spent = settings.budget or "none: until every claim is decided or has had its last look"
    whole = "; a look at a claim, 6 seeds at least, is not cut short" if settings.budget else ""
    return [*lines, f"Budget: {spent}{whole}"]

"""What a replication found: of each claim in each world a verdict, and the figure that decided it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

ClaimVerdict = Literal["supported", "contradicted", "undecided", "not attempted"]
VERDICTS: tuple[ClaimVerdict, ...] = ("supported", "contradicted", "undecided", "not attempted")


@dataclass(frozen=True)
class Estimate:
    """One comparison that a claim rests on, over `seeds`: its mean, standard deviation and interval, in its own unit.

    `against` is what the claim holds it to: a margin, a number, the printed value. The interval's confidence is that
    of one look at one claim, so that all claims and looks together err with 5% at most; of a printed number it is for
    one new run.
    """

    what: str
    seeds: int
    mean: float
    deviation: float
    low: float
    high: float
    verdict: ClaimVerdict


@dataclass(frozen=True)
class Alternative:
    """The verdict under another choice that the runs allow, such as another margin or another epoch's weights."""

    choice: str
    verdict: ClaimVerdict


@dataclass(frozen=True)
class Judged:
    """One claim in one world. `why` is the figure that decided it, or what is missing; `more_seeds` is how many seeds
    would decide at this mean and deviation, null where it is decided or none would.

    `fragile` are the choices, and the worlds, in which the claim is decided the other way. `folders` are the runs it
    rests on, `commands` what repeats one of each.
    """

    world: str
    verdict: ClaimVerdict
    why: str
    seeds: int
    estimates: list[Estimate]
    more_seeds: int | None
    alternatives: list[Alternative]
    fragile: list[str]
    folders: list[str]
    commands: list[str]


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the report with its verdict in each world.

    `margin` is the difference that matters and `value` the number that it is held to, both in its `unit`: accuracies,
    told in points, or that of the measure itself, such as epochs; empty for a ratio, and for what a report states.
    """

    id: str
    section: str
    claim: str
    kind: str
    measure: str
    unit: str
    printed: float | None
    value: float
    margin: float | None
    weight: float
    judged: list[Judged]


@dataclass(frozen=True)
class InputSummary:
    """What stood in for the report's data or weights; counts are null of weights."""

    name: str
    source: str
    fingerprint: str
    images: int | None
    classes: int | None


@dataclass(frozen=True)
class MeasuredRun:
    """What the trainings of one run measured in a world: mean accuracies over `seeds`, of the weights that were kept.

    Standard deviations are over seeds, null where there is one; `failed` trainings more diverged or ended otherwise
    without a network. `command` repeats the first seed's.
    """

    run: str
    world: str
    seeds: int
    failed: int
    training: float
    training_deviation: float | None
    validation: float
    validation_deviation: float | None
    command: str


@dataclass(frozen=True)
class ReplicationResults:
    """What became of a report's claims.

    `looks` are the numbers of seeds at which claims are judged; `trials` the trainings that were run for all of them,
    `trial_seconds` their time in all.
    """

    ledger: str
    title: str
    worlds: dict[str, dict[str, str]]
    sections: dict[str, str]
    inputs: list[InputSummary]
    looks: list[int]
    error: float
    trials: int
    trial_seconds: float
    claims: list[ClaimResult]
    verdict: str
    runs: list[MeasuredRun] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        """The data that the claims were judged on."""
        return [one.source for one in self.inputs if one.images is not None]

    def counts(self, world: str) -> dict[ClaimVerdict, int]:
        """Return how many claims have each verdict in a world."""
        found = Counter(one.verdict for claim in self.claims for one in claim.judged if one.world == world)
        return {verdict: found[verdict] for verdict in VERDICTS}


@dataclass(frozen=True)
class PlanRow:
    """What all claims take together at one look, and the difference that it shows with a power of 0.8.

    `seconds` are those of all trainings whose time is known, as many side by side as there are jobs.
    """

    look: int
    seeds: int
    trainings: int
    seconds: float
    detectable: float

"""What an ablation found: what each ingredient brings, and how every combination of them did."""

from dataclasses import dataclass
from typing import Any, Literal

from a2cli.reports.best_results import BestRun
from a2cli.reports.study_results import PairVerdict, TrialOutcome
from a2cli.reports.training_results import Spread

Design = Literal["one-out", "orders", "all"]


@dataclass(frozen=True)
class Contribution:
    """What one ingredient brings, as differences of accuracy seed by seed, each with the verdict on having it.

    `settings` are what stands there once it is taken away. `alone` is the whole against the whole without it;
    `average` its mean contribution over orders of taking ingredients away (Shapley 1953), over the orders drawn or over
    all of them. Of one design's contributions all intervals together hold with 95%; null with fewer than two seeds.
    """

    name: str
    settings: dict[str, Any]
    alone: PairVerdict | None
    average: PairVerdict | None

    def decisive(self, design: Design) -> PairVerdict | None:
        """Return the verdict that a design asks for."""
        return self.alone if design == "one-out" else self.average


WHOLE, NOTHING = "all", "none"


def called(combination: str) -> str:
    """Return a combination's name as it is shown: `none` alone would read as a negation."""
    return {WHOLE: "all ingredients", NOTHING: "without any ingredient"}.get(combination, combination)


@dataclass(frozen=True)
class Combination:
    """The runs with these ingredients kept, one a seed; `accuracy` is over those that count, from two on."""

    name: str
    kept: list[str]
    runs: list[TrialOutcome]
    accuracy: Spread | None


@dataclass(frozen=True)
class AblationResults:
    """What an ablation found; `ingredients` are in the order in which they bring most, `combinations` the whole first.

    `margin` is the difference of accuracy within which an ingredient makes none. `best` is the run that `--best`
    prints, null where none has a network.
    """

    trains: str
    design: Design
    margin: float
    seeds: list[int]
    ingredients: list[Contribution]
    combinations: list[Combination]
    verdict: str
    best: BestRun | None = None

"""What a comparison of contenders found: each one's tuning, runs and spread, and a verdict on each pair."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from a2cli.columns import Column, fields_of
from a2cli.formats import interval, mean_and_deviation
from a2cli.reports.best_results import BestRun
from a2cli.reports.training_results import Spread

TrialStatus = Literal["done", "diverged", "failed"]
Tuning = Literal["grid", "none"]
Verdict = Literal["better", "worse", "equivalent", "undecided"]
OPPOSITE: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class TrialOutcome:
    """One training run of a contender, as it can be found in `folder`; `reason` says why it is not done.

    `accuracy` is the kept weights' on the validation images. A run that diverged counts as always answering the
    largest class, where another run of the same seed says what that is worth; one that failed counts for nothing.
    `epochs` and `seconds` are those until the target accuracy, null where it was not reached.
    """

    seed: int
    learning_rate: float
    status: TrialStatus
    reason: str
    accuracy: float | None
    train_accuracy: float | None
    epochs: int | None
    seconds: float | None
    folder: str
    weights_sha256: str = ""


@dataclass(frozen=True)
class RatePoint:
    """One learning rate in a contender's tuning: its runs' mean accuracy, null where none was done."""

    learning_rate: float
    accuracy: float | None
    runs: list[TrialOutcome]


@dataclass(frozen=True)
class Contender:
    """One setting in the comparison, with the learning rate it was given or that tuning chose.

    `low_rate` to `high_rate` is the range searched; `at_edge` marks a best rate at its end even after the range was
    extended. `accuracy` is over the judged seeds, from two on.
    """

    name: str
    settings: dict[str, Any]
    learning_rate: float
    low_rate: float | None
    high_rate: float | None
    at_edge: bool
    tuning: list[RatePoint]
    runs: list[TrialOutcome]
    accuracy: Spread | None
    reached: int
    epochs_to_target: float | None
    seconds_to_target: float | None
    diverged: int
    failed: int


@dataclass(frozen=True)
class PairVerdict:
    """A contender against another: the mean difference of their accuracies over the seeds that both have.

    The interval is Student's on the paired differences, with the variance of rounding to whole images added, at a
    confidence of 1 - 0.05 / the number of pairs (Dunn 1961), so that the intervals of a table have
    simultaneous 95% confidence. `more_seeds` is how many would decide at this mean and deviation; null where decided,
    or where no number below 10,000 would.
    """

    first: str
    second: str
    seeds: int
    difference: float
    low: float
    high: float
    verdict: Verdict
    more_seeds: int | None

    def reversed(self) -> "PairVerdict":
        """Return the same, of the second against the first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            verdict=OPPOSITE.get(self.verdict, self.verdict),
        )


PAIRS = fields_of(PairVerdict)


def called(contender: str) -> str:
    """Return a contender's name as it is shown: of one without a scheduler, `none` alone would read as a negation."""
    return " ".join("scheduler none" if word == "none" else word for word in contender.split(" "))


def contender_columns(target: float | None, digits: int = 2) -> list[Column[Contender]]:
    """Return the columns of a table of contenders, with the target accuracy, if any; `digits` are the interval's."""
    return [
        Column("contender", lambda row: row.name, text=lambda row: called(row.name)),
        Column("learning_rate", lambda row: row.learning_rate, "g", title="rate"),
        Column("accuracy", mean_of, text=accuracy_text),
        Column("deviation", lambda row: row.accuracy and row.accuracy.deviation, printed=False),
        Column("low", lambda row: row.accuracy and row.accuracy.low, printed=False),
        Column("high", lambda row: row.accuracy and row.accuracy.high, printed=False),
        Column("95%", text=lambda row: interval(row.accuracy, digits) if row.accuracy else ""),
        Column("train_accuracy", _train_mean, ".3f", title="training", printed=False),
        Column("epochs_to_target", lambda row: row.epochs_to_target, title=f"to {target or 0:.2f}", text=_reached,
               printed=bool(target)),
        Column("reached", lambda row: row.reached, printed=False),
        Column("at_edge", lambda row: row.at_edge, printed=False),
        Column("diverged", lambda row: row.diverged, printed=False),
        Column("failed", lambda row: row.failed, printed=False),
        Column("marks", title="", text=_marks),
    ]  # fmt: skip


def accuracies(runs: Iterable[TrialOutcome]) -> list[float]:
    """Return the accuracies of the runs that have one."""
    return [run.accuracy for run in runs if run.accuracy is not None]


def mean_accuracy(runs: Iterable[TrialOutcome]) -> float | None:
    """Return the mean accuracy of the runs that have one; None where none has."""
    values = accuracies(runs)
    return fmean(values) if values else None


def mean_of(one: Any) -> float | None:
    """Return the mean accuracy of a contender or a combination."""
    return one.accuracy.mean if one.accuracy else mean_accuracy(one.runs)


def accuracy_text(one: Any) -> str:
    """Return the mean accuracy of a contender or a combination as printed, from two seeds on with its deviation."""
    if one.accuracy:
        return mean_and_deviation(one.accuracy)
    mean = mean_of(one)
    return "none" if mean is None else f"{mean:.3f}"


def bad_ends(counts: Mapping[str, int]) -> list[str]:
    """Return in words how many runs diverged and how many failed, by their number of each status."""
    return [f"{counts[status]} {status}" for status in ("diverged", "failed") if counts[status]]


def _train_mean(contender: Contender) -> float | None:
    values = [run.train_accuracy for run in contender.runs if run.train_accuracy is not None]
    return fmean(values) if values else None


def _reached(contender: Contender) -> str:
    """Return the epochs to the target, and how many runs reached it, if not all."""
    some = f" {contender.reached}/{len(contender.runs)}" if 0 < contender.reached < len(contender.runs) else ""
    return f"{contender.epochs_to_target:g} ep{some}" if contender.epochs_to_target else f"-{some}"


def _marks(contender: Contender) -> str:
    ends = bad_ends({"diverged": contender.diverged, "failed": contender.failed})
    return ", ".join(["edge"] * contender.at_edge + ends)


@dataclass(frozen=True)
class Table:
    """One way of comparing, tuned or at one rate for all: the contenders, best first, and all pairs of them."""

    tuning: Tuning
    contenders: list[Contender]
    pairs: list[PairVerdict]
    verdict: str

    def against(self, name: str) -> dict[str, PairVerdict]:
        """Return the verdict on one contender against each other that it was compared with, by the other's name."""
        own = {pair.second: pair for pair in self.pairs if pair.first == name}
        return own | {pair.first: pair.reversed() for pair in self.pairs if pair.second == name}


@dataclass(frozen=True)
class ComparisonResults:
    """What a comparison found: a table for each way of tuning, the target accuracy, the margin of equivalence.

    `best` is the run that `--best` prints, null where none has a network.
    """

    margin: float
    target: float | None
    judged_seeds: list[int]
    tuning_seeds: list[int]
    tables: list[Table]
    verdict: str
    best: BestRun | None = None

    def suffix(self, table: Table) -> str:
        """Return what the names of a table's files end in."""
        return "" if table.tuning == "grid" or len(self.tables) == 1 else "-one-rate"


@dataclass(frozen=True)
class PlanRow:
    """What so many judged seeds would take, and the difference of two contenders that they find with power 0.8."""

    seeds: int
    trials: int
    seconds: float
    detectable: float
    fits: bool


@dataclass(frozen=True)
class Plan:
    """What a comparison would cost: a trial's seconds as measured, the deviation over seeds taken for a difference,
    and for rising numbers of seeds what they would take; `best` is the largest number that fits the budget."""

    trial_seconds: float
    jobs: int
    deviation: float
    deviation_from: str
    budget: float | None
    rows: list[PlanRow]
    best: int | None
    verdict: str

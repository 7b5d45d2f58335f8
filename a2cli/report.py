"""What a run's report holds, as dataclasses; `report.json` and its JSON Schema are made from them."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from a2cli.versions import newest

if TYPE_CHECKING:  # making the dataclasses of all results takes as long as parsing a command line
    from pydantic import TypeAdapter

    from a2cli.results.best import ChosenRun
    from a2cli.results.data import NearDuplicate
    from a2cli.results.training import EpochLog
    from a2cli.results.transfer import TransferResults
    from a2cli.results.union import Results

SCHEMA_VERSION = newest("report")
T = TypeVar("T")


@dataclass(frozen=True)
class DataSummary:
    """The data as used: counts by class and split, what was left out, and the SHA-256 of pixels and labels.

    `identical` are the names of each group of images with the same pixels; `near_duplicates` the worst of so many
    pairs of nearly identical images.
    `passed_over` counts files that were there and not read, by ending, and those in folders of tools by the folder;
    `unused` are columns or arrays that were not read, `constant` the images of one single value, and `scaling` says
    how images of more than 8 bits were brought to 8.
    """

    source: str
    classes: dict[str, int]
    train: int
    val: int
    test: int
    skipped: list[str]
    fingerprint: str
    identical: list[list[str]] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)
    scaling: str = ""
    near_duplicates: "list[NearDuplicate]" = field(default_factory=list)
    near_duplicate_pairs: int = 0


@dataclass(frozen=True)
class Report:
    """The whole report; `history` holds each seed's epochs.

    `seconds` is what the last session's time was spent on, and `all` of it; earlier versions had only some of it.

    `transfer` is what the training of a network on a backbone has besides. `test_reads` counts those by --final,
    `test_curve_reads` those after each epoch by --test-curve. `chosen` are the runs that were used in
    the place of those that --run named. Version 1 of the schema had no `sha256`.
    """

    command: str
    config: dict[str, Any]
    environment: dict[str, str | int]
    status: Literal["running", "done", "interrupted", "diverged", "failed"]
    created: str
    data: DataSummary | None = None
    results: "Results | None" = None
    transfer: "TransferResults | None" = None
    history: "dict[str, list[EpochLog]]" = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    test_reads: int = 0
    test_curve_reads: int = 0
    chosen: "list[ChosenRun]" = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION
    sha256: str = ""  # of all the rest, filled in as it is written

    @property
    def sources(self) -> list[str]:
        """The data that the results are of, as they were named."""
        from a2cli.results.invariance import InvarianceResults
        from a2cli.results.weights import WeightResults

        if self.data:
            return [self.data.source]
        if isinstance(self.results, InvarianceResults):
            return list(dict.fromkeys(run.source for run in self.results.runs))
        if isinstance(self.results, WeightResults):
            return list(dict.fromkeys(network.source for network in self.results.networks if network.source))
        return [str(self.config["data"])] if self.config.get("data") else []

    @property
    def is_tested(self) -> bool:
        """Whether a training is done and its networks were tried on the test images."""
        from a2cli.results.training import TrainingResults

        results = self.results
        return self.status == "done" and isinstance(results, TrainingResults) and all(r.test for r in results.runs)


def new_report(command: str, config: dict[str, Any], environment: dict[str, str | int], **more: Any) -> Report:
    """Return the report of what is done by now; `more` are further fields of it, or other values of these."""
    by_now = {"status": "done", "created": datetime.now(UTC).isoformat(timespec="seconds")}
    return Report(command=command, config=config, environment=environment, **{**by_now, **more})


@dataclass(frozen=True)
class RunProgress:
    """How far one of several runs side by side is: epochs done and in all, and its last validation accuracy."""

    title: str
    done: int
    epochs: int
    accuracy: float | None
    ended: bool


class Clock:
    """Adds up the time that passes by what it is spent on, so that the parts make up the whole."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._on, self._since = "starting", time.perf_counter()

    def turn(self, spent_on: str) -> None:
        """Count what passes from now on for this."""
        now = time.perf_counter()
        self._spent[self._on] = self._spent.get(self._on, 0.0) + now - self._since
        self._on, self._since = spent_on, now

    def seconds(self, before: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return the seconds spent on each thing and on `all`, since the clock began or since those `before`."""
        self.turn(self._on)
        found = {name: spent - (before or {}).get(name, 0.0) for name, spent in self._spent.items()}
        found = {name: spent for name, spent in found.items() if spent > 0}
        return {**found, "all": sum(found.values())}


class ProgressReporter:
    """Receives the progress of an experiment: this one ignores it, but adds up the time; the console's prints it.

    Its clock turns as it is told what begins.
    """

    def __init__(self) -> None:
        self.clock = Clock()

    def phase(self, text: str, spent_on: str = "preparing", *, brief: bool = False) -> None:
        """Begin a phase, whose time counts for `spent_on`; `brief` if it usually ends at once."""
        self.clock.turn(spent_on)

    def step(self, text: str) -> None:
        """Begin a step of the phase."""

    def at(self, done: float, total: float | None, unit: str = "") -> None:
        """Report how much of the phase is done."""

    def batches(self, batches: Iterable[T], count: int) -> Iterable[T]:
        """Yield `count` batches or other pieces of equal length, and count them; `count` is 0 where it is unknown."""
        return batches

    def parts(self, names: Sequence[str], lengths: Sequence[float] = (), *, by_batches: bool = False) -> Iterator[str]:
        """Yield the names of the parts that a whole is made of, each as it begins; without `lengths` all are equal.

        How far one is goes by its training, or by its batches.
        """
        return iter(names)

    def warn(self, text: str, because: BaseException | None = None) -> None:
        """Print a warning before the experiment goes on, with the error that it is due to, if any."""

    def start(self, title: str, epochs: int, done: int) -> None:
        """Begin a training run of this many epochs, of which `done` are done already."""
        self.clock.turn("training")

    def epoch(self, log: "EpochLog") -> None:
        """Report an epoch that has ended."""

    def runs(self, runs: Sequence[RunProgress]) -> None:
        """Report how much is done of several runs that train at the same time."""
        self.clock.turn("training")

    def leaderboard(
        self, title: str, done: int, total: int, rows: Sequence[Sequence[str]], later: int = 0, under_way: float = 0.0
    ) -> None:
        """Report how many of a round's trials are done, and of each contender its name, its trials, its best accuracy.

        `later` are the trials of the rounds after it, `under_way` the trials that what has begun amounts to.
        """
        self.clock.turn("training")


NullReporter = ProgressReporter  # where it is made, it says that nobody looks on


class WarningCollector(NullReporter):
    """Ignores all progress, and keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str, because: BaseException | None = None) -> None:
        self.warnings.append(text)


def to_json(value: Any) -> str:
    """Return a dataclass or plain value as strict JSON in UTF-8: a number that is not finite becomes null."""
    return (
        json.dumps(
            _finite(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value),
            indent=1,
            allow_nan=False,
        )
        + "\n"
    )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they are once written as JSON and read again."""
    found: dict[str, Any] = json.loads(to_json(dict(values)))
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):  # bytes of a file's name that are no text, which JSON in UTF-8 cannot hold
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_finite(str(key)): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def report_from(values: object) -> Report:
    """Return the report that `to_json` wrote; raises ValueError where the values are not one."""
    return _reports().validate_python(values)


@cache
def _reports() -> "TypeAdapter[Report]":
    """Return what checks reports, made once: that takes ten times as long as checking one."""
    from pydantic import TypeAdapter

    # Pydantic looks up the names in the report's annotations here.
    from a2cli.results.best import ChosenRun  # noqa: F401
    from a2cli.results.data import NearDuplicate  # noqa: F401
    from a2cli.results.training import EpochLog  # noqa: F401
    from a2cli.results.transfer import TransferResults  # noqa: F401
    from a2cli.results.union import Results  # noqa: F401

    return TypeAdapter(Report)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `report.json`."""
    return _reports().json_schema(mode="serialization")

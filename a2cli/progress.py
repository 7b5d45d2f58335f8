"""What an experiment tells of its progress, and the clock that adds up its time."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


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
        by_activity = {name: spent - (before or {}).get(name, 0.0) for name, spent in self._spent.items()}
        by_activity = {name: spent for name, spent in by_activity.items() if spent > 0}
        return {**by_activity, "all": sum(by_activity.values())}


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

    def warn_all(self, texts: Iterable[str]) -> None:
        """Print several warnings."""
        for text in texts:
            self.warn(text)

    def start(self, title: str, epochs: int, done: int) -> None:
        """Begin a training run of this many epochs, of which `done` are done already."""
        self.clock.turn("training")

    def epoch(self, log: Any) -> None:
        """Report an epoch that has ended, as its `EpochLog`."""

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

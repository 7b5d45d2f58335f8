"""What goes on at present and how far it is, as the progress that people see needs it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Activity:
    """What goes on: its title and step, how far it is, and what else is known, the most important first."""

    title: str = ""
    step: str = ""
    done: float = 0.0
    total: float | None = None
    counted: str = ""  # how far it is in words, else in per cent
    details: Sequence[str] = ()
    is_training: bool = False
    began: float = field(default_factory=lambda: time.monotonic())
    began_with: float = 0.0
    later: float = 0.0  # what comes after it, in the units of `total`

    def left(self) -> float | None:
        """Return the seconds until all is done, as fast as it was so far; None where that is not known."""
        passed, ran = time.monotonic() - self.began, self.done - self.began_with
        return passed / ran * (self.total - self.done + self.later) if self.total and ran > 0 else None

    def how_far(self) -> str:
        return self.counted or (f"{min(1.0, self.done / self.total):.0%}" if self.total else "")


@dataclass
class Part:
    """One of the parts of a whole, such as a seed: which of how many, what lies before it, the share of it done."""

    name: str
    number: int
    count: int
    before: float
    length: float
    total: float
    by_batches: bool
    done: float = 0.0

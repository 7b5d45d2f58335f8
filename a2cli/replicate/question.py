"""A claim in one world: what is asked of the runs, and what they say so far."""

from dataclasses import dataclass

from a2cli.replicate.claims import STATED, Claim
from a2cli.replicate.decisions import LOOKS
from a2cli.replicate.judging import Finding
from a2cli.replicate.results import Judged


@dataclass
class Question:
    """A claim in one world: the look that it is at, -1 before the first, and what its runs say there."""

    claim: Claim
    world: str
    missing: str = ""  # why it is not attempted
    look: int = -1
    finding: Finding | None = None
    found: Judged | None = None  # of a claim on what a report states

    @property
    def is_open(self) -> bool:
        if self.missing or self.claim.kind in STATED or self.look + 1 == len(LOOKS):
            return False
        return self.finding is None or (self.finding.verdict == "undecided" and self.finding.has_room)

    def seeds(self, first: int, look: int) -> range:
        """Return the seeds of a look, none before the first."""
        return range(first, first + (LOOKS[look] if look >= 0 else 0))

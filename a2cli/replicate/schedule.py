"""Which claims get more seeds next: the cheapest decision first, until the budget is spent."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from a2cli.errors import SettingsError
from a2cli.formats import seconds_of

BATCH = 16  # trainings that a round wants at least, whatever runs side by side, so that rounds are the same everywhere
C = TypeVar("C")


def budget_of(text: str | None) -> tuple[float | None, int | None]:
    """Return a budget in seconds or in trainings, at most one of them; raises SettingsError."""
    if text is None:
        return None, None
    number = text.removesuffix("trainings").strip()
    if number.isdecimal() and int(number):
        return None, int(number)
    if (seconds := seconds_of(text)) is None:
        raise SettingsError(f"--budget: expected a time such as 2h or 90m, or a number of trainings, got {text!r}")
    return seconds, None


def next_claims(open_claims: Sequence[C], cost: Callable[[C], float | None], wants: Callable[[C], set[Any]]) -> list[C]:
    """Return the claims of the next round: those whose decision costs least, until they want enough trainings.

    `cost` is what deciding a claim would take, in seconds, None where no number of seeds would: those come last.
    `wants` are the trainings that its next look lacks; one that several claims want counts once.
    """
    costs = {id(claim): cost(claim) for claim in open_claims}

    def order(claim: C) -> tuple[bool, float]:
        each = costs[id(claim)]
        return each is None, each or 0.0

    chosen: list[C] = []
    lacking: set[Any] = set()
    for claim in sorted(open_claims, key=order):
        if len(lacking) >= BATCH:
            break
        chosen.append(claim)
        lacking |= wants(claim)
    return chosen

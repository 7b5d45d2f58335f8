"""Which claims get more seeds next: the cheapest decision first, until the budget is spent."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from a2cli.errors import SettingsError
from a2cli.formats import seconds_of
from a2cli.geometry import multiply_adds
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.training import TrainCnnSettings, TrainMlpSettings
from a2cli.settings.transfer import FinetuneSettings

BATCH = 16  # trainings that a round wants at least, whatever runs side by side, so that rounds are the same everywhere
STEP = 10**6  # what an image costs besides its forward pass, in multiply-adds: a step of a small network is overhead
BACKBONE = 50 * STEP  # an image through the part of a backbone that is trained, with what is kept of the rest
C = TypeVar("C")


def work_of(training: AnyTraining) -> float:
    """Return how much work a training is: its epochs, times what an image costs, in multiply-adds.

    The settings alone decide it, not the time that was measured, so that two people have the same rounds.
    """
    forward = BACKBONE if isinstance(training, FinetuneSettings) else 0
    if isinstance(training, TrainCnnSettings | TrainMlpSettings):
        forward = multiply_adds(training.network, training.dataset.image_size)
    return training.training.epochs * float(STEP + forward)


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

    `cost` is the work that deciding a claim would take, None where no number of seeds would: those come last.
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

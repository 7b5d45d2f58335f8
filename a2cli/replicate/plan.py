"""What a replication would take, from one short training of each kind that it has."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from a2cli.errors import DivergedError
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.replicate.checks import different_trainings, plan_rows
from a2cli.replicate.claims import Claim
from a2cli.replicate.evidence import Evidence
from a2cli.replicate.results import PlanRow
from a2cli.runtime import set_up
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.training import TrainCnnSettings, TrainMlpSettings
from a2cli.study.settings import trial_of
from a2cli.study.timing import trial_seconds


def time_replication(
    evidence: Evidence, claims: Sequence[Claim], device: str, seed: int, jobs: int, reporter: ProgressReporter
) -> tuple[list[PlanRow], list[str]]:
    """Time each training that claims are judged on over a few epochs, once for all worlds, and say what looks take.

    Return the looks, and the runs that were not timed: on features, in stages, or diverging. Raises as a training does.
    """
    device = str(set_up(device, 1))
    trainings = different_trainings(evidence, claims)
    timed = _timed(trainings, device, seed, reporter)
    seconds = sum(timed.get(name, 0.0) for name, _ in trainings) / jobs
    return plan_rows(evidence, len(trainings), seconds), sorted({name for name, _ in trainings} - timed.keys())


def _timed(
    trainings: Mapping[tuple[str, str], AnyTraining], device: str, seed: int, reporter: ProgressReporter
) -> dict[str, float]:
    seconds: dict[str, float] = {}
    by_name = {name: training for (name, _), training in trainings.items()
               if isinstance(training, TrainCnnSettings | TrainMlpSettings)}  # fmt: skip
    if by_name:
        reporter.phase("timing one short training of each run")
    for name, training in reporter.batches(by_name.items(), len(by_name)):
        with suppress(DivergedError):
            seconds[name], _ = trial_seconds(trial_of(training, seed, device), NullReporter())
    return seconds

"""The training that a study is of, and the settings of its trials."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from a2cli.settings.kinds import TRAINING, AnyTraining, T


def base_training(study: Any) -> AnyTraining:
    """Return the training that a study's settings begin with, without the study's own."""
    kind = next(kind for kinds in TRAINING.values() for kind in kinds if isinstance(study, kind))
    return kind(**{item.name: getattr(study, item.name) for item in fields(kind)})


def seeds_of(study: Any) -> list[int]:
    """Return the seeds that a study is judged on."""
    return list(range(study.training.seed, study.training.seed + study.training.seeds))


def with_values(settings: Any, values: Mapping[str, Any]) -> Any:
    """Return settings with these values by name, groups opened."""
    given = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        given[item.name] = with_values(value, values) if is_dataclass(value) else values.get(item.name, value)
    return replace(settings, **given)


def trial_of(training: T, seed: int, device: str) -> T:
    """Return the trial of a training with one seed; as trials fill the cores, each has one thread."""
    return replace(training, training=replace(training.training, seed=seed, seeds=1, threads=1, device=device))

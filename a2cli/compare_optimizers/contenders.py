"""Who competes in a comparison: settings crossed, their learning rates, and the trial that each one's run is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from a2cli.compare_optimizers.settings import AnyComparison, ComparisonSettings
from a2cli.errors import SettingsError
from a2cli.settings.optimizers import OPTIMIZERS
from a2cli.settings.training import ImageTraining
from a2cli.study.settings import base_training, trial_of, with_values

SHORT = {"batch_size": "batch ", "weight_decay": "decay ", "dropout": "dropout "}


@dataclass(frozen=True)
class Choice:
    """A contender: the settings in which it differs from the others, and its name made of them."""

    name: str
    values: Mapping[str, Any]


def axes_of(lists: ComparisonSettings) -> dict[str, list[Any]]:
    """Return the settings in which contenders differ, each with the values that are crossed."""
    axes = {
        "optimizer": lists.optimizers,
        "scheduler": lists.schedulers,
        "batch_size": lists.batch_sizes,
        "weight_decay": lists.weight_decays,
        "dropout": [(rate,) for rate in lists.dropouts],
    }
    return {name: list(values) for name, values in axes.items() if values}


def contenders_of(settings: AnyComparison) -> list[Choice]:
    """Return every crossing of the lists; raises SettingsError where there are fewer than two, or one comes twice."""
    axes = axes_of(settings.comparison)
    for name, listed in axes.items():
        if twice := [value for value in listed if listed.count(value) > 1]:
            raise SettingsError(f"--{name.replace('_', '-')}s: {_word(twice[0])} comes twice")
    shown = [name for name, listed in axes.items() if len(listed) > 1]
    choices = []
    for crossing in product(*axes.values()):
        values = dict(zip(axes, crossing, strict=True))
        words = [f"{SHORT.get(name, '')}{_word(values[name])}" for name in (shown or ["optimizer"])]
        choices.append(Choice(" ".join(words), values))
    if len(choices) < 2:
        raise SettingsError("nothing to compare: name two --optimizers, --schedulers or --batch-sizes at least")
    return choices


def _word(value: Any) -> str:
    value = value[0] if isinstance(value, tuple) else value
    return f"{value:g}" if isinstance(value, float) else str(value)


def rate_grid(choice: Choice, settings: ComparisonSettings) -> list[float]:
    """Return the contender's learning rates, log-spaced, rising."""
    usual = OPTIMIZERS[choice.values["optimizer"]].usual_rate
    low, high = settings.rate_range or (usual / 10, usual * 10)
    steps = settings.rates - 1
    return [_rounded(low * (high / low) ** (i / steps)) for i in range(settings.rates)]


def next_rate(rates: Sequence[float], best: float) -> float:
    """Return the rate beyond the end of its range at which the best one lies."""
    if best == rates[0]:
        return _rounded(rates[0] * rates[0] / rates[1])
    return _rounded(rates[-1] * rates[-1] / rates[-2])


def _rounded(rate: float) -> float:
    """Return a rate with three digits, as it is written on a command line."""
    return float(f"{rate:.3g}") if rate else math.nan


def trial_settings(settings: AnyComparison, choice: Choice, rate: float, seed: int, device: str) -> ImageTraining:
    """Return what `a2 train-cnn` or `a2 train-mlp` alone would be given for one trial."""
    contender: ImageTraining = with_values(base_training(settings), {**choice.values, "learning_rate": rate})
    return trial_of(contender, seed, device)

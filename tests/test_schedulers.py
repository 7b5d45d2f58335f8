"""Every scheduler against torch's own at every epoch."""

import random
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from a2cli.settings.training import TrainingSettings
from a2cli.training.schedulers import Schedule

EPOCHS = 40


def ours(metrics: list[float], **settings: Any) -> list[float]:
    schedule = Schedule(TrainingSettings(epochs=EPOCHS, learning_rate=0.1, **settings))
    rates = []
    for epoch, metric in enumerate(metrics):
        rates.append(schedule.learning_rate(epoch))
        schedule.observe(epoch, metric)
    return rates


def theirs(metrics: list[float], make: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for metric in metrics:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([metric] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))
    return rates


CASES = {
    "step": (
        {"scheduler": "step", "step_size": 7, "gamma": 0.3},
        lambda o: lr_scheduler.StepLR(o, 7, 0.3),
    ),
    "multistep": (
        {"scheduler": "multistep", "milestones": (4, 5, 30), "gamma": 0.5},
        lambda o: lr_scheduler.MultiStepLR(o, [4, 5, 30], 0.5),
    ),
    "cosine": (
        {"scheduler": "cosine", "min_learning_rate": 0.01},
        lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS, 0.01),
    ),
    "plateau": (
        {"scheduler": "plateau", "plateau_patience": 2, "plateau_factor": 0.5, "min_learning_rate": 0.004},
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=2, factor=0.5, min_lr=0.004),
    ),
}


@pytest.mark.parametrize("kind", ["falling", "flat", "random", "negative"])
@pytest.mark.parametrize("name", CASES)
def test_equals_torchs(name: str, kind: str) -> None:
    draw = random.Random(0)
    metrics = {
        "falling": [1 / (epoch + 1) for epoch in range(EPOCHS)],
        "flat": [0.5] * EPOCHS,
        "random": [draw.random() for _ in range(EPOCHS)],
        "negative": [-draw.random() for _ in range(EPOCHS)],
    }[kind]
    settings, make = CASES[name]
    reference = metrics
    if name == "plateau" and kind == "negative":  # an accuracy, negated so that smaller is better: torch's mode "max"
        settings, reference = {**settings, "min_learning_rate": 0.0}, [-metric for metric in metrics]
        make = partial(lr_scheduler.ReduceLROnPlateau, mode="max", patience=2, factor=0.5)
    rates = ours(metrics, **settings)
    assert rates == pytest.approx(theirs(reference, make), rel=1e-9)
    assert len(set(rates)) > 1 or (name, kind) == ("plateau", "falling")


def test_none_stays() -> None:
    assert ours([0.5] * EPOCHS) == [0.1] * EPOCHS


def test_warmup_rises_to_the_full_rate_and_then_the_scheduler_begins() -> None:
    rates = ours([0.5] * EPOCHS, warmup_epochs=4, scheduler="step", step_size=3, gamma=0.5)
    assert rates[:8] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1, 0.05])
    cosine = ours([0.5] * EPOCHS, warmup_epochs=4, scheduler="cosine")
    assert cosine[4] == pytest.approx(0.1)
    assert 0 < cosine[-1] < 0.001

"""How long a trial takes, from a short one."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from a2cli.progress import NullReporter, ProgressReporter
from a2cli.runs.directory import Run
from a2cli.settings.kinds import AnyTraining
from a2cli.train.run import train_network

EPOCHS = 4


class _Timed(NullReporter):
    """Notes when each epoch ends, and passes on how far the training is."""

    def __init__(self, reporter: ProgressReporter) -> None:
        super().__init__()
        self.reporter, self.times = reporter, list[float]()

    def start(self, title: str, epochs: int, done: int) -> None:
        self.reporter.start("timing one trial", epochs, done)

    def batches(self, batches: Iterable[Any], count: int) -> Iterable[Any]:
        return self.reporter.batches(batches, count)

    def epoch(self, log: Any) -> None:
        self.times.append(time.perf_counter())
        self.reporter.epoch(log)


def trial_seconds(trial: AnyTraining, reporter: ProgressReporter) -> tuple[float, int]:
    """Return how long a whole trial takes, from the epochs of a short one, and how many images validate.

    Raises as `train_network` does.
    """
    # A warm-up may be longer than these epochs, and stopping early would make them fewer.
    training = replace(trial.training, epochs=EPOCHS, warmup_epochs=0, early_stopping=0)
    clock = _Timed(reporter)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        report = train_network(replace(trial, training=training), Run(Path(folder)), clock, figures=False)
        whole = time.perf_counter() - began
    epoch = (clock.times[-1] - clock.times[0]) / (EPOCHS - 1)
    assert report.data is not None, "a finished training has its data"
    return whole + (trial.training.epochs - EPOCHS) * epoch, report.data.val

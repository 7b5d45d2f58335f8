"""What a comparison would cost and could tell, from one short trial."""

import math
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from a2cli.compare_optimizers.contenders import contenders_of, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison
from a2cli.formats import in_points
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.reports.study_results import ComparisonResults, Plan, PlanRow
from a2cli.runs.directory import Run
from a2cli.statistics.pairs import detectable, half_width
from a2cli.train.run import train_network

EPOCHS = 4
SEEDS = (2, 3, 5, 8, 12, 20, 30, 50)
MOST_SEEDS = 1000
LIKELY = 0.65  # accuracy at which an unknown deviation is taken


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


def plan_comparison(
    settings: AnyComparison, jobs: int, budget: float | None, before: object, reporter: ProgressReporter
) -> Plan:
    """Time one trial of the first contender over a few epochs, and say what numbers of seeds would take and find.

    `budget` is in seconds; `before` are results of the same comparison, if there are any, whose deviation is taken.
    Raises as `train_network` does.
    """
    reporter.phase("timing one trial")
    seconds, val_images = _trial_seconds(settings, reporter)
    deviation, source = _deviation(before, val_images)
    choices, lists = len(contenders_of(settings)), settings.comparison
    tuning = 0 if lists.tuning == "none" else choices * lists.rates * lists.tuning_seeds
    tables = 2 if lists.tuning == "both" else 1

    def took(seeds: int) -> float:
        return math.ceil((tuning + choices * seeds * tables) / jobs) * seconds

    best = None
    if budget is not None:
        best = max((seeds for seeds in range(2, MOST_SEEDS + 1) if took(seeds) <= budget), default=None)
    rows = [
        PlanRow(
            seeds=seeds,
            trials=tuning + choices * seeds * tables,
            seconds=took(seeds),
            detectable=detectable(deviation, seeds, math.comb(choices, 2)),
            fits=budget is None or took(seeds) <= budget,
        )
        for seeds in sorted({*SEEDS, best or 1, settings.training.seeds} - {1})
    ]
    if budget is None:
        verdict = f"{tuning} trials tune, {choices} more judge with each seed; --budget 20m says what fits."
    elif best is None:
        verdict = "Nothing fits: fewer contenders, --rates, --tuning-seeds or --epochs would."
    else:
        finds = in_points(next(row.detectable for row in rows if row.seeds == best), ".0f")
        verdict = f"--seeds {best} fits, and finds differences of {finds}."
    return Plan(seconds, jobs, deviation, source, budget, rows, best, verdict)


def _trial_seconds(settings: AnyComparison, reporter: ProgressReporter) -> tuple[float, int]:
    """Return how long a whole trial takes, from the epochs of a short one, and how many images validate."""
    training = settings.training
    trial = trial_settings(settings, contenders_of(settings)[0], training.learning_rate, training.seed, training.device)
    # A warm-up may be longer than these epochs, and stopping early would make them fewer.
    short = replace(trial, training=replace(trial.training, epochs=EPOCHS, warmup_epochs=0, early_stopping=0))
    clock = _Timed(reporter)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        report = train_network(short, Run(Path(folder)), clock, figures=False)
        whole = time.perf_counter() - began
    epoch = (clock.times[-1] - clock.times[0]) / (EPOCHS - 1)
    assert report.data is not None, "a finished training has its data"
    return whole + (training.epochs - EPOCHS) * epoch, report.data.val


def _deviation(before: object, val_images: int) -> tuple[float, str]:
    """Return the deviation over seeds of a difference: the runs' own, or that of two independent shares."""
    if isinstance(before, ComparisonResults):
        deviations = [
            (pair.high - pair.low) / 2 / half_width(1.0, pair.seeds, len(table.pairs))
            for table in before.tables
            for pair in table.pairs
        ]
        if deviations:
            return median(deviations), "the middle one of the pairs run before"
    return math.sqrt(2 * LIKELY * (1 - LIKELY) / val_images), f"two independent shares of {val_images} images"

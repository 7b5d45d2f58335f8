"""What a comparison would cost and could tell, from one short trial."""

import math
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TypeVar

from a2cli.compare_optimizers.contenders import contenders_of, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison
from a2cli.formats import in_points
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.reports.study_results import ComparisonResults, Plan, PlanRow
from a2cli.reports.training_results import EpochLog
from a2cli.runs.directory import Run
from a2cli.statistics.pairs import detectable, half_width
from a2cli.train.run import train_network

T = TypeVar("T")
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

    def batches(self, batches: Iterable[T], count: int) -> Iterable[T]:
        return self.reporter.batches(batches, count)

    def epoch(self, log: EpochLog) -> None:
        self.times.append(time.perf_counter())
        self.reporter.epoch(log)


def plan_comparison(
    settings: AnyComparison,
    jobs: int,
    budget: float | None,
    before: object,
    reporter: ProgressReporter,
) -> Plan:
    """Time one trial of the first contender over a few epochs, and say what numbers of seeds would take and find.

    `budget` is in seconds; `before` are results of the same comparison, whose deviation is taken. Raises as
    `train_network` does.
    """
    reporter.phase("timing one trial")
    seconds, val_images = _trial_seconds(settings, reporter)
    deviation, source = _deviation(before, val_images)
    choices, lists = len(contenders_of(settings)), settings.comparison
    pairs = choices * (choices - 1) // 2
    tuning = 0 if lists.tuning == "none" else choices * lists.rates * lists.tuning_seeds
    tables = 2 if lists.tuning == "both" else 1

    def took(seeds: int) -> float:
        return math.ceil((tuning + choices * seeds * tables) / jobs) * seconds

    def row(seeds: int) -> PlanRow:
        fits = budget is None or took(seeds) <= budget
        return PlanRow(seeds, tuning + choices * seeds * tables, took(seeds), detectable(deviation, seeds, pairs), fits)

    best = None
    if budget is not None:
        best = max((seeds for seeds in range(2, MOST_SEEDS + 1) if took(seeds) <= budget), default=None)
    rows = [row(seeds) for seeds in sorted({*SEEDS, *([best] if best else []), settings.training.seeds} - {1})]
    return Plan(seconds, jobs, deviation, source, budget, rows, best, _verdict(rows, budget, best, tuning, choices))


def _trial_seconds(settings: AnyComparison, reporter: ProgressReporter) -> tuple[float, int]:
    """Return how long a whole trial takes, from the epochs of a short one, and how many images validate."""
    first = contenders_of(settings)[0]
    training = settings.training
    trial = trial_settings(settings, first, training.learning_rate, training.seed, training.device)
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
    known = [
        (pair.high - pair.low) / 2 / half_width(1.0, pair.seeds, len(table.pairs))
        for table in (before.tables if isinstance(before, ComparisonResults) else [])
        for pair in table.pairs
    ]
    if known:
        return median(known), "the middle one of the pairs run before"
    return math.sqrt(2 * LIKELY * (1 - LIKELY) / val_images), f"two independent shares of {val_images} images"


def _verdict(rows: Sequence[PlanRow], budget: float | None, best: int | None, tuning: int, choices: int) -> str:
    if budget is None:
        return f"{tuning} trials tune, {choices} more judge with each seed; --budget 20m says what fits."
    if best is None:
        return "Nothing fits: fewer contenders, --rates, --tuning-seeds or --epochs would."
    found = next(row for row in rows if row.seeds == best)
    return f"--seeds {best} fits, and finds differences of {in_points(found.detectable, '.0f')}."

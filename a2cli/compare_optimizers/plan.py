"""What a comparison would cost and could tell, from one short trial."""

import math
from statistics import median

from a2cli.compare_optimizers.contenders import contenders_of, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison
from a2cli.formats import in_points
from a2cli.progress import ProgressReporter
from a2cli.reports.study_results import ComparisonResults, Plan, PlanRow
from a2cli.statistics.pairs import ERROR, detectable, half_width
from a2cli.study.timing import trial_seconds

SEEDS = (2, 3, 5, 8, 12, 20, 30, 50)
MOST_SEEDS = 1000
LIKELY = 0.65  # accuracy at which an unknown deviation is taken


def plan_comparison(
    settings: AnyComparison, jobs: int, budget: float | None, before: object, reporter: ProgressReporter
) -> Plan:
    """Time one trial of the first contender over a few epochs, and say what numbers of seeds would take and find.

    `budget` is in seconds; `before` are results of the same comparison, if there are any, whose deviation is taken.
    Raises as `train_network` does.
    """
    reporter.phase("timing one trial")
    rate, seed, device = settings.training.learning_rate, settings.training.seed, settings.training.device
    seconds, val_images = trial_seconds(
        trial_settings(settings, contenders_of(settings)[0], rate, seed, device), reporter
    )
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
            detectable=detectable(deviation, seeds, ERROR / math.comb(choices, 2) / 2),
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

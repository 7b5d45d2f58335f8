"""Which figures a comparison has, and the CSV beside each."""

from functools import partial
from statistics import fmean
from typing import NamedTuple

from a2cli.columns import Column, named
from a2cli.compare_optimizers import figures as plots
from a2cli.reports.study_results import PAIRS, ComparisonResults, RatePoint, TrialOutcome, called, mean_of
from a2cli.reports.training_results import EpochLog
from a2cli.runs.directory import Run
from a2cli.study.ledger import Ledger, TrialKey


class _Epoch(NamedTuple):
    """An epoch of a contender's run, the seconds of training until its end, and whether its weights were kept."""

    contender: str
    seed: int
    log: EpochLog
    seconds: float
    kept: bool


EPOCHS = named(
    contender="contender",
    seed="seed",
    epoch="log.epoch",
    train_accuracy="log.train_accuracy",
    val_accuracy="log.val_accuracy",
    val_loss="log.val_loss",
    seconds="seconds",
    kept="kept",
)
TRIED: list[Column[tuple[str, RatePoint, TrialOutcome]]] = [
    Column("contender", lambda row: row[0]),
    Column("learning_rate", lambda row: row[1].learning_rate),
    Column("seed", lambda row: row[2].seed),
    Column("status", lambda row: row[2].status),
    Column("accuracy", lambda row: row[2].accuracy),
]


def draw_comparison(run: Run, ledger: Ledger, results: ComparisonResults) -> None:
    """Draw for each way of tuning the curves, the verdicts and the rates that were tried."""
    for table in results.tables:
        suffix = results.suffix(table)
        histories, kept, rows = {}, {}, []
        for contender in table.contenders:
            keys = {
                one.seed: TrialKey(called(contender.name), contender.learning_rate, one.seed) for one in contender.runs
            }
            runs = {seed: history for seed, key in keys.items() if (history := ledger.history(key))}
            epochs = {seed: result.kept_epoch for seed, key in keys.items() if (result := ledger.result(key))}
            histories[contender.name] = runs
            if epochs:
                seconds = fmean(runs[seed][epoch - 1][1] for seed, epoch in epochs.items())
                kept[contender.name] = fmean(epochs.values()), seconds, mean_of(contender) or 0.0
            rows += [
                _Epoch(contender.name, seed, log, seconds, log.epoch == epochs.get(seed))
                for seed, history in runs.items()
                for log, seconds in history
            ]
        for name, over in (("curves", "epoch"), ("time", "seconds")):
            run.save_figure(f"{name}{suffix}", partial(plots.curves, histories, kept, over), EPOCHS, rows)
        if table.pairs:
            run.save_figure(f"verdicts{suffix}", partial(plots.verdicts, table, results.margin), PAIRS, table.pairs)
        if table.tuning == "grid":
            tried = [
                (one.name, point, trial) for one in table.contenders for point in one.tuning for trial in point.runs
            ]
            run.save_figure("rates", partial(plots.rates, table), TRIED, tried)

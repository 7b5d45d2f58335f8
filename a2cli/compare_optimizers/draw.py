"""Which figures a comparison has, and the CSV beside each."""

from functools import partial
from statistics import fmean

from a2cli.columns import placed
from a2cli.compare_optimizers import figures as plots
from a2cli.reports.study_results import PAIRS, ComparisonResults, called, mean_of
from a2cli.runs.directory import Run
from a2cli.study.ledger import Ledger, TrialKey

# Seconds are of training until the epoch's end; kept: whether its weights were.
EPOCHS = placed("contender", "seed", "epoch", "train_accuracy", "val_accuracy", "val_loss", "seconds", "kept")
TRIED = placed("contender", "learning_rate", "seed", "status", "accuracy")


def draw_comparison(run: Run, ledger: Ledger, results: ComparisonResults) -> None:
    """Draw for each way of tuning the curves, the verdicts and the rates that were tried."""
    for table in results.tables:
        suffix = results.suffix(table)
        histories, kept, rows = {}, {}, []
        for contender in table.contenders:
            name, rate = contender.name, contender.learning_rate
            keys = {trial.seed: TrialKey(called(name), rate, trial.seed) for trial in contender.runs}
            runs = {seed: history for seed, key in keys.items() if (history := ledger.history(key))}
            epochs = {seed: result.kept_epoch for seed, key in keys.items() if (result := ledger.result(key))}
            histories[name] = runs
            if epochs:
                until = fmean(runs[seed][epoch - 1][1] for seed, epoch in epochs.items())
                kept[name] = fmean(epochs.values()), until, mean_of(contender) or 0.0
            rows += [
                (name, seed, log.epoch, log.train_accuracy, log.val_accuracy, log.val_loss, seconds,
                 log.epoch == epochs.get(seed))
                for seed, history in runs.items() for log, seconds in history
            ]  # fmt: skip
        for name, over in (("curves", "epoch"), ("time", "seconds")):
            run.save_figure(f"{name}{suffix}", partial(plots.curves, histories, kept, over), EPOCHS, rows)
        if table.pairs:
            run.save_figure(f"verdicts{suffix}", partial(plots.verdicts, table, results.margin), PAIRS, table.pairs)
        if table.tuning == "grid":
            tried = [
                (contender.name, point.learning_rate, trial.seed, trial.status, trial.accuracy)
                for contender in table.contenders for point in contender.tuning for trial in point.runs
            ]  # fmt: skip
            run.save_figure("rates", partial(plots.rates, table), TRIED, tried)

"""`a2 compare-optimizers`: contenders at equal tuning, over seeds, with a verdict on each pair."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean, median
from typing import NamedTuple

import torch

from a2cli.columns import Column, named
from a2cli.compare_optimizers.comparison import Chosen, Comparison, judged
from a2cli.compare_optimizers.contenders import Choice, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison
from a2cli.compare_optimizers.verdict import comparison_verdict
from a2cli.progress import ProgressReporter
from a2cli.reports.best import best_run
from a2cli.reports.report import DataSummary, Report, new_report
from a2cli.reports.study_results import (
    PAIRS,
    ComparisonResults,
    Contender,
    RatePoint,
    Table,
    TrialOutcome,
    Tuning,
    contender_columns,
)
from a2cli.reports.training_results import EpochLog
from a2cli.runs.directory import Run, to_csv
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.statistics.intervals import spread_of_shares
from a2cli.statistics.pairs import pair_verdicts
from a2cli.train.workers import Workers
from a2cli.training.images import Images, make_job
from a2cli.training.verdict import on_same_images
from a2cli.trials.recheck import check_results

COMMAND = "compare-optimizers"
TARGET_SHARE = 0.9
EPOCH_COLUMNS = ("epoch", "train_accuracy", "val_accuracy", "val_loss")


def compare_optimizers(
    settings: AnyComparison, run: Run, workers: Workers, reporter: ProgressReporter, *, warnings: Sequence[str] = ()
) -> Report:
    """Run in a folder, new or left early, the trials that it lacks, and return the report written there.

    Raises SettingsError and DataError for what no trial could do; a trial's own failure is in the results.
    """
    with run.locked(reporter):
        run.read_report()  # one that was edited is refused rather than written over
        device = set_up(settings.training.device, 1)
        comparison = Comparison(run.folder / "trials", workers, reporter, settings, str(device))
        first = comparison.choices[0]
        probe = trial_settings(settings, first, settings.training.learning_rate, settings.training.seed, str(device))
        images = Images.find(probe, warnings, reporter)
        for note in images.warnings[len(warnings) :]:
            reporter.warn(note)
        comparison.check(images)
        summary = make_job(probe, images).summary
        run.write_config(COMMAND, flat(settings))
        try:
            tables = judged(comparison)
        finally:
            workers.close()
        results = _results(comparison, tables, summary)
        if not comparison.ran:
            check_results(run, settings, results)
        report = new_report(
            COMMAND,
            flat(settings),
            environment(torch.device(device)),
            data=summary,
            results=results,
            warnings=list(images.warnings),
        )
        for table in results.tables:
            name = f"contenders{_suffix(table, results)}.csv"
            run.write(name, to_csv(contender_columns(results.target), table.contenders))
        return run.finish(report, reporter, partial(_draw, run, comparison, results))


# Results


def _results(comparison: Comparison, tables: Mapping[Tuning, Chosen], data: DataSummary) -> ComparisonResults:
    settings = comparison.settings.comparison
    means = []
    for chosen in tables.values():
        for name, rate in chosen.items():
            found = [comparison.accuracy((name, rate, seed)) for seed in comparison.judged_seeds]
            if known := [value for value in found if value is not None]:
                means.append(fmean(known))
    target = settings.target or (TARGET_SHARE * max(means) if means else None)
    made = [_table(comparison, kind, chosen, target, data) for kind, chosen in tables.items()]
    results = ComparisonResults(
        margin=settings.margin / 100,
        target=target,
        judged_seeds=comparison.judged_seeds,
        tuning_seeds=comparison.tuning_seeds if "grid" in tables else [],
        tables=made,
        verdict=" ".join(table.verdict for table in made),
    )
    return replace(results, best=best_run(results))


def _table(comparison: Comparison, kind: Tuning, chosen: Chosen, target: float | None, data: DataSummary) -> Table:
    margin = comparison.settings.comparison.margin / 100
    contenders = [_contender(comparison, one, kind, chosen[one.name], target) for one in comparison.choices]
    # By the mean among those with the most seeds, as `best_run` has it: the others ran on fewer, perhaps easier ones.
    contenders.sort(key=_standing, reverse=True)
    accuracies = {
        one.name: {run.seed: run.accuracy for run in one.runs if run.accuracy is not None} for one in contenders
    }
    pairs = pair_verdicts(accuracies, margin, 1 / data.val)
    table = Table(kind, contenders, pairs, "")
    rate = comparison.settings.training.learning_rate
    verdict = comparison_verdict(kind, contenders, table.against(contenders[0].name), margin, rate)
    if contenders[0].accuracy:
        verdict = " ".join([verdict, *on_same_images(data)])
    return replace(table, verdict=verdict)


def _standing(contender: Contender) -> tuple[int, float]:
    """Return a contender's number of seeds with an accuracy, and the mean of these."""
    known = [run.accuracy for run in contender.runs if run.accuracy is not None]
    return len(known), fmean(known) if known else 0.0


def _contender(comparison: Comparison, choice: Choice, kind: Tuning, rate: float, target: float | None) -> Contender:
    tuned: dict[float, list[TrialOutcome]] = defaultdict(list)
    if kind == "grid":
        for key in sorted(comparison.ended):  # not as they ended, which differs from session to session
            if key[0] == choice.name and key[2] in comparison.tuning_seeds:
                tuned[key[1]].append(comparison.outcome(key, target))
    rates = sorted(tuned)
    runs = [comparison.outcome((choice.name, rate, seed), target) for seed in comparison.judged_seeds]
    accuracies = [run.accuracy for run in runs if run.accuracy is not None]
    reached = [(run.epochs, run.seconds) for run in runs if run.epochs is not None and run.seconds is not None]
    return Contender(
        name=choice.name,
        settings=dict(choice.values),
        learning_rate=rate,
        low_rate=rates[0] if rates else None,
        high_rate=rates[-1] if rates else None,
        at_edge=bool(rates) and rate in (rates[0], rates[-1]),
        tuning=[RatePoint(one, _mean([run.accuracy for run in tuned[one]]), tuned[one]) for one in rates],
        runs=runs,
        accuracy=spread_of_shares(accuracies) if len(accuracies) > 1 else None,
        reached=len(reached),
        epochs_to_target=median(epochs for epochs, _ in reached) if reached else None,
        seconds_to_target=median(seconds for _, seconds in reached) if reached else None,
        diverged=sum(run.status == "diverged" for run in runs),
        failed=sum(run.status == "failed" for run in runs),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


# Figures and tables


def _suffix(table: Table, results: ComparisonResults) -> str:
    return "" if table.tuning == "grid" or len(results.tables) == 1 else "-one-rate"


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


def _draw(run: Run, comparison: Comparison, results: ComparisonResults) -> None:
    from a2cli.compare_optimizers import figures as plots

    for table in results.tables:
        suffix = _suffix(table, results)
        histories = {one.name: _histories(comparison, one) for one in table.contenders}
        kept_epochs = {
            one.name: {run_.seed: found.kept_epoch for run_ in one.runs
                       if (found := comparison.result((one.name, one.learning_rate, run_.seed)))}
            for one in table.contenders
        }  # fmt: skip
        rows = [
            _Epoch(name, seed, log, seconds, log.epoch == kept_epochs[name][seed])
            for name, runs in histories.items()
            for seed, logs in runs.items()
            for log, seconds in logs
        ]
        kept = {one.name: point for one in table.contenders
                if (point := _kept(one, histories[one.name], kept_epochs[one.name]))}  # fmt: skip
        run.save_figure(f"curves{suffix}", partial(plots.curves, histories, kept, "epoch"), EPOCHS, rows)
        run.save_figure(f"time{suffix}", partial(plots.curves, histories, kept, "seconds"), EPOCHS, rows)
        if table.pairs:
            run.save_figure(f"verdicts{suffix}", partial(plots.verdicts, table, results.margin), PAIRS, table.pairs)
        if table.tuning == "grid":
            tried = [
                (one.name, point, trial) for one in table.contenders for point in one.tuning for trial in point.runs
            ]
            run.save_figure("rates", partial(plots.rates, table), TRIED, tried)


def _kept(
    contender: Contender, histories: Mapping[int, list[tuple[EpochLog, float]]], kept: Mapping[int, int]
) -> tuple[float, float, float] | None:
    """Return the mean epoch that a contender's runs kept, the seconds until then, and the accuracy it is judged by."""
    accuracy = contender.accuracy.mean if contender.accuracy else _standing(contender)[1]
    seconds = [histories[seed][epoch - 1][1] for seed, epoch in kept.items()]
    return (fmean(kept.values()), fmean(seconds), accuracy) if kept else None


def _histories(comparison: Comparison, contender: Contender) -> dict[int, list[tuple[EpochLog, float]]]:
    """Return the epochs of a contender's judged runs by seed, each with the seconds of training until its end."""
    found = {}
    for one in contender.runs:
        ended = comparison.ended[contender.name, one.learning_rate, one.seed]
        if ended.report and ended.report.history and ended.report.data:
            seconds, logs = 0.0, []
            for log in ended.report.history[str(one.seed)]:
                seconds += ended.report.data.train / log.images_per_second
                logs.append((log, seconds))
            found[one.seed] = logs
    return found

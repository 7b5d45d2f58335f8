"""`a2 ablate`: what each ingredient of a training brings, taken away alone and over orders, with a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from statistics import fmean

import torch

from a2cli.ablate.ingredients import Ingredient, base_training, folder_of, name_of, remove_ingredients, trial_of
from a2cli.ablate.settings import AnyAblation
from a2cli.ablate.shapley import Coalition, drawn_orders, over_all_orders, over_orders, passed_through, subsets
from a2cli.ablate.verdict import ablation_verdict
from a2cli.columns import of, placed
from a2cli.errors import naming
from a2cli.progress import ProgressReporter
from a2cli.reports.ablation_results import WHOLE, AblationResults, Combination, Contribution, called
from a2cli.reports.best import best_run
from a2cli.reports.report import DataSummary, Report, new_report
from a2cli.reports.study_results import PAIRS, PairVerdict
from a2cli.runs.directory import Run
from a2cli.runtime import Streams, environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining
from a2cli.statistics.intervals import spread_of_shares
from a2cli.statistics.pairs import pair_verdict
from a2cli.train.run import task_for
from a2cli.train.workers import Workers
from a2cli.training.images import summary_of
from a2cli.training.verdict import on_same_images
from a2cli.trials.ledger import TrialKey, TrialLedger
from a2cli.trials.recheck import check_results
from a2cli.trials.trials import Trial

COMMAND = "ablate"


class Ablation:
    """An ablation under way: which combinations each seed is trained with, and what those that ended say."""

    def __init__(
        self,
        settings: AnyAblation,
        ingredients: Sequence[Ingredient],
        run: Run,
        workers: Workers,
        reporter: ProgressReporter,
    ) -> None:
        self.settings, self.ingredients = settings, ingredients
        self.board = TrialLedger(run.folder / "trials", workers, reporter)
        self.names = [one.name for one in ingredients]
        self.orders = {seed: self._orders(seed) for seed in seeds_of(settings)}
        self.kept = {seed: self._combinations(seed) for seed in self.orders}

    def _orders(self, seed: int) -> list[list[str]]:
        ablation = self.settings.ablation
        count = ablation.orders if ablation.design == "orders" else 0
        return drawn_orders(self.names, count, Streams(seed).numpy("orders"))

    def _combinations(self, seed: int) -> list[Coalition]:
        """Return the combinations that a seed is trained with: the whole first, then with ever fewer ingredients."""
        if self.settings.ablation.design == "all":
            found = list(subsets(self.names))
        else:
            found = [frozenset(self.names), *(frozenset(self.names) - {name} for name in self.names)]
            found += [kept for order in self.orders[seed] for kept in passed_through(order)]
        return sorted(dict.fromkeys(found), key=lambda kept: -len(kept))

    def check(self, device: str) -> None:
        """Raise SettingsError or DataError for what would stop any trial, before the first one trains."""
        reporter, wanted = (
            self.board.reporter,
            dict.fromkeys(kept for several in self.kept.values() for kept in several),
        )
        reporter.phase("checking the trials' settings on the data", "checking", brief=True)
        for kept in reporter.batches(wanted, len(wanted)):
            ground = None
            for seed in (seed for seed, combinations in self.kept.items() if kept in combinations):
                trial = self._trial(kept, seed, device)
                gone = ", ".join(name for name in self.names if name not in kept)
                with naming(f"without {gone}, seed {seed}" if gone else f"seed {seed}"):
                    ground = ground or task_for(trial, (), reporter)
                    ground.check(trial)

    def _trial(self, kept: Coalition, seed: int, device: str) -> AnyTraining:
        gone = [one for one in self.ingredients if one.name not in kept]
        return trial_of(remove_ingredients(base_training(self.settings), gone), seed, device)

    def run(self, device: str) -> None:
        """Run all trials that have not ended yet, seed by seed."""
        wanted = {}
        for seed, combinations in self.kept.items():
            for kept in combinations:
                trial = self._trial(kept, seed, device)
                key = self._key(kept, seed)
                wanted[key] = Trial(folder_of(trial), trial)
        self.board.run("ablation", wanted)

    def _key(self, kept: Coalition, seed: int) -> TrialKey:
        return called(name_of(kept, self.ingredients)), self.settings.training.learning_rate, seed

    def worth(self, seed: int, kept: Coalition) -> float:
        """Return the accuracy of a combination with one seed; raises LookupError where its trial failed."""
        accuracy = self.board.accuracy(self._key(kept, seed))
        if accuracy is None:
            raise LookupError(kept)
        return accuracy

    def alone(self) -> dict[str, list[float]]:
        """Return for each ingredient, seed by seed, what the whole loses without it."""
        found: dict[str, list[float]] = {name: [] for name in self.names}
        whole = frozenset(self.names)
        for seed in self.kept:
            for name in self.names:
                try:
                    found[name].append(self.worth(seed, whole) - self.worth(seed, whole - {name}))
                except LookupError:  # a trial failed, and is said to have
                    continue
        return found

    def average(self) -> dict[str, list[float]]:
        """Return for each ingredient, seed by seed, its mean contribution over orders."""
        found: dict[str, list[float]] = {name: [] for name in self.names}
        for seed, orders in self.orders.items():
            worth = partial(self.worth, seed)
            try:
                brings = over_orders(orders, worth) if orders else over_all_orders(self.names, worth)
            except LookupError:
                continue
            for name, value in brings.items():
                found[name].append(value)
        return found

    def combinations(self) -> list[Combination]:
        """Return every combination with its runs, the whole first."""
        seeds_with: dict[Coalition, list[int]] = {}
        for seed, combinations in self.kept.items():
            for kept in combinations:
                seeds_with.setdefault(kept, []).append(seed)
        found = []
        for kept, seeds in sorted(seeds_with.items(), key=lambda item: -len(item[0])):
            runs = [self.board.outcome(self._key(kept, seed)) for seed in seeds]
            known = [run.accuracy for run in runs if run.accuracy is not None]
            has = [name for name in self.names if name in kept]
            name = name_of(kept, self.ingredients)
            found.append(Combination(name, has, runs, spread_of_shares(known) if len(known) > 1 else None))
        return found


def seeds_of(settings: AnyAblation) -> list[int]:
    training = settings.training
    return list(range(training.seed, training.seed + training.seeds))


def ablate(
    settings: AnyAblation,
    ingredients: Sequence[Ingredient],
    run: Run,
    workers: Workers,
    reporter: ProgressReporter,
    *,
    warnings: Sequence[str] = (),
) -> Report:
    """Run in a folder, new or left early, the trials that it lacks, and return the report written there.

    Raises SettingsError and DataError for what no trial could do; a trial's own failure is in the results.
    """
    with run.locked(reporter):
        run.read_report()  # one that was edited is refused rather than written over
        device = set_up(settings.training.device, 1)
        first = trial_of(base_training(settings), settings.training.seed, str(device))
        ground = task_for(first, warnings, reporter)
        for note in ground.warnings[len(warnings) :]:
            reporter.warn(note)
        summary = summary_of(ground.packed, ground.check(first), ground.source)
        ablation = Ablation(settings, ingredients, run, workers, reporter)
        ablation.check(str(device))
        run.write_config(COMMAND, flat(settings))
        try:
            ablation.run(str(device))
        finally:
            workers.close()
        results = _results(ablation, summary)
        if not ablation.board.ran:
            check_results(run, settings, results)
        report = new_report(
            COMMAND,
            flat(settings),
            environment(torch.device(device)),
            data=summary,
            results=results,
            warnings=list(ground.warnings),
        )
        return run.finish(report, reporter, partial(_draw, run, results))


def _results(ablation: Ablation, data: DataSummary) -> AblationResults:
    settings = ablation.settings.ablation
    margin, count = settings.margin / 100, len(ablation.names)

    def verdict_on(name: str, differences: Sequence[float]) -> PairVerdict | None:
        if len(differences) < 2:
            return None
        return pair_verdict(WHOLE, f"without {name}", differences, margin, count, 1 / data.val)

    alone = ablation.alone()
    average = ablation.average() if settings.design != "one-out" else {}
    decides = average or alone
    brought = {name: fmean(values) if values else float("-inf") for name, values in decides.items()}
    found = [
        Contribution(
            name=one.name,
            settings={
                **one.values,
                **{name: f"without {', '.join(map(str, gone))}" for name, gone in one.items.items()},
            },
            alone=verdict_on(one.name, alone[one.name]),
            average=verdict_on(one.name, average[one.name]) if average else None,
        )
        for one in sorted(ablation.ingredients, key=lambda one: -brought[one.name])
    ]
    combinations = ablation.combinations()
    results = AblationResults(
        trains=settings.trains,
        design=settings.design,
        margin=margin,
        seeds=list(ablation.kept),
        ingredients=found,
        combinations=combinations,
        verdict="",
    )
    verdict = ablation_verdict(results)
    if combinations[0].accuracy:
        verdict = " ".join([verdict, *on_same_images(data)])
    return replace(results, verdict=verdict, best=best_run(results))


def _draw(run: Run, results: AblationResults) -> None:
    from a2cli.ablate.figures import contributions

    rows = [
        (one.name, way, pair)
        for one in results.ingredients
        for way, pair in (("alone", one.alone), ("average", one.average))
        if pair
    ]
    of_pair = [one for one in PAIRS if one.name not in ("first", "second")]
    columns = [*placed("ingredient", "way"), *of(itemgetter(2), of_pair)]
    if rows:
        run.save_figure("contributions", partial(contributions, results), columns, rows)

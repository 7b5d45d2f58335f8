"""The study of `a2 ablate`: what each ingredient of a training brings, taken away alone and over orders."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from operator import itemgetter
from statistics import fmean

from a2cli.ablate.checks import ingredients_of
from a2cli.ablate.ingredients import Ingredient, name_of, remove_ingredients
from a2cli.ablate.settings import AnyAblation
from a2cli.ablate.shapley import Coalition, drawn_orders, over_all_orders, over_orders, passed_through, subsets
from a2cli.ablate.verdict import ablation_verdict
from a2cli.columns import of, placed
from a2cli.random_streams import Streams
from a2cli.reports.ablation_results import WHOLE, AblationResults, Combination, Contribution, called
from a2cli.reports.best import best_run
from a2cli.reports.report import DataSummary
from a2cli.reports.study_results import PAIRS, PairVerdict
from a2cli.runs.directory import Run
from a2cli.settings.kinds import AnyTraining
from a2cli.statistics.intervals import spread_of_runs
from a2cli.statistics.pairs import pair_verdict
from a2cli.study.ledger import Ledger, TrialKey
from a2cli.study.settings import base_training, seeds_of, trial_of
from a2cli.training.verdict import on_same_images


class Ablation:
    """Which combinations of ingredients each seed is trained with, and what those trials say."""

    command = "ablate"
    folders = "seed{seed}-{digest:.16}"  # whatever its combination is called

    def __init__(self, settings: AnyAblation, ledger: Ledger, device: str) -> None:
        self.settings, self.ledger, self.device = settings, ledger, device
        self.ingredients = ingredients_of(settings)
        self.names = [ingredient.name for ingredient in self.ingredients]
        self.whole = frozenset(self.names)
        self.orders = {seed: self._orders(seed) for seed in seeds_of(settings)}
        self.kept = {seed: self._combinations(seed) for seed in self.orders}
        self.first = self._trial(self.whole, settings.training.seed)

    def _orders(self, seed: int) -> list[list[str]]:
        # Each seed has orders of its own, so that the interval over seeds covers what drawing them does.
        ablation = self.settings.ablation
        count = ablation.orders if ablation.design == "orders" else 0
        return drawn_orders(self.names, count, Streams(seed).numpy("orders"))

    def _combinations(self, seed: int) -> list[Coalition]:
        """Return the combinations that a seed is trained with: the whole first, then with ever fewer ingredients."""
        if self.settings.ablation.design == "all":
            combinations = list(subsets(self.names))
        else:
            combinations = [self.whole, *(self.whole - {name} for name in self.names)]
            combinations += [kept for order in self.orders[seed] for kept in passed_through(order)]
        return sorted(dict.fromkeys(combinations), key=lambda kept: -len(kept))

    def _trial(self, kept: Coalition, seed: int) -> AnyTraining:
        gone = [ingredient for ingredient in self.ingredients if ingredient.name not in kept]
        return trial_of(remove_ingredients(base_training(self.settings), gone), seed, self.device)

    def _key(self, kept: Coalition, seed: int) -> TrialKey:
        return TrialKey(called(name_of(kept, self.ingredients)), self.settings.training.learning_rate, seed)

    def _seeds_with(self) -> dict[Coalition, list[int]]:
        """Return the seeds that each combination is trained with."""
        seeds_with: dict[Coalition, list[int]] = {}
        for seed, combinations in self.kept.items():
            for kept in combinations:
                seeds_with.setdefault(kept, []).append(seed)
        return seeds_with

    def to_check(self) -> dict[str, AnyTraining]:
        trials = {"": self.first}  # what stops this one stops all, so no error names it
        for kept, seeds in self._seeds_with().items():  # one combination's together, as they share their data
            gone = ", ".join(name for name in self.names if name not in kept)
            for seed in seeds:
                trials[f"without {gone}, seed {seed}" if gone else f"seed {seed}"] = self._trial(kept, seed)
        return trials

    def results(self, data: DataSummary) -> AblationResults:
        wanted = {self._key(kept, seed): self._trial(kept, seed)
                  for seed, combinations in self.kept.items() for kept in combinations}  # fmt: skip
        self.ledger.run("ablation", wanted)
        settings, outcomes = self.settings.ablation, self._outcomes(1 / data.val)
        results = AblationResults(
            trains=settings.trains,
            design=settings.design,
            margin=settings.margin / 100,
            seeds=list(self.kept),
            ingredients=self._contributions(1 / data.val),
            combinations=outcomes,
            verdict="",
        )
        verdict = [ablation_verdict(results), *(on_same_images(data) if outcomes[0].accuracy else ())]
        return replace(results, verdict=" ".join(verdict), best=best_run(results))

    def _outcomes(self, resolution: float) -> list[Combination]:
        """Return every combination with its runs, the whole first."""
        combinations = []
        for kept, seeds in sorted(self._seeds_with().items(), key=lambda item: -len(item[0])):
            runs = [self.ledger.outcome(self._key(kept, seed)) for seed in seeds]
            names = [name for name in self.names if name in kept]
            combinations.append(
                Combination(name_of(kept, self.ingredients), names, runs, spread_of_runs(runs, resolution))
            )
        return combinations

    def _contributions(self, resolution: float) -> list[Contribution]:
        """Return what each ingredient brings, the one that brings most first."""
        margin, design = self.settings.ablation.margin / 100, self.settings.ablation.design
        alone, average = self._brought()

        def verdict_on(name: str, differences: Sequence[float]) -> PairVerdict | None:
            if len(differences) < 2:
                return None
            return pair_verdict(WHOLE, f"without {name}", differences, margin, len(self.names), resolution)

        def mean_of(ingredient: Ingredient) -> float:
            differences = (alone if design == "one-out" else average)[ingredient.name]
            return fmean(differences) if differences else float("-inf")

        return [
            Contribution(
                name=ingredient.name,
                settings={
                    **ingredient.values,
                    **{name: f"without {', '.join(map(str, gone))}" for name, gone in ingredient.items.items()},
                },
                alone=verdict_on(ingredient.name, alone[ingredient.name]),
                average=verdict_on(ingredient.name, average[ingredient.name]),
            )
            for ingredient in sorted(self.ingredients, key=mean_of, reverse=True)
        ]

    def _brought(self) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Return what each ingredient brings, seed by seed: taken away alone, and on average over orders.

        A seed is left out where a trial that it takes has failed; the verdict says so.
        """
        alone, average = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        for seed, combinations in self.kept.items():
            accuracies = {kept: self.ledger.accuracy(self._key(kept, seed)) for kept in combinations}
            worth = {kept: accuracy for kept, accuracy in accuracies.items() if accuracy is not None}
            for name in self.names:
                with suppress(KeyError):
                    alone[name].append(worth[self.whole] - worth[self.whole - {name}])
            if self.settings.ablation.design == "one-out":
                continue
            with suppress(KeyError):
                if orders := self.orders[seed]:
                    brings = over_orders(orders, worth.__getitem__)
                else:
                    brings = over_all_orders(self.names, worth.__getitem__)
                for name, value in brings.items():
                    average[name].append(value)
        return alone, average

    def draw(self, run: Run, results: AblationResults) -> None:
        from a2cli.ablate.figures import contributions

        rows = [
            (ingredient.name, way, pair)
            for ingredient in results.ingredients
            for way, pair in (("alone", ingredient.alone), ("average", ingredient.average))
            if pair
        ]
        of_pair = [column for column in PAIRS if column.name not in ("first", "second")]
        columns = [*placed("ingredient", "way"), *of(itemgetter(2), of_pair)]
        if rows:
            run.save_figure("contributions", partial(contributions, results), columns, rows)

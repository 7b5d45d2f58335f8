"""The study of `a2 compare-optimizers`: contenders tuned alike, over seeds, with a verdict on each pair."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

from a2cli.compare_optimizers.contenders import Choice, contenders_of, next_rate, rate_grid, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison
from a2cli.compare_optimizers.verdict import comparison_verdict
from a2cli.reports.best import best_run
from a2cli.reports.report import DataSummary
from a2cli.reports.study_results import (
    ComparisonResults,
    Contender,
    RatePoint,
    Table,
    TrialOutcome,
    Tuning,
    accuracies,
    called,
    contender_columns,
    mean_accuracy,
)
from a2cli.runs.directory import Run, to_csv
from a2cli.settings.training import ImageTraining
from a2cli.statistics.intervals import spread_of_runs
from a2cli.statistics.pairs import pair_verdicts
from a2cli.study.ledger import Ledger, TrialKey
from a2cli.study.settings import seeds_of
from a2cli.training.verdict import on_same_images

TARGET_SHARE = 0.9
TUNING_SEEDS_FROM = 1_000_000  # above any seed that is judged: a rate is not judged on the seeds that chose it
TITLES: dict[Tuning, str] = {"grid": "judging, tuned", "none": "judging, one rate"}
Rates = Mapping[str, float]  # of each contender, by its name


class Comparison:
    """Which trials a comparison wants, and what they say."""

    command = "compare-optimizers"
    folders = "{contender}-{rate:g}-seed{seed}-{digest:.8}"

    def __init__(self, settings: AnyComparison, ledger: Ledger, device: str) -> None:
        self.settings, self.ledger, self.device = settings, ledger, device
        self.choices, self.seeds = contenders_of(settings), seeds_of(settings)
        first = settings.training.seed + TUNING_SEEDS_FROM
        self.tuning_seeds = list(range(first, first + settings.comparison.tuning_seeds))
        self.is_tuned = settings.comparison.tuning != "none"
        self.first = self._trial(self.choices[0], settings.training.learning_rate, settings.training.seed)

    def _trial(self, choice: Choice, rate: float, seed: int) -> ImageTraining:
        return trial_settings(self.settings, choice, rate, seed, self.device)

    def to_check(self) -> dict[str, ImageTraining]:
        # A split and its last batch depend on no other setting of the contenders.
        by_batch_size = {choice.values.get("batch_size"): choice for choice in reversed(self.choices)}
        rate = self.settings.training.learning_rate
        return {
            f"{called(choice.name)}, seed {seed}": self._trial(choice, rate, seed)
            for seed in self.seeds + self.tuning_seeds * self.is_tuned
            for choice in by_batch_size.values()
        }

    # Trials

    def _run(self, title: str, wanted: Iterable[tuple[Choice, float, int]], later: int) -> None:
        trials = {TrialKey(called(choice.name), rate, seed): self._trial(choice, rate, seed)
                  for choice, rate, seed in wanted}  # fmt: skip
        self.ledger.run(title, trials, later)

    def _judge(self) -> dict[Tuning, Rates]:
        """Run all trials, and return for each way of tuning the learning rate that each contender is judged at."""
        ways: dict[Tuning, Rates] = {}
        per_way = len(self.seeds) * len(self.choices)
        if self.is_tuned:
            ways["grid"] = self._tune(2 * per_way if self.settings.comparison.tuning == "both" else per_way)
        if self.settings.comparison.tuning != "grid":
            ways["none"] = {choice.name: self.settings.training.learning_rate for choice in self.choices}
        for number, (way, rates) in enumerate(ways.items(), start=1):
            wanted = ((choice, rates[choice.name], seed) for seed in self.seeds for choice in self.choices)
            self._run(TITLES[way], wanted, per_way * (len(ways) - number))
        return ways

    def _tune(self, later: int) -> Rates:
        """Return each contender's best rate over the tuning seeds; a best one at the end of its range extends that."""
        settings = self.settings.comparison
        rates = {choice.name: rate_grid(choice, settings) for choice in self.choices}
        for extension in range(settings.extend + 1):
            wanted = ((choice, rate, seed) for choice in self.choices for rate in rates[choice.name]
                      for seed in self.tuning_seeds)  # fmt: skip
            self._run(f"tuning, range extended {extension}" if extension else "tuning", wanted, later)
            best = {
                name: best_rate(self.ledger, called(name), tried, self.tuning_seeds) for name, tried in rates.items()
            }
            # The best rate may lie beyond a range at whose end the best one tried lies.
            at_edge = [name for name, rate in best.items() if rate in (rates[name][0], rates[name][-1])]
            if not at_edge or extension == settings.extend:
                break
            for name in at_edge:
                rates[name] = sorted([*rates[name], next_rate(rates[name], best[name])])
        return best

    # Results

    def results(self, data: DataSummary) -> ComparisonResults:
        settings, ways = self.settings.comparison, self._judge()
        means = [mean for rates in ways.values() for name, rate in rates.items()
                 if (mean := mean_accuracy(self._runs(name, rate))) is not None]  # fmt: skip
        target = settings.target or (TARGET_SHARE * max(means) if means else None)
        tables = [self._table(way, rates, target, data) for way, rates in ways.items()]
        results = ComparisonResults(
            margin=settings.margin / 100,
            target=target,
            judged_seeds=self.seeds,
            tuning_seeds=self.tuning_seeds if self.is_tuned else [],
            tables=tables,
            verdict=" ".join(table.verdict for table in tables),
        )
        return replace(results, best=best_run(results))

    def _runs(self, name: str, rate: float, target: float | None = None) -> list[TrialOutcome]:
        return [self.ledger.outcome(TrialKey(called(name), rate, seed), target) for seed in self.seeds]

    def _table(self, way: Tuning, rates: Rates, target: float | None, data: DataSummary) -> Table:
        margin = self.settings.comparison.margin / 100
        contenders = [self._contender(choice, way, rates[choice.name], target, data) for choice in self.choices]
        # By the mean among those with the most seeds, as in `best_run`: the others ran on fewer, perhaps easier ones.
        contenders.sort(key=lambda row: (len(accuracies(row.runs)), mean_accuracy(row.runs) or 0.0), reverse=True)
        by_seed = {row.name: {run.seed: run.accuracy for run in row.runs if run.accuracy is not None}
                   for row in contenders}  # fmt: skip
        table = Table(way, contenders, pair_verdicts(by_seed, margin, 1 / data.val), "")
        best, rate = contenders[0], self.settings.training.learning_rate
        verdict = comparison_verdict(way, contenders, table.against(best.name), margin, rate)
        return replace(table, verdict=" ".join([verdict, *(on_same_images(data) if best.accuracy else ())]))

    def _contender(
        self, choice: Choice, way: Tuning, rate: float, target: float | None, data: DataSummary
    ) -> Contender:
        tuning: dict[float, list[TrialOutcome]] = defaultdict(list)
        if way == "grid":
            for key in sorted(self.ledger.ended):  # not as they ended, which differs from session to session
                if key.contender == called(choice.name) and key.seed in self.tuning_seeds:
                    tuning[key.rate].append(self.ledger.outcome(key, target))
        rates = list(tuning)
        runs = self._runs(choice.name, rate, target)
        reached = [(run.epochs, run.seconds) for run in runs if run.epochs is not None and run.seconds is not None]
        return Contender(
            name=choice.name,
            settings=dict(choice.values),
            learning_rate=rate,
            low_rate=rates[0] if rates else None,
            high_rate=rates[-1] if rates else None,
            at_edge=bool(rates) and rate in (rates[0], rates[-1]),
            tuning=[RatePoint(tried, mean_accuracy(outcomes), outcomes) for tried, outcomes in tuning.items()],
            runs=runs,
            accuracy=spread_of_runs(runs, 1 / data.val),
            reached=len(reached),
            epochs_to_target=median(epochs for epochs, _ in reached) if reached else None,
            seconds_to_target=median(seconds for _, seconds in reached) if reached else None,
            diverged=sum(run.status == "diverged" for run in runs),
            failed=sum(run.status == "failed" for run in runs),
        )

    def draw(self, run: Run, results: ComparisonResults) -> None:
        from a2cli.compare_optimizers.draw import draw_comparison

        for table in results.tables:
            columns = contender_columns(results.target)
            run.write(f"contenders{results.suffix(table)}.csv", to_csv(columns, table.contenders))
        draw_comparison(run, self.ledger, results)


def best_rate(ledger: Ledger, contender: str, rates: Sequence[float], seeds: Sequence[int]) -> float:
    """Return the rate with the highest mean accuracy, of equal ones that with the lower loss."""

    def score(rate: float) -> tuple[float, float]:
        keys = [TrialKey(contender, rate, seed) for seed in seeds]
        values = [ledger.accuracy(key) for key in keys]
        if None in values:
            return -1.0, 0.0
        losses = [result.val_loss for key in keys if (result := ledger.result(key))]
        return fmean(value for value in values if value is not None), -fmean(losses) if losses else -1e9

    return max(rates, key=score)

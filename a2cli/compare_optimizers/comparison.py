"""A comparison under way: which trials are wanted, what those that ended say, and the tuning of learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from a2cli.compare_optimizers.contenders import Choice, contenders_of, next_rate, rate_grid, trial_name, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison
from a2cli.errors import naming
from a2cli.reports.study_results import Tuning, called
from a2cli.training.images import Images
from a2cli.trials.ledger import TrialLedger
from a2cli.trials.trials import Trial

TUNING_SEEDS_FROM = 1_000_000  # above any seed that is judged
Chosen = Mapping[str, float]


@dataclass
class Comparison(TrialLedger):
    """A comparison under way: its contenders, and the seeds that they are tuned and judged on."""

    settings: AnyComparison
    device: str

    def __post_init__(self) -> None:
        self.choices = contenders_of(self.settings)

    def called(self, name: str) -> str:
        return called(name)

    @property
    def judged_seeds(self) -> list[int]:
        training = self.settings.training
        return list(range(training.seed, training.seed + training.seeds))

    @property
    def tuning_seeds(self) -> list[int]:
        first = self.settings.training.seed + TUNING_SEEDS_FROM
        return list(range(first, first + self.settings.comparison.tuning_seeds))

    def check(self, images: Images) -> None:
        """Raise SettingsError or DataError for what would stop any trial, before the first one trains."""
        tuned = self.settings.comparison.tuning != "none"
        contenders = {choice.values.get("batch_size"): choice for choice in reversed(self.choices)}
        seeds = [*self.judged_seeds, *(self.tuning_seeds if tuned else [])]
        self.reporter.phase("checking the trials' settings on the data", "checking", brief=True)
        for seed in self.reporter.batches(seeds, len(seeds)):
            for choice in contenders.values():  # a split and its last batch depend on no other setting of theirs
                rate = self.settings.training.learning_rate
                with naming(f"{called(choice.name)}, seed {seed}"):
                    images.check(trial_settings(self.settings, choice, rate, seed, self.device))

    def run_choices(self, title: str, wanted: Sequence[tuple[Choice, float, int]], later: int) -> None:
        """Run the contenders' trials that have not ended yet; so many come in later rounds."""
        trials = {}
        for choice, rate, seed in wanted:
            settings = trial_settings(self.settings, choice, rate, seed, self.device)
            trials[choice.name, rate, seed] = Trial(trial_name(choice, settings), settings)
        self.run(title, trials, later)


def judged(comparison: Comparison) -> dict[Tuning, Chosen]:
    """Run all trials, and return for each way of tuning the learning rate that each contender is judged at."""
    tuning = comparison.settings.comparison.tuning
    tables: dict[Tuning, Chosen] = {}
    one_table = len(comparison.judged_seeds) * len(comparison.choices)
    later = 2 * one_table if tuning == "both" else one_table
    if tuning != "none":
        tables["grid"] = _tuned(comparison, later)
    if tuning != "grid":
        rate = comparison.settings.training.learning_rate
        tables["none"] = {choice.name: rate for choice in comparison.choices}
    for kind, chosen in tables.items():
        later -= one_table
        title = "judging, tuned" if kind == "grid" else "judging, one rate"
        comparison.run_choices(
            title,
            [(choice, chosen[choice.name], seed) for seed in comparison.judged_seeds for choice in comparison.choices],
            later,
        )
    return tables


def _tuned(comparison: Comparison, later: int) -> Chosen:
    """Return each contender's best learning rate over the tuning seeds; a best one at its range's end extends that."""
    settings = comparison.settings.comparison
    rates = {choice.name: rate_grid(choice, settings) for choice in comparison.choices}
    for extension in range(settings.extend + 1):
        wanted = [(one, rate, seed) for one in comparison.choices for rate in rates[one.name]
                  for seed in comparison.tuning_seeds]  # fmt: skip
        comparison.run_choices("tuning" if not extension else f"tuning, range extended {extension}", wanted, later)
        best = {one.name: _best_rate(comparison, one.name, rates[one.name]) for one in comparison.choices}
        edges = {name for name, rate in best.items() if rate in (rates[name][0], rates[name][-1])}
        if not edges or extension == settings.extend:
            break
        for name in edges:
            rates[name] = sorted([*rates[name], next_rate(rates[name], best[name])])
    return best


def _best_rate(comparison: Comparison, name: str, rates: Sequence[float]) -> float:
    """Return the rate with the highest mean accuracy, of equal ones that with the lower loss."""

    def score(rate: float) -> tuple[float, float]:
        keys = [(name, rate, seed) for seed in comparison.tuning_seeds]
        accuracies, results = [comparison.accuracy(key) for key in keys], [comparison.result(key) for key in keys]
        if None in accuracies:
            return -1.0, 0.0
        losses = [result.val_loss for result in results if result]
        return fmean(value for value in accuracies if value is not None), -fmean(losses) if losses else -1e9

    return max(rates, key=score)

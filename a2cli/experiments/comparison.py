"""A comparison under way: which trials are wanted, what those that ended say, and the tuning of learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from a2cli.experiments.contenders import Choice, contenders_of, next_rate, rate_grid, trial_name, trial_settings
from a2cli.experiments.trials import Ended, Trial, Workers, ended_before
from a2cli.report import Watcher
from a2cli.results.comparison import TrialOutcome, Tuning
from a2cli.results.training import EpochLog, TrainingResult, TrainingResults
from a2cli.settings import AnyComparison

TUNING_SEEDS_FROM = 1_000_000  # above any seed that is judged
Chosen = Mapping[str, float]


@dataclass
class Comparison:
    """A comparison under way: every trial that ended so far, by its contender, learning rate and seed."""

    settings: AnyComparison
    device: str
    folder: Path
    workers: Workers
    watch: Watcher

    def __post_init__(self) -> None:
        self.choices = contenders_of(self.settings)
        self.ended: dict[tuple[str, float, int], Ended] = {}

    @property
    def judged_seeds(self) -> list[int]:
        training = self.settings.training
        return list(range(training.seed, training.seed + training.seeds))

    @property
    def tuning_seeds(self) -> list[int]:
        first = self.settings.training.seed + TUNING_SEEDS_FROM
        return list(range(first, first + self.settings.comparison.tuning_seeds))

    def run(self, title: str, wanted: Sequence[tuple[Choice, float, int]]) -> None:
        """Run the trials that have not ended yet."""
        waiting: dict[str, tuple[Trial, tuple[str, float, int]]] = {}
        for choice, rate, seed in wanted:
            key = choice.name, rate, seed
            settings = trial_settings(self.settings, choice, rate, seed, self.device)
            trial = Trial(trial_name(choice, settings), settings)
            if key not in self.ended:
                if before := ended_before(trial, self.folder):
                    self.ended[key] = before
                else:
                    waiting[trial.name] = trial, key
        done = len(wanted) - len(waiting)
        if waiting:
            self.watch.standing(title, done, len(wanted), self._rows(wanted))
        for ended in self.workers.run([trial for trial, _ in waiting.values()], self.folder):
            self.ended[waiting[ended.trial.name][1]] = ended
            done += 1
            self.watch.standing(title, done, len(wanted), self._rows(wanted))

    def _rows(self, wanted: Sequence[tuple[Choice, float, int]]) -> list[tuple[str, str, str]]:
        rows = []
        for choice in self.choices:
            mine = [key for key in ((one.name, rate, seed) for one, rate, seed in wanted) if key[0] == choice.name]
            accuracies = [self.accuracy(key) for key in mine if key in self.ended]
            known = [value for value in accuracies if value is not None]
            mean = f"{fmean(known):.3f}" if known else ""
            rows.append((choice.name, f"{len(accuracies)}/{len(mine)}", mean))
        return rows

    def result(self, key: tuple[str, float, int]) -> TrainingResult | None:
        ended = self.ended.get(key)
        found = ended.report.results if ended and ended.report and ended.status == "done" else None
        return found.runs[0] if isinstance(found, TrainingResults) else None

    def accuracy(self, key: tuple[str, float, int]) -> float | None:
        """Return a trial's accuracy; of one that diverged what the largest class alone is worth with its seed."""
        if result := self.result(key):
            return result.val.value
        if key in self.ended and self.ended[key].status == "diverged":
            others = (self.result(other) for other in self.ended if other[2] == key[2])
            return next((one.majority.value for one in others if one), None)
        return None

    def outcome(self, key: tuple[str, float, int], target: float | None) -> TrialOutcome:
        ended, result = self.ended[key], self.result(key)
        history = ended.report.history[str(key[2])] if ended.report and result else []
        epochs, seconds = to_target(
            history, target, ended.report.data.train if ended.report and ended.report.data else 0
        )
        return TrialOutcome(
            seed=key[2],
            learning_rate=key[1],
            status=ended.status,
            reason=ended.reason,
            accuracy=self.accuracy(key),
            train_accuracy=result.train.value if result else None,
            epochs=epochs,
            seconds=seconds,
            folder=f"trials/{ended.trial.name}",
        )


def to_target(history: Sequence[EpochLog], target: float | None, images: int) -> tuple[int | None, float | None]:
    """Return the epochs and the seconds of training until validation first reached the target; None if it did not."""
    seconds = 0.0
    for log in history:
        seconds += images / log.images_per_second
        if target is not None and log.val_accuracy >= target:
            return log.epoch, seconds
    return None, None


def judged(comparison: Comparison) -> dict[Tuning, Chosen]:
    """Run all trials, and return for each way of tuning the learning rate that each contender is judged at."""
    tuning = comparison.settings.comparison.tuning
    tables: dict[Tuning, Chosen] = {}
    if tuning != "none":
        tables["grid"] = _tuned(comparison)
    if tuning != "grid":
        rate = comparison.settings.training.learning_rate
        tables["none"] = {choice.name: rate for choice in comparison.choices}
    for kind, chosen in tables.items():
        title = "judging, tuned" if kind == "grid" else "judging, one rate"
        comparison.run(
            title,
            [(choice, chosen[choice.name], seed) for seed in comparison.judged_seeds for choice in comparison.choices],
        )
    return tables


def _tuned(comparison: Comparison) -> Chosen:
    """Return each contender's best learning rate over the tuning seeds; a best one at its range's end extends that."""
    settings = comparison.settings.comparison
    rates = {choice.name: rate_grid(choice, settings) for choice in comparison.choices}
    for extension in range(settings.extend + 1):
        wanted = [(one, rate, seed) for one in comparison.choices for rate in rates[one.name]
                  for seed in comparison.tuning_seeds]  # fmt: skip
        comparison.run("tuning" if not extension else f"tuning, range extended {extension}", wanted)
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

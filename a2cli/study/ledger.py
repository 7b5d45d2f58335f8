"""The trials of a study: those that ended, what they found, and running those that are wanted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, count
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from a2cli.progress import ProgressReporter
from a2cli.reports.study_results import TrialOutcome
from a2cli.reports.training_results import EpochLog, TrainingResult, TrainingResults
from a2cli.settings.declare import flat
from a2cli.study.trials import Ended, Trial, begun_before, ended_before, key_of, run_trials
from a2cli.train.side_by_side import followed, run_progress
from a2cli.train.workers import Workers


class TrialKey(NamedTuple):
    """Which trial: of which contender or combination, as it is shown, at which learning rate, with which seed."""

    contender: str
    rate: float
    seed: int


@dataclass
class Ledger:
    """Every trial that ended so far; `names` are the folders of those that began, by their settings."""

    folder: Path
    workers: Workers
    reporter: ProgressReporter
    ended: dict[TrialKey, Ended] = field(default_factory=dict, init=False)
    names: dict[str, str] = field(default_factory=dict, init=False)
    ran: bool = field(default=False, init=False)  # a trial, in this session

    def run(self, title: str, wanted: Mapping[TrialKey, Trial], later: int = 0) -> None:
        """Run the trials that have not ended yet, in this or an earlier session; so many come in later rounds."""
        waiting: dict[str, tuple[Trial, TrialKey]] = {}
        for key, new in wanted.items():
            if key not in self.ended:
                trial = self._placed(new)
                if before := ended_before(trial, self.folder):
                    self.ended[key] = before
                else:
                    waiting[trial.name] = trial, key
        if not waiting:
            return
        self.ran = True
        trials = {name: trial.settings for name, (trial, _) in waiting.items()}
        # The trials that are left, and the table without them: one object, which another thread reads while this one
        # puts another in its place.
        state = frozenset(trials), self._rows(wanted)

        def look() -> None:
            left, shown = state
            parts = [run_progress(self.folder / name, trials[name], False) for name in left]
            under_way = sum(part.done / part.epochs for part in parts)
            self.reporter.leaderboard(title, len(wanted) - len(left), len(wanted), shown, later, under_way)

        look()
        with followed(look):
            for ended in run_trials(self.workers, [trial for trial, _ in waiting.values()], self.folder):
                self.ended[waiting[ended.trial.name][1]] = ended
                state = state[0] - {ended.trial.name}, self._rows(wanted)
                look()

    def _placed(self, trial: Trial) -> Trial:
        """Return a trial under the name of the folder that has it already, or else under one that no other has."""
        if not self.names:
            self.names = begun_before(self.folder, type(trial.settings))
        taken = set(self.names.values())
        free = (f"{trial.name}-{i}" if i > 1 else trial.name for i in count(1))
        name = self.names.setdefault(key_of(flat(trial.settings)), next(name for name in free if name not in taken))
        return replace(trial, name=name)

    def _rows(self, wanted: Iterable[TrialKey]) -> list[tuple[str, str, str]]:
        """Return each contender, its trials, and its mean accuracy over seeds, in tuning at its best rate so far."""
        keys_of: dict[str, list[TrialKey]] = {}
        for key in wanted:
            keys_of.setdefault(key.contender, []).append(key)
        rows = []
        for contender, keys in keys_of.items():
            ended = [key for key in keys if key in self.ended]
            by_rate: dict[float, list[float]] = {}
            for key in ended:
                if (accuracy := self.accuracy(key)) is not None:
                    by_rate.setdefault(key.rate, []).append(accuracy)
            best = max(map(fmean, by_rate.values()), default=None)
            rows.append((contender, f"{len(ended)}/{len(keys)}", "" if best is None else f"{best:.3f}"))
        return rows

    def result(self, key: TrialKey) -> TrainingResult | None:
        """Return what a trial found; None where it is not done."""
        ended = self.ended.get(key)
        results = ended.report.results if ended and ended.report and ended.status == "done" else None
        return results.runs[0] if isinstance(results, TrainingResults) else None

    def accuracy(self, key: TrialKey) -> float | None:
        """Return a trial's accuracy; of one that diverged what the largest class alone is worth with its seed."""
        if result := self.result(key):
            return result.val.value
        if key in self.ended and self.ended[key].status == "diverged":
            others = (self.result(other) for other in self.ended if other.seed == key.seed)
            return next((other.majority.value for other in others if other), None)
        return None

    def history(self, key: TrialKey) -> list[tuple[EpochLog, float]]:
        """Return a trial's epochs, each with the seconds of training until its end."""
        report = self.ended[key].report
        return (
            timed(report.history[str(key.seed)], report.data.train) if report and report.history and report.data else []
        )

    def outcome(self, key: TrialKey, target: float | None = None) -> TrialOutcome:
        """Return what a report says of a trial; `target` is an accuracy, and None that there is none to reach."""
        ended, result = self.ended[key], self.result(key)
        epochs, seconds = to_target(self.history(key) if result else [], target)
        return TrialOutcome(
            seed=key.seed,
            learning_rate=ended.trial.settings.training.learning_rate,
            status=ended.status,
            reason=ended.reason,
            accuracy=self.accuracy(key),
            train_accuracy=result.train.value if result else None,
            epochs=epochs,
            seconds=seconds,
            folder=f"trials/{ended.trial.name}",
        )


def timed(logs: Sequence[EpochLog], images: int) -> list[tuple[EpochLog, float]]:
    """Return the epochs of a training on so many images, each with the seconds of training until its end."""
    return list(zip(logs, accumulate(images / log.images_per_second for log in logs), strict=True))


def to_target(history: Sequence[tuple[EpochLog, float]], target: float | None) -> tuple[int | None, float | None]:
    """Return the epochs and the seconds of training until validation first reached the target; None if it did not."""
    reached = ((log.epoch, seconds) for log, seconds in history if target is not None and log.val_accuracy >= target)
    return next(reached, (None, None))

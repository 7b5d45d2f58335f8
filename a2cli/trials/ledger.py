"""Trials by contender, learning rate and seed: those that ended, what they say, and running those that are wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import fmean

from a2cli.progress import ProgressReporter
from a2cli.reports.study_results import TrialOutcome
from a2cli.reports.training_results import EpochLog, TrainingResult, TrainingResults
from a2cli.settings.declare import flat
from a2cli.train.side_by_side import followed, run_progress
from a2cli.train.workers import Workers
from a2cli.trials.trials import Ended, Trial, begun_before, ended_before, key_of, run_trials

TrialKey = tuple[str, float, int]  # a contender's name, its learning rate, the seed


@dataclass
class TrialLedger:
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
        state = frozenset(trials), self._rows(list(wanted))  # those not ended, and the table without them; one object,
        # as another thread looks while this one changes it

        def look() -> None:
            left, shown = state
            parts = [run_progress(self.folder / name, trials[name], False) for name in left]
            under_way = sum(one.done / one.epochs for one in parts)
            self.reporter.leaderboard(title, len(wanted) - len(left), len(wanted), shown, later, under_way)

        look()
        with followed(look):
            for ended in run_trials(self.workers, [trial for trial, _ in waiting.values()], self.folder):
                self.ended[waiting[ended.trial.name][1]] = ended
                state = state[0] - {ended.trial.name}, self._rows(list(wanted))
                look()

    def _placed(self, trial: Trial) -> Trial:
        """Return a trial under the name of the folder that has it already, or else under one that no other has."""
        if not self.names:
            self.names = begun_before(self.folder, type(trial.settings))
        key, taken = key_of(flat(trial.settings)), set(self.names.values())
        free = (f"{trial.name}-{i}" if i > 1 else trial.name for i in count(1))
        name = self.names.setdefault(key, next(name for name in free if name not in taken))
        return replace(trial, name=name)

    def _rows(self, wanted: Sequence[TrialKey]) -> list[tuple[str, str, str]]:
        """Return each contender, its trials, and its mean accuracy over seeds, in tuning at its best rate so far."""
        rows = []
        for name in dict.fromkeys(key[0] for key in wanted):
            mine = [key for key in wanted if key[0] == name]
            ended = [key for key in mine if key in self.ended]
            by_rate: dict[float, list[float]] = {}
            for key in ended:
                if (value := self.accuracy(key)) is not None:
                    by_rate.setdefault(key[1], []).append(value)
            best = max(map(fmean, by_rate.values()), default=None)
            rows.append((self.called(name), f"{len(ended)}/{len(mine)}", "" if best is None else f"{best:.3f}"))
        return rows

    def called(self, name: str) -> str:
        """Return a contender's name as progress shows it."""
        return name

    def result(self, key: TrialKey) -> TrainingResult | None:
        ended = self.ended.get(key)
        found = ended.report.results if ended and ended.report and ended.status == "done" else None
        return found.runs[0] if isinstance(found, TrainingResults) else None

    def accuracy(self, key: TrialKey) -> float | None:
        """Return a trial's accuracy; of one that diverged what the largest class alone is worth with its seed."""
        if result := self.result(key):
            return result.val.value
        if key in self.ended and self.ended[key].status == "diverged":
            others = (self.result(other) for other in self.ended if other[2] == key[2])
            return next((one.majority.value for one in others if one), None)
        return None

    def outcome(self, key: TrialKey, target: float | None = None) -> TrialOutcome:
        ended, result = self.ended[key], self.result(key)
        history = ended.report.history[str(key[2])] if ended.report and result else []
        epochs, seconds = to_target(
            history, target, ended.report.data.train if ended.report and ended.report.data else 0
        )
        return TrialOutcome(
            seed=key[2],
            learning_rate=ended.trial.settings.training.learning_rate,
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

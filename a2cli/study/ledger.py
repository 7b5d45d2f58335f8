"""The trials of a study: those that ended, what they found, and running those that are wanted."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from a2cli.progress import ProgressReporter
from a2cli.reports.study_results import TrialOutcome
from a2cli.reports.training_results import EpochLog, TrainingResult, TrainingResults
from a2cli.runs.directory import Run
from a2cli.settings.declare import changed, flat
from a2cli.settings.kinds import AnyTraining
from a2cli.strict_json import to_json
from a2cli.study.trials import Ended, begun_before, ended_before, key_of, run_trials
from a2cli.train.side_by_side import followed, run_progress
from a2cli.train.workers import Workers


class TrialKey(NamedTuple):
    """Which trial: of which contender or combination, as it is shown, at which learning rate, with which seed."""

    contender: str
    rate: float
    seed: int


def data_of(trial: AnyTraining) -> object:
    """Return the settings that say what a trial learns from, to know others by that do as well."""
    return tuple(getattr(trial, name, None) for name in ("dataset", "features", "backbone"))  # which scales images


@dataclass
class Ledger:
    """Every trial of a study that was asked for, and how those ended that did.

    `names` are the folders of those that began, by their settings; `pattern` is what new folders are called, `stated`
    are those that a finished report has. `made_from` has, where known, by `data_of` the data's fingerprint and the
    backbone's SHA-256 as they are now.
    """

    folder: Path
    workers: Workers
    reporter: ProgressReporter
    pattern: str = "{digest}"
    stated: Collection[str] = ()
    trials: dict[TrialKey, AnyTraining] = field(default_factory=dict, init=False)
    ended: dict[TrialKey, Ended] = field(default_factory=dict, init=False)
    names: dict[str, str] = field(default_factory=dict, init=False)
    made_from: dict[object, tuple[str, str]] = field(default_factory=dict, init=False)
    ran: bool = field(default=False, init=False)  # a trial, in this session

    def run(self, title: str, wanted: Mapping[TrialKey, AnyTraining], later: int = 0) -> None:
        """Run the trials that have not ended yet, in this or an earlier session; so many come in later rounds."""
        self.trials |= wanted
        waiting: dict[str, TrialKey] = {}
        for key, trial in wanted.items():
            if key not in self.ended:
                name = self._name(key, trial)
                made_from = self.made_from.get(data_of(trial), ("", ""))
                if before := ended_before(Run(self.folder / name), trial, *made_from):
                    self.ended[key] = before
                else:
                    waiting[name] = key
        if not waiting:
            return
        self.ran = True
        for name in sorted(waiting.keys() & {*self.stated}):
            self.reporter.warn(f"{self.folder / name}: its report is gone, so it is trained again")
        trials = {name: wanted[key] for name, key in waiting.items()}
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
            for ended in run_trials(self.workers, trials, self.folder):
                self.ended[waiting[ended.name]] = ended
                state = state[0] - {ended.name}, self._rows(wanted)
                look()

    def _name(self, key: TrialKey, trial: AnyTraining) -> str:
        """Return the name of the folder that has a trial already, or else one that no other has."""
        if not self.names:
            self.names = begun_before(self.folder, type(trial))
        taken, new = set(self.names.values()), new_name(self.pattern, key, trial)
        free = (f"{new}-{i}" if i > 1 else new for i in count(1))
        return self.names.setdefault(key_of(flat(trial)), next(name for name in free if name not in taken))

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
        if report is None or report.data is None or not report.history:
            return []
        return timed(report.history[str(key.seed)], report.data.train)

    def outcome(self, key: TrialKey, target: float | None = None) -> TrialOutcome:
        """Return what a report says of a trial; `target` is an accuracy, and None that there is none to reach."""
        ended, result = self.ended[key], self.result(key)
        epochs, seconds = to_target(self.history(key) if result else [], target)
        return TrialOutcome(
            seed=key.seed,
            learning_rate=self.trials[key].training.learning_rate,
            status=ended.status,
            reason=ended.reason,
            accuracy=self.accuracy(key),
            train_accuracy=result.train.value if result else None,
            epochs=epochs,
            seconds=seconds,
            folder=f"trials/{ended.name}",
            weights_sha256=result.weights_sha256 if result else "",
        )


def new_name(pattern: str, key: TrialKey, trial: AnyTraining) -> str:
    """Return what a new trial's folder is called: what tells it from others, and a digest of its settings.

    Of those that are not at their defaults, so that a setting added later renames no trial.
    """
    digest = hashlib.sha256(to_json(changed(trial)).encode()).hexdigest()
    return pattern.format(contender=key.contender.replace(" ", "-"), rate=key.rate, seed=key.seed, digest=digest)


def timed(logs: Sequence[EpochLog], images: int) -> list[tuple[EpochLog, float]]:
    """Return the epochs of a training on so many images, each with the seconds of training until its end."""
    return list(zip(logs, accumulate(images / log.images_per_second for log in logs), strict=True))


def to_target(history: Sequence[tuple[EpochLog, float]], target: float | None) -> tuple[int | None, float | None]:
    """Return the epochs and the seconds of training until validation first reached the target; None if it did not."""
    reached = ((log.epoch, seconds) for log, seconds in history if target is not None and log.val_accuracy >= target)
    return next(reached, (None, None))

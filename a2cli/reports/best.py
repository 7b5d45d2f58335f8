"""Which of several runs is the best, and which one is meant by the folder of a comparison, an ablation or of seeds."""

from collections import Counter
from collections.abc import Sequence
from math import isclose
from pathlib import Path
from statistics import fmean

from a2cli import storage
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.reports.ablation_results import NOTHING, WHOLE, AblationResults
from a2cli.reports.best_results import BestRun, ChosenRun
from a2cli.reports.report import Report, read_report
from a2cli.reports.study_results import ComparisonResults, TrialOutcome, accuracies, called
from a2cli.reports.training_results import TrainingResults
from a2cli.settings.kinds import TRAINING

OF_TRIALS = ("compare-optimizers", "ablate")
RESUMABLE = (*TRAINING, *OF_TRIALS, "replicate")


def best_run(results: object) -> BestRun | None:
    """Return the best run that results are of; None where there are no runs, or none that ended with a network.

    Of a comparison or an ablation it is one of the contender or combination with the highest mean validation accuracy
    over seeds, among those with the most runs that count (of an ablation: trained with every seed); of its runs the one
    with the highest. Of seeds or folds it is that with the highest, then with the lowest validation loss. Among equals
    the first.
    """
    if not isinstance(results, TrainingResults):
        return _best_trial(_contenders(results))
    if len(results.runs) < 2:
        return None
    best = max(results.runs, key=lambda run: (run.val.value, -run.val_loss))
    name = f"{results.repeated.removesuffix('s')} {Path(best.folder).name}"
    reason = f"{name} has the highest validation accuracy of {len(results.runs)} {results.repeated}, "
    return _best(name, best.seed, best.val.value, best.folder, f"{reason}{best.val.value:.3f}")


def _contenders(results: object) -> list[tuple[str, str, list[TrialOutcome]]]:
    """Return a comparison's contenders or an ablation's combinations: their names, as they are called, their runs."""
    if isinstance(results, ComparisonResults):
        contenders = [contender for table in results.tables for contender in table.contenders]
        return [(row.name, f"{called(row.name)} at {row.learning_rate:g}", row.runs) for row in contenders]
    if not isinstance(results, AblationResults):
        return []
    words = {WHOLE: "with all ingredients", NOTHING: "without any ingredient"}
    return [
        (row.name, f"the training {words.get(row.name, row.name.replace('only', 'with only', 1))}", row.runs)
        for row in results.combinations
    ]


def _best_trial(contenders: Sequence[tuple[str, str, Sequence[TrialOutcome]]]) -> BestRun | None:
    candidates = []
    for name, title, runs in contenders:
        values = accuracies(runs)  # of those that diverged as well
        done = {run: run.accuracy for run in runs if run.status == "done" and run.accuracy is not None}
        if done:
            candidates.append((len(values), fmean(values), name, title, done))
    if not candidates:
        return None
    # By the mean, not by the best run of all: a seed's lead over others is mostly its split.
    count, mean, name, title, done = max(candidates, key=lambda candidate: candidate[:2])
    best = max(done, key=lambda run: done[run])
    equal = sum(candidate[0] == count and isclose(candidate[1], mean) for candidate in candidates) > 1
    highest = "is the first with the highest" if equal else "has the highest"
    reason = f"{title} {highest} validation accuracy, {mean:.3f} with seed {best.seed}"
    if count > 1:
        diverged = count - len(done)
        counts_as = f", of which {diverged} diverged and {'counts' if diverged == 1 else 'count'} as the largest class"
        reason = f"{title} {highest} mean validation accuracy, {mean:.3f} over {counted(count, 'seed')}"
        reason += f"{counts_as * bool(diverged)}; its run with seed {best.seed} has the highest "
        reason += f"{'of those that ended' if diverged else 'of these'}, {done[best]:.3f}"
    return _best(name, best.seed, done[best], best.folder, reason)


def _best(name: str, seed: int, accuracy: float, folder: str, reason: str) -> BestRun:
    return BestRun(name, seed, accuracy, folder, f"{folder}/config.yaml", reason)


def _command_of(folder: Path) -> str:
    return next((name for name in (*TRAINING, *OF_TRIALS) if storage.is_run(folder, name)), "")


def not_finished(flag: str, run: str, report: Report | None) -> DataError:
    """Return the error for a run that has no results yet, with how to go on with it; one that diverged would again."""
    if report and report.status == "diverged" and report.warnings:
        return DataError(f"{flag} {run}: {report.warnings[-1].replace('; try', '; start a new run with')}")
    command = _command_of(Path(run))
    goes_on = f"; go on with: a2 {command} --resume {run}" if command else ""
    return DataError(f"{flag} {run}: not finished ({report.status if report else 'no report.json'}){goes_on}")


def choose(flag: str, run: str, *, several: bool = False) -> ChosenRun:
    """Return the run that is meant by a folder: itself if it has a network, else the best one inside it.

    A command that asks `several` networks at once takes all of a training over seeds or folds, so that is itself. What
    is no training, comparison or ablation is itself too, for the caller to refuse. Raises DataError where it is not
    finished, or has no best run, or that one's folder is gone, or its report has other accuracies than its runs' own.
    """
    folder, itself = Path(run), ChosenRun(run, run, "")
    command = _command_of(folder)
    if not command or (folder / "model").is_dir():
        return itself
    report = read_report(folder)
    if report is None or report.status != "done":
        if command in TRAINING and not any((folder / inner).is_dir() for inner in ("seeds", "folds")):
            return itself
        raise not_finished(flag, run, report)
    results = report.results
    if isinstance(results, TrainingResults) and (several or len(results.runs) == 1):
        check_accuracies(flag, folder, results)
        return itself
    best = best_run(results)
    if best is None:
        if not isinstance(results, ComparisonResults | AblationResults):
            return itself
        counts = Counter(trial.status for trial in {trial.folder: trial for trial in _outcomes(results)}.values())
        ends = ", ".join(f"{count} {status}" for status, count in counts.items())
        raise DataError(f"{flag} {run}: no run in it has a network ({ends}); its report.json says why")
    check_accuracies(flag, folder, results)
    if not (folder / best.folder / "model").is_dir():
        raise DataError(
            f"{flag} {run}: its best run, {folder / best.folder}, has no network any more; remove what is left of it "
            f"and train it again with: a2 {command} --resume {run}"
        )
    return ChosenRun(run, str(folder / best.folder), best.reason)


def check_accuracies(flag: str, folder: Path, results: object) -> None:
    """Raise DataError where a run inside a folder has another accuracy or network by its own report than by this one's.

    Of a run inside a comparison or an ablation the accuracy alone is known.
    """
    weights = dict[str, str]()
    if isinstance(results, TrainingResults):
        stated = {run.folder: run.val.value for run in results.runs}
        weights = {run.folder: run.weights_sha256 for run in results.runs}
    else:
        stated = {run.folder: run.accuracy for run in _outcomes(results) if run.status == "done" and run.accuracy}
    for name, accuracy in stated.items():
        report = read_report(folder / name)
        if report is None or report.status != "done" or not isinstance(report.results, TrainingResults):
            continue  # removed: only --resume can make it again
        one = report.results.runs[0]
        if abs(one.val.value - accuracy) > 1e-9:
            differ = f"says {accuracy:.3f} of {name}, its own report {one.val.value:.3f}"
        elif weights.get(name, one.weights_sha256) != one.weights_sha256:
            differ = f"has another network of {name} than its own report (weights_sha256)"
        else:
            continue
        raise DataError(f"{flag} {folder}: report.json {differ}; one of them was edited or damaged")


def _outcomes(results: object) -> list[TrialOutcome]:
    return [run for *_, runs in _contenders(results) for run in runs]


def done_trials(results: object) -> list[str]:
    """Return the folders of the runs that a comparison or an ablation rests on, in its run directory."""
    return [run.folder for run in _outcomes(results) if run.status == "done"]


def no_network(flag: str, run: str, report: Report) -> DataError:
    """Return the error of a run that trained no network, and has none inside that is the best."""
    looked_at = report.config.get("run")
    named = looked_at[0] if isinstance(looked_at, list) and looked_at else looked_at
    hint = f"the one it looked at, {named}" if named else "a training"
    return DataError(f"{flag} {run}: of 'a2 {report.command}', has no network of its own; name {hint}")

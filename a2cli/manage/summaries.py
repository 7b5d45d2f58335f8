"""What a list of runs says of each: its command, data, accuracy, what its settings are, how old and how large it is."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from a2cli import storage
from a2cli.commands import COMMANDS
from a2cli.errors import A2Error, SettingsError
from a2cli.reports.ablation_results import AblationResults
from a2cli.reports.report import Report, read_report
from a2cli.reports.study_results import ComparisonResults
from a2cli.reports.training_results import Accuracy, Spread, TrainingResults
from a2cli.settings.declare import Declared, declared, flat, shown
from a2cli.settings.presets import read_yaml, resolve, was_edited
from a2cli.strict_json import plain

ELSEWHERE = ("data", "features", "run")  # settings that the column of the data tells
WHERE_ALONE = ("threads", "device", "resume")  # settings that change no result


@dataclass(frozen=True)
class RunSummary:
    """One run directory.

    `accuracy` is the validation accuracy with its 95% interval `low` to `high`: of several seeds or folds the mean, of
    a comparison the best contender's, of an ablation that with all ingredients, of a probe that of unchanged images;
    `seeds` is over how many runs, of a probe over how many networks. `test` is likewise that on the test images.
    `settings` are all of the run, but for the learning rate of a comparison that tuned its own; `differs` are those off
    the command's defaults, less those that all runs of the command in the same list share. `bytes` is the size of all
    its files. `problem` says why nothing is known of its results.
    """

    folder: str
    command: str
    status: str
    data: str
    accuracy: float | None
    low: float | None
    high: float | None
    seeds: int | None
    test: float | None
    created: str
    age: float
    seconds: float | None
    bytes: int
    problem: str
    differs: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def find_runs(folder: Path, unreadable: Callable[[OSError], None], *, inner: bool) -> Iterator[Path]:
    """Yield the run directories in a folder, or the folder itself if it is one; with `inner` those inside runs too.

    Links to folders are not followed. `unreadable` is told of folders that cannot be read.
    """
    for parent, folders, _ in os.walk(folder, onerror=unreadable):
        if storage.is_run(Path(parent)):
            yield Path(parent)
            if not inner:
                folders.clear()
        folders.sort()


def summary_of(folder: Path, now: datetime) -> RunSummary:
    """Return what is known of a run; what is damaged or not finished is said in it."""
    report, problem, settings = None, "", dict[str, Any]()
    try:
        report = read_report(folder)
    except A2Error as error:
        problem = str(error)
    except OSError as error:
        problem = f"{folder / 'report.json'}: cannot be read ({error.strerror})"
    try:
        settings = dict(report.config) if report else read_yaml(folder / "config.yaml", "a run's settings")
    except SettingsError as error:
        problem = problem or str(error)
    config = folder / "config.yaml"
    if was_edited(config):
        problem = problem or f"{config}: damaged or edited (its SHA-256 is not the one written in it)"
    elif report and not storage.is_run(folder, report.command):
        problem = problem or f"{config}: damaged (not the settings of 'a2 {report.command}', as report.json has it)"
    if report:
        found = summary_from(report, folder, now)
        if problem:
            found = replace(found, status="damaged", accuracy=None, low=None, high=None, seeds=None, test=None)
        return replace(found, problem=problem)
    command = str(settings.pop("command", ""))
    created = _modified(folder / "config.yaml")
    return RunSummary(
        folder=str(folder),
        command=command,
        status="damaged" if problem else "not finished",
        data=", ".join(str(settings[name]) for name in ELSEWHERE if settings.get(name)),
        accuracy=None,
        low=None,
        high=None,
        seeds=None,
        test=None,
        created=created,
        age=_age(created, now),
        seconds=None,
        bytes=size_of(folder),
        problem=problem,
        settings=_acting(settings),
    )


def summary_from(report: Report, path: Path, now: datetime) -> RunSummary:
    """Return what a report says of its run directory, or of its features file."""
    found = _accuracy(report.results)
    return RunSummary(
        folder=str(path),
        command=report.command,
        status=report.status,
        data=", ".join(report.sources),
        accuracy=_value(found),
        low=found.low if found else None,
        high=found.high if found else None,
        seeds=_seeds(report.results, found),
        test=_value(test_accuracy(report.results)),
        created=report.created,
        age=_age(report.created, now),
        seconds=report.seconds.get("all"),
        bytes=size_of(path),
        problem="",
        settings=_acting(report.config),
    )


def _acting(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's settings, but for the learning rate of a comparison that tuned its own."""
    without = ("command", "learning_rate") if config.get("tuning") == "grid" else ("command",)
    return {name: value for name, value in config.items() if name not in without}


def _age(created: str, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(created)).total_seconds())


def with_differences(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Return the runs, each with its settings that are not the defaults, nor the same in all of its command's runs."""
    off = [
        {item.name: shown(value, item) for item, value in off_default(run.command, run.settings)
         if item.name not in (*ELSEWHERE, *WHERE_ALONE)}
        for run in runs
    ]  # fmt: skip
    shared: dict[str, set[tuple[str, str]]] = {}
    for run, own in zip(runs, off, strict=True):
        shared[run.command] = shared.get(run.command, set(own.items())) & set(own.items())
    alone = {run.command for run in runs if [other.command for other in runs].count(run.command) == 1}
    return [
        replace(run, differs={name: value for name, value in own.items()
                              if run.command in alone or (name, value) not in shared[run.command]})
        for run, own in zip(runs, off, strict=True)
    ]  # fmt: skip


def off_default(command: str, settings: Mapping[str, Any]) -> list[tuple[Declared, Any]]:
    """Return which of a run's settings are not its command's defaults, with their values."""
    for kind in COMMANDS[command].settings_types() if command in COMMANDS else ():
        items = {item.name: item for item in declared(kind)}
        if set(settings) <= set(items):
            usual, own = plain(flat(resolve(kind, command, (), {}).settings)), plain(settings)
            return [(items[name], value) for name, value in own.items() if value != usual[name]]
    return []


def _accuracy(results: Any) -> Accuracy | Spread | None:
    """Return the validation accuracy that a run's results tell first."""
    from a2cli.probe_invariance.results import InvarianceResults

    if isinstance(results, TrainingResults):
        return results.val or results.runs[0].val
    if isinstance(results, InvarianceResults):
        return results.runs[0].unchanged if len(results.runs) == 1 else None
    spreads: list[Spread] = []
    if isinstance(results, ComparisonResults):
        spreads = [one.accuracy for table in results.tables for one in table.contenders if one.accuracy]
    elif isinstance(results, AblationResults) and results.combinations and results.combinations[0].accuracy:
        spreads = [results.combinations[0].accuracy]
    return max(spreads, key=lambda spread: spread.mean, default=None)


def test_accuracy(results: Any) -> Accuracy | Spread | None:
    """Return a training's accuracy on the test images, None where it was not tried on them."""
    if not isinstance(results, TrainingResults):
        return None
    return results.test or (results.runs[0].test if len(results.runs) == 1 else None)


def _value(found: Accuracy | Spread | None) -> float | None:
    return found.value if isinstance(found, Accuracy) else found.mean if found else None


def _seeds(results: Any, found: Accuracy | Spread | None) -> int | None:
    """Return over how many seeds, folds or networks the accuracy that was found is."""
    from a2cli.probe_invariance.results import InvarianceResults

    if found is None:
        return None
    if isinstance(results, InvarianceResults):
        return results.runs[0].networks
    return found.n if isinstance(found, Spread) else 1


def _modified(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")


def size_of(folder: Path) -> int:
    """Return the size of a file, or of all files in a folder, in bytes; links in it count nothing."""
    if folder.is_file():
        return folder.stat().st_size
    # By text, as making a Path of each takes four times as long: a replication has thousands of files.
    files = (os.lstat(f"{parent}{os.sep}{name}") for parent, _, names in os.walk(folder) for name in names)
    return sum(file.st_size for file in files if not stat.S_ISLNK(file.st_mode))


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of run directories, or where two have the same, all of them as they were given."""
    names = [folder.resolve().name for folder in folders]
    return names if len({name.casefold() for name in names}) == len(names) else [str(folder) for folder in folders]


def read_runs(folders: Iterable[Path], now: datetime) -> list[RunSummary]:
    """Return the summaries of run directories, each once."""
    return with_differences([summary_of(folder, now) for folder in dict.fromkeys(folders)])

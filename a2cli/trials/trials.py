"""Many trials side by side: each is `a2 train-cnn` with one thread, in a folder of its own that any --run takes.

What is done is in the folders, so whatever ends early goes on
from there: finished trials are kept, others go on from their last checkpoint.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2cli.errors import A2Error, DataError, DivergedError
from a2cli.progress import NullReporter
from a2cli.reports.report import Report
from a2cli.reports.study_results import TrialStatus
from a2cli.runs.directory import Run
from a2cli.settings.declare import completed
from a2cli.settings.kinds import AnyTraining
from a2cli.strict_json import plain
from a2cli.train.recheck import check_training
from a2cli.train.run import train_network
from a2cli.train.workers import Workers
from a2cli.versions import NewerVersionError


@dataclass(frozen=True)
class Trial:
    """One training run to be: its folder's name and all its settings."""

    name: str
    settings: AnyTraining


@dataclass(frozen=True)
class Ended:
    """How a trial ended: its report, None where there is none that can be used; `reason` if it is not done."""

    trial: Trial
    status: TrialStatus
    reason: str
    report: Report | None


def run_trials(workers: Workers, trials: Sequence[Trial], folder: Path) -> Iterator[Ended]:
    """Run trials in folders inside this one, yielding each as it ends.

    One that diverges, fails or takes its process down is said to have done so, and the others go on.
    """
    waiting = {trial.name: trial for trial in trials}
    alone: list[str] = []
    while waiting:
        these = [waiting[name] for name in (alone[:1] or waiting)]
        try:
            with workers.results(_run, [(trial, str(folder)) for trial in these]) as results:
                for name, status, reason in results:
                    alone = [other for other in alone if other != name]
                    yield _ended(waiting.pop(name), folder, status, reason)
        except BrokenProcessPool:  # a process was killed: whose trial it was shows only when each runs alone
            if len(these) == 1:
                alone = alone[1:]
                yield _ended(waiting.pop(these[0].name), folder, "failed", "its process was killed, twice")
            else:
                alone = [trial.name for trial in these if trial.name in waiting and _begun(folder / trial.name)]


def _begun(folder: Path) -> bool:
    """Return whether a trial was under way."""
    report = _report(folder)
    return report is not None and report.status == "running"


def _report(folder: Path) -> Report | None:
    try:
        return Run(folder).read_report()
    except NewerVersionError:
        raise
    except (DataError, OSError):
        return None


def begun_before(folder: Path, settings: type) -> dict[str, str]:
    """Return the trials in a folder that began earlier: the name of each by its settings, as `key_of` has them.

    A trial is known by its settings alone, as its name has changed with versions and with what it is compared with.
    Raises DataError for a report that is not as it was written.
    """
    reports = {path.parent.name: Run(path.parent).read_report() for path in sorted(folder.glob("*/report.json"))}
    return {key_of(completed(settings, report.config)): name for name, report in reports.items() if report}


def key_of(config: Mapping[str, Any]) -> str:
    """Return all settings as one text, the same for those just resolved and those read again."""
    return json.dumps(plain(config), sort_keys=True)


def ended_before(trial: Trial, folder: Path) -> Ended | None:
    """Return how a trial ended whose folder inside this one says so already; None where it has to be run.

    Raises DataError for a report that is not as it was written, or whose numbers contradict each other.
    """
    report = Run(folder / trial.name).read_report()
    if report is None or report.status not in {"done", "diverged"}:
        return None
    if report.status == "done":
        check_training(Run(folder / trial.name), trial.settings)
        return Ended(trial, "done", "", report)
    return Ended(trial, "diverged", report.warnings[-1] if report.warnings else "diverged", report)


def _ended(trial: Trial, folder: Path, status: TrialStatus, reason: str) -> Ended:
    return Ended(trial, status, reason, _report(folder / trial.name))


def _run(trial: Trial, folder: str) -> tuple[str, TrialStatus, str]:
    """Run one trial, in a worker, and return its name and how it ended; nothing but an interrupt gets out."""
    run = Run(Path(folder))
    try:
        train_network(trial.settings, run.child(trial.name), NullReporter(), figures=False)
    except DivergedError as error:
        return trial.name, "diverged", str(error)
    except A2Error as error:
        return trial.name, "failed", str(error)
    except Exception as error:
        return trial.name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return trial.name, "done", ""

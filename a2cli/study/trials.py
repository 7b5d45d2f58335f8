"""Trials side by side: each is a training with one thread, in a folder of its own that any --run takes.

What is done is in the folders, so a study that ends early goes on from there: finished trials are kept, others go on
from their last checkpoint.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2cli.data.listing import MOVED
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
class Ended:
    """How the trial in a folder ended: its report, None where there is none that can be used; why it is not done."""

    name: str
    status: TrialStatus
    reason: str
    report: Report | None


def run_trials(workers: Workers, trials: Mapping[str, AnyTraining], folder: Path) -> Iterator[Ended]:
    """Run trials, each in the folder of its name inside this one, yielding each as it ends.

    One that diverges, fails or takes its process down is said to have done so, and the others go on.
    """
    waiting = dict(trials)
    alone: list[str] = []
    while waiting:
        names = alone[:1] or list(waiting)
        try:
            with workers.results(_run, [(name, waiting[name], folder, dict(MOVED)) for name in names]) as results:
                for name, status, reason in results:
                    alone = [other for other in alone if other != name]
                    del waiting[name]
                    yield Ended(name, status, reason, _readable_report(folder / name))
        except BrokenProcessPool:  # a process was killed: whose trial it was shows only when each runs alone
            if names == alone[:1]:
                name = alone.pop(0)
                del waiting[name]
                yield Ended(name, "failed", "its process was killed, twice", _readable_report(folder / name))
            else:
                reports = {name: _readable_report(folder / name) for name in waiting}
                under_way = [name for name, report in reports.items() if report and report.status == "running"]
                alone = under_way or list(waiting)  # one that is killed before its first report would be so for ever


def _readable_report(folder: Path) -> Report | None:
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


def ended_before(run: Run, trial: AnyTraining, fingerprint: str, weights_sha256: str) -> Ended | None:
    """Return how a trial ended whose folder says so already; None where it has to be run.

    Raises DataError for a report that is not as it was written, whose numbers contradict each other, or that is of
    another trial or, where these are known, of other data or other weights of its backbone.
    """
    report, name = run.previous_report(trial, fingerprint, weights_sha256), run.folder.name
    run.check_backbone(weights_sha256)
    if report and report.status == "done":
        check_training(run, trial)
        return Ended(name, "done", "", report)
    if report and report.status == "diverged":
        return Ended(name, "diverged", report.warnings[-1] if report.warnings else "diverged", report)
    return None


def _run(name: str, trial: AnyTraining, folder: Path, moved: Mapping[str, str]) -> tuple[str, TrialStatus, str]:
    """Run one trial, in a worker, and return its name and how it ended; nothing but an interrupt gets out."""
    MOVED.update(moved)
    try:
        train_network(trial, Run(folder).child(name), NullReporter(), figures=False)
    except DivergedError as error:
        return name, "diverged", str(error)
    except A2Error as error:
        return name, "failed", str(error)
    except Exception as error:
        return name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return name, "done", ""

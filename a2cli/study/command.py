"""What the commands of studies do alike: `a2 compare-optimizers` and `a2 ablate`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from a2cli.command_line.arguments import resumable, run_for, show_dry_run
from a2cli.command_line.chosen_runs import is_finished, show_best, show_trials
from a2cli.console.progress import ConsoleReporter
from a2cli.machine import cores
from a2cli.reports.report import Report
from a2cli.settings.presets import Resolved
from a2cli.settings.run_options import TrialOptions

if TYPE_CHECKING:
    from a2cli.reports.best_results import ChosenRun
    from a2cli.train.workers import Workers


def do_study(
    command: str,
    chosen: TrialOptions,
    resolved: Resolved[Any],
    warnings: list[str],
    plan: list[str],
    study: str,
    show: Callable[[Report, Path], None],
    backbone: "Sequence[ChosenRun]" = (),
) -> None:
    """Run a study, or say what it would do or which of its runs is the best, as the options ask.

    `study` is the class that runs it, as module:name inside a2cli. Raises what `run_study` raises.
    """
    if chosen.dry_run:
        show_dry_run(resolved, plan, chosen.json, warnings)
        return
    if chosen.best and chosen.resume and not chosen.html and is_finished(resolved, chosen.resume):
        show_best(chosen.resume)
        return
    with ConsoleReporter(chosen.quiet or chosen.best) as reporter:
        workers = start(chosen.jobs, chosen.backend, chosen.cluster, reporter)
        from a2cli.study.study import run_study

        run = run_for(command, chosen.out, chosen.resume, resolved.sources)
        run.chosen = backbone
        reporter.warn_all(warnings)
        with resumable(run, reporter, command):
            report = run_study(resolve_name(f"a2cli.{study}"), resolved.settings, run, workers, reporter, warnings)
    show_trials(report, run.folder, chosen, show)


def start(jobs: int, backend: str, cluster: str | None, reporter: ConsoleReporter) -> "Workers":
    """Say that PyTorch is loaded, and return where trials run; raises SettingsError for a backend that is not known."""
    reporter.phase("loading PyTorch", "starting")
    from a2cli.train.workers import Workers

    workers = Workers(jobs or cores(), backend, cluster)
    workers.check()
    return workers

"""`a2 probe-invariance`."""

from dataclasses import replace
from typing import Any

from a2cli.command_line.arguments import run_for, show_dry_run, show_report
from a2cli.command_line.chosen_runs import chosen_trainings
from a2cli.console.progress import ConsoleReporter
from a2cli.errors import RefutedError
from a2cli.probe_invariance.checks import check_probe, plan_probe
from a2cli.probe_invariance.settings import ProbeInvarianceSettings, ProbeOptions
from a2cli.settings.presets import resolve

COMMAND = "probe-invariance"


def probe_invariance(chosen: ProbeOptions, flags: dict[str, Any]) -> None:
    """Which changes of the image trained networks survive: each at fixed strengths, with intervals and a verdict."""
    resolved = resolve(ProbeInvarianceSettings, COMMAND, chosen.preset, flags)
    check_probe(resolved)
    settings = resolved.settings
    trained, chosen_runs = chosen_trainings(settings.probe.run, several=True)
    settings = replace(settings, probe=replace(settings.probe, run=tuple(trained)))
    resolved = replace(resolved, settings=settings)
    if chosen.dry_run:
        show_dry_run(resolved, plan_probe(settings), chosen.json, [])
        return
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting")
        from a2cli.probe_invariance.console import show_probe
        from a2cli.probe_invariance.results import InvarianceResults
        from a2cli.probe_invariance.run import probe_invariance as run_experiment
        from a2cli.probe_invariance.targets import TrainingRun

        runs: list[TrainingRun] = [TrainingRun(name, settings) for name, settings in trained.items()]
        run = run_for(COMMAND, chosen.out, None, resolved.sources)
        run.chosen = chosen_runs
        try:
            report = run_experiment(settings, runs, run, show)
        finally:
            run.discard()
    show_report(report, run.folder, chosen, show_probe)
    assert isinstance(report.results, InvarianceResults), "that is what it found"
    if report.results.refuted:
        raise RefutedError(report.results.refuted[0])

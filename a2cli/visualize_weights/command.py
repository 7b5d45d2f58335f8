"""`a2 visualize-weights`."""

from dataclasses import replace
from typing import Any

from a2cli.command_line.arguments import run_for, show_dry_run, show_report
from a2cli.command_line.chosen_runs import chosen_trainings
from a2cli.console.progress import ConsoleReporter
from a2cli.settings.presets import resolve
from a2cli.visualize_weights.checks import check_view, plan_view
from a2cli.visualize_weights.settings import ViewOptions, VisualizeWeightsSettings

COMMAND = "visualize-weights"


def visualize_weights(chosen: ViewOptions, flags: dict[str, Any]) -> None:
    """What networks learned, and whether they did: weights as pictures, what excites units, maps of an image."""
    resolved = resolve(VisualizeWeightsSettings, COMMAND, chosen.preset, flags)
    check_view(resolved, chosen)
    settings = resolved.settings
    trained, chosen_runs = chosen_trainings(settings.view.run, several=False)
    settings = replace(settings, view=replace(settings.view, run=tuple(trained)))
    resolved = replace(resolved, settings=settings)
    if chosen.dry_run:
        show_dry_run(resolved, plan_view(settings), chosen.json, [])
        return
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting")
        from a2cli.probe_invariance.targets import TrainingRun
        from a2cli.visualize_weights.console import show_weights
        from a2cli.visualize_weights.run import visualize_weights as run_experiment

        runs = [TrainingRun(name, settings) for name, settings in trained.items()]
        run = run_for(COMMAND, chosen.out, None, resolved.sources)
        run.chosen = chosen_runs
        run.formats = chosen.format
        try:
            report = run_experiment(settings, runs, run, show, animate=chosen.animate)
        finally:
            run.discard()
    show_report(report, run.folder, chosen, show_weights)

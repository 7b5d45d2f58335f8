"""`a2 compare-optimizers`."""

from typing import TYPE_CHECKING, Any

from a2cli.command_line.arguments import presets_of, resumable, saved_settings, select_flags, show_dry_run
from a2cli.command_line.chosen_runs import is_finished, show_best, show_trials
from a2cli.compare_optimizers.checks import check_compare, check_comparison_options, plan_compare
from a2cli.compare_optimizers.settings import CompareMlpSettings, CompareSettings, ComparisonOptions
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.settings.presets import Resolved, preset_value, resolve
from a2cli.strict_json import to_json

if TYPE_CHECKING:
    from a2cli.reports.study_results import Plan
    from a2cli.train.workers import Workers

COMMAND = "compare-optimizers"


def compare_optimizers(chosen: ComparisonOptions, flags: dict[str, Any]) -> None:
    """Optimizers, schedulers and more compared: equally tuned, over many seeds, with a verdict on each pair."""
    resolved = _resolve(chosen, flags)
    warnings = check_compare(resolved)
    budget = check_comparison_options(chosen)
    if chosen.dry_run:
        show_dry_run(resolved, plan_compare(resolved.settings, chosen.jobs), chosen.json, warnings)
        return
    if chosen.best and chosen.resume and is_finished(resolved, chosen.resume):
        show_best(chosen.resume)
        return
    with ConsoleReporter(chosen.quiet or chosen.best) as show:
        show.phase("loading PyTorch", "starting")
        from a2cli.compare_optimizers.console import show_comparison, show_comparison_plan
        from a2cli.compare_optimizers.run import compare_optimizers as run_experiment
        from a2cli.machine import cores
        from a2cli.runs.directory import Run
        from a2cli.train.workers import Workers

        workers = Workers(chosen.jobs or cores(), chosen.backend, chosen.cluster)
        workers.check()
        if chosen.plan:
            plan = _plan(resolved, chosen, workers, budget, show)
        else:
            run = Run.create(COMMAND, chosen.out) if chosen.resume is None else Run.open(chosen.resume)
            for warning in warnings:
                show.warn(warning)
            with resumable(run, show, COMMAND):
                report = run_experiment(resolved.settings, run, workers, show, warnings=warnings)
    if not chosen.plan:
        show_trials(report, run.folder, chosen, show_comparison)
    elif chosen.json:
        console.out(to_json(plan))
    else:
        show_comparison_plan(plan)


def _plan(
    resolved: Resolved[Any], chosen: ComparisonOptions, workers: "Workers", budget: float | None, show: ConsoleReporter
) -> "Plan":
    from a2cli.compare_optimizers.plan import plan_comparison
    from a2cli.reports.study_results import ComparisonResults
    from a2cli.runs.directory import Run

    before = Run.open(chosen.resume).read_report() if chosen.resume else None
    found = before.results if before and isinstance(before.results, ComparisonResults) else None
    return plan_comparison(resolved.settings, workers.jobs, budget, found, show)


def _resolve(chosen: ComparisonOptions, flags: dict[str, Any]) -> Resolved[Any]:
    """Settle a comparison's settings, which begin with the network that --network or a preset names."""
    presets = presets_of(chosen, COMMAND)
    says = [(preset_value(name, "command", ""), preset_value(name, "network", "")) for name in presets]
    is_mlp = any("mlp" in said for said in says) or any(said[0] == "train-mlp" for said in says)
    network = (flags["network"] or "").lower() or ("mlp" if is_mlp else "cnn")
    kind, trains = (CompareMlpSettings, "train-mlp") if network == "mlp" else (CompareSettings, "train-cnn")
    if chosen.resume is not None and (network == "mlp") == is_mlp:
        saved_settings("--resume", chosen.resume, kind, COMMAND)
    given = select_flags(kind, flags, f"{trains} has no such setting; see --network")
    return resolve(kind, COMMAND, presets, given, also=(trains,))

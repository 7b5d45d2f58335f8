"""`a2 compare-optimizers`."""

from typing import Any

from a2cli.command_line.arguments import presets_of, resolve_study, saved_settings, select_flags
from a2cli.compare_optimizers.checks import check_compare, check_comparison_options, plan_compare
from a2cli.compare_optimizers.console import show_comparison, show_comparison_plan
from a2cli.compare_optimizers.settings import CompareMlpSettings, CompareSettings, ComparisonOptions
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.data.listing import relocated
from a2cli.settings.presets import Resolved, preset_value
from a2cli.strict_json import to_json
from a2cli.study.command import do_study, start

COMMAND = "compare-optimizers"


def compare_optimizers(chosen: ComparisonOptions, flags: dict[str, Any]) -> None:
    """Optimizers, schedulers and more compared: equally tuned, over many seeds, with a verdict on each pair."""
    resolved = _resolve(chosen, flags)
    with relocated(resolved.moved):
        _compare(chosen, resolved)


def _compare(chosen: ComparisonOptions, resolved: Resolved[Any]) -> None:
    warnings = check_compare(resolved)
    budget = check_comparison_options(chosen)
    if chosen.plan and not chosen.dry_run:
        _show_plan(chosen, resolved, budget)
        return
    plan = plan_compare(resolved.settings, chosen.jobs)
    do_study(COMMAND, chosen, resolved, warnings, plan, "compare_optimizers.run:Comparison", show_comparison)


def _show_plan(chosen: ComparisonOptions, resolved: Resolved[Any], budget: float | None) -> None:
    with ConsoleReporter(chosen.quiet) as reporter:
        workers = start(chosen.jobs, chosen.backend, chosen.cluster, reporter)
        from a2cli.compare_optimizers.plan import plan_comparison
        from a2cli.runs.directory import Run

        before = Run.open(chosen.resume).read_report() if chosen.resume else None
        plan = plan_comparison(resolved.settings, workers.jobs, budget, before and before.results, reporter)
    if chosen.json:
        console.out(to_json(plan))
    else:
        show_comparison_plan(plan)


def _resolve(chosen: ComparisonOptions, flags: dict[str, Any]) -> Resolved[Any]:
    """Settle a comparison's settings, which begin with the network that --network or a preset names."""
    presets = presets_of(chosen, COMMAND)
    named = [(preset_value(name, "command", ""), preset_value(name, "network", "")) for name in presets]
    is_mlp = any(command == "train-mlp" or "mlp" in (command, network) for command, network in named)
    network = (flags["network"] or "").lower() or ("mlp" if is_mlp else "cnn")
    kind, trains = (CompareMlpSettings, "train-mlp") if network == "mlp" else (CompareSettings, "train-cnn")
    if chosen.resume is not None and (network == "mlp") == is_mlp:
        saved_settings("--resume", chosen.resume, kind, COMMAND)
    given = select_flags(kind, flags, f"{trains} has no such setting; see --network")
    return resolve_study(kind, COMMAND, presets, given, trains, resumed=chosen.resume is not None)

"""`a2 train-cnn`, `a2 train-mlp` and `a2 finetune`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from a2cli.command_line.arguments import (
    kind_of,
    resolve_run,
    resumable,
    run_for,
    saved_config,
    select_flags,
    show_dry_run,
    show_report,
)
from a2cli.command_line.chosen_runs import chosen_backbone
from a2cli.console.progress import ConsoleReporter
from a2cli.data.listing import relocated
from a2cli.errors import SettingsError
from a2cli.settings.kinds import split_into_runs
from a2cli.settings.presets import Resolved
from a2cli.settings.run_options import RunOptions
from a2cli.settings.transfer import TrainFeaturesSettings
from a2cli.train.checks import check_training, no_test, plan_training


def _train(command: str, chosen: RunOptions, flags: Mapping[str, Any]) -> None:
    resolved = _resolve(command, chosen, flags)
    with relocated(resolved.moved):
        _train_resolved(command, chosen, resolved)


def _train_resolved(command: str, chosen: RunOptions, resolved: Resolved[Any]) -> None:
    warnings = check_training(resolved)
    if chosen.jobs and len(split_into_runs(resolved.settings)) == 1:
        raise SettingsError("--jobs: acts only with several --seeds or --folds")
    resolved, backbone = chosen_backbone(resolved, command, chosen.resume)
    if chosen.dry_run:
        plan = plan_training(resolved.settings, chosen.jobs)
        plan += ["Test: the sealed images are read once, at the end, by --final"] * chosen.final
        without_test = ""
        if chosen.final or resolved.settings.training.test_curve:
            without_test = no_test(final=chosen.final, began=chosen.resume is not None)
        show_dry_run(resolved, plan, chosen.json, warnings, without_test)
        return
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting")
        if len(split_into_runs(resolved.settings)) > 1 and chosen.jobs != 1:
            from a2cli.train.workers import start_server

            start_server()  # before torch is loaded here, so that both load it at once
        from a2cli.train.console import show_training
        from a2cli.train.run import train_network

        run = run_for(command, chosen.out, chosen.resume, resolved.sources)
        run.chosen = backbone
        with resumable(run, show, command, " --final" * chosen.final):
            report = train_network(
                resolved.settings, run, show, final=chosen.final, warnings=warnings, jobs=chosen.jobs
            )
    show_report(report, run.folder, chosen, show_training)


train_cnn, train_mlp, finetune = (partial(_train, command) for command in ("train-cnn", "train-mlp", "finetune"))


def _resolve(command: str, chosen: RunOptions, flags: Mapping[str, Any]) -> Resolved[Any]:
    kind = kind_of(command, chosen.preset, flags)
    if chosen.resume:
        with saved_config("--resume", chosen.resume) as config:
            kind = kind_of(command, [config], {})
    why = "does not act on --features" if kind is TrainFeaturesSettings else "acts only with --features"
    return resolve_run(kind, command, chosen, select_flags(kind, flags, why))

"""`a2 train-cnn` and `a2 train-mlp`."""

from typing import Any

from a2cli import checks
from a2cli.cli.common import TRAINING, resolve, resumable, show_dry_run, show_report
from a2cli.console.progress import Show
from a2cli.console.training import show_training
from a2cli.options import Resolved
from a2cli.settings import RunOptions


def train_cnn(chosen: RunOptions, flags: dict[str, Any]) -> None:
    """Train the ConvNet: pooling, dropout, schedulers, optimizers, decay, early stopping, norms, augmentation."""
    _train("train-cnn", chosen, flags)


def train_mlp(chosen: RunOptions, flags: dict[str, Any]) -> None:
    """Train a multilayer perceptron on images: hidden layers, dropout, initialisation, and training as train-cnn."""
    _train("train-mlp", chosen, flags)


def _train(command: str, chosen: RunOptions, flags: dict[str, Any]) -> None:
    resolved: Resolved[Any] = resolve(TRAINING[command], command, chosen, flags)
    warnings = checks.check_training(resolved)
    if chosen.dry_run:
        show_dry_run(resolved, checks.plan_training(resolved.settings), chosen.json, warnings)
        return
    with Show(chosen.quiet) as show:
        show.phase("starting")
        from a2cli.experiments.train import train_network
        from a2cli.runs import Run

        run = Run.create(command, chosen.out) if chosen.resume is None else Run.open(chosen.resume)
        with resumable(run, show, command):
            report = train_network(resolved.settings, run, show, final=chosen.final, warnings=warnings)
    show_report(report, run.folder, chosen, show_training)

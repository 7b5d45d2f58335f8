"""`a2 predict`."""

from dataclasses import replace
from typing import Any

import typer

from a2cli.command_line.chosen_runs import chosen_run
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.errors import DataError
from a2cli.predict.checks import check_prediction
from a2cli.predict.settings import PredictOptions, PredictSettings
from a2cli.settings.presets import resolve
from a2cli.strict_json import to_json


def predict(chosen: PredictOptions, flags: dict[str, Any]) -> None:
    """What a run's networks answer to images: the class, its probability, and the next ones."""
    resolved = resolve(PredictSettings, "predict", (), flags)
    of = chosen_run("--run", check_prediction(resolved, chosen), several=True)
    settings = replace(resolved.settings.prediction, run=of.folder)
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting", brief=True)
        from a2cli.predict.console import show_predictions
        from a2cli.predict.run import predict as run_experiment

        found = run_experiment(settings, chosen.picture, show, overwrite=chosen.overwrite)
    found = replace(found, chosen=of if of.reason else None)
    if found.predictions and chosen.json:
        console.out(to_json(found))
    elif found.predictions and chosen.quiet:
        console.out("\n".join(f"{one.answer}\t{one.image}" for one in found.predictions))
    elif found.predictions:
        show_predictions(found)
    for broken in found.broken:
        console.error(f"{broken.image}: {broken.reason}")
    if found.broken:
        raise typer.Exit(DataError.exit_status)

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
    run = chosen_run("--run", check_prediction(resolved, chosen), several=True)
    settings = replace(resolved.settings.prediction, run=run.folder)
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting", brief=True)
        from a2cli.predict.console import show_predictions
        from a2cli.predict.run import predict as run_experiment

        results = run_experiment(settings, chosen.picture, show, overwrite=chosen.overwrite)
    results = replace(results, chosen=run if run.reason else None)
    if results.predictions and chosen.json:
        console.out(to_json(results))
    elif results.predictions and chosen.quiet:
        console.out("\n".join(f"{image.answer}\t{image.image}" for image in results.predictions))
    elif results.predictions:
        show_predictions(results)
    for broken in results.broken:
        console.error(f"{broken.image}: {broken.reason}")
    if results.broken:
        raise typer.Exit(DataError.exit_status)

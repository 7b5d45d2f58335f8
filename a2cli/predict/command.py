"""`a2 predict`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from a2cli.command_line.chosen_runs import chosen_run
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.errors import DataError, SettingsError
from a2cli.predict.settings import PredictOptions, PredictSettings
from a2cli.settings.presets import Resolved, resolve
from a2cli.strict_json import to_json


def predict(chosen: PredictOptions, flags: dict[str, Any]) -> None:
    """What a run's networks answer to images: the class, its probability, and the next ones."""
    resolved = resolve(PredictSettings, "predict", (), flags)
    run = chosen_run("--run", _run_asked(resolved, chosen), several=True)
    settings = replace(resolved.settings.prediction, run=run.folder)
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting", brief=True)
        from a2cli.predict.console import show_predictions
        from a2cli.predict.run import predict as run_experiment

        results = run_experiment(settings, chosen.picture, show, overwrite=chosen.overwrite, html=chosen.html)
    results = replace(results, chosen=run if run.reason else None)
    if results.predictions and chosen.json:
        console.out(to_json(results))
    elif results.predictions and chosen.quiet:
        console.out("\n".join(f"{image.answer}\t{image.image}" for image in results.predictions))
    elif results.predictions:
        show_predictions(results)
        if chosen.html:
            console.results_console().print(f"Page: {chosen.html}", soft_wrap=True)
    for broken in results.broken:
        console.error(f"{broken.image}: {broken.reason}")
    if results.broken:
        raise typer.Exit(DataError.exit_status)


def _run_asked(resolved: Resolved[PredictSettings], chosen: PredictOptions) -> str:
    """Return the run that is asked; raises SettingsError for what `a2 predict` cannot do, or could not act."""
    settings = resolved.settings.prediction
    if settings.run is None:
        raise SettingsError("--run: expected the folder of a run that trained a network, got none")
    if not settings.image or "" in settings.image:
        got = "an empty name" if settings.image else "none"
        raise SettingsError(f"IMAGE: expected image files, folders, patterns in quotes, or -, got {got}")
    if settings.image.count("-") > 1:
        raise SettingsError("IMAGE: - is named twice; there is one standard input")
    if resolved.by_flag("top") and chosen.quiet and not chosen.json:
        raise SettingsError("--top: does not act beside --quiet, which prints the first answers alone")
    if chosen.overwrite and chosen.picture is None and chosen.html is None:
        raise SettingsError("--overwrite: acts only with --picture or --html")
    for flag, file, ending in (("--picture", chosen.picture, ".png"), ("--html", chosen.html, ".html")):
        if file is not None and Path(file).suffix.lower() != ending:
            raise SettingsError(f"{flag}: expected a file that ends in {ending}, got {file!r}")
    return settings.run

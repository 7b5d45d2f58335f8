"""Images and options that `a2 predict` cannot use."""

from pathlib import Path

from a2cli.errors import SettingsError
from a2cli.predict.settings import PredictOptions, PredictSettings
from a2cli.settings.presets import Resolved


def check_prediction(resolved: Resolved[PredictSettings], chosen: PredictOptions) -> str:
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
    if chosen.overwrite and chosen.picture is None:
        raise SettingsError("--overwrite: acts only with --picture")
    if chosen.picture is not None and Path(chosen.picture).suffix.lower() != ".png":
        raise SettingsError(f"--picture: expected a file that ends in .png, got {chosen.picture!r}")
    return settings.run

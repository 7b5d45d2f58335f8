"""Flags of `a2 receptive-field` that could not act."""

from collections.abc import Mapping
from typing import Any

from a2cli.errors import SettingsError
from a2cli.receptive_field.settings import ReceptiveFieldSettings


def check_receptive_field(settings: ReceptiveFieldSettings, flags: Mapping[str, Any], drawn: bool) -> None:
    """Raise SettingsError for a flag of `a2 receptive-field` that could not act; `drawn`: figures will be."""
    for name in ("images", "outputs", "weights"):
        if flags[name] is not None and not settings.effective.effective:
            raise SettingsError(f"--{name}: acts only with --effective")
    if flags["weights"] is not None and settings.stack.model is None:
        raise SettingsError("--weights: acts only with --model")
    if flags["data"] is not None and not drawn:
        raise SettingsError("--data: acts only with --effective or --figures")

"""`a2 data check`."""

from typing import Any

import typer

from a2cli import options
from a2cli.console import base as console
from a2cli.console.data_check import show_data_check
from a2cli.console.progress import Show
from a2cli.errors import DataError, SettingsError
from a2cli.report import to_json
from a2cli.settings.check import CheckOptions, CheckSettings


def data_check(chosen: CheckOptions, flags: dict[str, Any]) -> None:
    """What a data set holds and what is wrong with it, without training; exit status 3 when something is wrong."""
    settings = options.resolve(CheckSettings, "data check", (), flags).settings
    if settings.data is None:
        raise SettingsError("a2 data check: expected DATA: a folder, a file or a data set's name")
    with Show(quiet=chosen.json) as show:
        from a2cli.experiments.check_data import check_data

        try:
            found = check_data(settings, show)
        except DataError as error:
            raise DataError(str(error).replace("--data", "DATA", 1)) from None
        for warning in found.warnings:
            show.warn(warning)
    if chosen.json:
        console.out(to_json(found))
    else:
        show_data_check(found)
    for reason in found.wrong:
        console.error(reason)
    if found.wrong:
        raise typer.Exit(DataError.exit_status)

"""`a2 data check` and `a2 data get`."""

from pathlib import Path
from typing import Any

import typer

from a2cli.check_data.settings import CheckOptions, CheckSettings, DebugOptions, GetSettings
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.errors import DataError, SettingsError
from a2cli.formats import counted
from a2cli.settings.presets import resolve
from a2cli.strict_json import to_json


def data_check(chosen: CheckOptions, flags: dict[str, Any]) -> None:
    """What a data set holds and what is wrong with it, without training; exit status 3 when something is wrong."""
    settings = resolve(CheckSettings, "data check", (), flags).settings
    if settings.data is None:
        raise SettingsError("a2 data check: expected DATA: a folder, a file or a data set's name")
    with ConsoleReporter(quiet=chosen.json) as show:
        from a2cli.check_data.console import show_data_check
        from a2cli.check_data.run import check_data

        try:
            check = check_data(settings, show)
        except DataError as error:
            said = str(error).replace("did you mean --data ", "did you mean ")
            raise DataError(said.replace("--data", "DATA", 1)) from None
        for warning in check.warnings:
            show.warn(warning)
    if chosen.json:
        console.out(to_json(check))
    else:
        show_data_check(check)
    for reason in check.wrong:
        console.error(reason)
    if check.wrong:
        raise typer.Exit(DataError.exit_status)


def data_get(chosen: DebugOptions, flags: dict[str, Any]) -> None:
    """Download a data set, or go on with it; every file is checked by its SHA-256."""
    from a2cli.data.download import get_paintings
    from a2cli.user_folders import data_folder

    settings = resolve(GetSettings, "data get", (), flags).settings
    if settings.name != "paintings":
        got = "nothing" if settings.name is None else repr(settings.name)
        raise SettingsError(f"a2 data get: expected paintings, got {got}")
    name = settings.name
    folder = Path(settings.to) if settings.to else data_folder() / name
    with ConsoleReporter() as show:
        show.phase(f"fetching {name}", brief=True)
        result = get_paintings(
            folder, report=show.say, progress=lambda done, total: show.at(done / 1e6, total and total / 1e6, "MB")
        )
    console.note(
        f"{name}: {counted(result.fetched, 'file')} fetched, {result.already} were there; all checksums are right"
    )
    console.out(str(result.folder))

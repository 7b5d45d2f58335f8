"""`a2 report`."""

import webbrowser
from pathlib import Path
from typing import Any

from a2cli import storage
from a2cli.console import base as console
from a2cli.errors import DataError, SettingsError
from a2cli.html_report.settings import HtmlOptions, HtmlSettings
from a2cli.settings.presets import resolve


def report(chosen: HtmlOptions, flags: dict[str, Any]) -> None:
    """One HTML file that shows runs."""
    settings = resolve(HtmlSettings, "report", (), flags).settings
    folders = [Path(name) for name in dict.fromkeys(settings.run)]
    if not folders:
        raise SettingsError("a2 report: expected RUN: run directories")
    if chosen.out is None and len(folders) > 1:
        raise SettingsError("--out: expected the HTML file to write, as there are several runs")
    for folder in folders:
        if not storage.is_run(folder):
            raise DataError(f"{folder}: {storage.no_run(folder)}")
    path = Path(chosen.out) if chosen.out is not None else folders[0] / "report.html"
    if chosen.out is not None:
        storage.check_absent("--out", chosen.out, overwrite=chosen.overwrite)
    from a2cli.html_report.page import page_of

    text = page_of(folders)
    try:
        storage.write(path, text.encode())
    except OSError as error:
        raise DataError(f"--out {path}: cannot be written ({error.strerror})") from None
    console.out(str(path))
    if chosen.open and not webbrowser.open(path.resolve().as_uri()):
        console.note("no browser could be opened")

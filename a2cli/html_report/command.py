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
    paths = [Path(name) for name in dict.fromkeys(settings.run)]
    if not paths:
        raise SettingsError("a2 report: expected RUN: run directories or features files")
    if chosen.out is None and len(paths) > 1:
        raise SettingsError("--out: expected the HTML file to write, as there are several runs")
    if chosen.out is not None and Path(chosen.out).suffix.lower() != ".html":
        raise SettingsError(f"--out: expected a file that ends in .html, got {chosen.out!r}")
    from a2cli.html_report.pictures import encode_ahead

    for each in filter(storage.is_run, paths):
        encode_ahead(each)
    from a2cli.html_report.page import is_features, page_of

    for each in paths:
        if not storage.is_run(each) and not is_features(each):
            also = "expected a run directory or a features file (.safetensors)"
            raise DataError(f"{each}: {storage.no_run(each).replace('expected a run directory', also)}")
    out = chosen.out
    if out is None and is_features(paths[0]):
        out = str(paths[0].with_suffix(".html"))
    if out is not None:
        storage.check_absent("--out", out, overwrite=chosen.overwrite)
    path = Path(out) if out is not None else paths[0] / "report.html"
    text = page_of(paths)
    try:
        storage.write(path, text.encode())
    except OSError as error:
        raise DataError(f"--out {path}: cannot be written ({error.strerror})") from None
    console.out(str(path))
    if chosen.open and not webbrowser.open(path.resolve().as_uri()):
        console.note("no browser could be opened")

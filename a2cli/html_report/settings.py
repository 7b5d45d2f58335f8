"""The settings of `a2 report`."""

from dataclasses import dataclass

from a2cli.settings.declare import setting


@dataclass(frozen=True, kw_only=True)
class HtmlSettings:
    """What to show"""

    run: tuple[str, ...] = setting(
        (),
        "Run directories, of any command, or features files; several are compared first, then shown one by one.",
        positional=True,
    )


@dataclass(frozen=True, kw_only=True)
class HtmlOptions:
    """Run"""

    out: str | None = setting(
        None,
        "The HTML file to write; without it report.html in the run directory, or FILE.html beside FILE.safetensors.",
        short="-o",
    )
    overwrite: bool = setting(False, "Write it although a file of that name is there; a run's report.html always is.")
    open: bool = setting(False, "Open it in the browser.")
    debug: bool = setting(False, "Show the traceback of an error.")

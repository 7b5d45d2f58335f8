"""Numbers -> matplotlib figures. Text in them is text: a `$` in a class name begins no formula."""

import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

from a2cli.errors import DataError
from a2cli.user_folders import cache_folder


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return folder.is_absolute() and os.access(folder, os.W_OK)


def _keep_settings_elsewhere() -> TemporaryDirectory[str] | None:
    """Give matplotlib a folder to write in where its own is not writable; return it if it is to be removed at the end.

    Left to itself, it would say so in two lines, and leave a folder in the temporary one.
    """
    named = os.environ.get("MPLCONFIGDIR")
    try:
        own = [platformdirs.user_config_path("matplotlib"), platformdirs.user_cache_path("matplotlib")]
        if all(map(_is_writable, [Path(named)] if named else own)):
            return None
    except RuntimeError:  # no home directory
        pass
    try:
        folder, temporary = cache_folder() / "matplotlib", None
    except DataError:
        folder = None
    if folder is None or not _is_writable(folder):
        temporary = TemporaryDirectory(prefix="a2-matplotlib-")
        folder = Path(temporary.name)
    os.environ["MPLCONFIGDIR"] = str(folder)
    return temporary


def _set_up() -> TemporaryDirectory[str] | None:
    temporary = _keep_settings_elsewhere()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # with --quiet as well it would say that it makes a cache
    import matplotlib as mpl

    mpl.rcParams["text.parse_math"] = False
    return temporary


temporary = _set_up()

"""Where `a2` keeps what it can make again (the cache) and what it downloaded: the user's own folders, or others."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

from a2cli.errors import DataError

USED = "used"  # in an entry of the cache: what it is of; its time is that of the last use


def cache_folder() -> Path:
    """Return where packed images are kept: $A2_CACHE_DIR, or the user's cache folder.

    Raises DataError for a user without a home directory.
    """
    return _folder("A2_CACHE_DIR", platformdirs.user_cache_path)


def data_folder() -> Path:
    """Return where downloaded data is kept: $A2_DATA_DIR, or the user's data folder.

    Raises DataError for a user without a home directory.
    """
    return _folder("A2_DATA_DIR", platformdirs.user_data_path)


def _folder(variable: str, own: Callable[[str], Path]) -> Path:
    if named := os.environ.get(variable):
        return Path(named)
    try:
        folder = own("a2")
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # older platformdirs return "~/.cache/a2", which would be made in this folder
        raise DataError(f"this user has no home directory; set {variable} to a folder to use instead")
    return folder


def mark_used(entry: Path, what: str) -> None:
    """Note in an entry of the cache what it is of, and that it was used now; where it cannot be written, nothing."""
    with suppress(OSError):
        (entry / USED).write_text(what, "utf-8", "replace")

"""Removing run directories and cache entries: each whole or not at all, and none that is in use."""

import secrets
import shutil
from pathlib import Path

from a2cli import storage
from a2cli.errors import DataError


def check_removable(folder: Path) -> None:
    """Raise DataError for what is no run directory, is a part of another run, a link, or in use by a process."""
    if not storage.is_run(folder):
        raise DataError(f"{folder}: {storage.no_run(folder)}")
    if folder.is_symlink():
        raise DataError(f"{folder}: is a link; name the run directory itself")
    if outer := next((parent for parent in folder.resolve().parents if storage.is_run(parent)), None):
        raise DataError(f"{folder}: is a part of the run {outer}, whose report is about it; remove that one")
    if not unused(folder):
        raise DataError(f"{folder}: another process is running in this folder")


def unused(folder: Path) -> bool:
    """Return whether no other process holds a folder; raises DataError where it cannot be written."""
    path = folder / storage.LOCK
    was_there = path.exists()
    try:
        with storage.lock_file(folder, "a") as file:
            storage.lock(file, wait=False)
        if not was_there:
            path.unlink()
    except BlockingIOError:
        return False
    except OSError as error:
        raise DataError(f"{folder}: cannot be removed ({error.strerror})") from None
    return True


def remove(folder: Path) -> None:
    """Remove a folder: it has another name first, so that one half removed is no run any more. Raises DataError."""
    hidden = folder.with_name(f".removed-{folder.name}-{secrets.token_hex(2)}")
    try:
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise DataError(f"{folder}: cannot be removed ({error.strerror or error})") from None

"""What is in the user's cache: each entry with what it is of, its size, and for how long it was not used."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a2cli.manage.removal import remove, unused
from a2cli.manage.summaries import size_of
from a2cli.user_folders import USED, cache_folder

KINDS = {"packed": "packed images", "activations": "activations", "checkpoints": "weights", "matplotlib": "fonts"}


@dataclass(frozen=True)
class CacheEntry:
    """One entry: its path, its kind and what it is of, its size in bytes, and the seconds since its last use.

    What earlier versions cached tells neither what it is of nor its last use: then it is the newest file's time.
    """

    path: str
    kind: str
    what: str
    bytes: int
    unused: float


def cache_entries() -> list[CacheEntry]:
    """Return what is cached, what was used last first; raises OSError where it cannot be read."""
    folder, now = cache_folder(), time.time()
    entries = []
    for kind, name in KINDS.items():
        paths = sorted((folder / kind).glob("[!.]*"))  # what is hidden is being written
        for path in [folder / kind] if kind == "matplotlib" and paths else paths:
            mark = path / USED
            marked = mark.is_file()
            what = mark.read_text("utf-8", "replace").strip() if marked else path.name if path.is_file() else ""
            newest = mark.stat().st_mtime if marked else _newest(path)
            size = size_of(path) if path.is_dir() else path.stat().st_size
            entries.append(CacheEntry(str(path), name, what, size, max(0.0, now - newest)))
    return sorted(entries, key=lambda entry: entry.unused)


def _newest(path: Path) -> float:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else []
    return max(file.stat().st_mtime for file in files or [path])


def to_prune(entries: Sequence[CacheEntry], older: float | None, most: float | None) -> list[CacheEntry]:
    """Return the entries to remove: those unused for so many seconds, then the longest unused until `most` bytes."""
    pruned = [entry for entry in entries if older is not None and entry.unused > older]
    kept = [entry for entry in sorted(entries, key=lambda entry: entry.unused) if entry not in pruned]
    while most is not None and kept and sum(entry.bytes for entry in kept) > most:
        pruned.append(kept.pop())
    return pruned


def prune(entries: Sequence[CacheEntry]) -> tuple[list[CacheEntry], list[CacheEntry]]:
    """Remove entries, but for those that a process holds; return the removed ones and those. Raises DataError."""
    removed, held = [], []
    for entry in entries:
        path = Path(entry.path)
        if path.is_dir() and not unused(path):
            held.append(entry)
        elif path.is_dir():
            remove(path)
            removed.append(entry)
        else:
            path.unlink()
            removed.append(entry)
    return removed, held

"""`a2 cache list` and `a2 cache prune`."""

from dataclasses import asdict
from typing import Any

from a2cli.console import base as console
from a2cli.errors import DataError, SettingsError
from a2cli.formats import bytes_of, seconds_of
from a2cli.manage.cache import CacheEntry, cache_entries, prune, to_prune
from a2cli.manage.console import show_cache
from a2cli.manage.settings import CacheOptions, CacheSettings, PruneOptions, PruneSettings
from a2cli.settings.presets import resolve
from a2cli.strict_json import to_json
from a2cli.user_folders import cache_folder


def list_cache(chosen: CacheOptions, flags: dict[str, Any]) -> None:
    """What is in the cache."""
    resolve(CacheSettings, "cache list", (), flags)
    entries = _entries()
    if chosen.json:
        console.out(to_json([asdict(entry) for entry in entries]))
    else:
        show_cache(entries, str(cache_folder()))


def prune_cache(chosen: PruneOptions, flags: dict[str, Any]) -> None:
    """Remove what was not used for long, or what is too much."""
    settings = resolve(PruneSettings, "cache prune", (), flags).settings
    if settings.older is None and settings.max is None:
        raise SettingsError("a2 cache prune: expected --older 30d, --max 5GB or both")
    older = _read("--older", settings.older, seconds_of, "30d")
    most = _read("--max", settings.max, bytes_of, "5GB")
    entries = to_prune(_entries(), older, most)
    try:
        removed, held = (entries, []) if chosen.dry_run else prune(entries)
    except OSError as error:
        raise DataError(f"cache {error.filename}: cannot be removed ({error.strerror})") from None
    for entry in held:
        console.note(f"{entry.path}: in use by another process, and kept")
    if chosen.json:
        console.out(to_json([asdict(entry) for entry in removed]))
    elif removed:
        show_cache(removed, "would be removed" if chosen.dry_run else "removed")
    else:
        console.out("nothing to remove")


def _read(flag: str, text: str | None, unit: Any, example: str) -> float | None:
    value: float | None = unit(text) if text is not None else None
    if text is not None and value is None:
        raise SettingsError(f"{flag}: expected a value such as {example}, got {text!r}")
    return value


def _entries() -> list[CacheEntry]:
    try:
        return cache_entries()
    except OSError as error:
        raise DataError(f"cache {error.filename}: cannot be read ({error.strerror})") from None

"""Times and sizes as people write them: 30d, 5GB."""

import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def duration(text: str) -> float | None:
    """Return a time such as 90s, 30m, 12h, 30d or 2w in seconds; None for what is none."""
    number, unit = _parts(text)
    return number * SECONDS[unit.lower()] if number is not None and unit.lower() in SECONDS else None


def file_size(text: str) -> float | None:
    """Return a size such as 500MB or 5GB in bytes; None for what is none."""
    number, unit = _parts(text)
    return number * BYTES[unit.upper()] if number is not None and unit.upper() in BYTES else None


def _parts(text: str) -> tuple[float | None, str]:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    return (float(match[1]), match[2]) if match else (None, "")


def shown_age(seconds: float) -> str:
    """Return an age in its largest whole unit: 3 d, 5 h, 12 min, 40 s."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def shown_size(size: float) -> str:
    """Return a size in the unit that leaves one to three digits before the point: 4.2 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"

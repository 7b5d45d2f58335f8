"""Numbers as they are printed: only here a mean gets its deviation, an accuracy its interval, a difference its sign."""

import math
import re
from typing import Protocol

TO, BRACKETS = "{} to {}", "[{}, {}]"  # an interval in a table, and in a sentence


class Bounded(Protocol):
    """What has an interval of 95%."""

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


class Averaged(Protocol):
    """What has a mean and a standard deviation."""

    @property
    def mean(self) -> float: ...

    @property
    def deviation(self) -> float: ...


def mean_and_deviation(spread: Averaged, digits: int = 3) -> str:
    """Return a mean with its standard deviation: 0.912 ± 0.034."""
    return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"


def interval(bounds: Bounded, digits: int = 3, form: str = TO) -> str:
    """Return an accuracy's interval: 0.845 to 0.979. Over few seeds Student's t leaves [0, 1], where no accuracy is."""
    return form.format(f"{max(0.0, bounds.low):.{digits}f}", f"{min(1.0, bounds.high):.{digits}f}")


def points(share: float) -> str:
    """Return a difference of accuracies, a share, in percentage points with its sign: +1.5."""
    return f"{100 * share:+z.1f}"


def points_interval(bounds: Bounded, form: str = TO) -> str:
    """Return the interval of a difference of accuracies, in points: -0.5 to +3.5."""
    return form.format(points(bounds.low), points(bounds.high))


def in_points(share: float, digits: str = "g") -> str:
    """Return a difference of accuracies, as a share, in percentage points: 0.01 is 1 point."""
    number = format(100 * share, digits)
    return f"{number} point{'s' * (number != '1')}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with what is counted: 1 image, 12 images; `plural` where it takes more than an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def rounded(percent: float) -> str:
    """Return a percentage as a whole number, halves up: 12.5 is 13, where a format makes 12 of it."""
    return str(math.floor(percent + 0.5 + 1e-9))  # 100 * 29 / 200 falls short of 14.5 by rounding


def in_percent(share: float) -> str:
    """Return a share as a whole percentage, halves up: 0.125 is 13%."""
    return f"{rounded(100 * share)}%"


def seconds_of(text: str) -> float | None:
    """Return a time such as 90s, 20m, 1.5h, 30d or 2w in seconds; None for what is no time."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
    try:
        value = float(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError):
        return None
    return value if 0 < value < math.inf else None


def bytes_of(text: str) -> float | None:
    """Return a size such as 500MB or 5GB in bytes; None for what is no size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(|K|M|G|T)B", text.strip(), re.IGNORECASE)
    return float(match[1]) * 1000.0 ** " KMGT".index(match[2].upper() or " ") if match else None


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

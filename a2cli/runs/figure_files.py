"""Matplotlib figures as files: what is written below each, and the formats."""

import io
import warnings
from typing import TYPE_CHECKING, Any

from a2cli.errors import is_memory, not_installed
from a2cli.text import printable, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
MOST_PIXELS = 2000  # a side of a figure
CAPTION = 0.17  # inches of a line below a figure
SAVING: dict[str, dict[str, Any]] = {
    "png": {"pil_kwargs": {"compress_level": 1}},  # the usual 6 takes a quarter longer, for files a quarter smaller
    "svg": {"metadata": {"Date": None}},  # so that the same figure is the same file
    "pdf": {"metadata": {"CreationDate": None}},
}


def captioned(figure: "Figure", caption: str, stamp: str = "") -> float:
    """Write below a figure what it is of, and a stamp in red, each shortened to fit; return the inches that takes."""
    width, height = figure.get_size_inches()
    lines = [(line, color) for line, color in ((stamp, "#b00020"), (caption, "#707070")) if line]
    for number, (line, color) in enumerate(lines, start=1):
        line, room = printable(line), width - 0.2
        x, y = 0.1 / width, (0.05 - CAPTION * number) / height
        words = figure.text(x, y, line, color=color, fontsize=7, va="baseline")
        if len(line.encode()) * 0.08 > room:  # inches; else it fits, and measuring takes milliseconds
            for most in range(min(len(line), 300), 8, -4):
                words.set_text(shortened(line, most))
                if words.get_window_extent().width <= room * figure.dpi:
                    break
    return CAPTION * len(lines)


def rendered(figure: "Figure", kind: str, below: float = 0.0) -> bytes:
    """Return a figure as a file of a kind (png, svg, pdf), at most MOST_PIXELS pixels per side.

    `below` are the inches under it that are drawn as well.
    """
    from matplotlib.transforms import Bbox

    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # boxes in the picture; the CSV has the names
        width, height = figure.get_size_inches()
        dpi = min(DPI, MOST_PIXELS / max(width, height + below))
        figure.savefig(content, format=kind, dpi=dpi, bbox_inches=Bbox([[0, -below], [width, height]]), **SAVING[kind])
    return content.getvalue()


def reason_of(error: Exception) -> str:
    """Return on one line what a library says that went wrong."""
    if is_memory(error):
        return "not enough memory"
    if missing := not_installed(error):
        return missing
    return shortened(" ".join(f"{type(error).__name__}: {error}".split()), 200)

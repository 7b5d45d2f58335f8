"""What all figures share: matplotlib without pyplot and its global state, places set by hand, plain axes."""

from collections.abc import Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from a2cli import text

T = TypeVar("T")

TRAIN, VAL, TEST = "#c8553d", "#1f6f8b", "#8a8a2b"
INK, FAINT = "#333333", "#dddddd"


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of so many inches; places are set by hand, as matplotlib's layout takes as long as drawing."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def new_axes(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Add axes that leave so many inches free on each side of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def plain(axes: Axes, title: str, x: str = "epoch") -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(x)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def logarithmic(axis: Axis) -> None:
    """Label a logarithmic axis by plain numbers, as matplotlib's own labels are formulas."""
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter())


# Names from outside: of classes, runs, layers, files


def shortened(name: str, most: int) -> str:
    """Return a name as printable text of at most so many characters, its middle left out."""
    return text.shortened(text.printable(name), most)


def readable(name: str, most: int = 24) -> str:
    """Return a class name as it reads, shortened: folder names have underscores for spaces."""
    return shortened(name.replace("_", " "), most)


def in_legend(name: str, most: int = 24) -> str:
    """Return a name for a legend, from which matplotlib leaves out those that begin with an underscore."""
    shown = shortened(name, most)
    return f" {shown}" if shown.startswith("_") else shown


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def some_of(shown: int, count: int, what: str) -> str:
    """Return words for a title that say how many of how many are shown, or nothing where all are."""
    return "" if shown == count else f", {shown} of {count} {what}"

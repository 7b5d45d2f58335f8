"""What all figures share: matplotlib without pyplot and its global state, places set by hand, plain axes."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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


def shortened(text: str, most: int) -> str:
    """Return a text that fits into so many letters, its end left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def readable(name: str) -> str:
    """Return a class name as it reads: folder names have underscores for spaces."""
    return name.replace("_", " ")

"""What all figures share: the palette, text that fits, titles, legends; matplotlib without pyplot and its global state.

Places are set by hand, in inches, as matplotlib's layout takes as long as drawing.
"""

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colorizer import ColorizingArtist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator, PercentFormatter

from a2cli import text

T = TypeVar("T")

LARGEST = 12.9  # inches a side: with the lines below a figure, 2,000 pixels
TITLE, TITLE_SIZE, UNDER, UNDER_SIZE = 0.21, 11, 0.16, 8  # inches of a line, points
MARGIN = 0.1
MAPS = "Blues"  # shares and distances as shades: the darker, the more; also in grey
INK, FAINT, GREY = "#333333", "#dddddd", "#707070"

# Colours that are told apart by the colour-blind and in grey print, as `test_figures.py` measures; markers and dashes
# tell the same.
TRAIN, VAL, TEST = "#d1495b", "#1d4e89", "#d9a404"
KEPT = "*"  # marks the epochs whose weights are kept
PARTS: dict[str, dict[str, Any]] = {
    "train": {"color": TRAIN, "marker": "o"},
    "val": {"color": VAL, "marker": "s"},
    "test": {"color": TEST, "marker": "^"},
}
SERIES = ("#0464de", "#d4b90f", "#833123", "#e54e9c", "#193a46", "#b08fec")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", ":", "-.")
VERDICTS: dict[str, dict[str, str]] = {  # every verdict of the project, in its four colours
    "better": {"color": VAL, "marker": "^", "sign": "▲"},
    "equivalent": {"color": TEST, "marker": "s", "sign": "="},
    "undecided": {"color": "#d8d8d8", "marker": "o", "sign": "?"},
    "worse": {"color": TRAIN, "marker": "v", "sign": "▼"},
}
VERDICTS |= {"helps": VERDICTS["better"], "hurts": VERDICTS["worse"], "no difference": VERDICTS["equivalent"]}
VERDICTS |= {"invariant": VERDICTS["equivalent"], "breaks": VERDICTS["worse"]}
VERDICTS |= {"learned": VERDICTS["better"], "like its initialisation": VERDICTS["worse"]}


def series(i: int) -> dict[str, Any]:
    """Return the colour, dashes and marker of the i-th of several contenders or runs, different ones up to 24."""
    count = len(SERIES)
    return {"color": SERIES[i % count], "linestyle": DASHES[i // count % len(DASHES)], "marker": MARKERS[i % count]}


def on_color(color: Any) -> str:
    """Return the colour of text that is read on this one (red, green, blue in [0, 1])."""
    return INK if 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 0.55 else "white"


# Figures and their parts


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of so many inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def titled(width: float, height: float, title: str, *under: str) -> tuple[Figure, float]:
    """Return a figure of so many inches below its title, and the height of the title, in as many lines as it takes.

    What is `under` the title is written smaller.
    """
    room = width - 2 * MARGIN
    lines = [(line, TITLE, TITLE_SIZE) for line in wrapped(title, room, TITLE_SIZE)]
    lines += [(line, UNDER, UNDER_SIZE) for words in under if words for line in wrapped(words, room, UNDER_SIZE)]
    head = MARGIN + sum(high for _, high, _ in lines) + 0.04
    figure, top = new_figure(width, head + height), MARGIN
    for line, high, size in lines:
        figure.text(MARGIN / width, 1 - (top + high / 2) / (head + height), line, fontsize=size, color=INK,
                    va="center_baseline")  # fmt: skip
        top += high
    return figure, head


def new_axes(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Add axes that leave so many inches free on each side of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def page(width: float, height: float, title: str, *under: str) -> tuple[Figure, Axes, float]:
    """Return a figure with a title, axes in inches from its top left, and where the title ends.

    One axes for all pictures: axes of their own cost ten times the time.
    """
    figure, head = titled(width, height, title, *under)
    axes = new_axes(figure, 0, 0, 0, 0)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(head + height, 0))
    return figure, axes, head


def place(axes: Axes, picture: Any, left: float, top: float, width: float, height: float) -> None:
    """Show a picture on a page, its corner and sides in inches."""
    extent = (left, left + width, top + height, top)
    axes.imshow(picture, extent=extent, aspect="auto")


def plain(axes: Axes, title: str, x: str = "epoch", y: str = "") -> None:
    if title:
        axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def color_bar(figure: Figure, drawn: ScalarMappable | ColorizingArtist, left: float, bottom: float, height: float,
              label: str, **options: Any) -> None:  # fmt: skip
    """Add a colour bar, its corner and height in inches; with its numbers and label it is 0.75 inches wide."""
    width, whole = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / whole, 0.14 / width, height / whole), label="<colorbar>")
    figure.colorbar(drawn, cax=axes, **options)
    axes.tick_params(labelsize=7)
    axes.set_ylabel(label, fontsize=7.5)


def legend_beside(axes: Axes) -> None:
    """Put the legend to the right of the axes, where it covers nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8)


def legend_above(figure: Figure, handles: Sequence[Artist], top: float, left: float = MARGIN) -> None:
    """Put a legend so many inches below the figure's top, in as many rows as `legend_height` says."""
    width, height = figure.get_size_inches()
    columns = _legend_columns(width - left, [str(handle.get_label()) for handle in handles])
    figure.legend(handles=handles, frameon=False, fontsize=8, ncols=columns, loc="upper left", borderaxespad=0,
                  borderpad=0.2, bbox_to_anchor=(left / width, 1 - top / height))  # fmt: skip


def legend_height(width: float, names: Sequence[str]) -> float:
    """Return the inches that a legend of these names takes above the axes of a figure so wide."""
    return 0.1 + 0.17 * -(-len(names) // _legend_columns(width - MARGIN, names))


def _legend_columns(width: float, names: Sequence[str]) -> int:
    wide = [width_of(name, 8) + 0.57 for name in names]  # each with its line, and the space between

    def width_in(columns: int) -> float:
        """Return the width of all columns; as matplotlib has it, the first ones hold one name more than the others."""
        rows, longer = divmod(len(wide), columns)
        ends = [rows * i + min(i, longer) for i in range(columns + 1)]
        return sum(max(wide[begin:end]) for begin, end in itertools.pairwise(ends))

    fits = (count for count in range(len(names), 1, -1) if width_in(count) <= width)
    return next(fits, 1)


# Axes


def percent(axis: Axis) -> None:
    axis.set_major_formatter(PercentFormatter(1.0))


def epochs(axes: Axes, count: int) -> None:
    """Show so many epochs, one as well."""
    aside = max(0.5, 0.02 * count)
    axes.set_xlim(1 - aside, count + aside)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def every(count: int) -> int:
    """Return how far apart markers are on a line of so many points."""
    return max(1, count // 8)


def logarithmic(axis: Axis) -> None:
    """Label a logarithmic axis by plain numbers, as matplotlib's own labels are formulas."""
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter())


def small_numbers(axis: Axis, largest: float) -> None:
    """Label all of an axis in one notation: not 0.0001 beside 8e-05."""
    if largest >= 0.005:
        axis.set_major_formatter("{x:g}")
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1e}".replace(".0e", "e") if value else "0"))


# Names from outside: of classes, runs, layers, files


@cache
def _advance(character: str) -> float:
    """Return how wide a character is, as a share of the font's size."""
    font = get_font(findfont(FontProperties()))
    font.set_size(100, 72)
    if not (glyph := font.get_char_index(ord(character))):
        return 1.16  # the box that is drawn for what the font lacks
    return font.load_glyph(glyph, flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100


def width_of(words: str, size: float) -> float:
    """Return how many inches a line of text is wide, in points of size."""
    return 1.02 * sum(map(_advance, words)) * size / 72


def fitted(name: str, inches: float, size: float) -> str:
    """Return a name as printable text that fits into so many inches, its middle left out."""
    shown = shortened(name, 400)
    while (width := width_of(shown, size)) > inches and len(shown) > 1:
        shown = shortened(name, max(1, min(len(shown) - 1, int(len(shown) * inches / width))))
    return shown


def fitted_end(path: str, inches: float, size: float) -> str:
    """Return a path that fits into so many inches, its beginning left out: the end tells files apart."""
    shown = text.printable(path)[-400:]
    whole = shown
    while (width := width_of(shown, size)) > inches and len(shown) > 1:
        shown = "…" + whole[-max(1, min(len(shown) - 2, int(len(shown) * inches / width) - 1)) :]
    return shown


def wrapped(words: str, inches: float, size: float) -> list[str]:
    """Return lines that fit into so many inches, broken at spaces."""
    lines: list[str] = []
    for word in text.printable(words).split(" "):
        if lines and width_of(longer := f"{lines[-1]} {word}", size) <= inches:
            lines[-1] = longer
        else:
            lines.append(fitted(word, inches, size))
    return lines


def spaced(name: str) -> str:
    """Return a class name as it reads: folder names have underscores for spaces."""
    return name.replace("_", " ")


def shortened(name: str, most: int) -> str:
    """Return a name as printable text of at most so many characters, its middle left out."""
    return text.shortened(text.printable(name), most)


def readable(name: str, most: int = 24) -> str:
    """Return a class name as it reads, shortened."""
    return shortened(spaced(name), most)


def in_legend(name: str, inches: float = 1.6) -> str:
    """Return a name for a legend, from which matplotlib leaves out those that begin with an underscore."""
    shown = fitted(name, inches, 8)
    return f" {shown}" if shown.startswith("_") else shown


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def some_of(shown: int, count: int, what: str) -> str:
    """Return words for a title that say how many of how many are shown, or nothing where all are."""
    return "" if shown == count else f", {shown} of {count} {what}"

"""A run's figures on its page: each as a picture, as charts where it has lines, and as its numbers."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from a2cli.errors import DataError
from a2cli.html_report.charts import Chart, charts_of, rows_stated
from a2cli.html_report.pictures import MOST_WIDTH, pictures_of, shown_of
from a2cli.html_report.table import Table
from a2cli.reports.report import Report
from a2cli.storage import hashed
from a2cli.text import printable

MOST_ROWS = 200  # of a table beside a figure; its CSV has all
MOST_CSV = 60_000  # characters of CSV to copy
TITLES = {
    "answers": "The images with their answers",
    "box": "What units see of an image",
    "claims": "Claims of section",
    "classes": "Results by class",
    "confusion": "Confusion matrix: each true class by answers",
    "contributions": "What each ingredient brings",
    "curves": "Curves",
    "depth": "Receptive field by layer",
    "effective": "Effective receptive field",
    "evidence": "Singular values of each layer's weights",
    "film": "First layer over the training",
    "filters": "Filters of the first layer",
    "images": "Images that units answer most to, layer",
    "layers": "How far each layer's activations move",
    "learning-rate": "Learning rate by epoch",
    "maps": "What one unit sees of each map",
    "most-wrong": "Images answered wrongly with most confidence",
    "near-duplicates": "Nearly identical images",
    "patches": "Patches that units answer most to, layer",
    "probes": "How well each layer's features serve",
    "rates": "Accuracy by learning rate in tuning",
    "reliability": "How often answers are right, by their probability",
    "samples": "Images of each class",
    "sheet": "Changed images with their answers, sheet",
    "time": "Accuracy by time of training",
    "translations": "Accuracy when images are moved",
    "units": "Weights of the first layer's units",
    "verdicts": "Differences of accuracy between pairs",
}  # of others, which are named for images, the file's name


@dataclass(frozen=True)
class PageFigure:
    """A figure as a data URL, what is said of it, and the numbers that it was drawn from: as charts, a table, CSV.

    `anchor` is its own on the page of one run.
    """

    name: str
    title: str
    anchor: str
    url: Markup
    remark: str
    charts: Sequence[Chart]
    numbers: Table | None
    csv: Markup = Markup()


def figures_of(folder: Path, report: Report, repeated: str) -> tuple[dict[str, list[PageFigure]], list[str]]:
    """Return the figures by their folder in the run directory, and which cannot be shown, and why.

    `repeated` is what the run's networks differ in, seed or fold. Raises DataError for a CSV file that is damaged.
    """
    names = [
        name for name in map(Path, report.artifacts) if "figures" in name.parts and name.suffix not in (".csv", ".npz")
    ]
    names, not_shown = shown_of(names)
    shown = pictures_of(folder, [name for name in names if name.suffix == ".png" and (folder / name).is_file()])
    stated = rows_stated(report)
    figures: dict[str, list[PageFigure]] = {}
    for name in names:
        of, picture, numbers = name.parent.parent, shown.get(name), name.with_suffix(".csv")
        changed = "damaged" if name in shown and picture is None else _changed(report, folder, name)
        if changed or picture is None:
            not_shown.append(f"{name} ({changed or 'no PNG file'})")
            continue
        if changed := _changed(report, folder, numbers):
            not_shown.append(f"{numbers} ({changed})")
        heads, rows = ([], []) if changed else _csv(folder / numbers)
        cells = stated.get(name.stem) or [dict(zip(heads, row, strict=False)) for row in rows]
        charts = charts_of(name.stem, cells, repeated) if of == Path() else []
        remark = "" if picture.exact else f"shown with small losses, at most {MOST_WIDTH} pixels wide; exact in {name}"
        text = _csv_text(heads, rows)
        figures.setdefault("" if of == Path() else of.as_posix(), []).append(
            PageFigure(
                name=name.stem,
                title=title_of(name.stem),
                anchor=f"figure-{names.index(name)}",
                url=picture.url,
                remark=remark,
                charts=charts,
                numbers=_first_rows(heads, rows),
                csv=text if len(text) <= MOST_CSV else Markup(),
            )
        )
    return figures, not_shown


def title_of(stem: str) -> str:
    """Return what a figure is called, by its file's name: with what follows one of the names that are known."""
    known = max((name for name in TITLES if f"{stem}-".startswith(f"{name}-")), key=len, default="")
    return f"{TITLES[known]} {stem[len(known) + 1 :]}".strip() if known else stem


def _changed(report: Report, folder: Path, name: Path) -> str:
    """Return what became of a file that the run wrote, or nothing; earlier reports have no SHA-256 of its content."""
    if not (folder / name).is_file():
        return "gone" if name.as_posix() in report.artifacts else ""
    stated = report.figure_sha256.get(name.as_posix())
    return "" if stated in (None, hashed(folder / name).hexdigest()) else "not as the run wrote it"


def _csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of a CSV file, none where there is no file; raises DataError for a damaged one."""
    if not path.is_file():
        return [], []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            heads, *rows = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: damaged ({error})") from None
    return heads, rows


def _first_rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table | None:
    return Table(heads, rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)) if heads else None


def _csv_text(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table as CSV, as text on the page: what would steer a line is an escape, but for the lines' ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([printable(cell) for cell in row] for row in (heads, *rows))
    return escape(text.getvalue())

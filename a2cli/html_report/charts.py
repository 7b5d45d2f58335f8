"""Charts that answer to the pointer, made from the numbers that a run's figures were drawn from (their CSV files)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
from statistics import fmean, stdev
from typing import Any, NamedTuple

from a2cli.probe_invariance.results import ChangeResult, InvarianceResults, ProbedRun
from a2cli.reports.report import Report
from a2cli.reports.training_results import TrainingResults
from a2cli.text import printable

Row = Mapping[str, str]
ACCURACIES = {"train_accuracy": "training", "val_accuracy": "validation", "test_accuracy": "test"}
COLORS = {"validation": 0, "training": 1, "test": 2}  # blue, red and yellow, as in the figures
LOSSES = {"train_loss": "training", "val_loss": "validation"}


class Point(NamedTuple):
    """A point of a line, with the band around it, NaN where there is no value; whether its epoch's weights are kept."""

    x: float
    y: float
    low: float
    high: float
    kept: bool = False


@dataclass(frozen=True)
class Line:
    """One line of a chart: its place among the colours and the dashes; `shown` at first, until the reader switches."""

    name: str
    points: Sequence[Point]
    color: int
    dash: int = 0
    shown: bool = True


@dataclass(frozen=True)
class Chart:
    """Lines over x; what their bands are, if they have any."""

    title: str
    x: str
    lines: Sequence[Line]
    band: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script draws: each line has a value, or null, at every x that any line has."""
        at = sorted({point.x for line in self.lines for point in line.points})
        lines = [_aligned(line, at) for line in self.lines]
        return {"title": printable(self.title), "x": self.x, "band": self.band, "at": at, "lines": lines}


@dataclass(frozen=True)
class Kind:
    """How the CSV file of a figure becomes charts.

    `charts` has the titles, and the columns drawn in each with what they are called. The values of `by` are lines
    of their own, those of `split` charts. Rows alike but for `over` are repetitions: the mean of their first rows, of
    their second rows and so on is a line. `band` are the columns of an interval.
    """

    figure: str
    x: str
    charts: Mapping[str, Mapping[str, str]]
    by: str = ""
    split: str = ""
    over: str = ""
    band: tuple[str, str] | tuple[()] = ()

    def fits(self, rows: Sequence[Row]) -> bool:
        return bool(rows) and {self.x, self.by, self.split, self.over, *self.band} - {""} <= rows[0].keys()


KINDS = (
    Kind("curves", "epoch", {"Loss": LOSSES, "Accuracy": ACCURACIES}, over="seed"),
    Kind("learning-rate", "epoch", {"Learning rate": {"learning_rate": ""}}, over="seed"),
    Kind("curves", "epoch", {"Validation accuracy": {"val_accuracy": ""}, "Validation loss": {"val_loss": ""},
                             "Training accuracy": {"train_accuracy": ""}}, by="contender", over="seed"),
    Kind("time", "seconds", {"Validation accuracy by time": {"val_accuracy": ""}}, by="contender", over="seed"),
    Kind("curves", "strength", {"Accuracy": {"accuracy": ""}}, by="run", split="change", band=("low", "high")),
)  # fmt: skip


def rows_stated(report: Report) -> dict[str, list[Row]]:
    """Return the rows of figures that a report itself has, whose SHA-256 was checked as it was read, by figure."""
    results = report.results
    if isinstance(results, TrainingResults):
        kept = [run.kept_epoch for run in results.runs]
        logs = [(seed, log, log.epoch == epoch)
                for (seed, own), epoch in zip(report.history.items(), kept, strict=True) for log in own]  # fmt: skip
        rows = [_row(asdict(log), seed=seed, kept=is_kept) for seed, log, is_kept in logs]
        return {"curves": rows, "learning-rate": rows}
    if isinstance(results, InvarianceResults):
        return {"curves": [row for run in results.runs for change in run.changes for row in _probed(run, change)]}
    return {}


def _probed(run: ProbedRun, change: ChangeResult) -> Iterator[Row]:
    """Give the points of a change in their order, with that of the unchanged images."""
    points = [(point.strength, point.accuracy) for point in change.points if point.strength is not None]
    if points and change.identity is not None:
        points.append((change.identity, run.unchanged))
    for strength, accuracy in sorted(points, key=itemgetter(0)):
        yield _row(asdict(accuracy), run=run.name, change=change.title, unit=change.unit, strength=strength,
                   accuracy=accuracy.value)  # fmt: skip


def _row(values: Mapping[str, object], **more: object) -> Row:
    return {name: "" if value is None else str(value) for name, value in {**values, **more}.items()}


def charts_of(figure: str, rows: Sequence[Row], repeated: str = "seed") -> list[Chart]:
    """Return the charts of a figure's numbers; none of a figure that has no lines.

    `repeated` is what the values of the column `seed` are: seeds or folds.
    """
    fitting = [kind for kind in KINDS if kind.figure == figure and kind.fits(rows)]
    kind = max(fitting, key=lambda kind: bool(kind.by), default=None)  # a contender's curves have seeds as well
    return list(_charts(kind, rows, repeated)) if kind else []


def _charts(kind: Kind, rows: Sequence[Row], repeated: str) -> Iterator[Chart]:
    for part, own in _grouped(rows, kind.split).items():
        for title, columns in kind.charts.items():
            groups = _grouped(own, kind.by)
            wanted = [(of, column, name) for of in groups for column, name in columns.items()]
            lines = [
                replace(line, color=COLORS.get(name, color))
                for color, (of, column, name) in enumerate(wanted)
                for line in _lines(kind, ", ".join(filter(None, (of, name))) or title, column, groups[of], repeated)
            ]
            band = "95% interval" if kind.band else ""
            if any(len(_grouped(alike, kind.over)) > 1 for alike in groups.values()):
                band = "one standard deviation to each side of the mean"
            if lines:
                x = own[0].get("unit", kind.x)
                yield Chart(f"{title}: {part}" if part else title, x, lines, band)


def _lines(kind: Kind, name: str, column: str, rows: Sequence[Row], repeated: str) -> Iterator[Line]:
    """Give the line of a column; of several repetitions that of their mean, then each one's, which is not shown yet."""
    each = {number: _points(kind, column, own) for number, own in _grouped(rows, kind.over).items()}
    each = {number: points for number, points in each.items() if points}
    if len(each) == 1:
        yield Line(name, next(iter(each.values())), 0)
    elif each:
        yield Line(f"{name}, mean", [_mean(points) for points in zip(*each.values(), strict=False)], 0)
        for dash, (number, points) in enumerate(each.items(), start=1):
            yield Line(f"{name}, {repeated} {number}", points, 0, dash, shown=False)


def _points(kind: Kind, column: str, rows: Sequence[Row]) -> list[Point]:
    """Return a column's points; none where it has no value at all, as the test accuracies of most runs."""
    low, high = kind.band or (column, column)
    points = [
        Point(_number(row[kind.x]), _number(row.get(column)), _number(row.get(low)), _number(row.get(high)),
              row.get("kept") == "True") for row in rows
    ]  # fmt: skip
    points = [point for point in points if math.isfinite(point.x)]
    return points if any(math.isfinite(point.y) for point in points) else []


def _mean(points: Sequence[Point]) -> Point:
    """Return the mean of several runs' points of one epoch, with a band of one standard deviation."""
    y, deviation = fmean(point.y for point in points), stdev(point.y for point in points)
    return Point(fmean(point.x for point in points), y, y - deviation, y + deviation)


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan


def _grouped(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    """Return rows by their value in a column, in the order of the file; all together where there is no column."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column] if column else "", []).append(row)
    return groups


def _aligned(line: Line, at: Sequence[float]) -> dict[str, Any]:
    points = {point.x: point for point in line.points}
    here = [points.get(x) for x in at]
    columns = {name: [_shown(point and getattr(point, name)) for point in here] for name in ("y", "low", "high")}
    if columns["low"] == columns["y"] == columns["high"]:
        del columns["low"], columns["high"]
    kept = [point.x for point in line.points if point.kept]
    look = {"color": line.color, "dash": line.dash, "shown": line.shown}
    return {"name": printable(line.name), **look, "kept": kept, **columns}


def _shown(value: float | None) -> float | None:
    """Return a value to six digits, which are more than a chart can show; None for what is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def overlaid(runs: Mapping[str, Sequence[Chart]]) -> list[Chart]:
    """Return a chart of each kind that several runs have, with the lines of all: a run has a colour, a line a dash."""
    charts: dict[tuple[str, str], list[tuple[int, str, Chart]]] = {}
    for color, (name, own) in enumerate((name, own) for name, own in runs.items() if own):
        for chart in own:
            charts.setdefault((chart.title, chart.x), []).append((color, name, chart))
    return [
        Chart(title, x, [replace(line, name=f"{name}: {line.name}", color=color, dash=dash)
                         for color, name, chart in several
                         for dash, line in enumerate(line for line in chart.lines if line.shown)],
              next((chart.band for _, _, chart in several if chart.band), ""))
        for (title, x), several in charts.items() if len(several) > 1
    ]  # fmt: skip

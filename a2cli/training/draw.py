"""The figures of trainings, each with the numbers that it was drawn from."""

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter

import numpy as np

from a2cli.columns import Column, fields_of, of, placed
from a2cli.data.packing import Packed
from a2cli.reports.data_results import NearDuplicate
from a2cli.reports.training_results import CLASSES, CalibrationBin, EpochLog, Mistake, TrainingResult
from a2cli.runs.directory import Run

MOST_SHOWN = 12  # pairs of nearly identical images
MOST_SAMPLES = 6  # images of a class
History = Mapping[str, list[EpochLog]]


def draw_run(
    run: Run, packed: Packed, history: History, result: TrainingResult, stages: Mapping[int, str] | None = None
) -> None:
    """Write the figures of one run: its curves, who is taken for whom, images of each class, and the worst mistakes.

    `stages` are the stages' names by their first epoch.
    """
    from a2cli.training import figures as plots  # and with it matplotlib, which takes 0.4 s
    from a2cli.training import image_figures as image_plots

    draw_training(run, history, [result], stages)
    judged, matrix, names = result.judged, result.judged.matrix, packed.class_names
    cells = ([name, *row] for name, row in zip(names, matrix, strict=True))
    confusion = partial(plots.confusion, np.array(matrix), names, judged.part)
    run.save_figure("confusion", confusion, placed("truth", *names), cells)
    run.save_figure("classes", partial(plots.class_scores, judged), CLASSES, judged.classes)
    run.save_figure("reliability", partial(plots.reliability, judged), fields_of(CalibrationBin), judged.calibration)
    if not packed.has_pictures:
        return
    row_of = {name: row for row, name in enumerate(packed.names)}
    shown = packed.images[[row_of[mistake.image] for mistake in judged.most_wrong]]
    sheet = partial(image_plots.most_wrong, shown, judged.most_wrong, judged.part)
    run.save_figure("most-wrong", sheet, fields_of(Mistake), judged.most_wrong)
    draw_samples(run, packed)


def draw_samples(run: Run, packed: Packed) -> None:
    """Write the figure of a few images of each class, evenly spaced in the order of their names."""
    from a2cli.training import image_figures as image_plots

    classes = packed.class_names
    rows = [np.flatnonzero(packed.labels == label) for label in range(len(classes))]
    shown = [
        own[np.unique(np.linspace(0, len(own) - 1, MOST_SAMPLES).astype(int))] if len(own) else own for own in rows
    ]
    cells = [(name, packed.names[row]) for name, own in zip(classes, shown, strict=True) for row in own.tolist()]
    counts = {name: len(own) for name, own in zip(classes, rows, strict=True)}
    sheet = partial(image_plots.samples, [packed.images[own] for own in shown], counts)
    run.save_figure("samples", sheet, placed("class", "image"), cells)


def draw_near_duplicates(run: Run, pairs: Sequence[NearDuplicate], packed: Packed) -> None:
    """Write the figure of nearly identical images, where there are any; pairs in two parts of the split come first."""
    from a2cli.training import image_figures as image_plots

    shown = pairs[:MOST_SHOWN]
    if not shown or not packed.has_pictures:
        return
    row_of = {name: row for row, name in enumerate(packed.names)}
    drawn = np.stack([[packed.images[row_of[name]] for name in (pair.first, pair.second)] for pair in shown])
    run.save_figure(
        "near-duplicates", partial(image_plots.near_duplicates, drawn, shown), fields_of(NearDuplicate), shown
    )


def draw_training(
    run: Run, history: History, results: Sequence[TrainingResult], stages: Mapping[int, str] | None = None
) -> None:
    """Write the learning curves and the learning rate of one run or several."""
    from a2cli.training import figures as plots

    kept_epoch = dict(zip(history, (result.kept_epoch for result in results), strict=True))
    rows = [(seed, log) for seed, logs in history.items() for log in logs]
    columns: list[Column[tuple[str, EpochLog]]] = [
        Column("seed", itemgetter(0)),
        *of(itemgetter(1), fields_of(EpochLog)),
        Column("kept", lambda row: row[1].epoch == kept_epoch[row[0]]),
    ]
    run.save_figure("curves", partial(plots.learning_curves, history, results, stages or {}), columns, rows)
    rates = [column for column in columns if column.name in ("seed", "epoch", "learning_rate")]
    run.save_figure("learning-rate", partial(plots.learning_rate, history), rates, rows)

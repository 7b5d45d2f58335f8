"""`a2 receptive-field`: what units see, derived; if asked, proven, weighed by the gradient, and drawn.

Torch is imported only where something is run through a network or drawn.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from a2cli.columns import Column, placed
from a2cli.errors import SettingsError
from a2cli.machine import machine
from a2cli.progress import ProgressReporter
from a2cli.receptive_field.fields import layers_of, parse_layers
from a2cli.receptive_field.results import FieldResults, LayerField, MapCone, UnitField
from a2cli.receptive_field.settings import ReceptiveFieldSettings
from a2cli.receptive_field.stack_fields import stack_fields
from a2cli.reports.report import Report, new_report
from a2cli.settings.declare import flat
from a2cli.settings.training import TrainCnnSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from a2cli.receptive_field.effective_fields import Influences
    from a2cli.runs.directory import Run

COMMAND = "receptive-field"


def receptive_field(
    settings: ReceptiveFieldSettings, sample: TrainCnnSettings, run: "Run | None", reporter: ProgressReporter
) -> Report:
    """Return the report on what units see, and leave it in the run directory, if any, with its figures.

    `sample` is the training whose validation images are averaged over and drawn on. Raises SettingsError, DataError.
    """
    results = _derived(settings, reporter)
    influences: Influences = {}
    warnings: Sequence[str] = ()
    images = None
    if results.image_size and (run or settings.effective.effective):
        reporter.phase("loading PyTorch", "starting", brief=True)
        from a2cli.receptive_field import effective_fields

        images, warnings = effective_fields.sample_images(
            sample, results.image_size, settings.effective.images, reporter
        )
        if settings.effective.effective:
            measured = effective_fields.measure(settings, results, sample.training.seed, images, reporter)
            results, influences, more = measured
            warnings = [*warnings, *more]
    elif settings.effective.effective:
        raise SettingsError("--effective: needs --image-size")
    report = new_report(
        COMMAND,
        flat(settings),
        _environment(),
        results=results,
        warnings=list(warnings),
        seconds=reporter.clock.seconds(),
    )
    if run is None:
        return report
    with run.locked(reporter):
        run.write_config(COMMAND, report.config)
        return run.finish(report, reporter, partial(_draw, run, results, influences, images))


def _environment() -> dict[str, str | int]:
    if "torch" not in sys.modules:
        return machine()
    import torch

    from a2cli.runtime import environment

    return environment(torch.device("cpu"))


def _derived(settings: ReceptiveFieldSettings, reporter: ProgressReporter) -> FieldResults:
    stack = settings.stack
    if stack.model is not None:
        reporter.phase("loading PyTorch", "starting", brief=True)
        from a2cli.receptive_field.model_fields import model_fields

        return model_fields(
            stack.model, stack.image_size, stack.unit, stack.pixel, prove=stack.prove, reporter=reporter
        )
    if stack.layers is not None:
        layers, network = parse_layers(stack.layers), None
    else:
        assert stack.image_size is not None, "the ConvNet has its image size"
        layers, network = layers_of(settings.network, stack.image_size), settings.network
    return stack_fields(
        layers, stack.image_size, stack.unit, stack.pixel, network, prove=stack.prove, reporter=reporter
    )


MAPS: list[Column[MapCone]] = [
    Column("map", lambda row: row.name),
    Column("height", lambda row: row.size[0]),
    Column("width", lambda row: row.size[1]),
    Column("rows", lambda row: _words(row.rows)),
    Column("columns", lambda row: _words(row.columns)),
]
UNITS: list[Column[UnitField]] = [
    Column("layer", lambda row: row.layer),
    Column("row", lambda row: row.unit[0]),
    Column("column", lambda row: row.unit[1]),
    Column("first_row", lambda row: row.rows[0]),
    Column("last_row", lambda row: row.rows[1]),
    Column("first_column", lambda row: row.columns[0]),
    Column("last_column", lambda row: row.columns[1]),
    Column("pixels", lambda row: row.pixels),
]


def _draw(run: "Run", results: FieldResults, influences: "Influences", images: "NDArray[np.uint8] | None") -> None:
    from a2cli.receptive_field import figures as plots
    from a2cli.receptive_field.effective_fields import support

    image = None if images is None else images[0]
    if results.cone:
        run.save_figure("maps", partial(plots.maps, results.cone, image), MAPS, results.cone)
    sides = {(entry.layer, entry.weights): entry.holding["90"] ** 0.5 for entry in results.effective if entry.holding}
    columns: list[Column[LayerField]] = [
        Column("layer", lambda entry: entry.name),
        Column("field_rows", lambda entry: entry.field[0] if entry.field else ""),
        Column("field_columns", lambda entry: entry.field[1] if entry.field else ""),
        Column("effective_90_untrained", lambda entry: sides.get((entry.name, "untrained"), "")),
        Column("effective_90_trained", lambda entry: sides.get((entry.name, "trained"), "")),
    ]
    depth = partial(plots.depth, results.layers, results.effective, results.image_size)
    run.save_figure("depth", depth, columns, results.layers)
    units = _nested(results)
    if image is not None and units:
        run.save_figure("box", partial(plots.boxes, image, units, support(units[-1], image.shape[:2])), UNITS, units)
    if influences:
        name, spreads = list(influences.items())[-1]  # the deepest layer's
        fields_of_layer = [entry for entry in results.effective if entry.layer == name]
        units = [*([results.unit] if results.unit else []), *results.middle]
        derived = next((unit for unit in units if unit.layer == name), None)
        cells = [
            (kind, row, column, spread[row, column])
            for kind, spread in spreads.items()
            for row, column in zip(*spread.nonzero(), strict=True)
        ]
        figure = partial(plots.effective, name, spreads, fields_of_layer, derived)
        run.save_figure("effective", figure, placed("weights", "row", "column", "share"), cells)


def _nested(results: FieldResults) -> list[UnitField]:
    """Return the unit asked for; or the middle units of the drawn layers up to the last one's."""
    if not results.middle:
        return []
    tip = results.unit or results.middle[-1]
    names = [unit.layer for unit in results.middle]
    drawn = {unit.name for unit in results.cone}
    before = [unit for unit in results.middle[: names.index(tip.layer)] if unit.layer in drawn]
    return [*([] if results.unit else before), tip]


def _words(runs: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{first}-{last}" for first, last in runs)

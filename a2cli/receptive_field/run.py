"""`a2 receptive-field`: what units see, derived; if asked, proven, weighed by the gradient, and drawn.

Torch is imported only where something is run through a network or drawn.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from a2cli.columns import placed
from a2cli.errors import SettingsError
from a2cli.machine import machine
from a2cli.progress import ProgressReporter
from a2cli.receptive_field.fields import layers_of, parse_layers
from a2cli.receptive_field.results import FieldResults, UnitField
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
        results = replace(results, source=sample.dataset.data)
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


MAPS = placed("map", "height", "width", "rows", "columns")
DEPTH = placed("layer", "field_rows", "field_columns", "effective_90_untrained", "effective_90_trained")
UNITS = placed("layer", "row", "column", "first_row", "last_row", "first_column", "last_column", "pixels")


def _draw(run: "Run", results: FieldResults, influences: "Influences", images: "NDArray[np.uint8] | None") -> None:
    from a2cli.receptive_field import figures as plots
    from a2cli.receptive_field.effective_fields import support

    image = None if images is None else images[0]
    if results.cone:
        cells = [(cone.name, *cone.size, _words(cone.rows), _words(cone.columns)) for cone in results.cone]
        run.save_figure("maps", partial(plots.maps, results.cone, image), MAPS, cells)
    sides = {(entry.layer, entry.weights): entry.holding["90"] ** 0.5 for entry in results.effective if entry.holding}
    depths = [
        (one.name, *(one.field or ("", "")), *(sides.get((one.name, kind), "") for kind in ("untrained", "trained")))
        for one in results.layers
    ]
    depth = partial(plots.depth, results.layers, results.effective, results.image_size)
    run.save_figure("depth", depth, DEPTH, depths)
    units = _nested(results)
    if image is not None and units:
        boxes = [(unit.layer, *unit.unit, *unit.rows, *unit.columns, unit.pixels) for unit in units]
        run.save_figure("box", partial(plots.boxes, image, units, support(units[-1], image.shape[:2])), UNITS, boxes)
    if influences:
        name, spreads = list(influences.items())[-1]  # the deepest layer's
        fields_of_layer = [entry for entry in results.effective if entry.layer == name]
        units = [*([results.unit] if results.unit else []), *results.middle]
        derived = next((unit for unit in units if unit.layer == name), None)
        spread_cells = [
            (kind, row, column, spread[row, column])
            for kind, spread in spreads.items()
            for row, column in zip(*spread.nonzero(), strict=True)
        ]
        figure = partial(plots.effective, name, spreads, fields_of_layer, derived)
        run.save_figure("effective", figure, placed("weights", "row", "column", "share"), spread_cells)


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

"""`a2 visualize-weights`: what networks learned, and whether they did."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from a2cli.errors import SettingsError
from a2cli.probe_invariance.targets import TrainingRun
from a2cli.progress import ProgressReporter
from a2cli.reports.report import Report, new_report
from a2cli.runs.directory import Run
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.transfer.backbone import NOT_PRETRAINED
from a2cli.visualize_weights.findings import NetworkFindings
from a2cli.visualize_weights.history import film_of
from a2cli.visualize_weights.inspected import InspectedNetwork, find_viewed
from a2cli.visualize_weights.random_baseline import evidence
from a2cli.visualize_weights.results import ViewedNetwork, WeightResults
from a2cli.visualize_weights.saliency import look, read_image
from a2cli.visualize_weights.settings import VIEWS, ViewSettings, VisualizeWeightsSettings
from a2cli.visualize_weights.unit_figures import ascended, check_units, class_number, excited, pixel_units
from a2cli.visualize_weights.verdict import weights_verdict

COMMAND = "visualize-weights"


def visualize_weights(
    settings: VisualizeWeightsSettings,
    runs: Sequence[TrainingRun],
    run: Run,
    reporter: ProgressReporter,
    *,
    animate: bool = False,
) -> Report:
    """Look into the networks, and return the report written into the run directory with its figures.

    Raises SettingsError for a part, unit, layer or class that a network does not have, DataError for runs, weights and
    images that cannot be used.
    """
    with run.locked(reporter):
        view, look_at = settings.view, settings.look
        device = set_up(view.device, view.threads)
        view = replace(view, device=str(device), threads=torch.get_num_threads())
        settings = replace(settings, view=view)
        networks = find_viewed(view, runs, device, reporter)
        notes = [NOT_PRETRAINED] if any(one.weights == "none" for one in networks) else []
        run.stamp = notes[0] if notes else ""
        for viewed in networks:
            _check(viewed, settings)
        names = reporter.parts([viewed.name for viewed in networks])
        seen = [_look_into(viewed, view, device, reporter) for viewed, _ in zip(networks, names, strict=True)]
        if look_at.image:
            reporter.phase(f"asking what they look at in {', '.join(look_at.image)}", "explaining images")
        asked = [(file, viewed) for file in look_at.image for viewed in networks]
        parts = reporter.parts([f"{Path(file).name} by {viewed.name}" for file, viewed in asked], by_batches=True)
        looked = [
            look(viewed, file, look_at.methods, view.class_, view.redraws, device, reporter)
            for (file, viewed), _ in zip(asked, parts, strict=True)
        ]
        found, looks = [_result(one) for one in seen], [one.look for one in looked]
        results = WeightResults(found, looks, weights_verdict(found, looks))
        run.write_config(COMMAND, flat(settings))
        report = new_report(
            COMMAND,
            flat(settings),
            environment(device),
            results=results,
            warnings=[*notes, *(note for viewed in networks for note in viewed.notes)],
        )

        def draw() -> None:
            from a2cli.visualize_weights import draw as weight_figures

            weight_figures.draw(run, seen, looked, view, animate=animate)

        return run.finish(report, reporter, draw)


def _check(viewed: InspectedNetwork, settings: VisualizeWeightsSettings) -> None:
    """Raise SettingsError, DataError for what is asked for and a network does not have, before anything is computed."""
    view = settings.view
    for layer in view.layer:
        if not viewed.layers[viewed.layer(layer)].is_convolution:
            raise SettingsError(f"--layer: {layer} of {viewed.name} is linear, its units see no patch of the image")
    if view.class_ is not None:
        if not viewed.class_names:
            raise SettingsError(f"--class: {viewed.name} has no classes of its own; name a run by --run")
        class_number(viewed, view.class_)
    for layer in _deep(viewed, view) or [viewed.first]:
        check_units(viewed, layer, view.units)
    for file in settings.look.image:
        read_image(file, viewed)


def _deep(viewed: InspectedNetwork, settings: ViewSettings) -> list[str]:
    """Return the convolutions whose units are shown by what excites them."""
    convolutions = [name for name, one in viewed.layers.items() if one.is_convolution]
    wide = [name for name in convolutions if max(viewed.layers[name].weight.shape[2:]) > 1]
    return list(settings.layer) or (wide or convolutions)[-1:]


def _look_into(
    viewed: InspectedNetwork, settings: ViewSettings, device: torch.device, reporter: ProgressReporter
) -> NetworkFindings:
    film = film_of(viewed) if "film" in settings.show else []
    unsuited = _unsuited(viewed, has_film=len(film) > 1)
    seen = NetworkFindings(viewed, skipped={part: why for part, why in unsuited.items() if part in settings.show})
    if settings.show != VIEWS and seen.skipped:
        part, why = next(iter(seen.skipped.items()))
        raise SettingsError(f"--show {part}: {viewed.name}: {why}")
    seen.film = film if seen.shows("film", settings) else []
    if seen.shows("units", settings):
        seen.units = pixel_units(viewed, settings, device, reporter)
    if seen.shows("patches", settings) or seen.shows("ascent", settings):
        seen.excited = excited(viewed, _deep(viewed, settings), settings, device, reporter)
    if seen.shows("ascent", settings):
        seen.excited = [ascended(viewed, one, settings, reporter) for one in seen.excited]
    if seen.shows("evidence", settings):
        reporter.phase(
            f"holding {viewed.name} against {settings.redraws} re-initialised networks", "looking into weights"
        )
        seen.layers, seen.spectra = evidence(viewed, settings.redraws, device, reporter)
    return seen


def _unsuited(viewed: InspectedNetwork, *, has_film: bool) -> dict[str, str]:
    """Return the parts that do not suit a network, and why."""
    found = {}
    if viewed.layers[viewed.first].is_convolution:
        found["units"] = "its first layer is a convolution, see filters"
    else:
        found["filters"] = "its first layer is linear, see units"
        found["patches"] = found["ascent"] = "it has no convolution, whose units see a patch of the image"
    if not viewed.folder:
        found["film"] = "it was trained elsewhere"
    elif not has_film:
        found["film"] = "its first layer did not learn in this run, or what it kept of it is gone"
    return found


def _result(seen: NetworkFindings) -> ViewedNetwork:
    viewed = seen.viewed
    return ViewedNetwork(
        name=viewed.name,
        folder=viewed.folder,
        weights=viewed.weights,
        images=len(viewed.images),
        source=viewed.source,
        layers=seen.layers,
        units=[*seen.units, *(view for one in seen.excited for view in one.views)],
        film=[frame for frame, _ in seen.film],
        skipped=seen.skipped,
    )

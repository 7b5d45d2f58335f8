"""`a2 visualize-weights`: what networks learned, and whether they did."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from a2cli.errors import SettingsError
from a2cli.models.cards import NOT_PRETRAINED
from a2cli.models.layers import first_layer
from a2cli.probe_invariance.targets import TrainingRun
from a2cli.progress import ProgressReporter
from a2cli.reports.report import Report, new_report
from a2cli.reports.training_results import TrainingResult, TrainingResults
from a2cli.runs.checkpoints import load_frames
from a2cli.runs.directory import Run
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.visualize_weights.findings import NetworkFindings
from a2cli.visualize_weights.inspected import InspectedNetwork, find_viewed
from a2cli.visualize_weights.random_baseline import evidence
from a2cli.visualize_weights.results import Frame, ViewedNetwork, WeightResults
from a2cli.visualize_weights.saliency import look, read_image
from a2cli.visualize_weights.settings import VIEWS, ViewSettings, VisualizeWeightsSettings
from a2cli.visualize_weights.units import Excited, ascended, check_units, class_number, excited, pixel_units
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
        view, files = settings.view, settings.look.image
        device = set_up(view.device, view.threads)
        view = replace(view, device=str(device), threads=torch.get_num_threads())
        settings = replace(settings, view=view)
        networks = find_viewed(view, runs, device, reporter)
        notes = [] if all(viewed.pretrained for viewed in networks) else [NOT_PRETRAINED]
        run.stamp = notes[0] if notes else ""
        for viewed in networks:
            _check(viewed, settings)
        names = reporter.parts([viewed.name for viewed in networks])
        findings = [_look_into(viewed, view, reporter) for viewed, _ in zip(networks, names, strict=True)]
        if files:
            reporter.phase(f"asking what they look at in {', '.join(files)}", "explaining images")
        asked = [(file, viewed) for file in files for viewed in networks]
        parts = reporter.parts([f"{Path(file).name} by {viewed.name}" for file, viewed in asked], by_batches=True)
        maps = [
            look(viewed, file, settings.look.methods, view.class_, view.redraws, reporter)
            for (file, viewed), _ in zip(asked, parts, strict=True)
        ]
        results, looks = [one.result for one in findings], [one.look for one in maps]
        run.write_config(COMMAND, flat(settings))
        report = new_report(
            COMMAND,
            flat(settings),
            environment(device),
            results=WeightResults(results, looks, weights_verdict(results, looks)),
            warnings=[*notes, *(note for viewed in networks for note in viewed.notes)],
        )

        def draw() -> None:
            from a2cli.visualize_weights import draw as weight_figures

            weight_figures.draw(run, findings, maps, view, animate=animate)

        return run.finish(report, reporter, draw)


def _check(viewed: InspectedNetwork, settings: VisualizeWeightsSettings) -> None:
    """Raise SettingsError, DataError for what is asked for and a network does not have, before anything is computed."""
    view = settings.view
    for layer in view.layer:
        if not viewed.layer(layer).is_convolution:
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
    convolutions = [name for name, layer in viewed.layers.items() if layer.is_convolution]
    wide = [name for name in convolutions if max(viewed.layers[name].weight.shape[2:]) > 1]
    return list(settings.layer) or (wide or convolutions)[-1:]


def _look_into(viewed: InspectedNetwork, settings: ViewSettings, reporter: ProgressReporter) -> NetworkFindings:
    film = film_of(viewed) if "film" in settings.show else []
    unsuited = _unsuited(viewed, has_film=len(film) > 1)
    skipped: dict[str, str] = {part: why for part, why in unsuited.items() if part in settings.show}
    if settings.show != VIEWS:
        for part, why in skipped.items():
            raise SettingsError(f"--show {part}: {viewed.name}: {why}")
    shown = [part for part in settings.show if part not in skipped]
    units = pixel_units(viewed, settings, reporter) if "units" in shown else []
    layers_excited: list[Excited] = []
    if "patches" in shown or "ascent" in shown:
        layers_excited = excited(viewed, _deep(viewed, settings), settings, reporter)
    if "ascent" in shown:
        layers_excited = [ascended(viewed, layer, settings, reporter) for layer in layers_excited]
    layers, spectra = evidence(viewed, settings.redraws, reporter) if "evidence" in shown else ([], {})
    film = film if "film" in shown else []
    result = ViewedNetwork(
        name=viewed.name,
        folder=viewed.folder,
        weights=viewed.weights,
        images=len(viewed.images),
        source=viewed.source,
        layers=layers,
        units=[*units, *(view for layer in layers_excited for view in layer.views)],
        film=[frame for frame, _ in film],
        skipped=skipped,
        data=viewed.data,
        weights_sha256=viewed.weights_sha256,
    )
    return NetworkFindings(viewed, shown, result, spectra, layers_excited, film)


def _unsuited(viewed: InspectedNetwork, *, has_film: bool) -> dict[str, str]:
    """Return the parts that do not suit a network, and why."""
    reasons = {}
    if viewed.layers[viewed.first].is_convolution:
        reasons["units"] = "its first layer is a convolution, see filters"
    else:
        reasons["filters"] = "its first layer is linear, see units"
        reasons["patches"] = reasons["ascent"] = "it has no convolution, whose units see a patch of the image"
    if not viewed.folder:
        reasons["film"] = "it was trained elsewhere"
    elif not has_film:
        reasons["film"] = "its first layer did not learn in this run, or what it kept of it is gone"
    return reasons


def film_of(viewed: InspectedNetwork) -> list[tuple[Frame, Tensor]]:
    """Return the first layer's weights over the epochs: as drawn, those kept on the way, and the network's own.

    A fine-tuning's epochs are counted through its stages. Raises DataError for a damaged file.
    """
    if not viewed.folder:
        return []
    run = Run.open(viewed.folder)
    weights = {0: viewed.began[viewed.first].cpu()} if viewed.first in viewed.began else {}
    before = 0
    stages = sorted(run.folder.glob("stages/*"), key=lambda path: int(path.name.partition("-")[0]))
    for part in [Run.open(stage) for stage in stages] or [run]:
        frames = {before + epoch: kept["weight"].float() for epoch, kept in load_frames(part.folder / "film").items()}
        before += _training(part).epochs
        if not frames and stages:  # a stage that froze it
            frames[before] = first_layer(part.load_model()[0]).weight.detach()
        weights |= frames
    if not weights:
        return []
    weights[_training(run).kept_epoch] = viewed.layers[viewed.first].weight.cpu()
    first = weights[min(weights)]
    if all(weight.equal(first) for weight in weights.values()):  # frozen in every stage
        return []
    return [
        (Frame(epoch, float((weight - first).norm() / first.norm())), weight)
        for epoch, weight in sorted(weights.items())
    ]


def _training(run: Run) -> TrainingResult:
    report = run.read_report()
    assert report is not None and isinstance(report.results, TrainingResults), "a finished training"
    return report.results.runs[0]

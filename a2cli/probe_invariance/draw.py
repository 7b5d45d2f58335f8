"""A probe's figures, each with the numbers it was drawn from: curves, contact sheets, translations, layers."""

from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import torch

from a2cli.columns import Column, fields_of, named, of, placed
from a2cli.data.dataset import ImageSet
from a2cli.figures.common import readable
from a2cli.formats import in_percent
from a2cli.probe_invariance import figures as plots
from a2cli.probe_invariance import heat_maps
from a2cli.probe_invariance.changes import PerturbationContext, changed
from a2cli.probe_invariance.predict_changed import Perturbation
from a2cli.probe_invariance.results import ChangeResult, InvarianceResults, LayerMovement, ProbedRun, StrengthPoint
from a2cli.probe_invariance.settings import ProbeSettings, probes, real_margin
from a2cli.probe_invariance.targets import Network, ProbeTarget
from a2cli.random_streams import Streams
from a2cli.runs.directory import Run
from a2cli.training.loop import logits_of

SHEETS = 3
MOST_DRAWS = 8


class _Point(NamedTuple):
    """A point of a change's curve, and whose it is."""

    run: ProbedRun
    change: ChangeResult
    point: StrengthPoint


POINT = named(run="run.name", change="change.title", strength="point.strength")
CURVES = POINT + named(
    accuracy="point.accuracy.value",
    low="point.accuracy.low",
    high="point.accuracy.high",
    difference="point.difference",
    difference_low="point.low",
    difference_high="point.high",
    lost="point.lost",
    gained="point.gained",
    p="point.p",
    p_adjusted="point.p_adjusted",
    consistency="point.consistency.value",
    probability="point.probability.value",
    verdict="change.verdict",
)


def draw(run: Run, results: InvarianceResults, subjects: Sequence[ProbeTarget], settings: ProbeSettings) -> None:
    """Write all figures into the probe's folder."""
    points = [
        _Point(probed_run, change, point)
        for probed_run in results.runs
        for change in probed_run.changes
        for point in change.points
    ]
    run.save_figure("curves", partial(plots.curves, results.runs, results.margin), CURVES, points)
    run.save_figure(
        "classes",
        partial(heat_maps.classes, results.runs),
        [*of(itemgetter(0), POINT), *placed("", "class", "recognised")[1:],
         Column("images", lambda row: row[3] * row[0].point.accuracy.count // row[0].run.unchanged.count)],
        [(at, name, right, count) for at in points
         for (name, count), right in zip(at.run.counts.items(), at.point.classes, strict=True)],
    )  # fmt: skip
    if any(probed_run.translations for probed_run in results.runs):
        run.save_figure(
            "translations",
            partial(heat_maps.translations, [probed_run for probed_run in results.runs if probed_run.translations]),
            placed("run", "right", "down", "accuracy"),
            [(probed_run.name, *cell) for probed_run in results.runs for cell in probed_run.translations],
        )
    if layers := [(at, layer) for at in points for layer in at.point.layers]:
        columns = [*of(itemgetter(0), POINT), *of(itemgetter(1), fields_of(LayerMovement))]
        run.save_figure("layers", partial(heat_maps.layers, results.runs), columns, layers)
    for number, (subject, result) in enumerate(zip(subjects, results.runs, strict=True), start=1):
        for sheet in range(max(1, SHEETS // len(subjects))):
            _draw_sheet(run, f"sheet-{number}-{sheet + 1}", sheet, subject, result, settings)


def _draw_sheet(
    run: Run, name: str, number: int, subject: ProbeTarget, result: ProbedRun, settings: ProbeSettings
) -> None:
    """Draw one image of the first network's under every change."""
    network, margin = subject.networks[0], real_margin(settings, subject.networks[0].card.image_size)
    images, labels = next(_chosen(network, number).batches(1))
    around = PerturbationContext(
        images, margin, settings.border, network.card.mean, Streams(settings.seed).derive("noise")
    )
    truth = subject.classes[int(labels)]
    shown = {change.title for change in result.changes}
    rows: list[tuple[str, list[plots.Tile]]] = []
    plainly = [_tile(network, around.middle, "unchanged", truth)]
    for probe in probes(settings):
        if probe.title not in shown:
            continue
        tiles = []
        draws = range(min(settings.draws, MOST_DRAWS))
        tried = (
            [Perturbation(probe, None, i) for i in draws]
            if probe.drawn
            else [Perturbation(probe, s) for s in probe.strengths]
        )
        for perturbation in tried:
            strength = perturbation.strengths(1, network.card.image_size, Streams(settings.seed))
            title = f"{perturbation.strength:g}" if perturbation.strength is not None else _words(strength)
            tiles.append(_tile(network, changed(probe.name, around, strength), title, truth))
        if probe.change.is_switch:
            plainly.append(plots.Tile(tiles[0].image, probe.name, tiles[0].answer, tiles[0].is_right))
        else:
            rows.append((probe.title, tiles))
    rows.insert(0, ("", plainly))
    title = f"{subject.name}: {readable(truth)}"
    falling = {probe.title for probe in probes(settings) if probe.change.identity is None and not probe.drawn}
    shown_rows = [(change, tiles[::-1] if change in falling else tiles) for change, tiles in rows]  # mildest first
    figure = partial(plots.sheet, title, shown_rows)
    cells = [(change or "-", tile.title, tile.answer, tile.is_right) for change, tiles in rows for tile in tiles]
    run.save_figure(name, figure, placed("change", "strength", "answer", "right"), cells)


def _words(strength: torch.Tensor) -> str:
    return ", ".join(f"{value + 0.0:.2g}" for value in strength.flatten().tolist())


def _tile(network: Network, image: torch.Tensor, title: str, truth: str) -> plots.Tile:
    with torch.inference_mode():
        device = next(network.model.parameters()).device
        probabilities = logits_of(network.model, image, "fp32", device).softmax(dim=1)[0]
    share, answer = probabilities.max(dim=0)
    name = network.card.class_names[int(answer)]
    words = f"{readable(name, 13)} {in_percent(float(share))}"
    return plots.Tile(image[0].permute(1, 2, 0).numpy(), title, words, name == truth)


def _chosen(network: Network, number: int) -> ImageSet:
    """Return one image that the network recognises, of another class for each number where there are several."""
    images = network.images
    with torch.inference_mode():
        device = next(network.model.parameters()).device
        sample = images.reordered(torch.arange(0, len(images), max(1, len(images) // 200)))
        answers = torch.cat([_recognised(network, batch, labels, device) for batch, labels in sample.batches(64)])
    recognised = answers.nonzero().flatten()
    recognised = recognised if len(recognised) else torch.arange(len(sample))
    classes = sorted(set(sample.labels[recognised].tolist()))
    label = classes[number * len(classes) // SHEETS]
    return sample.reordered(recognised[sample.labels[recognised] == label][:1])


def _recognised(network: Network, batch: torch.Tensor, labels: torch.Tensor, device: torch.device) -> torch.Tensor:
    margin = (batch.shape[-1] - network.card.image_size) // 2
    middle = batch[:, :, margin : batch.shape[2] - margin, margin : batch.shape[3] - margin]
    return logits_of(network.model, middle, "fp32", device).argmax(dim=1) == labels

"""Effective receptive fields: a network's, with the weights it began with and, where there are any, trained ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from a2cli.data.dataset import FIXED
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_rows
from a2cli.errors import DataError
from a2cli.formats import counted, in_percent
from a2cli.models.convnet import build_convnet
from a2cli.models.layers import initialize
from a2cli.models.pretrained import build_torchvision
from a2cli.models.state_dict import few
from a2cli.models.weights import Weights, WeightsFile, fill, fit, read_weights
from a2cli.models.zoo import build_network
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.receptive_field import effective_field, graphs, nan_proof
from a2cli.receptive_field.effective_field import Influence, MapOf
from a2cli.receptive_field.fields import parse_layers
from a2cli.receptive_field.model_fields import traced
from a2cli.receptive_field.results import EffectiveField, FieldResults, Pair, UnitField
from a2cli.receptive_field.settings import ReceptiveFieldSettings
from a2cli.runs.directory import Run
from a2cli.settings.training import TrainCnnSettings

SHARES = (50, 90, 99)
BATCH_PIXELS = 200_000  # of the images that a gradient is kept for at a time
MapsOf = Callable[[str], MapOf]
Influences = dict[str, dict[str, Influence]]


def sample_images(
    sample: TrainCnnSettings, side: int, count: int, reporter: ProgressReporter
) -> tuple[NDArray[np.uint8], Sequence[str]]:
    """Return validation images, evenly spaced, at most `count`: (N, H, W, 3), and warnings on the data."""
    dataset, seed = sample.dataset, sample.training.seed
    source = find_source(dataset.data, reporter)
    packed = pack(source, side, dataset.fit, dataset.skip_damaged, reporter, may_skip=False)
    reporter.warn_all(packed.warnings)
    rows = split_rows(packed, sample.split, Streams(seed).numpy("split")).val
    chosen = rows[np.arange(min(count, len(rows))) * len(rows) // min(count, len(rows))]
    return np.asarray(packed.images[chosen]), packed.warnings


def measure(
    settings: ReceptiveFieldSettings,
    results: FieldResults,
    seed: int,
    images: NDArray[np.uint8],
    reporter: ProgressReporter,
) -> tuple[FieldResults, Influences, Sequence[str]]:
    """Return the results with their effective fields, each layer's influences by kind of weights (H, W), and warnings.

    Measured are the middle units of all layers; of one of torchvision's networks, only of the last layer; and the unit
    that was asked for in place of its layer's middle one. Raises DataError for weights that do not fit.
    """
    kinds, warnings = _networks(settings, results.image_size, seed, reporter)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    batches = torch.split(pixels, max(1, BATCH_PIXELS // pixels[0, 0].numel()))
    units = {field.layer: field for field in [*results.middle, *([results.unit] if results.unit else [])]}
    fields, influences = [], Influences()
    places = _places(settings, results)
    for name in reporter.parts([*places], by_batches=True):
        unit = places[name]
        for kind, map_of in kinds.items():
            reporter.phase(f"the gradient of {name}, {kind}", "measuring")
            told = reporter.batches(batches, len(batches))
            spread, outputs = effective_field.influence(map_of(name), told, unit, settings.effective.outputs)
            influences.setdefault(name, {})[kind] = spread
            fields.append(_described(name, unit, kind, spread, units.get(name), len(images), outputs))
    verdict = f"{results.verdict} {_in_words(fields[-len(kinds) :])}".strip()
    return replace(results, effective=fields, verdict=verdict), influences, warnings


def _places(settings: ReceptiveFieldSettings, results: FieldResults) -> dict[str, Pair]:
    """Return the unit to measure of each layer to measure."""
    asked = {results.unit.layer: results.unit.unit} if results.unit else {}
    middle = {layer.name: (layer.size[0] // 2, layer.size[1] // 2) for layer in results.layers if layer.size}
    if settings.stack.model:
        last = results.layers[-1].name
        return asked or {last: middle[last]}
    return {name: asked.get(name, unit) for name, unit in middle.items()}


def _described(
    name: str, unit: Pair, kind: str, influence: Influence, derived: UnitField | None, images: int, outputs: int
) -> EffectiveField:
    holding = shares = deviation = outside = None
    pixels = derived.pixels if derived else influence.size
    if influence.any() and pixels:
        counts = {share: effective_field.pixels_holding(influence, share / 100) for share in SHARES}
        holding = {str(share): count for share, count in counts.items()}
        shares = {str(share): count / pixels for share, count in counts.items()}
        deviation = effective_field.deviation(influence)
    if derived:
        outside = 1.0 - float(influence[support(derived, influence.shape)].sum() / (influence.sum() or 1.0))
        outside = outside if influence.any() and outside > 1e-9 else 0.0
    return EffectiveField(
        layer=name,
        unit=unit,
        weights="trained" if kind == "trained" else "untrained",
        images=images,
        outputs=outputs,
        pixels=pixels,
        holding=holding,
        shares=shares,
        deviation=deviation,
        outside=outside,
    )


def support(unit: UnitField, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels a unit sees, (H, W)."""
    masks = []
    for size, runs in zip(shape, (unit.seen_rows, unit.seen_columns), strict=True):
        mask = np.zeros(size, dtype=bool)
        for first, last in runs:
            mask[first : last + 1] = True
        masks.append(mask)
    return np.logical_and.outer(masks[0], masks[1])


def _in_words(fields: Sequence[EffectiveField]) -> str:
    if any(field.outside for field in fields):
        return f"Refuted: gradient reaches {fields[0].layer} from outside its field."
    shares = [f"{in_percent(field.shares['90'])} of them {field.weights}" for field in fields if field.shares]
    if not shares:
        return f"No gradient reaches {fields[0].layer}: its units are dead on these images."
    return (
        f"Unit {fields[0].unit[0]},{fields[0].unit[1]} of {fields[0].layer} sees "
        f"{counted(fields[0].pixels, 'pixel')}; 90% of its gradient falls on {' and on '.join(shares)}."
    )


# Networks


def _networks(
    settings: ReceptiveFieldSettings, side: int | None, seed: int, reporter: ProgressReporter
) -> tuple[dict[str, MapsOf], list[str]]:
    """Return the network untrained and, where it has weights, trained, and warnings on these.

    Each is a function from a layer's name to one from images (N, 3, H, W) in [0, 1] to the map that it leaves.
    """
    assert side is not None, "whoever has images knows their size"
    stack = settings.stack
    if stack.model:
        if settings.effective.weights is None:
            return {"untrained": _of_model(stack.model, side)}, []
        file = WeightsFile(read_weights(settings.effective.weights), settings.effective.weights, "")
        notes: list[str] = []
        of_weights = _of_model(stack.model, side, file, notes)
        reporter.warn_all(notes)
        return {"untrained": _of_model(stack.model, side), "trained": of_weights}, notes
    if stack.run:
        trained, card = Run.open(stack.run).load_model()
        return {"untrained": _of_sequence(build_network(card, Streams(seed))), "trained": _of_sequence(trained)}, []
    model: nn.Module
    if stack.layers:
        model = nan_proof.built(parse_layers(stack.layers))
        initialize(model, Streams(seed))
    else:
        model = build_convnet(settings.network, side, 2, (0.5,) * 3, (0.5,) * 3, Streams(seed))
    return {"untrained": _of_sequence(model)}, []


def _of_sequence(model: nn.Module) -> MapsOf:
    assert isinstance(model, nn.Sequential), "every network of ours is one"
    return lambda name: lambda images: nan_proof.of_sequence(model, [name])(images)[name]


def _of_model(name: str, side: int, file: WeightsFile | None = None, notes: list[str] | None = None) -> MapsOf:
    model = build_torchvision(name, "--model", transform_input=file is not None)
    if file is not None:
        weights = fit(model, file)
        _fill(model, weights)
        if notes is not None:
            notes += [f"--weights {file.source}: {note}" for note in weights.notes]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in FIXED["imagenet"])
    graph = traced(model)
    if graph is None:
        return lambda layer: lambda images: nan_proof.of_modules(model)((images - mean) / std)[layer]
    derivation = graphs.derive(graph, side)
    return lambda layer: lambda images: graphs.maps_of(derivation, [layer])((images - mean) / std)[layer]


def _fill(model: nn.Module, weights: Weights) -> None:
    """Load weights that may lack what comes after the last layer: linear layers, and nothing else."""
    modules = dict(model.named_modules())
    needed = [name for name in model.state_dict() if not isinstance(modules[name.rpartition(".")[0]], nn.Linear)]
    if missing := fill(model, weights, needed, partial=True):
        raise DataError(f"--weights {weights.source}: lacks {few(missing)}")

"""Whether a network's weights are more than what drawing them would give, layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from a2cli.progress import ProgressReporter
from a2cli.visualize_weights.activation_maximization import silent
from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.results import LayerWeights
from a2cli.visualize_weights.weights import duplicates, judged, learned, measures_of, spectrum

MOST_IMAGES = 128  # that a unit must be silent on to be called dead


@dataclass(frozen=True)
class Spectra:
    """A layer's singular values, and the least and the largest that re-initialised networks have in each place."""

    values: Tensor
    low: Tensor
    high: Tensor


def evidence(
    viewed: InspectedNetwork, redraws: int, device: torch.device, reporter: ProgressReporter
) -> tuple[list[LayerWeights], dict[str, Spectra]]:
    """Return what is found of each layer, with the re-initialised network `redraws` times beside it."""
    filters = {viewed.first: viewed.filters(viewed.layers[viewed.first].weight)}
    found_values = {name: spectrum(one.weight) for name, one in viewed.layers.items()}
    own = {name: measures_of(one.weight, filters.get(name), found_values[name]) for name, one in viewed.layers.items()}
    drawn: dict[str, dict[str, list[float]]] = {name: {} for name in viewed.layers}
    spectra: dict[str, list[Tensor]] = {name: [] for name in viewed.layers}
    silent_drawn: Mapping[str, Sequence[int]] = {}
    twice: dict[str, int] = {}
    rows = _some(len(viewed.images))
    answers = {name: one.answer for name, one in viewed.layers.items()}
    for number in reporter.batches(range(redraws), redraws):
        graph = viewed.redrawn(number)
        for name, one in viewed.layers_of(graph).items():
            pictures = viewed.filters(one.weight) if name == viewed.first else None
            spectra[name].append(spectrum(one.weight))
            for measure, value in measures_of(one.weight, pictures, spectra[name][-1]).items():
                drawn[name].setdefault(measure, []).append(value)
        if number == 0:
            twice = {name: len(duplicates(one.weight)) for name, one in viewed.layers_of(graph).items()}
            silent_drawn = silent(graph, list(answers.values()), viewed.batches(device, rows))
    reporter.step("dead units")
    dead = silent(viewed.graph, list(answers.values()), viewed.batches(device, rows, reporter))
    reporter.step("units with equal weights")
    equal = {
        name: duplicates(viewed.layers[name].weight) for name in reporter.batches(viewed.layers, len(viewed.layers))
    }
    measures = {
        name: [
            judged(value, drawn[name][kind], kind)
            for kind, value in found.items()
            if len(drawn[name].get(kind, ())) > 1
        ]
        for name, found in own.items()
    }
    verdicts = learned(measures)
    layers = [
        LayerWeights(
            layer=name,
            units=one.units,
            weights=one.weight.numel(),
            dead=dead[one.answer],
            dead_random=len(silent_drawn[one.answer]),
            duplicates=equal[name],
            duplicates_random=twice[name],
            moved=_moved(one.weight, viewed.began.get(name)),
            measures=measures[name],
            verdict="learned" if verdicts[name] or _left_zero(own[name], drawn[name]) else "like its initialisation",
        )
        for name, one in viewed.layers.items()
    ]
    bands = {
        name: Spectra(values, torch.stack(spectra[name]).amin(0), torch.stack(spectra[name]).amax(0))
        for name, values in found_values.items()
    }
    return layers, bands


def _some(count: int) -> list[int]:
    """Return numbers of images, evenly spaced."""
    return [i * count // min(count, MOST_IMAGES) for i in range(min(count, MOST_IMAGES))]


def _left_zero(found: Mapping[str, float], drawn: Mapping[str, Sequence[float]]) -> bool:
    """Return whether a layer has weights that begins with none, as all re-initialised networks do."""
    return found["norm"] > 0 and not any(drawn["norm"])


def _moved(weight: Tensor, began: Tensor | None) -> float | None:
    if began is None or not began.any():
        return None
    return float((weight.cpu() - began.cpu()).norm() / began.cpu().norm().clamp_min(1e-30))

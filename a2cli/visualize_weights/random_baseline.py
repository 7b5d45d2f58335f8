"""Whether a network's weights are more than what drawing them would give, layer by layer."""

from collections.abc import Mapping

import torch
from torch import Tensor

from a2cli.progress import NullReporter, ProgressReporter
from a2cli.visualize_weights.activation_maximization import silent
from a2cli.visualize_weights.inspected import InspectedNetwork, WeightLayer, evenly_spaced
from a2cli.visualize_weights.results import LayerWeights
from a2cli.visualize_weights.weights import duplicates, judged, learned, measures_of, spectrum

MOST_IMAGES = 128  # that a unit must be silent on to be called dead


def evidence(
    viewed: InspectedNetwork, redraws: int, reporter: ProgressReporter
) -> tuple[list[LayerWeights], dict[str, Tensor]]:
    """Return what is found of each layer, with the re-initialised network `redraws` times beside it, and its spectra.

    Spectra (3, K) are a layer's singular values, and the least and the largest of those networks in each place.
    """
    reporter.phase(f"holding {viewed.name} against {redraws} re-initialised networks", "looking into weights")
    answers = [layer.answer for layer in viewed.layers.values()]
    rows = evenly_spaced(len(viewed.images), MOST_IMAGES)
    own, own_spectra = _measured(viewed, viewed.layers)
    drawn, drawn_spectra = [], []
    for number in reporter.batches(range(redraws), redraws):
        graph = viewed.redrawn(number)
        drawn_layers = viewed.layers_of(graph)
        measures, spectra = _measured(viewed, drawn_layers)
        drawn.append(measures)
        drawn_spectra.append(spectra)
        if number == 0:
            duplicates_drawn = {name: len(duplicates(layer.weight)) for name, layer in drawn_layers.items()}
            dead_drawn = silent(graph, answers, viewed.batches(NullReporter(), rows))
    reporter.step("dead units")
    dead = silent(viewed.graph, answers, viewed.batches(reporter, rows))
    reporter.step("units with equal weights")
    equal = {name: duplicates(viewed.layers[name].weight) for name in reporter.batches(viewed.layers, len(answers))}
    judgements = {
        name: [
            judged(value, sample, kind)
            for kind, value in measures.items()
            if len(sample := [one[name][kind] for one in drawn if kind in one[name]]) > 1
        ]
        for name, measures in own.items()
    }
    verdicts = learned(judgements)
    for name in own:  # a layer that begins with zeros alone has learned as soon as it has others
        verdicts[name] |= own[name]["norm"] > 0 and not any(one[name]["norm"] for one in drawn)
    layers = [
        LayerWeights(
            layer=name,
            units=layer.units,
            weights=layer.weight.numel(),
            dead=dead[layer.answer],
            dead_random=len(dead_drawn[layer.answer]),
            duplicates=equal[name],
            duplicates_random=duplicates_drawn[name],
            moved=_moved(layer.weight, viewed.began.get(name)),
            measures=judgements[name],
            verdict="learned" if verdicts[name] else "like its initialisation",
        )
        for name, layer in viewed.layers.items()
    ]
    bands = {name: torch.stack([one[name] for one in drawn_spectra]) for name in own}
    return layers, {
        name: torch.stack((own_spectra[name], band.amin(dim=0), band.amax(dim=0))) for name, band in bands.items()
    }


def _measured(
    viewed: InspectedNetwork, layers: Mapping[str, WeightLayer]
) -> tuple[dict[str, dict[str, float]], dict[str, Tensor]]:
    """Return the measures and the spectrum of each layer's weights, of this network or a re-initialised one."""
    spectra = {name: spectrum(layer.weight) for name, layer in layers.items()}
    filters = {viewed.first: viewed.filters(layers[viewed.first].weight)}
    return {
        name: measures_of(layer.weight, filters.get(name), spectra[name]) for name, layer in layers.items()
    }, spectra


def _moved(weight: Tensor, began: Tensor | None) -> float | None:
    if began is None or not began.any():
        return None
    return float((weight.cpu() - began.cpu()).norm() / began.cpu().norm().clamp_min(1e-30))

"""The multilayer perceptron: linear layers on an image's pixels, each with activation and dropout."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from a2cli.geometry import mlp_layers
from a2cli.models.layers import ACTIVATIONS, Flatten, Normalize, initialize
from a2cli.random_streams import Streams
from a2cli.settings.training import MlpSettings


def build_mlp(
    network: MlpSettings, image_size: int, classes: int, mean: Sequence[float], std: Sequence[float], streams: Streams
) -> nn.Sequential:
    """Return the MLP: (N, 3, image_size, image_size) uint8, or float32 in [0, 1], to logits (N, classes).

    Raises SettingsError for dropout rates that are neither one nor as many as hidden layers.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std), flatten=Flatten())
    for name, inputs, units, rate in mlp_layers(network, image_size):
        layers[name] = nn.Linear(inputs, units)
        layers[f"{name}_{network.activation}"] = ACTIVATIONS[network.activation]()
        if rate:
            layers[f"{name}_dropout"] = nn.Dropout(rate)
    layers["output"] = nn.Linear(network.hidden[-1], classes)
    model = nn.Sequential(layers)
    initialize(model, streams)
    for name, module in model.named_children():
        if isinstance(module, nn.Linear) and network.initialization != "default":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.derive(f"init/{name}"))
                draw = nn.init.xavier_uniform_ if network.initialization == "xavier" else nn.init.kaiming_uniform_
                draw(module.weight)
                nn.init.zeros_(module.bias)
    return model

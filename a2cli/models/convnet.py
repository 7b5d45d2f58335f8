"""The coursework's ConvNet: convolutions, each with norm, activation, dropout and pooling, then linear layers.

With shortcuts it is a residual network (He et al. 2016): one convolution, then blocks of two. With statistics of the
image the linear layers get those as well.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from a2cli.geometry import Stage, dropout_places, features_of, pairs, stages, statistics_of
from a2cli.models.layers import (
    ACTIVATIONS,
    POOLS,
    Flatten,
    Moments,
    Normalize,
    Residual,
    WeightNorm,
    begin_at_zero,
    initialize,
    normalization,
)
from a2cli.models.statistics import Statistics
from a2cli.random_streams import Streams
from a2cli.settings.training import NetworkSettings

Layers = OrderedDict[str, nn.Module]
Rates = Mapping[str, float]  # of dropout, by what they are behind


class ConvNet(nn.Sequential):
    """Layers in a row, but for `statistics`: those are of the image, and join what its maps came down to."""

    def forward(self, images: Tensor) -> Tensor:
        values = images
        for name, layer in self.named_children():
            values = torch.cat((values, layer(images)), dim=1) if name == "statistics" else layer(values)
        return values


def build_convnet(
    network: NetworkSettings,
    image_size: int,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    streams: Streams,
) -> nn.Sequential:
    """Return the ConvNet: (N, 3, image_size, image_size) uint8, or float32 in [0, 1], to logits (N, classes).

    Raises SettingsError where a map shrinks to nothing.
    """
    layers = Layers(normalize=Normalize(mean, std))
    maps = stages(network, image_size)
    dropout = dropout_places(network)
    if network.shortcuts:
        _add_convolution(layers, 3, maps[0], network)
        _add_activation(layers, maps[0].name, network, dropout)
        for i, (before, *both) in enumerate(pairs(maps), start=1):
            _add_block(layers, f"block{i}", before, both, network, dropout)
    else:
        channels = 3
        for stage in maps:
            if stage.name.startswith("conv"):
                _add_convolution(layers, channels, stage, network)
                _add_activation(layers, stage.name, network, dropout)
                channels = stage.channels
            else:
                layers[stage.name] = POOLS[network.pool](stage.kernel_size, stage.stride)
    if network.global_pool != "none":
        layers["global_pool"] = nn.AdaptiveAvgPool2d(1) if network.global_pool == "average" else Moments()
    layers["flatten"] = Flatten()
    if network.statistics:
        layers["statistics"] = Statistics(network.statistics, image_size, statistics_of(network, image_size))
    features = features_of(network, maps[-1], image_size)
    for i, units in enumerate(network.hidden, start=1):
        layers[f"hidden{i}"] = nn.Linear(features, units)
        _add_activation(layers, f"hidden{i}", network, dropout)
        features = units
    layers["output"] = nn.Linear(features, classes)
    model = ConvNet(layers) if network.statistics else nn.Sequential(layers)
    initialize(model, streams)
    if network.statistics:
        begin_at_zero(layers["output"])
    if network.norm == "weight":  # after the draw, so that the starting weights are the same
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Conv2d | nn.Linear) and name != "output":
                register_parametrization(module, "weight", WeightNorm())
    return model


def _add_convolution(layers: Layers, in_channels: int, conv: Stage, network: NetworkSettings) -> None:
    layers[conv.name] = nn.Conv2d(in_channels, conv.channels, conv.kernel_size, conv.stride, conv.padding)
    if norm := normalization(network.norm, conv.channels):
        layers[f"{conv.name}_norm"] = norm


def _add_activation(layers: Layers, name: str, network: NetworkSettings, dropout: Rates) -> None:
    layers[f"{name}_{network.activation}"] = ACTIVATIONS[network.activation]()
    if rate := dropout[name]:
        layers[f"{name}_dropout"] = nn.Dropout(rate)


def _add_block(
    layers: Layers, name: str, before: Stage, both: Sequence[Stage], network: NetworkSettings, dropout: Rates
) -> None:
    """Two convolutions with a shortcut past them, the last activation after the sum.

    Where maps shrink, the shortcut averages (He et al. 2019, ResNet-D), so that it leaves no value out.
    """
    first, second = both
    body, shortcut = Layers(), Layers()
    _add_convolution(body, before.channels, first, network)
    _add_activation(body, first.name, network, dropout)
    _add_convolution(body, first.channels, second, network)
    if (stride := first.stride * second.stride) > 1:
        shortcut["pool"] = nn.AvgPool2d(stride, ceil_mode=True)
    if before.channels != second.channels:
        shortcut["conv"] = nn.Conv2d(before.channels, second.channels, 1)
        if norm := normalization(network.norm, second.channels):
            shortcut["norm"] = norm
    layers[name] = Residual(nn.Sequential(body), nn.Sequential(shortcut))
    _add_activation(layers, second.name, network, dropout)

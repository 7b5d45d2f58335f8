"""The coursework's ConvNet: convolutions, each with norm, activation, dropout and pooling, then linear layers."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from a2cli.geometry import Stage, dropout_places, stages
from a2cli.models.layers import ACTIVATIONS, POOLS, Flatten, Normalize, WeightNorm, initialize, normalization
from a2cli.runtime import Streams
from a2cli.settings import NetworkSettings


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
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    maps = {stage.name: stage for stage in stages(network, image_size)}
    dropout = dropout_places(network)
    channels, size = 3, image_size
    for i, out_channels in enumerate(network.channels, start=1):
        _add_convolution(layers, i, channels, maps, network, dropout[f"conv{i}"])
        channels, size = out_channels, (maps.get(f"pool{i}") or maps[f"conv{i}"]).size
    layers["flatten"] = Flatten()
    features = channels * size * size
    for i, units in enumerate(network.hidden, start=1):
        layers[f"hidden{i}"] = nn.Linear(features, units)
        layers[f"hidden{i}_{network.activation}"] = ACTIVATIONS[network.activation]()
        if rate := dropout[f"hidden{i}"]:
            layers[f"hidden{i}_dropout"] = nn.Dropout(rate)
        features = units
    layers["output"] = nn.Linear(features, classes)
    model = nn.Sequential(layers)
    initialize(model, streams)
    if network.norm == "weight":  # after the draw, so that the starting weights are the same
        for name, module in model.named_children():
            if isinstance(module, nn.Conv2d | nn.Linear) and name != "output":
                register_parametrization(module, "weight", WeightNorm())
    return model


def _add_convolution(
    layers: OrderedDict[str, nn.Module],
    i: int,
    in_channels: int,
    maps: dict[str, Stage],
    network: NetworkSettings,
    rate: float,
) -> None:
    conv, pool = maps[f"conv{i}"], maps.get(f"pool{i}")
    layers[f"conv{i}"] = nn.Conv2d(in_channels, conv.channels, conv.kernel_size, conv.stride, conv.padding)
    if norm := normalization(network.norm, conv.channels):
        layers[f"conv{i}_norm"] = norm
    layers[f"conv{i}_{network.activation}"] = ACTIVATIONS[network.activation]()
    if rate:
        layers[f"conv{i}_dropout"] = nn.Dropout(rate)
    if pool:
        layers[f"pool{i}"] = POOLS[network.pool](pool.kernel_size, pool.stride)

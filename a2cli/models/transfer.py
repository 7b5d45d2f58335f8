"""A trunk, which is a backbone up to one layer, and the head that is put on it.

N images, C channels, H x W a map, D features, K classes.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from a2cli.errors import SettingsError
from a2cli.models.layers import ACTIVATIONS, Standardize, begin_at_zero, initialize
from a2cli.random_streams import Streams
from a2cli.settings.transfer import HeadSettings

FAINT = 1e-4  # or the slope of a root would be infinite at zero


class GridPooling(nn.Module):
    """Maps (N, C, H, W) to (N, C, grid, grid): each field's mean or largest value. What is no map stays as it is.

    Or the mean of the square roots, with their sign, so that a few large values do not drown the others (after
    Perronnin, Sanchez & Mensink 2010, section 3.2).
    Raises SettingsError for a map smaller than the grid.
    """

    def __init__(self, grid: int, pool: str) -> None:
        super().__init__()
        self.grid, self.pool = grid, pool

    def forward(self, maps: Tensor) -> Tensor:
        if not self.grid or maps.dim() != 4:
            return maps
        if self.grid > min(maps.shape[2:]):
            height, width = maps.shape[2:]
            raise SettingsError(f"--grid, --head-grid: {self.grid} is too many for maps of {height}x{width}")
        pooled = F.adaptive_max_pool2d if self.pool == "max" else F.adaptive_avg_pool2d
        if self.pool == "root":
            maps = maps.sign() * ((maps.abs() + FAINT).sqrt() - FAINT**0.5)
        found: Tensor = pooled(maps, self.grid)
        return found


class Trunk(nn.Module):
    """Images (N, 3, H, W) uint8, or floating in [0, 1], to the features of one layer, pooled to a grid if asked."""

    def __init__(self, preprocess: nn.Module, body: fx.GraphModule, pooling: GridPooling) -> None:
        super().__init__()
        self.preprocess, self.body, self.pooling = preprocess, body, pooling

    def forward(self, images: Tensor) -> Tensor:
        (features,) = self.body(self.preprocess(images)).values()
        pooled: Tensor = self.pooling(features)
        return pooled


class Transfer(nn.Module):
    """A trunk and a head: images (N, 3, H, W) uint8, or floating in [0, 1], to logits (N, K)."""

    def __init__(self, trunk: Trunk, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(images))
        return logits


def build_head(head: HeadSettings, shape: Sequence[int], classes: int, streams: Streams) -> nn.Sequential:
    """Return the head: features (N, *shape) to logits (N, classes): pooling, scaling, dropout before each linear layer.

    Raises SettingsError for a grid larger than the maps.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if head.head_grid:
        layers["pool"] = GridPooling(head.head_grid, head.head_pool)
    layers["flatten"] = nn.Flatten()
    inputs = nn.Sequential(layers)(torch.zeros(1, *shape)).shape[1]
    if head.head_standardize:
        layers["standardize"] = Standardize(inputs)
    for i, units in enumerate((*head.hidden, classes), start=1):
        name = f"hidden{i}" if i <= len(head.hidden) else "output"
        if head.dropout:
            layers[f"{name}_dropout"] = nn.Dropout(head.dropout)
        layers[name] = nn.Linear(inputs, units)
        if name != "output":
            layers[f"{name}_{head.activation}"] = ACTIVATIONS[head.activation]()
        inputs = units
    found = nn.Sequential(layers)
    initialize(found, streams)
    if head.head_standardize:
        begin_at_zero(found[-1])
    return found

"""Layers shared by the networks, and how their weights begin.

N images, C channels, H x W pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from a2cli.runtime import Streams

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class Normalize(nn.Module):
    """The preprocessing that weights carry: subtract a mean, divide by a deviation, channel by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, C, H, W) uint8, or float32 in [0, 1]."""
        n, channels, height, width = images.shape
        scale = 1 / (self.std * 255) if images.dtype == torch.uint8 else 1 / self.std
        shift = -self.mean / self.std
        # Memory bound: one pass over rows that hold an image each, the channels of a pixel side by side.
        rows = images.permute(0, 2, 3, 1).reshape(n, -1).to(torch.float32)
        rows = torch.addcmul(shift.repeat(height * width), rows, scale.repeat(height * width))
        return rows.view(n, height, width, channels).permute(0, 3, 1, 2)


def normalization(kind: str, channels: int) -> nn.Module | None:
    """Return the layer that normalises a convolution's output, or None where there is none.

    Batch: Ioffe & Szegedy 2015. Group: Wu & He 2018, 8 groups or as many as divide the channels. Local response:
    Krizhevsky et al. 2012, with their n = 5, alpha = 1e-4, beta = 0.75, k = 2.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(max(groups for groups in range(1, 9) if channels % groups == 0), channels)
    if kind == "local-response":
        return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
    return None


def initialize(model: nn.Module, streams: Streams) -> None:
    """Draw every layer's starting weights anew from the stream of its own name.

    So a layer of the same name and shape begins alike in two networks, whatever stands around it.
    """
    for name, module in model.named_modules():
        if hasattr(module, "reset_parameters"):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.derive(f"init/{name}"))
                module.reset_parameters()

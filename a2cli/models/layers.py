"""Layers shared by the networks, and how their weights begin. N images, C channels, H x W pixels."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from a2cli.random_streams import Streams

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
FAR = 3.0  # deviations from the mean beyond which a feature says no more
POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class Normalize(nn.Module):
    """The preprocessing that a network carries: subtract a mean, divide by a deviation, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, C, H, W) uint8, or floating in [0, 1]; bytes become float32."""
        n, channels, height, width = images.shape
        white, dtype = (1, images.dtype) if images.is_floating_point() else (255, torch.float32)
        shift, scale = _affine_rows(self.mean, self.std, white, height * width, dtype, images.device)
        # Memory bound: one pass over rows that hold an image each, the channels of a pixel side by side.
        rows = images.permute(0, 2, 3, 1).reshape(n, -1).to(dtype)
        return torch.addcmul(shift, rows, scale).view(n, height, width, channels).permute(0, 3, 1, 2)


class Flatten(nn.Module):
    """Maps (N, C, H, W) to features (N, H * W * C), row by row, the channels of a place side by side.

    In that order maps laid out channels last, and their gradients, are only looked at anew; nn.Flatten copies both.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class Residual(nn.Module):
    """Layers and a shortcut past them, added: f(x) + g(x) (He et al. 2016, equations 1 and 2)."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.body(maps) + self.shortcut(maps)
        return found


class Moments(nn.Module):
    """Maps (N, C, H, W) to (N, 2 C, 1, 1): each channel's mean, then each channel's standard deviation.

    These tell styles apart: to have them of another image is to be painted alike (Huang & Belongie 2017, section 5).
    """

    def forward(self, maps: Tensor) -> Tensor:
        variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0, keepdim=True)
        return torch.cat((mean, (variance + 1e-4).sqrt()), dim=1)  # the slope of a root is infinite at zero


class Standardize(nn.Module):
    """Features (N, D) to mean 0 and deviation 1, each over all training images seen so far, and cut off at 3.

    Of features that do not learn these are known better than over a batch (their update: Chan, Golub & LeVeque 1979).
    An image that is unlike all others in one feature is, cut off, still judged by the rest.
    """

    seen: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("variance", torch.ones(count))

    def forward(self, features: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                share = len(features) / (self.seen + len(features))
                variance, mean = torch.var_mean(features, dim=0, correction=0)
                apart = mean - self.mean
                self.variance += share * (variance - self.variance + (1 - share) * apart.square())
                self.mean += share * apart
                self.seen += len(features)
        return ((features - self.mean) / (self.variance + 1e-8).sqrt()).clamp(-FAR, FAR)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # or what an evaluation leaves here could not be part of a training's gradient
def _affine_rows(
    mean: tuple[float, ...], std: tuple[float, ...], white: int, pixels: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return what to add and what to multiply by, a value for every channel of every pixel in turn."""
    deviation = torch.tensor(std, dtype=dtype, device=device)
    shift, scale = -torch.tensor(mean, dtype=dtype, device=device) / deviation, 1 / (deviation * white)
    return shift.repeat(pixels), scale.repeat(pixels)


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


def first_layer(model: nn.Module) -> nn.Conv2d | nn.Linear:
    """Return the layer whose weights see the image."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear))


class WeightNorm(nn.Module):
    """Weights as a length and a direction for each output unit, w = length * v / |v| (Salimans & Kingma 2016, eq. 2).

    |v| is kept off zero: weight decay under Adam pulls there whatever unit no gradient reaches any more.
    """

    def forward(self, length: Tensor, v: Tensor) -> Tensor:
        return v * (length / _norm(v).clamp_min(1e-12))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return _norm(weight), weight


def _norm(v: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(v, dim=tuple(range(1, v.dim())), keepdim=True)
    return norm


def begin_at_zero(layer: nn.Module) -> None:
    """Initialise the output layer with zeros.

    Over thousands of frozen features a random initialisation would otherwise stay part of the weights to the end.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def initialize(model: nn.Module, streams: Streams) -> None:
    """Draw every layer's starting weights anew from the stream of its own name.

    So a layer of the same name and shape begins alike in two networks, whatever stands around it.
    """
    for name, module in model.named_modules():
        if hasattr(module, "reset_parameters"):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.derive(f"init/{name}"))
                module.reset_parameters()

"""The effective receptive field: how strongly each pixel moves a unit, measured by gradients (Luo et al. 2016).

N images, C channels of a map, H x W pixels.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MapOf = Callable[[Tensor], Tensor]
Influence = NDArray[np.float64]


def influence(map_of: MapOf, batches: Iterable[Tensor], unit: tuple[int, int], outputs: int) -> tuple[Influence, int]:
    """Return each pixel's influence on one unit as (H, W), summing to 1, and how many channels it is averaged over.

    It is |dy / dx|, y the unit's value in one channel, x a pixel's colour: summed over colours, averaged over images
    and over `outputs` channels evenly spaced (all, if there are fewer). Signs are dropped before averaging, where Luo
    et al. average random networks: in a trained one gradients of both signs would cancel. All zeros where no gradient
    arrives, as behind dead units.

    map_of: images (N, 3, H, W) float32 to one map (N, C, H', W'), in evaluation mode; batches: such images.
    """
    total, used = torch.zeros(()), 0
    for images in batches:
        pixels = images.detach().clone().requires_grad_()
        values = map_of(pixels)[:, :, unit[0], unit[1]].sum(dim=0)  # images do not mix, so one gradient serves all
        used = min(outputs, len(values))
        for i in range(used):
            value = values[i * len(values) // used]
            (gradient,) = torch.autograd.grad(value, pixels, retain_graph=i + 1 < used)
            total = total + gradient.abs().sum(dim=(0, 1)).double()
    summed = float(total.sum())
    return (total / summed if summed else total).numpy(), used


def pixels_holding(influence: Influence, share: float) -> int:
    """Return how many pixels, the strongest first, it takes to hold this share of all influence."""
    ordered = np.sort(influence, axis=None)[::-1].cumsum()
    return int(np.searchsorted(ordered, share * ordered[-1] * (1 - 1e-9))) + 1


def deviation(influence: Influence) -> tuple[float, float]:
    """Return the standard deviation of the influence's place in pixels, along rows and along columns."""
    deviations = []
    for axis in (1, 0):
        profile = influence.sum(axis=axis)
        places = np.arange(len(profile))
        mean = (profile * places).sum()
        deviations.append(float(np.sqrt((profile * (places - mean) ** 2).sum())))
    return deviations[0], deviations[1]

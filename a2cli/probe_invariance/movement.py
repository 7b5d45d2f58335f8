"""How far the activations of each layer move under a change, against the distance between two different images.

B images, S x S pixels; an activation is (B, C, H, W) or (B, units). For two images drawn independently the mean squared
distance of their activations is twice the sum of the units' variances, which is what distances are divided by.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from a2cli.models.backbones import friendly_names
from a2cli.models.layers import Flatten, Moments, Residual
from a2cli.models.transfer import Trunk
from a2cli.probe_invariance.changes import source_of
from a2cli.probe_invariance.results import LayerMovement
from a2cli.receptive_field.graphs import window_of

Activations = Mapping[str, Tensor]
UNMOVED = (nn.Dropout, Flatten)  # do nothing to a trained network's values


@dataclass(frozen=True)
class Place:
    """Where a map's units are centred: the first one's pixel and the pixels from one to the next, (2,), x before y."""

    first: Tensor
    jump: Tensor


def steps(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield a sequence's modules by name, sequences and plain backbones inside it opened."""
    for name, module in model.named_children():
        if isinstance(module, nn.Sequential):
            yield from ((f"{name}.{inner}", step) for inner, step in steps(module))
        elif isinstance(module, Trunk) and friendly_names(module.body):
            inside = [str(node.target) for node in module.body.graph.nodes if node.op == "call_module"]
            yield from ((inner, module.body.get_submodule(inner)) for inner in inside)
        else:
            yield name, module


def places_of(model: nn.Module) -> dict[str, Place]:
    """Return where the units of each layer's map are centred, up to the first that is none or is pooled as a whole."""
    first, jump = torch.zeros(2), torch.ones(2)
    places = {}
    for name, module in steps(model):
        if isinstance(module, Flatten | nn.Flatten | nn.Linear | nn.AdaptiveAvgPool2d | Moments):
            break
        for layer in module.body if isinstance(module, Residual) else [module]:
            if window := window_of(layer):
                _, rows, columns = window
                for axis, window_side in enumerate((columns, rows)):
                    first[axis] += jump[axis] * ((window_side.extent - 1) / 2 - window_side.padding)
                    jump[axis] *= window_side.stride
        places[name] = Place(first.clone(), jump.clone())
    return places


@contextmanager
def caught(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Give a dictionary that each forward fills with the layers' activations."""
    activations: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, __: object, output: Tensor) -> None:
        activations[name] = output.float()

    hooks = [
        module.register_forward_hook(partial(keep, name))
        for name, module in steps(model)
        if not isinstance(module, UNMOVED)
    ]
    try:
        yield activations
    finally:
        for handle in hooks:
            handle.remove()


class Movement:
    """Sums over batches, from which each layer's movement under each change follows."""

    def __init__(self, model: nn.Module, side: int) -> None:
        self.places, self.side = places_of(model), side
        self.count = 0
        self.sums: dict[str, Tensor] = {}
        self.squares: dict[str, Tensor] = {}
        self.counts: dict[object, int] = {}
        self.moved: dict[tuple[object, str], float] = {}
        self.off: dict[tuple[object, str], tuple[float, Tensor]] = {}

    def unchanged(self, activations: Activations) -> None:
        """Take in a batch's activations as they are."""
        self.count += len(next(iter(activations.values())))
        for name, activation in activations.items():
            wide = activation.double()
            self.sums[name] = self.sums.get(name, 0) + wide.sum(0)
            self.squares[name] = self.squares.get(name, 0) + wide.square().sum(0)

    def changed(self, key: object, before: Activations, after: Activations, warp: tuple[str, Tensor] | None) -> None:
        """Take in the same batch's changed; `warp` is the change and its strength, where that is one for all images."""
        source = source_of(*warp) if warp else None
        self.counts[key] = self.counts.get(key, 0) + len(next(iter(after.values())))
        for name, activation in after.items():
            at = key, name
            self.moved[at] = self.moved.get(at, 0.0) + float((activation - before[name]).square().sum())
            if source and name in self.places and activation.dim() == 4:
                expected, inside = warped(before[name], *source, self.places[name], self.side)
                distance = float(((activation - expected).square().sum(dim=(0, 1)) * inside).sum())
                self.off[at] = self.off.get(at, (0.0, inside))[0] + distance, inside

    def movements(self, key: object) -> list[LayerMovement]:
        """Return how far each layer moved under one change; layers that are alike for all images are left out."""
        movements, count = [], self.counts[key]
        for name, total in self.sums.items():
            variance = (self.squares[name] / self.count - (total / self.count).square()).clamp_min(0)
            apart = 2 * float(variance.sum())
            if not apart:
                continue
            off = None
            if (key, name) in self.off:
                distance, inside = self.off[key, name]
                around = 2 * float((variance.sum(0) * inside).sum())
                off = (distance / count / around) ** 0.5 if around else None
            movements.append(LayerMovement(name, (self.moved[key, name] / count / apart) ** 0.5, off))
        return movements


def warped(maps: Tensor, matrix: Tensor, offset: Tensor, place: Place, side: int) -> tuple[Tensor, Tensor]:
    """Return maps (B, C, H, W) moved as the image was, bilinear, and (H, W) which units come from inside the map."""
    height, width = maps.shape[2:]
    centre = (side - 1) / 2
    columns = place.first[0] + place.jump[0] * torch.arange(width) - centre
    rows = place.first[1] + place.jump[1] * torch.arange(height) - centre
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2), from the centre
    units = (pixels @ matrix.T + offset + centre - place.first) / place.jump
    last = torch.tensor([width - 1, height - 1])
    inside = ((units > -1e-3) & (units < last + 1e-3)).all(dim=-1)
    grid = (2 * units / last.clamp_min(1) - 1).expand(len(maps), -1, -1, -1)
    moved = F.grid_sample(maps, grid.to(maps.device), align_corners=True, padding_mode="border")
    return moved, inside.to(maps.device)

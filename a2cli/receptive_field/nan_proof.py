"""What the units of a real network see, measured: NaN goes into the image, and where it comes out was seen.

NaN spreads through every sum, maximum and activation, whatever the weights, so no connection hides behind a zero.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from a2cli.errors import SettingsError
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.receptive_field.fields import Layer, View
from a2cli.receptive_field.graphs import window_of

BATCH = 16
Bits = tuple[int, ...]
MapsOf = Callable[[Tensor], Mapping[str, Tensor]]


def trusted(
    model: nn.Module, maps_of: MapsOf, image_size: int, reporter: ProgressReporter | None = None
) -> dict[str, tuple[Bits, Bits]]:
    """Return `measured`, by torch's plain kernels where the usual ones mark too much.

    Raises SettingsError where those do as well.
    """
    images = torch.zeros(1, 3, image_size, image_size)
    if not marking_too_much(model, images):
        return measured(maps_of, image_size, reporter)
    with warnings.catch_warnings(action="ignore"), torch.backends.mkldnn.flags(enabled=False):
        if wrong := marking_too_much(model, images):
            raise SettingsError(
                f"--prove: the kernel that computes {wrong[0]} here spreads NaN past its window, as Winograd's and an "
                "FFT's do, and so does torch's plain one: nothing can be proven on this machine"
            )
        return measured(maps_of, image_size, reporter)


@torch.inference_mode()
def measured(
    maps_of: MapsOf, image_size: int, reporter: ProgressReporter | None = None
) -> dict[str, tuple[Bits, Bits]]:
    """Return by map, for each of its rows and each of its columns, the image's rows or columns that reach it, as bits.

    maps_of: images (N, 3, H, W) float32 to maps (N, C, H', W') by name, not in training mode.
    """
    found: dict[str, list[list[int]]] = {}
    places = [(axis, first) for axis in (0, 1) for first in range(0, image_size, BATCH)]
    for axis, first in (reporter or NullReporter()).batches(places, len(places)):
        count = min(BATCH, image_size - first)
        images = torch.zeros(count, 3, image_size, image_size)
        for i in range(count):
            images[i].select(1 + axis, first + i).fill_(torch.nan)
        for name, maps in maps_of(images).items():
            reached = maps.isnan().any(dim=1).any(dim=2 - axis)  # (N, H') or (N, W')
            bits = found.setdefault(name, [[0] * maps.shape[2], [0] * maps.shape[3]])[axis]
            for i, unit in reached.nonzero().tolist():
                bits[unit] |= 1 << first + i
    return {name: (tuple(rows), tuple(columns)) for name, (rows, columns) in found.items()}


@torch.inference_mode()
def marking_too_much(model: nn.Module, images: Tensor) -> list[str]:
    """Return the convolutions here whose kernel spreads NaN past their window, as Winograd's or an FFT's does.

    Each is run alone, on a map of the size that it gets of these images, NaN along the middle row or column; which of
    its units that may reach follows from its own window.
    """
    marking = []

    def check(path: str, conv: nn.Conv2d, size: torch.Size) -> None:
        window = window_of(conv)
        if window is None or path in marking:
            return
        for axis, along in enumerate(window[1:]):
            maps, middle = torch.zeros(1, *size[1:]), size[2 + axis] // 2
            maps.select(2 + axis, middle).fill_(torch.nan)
            marked = conv.forward(maps).isnan().any(dim=1).any(dim=2 - axis)[0].nonzero().flatten().tolist()
            if not set(marked) <= set(View.of_image(size[2 + axis]).through(along).units_seeing(middle)):
                marking.append(path)
                return

    _run_watched(model, images, nn.Conv2d, lambda path, conv, given, _: check(path, conv, given.shape))
    return marking


def _run_watched(model: nn.Module, images: Tensor, kinds: Any, saw: Callable[[str, Any, Tensor, Tensor], None]) -> None:
    """Run a network, telling of each module of these kinds that is used its path, itself, its input and its output."""
    handles = [
        module.register_forward_hook(lambda module, given, made, path=path: saw(path, module, given[0], made))
        for path, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        model.eval()(images)
    finally:
        for handle in handles:
            handle.remove()


def of_sequence(model: nn.Sequential, names: Sequence[str]) -> MapsOf:
    """Return the function from images to the maps that these convolutions and poolings leave, blocks opened."""
    maps_of = of_modules(model)

    def named(images: Tensor) -> Mapping[str, Tensor]:
        maps_by_name = {path.rpartition(".")[2]: maps for path, maps in maps_of(images).items()}
        return {name: maps_by_name[name] for name in names}

    return named


def of_modules(model: nn.Module) -> MapsOf:
    """Return the function from images to the maps that convolutions and poolings leave, by path, `#2` the second time.

    It asks nothing of the network's code, as what is run is watched from outside.
    """

    def maps_of(images: Tensor) -> Mapping[str, Tensor]:
        maps_by_name: dict[str, Tensor] = {}

        def keep(path: str, _: nn.Module, __: Tensor, maps: Tensor) -> None:
            uses = sum(name.partition("#")[0] == path for name in maps_by_name)
            maps_by_name[f"{path}#{uses + 1}" if uses else path] = maps.clone()  # before a step in place

        _run_watched(model, images, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d), keep)
        return maps_by_name

    return maps_of


def built(layers: Sequence[Layer]) -> nn.Sequential:
    """Return the layers as torch's own, with three channels."""
    model = nn.Sequential()
    for layer in layers:
        both = layer.rows, layer.columns
        kernel, stride, padding, dilation = (
            (getattr(both[0], name), getattr(both[1], name)) for name in ("kernel", "stride", "padding", "dilation")
        )
        model.add_module(
            layer.name,
            nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=both[0].ceil)
            if layer.word.startswith("pool")
            else nn.Conv2d(3, 3, kernel, stride, padding, dilation),
        )
    return model

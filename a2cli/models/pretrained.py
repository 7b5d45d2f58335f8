"""torchvision's classifiers, built as its own factories build them, and the preprocessing of their weights.

N images, H x W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from a2cli.errors import SettingsError, nearest
from a2cli.models.weights import torchvision_weights
from a2cli.random_streams import Streams

INPUT_TRANSFORMING = ("googlenet", "inception_v3")
SIZED = "vit_"  # these have a weight for each patch of the image, so they are built for one size

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Preprocessing:
    """What images become before a network sees them: `fit` to a square of `image_size`, then `mean` and `std`."""

    image_size: int
    fit: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Preprocess(nn.Module):
    """(N, 3, H, W) uint8, or floating in [0, 1], to normalised float32, bit for bit as torchvision does it."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = (torch.tensor(tuple(values)).view(-1, 1, 1) for values in (mean, std))

    def forward(self, images: Tensor) -> Tensor:
        scaled = images.to(torch.float32).contiguous()
        if not images.is_floating_point():
            scaled = scaled.div_(255)
        return (scaled - self.mean.to(images.device)).div_(self.std.to(images.device))


def build_torchvision(
    name: str, flag: str = "--backbone", *, transform_input: bool = False, image_size: int | None = None
) -> nn.Module:
    """Return one of torchvision's classifiers, its weights drawn from a stream of their own; no module is in place.

    `transform_input` is what torchvision's googlenet and inception_v3 do to images when they are pretrained; others
    have no such step. `image_size` is the side that a vision transformer is built for. Raises SettingsError for a name
    that torchvision does not have, or a side that it cannot be built for.
    """
    from torchvision import models

    classifiers = models.list_models(module=models)
    if name not in classifiers:
        raise SettingsError(f"{flag}: torchvision has no classifier {name!r}{nearest(name, classifiers)}")
    options: dict[str, Any] = {}
    if name in INPUT_TRANSFORMING:
        options = {"init_weights": False, "transform_input": transform_input}  # drawing theirs takes a minute
    elif image_size and name.startswith(SIZED):
        options = {"image_size": image_size}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Streams(0).derive("init"))
        try:
            model: nn.Module = models.get_model(name, weights=None, **options)
        except AssertionError as error:
            raise SettingsError(
                f"--image-size: {name} cannot take {image_size}x{image_size} images ({error})"
            ) from None
    for module in model.modules():  # captum's hooks and a graph's steps need each module's input as it was
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010
    return model.eval()


class Undrawn(TorchFunctionMode):
    """Within it networks are built in no time: their weights take no memory until `materialize`.

    All else is computed as usual: a `torch.device("meta")` would lose tables of indices, and some networks compute
    their widths with tensors.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return func(*args, **{**kwargs, "device": "meta"} if func is torch.empty else kwargs)


def materialize(model: Network) -> Network:
    """Return the network with zeros for the weights that were not drawn, to be loaded."""
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.is_meta:
                setattr(module, name, nn.Parameter(torch.zeros_like(weight, device="cpu")))
    return model


def preprocessing(name: str, weights: str, image_size: int | None = None) -> Preprocessing:
    """Return the preprocessing that belongs to a network's pretrained weights, its sizes scaled to `image_size`.

    Of a file those of the weights that torchvision names alike, else of the first.
    """
    published = torchvision_weights(name)
    by_name = {entry.name.lower(): entry for entry in published} | {Path(entry.url).name: entry for entry in published}
    usual = published.DEFAULT if weights == "imagenet" else next(iter(published))
    wanted = by_name.get(weights.lower()) or by_name.get(Path(weights).name) or usual
    transforms = wanted.transforms()
    size = image_size or transforms.crop_size[0]
    shorter = round(transforms.resize_size[0] * size / transforms.crop_size[0])
    bicubic = "-bicubic" if transforms.interpolation.value == "bicubic" else ""
    return Preprocessing(size, f"center-{shorter}{bicubic}", tuple(transforms.mean), tuple(transforms.std))

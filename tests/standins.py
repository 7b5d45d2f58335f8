"""Stand-ins for torchvision's pretrained weights: random, with norms calibrated on images, under the published keys."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import get_model_weights
from torchvision.models._api import BUILTIN_MODELS, WeightsEnum

from a2cli.models.backbones import graph_of, nodes_of
from a2cli.models.pretrained import Undrawn, build_torchvision, materialize

ALL = models.list_models(module=models)
# The side of the images where all of torchvision's own would take too long in CI; None: it takes no other.
SMALL = {"inception_v3": 96, "vit": None, "maxvit": None}
# What the files that torchvision publishes still call some weights: the reverse of what it does as it loads them.
PUBLISHED = {
    "densenet": (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))([12]\.)"), r"\1.\2"),
    "vit": (re.compile(r"(encoder_layer_\d+\.mlp)\.0\."), r"\1.linear_1."),
    "vit_": (re.compile(r"(encoder_layer_\d+\.mlp)\.3\."), r"\1.linear_2."),
}


def published_key(name: str, key: str) -> str:
    """Return what the file that torchvision publishes for a network calls one of its weights."""
    for family, (pattern, old) in PUBLISHED.items():
        if name.startswith(family):
            key = pattern.sub(old, key)
    return key


def families() -> dict[tuple[str, ...], list[str]]:
    """Return all classifiers, the smallest first, by what they are built of: a file and the classes of modules."""
    found: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for name in ALL:
        with Undrawn():
            model = build_torchvision(name)
        kinds = sorted({type(module).__name__ for module in model.modules()})
        size = sum(weight.numel() for weight in model.parameters())
        found.setdefault((BUILTIN_MODELS[name].__module__, *kinds), []).append((size, name))
    return {kinds: [name for _, name in sorted(members)] for kinds, members in found.items()}


def small_side(name: str) -> int | None:
    """Return a small image side that a network takes, None where it is built for one size."""
    return next((side for family, side in SMALL.items() if name.startswith(family)), 64)


def transforms(name: str, side: int | None) -> Any:
    """Return torchvision's own evaluation transforms, for smaller images in proportion."""
    weights = next(iter(get_model_weights(name)))
    if side is None:
        return weights.transforms()
    own = weights.transforms()
    return weights.transforms(crop_size=side, resize_size=round(own.resize_size[0] * side / own.crop_size[0]))


def random_state(name: str, images: Tensor) -> dict[str, Tensor]:
    """Return weights under the published keys: from one small buffer, norms calibrated on images (N, 3, H, W)."""
    with Undrawn():
        model = build_torchvision(name, transform_input=True, image_size=images.shape[-1])
    materialize(model)
    noise = torch.randn(65_537, generator=torch.Generator().manual_seed(len(name)))
    with torch.no_grad():
        for weight in model.parameters():
            scale = (2 / max(1, weight[0].numel())) ** 0.5 if weight.dim() > 1 else 0.1
            times = -(-weight.numel() // len(noise))
            values = scale * noise.repeat(times)[: weight.numel()].view_as(weight)
            weight.copy_(values if weight.dim() > 1 else values + 0.5)
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None
            norm.train()
        model(images)
    state = model.state_dict()
    found = OrderedDict((published_key(name, key), value) for key, value in state.items())
    if name.startswith("densenet"):  # whose files are from before norms counted
        return OrderedDict((key, value) for key, value in found.items() if not key.endswith("num_batches_tracked"))
    if not name.startswith("vit"):  # whose old names are those of an earlier version
        found._metadata = state._metadata
    return found


@contextmanager
def published(state: dict[str, Tensor]) -> Iterator[None]:
    """Let torchvision's factories get this state dict from the network."""
    with patch.object(WeightsEnum, "get_state_dict", lambda *_, **__: copy(state)):
        yield


def reference(name: str, state: dict[str, Tensor], images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return what torchvision's own network computes, built by its own factory with `weights=`.

    Of modules by name, copied as they are left, before a later step; of other names the network's answer.
    """
    with published(state):
        own: nn.Module = models.get_model(name, weights=next(iter(get_model_weights(name)))).eval()
    found: dict[str, Tensor] = {}
    for layer in layers:

        def keep(_: nn.Module, __: object, output: Tensor, layer: str = layer) -> None:
            found.setdefault(layer, output.clone())

        if layer in dict(own.named_modules()):
            own.get_submodule(layer).register_forward_hook(keep)
    with torch.inference_mode():
        answer = own(images)
    return {layer: found.get(layer, answer) for layer in layers}


def some_layers(name: str) -> list[str]:
    """Return three inner layers of a network, a quarter, half and three quarters up, and its last.

    Each is a module used once that keeps images apart; where a step in place follows some, only such are taken.
    """
    with Undrawn():
        graph = graph_of(build_torchvision(name), name)
    modules, nodes = dict(graph.named_modules()), nodes_of(graph)
    targets = [str(node.target) for node in nodes.values()]
    steps = {str(node.target): node for node in nodes.values()}
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.LayerNorm, nn.MaxPool2d, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU)
    usable = [key for key in steps if isinstance(modules.get(key), kinds) and targets.count(key) == 1]
    usable = [key for key in usable if "cpb_mlp" not in key]  # of swin_v2, which sees no image
    in_place = [key for key in usable if any(user.kwargs.get("inplace") for user in steps[key].users)]
    usable = in_place if len(in_place) >= 3 else usable
    return [*(usable[len(usable) * quarter // 4] for quarter in (1, 2, 3)), list(nodes)[-1]]

"""torchvision's networks, and our own, as backbones: their layers by name, cut where their features are wanted.

A backbone is a graph (torch.fx), so layers have torchvision's own node names, a forward stops at the last layer asked
for, and a network can be cut in two. N images, C channels, H x W pixels.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from a2cli.errors import SettingsError, nearest
from a2cli.models.layers import ACTIVATIONS, Flatten, Moments, Normalize, WeightNorm
from a2cli.models.statistics import Statistics
from a2cli.models.transfer import GridPooling
from a2cli.models.weights import torchvision_weights
from a2cli.runtime import Streams

NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LocalResponseNorm, nn.LayerNorm)
ACTIVE = (*ACTIVATIONS.values(), nn.ReLU6, nn.Hardswish)
POOLING = (nn.MaxPool2d, nn.AvgPool2d)


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


def build_torchvision(name: str, flag: str = "--backbone") -> nn.Module:
    """Return one of torchvision's classifiers, its weights drawn from a stream of their own; nothing is in place.

    Raises SettingsError for a name that torchvision does not have.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise SettingsError(f"{flag}: torchvision has no classifier {name!r}{nearest(name, known)}")
    without = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}  # drawing theirs takes a minute
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Streams(0).derive("init"))
        model: nn.Module = models.get_model(name, weights=None, **without)
    for module in model.modules():  # or a layer asked for would be overwritten by the ReLU behind it
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010
    return model.eval()


def preprocessing(name: str, weights: str, image_size: int | None = None) -> Preprocessing:
    """Return the preprocessing that belongs to a network's pretrained weights, its sizes scaled to `image_size`.

    Of a file those of the weights that torchvision names alike, else of the first.
    """
    known = torchvision_weights(name)
    by_name = {one.name.lower(): one for one in known} | {Path(one.url).name: one for one in known}
    usual = known.DEFAULT if weights == "imagenet" else next(iter(known))
    wanted = by_name.get(weights.lower()) or by_name.get(Path(weights).name) or usual
    found = wanted.transforms()
    size = image_size or found.crop_size[0]
    shorter = round(found.resize_size[0] * size / found.crop_size[0])
    bicubic = "-bicubic" if found.interpolation.value == "bicubic" else ""
    return Preprocessing(size, f"center-{shorter}{bicubic}", tuple(found.mean), tuple(found.std))


LEAVES = (Normalize, Flatten, Moments, Statistics, WeightNorm, Preprocess, GridPooling)


class _Tracer(fx.Tracer):
    """Sees our own layers as one step each, as torch's are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


def graph_of(model: nn.Module, where: str) -> fx.GraphModule:
    """Return a network's graph, each node named as torchvision names it; raises SettingsError where it has none."""
    from torchvision.models.feature_extraction import NodePathTracer

    class Tracer(_Tracer, NodePathTracer):  # type: ignore[misc]
        pass

    tracer = Tracer()
    try:
        with warnings.catch_warnings(action="ignore"):
            graph = tracer.trace(model)
    except Exception:  # whatever a network's code stumbles over when it is run on stand-ins
        raise SettingsError(f"{where}: cannot be taken apart (torch.fx cannot trace it)") from None
    for node in graph.nodes:
        node.meta["name"] = tracer.node_to_qualname.get(node, node.name)
    return fx.GraphModule(tracer.root, graph)


def name_of(node: fx.Node) -> str:
    name: str = node.meta.get("name", node.name)
    return name


def nodes_of(graph: fx.GraphModule) -> dict[str, fx.Node]:
    """Return the nodes that compute something of the image, by name, in their order."""
    return {name_of(node): node for node in graph.graph.nodes if node.op not in {"placeholder", "output", "get_attr"}}


def friendly_names(graph: fx.GraphModule) -> dict[str, tuple[str, str]]:
    """Return the layers by their number, conv1, pool1, fc6, as (before its activation, after it), names of nodes.

    Only a network that is a plain chain, as AlexNet and VGG, can be counted through; of others nothing is returned.
    """
    found: dict[str, list[str]] = {}
    modules, count, last = dict(graph.named_modules()), 0, ""
    for node in graph.graph.nodes:
        if len(node.users) > 1:
            return {}
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d | nn.Linear):
            count += 1
            last = f"{'conv' if isinstance(module, nn.Conv2d) else 'fc'}{count}"
            found[last] = [name_of(node), name_of(node)]
        elif isinstance(module, (*NORMS, *ACTIVE)) and last:
            found[last][1] = name_of(node)
        elif isinstance(module, POOLING) and last:
            found[f"pool{last[4:]}"] = [name_of(node), name_of(node)]
    return {name: (before, after) for name, (before, after) in found.items()}


def resolve_layer(graph: fx.GraphModule, layer: str, flag: str, *, before_relu: bool = False) -> str:
    """Return the node that a layer's name means: a friendly one (conv4 with its ReLU), or torchvision's own.

    As with torchvision, a block's name (layer4) is its last node. Raises SettingsError with the nearest names.
    """
    friendly, nodes = friendly_names(graph), nodes_of(graph)
    if layer in friendly:
        return friendly[layer][0 if before_relu else 1]
    if layer in nodes:
        return layer
    if inside := [name for name in nodes if name.startswith(f"{layer}.")]:
        return inside[-1]
    # Of a network that is no chain, its blocks: not all the steps of its code.
    blocks = {".".join(name.split(".")[:2]): name for name, node in nodes.items() if "." in name or _is_layer(node)}
    some, names = list(friendly or blocks), [*friendly, *nodes, *blocks]
    listed = ", ".join(some if len(some) <= 12 else [*some[:5], "...", *some[-6:]])
    raise SettingsError(f"{flag}: no layer {layer!r}{nearest(layer, names)} (there are {listed})")


def settled(graph: fx.GraphModule, name: str, passing: Collection[str] = ("relu", "relu_")) -> str:
    """Return the node that holds a layer's answer: behind the norm and the activation that follow it, if they do.

    `passing` are the functions that are gone through as well.
    """
    modules, node = dict(graph.named_modules()), nodes_of(graph)[name]
    while len(node.users) == 1:
        (after,) = node.users
        function = str(getattr(after.target, "__name__", after.target))
        if not isinstance(modules.get(str(after.target)), (*NORMS, *ACTIVE)) and function not in passing:
            break
        node = after
    return name_of(node)


def _is_layer(node: fx.Node) -> bool:
    return node.op == "call_module"


def up_to(graph: fx.GraphModule, names: Sequence[str]) -> fx.GraphModule:
    """Return the part of a network that computes these nodes, and gives them in a dictionary; nothing behind the last.

    Its modules are the network's own, not copies.
    """
    part, wanted = fx.Graph(), set(names)
    kept: dict[fx.Node, fx.Node] = {}
    nodes = nodes_of(graph)
    last = max(list(graph.graph.nodes).index(nodes[name]) for name in names)
    for node in list(graph.graph.nodes)[: last + 1]:
        kept[node] = part.node_copy(node, lambda one: kept[one])
    part.output({name_of(node): kept[node] for node in kept if name_of(node) in wanted})
    found = fx.GraphModule(graph, part)
    found.graph.eliminate_dead_code()
    found.recompile()
    return found


def behind(graph: fx.GraphModule, name: str) -> fx.GraphModule:
    """Return the part of a network from a node's value on, which all that comes later must hang on alone."""
    part, cut = fx.Graph(), nodes_of(graph)[name]
    nodes = list(graph.graph.nodes)
    kept = {cut: part.placeholder("activations")}
    for node in nodes[nodes.index(cut) + 1 :]:
        kept[node] = part.node_copy(node, lambda one: kept[one])
    return fx.GraphModule(graph, part)


def cuts(graph: fx.GraphModule) -> list[str]:
    """Return the nodes at which the network can be cut in two: nothing behind one uses anything from before it."""
    nodes = list(graph.graph.nodes)
    place = {node: i for i, node in enumerate(nodes)}
    reach = [max((place[user] for user in node.users), default=i) for i, node in enumerate(nodes)]
    found, furthest = [], 0
    for i, node in enumerate(nodes):
        if furthest <= i and node.op not in {"placeholder", "output", "get_attr"}:
            found.append(name_of(node))
        furthest = max(furthest, reach[i])
    return found


def parameters_of(graph: fx.GraphModule) -> list[str]:
    """Return the names of all tensors that a part of a network computes with, its batch statistics among them."""
    used = {str(node.target) for node in graph.graph.nodes if node.op in {"call_module", "get_attr"}}
    return [name for name in graph.state_dict() if any(name == one or name.startswith(f"{one}.") for one in used)]


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights by name."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

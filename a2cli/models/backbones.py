"""Networks as backbones: their layers by name, cut where their features are wanted.

A backbone is a graph (torch.fx), so layers have torchvision's own node names, a forward stops at the last layer asked
for, and a network can be cut in two. N images, C channels, H x W pixels.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, fx, nn

from a2cli.errors import SettingsError, nearest
from a2cli.models.inplace import any_in_place, is_needed, snapshot, use_results
from a2cli.models.layers import ACTIVATIONS, Flatten, Moments, Normalize, WeightNorm
from a2cli.models.pretrained import Preprocess
from a2cli.models.statistics import Statistics
from a2cli.models.transfer import GridPooling

NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LocalResponseNorm, nn.LayerNorm)
ACTIVE = (*ACTIVATIONS.values(), nn.ReLU6, nn.Hardswish)
POOLING = (nn.MaxPool2d, nn.AvgPool2d)
# Functions and methods by name, where a network's code calls them rather than a module.
ACTIVE_NAMES = {"relu", "relu_", "relu6", "leaky_relu", "elu", "gelu", "silu", "tanh", "hardswish"}
LEAVES = (Normalize, Flatten, Moments, Statistics, WeightNorm, Preprocess, GridPooling)


def graph_of(model: nn.Module, where: str) -> fx.GraphModule:
    """Return a network's graph, each node named as torchvision names it; raises SettingsError where it has none."""
    from torchvision.models.feature_extraction import NodePathTracer

    class Tracer(NodePathTracer):  # type: ignore[misc]
        """Sees our own layers as one step each, as torch's are."""

        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, LEAVES) or bool(super().is_leaf_module(m, module_qualified_name))

    tracer = Tracer()
    try:
        with warnings.catch_warnings(action="ignore"):
            graph = tracer.trace(model)
    except Exception:  # whatever a network's code stumbles over when it is run on stand-ins
        raise SettingsError(f"{where}: cannot be taken apart (torch.fx cannot trace it)") from None
    for node in graph.nodes:
        node.meta["name"] = tracer.node_to_qualname.get(node, node.name)
    use_results(graph, dict(model.named_modules()))
    return fx.GraphModule(tracer.root, graph)


def name_of(node: fx.Node) -> str:
    name: str = node.meta.get("name", node.name)
    return name


def nodes_of(graph: fx.GraphModule) -> dict[str, fx.Node]:
    """Return the nodes that compute something of the image, by name, in their order."""
    steps = (node for node in graph.graph.nodes if node.op not in {"placeholder", "output", "get_attr"})
    return {name_of(node): node for node in steps if node.target is not snapshot}


def friendly_names(graph: fx.GraphModule) -> dict[str, tuple[str, str]]:
    """Return the layers by their number, conv1, pool1, fc6, as (before its activation, after it), names of nodes.

    Only a network that is a plain chain, as AlexNet and VGG, can be counted through; of others nothing is returned.
    """
    first_and_last: dict[str, list[str]] = {}
    modules, count, last = dict(graph.named_modules()), 0, ""
    for node in graph.graph.nodes:
        if len(node.users) > 1:
            return {}
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d | nn.Linear):
            count += 1
            last = f"{'conv' if isinstance(module, nn.Conv2d) else 'fc'}{count}"
            first_and_last[last] = [name_of(node), name_of(node)]
        elif last and (isinstance(module, NORMS) or is_activation(node, modules)):
            first_and_last[last][1] = name_of(node)
        elif isinstance(module, POOLING) and last:
            first_and_last[f"pool{last[4:]}"] = [name_of(node), name_of(node)]
    return {name: (before, after) for name, (before, after) in first_and_last.items()}


def is_activation(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether a step is an activation: a module, a function or a method, in place or not."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], ACTIVE)
    return node.op in {"call_function", "call_method"} and function_name(node) in ACTIVE_NAMES


def function_name(node: fx.Node) -> str:
    """Return the name of the function or method that a step calls."""
    return str(getattr(node.target, "__name__", node.target))


def nodes_by_module(graph: fx.GraphModule) -> dict[str, str]:
    """Return the node of each module's first use, by the module's path."""
    steps = [(str(node.target), name) for name, node in nodes_of(graph).items() if _is_layer(node)]
    return dict(reversed(steps))


def resolve_layer(graph: fx.GraphModule, layer: str, flag: str, *, before_relu: bool = False) -> str:
    """Return the node that a layer's name means: a friendly one (conv4 with its ReLU), or torchvision's own.

    As with torchvision, a block's name (layer4) is its last node. A module's own path comes before torchvision's node
    of that name, which may be another's: of a vision transformer's block it calls ln_1 `ln`, and ln_2 `ln_1`. Raises
    SettingsError with the nearest names.
    """
    friendly, nodes, modules = friendly_names(graph), nodes_of(graph), nodes_by_module(graph)
    if layer in friendly:
        return friendly[layer][0 if before_relu else 1]
    if layer in modules:
        return modules[layer]
    if layer in nodes:
        return layer
    if inside := [name for name in nodes if name.startswith(f"{layer}.")]:
        return inside[-1]
    # Of a network that is no chain, its blocks: not all the steps of its code.
    blocks = {".".join(name.split(".")[:2]): name for name, node in nodes.items() if "." in name or _is_layer(node)}
    some, names = list(friendly or blocks), [*friendly, *nodes, *blocks]
    listed = ", ".join(some if len(some) <= 12 else [*some[:5], "...", *some[-6:]])
    raise SettingsError(f"{flag}: no layer {layer!r}{nearest(layer, names)} (there are {listed})")


def output_node(graph: fx.GraphModule, name: str, passing: Collection[str] = ()) -> str:
    """Return the node that holds a layer's answer: behind the norm and the activation that follow it, if they do.

    `passing` are the functions that are gone through as well.
    """
    modules, node = dict(graph.named_modules()), nodes_of(graph)[name]
    while len(node.users) == 1:
        (after,) = node.users
        is_norm = isinstance(modules.get(str(after.target)), NORMS)
        if not is_norm and not is_activation(after, modules) and function_name(after) not in passing:
            break
        node = after
    return name_of(node)


def _is_layer(node: fx.Node) -> bool:
    return node.op == "call_module"


def truncate(graph: fx.GraphModule, names: Sequence[str]) -> fx.GraphModule:
    """Return the part of a network that computes these nodes, and gives them in a dictionary; nothing behind the last.

    Its modules are the network's own, not copies. Each value is what its node computed, whatever a later step, as a
    ReLU in place, writes into it or into a view of it.
    """
    part, wanted = fx.Graph(), set(names)
    copies: dict[fx.Node, fx.Node] = {}
    nodes, all_nodes = nodes_of(graph), list(graph.graph.nodes)
    last = max(all_nodes.index(nodes[name]) for name in names)
    in_place, given = any_in_place(graph), dict[str, fx.Node]()
    for i, node in enumerate(all_nodes[: last + 1]):
        copies[node] = part.node_copy(node, lambda original: copies[original])
        if (name := name_of(node)) in wanted:
            given[name] = part.call_function(snapshot, (copies[node],)) if in_place and i < last else copies[node]
    part.output(given)
    truncated = fx.GraphModule(graph, part)
    truncated.graph.eliminate_dead_code(partial(is_needed, modules=dict(truncated.named_modules())))
    truncated.recompile()
    return truncated


def tail(graph: fx.GraphModule, name: str) -> fx.GraphModule:
    """Return the part of a network from a node's value on, which all that comes later must hang on alone.

    What is given to it stays as it is.
    """
    part, cut = fx.Graph(), nodes_of(graph)[name]
    nodes = list(graph.graph.nodes)
    given = part.placeholder("activations")
    copies = {cut: part.call_function(snapshot, (given,)) if any_in_place(graph) else given}
    for node in nodes[nodes.index(cut) + 1 :]:
        copies[node] = part.node_copy(node, lambda original: copies[original])
    return fx.GraphModule(graph, part)


def cuts(graph: fx.GraphModule) -> list[str]:
    """Return the nodes at which the network can be cut in two: nothing behind one uses anything from before it."""
    nodes = list(graph.graph.nodes)
    place = {node: i for i, node in enumerate(nodes)}
    reach = [max((place[user] for user in node.users), default=i) for i, node in enumerate(nodes)]
    places, furthest = [], 0
    for i, node in enumerate(nodes):
        if furthest <= i and node.op not in {"placeholder", "output", "get_attr"}:
            places.append(name_of(node))
        furthest = max(furthest, reach[i])
    return places


def parameters_of(graph: fx.GraphModule) -> list[str]:
    """Return the names of all tensors that a part of a network computes with, its batch statistics among them."""
    used = {str(node.target) for node in graph.graph.nodes if node.op in {"call_module", "get_attr"}}
    return [name for name in graph.state_dict() if any(name == user or name.startswith(f"{user}.") for user in used)]


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights by name."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

"""A trunk taken apart for fine-tuning: where it is cut, what learns behind the cut, how fast each layer moves."""

from collections.abc import Iterator
from operator import attrgetter

from torch import Tensor, fx, nn

from a2cli.errors import SettingsError, nearest
from a2cli.models.backbones import (
    NORMS,
    cuts,
    friendly_names,
    function_name,
    name_of,
    nodes_by_module,
    nodes_of,
    parameters_of,
    resolve_layer,
    tail,
    truncate,
)
from a2cli.models.transfer import GridPooling, Transfer, Trunk

ALL_NORMS = (*NORMS, nn.BatchNorm1d)
PASSING = {"flatten", "dropout"}  # functions


class Frozen(nn.Module):
    """A part that does not learn: no gradient, and no mode but evaluation, so batch norms keep their statistics too."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.inner(images)
        return found


def before_last_linear(graph: fx.GraphModule, where: str) -> str:
    """Return the node whose value the network's last linear layer takes; raises SettingsError where it has none."""
    modules = dict(graph.named_modules())
    # Not the graph's own output, whose target is called as the last layer of our networks is.
    last = [node for node in nodes_of(graph).values() if isinstance(modules.get(str(node.target)), nn.Linear)]
    if not last:
        ends = [name for name in cuts(graph) if isinstance(modules.get(name), nn.Conv2d)]
        before = cuts(graph)[max(0, cuts(graph).index(ends[-1]) - 1)] if ends else "LAYER"
        raise SettingsError(f"{where}: has no linear layer for the head to replace; say where it goes, "
                            f"as --layer {before} --head-grid 1")  # fmt: skip
    names = {node: name for name, node in nodes_of(graph).items()}
    found: str = names[last[-1].all_input_nodes[0]]
    return found


def usual_layer(graph: fx.GraphModule, where: str) -> str:
    """Return the layer whose features are taken where none is named: conv4, as of AlexNet, or else the last layer
    before the classifier, without the steps that only flatten it or drop some of it.

    The classifier is the last linear layer, of a network without any (SqueezeNet) the last convolution. Raises
    SettingsError for a network with neither, with the layers that it has.
    """
    modules, nodes = dict(graph.named_modules()), nodes_of(graph)
    has_linear = any(isinstance(module, nn.Linear) for module in modules.values())
    convolutions = [node for node in nodes.values() if isinstance(modules.get(str(node.target)), nn.Conv2d)]
    if "conv4" in friendly_names(graph) or not (has_linear or convolutions):
        resolve_layer(graph, "conv4", "--layer auto")
        return "conv4"
    node = nodes[before_last_linear(graph, where)] if has_linear else convolutions[-1].all_input_nodes[0]
    while isinstance(modules.get(str(node.target)), nn.Flatten | nn.Dropout) or function_name(node) in PASSING:
        if node.all_input_nodes[0] not in nodes.values():  # the image
            break
        node = node.all_input_nodes[0]
    return name_of(node)


def cut_before(graph: fx.GraphModule, layer: str) -> str | None:
    """Return the node behind which a layer begins, None for the image itself.

    `layer` is a friendly name (conv5), a node's, or a module's that holds several (layer4). Raises SettingsError for
    one that does not exist, and for one inside a block, where nothing can be cut.
    """
    nodes, friendly = list(nodes_of(graph)), friendly_names(graph)
    first = friendly.get(layer, (nodes_by_module(graph).get(layer, layer), ""))[0]
    inside = [i for i, name in enumerate(nodes) if name == first or name.startswith(f"{first}.")]
    if not inside:
        parts = [name.split(".") for name in nodes]
        blocks = dict.fromkeys(".".join(part[:depth]) for part in parts for depth in range(1, len(part)))
        names = [*friendly, *blocks, *nodes]
        some = ", ".join(friendly or dict.fromkeys(part[0] for part in parts))
        raise SettingsError(f"--stages: no layer {layer!r} below the head{nearest(layer, names)} (there are {some})")
    before = [name for name in cuts(graph) if nodes.index(name) < inside[0]]
    if not before:
        return None
    between = truncate(graph, [nodes[inside[0] - 1]])
    if set(parameters_of(between)) - set(parameters_of(truncate(graph, [before[-1]]))):
        raise SettingsError(f"--stages: {layer}+ begins inside a block; the nearest place above is {before[-1]}")
    return before[-1]


def layers_of(graph: fx.GraphModule) -> Iterator[tuple[str, dict[str, nn.Parameter]]]:
    """Yield the layers that have weights, from the image upward: a name, and its weights with its norms'."""
    modules, friendly = dict(graph.named_modules()), {node: name for name, (node, _) in friendly_names(graph).items()}
    layer, weights = "", dict[str, nn.Parameter]()
    for node in graph.graph.nodes:
        target = str(node.target)
        if node.op == "call_module":
            parameters = {f"{target}.{name}": p for name, p in modules[target].named_parameters()}
        elif node.op == "get_attr" and isinstance(p := attrgetter(target)(graph), nn.Parameter):
            parameters = {target: p}
        else:
            continue
        if parameters and weights and not isinstance(modules.get(target), ALL_NORMS):
            yield friendly.get(layer, layer), weights
            weights = {}
        if parameters and not weights:
            layer = target
        weights |= parameters
    if weights:
        yield friendly.get(layer, layer), weights


def behind_cut(whole: Transfer, cut: str, *, cached: bool = False) -> nn.Module:
    """Return what takes the activations at a cut to logits; its layers are the network's own.

    Those of the trunk's end are pooled already where they come from the cache.
    """
    pooled = cached and cut == list(nodes_of(whole.trunk.body))[-1]
    pooling = GridPooling(0, "average") if pooled else whole.trunk.pooling
    rest = Trunk(nn.Identity(), tail(whole.trunk.body, cut), pooling)
    return Transfer(rest, whole.head)


def with_frozen(whole: Transfer, cut: str) -> nn.Module:
    """Return the whole network with all up to a cut frozen; its layers are the network's own."""
    below = Trunk(whole.trunk.preprocess, truncate(whole.trunk.body, [cut]), GridPooling(0, "average"))
    return nn.Sequential(Frozen(below), behind_cut(whole, cut))

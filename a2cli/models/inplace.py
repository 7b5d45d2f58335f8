"""In-place steps of a graph (torch.fx): found in any form, and kept from changing what was handed out before them."""

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from torch import Tensor, fx, nn

OPERATORS = {getattr(operator, name) for name in dir(operator) if name.startswith("__i")}
OPERATORS -= {operator.index, operator.inv, operator.invert}
NEW_TENSOR = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)  # whose output shares no memory with anything


def snapshot(value: Any) -> Any:
    """Return a copy of a tensor, or of those in a tuple or list, that no later step can write into."""
    if isinstance(value, fx.Proxy):  # traced once more
        return value.tracer.create_proxy("call_function", snapshot, (value,), {})
    if isinstance(value, Tensor):
        return value.clone()
    return tuple(map(snapshot, value)) if isinstance(value, tuple | list) else value


def overwritten_by(node: fx.Node, modules: Mapping[str, nn.Module]) -> fx.Node | None:
    """Return the node whose value this step overwrites; None where the step leaves all values as they are."""
    target: Any = node.target
    name = target if node.op == "call_method" else getattr(target, "__name__", "")
    if node.op == "call_module":
        in_place = bool(getattr(modules[str(target)], "inplace", False))
    elif node.op == "call_method":
        in_place = (name.endswith("_") and not name.endswith("__")) or name.startswith("__i") or name == "__setitem__"
    elif node.op == "call_function":
        if isinstance(out := node.kwargs.get("out"), fx.Node):
            return out
        named = name.endswith("_") and not name.endswith("__")
        in_place = named or target in OPERATORS or target is operator.setitem or _asked_in_place(node)
    else:
        return None
    first = node.args[0] if node.args else node.kwargs.get("input")
    return first if in_place and isinstance(first, fx.Node) else None


def _asked_in_place(node: fx.Node) -> bool:
    """Return whether a function's argument `inplace` is true, by name or by its position."""
    if "inplace" in node.kwargs or not callable(node.target):
        return bool(node.kwargs.get("inplace"))
    names = _arguments_of(node.target)
    return "inplace" in names and bool(dict(zip(names, node.args, strict=False)).get("inplace"))


@cache
def _arguments_of(function: Callable[..., Any]) -> Sequence[str]:
    """Return the names of a function's arguments; finding them takes long, and a network calls few functions often."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # what is written in C has no signature, and no such argument
        return []


def any_in_place(graph: fx.GraphModule) -> bool:
    """Return whether a network has an in-place step."""
    modules = dict(graph.named_modules())
    return any(overwritten_by(node, modules) for node in graph.graph.nodes)


def is_overwritten(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a step in place writes into a node's value."""
    modules = dict(graph.named_modules())
    return any(overwritten_by(user, modules) is node for user in node.users)


def use_results(graph: fx.Graph, modules: Mapping[str, nn.Module]) -> None:
    """Let what comes behind an in-place step take its result rather than the value it wrote into; they are the same.

    A statement, as `F.relu(x, inplace=True)`, has no user in the graph, so it would be lost as dead code.
    """
    place = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        written = overwritten_by(node, modules)
        if written is not None and node.target is not operator.setitem:  # which returns nothing
            for user in list(written.users):
                if place[user] > place[node]:
                    user.replace_input_with(written, node)


def is_needed(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether a step must stay though nothing takes its result: it may write into a view that others share."""
    written = overwritten_by(node, modules)
    if written is None or node.is_impure():
        return node.is_impure()
    return len(written.users) > 1 or not isinstance(modules.get(str(written.target)), NEW_TENSOR)

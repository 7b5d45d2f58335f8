"""What the units of any network see, derived along its graph: branches, sums, concatenations, modules used twice.

Every value of the graph (torch.fx) is run once for its shape, and said to see one of these:
- a Spatial: each unit its own part of the image;
- GLOBAL: every unit the whole image, as after a mean over the map or attention;
- FLAT: parts of the image, but places and features are mixed in one dimension, as after `flatten`;
- UNKNOWN: there is no rule for what made it;
- None: nothing of the image: weights, sizes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from a2cli.models.backbones import name_of, truncate
from a2cli.receptive_field.fields import View, Window

POINTWISE = {
    *("ReLU", "ReLU6", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Hardswish", "Hardsigmoid", "Hardtanh"),
    *("BatchNorm2d", "Dropout", "Dropout2d", "Identity", "LocalResponseNorm", "StochasticDepth"),
    *("relu", "relu_", "relu6", "gelu", "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "dropout", "batch_norm"),
    *("Normalize", "Preprocess", "stochastic_depth", "contiguous", "clone", "clamp", "float", "neg"),
}
JOINING = {"add", "iadd", "sub", "mul", "imul", "truediv", "cat", "concat", "concatenate", "add_", "mul_"}
POOLINGS = {"AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "mean", "amax"}
POOLINGS |= {"GridPooling", "Moments"}
RESHAPING = {"flatten", "view", "reshape", "Flatten"}
CHUNKING = {"chunk", "split", "getitem", "unbind"}
WHOLE_MAP = {"MultiheadAttention", "GroupNorm", "InstanceNorm2d", "group_norm", "instance_norm"}
WHOLE_MAP |= {"scaled_dot_product_attention"}


@dataclass(frozen=True)
class Spatial:
    """What the units of a tensor see, and which of its dimensions are rows and columns."""

    rows: View
    columns: View
    dims: tuple[int, int] = (2, 3)
    misaligned: bool = False  # branches joined whose fields have their centres in different places

    def sizes(self, tensor: Tensor) -> tuple[int, ...]:
        return tuple(tensor.shape[dim] for dim in self.dims if dim < tensor.dim())


Other = Literal["global", "unknown", "flat"]
Known = Spatial | Other | None
GLOBAL: Other = "global"
UNKNOWN: Other = "unknown"
FLAT: Other = "flat"


@dataclass(frozen=True)
class GraphLayer:
    """A layer in the graph, the size of the map it leaves, and what that map's units see.

    Adaptive pooling, attention and the like have no window of their own; attention leaves no map.
    """

    name: str
    word: str
    window: tuple[Window, Window] | None
    size: tuple[int, int] | None
    known: Known


class Derivation(fx.Interpreter):
    """Runs a traced network once on an image (1, 3, H, H), and says of every value what it sees.

    Of the image, or of the map that the layer named `of` leaves: what does not pass through that sees nothing.
    """

    def __init__(self, graph: fx.GraphModule, of: str | None) -> None:
        super().__init__(graph)
        self.of = of
        self.known: dict[fx.Node, Known] = {}
        self.layers: dict[str, GraphLayer] = {}
        self.names: dict[fx.Node, str] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        inputs = [self.known[node] for node in n.all_input_nodes]
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        target = self.fetch_attr(str(n.target)) if n.op == "call_module" else n.target
        if n.op == "placeholder":
            self.known[n] = None if self.of else _itself(result)
        elif n.op in {"get_attr", "output"}:
            self.known[n] = None
        elif window := window_of(target, args, kwargs):
            word, rows, columns = window
            self._add(n, word, (rows, columns), result, _through(inputs[0], rows, columns))
        else:
            self.known[n] = _after(target, inputs, args, result)
            if _name(target) in POOLINGS | WHOLE_MAP and (self.of or self.known[n]):
                self._add(n, _name(target), None, result, self.known[n])
        return result

    def _add(self, n: fx.Node, word: str, window: tuple[Window, Window] | None, result: Any, known: Known) -> None:
        """Put a node among the layers, with what it sees; its name is the module's path, with `#2` the second time."""
        own = str(n.target) if n.op == "call_module" else n.name
        uses = sum(name.partition("#")[0] == own for name in self.layers)
        name = f"{own}#{uses + 1}" if uses else own
        is_map = isinstance(result, Tensor) and result.dim() == 4
        if is_map:
            self.names[n] = name
        self.known[n] = _itself(result) if name == self.of else known
        size = tuple(result.shape[-2:]) if is_map else None
        self.layers[name] = GraphLayer(name, word, window, size, self.known[n])


def derive(graph: fx.GraphModule, image_size: int, of: str | None = None) -> Derivation:
    """Return the derivation of a traced network in evaluation mode, for square images: what is seen of the image, or
    of the map that the layer named `of` leaves."""
    with torch.inference_mode():
        derivation = Derivation(graph, of)
        device = next((parameter.device for parameter in graph.parameters()), None)
        derivation.run(torch.zeros(1, 3, image_size, image_size, device=device))
    return derivation


def maps_of(derivation: Derivation, layers: Collection[str]) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return the function from images to the maps that these layers leave."""
    assert isinstance(derivation.module, fx.GraphModule)
    names = {name_of(node): name for node, name in derivation.names.items() if name in layers}
    part = truncate(derivation.module, list(names))
    return lambda images: {names[node]: maps for node, maps in part(images).items()}


def _itself(maps: Tensor) -> Spatial:
    return Spatial(View.of_image(maps.shape[-2]), View.of_image(maps.shape[-1]))


def _through(known: Known, rows: Window, columns: Window) -> Known:
    if not isinstance(known, Spatial):
        return known
    return replace(known, rows=known.rows.through(rows), columns=known.columns.through(columns))


def window_of(
    target: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = MappingProxyType({})
) -> tuple[str, Window, Window] | None:
    """Return a convolution's or pooling's word and windows; None for what is neither, or has no plain window."""
    if isinstance(target, nn.Conv2d):
        if isinstance(target.padding, str) or target.padding_mode != "zeros":
            return None
        return _both("conv", target.kernel_size, target.stride, target.padding, target.dilation, False)
    if isinstance(target, nn.MaxPool2d):
        return _both("pool", target.kernel_size, target.stride, target.padding, target.dilation, target.ceil_mode)
    if isinstance(target, nn.AvgPool2d):
        return _both("pool", target.kernel_size, target.stride, target.padding, 1, target.ceil_mode)
    order = {
        "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
        "boolean_dispatch": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
        "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode"),
    }.get(_name(target))
    if order is None or isinstance(target, str):
        return None
    given = {**dict(zip(order, args[1:], strict=False)), **kwargs}
    kernel, stride = given["kernel_size"], given.get("stride")
    padding, dilation, ceil = given.get("padding", 0), given.get("dilation", 1), given.get("ceil_mode", False)
    return _both("pool", kernel, stride or kernel, padding, dilation, ceil)


def _both(kind: str, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> tuple[str, Window, Window]:
    k, s, p, d = (
        value if isinstance(value, tuple | list) else (value, value) for value in (kernel, stride, padding, dilation)
    )
    rows, columns = (Window(k[axis], s[axis], p[axis], d[axis], ceil) for axis in (0, 1))
    size = f"{rows.kernel}" if rows.kernel == columns.kernel else f"{rows.kernel}x{columns.kernel}"
    return f"{kind}{size}", rows, columns


def _name(target: Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)


def _after(target: Any, inputs: Iterable[Known], args: tuple[Any, ...], result: Any) -> Known:
    """Return what a value sees that was made by anything but a window."""
    seeing = [known for known in inputs if known is not None]
    parts = [part for part in (result if isinstance(result, tuple | list) else [result]) if part is not None]
    if not seeing or not all(isinstance(part, Tensor) for part in parts):
        return None
    name = _name(target)
    if GLOBAL in seeing:
        return GLOBAL
    if UNKNOWN in seeing:
        return UNKNOWN
    if name in WHOLE_MAP:
        return GLOBAL
    if name in JOINING:
        return _joined(seeing)
    known = seeing[0]
    if name in POINTWISE or len(seeing) > 1:
        return known if len(seeing) == 1 else UNKNOWN
    if known == FLAT:
        return GLOBAL if name in {"Linear", "linear"} else FLAT
    assert isinstance(known, Spatial)
    return _of_map(name, target, known, args, parts)


def _joined(seeing: Sequence[Known]) -> Known:
    """Return what a sum or concatenation sees: what any of its parts does."""
    if FLAT in seeing:
        return FLAT
    maps = [known for known in seeing if isinstance(known, Spatial)]
    first = maps[0]
    for other in maps[1:]:
        if other.dims != first.dims:
            return UNKNOWN
        rows, columns = first.rows.joined(other.rows), first.columns.joined(other.columns)
        if rows is None or columns is None:
            return UNKNOWN
        apart = (first.rows.centre, first.columns.centre) != (other.rows.centre, other.columns.centre)
        first = Spatial(rows, columns, first.dims, first.misaligned or other.misaligned or apart)
    return first


def _of_map(name: str, target: Any, known: Spatial, args: tuple[Any, ...], parts: Sequence[Tensor]) -> Known:
    """Return what is seen by a value made of one map, by the operation's name."""
    before = args[0]
    if not isinstance(before, Tensor):  # one of the parts that `chunk` left
        return known if name == "getitem" else UNKNOWN
    same = all(part.dim() == before.dim() and known.sizes(part) == known.sizes(before) for part in parts)
    if name in {"Linear", "linear"}:
        return GLOBAL if before.dim() - 1 in known.dims else known
    if name in {"LayerNorm", "layer_norm"}:
        shape = target.normalized_shape if isinstance(target, nn.LayerNorm) else args[1]
        return GLOBAL if max(known.dims) >= before.dim() - len(shape) else known
    if name in POOLINGS:
        left = set(known.sizes(parts[0])) if parts[0].dim() == before.dim() else {1}
        return known if same else GLOBAL if left == {1} else UNKNOWN
    if name in {"permute", "Permute"}:
        given: Any = getattr(target, "dims", None) or args[1]
        order = [*given] if isinstance(given, tuple | list) else [*args[1:]]
        rows, columns = (order.index(dim) for dim in known.dims)
        return replace(known, dims=(rows, columns))
    if name == "transpose":
        swapped = {args[1]: args[2], args[2]: args[1]}
        rows, columns = (swapped.get(dim, dim) for dim in known.dims)
        return replace(known, dims=(rows, columns))
    if name in RESHAPING:
        last = before.dim() - 2, before.dim() - 1
        is_kept = known.dims == last and parts[0].dim() > 2 and parts[0].shape[-2:] == before.shape[-2:]
        return replace(known, dims=(parts[0].dim() - 2, parts[0].dim() - 1)) if is_kept else FLAT
    if name in CHUNKING and same:
        return known
    return UNKNOWN

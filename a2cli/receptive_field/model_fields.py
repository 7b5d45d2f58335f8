"""`a2 receptive-field --model`: what the units of any of torchvision's image classifiers see, along its graph."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from torch import fx, nn

from a2cli.errors import SettingsError
from a2cli.models.pretrained import build_torchvision
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.receptive_field import graphs, nan_proof
from a2cli.receptive_field.fields import Layer, View, Window
from a2cli.receptive_field.report import (
    Measured,
    Views,
    field_results,
    layer_field,
    map_cone,
    status_of,
)
from a2cli.receptive_field.results import FieldResults, LayerField, MapCone, UnitField
from a2cli.receptive_field.stack_fields import PROVING

MOST_MAPS = 10  # in a drawing, the image among them
USUAL_SIZE = {"inception_v3": 299}


def model_fields(
    name: str,
    image_size: int | None,
    unit: str | None = None,
    pixel: str | None = None,
    *,
    prove: bool = False,
    reporter: ProgressReporter | None = None,
) -> FieldResults:
    """Return what the units of every convolution and pooling of a network see, on images of 224 pixels unless said.

    Weights play no part, so none are loaded. Raises SettingsError for a name that torchvision does not have, an image
    that the network does not take. A network that torch.fx cannot trace is measured, derived or not.
    """
    side, reporter = image_size or USUAL_SIZE.get(name, 224), reporter or NullReporter()
    reporter.phase(f"building {name}", brief=True)
    model = build_torchvision(name, "--model")
    graph = traced(model)
    last_proven = unit.partition(",")[0] if unit else None
    fields, seen = (
        _derived(name, graph, side, prove, last_proven, reporter)
        if graph
        else _measured_only(name, model, side, reporter)
    )
    sees = {"image": last} if (last := next((layer.field for layer in reversed(fields) if layer.field), None)) else {}
    found = field_results(fields, seen, sees, side, unit, pixel)
    if graph is None or not found.middle:
        return found
    return replace(found, cone=_cone(graph, side, fields, seen, found.unit or found.middle[-1]))


def traced(model: nn.Module) -> fx.GraphModule | None:
    """Return a network's graph, or None for one that cannot be traced."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return fx.symbolic_trace(model)
    except Exception:  # whatever a network's code stumbles over when it is run on stand-ins
        return None


def _derived(
    name: str, graph: fx.GraphModule, side: int, prove: bool, last_proven: str | None, reporter: ProgressReporter
) -> tuple[list[LayerField], list[Views | None]]:
    """Return the layers along the graph; `prove` measures them, up to the one named `last_proven` if it is given."""
    reporter.phase(f"deriving what the units of {name} see", "measuring", brief=True)
    with _taking(name, side):
        derivation = graphs.derive(graph, side)
    names = list(derivation.layers)
    if last_proven in names:
        names = names[: names.index(last_proven) + 1]
    measured: Measured = {}
    if prove:
        reporter.step(PROVING)
        measured = nan_proof.trusted(graph, graphs.maps_of(derivation, names), side, reporter)
    fields, seen = [], []
    for layer_name, layer_of_graph in derivation.layers.items():
        spatial = layer_of_graph.known if isinstance(layer_of_graph.known, graphs.Spatial) else None
        view = (spatial.rows, spatial.columns) if spatial else None
        status = status_of(view, layer_of_graph.known == graphs.GLOBAL, measured.get(layer_name))
        misaligned = spatial is not None and spatial.misaligned
        layer = Layer(layer_name, layer_of_graph.word, *(layer_of_graph.window or (Window(1), Window(1))))
        row = layer_field(layer, view, layer_of_graph.size, side, status, misaligned=misaligned)
        if layer_of_graph.window is None:
            row = replace(row, kernel_size=None, stride=None, padding=None, dilation=None)
        fields.append(row)
        seen.append(view)
    return fields, seen


def _cone(
    graph: fx.GraphModule, side: int, fields: Sequence[LayerField], seen: Sequence[Views | None], tip: UnitField
) -> list[MapCone]:
    """Return the maps from the image to the one unit `tip`: where there are many, the last of each size."""
    names = [layer.name for layer in fields]
    image = View.of_image(side), View.of_image(side)
    maps = {"image": image, **{name: view for name, view in zip(names, seen, strict=True) if view}}
    drawn = ["image", *names[: names.index(tip.layer) + 1]]
    if len(drawn) > MOST_MAPS:
        last_of_size = {fields[names.index(name)].size: name for name in drawn[1:] if name in maps}
        drawn = ["image", *last_of_size.values()]
    cone = []
    for name in drawn:
        sees = graphs.derive(graph, side, None if name == "image" else name).layers[tip.layer].known
        if isinstance(sees, graphs.Spatial) and name in maps and sees.rows.seen[tip.unit[0]]:
            cone.append(map_cone(name, maps[name], (sees.rows, sees.columns), tip.unit))
    return cone


def _measured_only(
    name: str, model: nn.Module, side: int, reporter: ProgressReporter
) -> tuple[list[LayerField], list[Views | None]]:
    """Return the layers of a network that cannot be traced, each with the widest field that NaN found in its map."""
    with _taking(name, side):
        reporter.phase(PROVING, "measuring", brief=True)
        measured = nan_proof.trusted(model, nan_proof.of_modules(model), side, reporter)
    modules = dict(model.named_modules())
    fields = []
    for layer_name, (rows, columns) in measured.items():
        window = graphs.window_of(modules[layer_name.partition("#")[0]])
        if window:
            row = layer_field(Layer(layer_name, *window), None, (len(rows), len(columns)), side, "measured only")
            fields.append(replace(row, field=(_widest(rows), _widest(columns))))
    return fields, [None] * len(fields)


def _widest(seen: Sequence[int]) -> int:
    """Return the widest extent of these sets of pixels."""
    return max(bits.bit_length() - ((bits & -bits).bit_length() - 1) if bits else 0 for bits in seen)


@contextmanager
def _taking(name: str, side: int) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise SettingsError(f"--model {name}: does not take images of {side}x{side} ({reason})") from None

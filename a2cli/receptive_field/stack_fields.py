"""What each layer's units see, step by step, for a stack of layers in words or the ConvNet; without torch."""

from collections.abc import Sequence
from dataclasses import replace

from a2cli.errors import SettingsError
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.receptive_field.fields import Layer, View, size_formula, views
from a2cli.receptive_field.report import (
    Measured,
    Views,
    field_of,
    field_results,
    layer_field,
    map_cone,
    status_of,
)
from a2cli.receptive_field.results import FieldResults, MapCone, UnitField
from a2cli.settings.training import NetworkSettings

MOST_DRAWN = 1024
PROVING = "sending NaN through the network"


def stack_fields(
    layers: Sequence[Layer],
    image_size: int | None,
    unit: str | None = None,
    pixel: str | None = None,
    network: NetworkSettings | None = None,
    *,
    prove: bool = False,
    reporter: ProgressReporter | None = None,
) -> FieldResults:
    """Return what the units of every layer see; `unit` is LAYER,ROW,COLUMN, `pixel` is ROW,COLUMN.

    `network` is the ConvNet that the layers are of, if they are; `prove` sends NaN through it, or through torch's own
    layers. Raises SettingsError for a map that shrinks to nothing, and a unit or pixel that is not there.
    """
    derived = views(layers, image_size)
    measured = _measured(layers, image_size, network, reporter or NullReporter()) if prove else None
    global_from = 1 if network and network.norm == "group" else len(layers)  # group norm looks at whole maps
    last_sees = {"image": field_of(derived[-1])}
    for i in range(len(layers) - 1, 0, -1):
        last_sees[layers[i - 1].name] = field_of(views(layers[i:], None)[-1])
    fields, seen = [], []
    for i, (layer, view) in enumerate(zip(layers, derived, strict=True)):
        upto = [until.rows for until in layers[: i + 1]], [until.columns for until in layers[: i + 1]]
        formula = size_formula(view[0], upto[0]), size_formula(view[1], upto[1])
        size = (len(view[0].seen), len(view[1].seen)) if image_size else None
        seen.append(view if i < global_from else None)
        status = status_of(seen[-1], i >= global_from, measured[layer.name] if measured else None)
        fields.append(layer_field(layer, seen[-1], size, image_size, status, formula))
    found = field_results(fields, seen, last_sees, image_size, unit, pixel)
    cone = _cone(layers, image_size, found.unit)
    return replace(found, derivation=derivation(layers, image_size), cone=cone)


def _measured(
    layers: Sequence[Layer], image_size: int | None, network: NetworkSettings | None, reporter: ProgressReporter
) -> Measured:
    if image_size is None:
        raise SettingsError("--prove: needs --image-size")
    reporter.phase("loading PyTorch", "starting", brief=True)
    from a2cli.models.convnet import build_convnet
    from a2cli.random_streams import Streams
    from a2cli.receptive_field import nan_proof

    model = nan_proof.built(layers)
    if network:
        model = build_convnet(network, image_size, 2, (0.5,) * 3, (0.5,) * 3, Streams(0))
    reporter.phase(PROVING, "measuring", brief=True)
    return nan_proof.trusted(
        model, nan_proof.of_sequence(model, [layer.name for layer in layers]), image_size, reporter
    )


def _cone(layers: Sequence[Layer], image_size: int | None, tip: UnitField | None) -> list[MapCone]:
    """Return the maps from the image to the one unit `tip`, or the last map's middle one.

    Without an image's size those of a small image; none where that would be more than can be shown.
    """
    if tip:
        layers = layers[: [layer.name for layer in layers].index(tip.layer) + 1]
    last = views(layers, None)[-1]
    size = image_size or max(axis.field + 2 * axis.jump for axis in last)
    if size > MOST_DRAWN:
        return []
    image = View.of_image(size), View.of_image(size)
    maps = [image, *views(layers, size)]
    rows, columns = (len(axis.seen) // 2 for axis in maps[-1])
    unit = tip.unit if tip else (rows, columns)
    return [
        map_cone(name, view, _through(view, layers[i:]), unit)
        for i, (name, view) in enumerate(zip(("image", *(layer.name for layer in layers)), maps, strict=True))
    ]


def _through(below: Views, layers: Sequence[Layer]) -> Views:
    """Return what the units after these layers see of the map below them."""
    rows, columns = (View.of_image(len(axis.seen)) for axis in below)
    for layer in layers:
        rows, columns = rows.through(layer.rows), columns.through(layer.columns)
    return rows, columns


def derivation(layers: Sequence[Layer], image_size: int | None) -> list[str]:
    """Return the derivation line by line: the general formulas, then each layer's, filled in from the one before."""
    lines = [
        "Kernel k, stride s, padding p, dilation d, after n units of field r, jump j:",
        "  size   floor((n + 2p - d(k-1) - 1)/s) + 1",
        "  field  r + d(k-1)j",
        "  jump   js",
    ]
    alike = all(layer.rows == layer.columns for layer in layers)
    start = str(image_size or "A")
    lines.append(f"From the image, {start} pixels a side, each with field 1 and jump 1:")
    for title, windows in (
        ("", [layer.rows for layer in layers]),
        (", columns", [layer.columns for layer in layers]),
    )[: 1 if alike else 2]:
        view, size = View.of_image(image_size), start
        for i, (layer, window) in enumerate(zip(layers, windows, strict=True)):
            after = view.through(window)
            made = str(len(after.seen)) if image_size else size_formula(after, windows[: i + 1])
            rounding, taps = "ceil" if window.ceil else "floor", f"{window.dilation}*{window.kernel - 1}"
            lines += [
                f"{layer.name} = {layer.word}{title if alike or title else ', rows'}",
                f"  size   {rounding}(({size} + 2*{window.padding} - {taps} - 1)/{window.stride}) + 1 = {made}",
                f"  field  {view.field} + {taps}*{view.jump} = {after.field}",
                f"  jump   {view.jump}*{window.stride} = {after.jump}",
            ]
            view, size = after, made
    return lines

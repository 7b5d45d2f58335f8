"""Units of a network: which are used most, where images excite them, and the picture that does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from a2cli.errors import SettingsError, nearest
from a2cli.formats import counted
from a2cli.models.backbones import truncate
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.receptive_field import graphs
from a2cli.receptive_field.fields import View
from a2cli.visualize_weights.activation_maximization import ascend, strongest, to_classes, use
from a2cli.visualize_weights.inspected import InspectedNetwork, evenly_spaced
from a2cli.visualize_weights.results import Patch, UnitView
from a2cli.visualize_weights.settings import ViewSettings

TOP = 9  # patches of a unit
MOST_USE_IMAGES = 512
GREY = 128


@dataclass(frozen=True)
class Excited:
    """One layer's units with what excites them; `pictures` (U, 3, S, S) are the ascent's, if there was one.

    Patches (U, TOP, S, S, 3) uint8 are grey where a unit sees beyond the image.
    """

    layer: str
    views: list[UnitView]
    patches: Tensor
    pictures: Tensor | None


def check_units(viewed: InspectedNetwork, layer: str, units: Sequence[int]) -> None:
    """Raise SettingsError for a unit that a layer does not have."""
    count = viewed.layers[layer].units
    if too_large := [unit for unit in units if unit >= count]:
        raise SettingsError(f"--units: {layer} of {viewed.name} has units 0 to {count - 1}, got {too_large[0]}")


def class_number(viewed: InspectedNetwork, name: str) -> int:
    """Return a class's number; raises SettingsError for one that the network does not know."""
    if name not in viewed.class_names:
        count = len(viewed.class_names)
        hint = nearest(name, viewed.class_names) or f" ({', '.join(viewed.class_names[:12])}{', ...' * (count > 12)})"
        raise SettingsError(
            f"--class: {name!r} is not among the {counted(count, 'class', 'classes')} of {viewed.name}{hint}"
        )
    return viewed.class_names.index(name)


def most_used(
    viewed: InspectedNetwork, layer: str, settings: ViewSettings, reporter: ProgressReporter
) -> tuple[list[int], list[float | None]]:
    """Return the units to show, and how much each of them is used, where there is an answer to use it.

    Used by one class, on its images, or by each image's own class. Raises SettingsError for a class without images.
    """
    count = viewed.layers[layer].units
    uses: list[float | None] = [None] * count
    order = list(range(count))
    if viewed.class_names:
        labels = viewed.images.labels
        target = None if settings.class_ is None else class_number(viewed, settings.class_)
        rows = torch.arange(len(labels)) if target is None else (labels == target).nonzero().flatten()
        if not len(rows):
            raise SettingsError(f"--class: no image of {settings.class_!r} is among those that {viewed.name} is shown")
        rows = rows[:: -(-len(rows) // MOST_USE_IMAGES)]
        used = use(viewed.graph, viewed.layers[layer].answer, viewed.batches(reporter, rows.tolist()), target)
        uses, order = used.tolist(), used.argsort(descending=True, stable=True).tolist()
    units = list(settings.units) or order[: settings.count]
    return units, [uses[unit] for unit in units]


def pixel_units(viewed: InspectedNetwork, settings: ViewSettings, reporter: ProgressReporter) -> list[UnitView]:
    """Return the units of a first linear layer, with what they say for each class."""
    reporter.phase(f"finding what the units of {viewed.name} say", "looking into weights", brief=True)
    units, uses = most_used(viewed, viewed.first, settings, reporter)
    rows = evenly_spaced(len(viewed.images), MOST_USE_IMAGES)
    answer = viewed.layers[viewed.first].answer
    slopes = to_classes(viewed.graph, answer, viewed.batches(reporter, rows), len(viewed.class_names))
    return [
        UnitView(viewed.first, unit, used, slopes[unit].tolist(), [], None)
        for unit, used in zip(units, uses, strict=True)
    ]


def excited(
    viewed: InspectedNetwork, layers: Sequence[str], settings: ViewSettings, reporter: ProgressReporter
) -> list[Excited]:
    """Return each layer's units with the patches of images that excite them most, and by how much."""
    reporter.phase(f"finding what excites {', '.join(layers)} of {viewed.name}", "looking into weights")
    chosen = {name: most_used(viewed, name, settings, reporter) for name in layers}
    nodes = {viewed.layers[name].answer: units for name, (units, _) in chosen.items()}
    tops = strongest(viewed.graph, nodes, viewed.batches(reporter), TOP)
    fields, layers_excited = _fields_of(viewed, layers), []
    for name, (units, uses) in chosen.items():
        layer, views, patches = viewed.layers[name], [], []
        for unit, used, places in zip(units, uses, tops[layer.answer], strict=True):
            active = [place for place in places if place[0] > 0 or not layer.rectified]
            placed = [_patch(viewed, fields[name], *place) for place in active]
            views.append(UnitView(name, unit, used, [], placed, None))
            patches.append([_cut(viewed, image, patch) for (_, image, _, _), patch in zip(active, placed, strict=True)])
        layers_excited.append(Excited(name, views, _stacked(patches), None))
    return layers_excited


def ascended(viewed: InspectedNetwork, layer: Excited, settings: ViewSettings, reporter: ProgressReporter) -> Excited:
    """Return a layer's units with the picture that an ascent found for each, of the size that a unit sees."""
    reporter.phase(f"ascending to {layer.layer} of {viewed.name}", "looking into weights")
    field = _fields_of(viewed, [layer.layer])[layer.layer]
    side = min(viewed.image_size, max(view.field for view in field)) if field else viewed.image_size
    units = [view.unit for view in layer.views]
    node = viewed.layers[layer.layer].node  # before the activation, whose gradient may be zero
    pictures, answers = ascend(viewed.graph, node, units, side, settings.steps, Streams(settings.seed), reporter)
    views = [replace(view, ascent=answer) for view, answer in zip(layer.views, answers.tolist(), strict=True)]
    return replace(layer, views=views, pictures=pictures.cpu())


Field = tuple[View, View] | None  # rows and columns; None for a unit that sees all of the image


def _fields_of(viewed: InspectedNetwork, layers: Sequence[str]) -> dict[str, Field]:
    nodes = {name: viewed.layers[name].node for name in layers}
    derived = graphs.derive(truncate(viewed.graph, list(nodes.values())), viewed.image_size).layers
    fields: dict[str, Field] = {}
    for name, node in nodes.items():
        known = derived[node].known if node in derived else None
        fields[name] = (known.rows, known.columns) if isinstance(known, graphs.Spatial) else None
    return fields


def _patch(viewed: InspectedNetwork, field: Field, value: float, image: int, row: int, column: int) -> Patch:
    whole = 0, viewed.image_size - 1
    rows, columns = (field[0].box(row), field[1].box(column)) if field else (whole, whole)
    return Patch(viewed.names[int(viewed.images.rows[image])], viewed.labels[image], value, rows, columns)


def _cut(viewed: InspectedNetwork, image: int, patch: Patch) -> Tensor:
    """Return the part of an image that a unit sees, (S, S, 3) uint8, grey where that is beyond the image."""
    whole = viewed.images.images[viewed.images.rows[image]]
    rows, columns = (torch.arange(first, last + 1) for first, last in (patch.rows, patch.columns))
    inside = [places.clamp(0, len(whole) - 1) for places in (rows, columns)]
    beyond = (rows != inside[0])[:, None] | (columns != inside[1])
    return whole[inside[0][:, None], inside[1]].masked_fill(beyond[:, :, None], GREY)


def _stacked(patches: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return all patches (U, TOP, S, S, 3), white where a unit has fewer."""
    shape = next((patch.shape for row in patches for patch in row), torch.Size((1, 1, 3)))
    blank = torch.full(shape, 255, dtype=torch.uint8)
    return torch.stack([torch.stack([*row, *[blank] * (TOP - len(row))]) for row in patches])

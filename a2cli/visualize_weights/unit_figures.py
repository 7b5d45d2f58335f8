"""Units of a network: which are used most, where images excite them, and the picture that does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from a2cli.errors import SettingsError, nearest
from a2cli.formats import counted
from a2cli.models.backbones import truncate
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.receptive_field import graphs
from a2cli.receptive_field.fields import View
from a2cli.runtime import Streams
from a2cli.visualize_weights.activation_maximization import ascend, strongest, to_classes, use
from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.results import Patch, UnitView
from a2cli.visualize_weights.settings import ViewSettings

TOP = 9  # patches of a unit
MOST_USE_IMAGES = 512


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
    viewed: InspectedNetwork, layer: str, settings: ViewSettings, device: torch.device, reporter: ProgressReporter
) -> tuple[list[int], Tensor | None]:
    """Return the units to show, and how much each unit of the layer is used (U,), where there is an answer to use it.

    Used by one class, on its images, or by each image's own class. Raises SettingsError for a class without images.
    """
    used = None
    if viewed.class_names:
        labels = viewed.images.labels
        target = None if settings.class_ is None else class_number(viewed, settings.class_)
        rows = torch.arange(len(labels)) if target is None else (labels == target).nonzero().flatten()
        if not len(rows):
            raise SettingsError(f"--class: no image of {settings.class_!r} is among those that {viewed.name} is shown")
        rows = rows[:: -(-len(rows) // MOST_USE_IMAGES)]
        batches = viewed.batches(device, rows.tolist(), reporter)
        used = use(viewed.graph, viewed.layers[layer].answer, batches, target)
    if settings.units:
        return list(settings.units), used
    count = min(settings.count, viewed.layers[layer].units)
    if used is None:
        return list(range(count)), None
    return used.argsort(descending=True, stable=True)[:count].tolist(), used


def pixel_units(
    viewed: InspectedNetwork, settings: ViewSettings, device: torch.device, reporter: ProgressReporter | None = None
) -> list[UnitView]:
    """Return the units of a first linear layer, with what they say for each class."""
    reporter = reporter or NullReporter()
    reporter.phase(f"finding what the units of {viewed.name} say", "looking into weights", brief=True)
    units, used = most_used(viewed, viewed.first, settings, device, reporter)
    assert used is not None, "an MLP answers"
    count = len(viewed.images)
    rows = [i * count // min(count, MOST_USE_IMAGES) for i in range(min(count, MOST_USE_IMAGES))]
    answer = viewed.layers[viewed.first].answer
    speaks = to_classes(viewed.graph, answer, viewed.batches(device, rows, reporter), len(viewed.class_names))
    return [UnitView(viewed.first, unit, float(used[unit]), speaks[unit].tolist(), [], None) for unit in units]


def excited(
    viewed: InspectedNetwork,
    layers: Sequence[str],
    settings: ViewSettings,
    device: torch.device,
    reporter: ProgressReporter,
) -> list[Excited]:
    """Return each layer's units with the patches of images that excite them most, and by how much."""
    reporter.phase(f"finding what excites {', '.join(layers)} of {viewed.name}", "looking into weights")
    chosen = {name: most_used(viewed, name, settings, device, reporter) for name in layers}
    nodes = {viewed.layers[name].answer: chosen[name][0] for name in layers}
    tops = strongest(viewed.graph, nodes, viewed.batches(device, reporter=reporter), TOP)
    sees = _views(viewed, layers)
    found = []
    for name in layers:
        units, used = chosen[name]
        top, views, patches = tops[viewed.layers[name].answer], [], []
        for unit in units:
            strong = [one for one in top.of(unit) if one[0] > 0 or not viewed.layers[name].rectified]
            placed = [_patch(viewed, sees[name], *one) for one in strong]
            views.append(UnitView(name, unit, None if used is None else float(used[unit]), [], placed, None))
            patches.append([_cut(viewed, image, one) for (_, image, _, _), one in zip(strong, placed, strict=True)])
        found.append(Excited(name, views, _stacked(patches), None))
    return found


def ascended(viewed: InspectedNetwork, one: Excited, settings: ViewSettings, reporter: ProgressReporter) -> Excited:
    """Return a layer's units with the picture that an ascent found for each, of the size that a unit sees."""
    reporter.phase(f"ascending to {one.layer} of {viewed.name}", "looking into weights")
    sees = _views(viewed, [one.layer])[one.layer]
    side = viewed.image_size if sees is None else min(viewed.image_size, max(view.field for view in sees))
    units = [view.unit for view in one.views]
    streams = Streams(settings.seed)
    node = viewed.layers[one.layer].node  # before the activation, whose gradient may be zero
    pictures, answers = ascend(viewed.graph, node, units, side, settings.steps, streams, reporter)
    views = [replace(view, ascent=float(value)) for view, value in zip(one.views, answers, strict=True)]
    return replace(one, views=views, pictures=pictures.cpu())


Sees = tuple[View, View] | None  # rows and columns; None for a unit that sees all of the image


def _views(viewed: InspectedNetwork, layers: Sequence[str]) -> dict[str, Sees]:
    nodes = [viewed.layers[name].node for name in layers]
    derived = graphs.derive(truncate(viewed.graph, nodes), viewed.image_size).layers
    found: dict[str, Sees] = {}
    for name, node in zip(layers, nodes, strict=True):
        known = derived[node].known if node in derived else None
        found[name] = (known.rows, known.columns) if isinstance(known, graphs.Spatial) else None
    return found


def _patch(viewed: InspectedNetwork, sees: Sees, value: float, image: int, row: int, column: int) -> Patch:
    last = viewed.image_size - 1
    rows, columns = ((0, last), (0, last)) if sees is None else (sees[0].box(row), sees[1].box(column))
    name = viewed.names[int(viewed.images.rows[image])]
    return Patch(name, viewed.labels[image], value, rows, columns)


def _cut(viewed: InspectedNetwork, image: int, patch: Patch) -> Tensor:
    """Return the part of an image that a unit sees, (S, S, 3) uint8, grey where that is beyond the image."""
    (top, bottom), (left, right) = patch.rows, patch.columns
    whole = viewed.images.images[viewed.images.rows[image]]
    found = torch.full((bottom - top + 1, right - left + 1, 3), 128, dtype=torch.uint8)
    inside = slice(max(top, 0), bottom + 1), slice(max(left, 0), right + 1)
    part = whole[inside]
    first = max(-top, 0), max(-left, 0)
    found[first[0] : first[0] + part.shape[0], first[1] : first[1] + part.shape[1]] = part
    return found


def _stacked(patches: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return all patches (U, TOP, S, S, 3), white where a unit has fewer."""
    shape = next((one.shape for row in patches for one in row), torch.Size((1, 1, 3)))
    blank = torch.full(shape, 255, dtype=torch.uint8)
    return torch.stack([torch.stack([*row, *[blank] * (TOP - len(row))]) for row in patches])

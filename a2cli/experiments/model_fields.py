"""`a2 receptive-field --model`: what the units of any of torchvision's image classifiers see, along its graph."""

import warnings

import torch
from torch import fx, nn

from a2cli.analysis import graphs, probing
from a2cli.errors import SettingsError, nearest
from a2cli.experiments.fields import (
    FieldResults,
    layer_field,
    pixel_units,
    status_of,
    unit_field,
    verdict,
)

USUAL_SIZE = {"inception_v3": 299}


def model_fields(
    name: str, image_size: int | None, unit: str | None = None, pixel: str | None = None, *, prove: bool = False
) -> FieldResults:
    """Return what the units of every convolution and pooling of a network see, on images of 224 pixels unless said.

    Weights play no part, so none are loaded. Raises SettingsError for a name that torchvision does not have, an image
    that the network does not take, and a network that torch.fx cannot trace.
    """
    side = image_size or USUAL_SIZE.get(name, 224)
    derivation = _derived(name, _built(name), side)
    measured = probing.measured(lambda images: graphs.maps_of(derivation, images), side) if prove else None
    fields, seen = [], []
    for layer_name, found in derivation.layers.items():
        spatial = found.known if isinstance(found.known, graphs.Spatial) else None
        view = (spatial.rows, spatial.columns) if spatial else None
        status = status_of(view, found.known == graphs.GLOBAL, measured[layer_name] if measured else None, side)
        misaligned = spatial is not None and spatial.misaligned
        fields.append(layer_field(found.layer, view, found.size, side, status, misaligned=misaligned))
        seen.append(view)
    last = fields[-1].field
    sees = {"image": last} if last else {}
    return FieldResults(
        image_size=side,
        layers=fields,
        last_sees=sees,
        unit=unit_field(unit, fields, seen) if unit else None,
        pixel=pixel_units(pixel, fields, seen, side) if pixel else [],
        derivation=[],
        cone=[],
        verdict=verdict(fields, sees, side),
    )


def _built(name: str) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise SettingsError(f"--model: torchvision has no classifier {name!r}{nearest(name, known)}")
    without = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}  # drawing theirs takes a minute
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = models.get_model(name, weights=None, **without)
    return model.eval()


def _derived(name: str, model: nn.Module, side: int) -> graphs.Derivation:
    try:
        with warnings.catch_warnings(action="ignore"):
            graph = fx.symbolic_trace(model)
    except Exception as error:  # whatever a network's code stumbles over when it is run on stand-ins
        raise SettingsError(f"--model {name}: torch.fx cannot trace it ({_line(error)})") from None
    try:
        return graphs.derive(graph, side)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise SettingsError(f"--model {name}: does not take images of {side}x{side} ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]

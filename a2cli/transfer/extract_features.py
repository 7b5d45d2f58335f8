"""`a2 extract-features`: the activations of some layers of a network, for all images of a data set, in one file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from a2cli.data.decode import ValueRange
from a2cli.data.duplicates import identical, identical_in_words
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.errors import DataError, SettingsError
from a2cli.formats import counted
from a2cli.machine import cores
from a2cli.models.backbones import parameters_of, truncate
from a2cli.models.fast_pooling import has_bf16
from a2cli.models.freezing import usual_layer
from a2cli.models.pretrained import Preprocess
from a2cli.models.zoo import TrunkCard
from a2cli.progress import ProgressReporter
from a2cli.reports.report import Report, new_report
from a2cli.reports.transfer_results import FeatureResults, LayerFeatures
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.transfer import AUTO_LAYER, ExtractFeaturesSettings, FeatureSettings
from a2cli.storage import check_absent
from a2cli.training.images import data_summary
from a2cli.transfer.backbone import NOT_PRETRAINED, Backbone, find_backbone, warn_grayscale
from a2cli.transfer.feature_file import About, Source, chunks_of, write_features
from a2cli.transfer.features import ActivationCache

PIXELS = 28  # side of the baseline, as in the coursework's section 2.1
RANDOM = "random-"
NO_BF16 = "this processor computes bf16 in software, many times slower than fp32"
Found = dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]]


def extract_features(
    settings: ExtractFeaturesSettings, out: str, reporter: ProgressReporter, *, overwrite: bool = False
) -> Report:
    """Write a features file, in the place of another only with `overwrite`, and return the report on it.

    Raises SettingsError for a layer or backbone that does not exist, DataError for images, weights or a file that
    cannot be used.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if Path(out).suffix != ".safetensors":
        raise DataError(f"--out {out}: expected a file that ends in .safetensors")
    check_absent("--out", out, overwrite=overwrite)
    chosen, dataset = settings.features, settings.dataset
    device = set_up(chosen.device, chosen.threads)
    backbone = find_backbone(settings.backbone, dataset, reporter)
    if AUTO_LAYER in chosen.layer:
        usual = usual_layer(backbone.graph, backbone.flag)
        chosen = replace(
            chosen, layer=tuple(dict.fromkeys(usual if one == AUTO_LAYER else one for one in chosen.layer))
        )
        settings = replace(settings, features=chosen)
    trunks = [
        backbone.trunk(layer, before_relu=chosen.before_relu, grid=chosen.grid, grid_pool=chosen.grid_pool)
        for layer in chosen.layer
    ]
    if chosen.before_relu:
        _check_before_relu(backbone, chosen, trunks)
    cards = dict(zip(chosen.layer, backbone.filled(trunks, reporter, partial=settings.backbone.partial), strict=True))
    first = next(iter(cards.values()))
    value_range = backbone.value_range
    packed = _packed(dataset.data, first.image_size, first.fit, dataset.skip_damaged, reporter, value_range)
    notes = [] if first.pretrained else [NOT_PRETRAINED]
    notes += [*backbone.notes, *(f"random weights: {name}" for name in first.random)]
    notes += packed.warnings
    for note in packed.warnings:
        reporter.warn(note)
    notes += warn_grayscale(packed, dataset.data, reporter)
    if said := identical_in_words(packed.groups, packed.names):
        reporter.warn(said)
        notes.append(said)
    if chosen.precision == "bf16" and device.type == "cpu" and not has_bf16():
        reporter.warn(NO_BF16)
        notes.append(NO_BF16)
    found, computed = _computed(backbone, cards, settings, packed, device, reporter)
    layers = {name: _as_source(*of) for name, of in found.items()}
    if chosen.baselines:
        untrained = {f"{RANDOM}{name}": replace(card, weights="none", sha256="") for name, card in cards.items()}
        fresh = replace(backbone, graph=first.graph())  # with the weights that a training from nothing begins with
        more, again = _computed(fresh, untrained, settings, packed, device, reporter)
        layers |= {name: _as_source(*of) for name, of in more.items()}
        computed = max(computed, again)
        pixels = _packed(dataset.data, PIXELS, "squash", dataset.skip_damaged, reporter, value_range).images
        layers["pixels"] = (len(pixels), 3, PIXELS, PIXELS), np.dtype(np.float32), _in_unit_range(pixels)
    about = About(
        layers_apart=True,
        source=dataset.data,
        class_names=packed.class_names,
        names=tuple(packed.names),
        splits=tuple(packed.splits),
        skipped=tuple(packed.skipped),
        fingerprint=packed.fingerprint,
        trunks=cards,
        random=tuple(f"{RANDOM}{name}" for name in cards) if chosen.baselines else (),
        precision=chosen.precision,
        batch_size=chosen.batch_size,
        identical=tuple(map(tuple, identical(packed.groups))),
        near=tuple(packed.near),
        value_range=packed.value_range,
    )
    reporter.phase(f"writing {out}", "writing")
    state = backbone.graph.state_dict()
    names = parameters_of(truncate(backbone.graph, [card.node for card in cards.values()]))
    try:
        write_features(out, about, layers, packed.labels, {name: state[name] for name in names}, reporter)
    except OSError as error:
        raise DataError(f"--out {out}: cannot be written ({error.strerror})") from None
    return new_report(
        "extract-features",
        flat(settings),
        environment(device),
        created=created,
        data=data_summary(packed, dataset.data, len(packed.labels), 0, 0),
        results=_results(out, cards, layers, packed.groups, computed),
        warnings=notes,
        artifacts=[out],
        seconds=reporter.clock.seconds(),
    )


def _check_before_relu(backbone: Backbone, chosen: FeatureSettings, trunks: Sequence[TrunkCard]) -> None:
    """Raise SettingsError where no layer has an activation to be taken before."""
    after = [
        backbone.trunk(layer, before_relu=False, grid=chosen.grid, grid_pool=chosen.grid_pool) for layer in chosen.layer
    ]
    if after == list(trunks):
        named = ", ".join(chosen.layer)
        raise SettingsError(
            f"--before-relu: acts only on layers by number, as conv4, with an activation behind them; got {named}"
        )


def _packed(
    data: str, size: int, fit: str, skip_damaged: bool, reporter: ProgressReporter, value_range: ValueRange | None
) -> Packed:
    return pack(find_source(data, reporter), size, fit, skip_damaged, cores(), reporter, value_range)


def _computed(
    backbone: Backbone,
    cards: dict[str, TrunkCard],
    settings: ExtractFeaturesSettings,
    packed: Packed,
    device: torch.device,
    reporter: ProgressReporter,
) -> tuple[Found, int]:
    chosen, card = settings.features, next(iter(cards.values()))
    preprocess = Preprocess(card.mean, card.std) if card.network is None else nn.Identity()
    arithmetic = (chosen.precision, device.type, torch.get_num_threads(), chosen.batch_size)
    kept = ActivationCache(backbone.graph, preprocess, cards, arithmetic)
    reporter.phase(f"{', '.join(cards)} of {card.backbone}", "computing features")
    return kept.compute(
        packed.images, np.arange(len(packed.labels)), chosen.batch_size, chosen.precision, device, reporter
    )


def _as_source(values: NDArray[np.float32], places: NDArray[np.int64]) -> Source:
    return (len(places), *values.shape[1:]), np.dtype(np.float32), chunks_of(values, places)


def _in_unit_range(images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    for chunk in chunks_of(images, np.arange(len(images))):
        yield chunk.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def _results(
    out: str, cards: dict[str, TrunkCard], layers: dict[str, Source], groups: NDArray[np.int64], computed: int
) -> FeatureResults:
    first, images, distinct = next(iter(cards.values())), len(groups), len(np.unique(groups))
    repeated = f", {images - distinct} identical to another" if distinct < images else ""
    found = [
        LayerFeatures(
            name,
            cards[key].node if (key := name.removeprefix(RANDOM)) in cards else "",
            list(shape[1:]),
            4 * int(np.prod(shape)) / 1e6,
        )
        for name, (shape, _, _) in layers.items()
    ]
    stamp = "" if first.pretrained else f"{NOT_PRETRAINED}. "
    return FeatureResults(
        file=out,
        images=images,
        layers=found,
        backbone=first.backbone,
        weights=first.weights,
        sha256=first.sha256,
        pretrained=first.pretrained,
        random=list(first.random),
        preprocessing=f"{first.image_size}x{first.image_size}, {first.fit}, mean {first.mean}, deviation {first.std}",
        computed=computed,
        kept=distinct - computed,
        verdict=f"{stamp}{counted(images, 'image')}, {computed} computed now, {distinct - computed} kept from before"
        f"{repeated}.",
    )

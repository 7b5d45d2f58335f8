"""`a2 extract-features`: the activations of some layers of a network, for all images of a data set, in one file."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import fx, nn

from a2cli.data.duplicates import identical, identical_in_words
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.errors import DataError, SettingsError
from a2cli.models.backbones import parameters_of, truncate
from a2cli.models.cards import NOT_PRETRAINED, TrunkCard
from a2cli.models.fast_pooling import has_bf16
from a2cli.models.freezing import usual_layer
from a2cli.models.pretrained import Preprocess
from a2cli.models.zoo import untrained_backbone
from a2cli.progress import ProgressReporter
from a2cli.reports.report import Report, new_report
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.transfer import AUTO_LAYER, ExtractFeaturesSettings, FeatureSettings
from a2cli.storage import check_absent
from a2cli.training.data_notes import data_summary
from a2cli.transfer.activations import compute_activations
from a2cli.transfer.backbone import find_backbone, warn_grayscale
from a2cli.transfer.feature_file import PIXELS, RANDOM, About, Source, chunks_of, write_features
from a2cli.transfer.feature_report import feature_results

PIXELS_SIDE = 28  # of the baseline, as in the coursework's section 2.1
NO_BF16 = "this processor computes bf16 in software, many times slower than fp32"


def extract_features(
    settings: ExtractFeaturesSettings, out: str, reporter: ProgressReporter, *, overwrite: bool = False
) -> Report:
    """Write a features file, in the place of another only with `overwrite`, and return the report on it.

    Raises SettingsError for a layer or backbone that does not exist, DataError for images, weights or a file that
    cannot be used.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if Path(out).suffix != ".safetensors":
        raise SettingsError(f"--out {out}: expected a file that ends in .safetensors")
    check_absent("--out", out, overwrite=overwrite)
    chosen, dataset = settings.features, settings.dataset
    device = set_up(chosen.device, chosen.threads)
    backbone = find_backbone(settings.backbone, dataset, reporter)
    if AUTO_LAYER in chosen.layer:
        usual = usual_layer(backbone.graph, backbone.flag)
        names = dict.fromkeys(usual if name == AUTO_LAYER else name for name in chosen.layer)
        chosen = replace(chosen, layer=tuple(names))
        settings = replace(settings, features=chosen)

    def trunks(before_relu: bool) -> list[TrunkCard]:
        return [
            backbone.trunk(layer, before_relu=before_relu, grid=chosen.grid, grid_pool=chosen.grid_pool)
            for layer in chosen.layer
        ]

    if chosen.before_relu and trunks(True) == trunks(False):
        raise SettingsError(
            "--before-relu: acts only on layers by number, as conv4, with an activation behind them; got "
            f"{', '.join(chosen.layer)}"
        )
    trained = backbone.filled(trunks(chosen.before_relu), reporter, partial=settings.backbone.partial)
    first, cards = trained[0], dict(zip(chosen.layer, trained, strict=True))

    def packed_as(size: int, fit: str) -> Packed:
        source = find_source(dataset.data, reporter)
        return pack(source, size, fit, dataset.skip_damaged, reporter, backbone.value_range)

    packed = packed_as(first.image_size, first.fit)
    notes = [] if first.pretrained else [NOT_PRETRAINED]
    notes += [*backbone.notes, *(f"random weights: {name}" for name in first.random)]
    reporter.warn_all(packed.warnings)
    notes += [*packed.warnings, *warn_grayscale(packed, dataset.data, reporter)]
    is_slow = chosen.precision == "bf16" and device.type == "cpu" and not has_bf16()
    for note in filter(None, (identical_in_words(packed.groups, packed.names), NO_BF16 if is_slow else "")):
        reporter.warn(note)
        notes.append(note)
    layers, computed = _activations(backbone.graph, cards, chosen, packed, device, reporter)
    if chosen.baselines:
        untrained = {f"{RANDOM}{name}": replace(card, weights="none", sha256="") for name, card in cards.items()}
        # The graph has the weights that a training from nothing begins with.
        baselines, computed_again = _activations(untrained_backbone(first), untrained, chosen, packed, device, reporter)
        layers |= baselines
        computed = max(computed, computed_again)  # of the same images
        pixels = packed_as(PIXELS_SIDE, "squash").images
        in_unit_range = (chunk.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
                         for chunk in chunks_of(pixels, range(len(pixels))))  # fmt: skip
        layers[PIXELS] = (len(pixels), 3, PIXELS_SIDE, PIXELS_SIDE), np.dtype(np.float32), in_unit_range
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
        learned_from=backbone.learned_from(packed),
        weights_sha256=backbone.weights_sha256,
    )
    reporter.phase(f"writing {out}", "writing")
    state = backbone.graph.state_dict()
    used = parameters_of(truncate(backbone.graph, [card.node for card in trained]))
    try:
        write_features(out, about, layers, packed.labels, {name: state[name].cpu().numpy() for name in used}, reporter)
    except OSError as error:
        raise DataError(f"--out {out}: cannot be written ({error.strerror})") from None
    shapes = {name: shape for name, (shape, _, _) in layers.items()}
    return new_report(
        "extract-features",
        flat(settings),
        environment(device),
        created=created,
        data=data_summary(packed, dataset.data, len(packed.labels), 0, 0),
        results=feature_results(out, about, shapes, packed.groups, computed),
        warnings=notes,
        artifacts=[out],
        seconds=reporter.clock.seconds(),
    )


def _activations(
    graph: fx.GraphModule,
    cards: Mapping[str, TrunkCard],
    chosen: FeatureSettings,
    packed: Packed,
    device: torch.device,
    reporter: ProgressReporter,
) -> tuple[dict[str, Source], int]:
    """Return what a features file takes of these layers, and how many images went through the network now."""
    card = next(iter(cards.values()))
    preprocess = Preprocess(card.mean, card.std) if card.network is None else nn.Identity()
    rows, title = np.arange(len(packed.labels)), f"{', '.join(cards)} of {card.backbone}"
    activations, computed = compute_activations(
        graph, preprocess, cards, packed.images, rows, chosen, device, reporter, title
    )
    return {
        name: ((len(places), *values.shape[1:]), values.dtype, chunks_of(values, places))
        for name, (values, places) in activations.items()
    }, computed

"""The report on a features file: of one that was just written, or read again."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a2cli.formats import counted
from a2cli.models.cards import NOT_PRETRAINED
from a2cli.reports.report import Report, new_report
from a2cli.reports.transfer_results import FeatureResults, LayerFeatures
from a2cli.training.data_notes import data_summary
from a2cli.transfer.feature_file import RANDOM, About, read_features


def report_of_features(path: Path) -> Report:
    """Return what a features file says of itself; raises DataError where it is none, or damaged.

    How it was made is not in the file: neither all settings, nor the machine.
    """
    file = read_features(str(path))
    about, packed = file.about, file.packed(next(iter(file.layers)))
    shapes = {name: tuple(values.shape) for name, values in file.layers.items()}
    return new_report(
        "extract-features",
        {},
        {},
        created=datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        data=replace(data_summary(packed, about.source, len(about.names), 0, 0), fingerprint=about.fingerprint),
        results=feature_results(str(path), about, shapes, packed.groups, None),
        warnings=["with which settings and on which machine it was made is not in the file"],
    )


def feature_results(
    out: str,
    about: About,
    shapes: Mapping[str, tuple[int, ...]],
    groups: NDArray[np.int64],
    computed: int | None,
) -> FeatureResults:
    """Return what is said of a features file with layers of these shapes, (N, ...).

    `groups` are the images' that are identical, `computed` how many went through the network now, if any did.
    """
    cards = about.trunks
    first, images, distinct = next(iter(cards.values())), len(groups), len(np.unique(groups))
    nodes = {name: card.node for name, card in cards.items()}
    repeated = f", {images - distinct} identical to another" if distinct < images else ""
    made = "" if computed is None else f", {computed} computed now, {distinct - computed} kept from before"
    stamp = "" if first.pretrained else f"{NOT_PRETRAINED}. "
    return FeatureResults(
        file=out,
        images=images,
        layers=[
            LayerFeatures(name, nodes.get(name.removeprefix(RANDOM), ""), list(shape[1:]), 4 * math.prod(shape) / 1e6)
            for name, shape in shapes.items()
        ],
        backbone=first.backbone,
        weights=first.weights,
        sha256=first.sha256,
        weights_sha256=about.weights_sha256,
        pretrained=first.pretrained,
        random=list(first.random),
        preprocessing=f"{first.image_size}x{first.image_size}, {first.fit}, mean {first.mean}, deviation {first.std}",
        computed=computed or 0,
        kept=distinct - (computed or 0),
        verdict=f"{stamp}{counted(images, 'image')}{made}{repeated}.",
    )

"""A backbone, as extract-features and finetune begin with it: its graph with its weights, and where those are from."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from a2cli import storage
from a2cli.command_line.arguments import training_of
from a2cli.data.listing import MOVED
from a2cli.data.packing import Packed
from a2cli.data.splits import split_of
from a2cli.errors import A2Error, DataError, MissingDataError, SettingsError
from a2cli.models.backbones import cuts, graph_of, nodes_of, parameters_of, resolve_layer, truncate
from a2cli.models.backbones import digest_of as weights_digest
from a2cli.models.cards import NOT_PRETRAINED, ModelCard, TrunkCard
from a2cli.models.freezing import before_last_linear
from a2cli.models.pretrained import INPUT_TRANSFORMING, SIZED, Undrawn, build_torchvision, materialize, preprocessing
from a2cli.models.state_dict import UNTRACKED, few
from a2cli.models.transfer import Transfer
from a2cli.models.weights import Weights, fill, find_weights, fit, patches_side
from a2cli.models.zoo import TRANSFER, build_network
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.best import choose, no_network, not_finished
from a2cli.runs.directory import CARD, Run
from a2cli.settings.kinds import AnyTraining, split_into_runs
from a2cli.settings.transfer import BackboneSettings, HeadSettings, PicturesSettings

CHANNELS = "three equal channels"
UNCUT = partial(TrunkCard, layer="", node="", grid=0, grid_pool="average", random=())  # until a layer is named


@dataclass(frozen=True)
class Backbone:
    """A whole network and its graph, with its weights, and the card of it cut behind nothing yet.

    `weights` is None for a run's network, which has its own; `flag` is where it was named; `value_range` is of the
    images that it was trained on; `notes` say what was changed or left out to fit the weights to the network.
    `training` are the settings that a run's network was trained with, on images of this `fingerprint`;
    `weights_sha256` is that of its weights' file.
    """

    model: nn.Module
    graph: fx.GraphModule
    card: TrunkCard
    weights: Weights | None
    flag: str
    value_range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    training: AnyTraining | None = None
    fingerprint: str = ""
    weights_sha256: str = ""

    def learned_from(self, packed: Packed) -> tuple[int, ...]:
        """Return the rows of these images that a run's network was trained on; none where it was on other images."""
        if self.training is None or packed.fingerprint != self.fingerprint:
            return ()
        return tuple(split_of(packed, self.training).train.tolist())

    def trunk(self, layer: str, *, before_relu: bool, grid: int, grid_pool: str) -> TrunkCard:
        """Return the card of the trunk up to a layer; raises SettingsError for one that does not exist."""
        node = resolve_layer(self.graph, layer, "--layer", before_relu=before_relu)
        return replace(self.card, layer=layer, node=node, grid=grid, grid_pool=grid_pool)

    def filled(self, trunks: Sequence[TrunkCard], reporter: ProgressReporter, *, partial: bool) -> list[TrunkCard]:
        """Load the weights that these trunks need, and return their cards with what stays random.

        Raises DataError for weights that do not fit, or lack some of those.
        """
        if self.weights is None:
            return list(trunks)
        if not self.weights.pretrained:
            reporter.warn(NOT_PRETRAINED)
            return list(trunks)
        needed = parameters_of(truncate(self.graph, [trunk.node for trunk in trunks]))
        missing = fill(self.model, self.weights, needed, partial=partial)
        reporter.warn_all([*self.notes, *([random_in_words(self.model, missing)] if missing else [])])
        return [replace(trunk, random=tuple(missing)) for trunk in trunks]


def random_in_words(model: nn.Module, names: Sequence[str]) -> str:
    """Return how many weights, and which, begin at random with --partial."""
    state = model.state_dict()
    return f"--partial: {sum(state[name].numel() for name in names):,} weights begin at random: {', '.join(names)}"


def place_of_head(backbone: Backbone, *, partial: bool) -> tuple[str, list[str]]:
    """Return the node behind which a new head goes: in place of the last linear layer, or the last place below it that
    the file's weights reach; and what to say of that.

    Raises SettingsError for a network without a linear layer.
    """
    graph, weights = backbone.graph, backbone.weights
    last = before_last_linear(graph, backbone.flag)
    if weights is None or weights.tensors is None or partial or not (lacking := _lacking(graph, last, weights.tensors)):
        return last, []
    modules, nodes, places = dict(graph.named_modules()), nodes_of(graph), cuts(graph)
    for name in reversed(places[: places.index(last)] if last in places else []):
        is_dropout = isinstance(modules.get(str(nodes[name].target)), nn.Dropout)
        if is_dropout or not parameters_of(truncate(graph, [name])) or _lacking(graph, name, weights.tensors):
            continue
        count = sum(graph.state_dict()[weight].numel() for weight in lacking)
        return name, [
            f"--weights {weights.source}: lacks {few(lacking)}; so the new head is put behind {name}, the last place "
            f"that the file's weights reach, instead of behind {last}; with --partial these {count:,} weights begin at "
            "random"
        ]
    return last, []


def _lacking(graph: fx.GraphModule, node: str, tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the weights needed up to a node that are not among these."""
    needed = parameters_of(truncate(graph, [node]))
    return [name for name in needed if name not in tensors and not name.endswith(UNTRACKED)]


def find_backbone(
    settings: BackboneSettings, pictures: PicturesSettings, reporter: ProgressReporter | None = None
) -> Backbone:
    """Return the backbone that the settings name, told before weights are fetched; raises SettingsError, DataError."""
    if settings.run is not None:
        return _of_run(settings.run, pictures)
    name, flag = settings.backbone, f"--backbone {settings.backbone}"
    with Undrawn():  # drawing a whole AlexNet's weights takes most of a second; they are drawn if needed
        build_torchvision(name)
    file = find_weights(name, settings.weights, reporter)
    pretrained, side = bool(file.state_dicts), patches_side(file)
    prepared = preprocessing(name, settings.weights, pictures.image_size or side)
    if name.startswith(SIZED) and side and prepared.image_size != side:
        got = prepared.image_size
        raise SettingsError(f"--image-size: {name} with {file.source} takes {side}x{side} images, got {got}")
    with Undrawn() if pretrained and not settings.partial else nullcontext():
        model = build_torchvision(name, transform_input=pretrained, image_size=prepared.image_size)
    model = materialize(model)
    weights = fit(model, file)
    transform_input = pretrained and name in INPUT_TRANSFORMING
    notes = list(weights.notes)
    if weights.misfits:
        notes.append(f"left out, as this network has no place for them or another shape: {few(list(weights.misfits))}")
    if transform_input and not file.published:
        notes.append("images go through transform_input, as with torchvision's own weights")
    card = UNCUT(
        backbone=name,
        network=None,
        classes=0,
        image_size=prepared.image_size,
        fit=prepared.fit if pictures.fit == "weights" else pictures.fit,
        mean=prepared.mean,
        std=prepared.std,
        weights=weights.source,
        sha256=weights.sha256,
        transform_input=transform_input,
    )
    note = (f"--weights {weights.source}: {'; '.join(notes)}",) if notes else ()
    return Backbone(model, graph_of(model, flag), card, weights, flag, notes=note)


def _of_run(named: str, pictures: PicturesSettings) -> Backbone:
    folder = MOVED.get(named, named)
    if not storage.is_run(Path(folder)):
        raise MissingDataError(f"--run {folder}: {storage.no_run(Path(folder))}", folder, "--run")
    folder = choose("--run", folder).folder
    flag, run = f"--run {folder}", Run.open(folder)
    report = run.read_report()
    if not (run.folder / "model").is_dir():
        if report is None or report.status != "done":
            raise not_finished("--run", folder, report)
        raise no_network("--run", folder, report)
    model, card = run.load_model()
    if pictures.image_size not in {None, card.image_size}:
        side = card.image_size
        raise SettingsError(f"--image-size: the network of {folder} takes {side}x{side}, got {pictures.image_size}")
    if card.trunk is not None:
        raise DataError(f"{flag}: is on a backbone itself; use that one")
    assert not isinstance(card.network, HeadSettings), "heads are put on trunks"
    trunk = UNCUT(
        backbone=card.architecture,
        network=card.network,
        classes=len(card.class_names),
        image_size=card.image_size,
        fit=card.fit if pictures.fit == "weights" else pictures.fit,
        mean=card.mean,
        std=card.std,
        weights=named if named in MOVED else folder,
        sha256=weights_digest(model.state_dict()),
    )
    known = report is not None and report.data is not None
    return Backbone(
        model,
        graph_of(model, flag),
        trunk,
        None,
        flag,
        value_range=card.value_range,
        training=training_of("--run", folder) if known else None,
        fingerprint=report.data.fingerprint if report and report.data else "",
        weights_sha256=str(storage.read_json(run.folder / CARD).get(storage.DIGEST_KEY, "")),
    )


def seen_before(learned_from: Collection[int], packed: Packed, settings: AnyTraining) -> list[str]:
    """Return a warning where images are held out that the backbone, a run's network, was trained on."""
    with suppress(A2Error):  # of a split that cannot be it is said where the split is checked
        splits = [split_of(packed, alone) for alone in split_into_runs(settings).values()]
        held_out = [row for split in splits for row in (*split.val.tolist(), *split.test.tolist())]
        if count := sum(row in learned_from for row in held_out):
            return [
                f"the backbone was trained on {count} of the {len(held_out)} images held out here, which are not new "
                "to it: accuracies on them are too high; hold out the same images as its run did, by its seed and split"
            ]
    return []


def card_on(trunk: TrunkCard, head: HeadSettings, packed: Packed) -> ModelCard:
    """Return the card of a network of a head on a trunk, for the classes of these images."""
    return ModelCard(TRANSFER, head, packed.class_names, trunk.image_size, trunk.fit, trunk.mean, trunk.std, trunk,
                     packed.value_range)  # fmt: skip


def network_on(card: ModelCard, seed: int, weights: Mapping[str, Tensor], source: str) -> Transfer:
    """Return the network of a card that `card_on` made: its trunk with these weights, its head with starting ones.

    Raises DataError for weights that are not of the trunk.
    """
    network = build_network(card, Streams(seed))
    assert isinstance(network, Transfer), "a card of that kind"
    body = network.trunk.body
    try:
        body.load_state_dict({name: weights[name] for name in body.state_dict()})
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:80]
        raise DataError(f"{source}: its backbone's weights do not fit ({reason})") from None
    return network


def warn_grayscale(packed: Packed, source: str, reporter: ProgressReporter) -> list[str]:
    """Say how many images are grey, which a network for colours sees as three equal channels."""
    count, grey = len(packed.labels), sum(map(is_grey, packed.images))
    if not grey:
        return []
    note = f"{source}: all images are grey; converted to colour, {CHANNELS}"
    if grey < count:
        note = f"{source}: {grey} of {count} images are grey; the network sees {CHANNELS} of these"
    reporter.warn(note)
    return [note]


def is_grey(image: NDArray[np.uint8]) -> bool:
    """Return whether an image (H, W, 3) has three equal channels."""
    sample = image[::16, ::16]  # which settles it for nearly all others, at a hundredth of the cost
    return bool((sample[..., :1] == sample).all() and (image[..., :1] == image).all())

"""The networks that are looked into: each as a graph, with its layers by name, its images, and what it began as."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx, nn

from a2cli.data.dataset import ImageSet
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.errors import SettingsError, nearest
from a2cli.models.backbones import friendly_names, graph_of, nodes_of, output_node, parameters_of, truncate
from a2cli.models.cards import ModelCard
from a2cli.models.layers import initialize
from a2cli.models.pretrained import Preprocess
from a2cli.models.transfer import GridPooling, Transfer, Trunk
from a2cli.models.zoo import build_network, untrained_backbone
from a2cli.probe_invariance.targets import TrainingRun, find_target
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import DataSummary
from a2cli.settings.transfer import BackboneSettings, PicturesSettings
from a2cli.training.data_notes import data_summary
from a2cli.transfer.backbone import find_backbone
from a2cli.visualize_weights.attribution import convolutions_of
from a2cli.visualize_weights.settings import ViewSettings

NO_IMAGES = ImageSet(torch.empty(0, 1, 1, 3), *[torch.empty(0, dtype=torch.int64)] * 2)
WITHIN = re.compile(r"^(trunk\.body\.|body\.|head\.|block\d+\.body\.)")  # parts whose layers have names of their own
BATCH, LARGE_BATCH, LARGE_SIDE = 256, 32, 96


@dataclass(frozen=True)
class WeightLayer:
    """A layer with weights: its module, its node in the graph, and the node behind its norm and activation."""

    module: nn.Conv2d | nn.Linear
    node: str
    answer: str

    @property
    def weight(self) -> Tensor:
        """The weights as the layer uses them (U, ...), of a weight norm the product."""
        weight: Tensor = self.module.weight.detach()
        return weight

    @property
    def units(self) -> int:
        return len(self.weight)

    @property
    def rectified(self) -> bool:
        """Whether an activation follows, below whose threshold an answer says nothing."""
        return self.node != self.answer

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.module, nn.Conv2d)


@dataclass(frozen=True, kw_only=True)
class InspectedNetwork:
    """A network: `graph` is all of it, or a backbone up to where its weights reach, which has no `class_names`.

    `began` are the weights of layers before this training, where they are known; `redrawn` gives the network with all
    its weights re-initialised. `names` are the files' by their row in `images`, `labels` the class of each image.
    """

    name: str
    folder: str
    device: torch.device
    graph: fx.GraphModule
    layers: dict[str, WeightLayer]
    redrawn: Callable[[int], fx.GraphModule]
    began: Mapping[str, Tensor]
    images: ImageSet = NO_IMAGES
    names: Sequence[str] = ()
    labels: Sequence[str] = ()
    class_names: tuple[str, ...] = ()
    image_size: int
    fit: str
    baseline: tuple[float, ...]
    weights: str
    pretrained: bool  # or its own: false of what stands on a backbone with random weights
    source: str = "none"
    data: DataSummary | None = None
    weights_sha256: str = ""
    value_range: tuple[float, float] | None = None
    notes: Sequence[str] = ()

    @property
    def first(self) -> str:
        return next(iter(self.layers))

    def layer(self, name: str) -> WeightLayer:
        """Return a layer by its name; raises SettingsError with the nearest one where there is none such."""
        if name not in self.layers:
            hint = f"{nearest(name, self.layers)} ({', '.join(self.layers)})"
            raise SettingsError(f"--layer: {self.name} has no layer {name!r}{hint}")
        return self.layers[name]

    def layers_of(self, graph: fx.GraphModule) -> dict[str, WeightLayer]:
        """Return another network's layers of the same architecture, by this one's names."""
        return dict(zip(self.layers, weight_layers(graph).values(), strict=True))

    def batches(self, reporter: ProgressReporter, rows: Sequence[int] | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (B, 3, H, W) uint8 and labels, all or some, by their numbers."""
        images = self.images if rows is None else self.images.reordered(torch.tensor(rows, dtype=torch.int64))
        size = BATCH if self.image_size <= LARGE_SIDE else LARGE_BATCH
        for batch, labels in reporter.batches(images.batches(size), -(-len(images) // size)):
            yield batch.to(self.device), labels.to(self.device)

    def filters(self, weight: Tensor) -> Tensor:
        """Return the first layer's weights as pictures (U, C, H, W)."""
        if weight.dim() == 4:
            return weight
        side = self.image_size
        return weight.view(len(weight), side, side, -1).permute(0, 3, 1, 2)


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return the numbers of at most so many of `count` images, evenly spaced."""
    shown = min(count, most)
    return [i * count // shown for i in range(shown)]


def weight_layers(graph: fx.GraphModule) -> dict[str, WeightLayer]:
    """Return the layers with weights from the image on; of a plain backbone by their number, as conv1."""
    modules, layers = dict(graph.named_modules()), {}
    friendly = {before: name for name, (before, _) in friendly_names(graph).items()}
    for name, node in nodes_of(graph).items():
        path = str(node.target)
        module = modules.get(path)
        if node.op == "call_module" and isinstance(module, nn.Conv2d | nn.Linear):
            short = friendly.get(name, path) if path.startswith(("trunk.body.", "body.")) else path
            layers[WITHIN.sub("", short).removesuffix(".conv")] = WeightLayer(module, name, output_node(graph, name))
    return layers


def find_viewed(
    settings: ViewSettings, runs: Sequence[TrainingRun], device: torch.device, reporter: ProgressReporter
) -> list[InspectedNetwork]:
    """Return the networks that the settings name; raises SettingsError, DataError."""
    if settings.backbone is not None:
        return [_backbone(settings.backbone, settings, device, reporter)]
    return [_trained(run, run.title(runs), settings, device, reporter) for run in runs]


def _trained(
    run: TrainingRun, name: str, settings: ViewSettings, device: torch.device, reporter: ProgressReporter
) -> InspectedNetwork:
    folder = Path(run.folder)
    target = find_target(run, name, settings.data, lambda _: 0, device, reporter)
    network = target.networks[0]
    card, graph = network.card, graph_of(network.model.eval(), f"--run {folder}")

    def redrawn(number: int) -> fx.GraphModule:
        streams = Streams(settings.seed).derive("redraw", number)
        model = build_network(card, Streams(streams))
        if isinstance(model, Transfer):
            initialize(model.trunk, Streams(streams))
        return graph_of(model.eval().to(device), name)

    layers = weight_layers(graph)
    return InspectedNetwork(
        name=name,
        folder=str(folder),
        device=device,
        graph=graph,
        layers=layers,
        redrawn=redrawn,
        began=_began(card, run.settings.training.seed, layers, name),
        images=network.images,
        names=target.names,
        labels=[card.class_names[int(label)] for label in network.images.labels],
        class_names=card.class_names,
        image_size=card.image_size,
        fit=card.fit,
        baseline=card.mean,
        weights=f"of {card.trunk.backbone}: {card.trunk.weights}" if card.trunk else "trained",
        pretrained=card.trunk is None or card.trunk.pretrained,
        source=target.source,
        data=target.data,
        weights_sha256=network.weights_sha256,
        value_range=card.value_range,
        notes=target.notes,
    )


def _began(card: ModelCard, seed: int, layers: Mapping[str, WeightLayer], name: str) -> dict[str, Tensor]:
    """Return what the weights were before the training, drawn again from its seed; of a backbone they are not known."""
    model = build_network(card, Streams(seed))
    drawn = weight_layers(graph_of(model.eval(), name))
    own = set(model.head.modules() if isinstance(model, Transfer) else model.modules())
    return {layer: began.weight for layer, began in zip(layers, drawn.values(), strict=True) if began.module in own}


def _reach(graph: fx.GraphModule, tensors: Mapping[str, Tensor] | None, where: str) -> str:
    """Return the node of the last convolution's answer that there are weights for; raises SettingsError for none."""
    for name in reversed(convolutions_of(graph)):
        needed = {one for one in parameters_of(truncate(graph, [name])) if not one.endswith("num_batches_tracked")}
        if tensors is None or needed <= set(tensors):
            return output_node(graph, name)
    raise SettingsError(f"{where}: has no convolution with weights to look at")


def _backbone(name: str, settings: ViewSettings, device: torch.device, reporter: ProgressReporter) -> InspectedNetwork:
    """Return one of torchvision's networks, as far as its file of weights reaches."""
    data = settings.data or "atelier"
    wanted = BackboneSettings(backbone=name, weights=settings.weights or "imagenet")
    backbone = find_backbone(wanted, PicturesSettings(data=data), reporter)
    card, tensors = backbone.card, backbone.weights.tensors if backbone.weights else None
    node = _reach(backbone.graph, tensors, backbone.flag)
    backbone.filled([backbone.trunk(node, before_relu=False, grid=0, grid_pool="average")], reporter, partial=False)

    def cut(body: fx.GraphModule) -> fx.GraphModule:
        whole = Trunk(Preprocess(card.mean, card.std), truncate(body, [node]), GridPooling(0, "average"))
        return graph_of(whole.eval().to(device), name)

    @cache
    def undrawn() -> fx.GraphModule:
        # Once, and only as far as is looked at: an AlexNet's linear layers have 58 million weights.
        return truncate(untrained_backbone(card), [node])

    def redrawn(number: int) -> fx.GraphModule:
        body = copy.deepcopy(undrawn())
        initialize(body, Streams(Streams(settings.seed).derive("redraw", number)))
        return cut(body)

    graph = cut(backbone.graph)
    network = InspectedNetwork(
        name=name,
        folder="",
        device=device,
        graph=graph,
        layers=weight_layers(graph),
        redrawn=redrawn,
        began={},
        image_size=card.image_size,
        fit=card.fit,
        baseline=card.mean,
        weights=card.weights,
        pretrained=card.pretrained,
        weights_sha256=card.sha256,
        notes=backbone.notes,
    )
    if settings.show == ("filters",):  # which no image excites: reading a set can take minutes
        return network
    source = find_source(data, reporter)
    packed = pack(source, card.image_size, card.fit, False, reporter, may_skip=False)
    reporter.warn_all(packed.warnings)
    return replace(
        network,
        images=ImageSet.of(packed, np.arange(len(packed.labels))),
        names=packed.names,
        labels=[packed.class_names[label] for label in packed.labels],
        source=source.label,
        data=data_summary(packed, source.label, len(packed.labels), 0, 0),
        notes=[*backbone.notes, *packed.warnings],
    )

"""The networks that are looked into: each as a graph, with its layers by name, its images, and what it began as."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from a2cli.data.dataset import ImageSet
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.errors import SettingsError, nearest
from a2cli.machine import cores
from a2cli.models.backbones import friendly_names, graph_of, nodes_of, output_node, parameters_of, truncate
from a2cli.models.layers import initialize
from a2cli.models.pretrained import Preprocess
from a2cli.models.transfer import GridPooling, Transfer, Trunk
from a2cli.models.zoo import ModelCard, TrunkCard
from a2cli.probe_invariance.targets import TrainingRun, find_target
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.runs.directory import Run
from a2cli.runtime import Streams
from a2cli.settings.transfer import BackboneSettings, PicturesSettings
from a2cli.transfer.backbone import find_backbone
from a2cli.visualize_weights.settings import ViewSettings

Weighted = nn.Conv2d | nn.Linear
Pictures = tuple[ImageSet, Sequence[str], Sequence[str], str, Sequence[str]]
NO_IMAGES = ImageSet(torch.empty(0, 1, 1, 3), *[torch.empty(0, dtype=torch.int64)] * 2)
NO_PICTURES: Pictures = (NO_IMAGES, [], [], "none", [])
WITHIN = re.compile(r"^(trunk\.body\.|body\.|head\.|block\d+\.body\.)")  # parts whose layers have names of their own
BATCH, LARGE_BATCH, LARGE_SIDE = 256, 32, 96


@dataclass(frozen=True)
class WeightLayer:
    """A layer with weights: its module, its node in the graph, and the node behind its norm and activation."""

    module: Weighted
    node: str
    answer: str

    @property
    def weight(self) -> Tensor:
        """The weights as the layer uses them (U, ...), of a weight norm the product."""
        found: Tensor = self.module.weight.detach()
        return found

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


@dataclass(frozen=True)
class InspectedNetwork:
    """A network: `graph` is all of it, or a backbone up to where its weights reach, which has no `class_names`.

    `began` are the weights of layers before this training, where they are known; `redrawn` gives the network with all
    its weights re-initialised. `names` are the files' by their row in `images`.
    """

    name: str
    folder: str
    graph: fx.GraphModule
    layers: dict[str, WeightLayer]
    redrawn: Callable[[int], fx.GraphModule]
    began: dict[str, Tensor]
    images: ImageSet
    names: Sequence[str]
    labels: Sequence[str]
    class_names: tuple[str, ...]
    image_size: int
    fit: str
    baseline: tuple[float, ...]
    weights: str
    source: str
    value_range: tuple[float, float] | None = None
    notes: Sequence[str] = ()

    @property
    def first(self) -> str:
        return next(iter(self.layers))

    def layer(self, name: str) -> str:
        """Return a layer's name; raises SettingsError with the nearest one where there is none such."""
        if name not in self.layers:
            known = ", ".join(self.layers)
            raise SettingsError(f"--layer: {self.name} has no layer {name!r}{nearest(name, self.layers)} ({known})")
        return name

    def layers_of(self, graph: fx.GraphModule) -> dict[str, WeightLayer]:
        """Return another network's layers of the same architecture, by this one's names."""
        return dict(zip(self.layers, weight_layers(graph).values(), strict=True))

    def batches(
        self, device: torch.device, rows: Sequence[int] | None = None, reporter: ProgressReporter | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (B, 3, H, W) uint8 and labels, all or some, by their numbers."""
        chosen = self.images if rows is None else self.images.reordered(torch.tensor(rows, dtype=torch.int64))
        size = BATCH if self.image_size <= LARGE_SIDE else LARGE_BATCH
        for images, labels in (reporter or NullReporter()).batches(chosen.batches(size), -(-len(chosen) // size)):
            yield images.to(device), labels.to(device)

    def filters(self, weight: Tensor) -> Tensor:
        """Return the first layer's weights as pictures (U, C, H, W)."""
        if weight.dim() == 4:
            return weight
        side = self.image_size
        return weight.view(len(weight), side, side, -1).permute(0, 3, 1, 2)


def weight_layers(graph: fx.GraphModule) -> dict[str, WeightLayer]:
    """Return the layers with weights from the image on; of a plain backbone by their number, as conv1."""
    modules, found = dict(graph.named_modules()), {}
    chain = {before: name for name, (before, _) in friendly_names(graph).items()}
    for name, node in nodes_of(graph).items():
        module = modules.get(str(node.target))
        if node.op == "call_module" and isinstance(module, Weighted):
            own = str(node.target)
            short = chain.get(name, own) if own.startswith(("trunk.body.", "body.")) else own
            found[WITHIN.sub("", short).removesuffix(".conv")] = WeightLayer(module, name, output_node(graph, name))
    return found


def find_viewed(
    settings: ViewSettings, runs: Sequence[TrainingRun], device: torch.device, reporter: ProgressReporter
) -> list[InspectedNetwork]:
    """Return the networks that the settings name; raises SettingsError, DataError."""
    if settings.backbone is not None:
        return [_backbone(settings, device, reporter)]
    return [_trained(one, one.title(runs), settings, device, reporter) for one in runs]


def _trained(
    trained: TrainingRun, name: str, settings: ViewSettings, device: torch.device, reporter: ProgressReporter
) -> InspectedNetwork:
    folder = Path(trained.folder)
    subject = find_target(trained, name, settings.data, lambda _: 0, device, reporter)
    network = subject.networks[0]
    card, graph = network.card, graph_of(network.model.eval(), f"--run {folder}")

    def redrawn(number: int) -> fx.GraphModule:
        streams = Streams(settings.seed).derive("redraw", number)
        model = card.build(Streams(streams))
        if isinstance(model, Transfer):
            initialize(model.trunk, Streams(streams))
        return graph_of(model.eval().to(device), name)

    layers = weight_layers(graph)
    report = Run.open(folder).read_report()
    assert report is not None, "it was read before"
    return InspectedNetwork(
        name=name,
        folder=str(folder),
        graph=graph,
        layers=layers,
        redrawn=redrawn,
        began=_began(card, trained.settings.training.seed, layers, name),
        images=network.images,
        names=subject.names,
        labels=[card.class_names[int(label)] for label in network.images.labels],
        class_names=card.class_names,
        image_size=card.image_size,
        fit=card.fit,
        baseline=tuple(card.mean),
        weights=f"of {card.trunk.backbone}: {card.trunk.weights}" if card.trunk else "trained",
        source=subject.source,
        value_range=card.value_range,
        notes=subject.notes,
    )


def _began(card: ModelCard, seed: int, layers: dict[str, WeightLayer], name: str) -> dict[str, Tensor]:
    """Return what the weights were before the training, drawn again from its seed; of a backbone they are not known."""
    model = card.build(Streams(seed))
    drawn = weight_layers(graph_of(model.eval(), name))
    own = set(model.head.modules() if isinstance(model, Transfer) else model.modules())
    return {to: one.weight for to, one in zip(layers, drawn.values(), strict=True) if one.module in own}


def _reach(graph: fx.GraphModule, tensors: Mapping[str, Tensor] | None, where: str) -> str:
    """Return the node of the last convolution's answer that there are weights for; raises SettingsError for none."""
    modules = dict(graph.named_modules())
    ends = [name for name, node in nodes_of(graph).items() if isinstance(modules.get(str(node.target)), nn.Conv2d)]
    for name in reversed(ends):
        needed = [one for one in parameters_of(truncate(graph, [name])) if not one.endswith("num_batches_tracked")]
        if tensors is None or set(needed) <= set(tensors):
            return output_node(graph, name)
    raise SettingsError(f"{where}: has no convolution with weights to look at")


def _pictures(data: str, card: TrunkCard, reporter: ProgressReporter) -> Pictures:
    """Return all images of a set, their files' names and classes, the set's name, and warnings; raises DataError."""
    source = find_source(data, reporter)
    packed = pack(source, card.image_size, card.fit, False, cores(), reporter, may_skip=False)
    for note in packed.warnings:
        reporter.warn(note)
    rows: NDArray[np.int64] = np.arange(len(packed.labels))
    classes = [packed.class_names[label] for label in packed.labels]
    return ImageSet.of(packed, rows), packed.names, classes, source.label, packed.warnings


def _backbone(settings: ViewSettings, device: torch.device, reporter: ProgressReporter) -> InspectedNetwork:
    """Return one of torchvision's networks, as far as its file of weights reaches."""
    assert settings.backbone is not None, "checked before"
    wanted = BackboneSettings(backbone=settings.backbone, weights=settings.weights or "imagenet")
    data = settings.data or "atelier"
    found = find_backbone(wanted, PicturesSettings(data=data), reporter)
    card, node = found.card, _reach(found.graph, found.weights.tensors if found.weights else None, found.flag)
    trunk = found.trunk(node, before_relu=False, grid=0, grid_pool="average")
    found.filled([trunk], reporter, partial=False)
    shows_images = bool({*settings.show} - {"filters"})
    images, names, labels, label, notes = _pictures(data, card, reporter) if shows_images else NO_PICTURES
    preprocess = Preprocess(card.mean, card.std)

    def cut(body: fx.GraphModule) -> fx.GraphModule:
        whole = Trunk(preprocess, truncate(body, [node]), GridPooling(0, "average"))
        return graph_of(whole.eval().to(device), settings.backbone or "")

    undrawn: list[fx.GraphModule] = []

    def redrawn(number: int) -> fx.GraphModule:
        if (
            not undrawn
        ):  # built once, and drawn as far as is looked at: an AlexNet's linear layers have 58 million weights
            undrawn.append(truncate(card.graph(), [node]))
        body = copy.deepcopy(undrawn[0])
        initialize(body, Streams(Streams(settings.seed).derive("redraw", number)))
        return cut(body)

    graph = cut(found.graph)
    return InspectedNetwork(
        name=settings.backbone,
        folder="",
        graph=graph,
        layers=weight_layers(graph),
        redrawn=redrawn,
        began={},
        images=images,
        names=names,
        labels=labels,
        class_names=(),
        image_size=card.image_size,
        fit=card.fit,
        baseline=tuple(card.mean),
        weights=card.weights,
        source=label,
        notes=[*found.notes, *notes],
    )

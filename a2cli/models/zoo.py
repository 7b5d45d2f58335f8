"""Every network by name, and the card that `model.json` holds: all that rebuilds a network around its weights."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import fx, nn

from a2cli.models.backbones import graph_of, truncate
from a2cli.models.convnet import build_convnet
from a2cli.models.mlp import build_mlp
from a2cli.models.pretrained import Preprocess, Undrawn, build_torchvision, materialize
from a2cli.models.transfer import GridPooling, Transfer, Trunk, build_head
from a2cli.random_streams import Streams
from a2cli.settings.training import MlpSettings, NetworkSettings
from a2cli.settings.transfer import HeadSettings

BUILDERS: dict[str, Callable[..., nn.Module]] = {"convnet": build_convnet, "mlp": build_mlp}
TRANSFER = "transfer"  # a trunk with a head on it, built from the card of both


@dataclass(frozen=True)
class TrunkCard:
    """A backbone up to one layer: all that rebuilds it around its weights, and where those are from.

    `backbone` is torchvision's name or ours (then `network` and `classes` say which); `node` the layer as the graph
    has it; `random` names weights that were not in the file; `sha256` is the weights file's. `transform_input` is
    torchvision's step before googlenet and inception_v3, which their weights need; cards from before it have none.
    """

    backbone: str
    network: NetworkSettings | MlpSettings | None
    classes: int
    layer: str
    node: str
    grid: int
    grid_pool: str
    image_size: int
    fit: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: str
    sha256: str
    random: tuple[str, ...]
    transform_input: bool = False

    @property
    def pretrained(self) -> bool:
        return self.weights != "none" or bool(self.sha256)  # a run's directory may be called none

    def identity(self) -> dict[str, Any]:
        """Return what tells this trunk from another, the same as before cards had a field that it makes no use of."""
        return {name: value for name, value in asdict(self).items() if name != "transform_input" or value}

    def graph(self) -> fx.GraphModule:
        """Return the whole backbone's graph, with random weights."""
        if self.network is None:
            model = build_torchvision(self.backbone, transform_input=self.transform_input, image_size=self.image_size)
            return graph_of(model, f"--backbone {self.backbone}")
        builder = BUILDERS[self.backbone]
        model = builder(self.network, self.image_size, self.classes, self.mean, self.std, Streams(0))
        return graph_of(model.eval(), f"--backbone {self.backbone}")

    def build(self) -> Trunk:
        """Return the trunk, its weights yet to be loaded; raises SettingsError for what torchvision does not have."""
        preprocess = Preprocess(self.mean, self.std) if self.network is None else nn.Identity()
        with Undrawn():  # drawing the weights of a whole AlexNet takes as long as training its head
            graph = self.graph()
        body = materialize(truncate(graph, [self.node]))
        return Trunk(preprocess, body, GridPooling(self.grid, self.grid_pool))


@dataclass(frozen=True)
class ModelCard:
    """A network's architecture, class names and preprocessing: `fit`, `image_size`, then `mean` and `std` on [0, 1].

    A network with a `trunk` is that, with a head on it. `value_range` are the values of images with more than 8 bits
    that become 0 and 255, where the network was trained on such.
    """

    architecture: str
    network: NetworkSettings | MlpSettings | HeadSettings
    class_names: tuple[str, ...]
    image_size: int
    fit: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    trunk: TrunkCard | None = None
    value_range: tuple[float, float] | None = None

    def build(self, streams: Streams) -> nn.Module:
        """Return the network with starting weights; raises KeyError for an architecture that is not in the zoo."""
        if self.trunk is not None and isinstance(self.network, HeadSettings):
            trunk = self.trunk.build().eval()
            with torch.no_grad():
                shape = trunk(torch.zeros(1, 3, self.image_size, self.image_size)).shape[1:]
            return Transfer(trunk, build_head(self.network, shape, len(self.class_names), streams))
        builder = BUILDERS[self.architecture]
        return builder(self.network, self.image_size, len(self.class_names), self.mean, self.std, streams)

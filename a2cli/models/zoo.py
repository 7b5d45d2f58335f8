"""Every network by name, and the card that `model.json` holds: all that rebuilds a network around its weights."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from a2cli.models.convnet import build_convnet
from a2cli.models.mlp import build_mlp
from a2cli.runtime import Streams
from a2cli.settings import MlpSettings, NetworkSettings

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "convnet": build_convnet,
    "mlp": build_mlp,
}


@dataclass(frozen=True)
class ModelCard:
    """A network's architecture, class names and preprocessing: `fit`, `image_size`, then `mean` and `std` on [0, 1]."""

    architecture: str
    network: NetworkSettings | MlpSettings
    class_names: tuple[str, ...]
    image_size: int
    fit: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def build(self, streams: Streams) -> nn.Module:
        """Return the network with starting weights; raises KeyError for an architecture that is not in the zoo."""
        builder = BUILDERS[self.architecture]
        return builder(self.network, self.image_size, len(self.class_names), self.mean, self.std, streams)

"""The card that `model.json` holds, without torch: all that rebuilds a network around its weights."""

from dataclasses import asdict, dataclass
from typing import Any

from a2cli.settings.training import MlpSettings, NetworkSettings
from a2cli.settings.transfer import HeadSettings

NOT_PRETRAINED = "NOT PRETRAINED: the backbone has random weights"


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

"""What `a2 visualize-weights` found: of each layer's weights, of units, and of what a network looks at."""

from dataclasses import dataclass
from typing import Literal

from a2cli.reports.report import DataSummary

Learning = Literal["learned", "like its initialisation"]


@dataclass(frozen=True)
class Measure:
    """A figure of a layer's weights, and the mean and deviation of re-initialised networks.

    `chance` is that of one more such network lying as far out.
    """

    name: str
    value: float
    random: float
    deviation: float
    chance: float


@dataclass(frozen=True)
class LayerWeights:
    """One layer with weights. `dead` units answer all images alike, `dead_random` counts those of a re-initialised one.

    `duplicates` are groups of units with the same weights but for their length, `duplicates_random` the number of that
    network's. `moved` is the weights' distance from where this training began, over their length there; null where that
    is not known.
    """

    layer: str
    units: int
    weights: int
    dead: list[int]
    dead_random: int
    duplicates: list[list[int]]
    duplicates_random: int
    moved: float | None
    measures: list[Measure]
    verdict: Learning


@dataclass(frozen=True)
class Patch:
    """Where in which image a unit answers most; rows and columns are the first and last pixel that it sees there.

    They may lie outside of the image, where a layer pads.
    """

    image: str
    truth: str
    value: float
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class UnitView:
    """One unit. `use` is how much it moves the answer: activation times gradient, a mean over the images of a class or
    of all; null without an answer. `classes` are the mean gradients of each class's logit, of the last hidden layer's
    the weights themselves. `ascent` is the activation that a picture was brought to.
    """

    layer: str
    unit: int
    use: float | None
    classes: list[float]
    patches: list[Patch]
    ascent: float | None


@dataclass(frozen=True)
class Frame:
    """One picture of the film: the first layer's weights after so many epochs, and how far they had moved."""

    epoch: int
    moved: float


@dataclass(frozen=True)
class ViewedNetwork:
    """One network; `weights` says where a backbone's are from, `skipped` which parts do not suit it, and why.

    `data` is what the training's report says of its data, or a summary of other images; None where it was shown none.
    `weights_sha256` is the run's, or that of the backbone's file of weights. Earlier versions had neither.
    """

    name: str
    folder: str
    weights: str
    images: int
    source: str
    layers: list[LayerWeights]
    units: list[UnitView]
    film: list[Frame]
    skipped: dict[str, str]
    data: DataSummary | None = None
    weights_sha256: str = ""


@dataclass(frozen=True)
class Map:
    """What a method says the network looks at. `alike` is its rank correlation with the same method's maps of networks
    with random weights, mean, least and most; from 0.5 on it `says_nothing` about learning (Adebayo et al. 2018). Only
    `compared` of them are not the same everywhere; `alike` is null where none is, or the map itself is not.

    `total` is the map's sum and `change` what it should be, of methods that promise so: the answer's change from the
    baseline.
    """

    method: str
    alike: tuple[float, float, float] | None
    compared: int
    says_nothing: bool
    total: float | None
    change: float | None


@dataclass(frozen=True)
class Look:
    """What one network looks at in one image, for a class: its answer, or the class asked for."""

    network: str
    image: str
    answer: str
    probability: float
    looked_for: str
    maps: list[Map]
    skipped: dict[str, str]


@dataclass(frozen=True)
class WeightResults:
    """What was found of each network, and in each image."""

    networks: list[ViewedNetwork]
    looks: list[Look]
    verdict: str

    @property
    def sources(self) -> list[str]:
        """The data of each network that was shown images."""
        return [network.source for network in self.networks if network.source]

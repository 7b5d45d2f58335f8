"""What extract-features, probes of features and fine-tuning found."""

from dataclasses import dataclass

from a2cli.reports.training_results import Accuracy, Spread

OWN_HEAD = "this run's head"  # among the probes


@dataclass(frozen=True)
class LayerFeatures:
    """One layer in a features file: its node in the network's graph, the shape of one image's features."""

    name: str
    node: str
    shape: list[int]
    megabytes: float


@dataclass(frozen=True)
class FeatureResults:
    """A features file. `computed` images went through the network now, `kept` were in the cache from before;
    identical images are counted once.

    `weights` says where the backbone's are from and `sha256` is their file's; of a run's network it is that of the
    weights by name, and `weights_sha256` their file's. `random` names those that were not in the file.
    """

    file: str
    images: int
    layers: list[LayerFeatures]
    backbone: str
    weights: str
    sha256: str
    pretrained: bool
    random: list[str]
    preprocessing: str
    computed: int
    kept: int
    verdict: str
    weights_sha256: str = ""


@dataclass(frozen=True)
class BackboneUsed:
    """What a network was built on: a backbone up to a layer, where its weights are from; `random` were not in there."""

    backbone: str
    layer: str
    node: str
    weights: str
    sha256: str
    pretrained: bool
    random: list[str]


@dataclass(frozen=True)
class StageResult:
    """One stage of a fine-tuning: what learned and what was frozen, by layer, and how many weights each.

    `cached`: what the frozen part answers was computed once for each image. Accuracies are of the epoch kept; over
    several seeds their spread.
    """

    stage: str
    epochs: int
    learning_rate: float
    learned: list[str]
    frozen: list[str]
    learned_parameters: int
    frozen_parameters: int
    cached: bool
    train: Accuracy | Spread
    val: Accuracy | Spread
    val_loss: float
    kept: bool
    folder: str


@dataclass(frozen=True)
class ProbeScore:
    """One answer to the question how well a layer's features serve; over several seeds the spread.

    `chosen` is what validation chose: the inverse strength C of the regularisation, the number k of neighbours.
    """

    layer: str
    answer: str
    chosen: str
    train: Accuracy | Spread
    val: Accuracy | Spread
    test: Accuracy | Spread | None


@dataclass(frozen=True)
class TransferResults:
    """What a training on a backbone has besides: the backbone, its stages, and the probes beside it."""

    backbone: BackboneUsed
    stages: list[StageResult]
    probes: list[ProbeScore]

"""What extract-features, probes of features and fine-tuning found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerFeatures:
    """One layer in a features file: its node in the network's graph, the shape of one image's features."""

    name: str
    node: str
    shape: list[int]
    megabytes: float


@dataclass(frozen=True)
class FeatureResults:
    """A features file. `computed` images went through the network now, `kept` were in the cache from before.

    `weights` says where the backbone's are from and `sha256` is their file's; `random` names those that were not in it.
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

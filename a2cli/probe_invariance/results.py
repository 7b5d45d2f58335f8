"""What `a2 probe-invariance` found: of every change at every strength, and of runs against each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from a2cli.reports.report import DataSummary
from a2cli.reports.study_results import Verdict
from a2cli.reports.training_results import Accuracy, without_knowledge

Survival = Literal["invariant", "breaks", "undecided"]


@dataclass(frozen=True)
class Mean:
    """A mean over images with its 95% interval (Student's t)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerMovement:
    """How far a layer's activations move under a change: 0: not at all; 1: as far as two different images are apart.

    The root of the mean squared distance, over that between two different images. `off_course` is the same distance
    from where an equivariant layer would have moved, the unchanged activations moved like the image; null where a
    change is not geometric, or the layer has no map.
    """

    layer: str
    moved: float
    off_course: float | None


@dataclass(frozen=True)
class StrengthPoint:
    """The networks on the images changed at one strength, null where it was drawn for each image or there is none.

    `difference` is the accuracy's change, paired by image, with Tango's score interval (1998) at a confidence of
    1 - 0.05 / the number of changes; `lost` answers were right before, `gained` ones are now. `p` is the exact test of
    sign flips by image, McNemar's where there is one network (two-sided), `p_adjusted` Holm's (1979) over all changes
    and strengths. `consistency` counts the answers that stay the same, right or wrong; `probability` is the mean change
    of the true class's. `classes` counts correct answers by class, `networks` gives each network's accuracy.
    """

    strength: float | None
    accuracy: Accuracy
    difference: float
    low: float
    high: float
    lost: int
    gained: int
    p: float
    p_adjusted: float
    consistency: Accuracy
    probability: Mean
    classes: list[int]
    networks: list[float]
    layers: list[LayerMovement]


@dataclass(frozen=True)
class ChangeResult:
    """One change: its points from end to end, and what they say together.

    *invariant*: at every strength the interval lies within the margin; *breaks*: at some strength the accuracy falls
    (`p_adjusted` below 0.05), `breaks_at` has the mildest of them in each direction; else *undecided*, with how many
    more images would decide at these shares, null where no tenfold number would. `halved_at` is where accuracy,
    interpolated, falls to half of the unchanged images', in each direction. `augmented` is the augmentation that showed
    the networks such images in training. `mean_accuracy` is over all points (as Hendrycks & Dietterich 2019 have it).
    """

    name: str
    title: str
    unit: str
    identity: float | None
    drawn: tuple[float, float] | None
    points: list[StrengthPoint]
    verdict: Survival
    breaks_at: list[float]
    halved_at: list[float]
    more_images: int | None
    augmented: str | None
    mean_accuracy: float


@dataclass(frozen=True)
class ProbedRun:
    """One training run's networks, on one set of images each; `images` counts different ones.

    `by_network` are their accuracies unchanged; `counts` are the images of each class, once for each network that saw
    them, and `by_class` how many of them were recognised unchanged; `majority` always answers the largest class in
    training. `skipped` says which changes make no sense here. `translations` are accuracies over a grid of
    translations, (right, down, accuracy), shares of the side. `data` is what the training's report says of its data, or
    a summary of other images; `weights_sha256` are the networks' by their folders. Earlier versions had neither.
    """

    name: str
    folder: str
    source: str
    fingerprint: str
    networks: int
    images: int
    counts: dict[str, int]
    unchanged: Accuracy
    majority: Accuracy
    by_network: list[float]
    by_class: list[int]
    augmentations: list[str]
    changes: list[ChangeResult]
    skipped: dict[str, str]
    translations: list[tuple[float, float, float]]
    verdict: str
    data: DataSummary | None = None
    weights_sha256: dict[str, str] = field(default_factory=dict)

    @property
    def has_something_to_lose(self) -> bool:
        """Whether its accuracy is shown to be better than that of what knows nothing of an image."""
        return self.unchanged.low > without_knowledge(self.majority.value, len(self.counts))[0]


def by_reason(skipped: Mapping[str, str]) -> list[tuple[list[str], str]]:
    """Return the changes skipped for each reason."""
    return [([name for name in skipped if skipped[name] == why], why) for why in dict.fromkeys(skipped.values())]


@dataclass(frozen=True)
class RunComparison:
    """Two runs under one change: what the first keeps of its accuracy more than the second, paired by image.

    `difference` is the mean over their common images of the second's loss minus the first's, each the mean over
    strengths and networks; the interval is Student's, or where all images are alike Tango's width of no change, at a
    confidence of 1 - 0.05 / the number of changes. The verdict is *undecided* where one of the two is not shown to be
    better than what knows nothing of an image, and so has nothing to lose.
    """

    change: str
    first: str
    second: str
    images: int
    difference: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class InvarianceResults:
    """What a probe found, of each run, and of each pair of runs on the same images under each change.

    `refuted` is what a run's own report says otherwise than its weights get on the same, unchanged images.
    """

    margin: float
    border: str
    runs: list[ProbedRun]
    comparisons: list[RunComparison]
    verdict: str
    refuted: list[str] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        """The data of each run."""
        return [run.source for run in self.runs]

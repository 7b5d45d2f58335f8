"""What `a2 predict` answers; it is no part of a report, as predictions leave no run directory."""

from dataclasses import dataclass, field

from a2cli.reports.best_results import ChosenRun


@dataclass(frozen=True, slots=True)
class Answer:
    """A class, and how probable the networks hold it to be."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one image, and the next ones, the most probable first."""

    image: str
    answer: str
    probability: float
    next: list[Answer]


@dataclass(frozen=True, slots=True)
class Broken:
    """What was named and is not an image that can be used, and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class Predictions:
    """All answers. `networks` are the folders of those asked, `method` says how their answers became one.

    `image_size` and `fit` are what was done to the images; `pretrained` is null for networks without a backbone, and
    where it is false `warnings` have the stamp. `picture` is the file with the contact sheet, if one was asked for.
    `chosen` is the run used in the place of one that has several; `weights_sha256` are the networks'.
    """

    run: str
    networks: list[str]
    method: str
    classes: list[str]
    image_size: int
    fit: str
    pretrained: bool | None
    predictions: list[Prediction]
    broken: list[Broken]
    warnings: list[str]
    picture: str | None
    chosen: ChosenRun | None = None
    weights_sha256: list[str] = field(default_factory=list)

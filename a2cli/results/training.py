"""What a training run found: its epochs, accuracies, mistakes, and their spread over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EpochLog:
    """One epoch: losses are means over images, accuracies in [0, 1]; `train_*` are averaged as training went on.

    `test_accuracy` is there with --test-curve; nothing acts on it.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    images_per_second: float
    test_accuracy: float | None = None


@dataclass(frozen=True)
class Accuracy:
    """A share of correct answers with its 95% interval (Wilson 1927)."""

    correct: int
    count: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """A figure over several seeds: mean, standard deviation, and the 95% interval of the mean (Student's t)."""

    mean: float
    deviation: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ClassScore:
    """One class in validation: its images, and how many were recognised."""

    name: str
    count: int
    correct: int


@dataclass(frozen=True)
class Mistake:
    """A validation image answered wrongly, and with what probability."""

    image: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class TrainingResult:
    """One training run: of the kept weights `train`, `val` and `test` (all without dropout).

    `last_*` are the last epoch's, the training accuracy as averaged while training; `majority` always answers the
    largest class. `kept_epoch` is the one whose weights are kept, `best_epoch` the one the monitored metric chose.
    `*_without_duplicates` leave out the images that are also among those for training (of test: or for validation),
    and are None where there are none, or no others. `weights_sha256` is that of model/model.safetensors, of earlier
    versions ''.
    """

    seed: int
    parameters: int
    epochs: int
    kept_epoch: int
    best_epoch: int
    stopped_early: bool
    train: Accuracy
    val: Accuracy
    val_loss: float
    last_train_accuracy: float
    last_val_accuracy: float
    majority: Accuracy
    test: Accuracy | None
    classes: list[ClassScore]
    confusion: list[list[int]]
    most_wrong: list[Mistake]
    folder: str
    val_without_duplicates: Accuracy | None = None
    test_without_duplicates: Accuracy | None = None
    weights_sha256: str = ""


def repeated_by(runs: Sequence[TrainingResult]) -> str:
    """Return what several runs differ in, by their folders: seeds or folds."""
    return "folds" if runs[0].folder.startswith("folds/") else "seeds"


@dataclass(frozen=True)
class TrainingResults:
    """All runs of a training command, their spread over seeds (from two runs on), and the verdict in words."""

    runs: list[TrainingResult]
    train: Spread | None
    val: Spread | None
    last_val: Spread | None
    test: Spread | None
    verdict: str
    val_without_duplicates: Spread | None = None
    test_without_duplicates: Spread | None = None

    @property
    def repeated(self) -> str:
        """What the runs differ in: seeds or folds."""
        return repeated_by(self.runs)

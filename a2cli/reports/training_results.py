"""What a training run found: its epochs, accuracies, mistakes, and their spread over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from a2cli.columns import Column


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
    """A share over several seeds: mean, standard deviation, 95% interval of the mean (Student's t), within [0, 1].

    The interval has the variance of rounding to whole images added, since schema version 5.
    """

    mean: float
    deviation: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Measure:
    """What is no share of images, such as a mean over classes, with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    """One class: its images, how many were recognised, and how many images were answered with it.

    `precision`, `recall` and `f1` are null where they are not defined, and `answered` in reports of earlier versions.
    """

    name: str
    count: int
    correct: int
    answered: int | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


CLASSES: list[Column[ClassScore]] = [
    Column("name", lambda row: row.name),
    Column("count", lambda row: row.count, title="images"),
    Column("correct", lambda row: row.correct, printed=False),
    Column("answered", lambda row: row.answered, printed=False),
    Column("precision", lambda row: row.precision, text=lambda row: _or_dash(row.precision)),
    Column("recall", lambda row: row.recall, text=lambda row: _or_dash(row.recall)),
    Column("f1", lambda row: row.f1, title="F1", text=lambda row: _or_dash(row.f1)),
]


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose answer was held to be from `low` to `high` probable: the mean of that, and the share right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Mistake:
    """An image answered wrongly, and with what probability."""

    image: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class JudgedPart:
    """The kept weights on the test images where those were read, else on the validation images.

    `majority` always answers the `largest_class` in training. `balanced_accuracy` is the mean recall of the classes
    that have images, `macro_f1` the mean F1 of those that have any or were answered, `top5` how often the truth is
    among the five most probable classes (from 20 classes on). `calibration_error` is the expected calibration error
    (Guo et al. 2017): the mean distance of confidence and accuracy over the bins of `calibration`, weighted by their
    images. `confusion` counts answers by truth, without zeros. Null is what earlier versions did not store.
    """

    part: Literal["val", "test"]
    majority: Accuracy
    classes: list[ClassScore]
    confusion: dict[str, dict[str, int]]
    most_wrong: list[Mistake]
    largest_class: str | None = None
    balanced_accuracy: Measure | None = None
    macro_f1: float | None = None
    top5: Accuracy | None = None
    calibration_error: float | None = None
    calibration: list[CalibrationBin] = field(default_factory=list)

    @property
    def matrix(self) -> list[list[int]]:
        """The confusion matrix (K, K): truth by row, answer by column."""
        names = [score.name for score in self.classes]
        return [[self.confusion.get(truth, {}).get(answer, 0) for answer in names] for truth in names]

    @property
    def measures(self) -> dict[str, float]:
        """The measures that are known, by the names of their fields."""
        balanced, top5 = self.balanced_accuracy, self.top5
        values = {
            "balanced_accuracy": balanced.value if balanced else None,
            "macro_f1": self.macro_f1,
            "top5": top5.value if top5 else None,
            "calibration_error": self.calibration_error,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class TrainingResult:
    """One training run: of the kept weights `train`, `val` and `test` (all without dropout).

    `last_*` are the last epoch's, the training accuracy as averaged while training; `majority` always answers the
    largest class in training, on the validation images. `judged` has the results by class. `kept_epoch` is the one
    whose weights are kept, `best_epoch` the one the monitored metric chose.
    `*_without_duplicates` leave out the images that are also among those for training (of test: or for validation),
    and are None where there are none, or no others. `weights_sha256` is that of model/model.safetensors, `card_sha256`
    that in model/model.json of its own values; of earlier versions ''.
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
    judged: JudgedPart
    folder: str
    val_without_duplicates: Accuracy | None = None
    test_without_duplicates: Accuracy | None = None
    weights_sha256: str = ""
    card_sha256: str = ""


def without_knowledge(majority: float, classes: int) -> tuple[float, str]:
    """Return the accuracy of what knows nothing of an image, and what that is.

    It is what always answering the largest class in training reaches (`majority`), or chance where that is more: in
    data with a split of its own that class can be rare among the images that are judged.
    """
    if majority >= 1 / classes:
        return majority, "always answering the largest class"
    return 1 / classes, f"chance, 1 of {classes} classes"


def repeated_by(runs: Sequence[TrainingResult]) -> str:
    """Return what several runs differ in, by their folders: seeds or folds."""
    return "folds" if runs[0].folder.startswith("folds/") else "seeds"


@dataclass(frozen=True)
class TrainingResults:
    """All runs of a training command, their spread over seeds (from two runs on), and the verdict in words.

    `judged` has the spread of each measure of the runs' judged parts.
    """

    runs: list[TrainingResult]
    train: Spread | None
    val: Spread | None
    last_val: Spread | None
    test: Spread | None
    verdict: str
    val_without_duplicates: Spread | None = None
    test_without_duplicates: Spread | None = None
    judged: dict[str, Spread] = field(default_factory=dict)

    @property
    def repeated(self) -> str:
        """What the runs differ in: seeds or folds."""
        return repeated_by(self.runs)

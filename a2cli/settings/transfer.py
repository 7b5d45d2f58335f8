"""The settings of features and fine-tuning: a backbone, what is taken from it, and the head put on it."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len, Lt

from a2cli.errors import SettingsError
from a2cli.settings.declare import Count, Hidden, Share, Threads, setting
from a2cli.settings.training import ActivationName, SplitSettings, TrainingSettings

GridPool = Literal["average", "max", "root"]
Grid = Annotated[int, Ge(0), Le(256)]
AUTO_LAYER = "auto"


@dataclass(frozen=True, kw_only=True)
class BackboneSettings:
    """Backbone"""

    backbone: str = setting("alexnet", "One of torchvision's networks by name, as alexnet or resnet18.", any_case=True)
    run: str | None = setting(
        None,
        "Instead, the network of a finished training run of a2's, by its folder; of a comparison, an "
        "ablation, or of several seeds or folds, its best run.",
    )
    weights: str = setting(
        "imagenet",
        "Its weights: imagenet (torchvision's download, checked, kept in its cache), a .safetensors or .pth file by "
        "torchvision's names, or none: random ones, and everything is stamped NOT PRETRAINED.",
        words=(("imagenet", "imagenet"), ("none", "none")),
    )
    partial: bool = setting(False, "Take a file that lacks weights that are needed; they begin at random, listed.")


@dataclass(frozen=True, kw_only=True)
class PicturesSettings:
    """Data"""

    data: str = setting(
        "portraits", "Images, as for train-cnn: a folder with one sub-folder a class, a CSV, an .npz, a set's name."
    )
    image_size: Annotated[int, Ge(4), Le(1024)] | None = setting(
        None, "Side of the square image the network sees, in pixels; without it, what its weights were trained on."
    )
    fit: Literal["weights", "squash", "crop", "pad"] = setting(
        "weights",
        "How an image that is not square becomes one: as its weights want it (the shorter side resized, then the "
        "centre), squashed, cropped to its centre, or padded with black.",
    )
    skip_damaged: bool = setting(False, "Leave out files that cannot be read as images, and list them in the report.")


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """Features"""

    layer: Annotated[tuple[str, ...], Len(1)] = setting(
        (AUTO_LAYER,),
        "Layers, all from one pass: by number (conv1 with its ReLU, pool5, fc6), or by torchvision's node names "
        "(features.8, layer3.1.relu_1); of a --run by its own layers' names; auto is conv4, and of a network without "
        "it the last layer before its classifier.",
    )
    before_relu: bool = setting(False, "Take conv and fc layers before their ReLU.")
    grid: Grid = setting(0, "Pool maps to a grid of this side; 0 keeps whole maps.")
    grid_pool: GridPool = setting(
        "average", "How each cell of the grid is pooled; root: the mean of the square roots.", acts_with=("grid",)
    )
    baselines: bool = setting(
        False,
        "Besides, what train-mlp --probe compares with: the same layers with random weights, and the pixels at 28x28.",
    )
    batch_size: Count = setting(32, "Images per forward pass.")
    precision: Literal["fp32", "bf16"] = setting("fp32", "Arithmetic: 32-bit floats, or bfloat16 autocast.")
    device: str = setting("auto", "Device: auto, cpu, cuda, cuda:1, mps.", any_case=True)
    threads: Threads = setting(0, "Processor threads; auto takes four on any machine.", words=(("auto", 0),))


@dataclass(frozen=True, kw_only=True)
class ExtractFeaturesSettings:
    """Everything that decides the result of `a2 extract-features`."""

    dataset: PicturesSettings = PicturesSettings()
    backbone: BackboneSettings = BackboneSettings()
    features: FeatureSettings = FeatureSettings()


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (), "Settings from a preset's name or a YAML file; repeatable, later ones win.", short="-p", repeatable=True
    )
    out: str = setting("features.safetensors", "The file to write.")
    overwrite: bool = setting(False, "Write it although a file of that name is there.")
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; do nothing.")
    html: bool = setting(False, "Besides, write the report as an HTML file, beside the file and named like it.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print the file's name alone.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """Head"""

    head_grid: Grid = setting(0, "Pool maps to a grid of this side before the head; 0 takes them as they are.")
    head_pool: GridPool = setting(
        "average",
        "How each cell of that grid is pooled; root: the mean of the square roots.",
        acts_with=("head_grid",),
    )
    head_standardize: bool = setting(
        False,
        "Standardize each feature before the head to mean 0 and standard deviation 1 over the training images, clipped "
        "at 3.",
    )
    hidden: Hidden = setting((), "Units of each hidden linear layer; none for a linear classifier.")
    activation: ActivationName = setting("relu", "Activation after each hidden layer.")
    dropout: Share = setting(0.5, "Dropout probability before each linear layer.")


@dataclass(frozen=True, kw_only=True)
class FeatureFileSettings:
    """Features"""

    features: str | None = setting(
        None,
        "Learn from a file of 'a2 extract-features' instead of images. Defaults are then section 2.2's: no hidden "
        "layer, Adam at 5e-5, batches of 32, decay 1e-5, no scheduler.",
    )
    data: str | None = setting(None, "Refuse a features file that is not of these images.")
    layer: str | None = setting(None, "Which of its layers; without it, the first.")
    probe: bool = setting(
        False,
        "Also fit the usual classifiers to every layer of the file, its baselines too: logistic regression, with its "
        "regularisation chosen on validation images, and nearest neighbours.",
    )


@dataclass(frozen=True, kw_only=True)
class TrainFeaturesSettings:
    """Everything that decides the result of `a2 train-mlp --features`; the defaults are section 2.2's."""

    features: FeatureFileSettings = FeatureFileSettings()
    split: SplitSettings = SplitSettings()
    network: HeadSettings = HeadSettings()
    training: TrainingSettings = TrainingSettings(learning_rate=5e-5, batch_size=32, weight_decay=1e-5)


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """Stages"""

    stages: str = setting(
        "head:20 all:10@1e-5",
        "What is trained, one stage after the other, each as WHAT[:EPOCHS][@RATE]: head, LAYER+ (from that layer "
        "upward, as conv5+) or all; --epochs and --learning-rate stand in for what is left out.",
    )
    layer: str | None = setting(
        None, "Put the head behind this layer; without it, in place of the network's last linear layer."
    )
    layer_decay: Annotated[float, Gt(0), Le(1)] = setting(
        1.0, "Each layer's learning rate as a share of that of the layer above it."
    )
    trunk_weight_decay: Annotated[float, Ge(0), Lt(1)] | None = setting(
        None, "Weight decay of what was pretrained; without it, --weight-decay, as for the head."
    )
    cache: bool = setting(
        True, "Compute what is frozen once for each image and keep it in the cache; --augment switches that off."
    )
    augment: tuple[str, ...] = setting(
        (), "Random changes of each training image, as name or name=strength; see 'a2 train-cnn --help'.", any_case=True
    )


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """Everything that decides the result of `a2 finetune`."""

    dataset: PicturesSettings = PicturesSettings()
    split: SplitSettings = SplitSettings()
    backbone: BackboneSettings = BackboneSettings()
    stages: StageSettings = StageSettings()
    network: HeadSettings = HeadSettings()
    # Of several stages the best is kept: one with too large a rate spoils what the one before it had learned.
    training: TrainingSettings = TrainingSettings(
        learning_rate=1e-3, batch_size=32, weight_decay=1e-5, restore_best=True
    )


@dataclass(frozen=True)
class Stage:
    """One stage of a fine-tuning: `what` is trained (head, LAYER+ or all), how long, at which rate."""

    what: str
    epochs: int
    learning_rate: float

    def __str__(self) -> str:
        return f"{self.what}:{self.epochs}@{self.learning_rate:g}"


STAGE = re.compile(r"(head|all|[^\s:@+]+\+)(?::([0-9]{1,6}))?(?:@([0-9.eE+-]+))?")


def stages_of(settings: FinetuneSettings) -> list[Stage]:
    """Return the stages of a fine-tuning in their order; raises SettingsError for one that is none."""
    stages, training = [], settings.training
    for word in settings.stages.stages.split():
        match = STAGE.fullmatch(word)
        try:
            what, epochs, rate = match.groups() if match else ("", None, None)
            stage = Stage(what, int(epochs or training.epochs), float(rate or training.learning_rate))
        except ValueError:
            stage = Stage("", 0, 0.0)
        if not stage.what or not stage.epochs or not 0 < stage.learning_rate <= 1000:
            raise SettingsError(f"--stages: expected WHAT[:EPOCHS][@RATE], as head:10 or conv5+:5@1e-5, got {word!r}")
        stages.append(stage)
    if not stages:
        raise SettingsError("--stages: expected one stage at least, as head:10, got none")
    return stages

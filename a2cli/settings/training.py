"""The settings of a training: data, network, training, and what to do with the run."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len, Lt

from a2cli.errors import SettingsError
from a2cli.settings.declare import Count, CountOrOff, Hidden, PerLayer, Share, Threads, setting
from a2cli.settings.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    OptimizerName = str
else:
    OptimizerName = Literal[tuple(OPTIMIZERS)]
ActivationName = Literal["relu", "leaky-relu", "elu", "gelu", "silu", "tanh"]
StatisticsName = Literal["texture", "colors", "layout"]
SchedulerName = Literal["none", "plateau", "step", "multistep", "cosine"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Data"""

    data: str = setting(
        "atelier",
        "Images to learn from: a folder with one sub-folder a class (or train/, val/, test/ of such folders), "
        "a CSV manifest (path,label[,split]), an .npz (images, labels), a torchvision data set's name, "
        "paintings (after 'a2 data get paintings'), or a built-in set: atelier, portraits.",
    )
    image_size: Annotated[int, Ge(4), Le(1024)] = setting(50, "Side of the square image the network sees, in pixels.")
    fit: Literal["squash", "crop", "pad"] = setting(
        "squash", "How an image that is not square becomes one: squashed, cropped to its centre, or padded with black."
    )
    normalize: Literal["train", "imagenet", "half"] = setting(
        "train",
        "Pixel scaling: to mean 0 and standard deviation 1 over the training images, with ImageNet's mean and "
        "deviation, or to [-0.5, 0.5] (half).",
    )
    skip_damaged: bool = setting(False, "Leave out files that cannot be read as images, and list them in the report.")
    augment: tuple[str, ...] = setting(
        (),
        "Random changes of each training image, as name or name=strength: flip=0.5 (probability), crop=0.8 (smallest "
        "side kept), rotate=15 (degrees), translate=0.1 (of the side), color-jitter=0.4, grayscale=0.2 (probability); "
        "mixup=0.5 and cutmix=0.5 (probability) mix it, and its label, with another one.",
        any_case=True,
    )


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """Split"""

    split: Literal["stratified", "random"] = setting(
        "stratified", "How validation images are drawn: the same share of every class, or plainly at random."
    )
    val_fraction: Annotated[float, Gt(0), Lt(1)] = setting(
        0.2, "Share of the images held out for validation.", instead_of="val_count"
    )
    val_count: Count | None = setting(None, "Number of images held out for validation, instead of a share.")
    test_fraction: Share = setting(0.0, "Share of the images held out as the test set, which only --final evaluates.")
    folds: CountOrOff = setting(
        0, "Number of cross-validation folds, a run each, instead of one split; 0: no cross-validation."
    )
    fold: CountOrOff | None = setting(None, "Only the run that holds out this part; parts count from 0.")
    train_per_class: Count | None = setting(None, "Train on at most this many images of each class.")
    duplicates: Literal["keep", "drop", "error", "ungrouped"] = setting(
        "keep",
        "Images with the same pixels: keep holds them in the same part of the split; drop uses the first of each group "
        "(none of a group under two labels); error refuses them; ungrouped draws each by itself, as runs did before "
        "this setting.",
        before="ungrouped",
    )


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Network (one value serves all layers, a comma list gives one each)"""

    channels: PerLayer = setting((16, 16), "Output channels of each convolution; as many convolutions as numbers.")
    kernel_size: PerLayer = setting((5,), "Side of each convolution's kernel, in pixels.")
    stride: PerLayer = setting((2,), "Stride of each convolution, in pixels.")
    padding: Annotated[tuple[CountOrOff, ...], Len(1)] = setting(
        (0,), "Zero padding of each convolution, in pixels per side."
    )
    pool: Literal["none", "max", "average"] = setting("none", "Pooling after each convolution's activation.")
    pool_size: PerLayer = setting((2,), "Side of the pooling window.", acts_with=("pool", "max", "average"))
    pool_stride: PerLayer = setting((2,), "Stride of the pooling window.", acts_with=("pool", "max", "average"))
    norm: Literal["none", "batch", "group", "local-response", "weight"] = setting(
        "none", "Normalisation: batch, group or local response of each convolution's output, or of the weights."
    )
    activation: ActivationName = setting("relu", "Activation after each convolution and hidden layer.")
    dropout: Annotated[tuple[Share, ...], Len(1)] = setting((0.0,), "Dropout probability after each activation.")
    dropout_at: tuple[str, ...] = setting(
        ("all",),
        "Where dropout acts: all, or names out of conv1, conv2, ..., hidden1, ...; conv and hidden mean all such.",
        any_case=True,
    )
    shortcuts: bool = setting(
        False, "Residual (skip) connections around each two convolutions, from the second convolution on."
    )
    global_pool: Literal["none", "average", "moments"] = setting(
        "none",
        "Global pooling before the linear layers: none, each map's average, or moments (its mean and standard "
        "deviation).",
    )
    statistics: tuple[StatisticsName, ...] = setting(
        (),
        "Statistics of the image, by filters that do not learn, that the linear layers get besides the maps: texture "
        "(moments of Gabor energies at several sizes), colors (their histogram), layout (mean colours of 4x4 fields).",
    )
    hidden: Hidden = setting((64,), "Units of each hidden linear layer; none for no hidden layer.")


@dataclass(frozen=True, kw_only=True)
class MlpSettings:
    """Multilayer perceptron"""

    hidden: PerLayer = setting((300,), "Units of each hidden linear layer.")
    activation: ActivationName = setting("relu", "Activation after each hidden layer.")
    dropout: Annotated[tuple[Share, ...], Len(1)] = setting(
        (0.5,), "Dropout probability after each activation; one for all layers, or one each."
    )
    initialization: Literal["xavier", "he", "default"] = setting(
        "xavier",
        "Weight initialization: Glorot & Bengio 2010, He et al. 2015 (both uniform, biases zero), or torch's default.",
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Training"""

    epochs: Count = setting(50, "Epochs: passes over the training images.")
    batch_size: Count = setting(16, "Images per optimizer step.")
    optimizer: OptimizerName = setting("adam", "Optimization algorithm.")
    learning_rate: Annotated[float, Gt(0), Le(1000)] = setting(1e-4, "Learning rate (step size).")
    weight_decay: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "Weight decay: coefficient of an L2 penalty added to the gradient (with adamw: decoupled from it)."
    )
    momentum: Annotated[float, Gt(0), Lt(1)] = setting(
        0.9,
        "Momentum coefficient.",
        acts_with=("optimizer", *(name for name, spec in OPTIMIZERS.items() if spec.takes_momentum)),
    )
    loss: Literal["cross-entropy", "double-softmax"] = setting(
        "cross-entropy",
        "Loss; double-softmax feeds softmax outputs to the cross entropy, as the coursework's code does.",
    )
    label_smoothing: Share = setting(0.0, "Share of each target spread evenly over all classes.")
    scheduler: SchedulerName = setting("none", "Learning-rate scheduler.")
    plateau_patience: CountOrOff = setting(
        10, "Epochs without improvement before plateau lowers the learning rate.", acts_with=("scheduler", "plateau")
    )
    plateau_factor: Annotated[float, Gt(0), Lt(1)] = setting(
        0.1, "Factor by which plateau multiplies the learning rate.", acts_with=("scheduler", "plateau")
    )
    step_size: Count = setting(20, "Epochs between two steps of the step scheduler.", acts_with=("scheduler", "step"))
    milestones: Annotated[tuple[Count, ...], Len(1)] = setting(
        (25, 40), "Epochs after which multistep lowers the learning rate.", acts_with=("scheduler", "multistep")
    )
    gamma: Annotated[float, Gt(0), Lt(1)] = setting(
        0.1,
        "Factor by which step and multistep multiply the learning rate.",
        acts_with=("scheduler", "step", "multistep"),
    )
    min_learning_rate: Annotated[float, Ge(0)] = setting(
        0.0, "Lowest learning rate of plateau and cosine.", acts_with=("scheduler", "plateau", "cosine")
    )
    warmup_epochs: CountOrOff = setting(0, "Epochs of linear warmup of the learning rate.")
    early_stopping: CountOrOff = setting(0, "Stop after this many epochs without improvement of --monitor; 0: never.")
    monitor: Literal["val-loss", "val-accuracy", "train-loss"] = setting(
        "val-loss", "Metric that early stopping, plateau and --restore-best follow."
    )
    average_weights: Share = setting(
        0.0,
        "Decay of an exponential moving average (EMA) of the weights, as 0.99; the EMA weights are evaluated and "
        "saved. 0: none.",
    )
    test_curve: bool = setting(
        False,
        "Evaluate the test set after every epoch as well, for a learning curve; each evaluation is counted in "
        "the report, and nothing depends on it.",
        before=False,
    )
    restore_best: bool = setting(False, "Keep the weights of the best epoch, by --monitor, rather than of the last.")
    precision: Literal["fp32", "bf16"] = setting("fp32", "Arithmetic: 32-bit floats, or bfloat16 autocast.")
    device: str = setting("auto", "Device: auto, cpu, cuda, cuda:1, mps.", any_case=True)
    threads: Threads = setting(
        0, "Processor threads; auto takes one where steps are short, else four, on any machine.", words=(("auto", 0),)
    )
    seed: Annotated[int, Ge(0)] = setting(
        0, "Seed of the split, the initial weights, the order of the images, the augmentation and the dropout."
    )
    seeds: Count = setting(1, "Number of runs, with seeds counting up from --seed; one report with intervals.")


@dataclass(frozen=True, kw_only=True)
class TrainCnnSettings:
    """Everything that decides the result of `a2 train-cnn`."""

    dataset: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()


FACES = DataSettings(data="portraits", image_size=28)


@dataclass(frozen=True, kw_only=True)
class TrainMlpSettings:
    """Everything that decides the result of `a2 train-mlp`; its defaults are the coursework's section 2.1.

    Its split is every command's, so that one seed holds out the same images; the preset 2.1-mlp has the coursework's.
    """

    dataset: DataSettings = FACES
    split: SplitSettings = SplitSettings()
    network: MlpSettings = MlpSettings()
    training: TrainingSettings = TrainingSettings(
        learning_rate=1e-3, batch_size=32, scheduler="plateau", plateau_patience=6
    )


ImageTraining = TrainCnnSettings | TrainMlpSettings


def is_drawn(test_fraction: float, given: Collection[str]) -> bool:
    """Return whether any images are held out by the seed, from data that came with these parts of a split."""
    return "val" not in given or ("test" not in given and test_fraction > 0)


def split_flags(config: Mapping[str, Any], given: Collection[str] = ()) -> str:
    """Return the flags that have another command hold out the images of this one; empty where the defaults do.

    config: a training's settings by name; given: the parts of the split that the data came with.
    """
    usual = asdict(SplitSettings())
    unused = {"train_per_class", *(["val_fraction"] if config["val_count"] or config["folds"] else [])}
    unused |= {"val_fraction", "val_count", "folds", "fold"} if "val" in given else set()
    unused |= {"test_fraction"} if "test" in given else set()
    if not is_drawn(config["test_fraction"], given):
        unused |= {"split", *(["duplicates"] if config.get("duplicates") == "ungrouped" else [])}
    words = [f"--{name.replace('_', '-')} {config[name]}" for name in usual
             if name not in unused and config.get(name, usual[name]) != usual[name]]  # fmt: skip
    return " ".join(words)


# Each augmentation's strength when none is given, and the largest that makes sense.
AUGMENTATIONS = {
    "flip": (0.5, 1.0),
    "crop": (0.8, 1.0),
    "rotate": (15.0, 180.0),
    "translate": (0.1, 1.0),
    "color-jitter": (0.4, 1.0),
    "grayscale": (0.2, 1.0),
    "mixup": (0.5, 1.0),
    "cutmix": (0.5, 1.0),
}


def augmentations(words: tuple[str, ...]) -> dict[str, float]:
    """Return the strength of each augmentation named, as `name` or `name=strength`.

    Raises SettingsError for an unknown name or a strength out of range.
    """
    strengths: dict[str, float] = {}
    for word in words:
        name, _, given = word.partition("=")
        if name not in AUGMENTATIONS:
            raise SettingsError(
                f"--augment: expected names out of {', '.join(AUGMENTATIONS)}, alone or as name=strength, got {name!r}"
            )
        usual, most = AUGMENTATIONS[name]
        try:
            strength = float(given) if given else usual
        except ValueError:
            strength = -1.0
        if not 0 < strength <= most:
            raise SettingsError(f"--augment: expected {name}=strength above 0 and at most {most:g}, got {word!r}")
        strengths[name] = strength
    if strengths.get("mixup", 0) + strengths.get("cutmix", 0) > 1:
        raise SettingsError("--augment: an image is mixed one way; expected mixup and cutmix of 1 together at most")
    return strengths

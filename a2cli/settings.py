"""Every setting, declared once: its type with bounds, its default, its sentence of help.

`options.py` makes the command-line flags from these dataclasses, pydantic checks values against them, and a run's
`config.yaml` is their `asdict`. A dataclass is one help panel; its docstring is the panel's title.
"""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt

from a2cli.errors import SettingsError

MOST = 2**31 - 1  # what torch takes for a size everywhere
Count = Annotated[int, Ge(1), Le(MOST)]
CountOrOff = Annotated[int, Ge(0), Le(MOST)]
Share = Annotated[float, Ge(0), Lt(1)]
PerLayer = Annotated[tuple[Count, ...], Len(1)]


def setting(default: Any, help: str, *, acts_with: tuple[str, ...] | None = None, short: str = "") -> Any:  # noqa: A002
    """One setting: its default and its sentence of help.

    `acts_with` is `(other setting, value, ...)`: this one has an effect only when the other has one of the values.
    """
    return field(default=default, metadata={"help": help, "acts_with": acts_with, "short": short})


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
    split: Literal["stratified", "random"] = setting(
        "stratified", "How validation images are drawn: the same share of every class, or plainly at random."
    )
    val_fraction: Annotated[float, Gt(0), Lt(1)] = setting(0.2, "Share of the images held out for validation.")
    val_count: Count | None = setting(None, "Number of images held out for validation, instead of a share.")
    test_fraction: Share = setting(0.0, "Share of the images sealed for the one test that --final reads.")
    train_per_class: Count | None = setting(None, "Train on at most this many images of each class.")
    normalize: Literal["train", "imagenet", "half"] = setting(
        "train",
        "Pixel scaling: to mean 0 and deviation 1 over the training images, with ImageNet's mean and deviation, "
        "or to [-0.5, 0.5] (half).",
    )
    skip_damaged: bool = setting(False, "Leave out files that cannot be read as images, and list them in the report.")
    augment: tuple[str, ...] = setting(
        (),
        "Random changes of each training image, as name or name=strength: flip=0.5 (probability), crop=0.8 (smallest "
        "side kept), rotate=15 (degrees), translate=0.1 (of the side), color-jitter=0.4, grayscale=0.2 (probability).",
    )


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Network (one value serves all layers, a comma list gives one each)"""

    channels: PerLayer = setting((16, 16), "Output channels of each convolution; as many convolutions as numbers.")
    kernel_size: PerLayer = setting((5,), "Side of each convolution's kernel, in pixels.")
    stride: PerLayer = setting((2,), "Step between neighbouring positions of each convolution's kernel.")
    padding: Annotated[tuple[CountOrOff, ...], Len(1)] = setting((0,), "Zeros added around each convolution's input.")
    pool: Literal["none", "max", "average"] = setting("none", "Pooling after each convolution's activation.")
    pool_size: PerLayer = setting((2,), "Side of the pooling window.", acts_with=("pool", "max", "average"))
    pool_stride: PerLayer = setting((2,), "Step of the pooling window.", acts_with=("pool", "max", "average"))
    norm: Literal["none", "batch", "group", "local-response", "weight"] = setting(
        "none", "Normalisation: batch, group or local response of each convolution's output, or of the weights."
    )
    activation: Literal["relu", "leaky-relu", "elu", "gelu", "silu", "tanh"] = setting(
        "relu", "Activation after each convolution and hidden layer."
    )
    dropout: Annotated[tuple[Share, ...], Len(1)] = setting(
        (0.0,), "Probability of dropping a value after each activation while training."
    )
    dropout_at: tuple[str, ...] = setting(
        ("all",),
        "Where dropout acts: all, or names out of conv1, conv2, ..., hidden1, ...; conv and hidden mean all such.",
    )
    hidden: tuple[Count, ...] = setting((64,), "Units of each hidden linear layer; none for no hidden layer.")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Training"""

    epochs: Count = setting(50, "Passes over the training images.")
    batch_size: Count = setting(16, "Images a step.")
    optimizer: Literal["adam", "adamw", "nadam", "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adadelta"] = (
        setting("adam", "Rule that turns gradients into steps.")
    )
    learning_rate: Annotated[float, Gt(0), Le(1000)] = setting(1e-4, "Length of a step.")
    weight_decay: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "L2 penalty's coefficient, added to the gradient (with adamw: shrinks the weights directly)."
    )
    momentum: Annotated[float, Gt(0), Lt(1)] = setting(
        0.9, "Share of the last step that the next one keeps.", acts_with=("optimizer", "momentum", "nesterov")
    )
    loss: Literal["cross-entropy", "double-softmax"] = setting(
        "cross-entropy",
        "Loss; double-softmax feeds softmax outputs to the cross entropy, as the coursework's code does.",
    )
    label_smoothing: Share = setting(0.0, "Share of each target spread evenly over all classes.")
    scheduler: Literal["none", "plateau", "step", "multistep", "cosine"] = setting(
        "none", "How the learning rate falls over the epochs."
    )
    plateau_patience: CountOrOff = setting(
        10, "Epochs without improvement before plateau lowers the rate.", acts_with=("scheduler", "plateau")
    )
    plateau_factor: Annotated[float, Gt(0), Lt(1)] = setting(
        0.1, "What plateau multiplies the rate by.", acts_with=("scheduler", "plateau")
    )
    step_size: Count = setting(20, "Epochs between falls of the step scheduler.", acts_with=("scheduler", "step"))
    milestones: Annotated[tuple[Count, ...], Len(1)] = setting(
        (25, 40), "Epochs after which the multistep scheduler lowers the rate.", acts_with=("scheduler", "multistep")
    )
    gamma: Annotated[float, Gt(0), Lt(1)] = setting(
        0.1, "What step and multistep multiply the rate by.", acts_with=("scheduler", "step", "multistep")
    )
    min_learning_rate: Annotated[float, Ge(0)] = setting(
        0.0, "Where plateau and cosine stop lowering the rate.", acts_with=("scheduler", "plateau", "cosine")
    )
    warmup_epochs: CountOrOff = setting(0, "Epochs over which the rate rises to its full value.")
    early_stopping: CountOrOff = setting(0, "Stop after this many epochs without improvement; 0 trains all epochs.")
    monitor: Literal["val-loss", "val-accuracy", "train-loss"] = setting(
        "val-loss", "What early stopping, plateau and the choice of the best epoch look at."
    )
    restore_best: bool = setting(True, "Keep the weights of the best epoch rather than of the last.")
    precision: Literal["fp32", "bf16"] = setting("fp32", "Arithmetic: 32-bit floats, or bfloat16 autocast.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    threads: Annotated[int, Ge(0), Le(1024)] = setting(0, "Processor threads; 0 takes every core.")
    seed: Annotated[int, Ge(0)] = setting(
        0, "Seed of the split, the weights, the order, the augmentation and the dropout."
    )
    seeds: Count = setting(1, "Number of runs, with seeds counting up from --seed; one report with intervals.")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (), "Settings from a preset's name or a YAML file; repeatable, later ones win.", short="-p"
    )
    out: str | None = setting(None, "The run's folder; without it, a new one in runs/.")
    resume: str | None = setting(None, "Go on with an interrupted run, from its folder.")
    final: bool = setting(False, "Read the sealed test images, once, with the finished network.")
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; train nothing.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print the run's folder alone.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class LookOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (),
        "A preset of train-cnn, by name or YAML file, for its network, images and their size; repeatable.",
        short="-p",
    )
    figures: bool = setting(False, "Draw figures, into a run's folder with the report.")
    out: str | None = setting(None, "The run's folder; without it, a new one in runs/.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print the run's folder alone.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """What to look at"""

    layers: str | None = setting(
        None,
        "Layers in words, as 'conv5 conv3' or 'stem=conv7s2p3 relu pool3s2p1': conv or pool, kernel (3x7 for rows x "
        "columns), then s stride, p padding, d dilation, ceil; instead of the ConvNet that the network flags describe.",
    )
    model: str | None = setting(None, "One of torchvision's image classifiers by name, as resnet50, instead.")
    run: str | None = setting(None, "The network of a train-cnn run, by its folder, instead.")
    image_size: Annotated[int, Ge(1), Le(4096)] | None = setting(
        None,
        "Side of the image in pixels; without it, sizes of --layers are formulas in A, and a --model sees 224 pixels.",
    )
    unit: str | None = setting(None, "LAYER,ROW,COLUMN: the box of pixels that this unit sees.")
    pixel: str | None = setting(None, "ROW,COLUMN: the units of each layer that see this pixel.")
    prove: bool = setting(
        False, "Send NaN through the network in torch, from each row and column, and compare what it reaches."
    )


@dataclass(frozen=True, kw_only=True)
class EffectiveSettings:
    """Effective field"""

    effective: bool = setting(
        False,
        "Measure how the gradient of a unit spreads over the pixels (Luo et al. 2016): of each layer's middle unit, of "
        "a --model's last layer or the one that --unit names; with a --run or --weights, trained against untrained.",
    )
    data: str | None = setting(
        None,
        "Images to average over and to draw on, as for train-cnn. Without it those of the run or preset, or atelier.",
    )
    images: Annotated[int, Ge(1)] = setting(16, "How many of its validation images.")
    outputs: Annotated[int, Ge(1)] = setting(16, "How many channels of the map, evenly spaced.")
    weights: str | None = setting(None, "A .safetensors file of trained weights for --model, by torchvision's names.")


@dataclass(frozen=True, kw_only=True)
class ReceptiveFieldSettings:
    """Everything that decides the result of `a2 receptive-field`."""

    stack: StackSettings = StackSettings()
    effective: EffectiveSettings = EffectiveSettings()
    network: NetworkSettings = NetworkSettings()


@dataclass(frozen=True, kw_only=True)
class TrainCnnSettings:
    """Everything that decides the result of `a2 train-cnn`."""

    dataset: DataSettings = DataSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()


@dataclass(frozen=True)
class Declared:
    """One setting as declared: where it stands, its type with bounds, its default, its help."""

    name: str
    group: str
    panel: str
    type: Any
    default: Any
    help: str
    acts_with: tuple[str, ...] | None
    short: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def declared(settings: type, group: str = "") -> Iterator[Declared]:
    """Yield every setting of a dataclass of settings, groups opened, in the order of their declaration."""
    hints = get_type_hints(settings, include_extras=True)
    for item in fields(settings):
        if is_dataclass(hints[item.name]):
            yield from declared(hints[item.name], item.name)
        else:
            yield _declared(item, hints[item.name], group, (settings.__doc__ or "").strip())


def _declared(item: "Field[Any]", hint: Any, group: str, panel: str) -> Declared:
    about = item.metadata
    return Declared(item.name, group, panel, hint, item.default, about["help"], about["acts_with"], about["short"])


def flat(settings: Any) -> dict[str, Any]:
    """Return every setting of a settings object by its name, groups opened."""
    values: dict[str, Any] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        values.update(flat(value) if is_dataclass(value) else {item.name: value})
    return values


# Each augmentation's strength when none is given, and the largest that makes sense.
AUGMENTATIONS = {
    "flip": (0.5, 1.0),
    "crop": (0.8, 1.0),
    "rotate": (15.0, 180.0),
    "translate": (0.1, 1.0),
    "color-jitter": (0.4, 1.0),
    "grayscale": (0.2, 1.0),
}


def augmentations(words: tuple[str, ...]) -> dict[str, float]:
    """Return the strength of each augmentation named, as `name` or `name=strength`.

    Raises SettingsError for an unknown name or a strength out of range.
    """
    found: dict[str, float] = {}
    for word in words:
        name, _, given = word.partition("=")
        if name not in AUGMENTATIONS:
            raise SettingsError(f"--augment: expected names out of {', '.join(AUGMENTATIONS)}, got {name!r}")
        usual, most = AUGMENTATIONS[name]
        try:
            strength = float(given) if given else usual
        except ValueError:
            strength = -1.0
        if not 0 < strength <= most:
            raise SettingsError(f"--augment: expected {name}=strength above 0 and at most {most:g}, got {word!r}")
        found[name] = strength
    return found

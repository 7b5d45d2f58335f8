"""Sizes and receptive fields of a stack of convolutions and poolings, without torch.

Output size: floor((size + 2 padding - kernel) / stride) + 1 (Dumoulin & Visin 2016, relationship 6).
Receptive field: field += (kernel - 1) jump, then jump *= stride (Araujo, Norris & Sim 2019, equation 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from a2cli.errors import SettingsError
from a2cli.formats import counted
from a2cli.settings.declare import MOST
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.training import MlpSettings, NetworkSettings
from a2cli.settings.transfer import FinetuneSettings, HeadSettings, TrainFeaturesSettings

T = TypeVar("T")
ORIENTATIONS, COLOR_BINS, FIELDS = 4, 6, 4  # of the texture's filters, a colour's axis, a side of the layout
SMALLEST_OCTAVE = 16  # pixels
FEW_THREADS, MANY_THREADS = 1, 4
NO_TRAINING = MANY_THREADS, "forward passes are long"  # what auto chooses for other commands, and why
LONG_STEP = 2**26  # multiply-adds of a forward pass, below which threads wait for one another longer than they compute


@dataclass(frozen=True)
class Stage:
    """One convolution or pooling and the map it leaves; sizes, field and jump are in pixels per side."""

    name: str
    kernel_size: int
    stride: int
    padding: int
    channels: int
    size: int
    field: int
    jump: int


def per_layer(values: Sequence[T], layers: int, flag: str) -> tuple[T, ...]:
    """Return one value a layer: the one given for all, or the list, which must be as long; raises SettingsError."""
    if len(values) == 1:
        return tuple(values) * layers
    if len(values) != layers:
        raise SettingsError(f"{flag}: expected 1 value or {layers} (one a layer), got {len(values)}")
    return tuple(values)


def stages(network: NetworkSettings, image_size: int) -> list[Stage]:
    """Return the ConvNet's convolutions and poolings from the image on.

    Raises SettingsError where a map shrinks to nothing, with the sizes layer by layer, or a list has the wrong length.
    """
    count = len(network.channels)
    kernels = per_layer(network.kernel_size, count, "--kernel-size")
    strides = per_layer(network.stride, count, "--stride")
    paddings = per_layer(network.padding, count, "--padding")
    pool_sizes = per_layer(network.pool_size, count, "--pool-size")
    pool_strides = per_layer(network.pool_stride, count, "--pool-stride")
    maps: list[Stage] = []
    size, field, jump = image_size, 1, 1
    for i, channels in enumerate(network.channels):
        layers = [(f"conv{i + 1}", kernels[i], strides[i], paddings[i])]
        if network.pool != "none":
            layers.append((f"pool{i + 1}", pool_sizes[i], pool_strides[i], 0))
        for name, kernel, stride, padding in layers:
            before, size = size, (size + 2 * padding - kernel) // stride + 1
            if before + 2 * padding < kernel:
                raise SettingsError(_shrunk(image_size, maps, name, kernel, before, padding))
            if channels * max(size, before + 2 * padding) ** 2 > MOST:
                raise SettingsError(
                    f"{name} would make a map of {channels}x{size}x{size} values; use smaller --channels or --padding"
                )
            field, jump = field + (kernel - 1) * jump, jump * stride
            maps.append(Stage(name, kernel, stride, padding, channels, size, field, jump))
    if network.shortcuts:
        _check_shortcuts(network, maps)
    return maps


def pairs(maps: Sequence[Stage]) -> list[tuple[Stage, Stage, Stage]]:
    """Return the convolution before each two that a shortcut leads around, and those two."""
    return list(zip(maps[::2], maps[1::2], maps[2::2], strict=False))


def _check_shortcuts(network: NetworkSettings, maps: list[Stage]) -> None:
    """Raise SettingsError where a shortcut's map is not the size of what it is added to, or its units see more."""
    if network.pool != "none":
        raise SettingsError("--shortcuts: leaves no place for --pool; make maps smaller by --stride")
    if len(maps) % 2 == 0 or len(maps) == 1:
        raise SettingsError(f"--shortcuts: expected one convolution and then pairs of them, got {len(maps)}")
    for before, first, second in pairs(maps):
        stride = first.stride * second.stride
        size, last = -(-before.size // stride), first.kernel_size - 1 + (second.kernel_size - 1) * first.stride
        if size != second.size or last - first.padding - second.padding * first.stride < stride - 1:
            raise SettingsError(
                f"--shortcuts: {first.name} and {second.name} make {second.size}x{second.size} of "
                f"{before.size}x{before.size}, which the shortcut past them cannot; use odd kernels above the --stride "
                "and a --padding of half a kernel"
            )


def values_of(network: NetworkSettings, last: Stage) -> int:
    """Return how many values of each channel of the last map the linear layers get."""
    return {"none": last.size**2, "average": 1, "moments": 2}[network.global_pool]


def octaves(image_size: int) -> int:
    """Return how many sizes of the image, each half of the one before, texture is measured at."""
    return max(1, (image_size // SMALLEST_OCTAVE).bit_length())


def statistics_of(network: NetworkSettings, image_size: int) -> int:
    """Return how many statistics of the image the linear layers get."""
    filters = 3 * ORIENTATIONS
    texture = 2 * filters + filters * (filters - 1) // 2 + 4 * ORIENTATIONS
    counts = {"texture": octaves(image_size) * texture, "colors": COLOR_BINS**3, "layout": 3 * FIELDS**2}
    return sum(counts[kind] for kind in network.statistics)


def features_of(network: NetworkSettings, last: Stage, image_size: int) -> int:
    """Return how many values the linear layers get: those of the last map's channels, and the image's statistics."""
    return last.channels * values_of(network, last) + statistics_of(network, image_size)


def _weights(network: NetworkSettings, image_size: int) -> list[tuple[str, int, int]]:
    """Return each convolution and hidden layer with its weights and the places of its map; raises SettingsError."""
    maps = stages(network, image_size)
    layers, inputs = [], 3
    for stage in maps:
        if stage.name.startswith("conv"):
            layers.append((stage.name, inputs * stage.kernel_size**2 * stage.channels, stage.size**2))
            inputs = stage.channels
    inputs = features_of(network, maps[-1], image_size)
    for i, units in enumerate(network.hidden, start=1):
        layers.append((f"hidden{i}", inputs * units, 1))
        inputs = units
    return layers


def check_weights(network: NetworkSettings, image_size: int) -> None:
    """Raise SettingsError for a layer of more weights than a machine could hold."""
    for name, weights, _ in _weights(network, image_size):
        if weights > MOST:
            raise SettingsError(f"{name} would have {weights:,} weights; use smaller --channels or --hidden")


def least_weights(
    network: NetworkSettings | MlpSettings | HeadSettings, image_size: int, classes: int
) -> tuple[int, int]:
    """Return how many layers with weights a network has, and how many weights at least: of a head's first layer one a
    unit, as its inputs are not known; raises SettingsError."""
    layers = len(network.hidden) + 1
    if isinstance(network, NetworkSettings):
        inputs = (
            network.hidden[-1] if network.hidden else features_of(network, stages(network, image_size)[-1], image_size)
        )
        return layers + len(network.channels), sum(n for _, n, _ in _weights(network, image_size)) + inputs * classes
    inputs = 3 * image_size**2 if isinstance(network, MlpSettings) else 1
    sizes = [inputs, *network.hidden, classes]
    return layers, sum(before * after for before, after in pairwise(sizes))


def check_norm(network: NetworkSettings, image_size: int, smallest_batch: int) -> None:
    """Raise SettingsError where a norm would be over a single value, which it could only make zero.

    Group norm has a group for each channel up to 8 channels.
    """
    for stage in stages(network, image_size):
        if stage.name.startswith("conv") and stage.size == 1:
            if network.norm == "batch" and smallest_batch == 1:
                raise SettingsError(
                    f"--norm batch: {stage.name} leaves one value a channel, and in a batch of one image that is all; "
                    "use another --batch-size"
                )
            if network.norm == "group" and stage.channels <= 8:
                raise SettingsError(f"--norm group: {stage.name} leaves one value a group; use more --channels")


def _shrunk(image_size: int, before: list[Stage], name: str, kernel: int, size: int, padding: int) -> str:
    sizes = [f"image {image_size}", *(f"{stage.name} {stage.size}" for stage in before)]
    padded = f" (padded to {size + 2 * padding})" if padding else ""
    return (
        f"the map shrinks to nothing at {name}: its {kernel}x{kernel} window does not fit a {size}x{size} map{padded}: "
        f"{' -> '.join(sizes)} -> {name} nothing; use a larger --image-size, or a smaller stride, kernel or pool"
    )


def dropout_places(network: NetworkSettings) -> dict[str, float]:
    """Return the dropout probability after each named activation ('conv1' ... 'hidden1' ...); 0 where there is none.

    Raises SettingsError for a name in --dropout-at that the network does not have.
    """
    convs = [f"conv{i + 1}" for i in range(len(network.channels))]
    hiddens = [f"hidden{i + 1}" for i in range(len(network.hidden))]
    names_of = {"all": convs + hiddens, "conv": convs, "hidden": hiddens, **{name: [name] for name in convs + hiddens}}
    chosen: list[str] = []
    for word in network.dropout_at:
        if word not in names_of:
            raise SettingsError(f"--dropout-at: expected names out of {', '.join(names_of)}, got {word!r}")
        chosen += [name for name in names_of[word] if name not in chosen]
    chosen = [name for name in convs + hiddens if name in chosen]
    if not chosen and any(network.dropout):
        raise SettingsError(f"--dropout-at {','.join(network.dropout_at)}: the network has no such layer to drop out")
    rates = dict(zip(chosen, per_layer(network.dropout, len(chosen), "--dropout"), strict=True))
    return {name: rates.get(name, 0.0) for name in convs + hiddens}


def mlp_layers(network: MlpSettings, image_size: int) -> list[tuple[str, int, int, float]]:
    """Return the MLP's hidden layers: name, inputs, units and dropout probability.

    Raises SettingsError for dropout rates that are neither one nor as many as layers, and for too many weights.
    """
    rates = per_layer(network.dropout, len(network.hidden), "--dropout")
    layers, inputs = [], 3 * image_size**2
    for i, (units, rate) in enumerate(zip(network.hidden, rates, strict=True), start=1):
        if inputs * units > MOST:
            raise SettingsError(f"hidden{i} would have {inputs * units:,} weights; use smaller --hidden")
        layers.append((f"hidden{i}", inputs, units, rate))
        inputs = units
    return layers


def multiply_adds(network: NetworkSettings | MlpSettings, image_size: int) -> int:
    """Return the multiply-adds of one image's forward pass through the convolutions and hidden layers."""
    if isinstance(network, MlpSettings):
        return sum(inputs * units for _, inputs, units, _ in mlp_layers(network, image_size))
    return sum(weights * places for _, weights, places in _weights(network, image_size))


def auto_threads(settings: AnyTraining) -> tuple[int, str]:
    """Return how many processor threads a training has where auto chooses, and why.

    Bits depend on it, so it depends on the settings alone and not on the machine.
    """
    if isinstance(settings, FinetuneSettings):
        return MANY_THREADS, "a backbone's steps are long"
    if isinstance(settings, TrainFeaturesSettings):
        return FEW_THREADS, "a head's steps are short"
    batch_size = settings.training.batch_size
    work = batch_size * multiply_adds(settings.network, settings.dataset.image_size)
    size = f"{work / 1e6:,.0f} million multiply-adds in the forward pass of {counted(batch_size, 'image')}"
    if work < LONG_STEP:
        return FEW_THREADS, f"steps are short, {size}"
    return MANY_THREADS, f"steps are long, {size}"

"""The settings of `a2 receptive-field`."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from a2cli.settings.declare import setting
from a2cli.settings.training import NetworkSettings


@dataclass(frozen=True, kw_only=True)
class LookOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (),
        "A preset of train-cnn, by name or YAML file, for its network, images and their size; repeatable.",
        short="-p",
        repeatable=True,
    )
    figures: bool = setting(False, "Draw figures, into a run directory with the report.")
    out: str | None = setting(None, "Run directory; default a new one in runs/.")
    html: bool = setting(False, "Besides, write report.html into the run directory, as a2 report does.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print only the run directory.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """What to look at"""

    layers: str | None = setting(
        None,
        "Layers in words, as 'conv5 conv3' or 'stem=conv7s2p3 relu pool3s2p1': conv or pool, kernel (3x7 for rows x "
        "columns), then s stride, p padding, d dilation, ceil; instead of the ConvNet that the network flags describe.",
    )
    model: str | None = setting(
        None, "One of torchvision's image classifiers by name, as resnet50, instead.", any_case=True
    )
    run: str | None = setting(
        None,
        "The network of a train-cnn run, by its folder, instead; of a comparison, an ablation, or of several seeds or "
        "folds, its best run.",
    )
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
    weights: str | None = setting(
        None, "A .safetensors or .pth file of trained weights for --model, by torchvision's names."
    )


@dataclass(frozen=True, kw_only=True)
class ReceptiveFieldSettings:
    """Everything that decides the result of `a2 receptive-field`."""

    stack: StackSettings = StackSettings()
    effective: EffectiveSettings = EffectiveSettings()
    network: NetworkSettings = NetworkSettings()

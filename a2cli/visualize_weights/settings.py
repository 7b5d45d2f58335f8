"""The settings of `a2 visualize-weights`."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Le, Len

from a2cli.settings.declare import Count, CountOrOff, Threads, setting

ViewName = Literal["filters", "units", "patches", "ascent", "evidence", "film"]
VIEWS: tuple[ViewName, ...] = get_args(ViewName)
MethodName = Literal[
    "gradient", "guided-backprop", "integrated-gradients", "grad-cam", "occlusion", "deep-lift", "gradient-shap"
]
METHODS: tuple[MethodName, ...] = get_args(MethodName)
BY_CAPTUM: tuple[MethodName, ...] = ("deep-lift", "gradient-shap")
FormatName = Literal["png", "svg", "pdf"]


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """What to look at"""

    run: tuple[str, ...] = setting(
        (),
        "Directory of a training run; of a comparison, an ablation, or of several seeds or folds, its best run. "
        "Repeatable: side by side.",
        repeatable=True,
    )
    backbone: str | None = setting(None, "Instead, one of torchvision's networks by name, as alexnet.", any_case=True)
    weights: str | None = setting(
        None,
        "The weights of --backbone: imagenet (torchvision's download), a .safetensors or .pth file by torchvision's "
        "names, or none: random ones.",
        words=(("imagenet", "imagenet"), ("none", "none")),
    )
    data: str | None = setting(
        None,
        "Images to excite units with, as for train-cnn, all of them; or the new location of the run's own. Of those, "
        "and without this flag, the run's validation images are used.",
    )
    show: Annotated[tuple[ViewName, ...], Len(1)] = setting(
        VIEWS,
        "Parts: filters (of a first convolution), units (of a first linear layer, as pictures), patches (of images, "
        "that excite a unit most), ascent (the picture that does), evidence (against random weights), film (of the "
        "training). Without it, all that suit the network.",
    )
    layer: tuple[str, ...] = setting(
        (), "Convolutions whose units patches and ascent show; without it, the last one after the first."
    )
    class_: str | None = setting(
        None, "A class: its most used units are shown first, and maps of --image are of it, not of the answer."
    )
    units: tuple[CountOrOff, ...] = setting(
        (), "Units to show, by their number in the layer; without it, the most used."
    )
    count: Count = setting(16, "Units of a layer to show.")
    redraws: Annotated[int, Ge(4), Le(1000)] = setting(
        16, "How often the network is re-initialised, to hold its weights against; for maps at most 5 times."
    )
    steps: Count = setting(32, "Steps of the ascent.")
    device: str = setting("auto", "Device: auto, cpu, cuda, cuda:1, mps.", any_case=True)
    threads: Threads = setting(0, "Processor threads; auto takes four on any machine.", words=(("auto", 0),))
    seed: Annotated[int, Ge(0)] = setting(0, "Seed of the re-initialised networks, and of where an ascent starts.")


@dataclass(frozen=True, kw_only=True)
class LookSettings:
    """What it looks at"""

    image: tuple[str, ...] = setting(
        (), "An image file, for maps of what the network looks at in it. Repeatable.", repeatable=True
    )
    methods: Annotated[tuple[MethodName, ...], Len(1)] = setting(
        tuple(name for name in METHODS if name not in BY_CAPTUM),
        "Maps, each beside the same from a network with random weights; deep-lift and gradient-shap are captum's, "
        "which pip install 'a2cli[captum]' brings.",
    )


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (), "Settings from such a run's config.yaml; repeatable.", short="-p", repeatable=True
    )
    out: str | None = setting(None, "Run directory; default a new one in runs/.")
    format: Annotated[tuple[FormatName, ...], Len(1)] = setting(("png",), "How figures are written.")
    animate: bool = setting(False, "Write the film of the training as an animated GIF as well.")
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; draw nothing.")
    html: bool = setting(False, "Besides, write report.html into the run directory, as a2 report does.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print only the run directory.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class VisualizeWeightsSettings:
    """Everything that decides the result of `a2 visualize-weights`."""

    view: ViewSettings = ViewSettings()
    look: LookSettings = LookSettings()

"""Times 50 changes of a ConvNet's images: a2's batches against loops over images with PIL transforms. Run by hand:

    python tests/benchmarks/probe_invariance.py ../shared/data/paintings [--pairs 3]

(1) the usual loop: an ImageFolder for each setting, that opens, resizes and changes image by image;
(2) the same loop over pictures decoded and resized once, held in memory.
All sides use the same network (1.6-final, 30 epochs), threads and batch size; a2 is timed with its decode, and with the
measurement of layers besides. Prints median ratios of the pairs, and how far accuracies are apart: from PIL's
transforms, and from torchvision's on tensors.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor, nn
from torchvision.datasets import ImageFolder

from a2cli.machine import cores
from a2cli.probe_invariance.predict_changed import Perturbation, probe_network
from a2cli.probe_invariance.settings import ChangeName, Probe, pixels
from a2cli.probe_invariance.targets import Network, TrainingRun, find_target
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.runs.directory import Run
from a2cli.runtime import set_up
from a2cli.settings.presets import resolve
from a2cli.settings.training import TrainCnnSettings
from a2cli.train.run import train_network

STRENGTHS: dict[ChangeName, tuple[float, ...]] = {
    "translate-x": (-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),
    "translate-y": (-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),
    "rotate": (-45, -30, -15, 15, 30, 45),
    "scale": (0.67, 0.8, 1.25, 1.5),
    "flip-horizontal": (1,),
    "flip-vertical": (1,),
    "brightness": (0.25, 0.5, 0.75, 1.25, 1.5, 2),
    "contrast": (0.25, 0.5, 0.75, 1.25, 1.5, 2),
    "saturation": (0.25, 0.5, 0.75, 1.25, 1.5, 2),
    "gamma": (0.6, 0.8, 1.25, 1.67),
    "grayscale": (1,),
    "invert": (1,),
    "jpeg": (50, 10),
}
SETTINGS = [Perturbation(Probe(name, values), value) for name, values in STRENGTHS.items() for value in values]
BILINEAR = TF.InterpolationMode.BILINEAR
SIDE = 50


def jpeg(image: Any, quality: float) -> Any:
    if isinstance(image, Tensor):
        return TF.to_tensor(jpeg(TF.to_pil_image(image), quality))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(quality))
    return Image.open(file)


def moved(image: Any, right: float, down: float) -> Any:
    return TF.affine(image, 0, [pixels(right, SIDE), pixels(down, SIDE)], 1, [0], BILINEAR)


# The same calls change a PIL image, or a tensor (3, 50, 50) in [0, 1].
TRANSFORMS: dict[str, Callable[[Any, float], Any]] = {
    "translate-x": lambda image, s: moved(image, s, 0),
    "translate-y": lambda image, s: moved(image, 0, s),
    "rotate": lambda image, s: TF.rotate(image, s, BILINEAR),
    "scale": lambda image, s: TF.affine(image, 0, [0, 0], s, [0], BILINEAR),
    "flip-horizontal": lambda image, _: TF.hflip(image),
    "flip-vertical": lambda image, _: TF.vflip(image),
    "brightness": TF.adjust_brightness,
    "contrast": TF.adjust_contrast,
    "saturation": TF.adjust_saturation,
    "gamma": TF.adjust_gamma,
    "grayscale": lambda image, _: (TF.rgb_to_grayscale if isinstance(image, Tensor) else TF.to_grayscale)(image, 3),
    "invert": lambda image, _: TF.invert(image),
    "jpeg": jpeg,
}


@torch.inference_mode()
def loop(model: nn.Module, pictures: Iterable[Any], labels: Tensor, one: Perturbation) -> float:
    """Return the accuracy under one setting, every image changed on its own."""
    assert one.strength is not None
    change = TRANSFORMS[one.probe.name]
    images = [change(picture, one.strength) for picture in pictures]
    images = [image if isinstance(image, Tensor) else TF.to_tensor(image) for image in images]
    answers = [model(torch.stack(images[first : first + 256])).argmax(dim=1) for first in range(0, len(images), 256)]
    return float((torch.cat(answers) == labels).float().mean())


def ours(network: Network, *, layers: bool) -> list[float]:
    device = torch.device("cpu")
    probed = probe_network(network, 0, SETTINGS, "zero", 0, Streams(0), "fp32", device, NullReporter(), layers=layers)
    return [float(probed.after[one].right.mean()) for one in SETTINGS]


def apart(name: str, mine: list[float], theirs: list[float]) -> None:
    gaps = [100 * abs(a - b) for a, b in zip(mine, theirs, strict=True)]
    mean = 100 * abs(statistics.fmean(mine) - statistics.fmean(theirs))
    worst = max(zip(gaps, SETTINGS, strict=True), key=lambda pair: pair[0])
    print(
        f"mean accuracy apart from {name}: {mean:.3f} points; of single settings {statistics.median(gaps):.2f} in the "
        f"median, at most {worst[0]:.2f} ({worst[1].probe.name} {worst[1].strength:g})"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as place:
        os.environ["A2_CACHE_DIR"] = f"{place}/trained"
        flags = {"data": str(arguments.data), "epochs": "30", "image_size": str(SIDE)}
        settings = resolve(TrainCnnSettings, "train-cnn", ["1.6-final"], flags).settings
        train_network(settings, Run.create("train-cnn", f"{place}/run"), NullReporter())
        trained, ratios = TrainingRun(f"{place}/run", settings), dict[str, list[float]]()
        set_up("cpu", cores())
        for pair in range(arguments.pairs):
            os.environ["A2_CACHE_DIR"] = f"{place}/{pair}"  # so that a2 decodes anew
            times = [time.perf_counter()]
            network = find_target(trained, "run", str(arguments.data), lambda _: 0, device, NullReporter()).networks[0]
            mine = ours(network, layers=False)
            times.append(time.perf_counter())
            ours(network, layers=False)
            times.append(time.perf_counter())
            ours(network, layers=True)
            times.append(time.perf_counter())
            labels = network.images.labels
            for one in SETTINGS:
                folder = ImageFolder(str(arguments.data), lambda image: image.resize((SIDE, SIDE), Image.BILINEAR))
                loop(network.model, (image for image, _ in folder), labels, one)
            times.append(time.perf_counter())
            pictures = [image for image, _ in folder]
            times.append(time.perf_counter())
            theirs = [loop(network.model, pictures, labels, one) for one in SETTINGS]
            times.append(time.perf_counter())
            cold, warm, with_layers, usual, _, held = (b - a for a, b in pairwise(times))
            for name, ratio in (
                ("usual loop / a2, its decode included", usual / cold),
                ("usual loop / a2 with layers, packed before", usual / with_layers),
                ("loop over decoded pictures / a2, packed before", held / warm),
            ):
                ratios.setdefault(name, []).append(ratio)
    print(f"{len(SETTINGS)} settings, {len(labels)} images, {arguments.pairs} pairs")
    for name, each in ratios.items():
        print(f"{name}: {statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})")
    apart("PIL's", mine, theirs)
    apart("tensors'", mine, [loop(network.model, map(TF.to_tensor, pictures), labels, one) for one in SETTINGS])


if __name__ == "__main__":
    main()

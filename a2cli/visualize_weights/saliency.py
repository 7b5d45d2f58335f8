"""What a network looks at in one image, each map beside those of networks with random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from a2cli.data import decode
from a2cli.errors import DataError, SettingsError
from a2cli.progress import ProgressReporter
from a2cli.text import printable
from a2cli.visualize_weights.attribution import ALIKE, METHODS, ROUGHLY, UnsuitableError, alike, centred
from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.results import Look, Map
from a2cli.visualize_weights.settings import MethodName
from a2cli.visualize_weights.units import class_number

MOST_RANDOM = 5  # networks with random weights, for each map


@dataclass(frozen=True)
class MapPair:
    """One method's maps (H, W), of the network and of one with random weights; `signed` speak for and against."""

    result: Map
    signed: bool
    trained: NDArray[np.float32]
    random: NDArray[np.float32]


@dataclass(frozen=True)
class SaliencyMaps:
    """A look with its pictures: the image (S, S, 3) uint8, and each method's maps."""

    look: Look
    image: NDArray[np.uint8]
    maps: list[MapPair]


def read_image(file: str, viewed: InspectedNetwork) -> NDArray[np.uint8]:
    """Return an image as the network takes it, (S, S, 3) uint8; raises DataError for what is none."""
    try:
        return decode.to_square(decode.read_image(file).rgb(viewed.value_range), viewed.image_size, viewed.fit)
    except decode.DamagedImageError as error:
        raise DataError(f"--image {printable(file)}: {error}") from None


def look(
    viewed: InspectedNetwork,
    file: str,
    methods: Sequence[MethodName],
    class_: str | None,
    redraws: int,
    reporter: ProgressReporter,
) -> SaliencyMaps:
    """Return what each method says that the network looks at; raises DataError, and SettingsError where none suits."""
    image = read_image(file, viewed)
    pixels = torch.tensor(image).permute(2, 0, 1).to(viewed.device, torch.float32) / 255
    with torch.no_grad():
        probabilities = viewed.graph(pixels[None])[0].softmax(dim=0)
    answer = int(probabilities.argmax())
    target = answer if class_ is None else class_number(viewed, class_)
    baseline = torch.tensor(viewed.baseline, device=viewed.device)
    graph, drawn = centred(viewed.graph), [centred(viewed.redrawn(i)) for i in range(min(redraws, MOST_RANDOM))]
    maps, skipped = list[MapPair](), dict[str, str]()
    for name in reporter.batches(methods, len(methods)):
        try:
            own = METHODS[name](graph, pixels, target, baseline)
        except UnsuitableError as error:
            skipped[name] = str(error)
            continue
        others = [ROUGHLY[name](random, pixels, target, baseline).values for random in drawn]
        likeness = [rank for other in others if (rank := alike(own.values, other)) is not None]
        spread = (fmean(likeness), min(likeness), max(likeness)) if likeness else None
        total = None if own.change is None else float(own.values.double().sum())
        says_nothing = spread is not None and round(spread[0], 2) >= ALIKE  # as it is printed
        result = Map(name, spread, len(likeness), says_nothing, total, own.change)
        maps.append(MapPair(result, own.signed, own.values.cpu().numpy(), others[0].cpu().numpy()))
    if not maps:
        raise SettingsError(f"--methods: none suits {viewed.name}: {next(iter(skipped.values()))}")
    names, results = viewed.class_names, [pair.result for pair in maps]
    found = Look(
        viewed.name, printable(file), names[answer], float(probabilities[answer]), names[target], results, skipped
    )
    return SaliencyMaps(found, image, maps)

"""What a network looks at in one image, each map beside those of networks with random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from a2cli.data import decode
from a2cli.errors import DataError, SettingsError
from a2cli.progress import ProgressReporter
from a2cli.text import printable
from a2cli.visualize_weights.attribution import ALIKE, METHODS, ROUGHLY, Attribution, UnsuitableError, alike, centred
from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.results import Look, Map
from a2cli.visualize_weights.settings import MethodName
from a2cli.visualize_weights.unit_figures import class_number

MOST_RANDOM = 5  # networks with random weights, for each map


@dataclass(frozen=True)
class SaliencyMaps:
    """A look with its pictures: the image (S, S, 3) uint8, and each method's maps, trained and of random weights."""

    look: Look
    image: Tensor
    trained: list[Attribution]
    random: list[Tensor]


def read_image(file: str, viewed: InspectedNetwork) -> Tensor:
    """Return an image as the network takes it, (S, S, 3) uint8; raises DataError for what is none."""
    try:
        image = decode.read_image(file).rgb(viewed.value_range)
        return torch.from_numpy(decode.to_square(image, viewed.image_size, viewed.fit).copy())
    except decode.DamagedImageError as error:
        raise DataError(f"--image {printable(file)}: {error}") from None


def look(
    viewed: InspectedNetwork,
    file: str,
    methods: Sequence[MethodName],
    class_: str | None,
    redraws: int,
    device: torch.device,
    reporter: ProgressReporter,
) -> SaliencyMaps:
    """Return what each method says that the network looks at; raises DataError, and SettingsError where none suits."""
    image = read_image(file, viewed)
    pixels = image.permute(2, 0, 1).to(device, torch.float32) / 255
    with torch.no_grad():
        shares = viewed.graph(pixels[None])[0].softmax(dim=0)
    answer = int(shares.argmax())
    target = answer if class_ is None else class_number(viewed, class_)
    baseline = torch.tensor(viewed.baseline, device=device)
    own_graph, drawn = centred(viewed.graph), [centred(viewed.redrawn(i)) for i in range(min(redraws, MOST_RANDOM))]
    maps, trained, random, skipped = [], list[Attribution](), list[Tensor](), dict[str, str]()
    for name in reporter.batches(methods, len(methods)):
        try:
            own = METHODS[name](own_graph, pixels, target, baseline)
        except UnsuitableError as error:
            skipped[name] = str(error)
            continue
        others = [ROUGHLY[name](graph, pixels, target, baseline).values for graph in drawn]
        likeness = [one for other in others if (one := alike(own.values, other)) is not None]
        mean = fmean(likeness) if likeness else None
        total = None if own.change is None else float(own.values.double().sum())
        spread = None if mean is None else (mean, min(likeness), max(likeness))
        says_nothing = mean is not None and round(mean, 2) >= ALIKE  # as it is printed
        maps.append(Map(name, spread, len(likeness), says_nothing, total, own.change))
        trained.append(own)
        random.append(others[0].cpu())
    if not maps:
        raise SettingsError(f"--methods: none suits {viewed.name}: {next(iter(skipped.values()))}")
    names = viewed.class_names
    found = Look(viewed.name, printable(file), names[answer], float(shares[answer]), names[target], maps, skipped)
    return SaliencyMaps(found, image, trained, random)

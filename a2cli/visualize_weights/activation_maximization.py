"""What excites a unit: where in which images it answers most, and the picture that it answers most to.

B images a batch, N in all, U units of a layer, h x w places of its map, H x W pixels.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, fx

from a2cli.models.backbones import truncate
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.visualize_weights.attribution import run_keeping

Batches = Iterable[tuple[Tensor, Tensor]]
JITTER = 4  # pixels that an ascent's picture is moved by at random, so that it hangs on no pixel's place
RATE, NOISE = 0.04, 0.01


@torch.inference_mode()
def strongest(
    graph: fx.GraphModule, layers: Mapping[str, Sequence[int]], batches: Batches, count: int
) -> dict[str, list[list[tuple[float, int, int, int]]]]:
    """Return where some units of the layers' nodes answer most, over all images, in one pass; of each image one place.

    For each unit the answer, the image's number, the row and the column in the map, the strongest first and among
    equals the first image.
    """
    part = truncate(graph, list(layers))
    values: dict[str, list[Tensor]] = {name: [] for name in layers}
    places: dict[str, list[Tensor]] = {name: [] for name in layers}
    width: dict[str, int] = {}
    for images, _ in batches:
        for name, maps in part(images).items():
            width[name] = maps.shape[3]
            value, place = maps.float().cpu()[:, layers[name]].flatten(2).max(dim=2)
            values[name].append(value)
            places[name].append(place)
    answers = {}
    for name in layers:
        value, place = torch.cat(values[name]).T, torch.cat(places[name]).T  # (U, N)
        order = value.argsort(dim=1, descending=True, stable=True)[:, :count]
        columns = (value.gather(1, order).tolist(), order.tolist(), place.gather(1, order).tolist())
        answers[name] = [
            [(answer, image, *divmod(at, width[name])) for answer, image, at in zip(*unit, strict=True)]
            for unit in zip(*columns, strict=True)
        ]
    return answers


def _by_place(values: Tensor) -> Tensor:
    """Return a layer's values, (B, U, h, w) or (B, U), as (B, U, places)."""
    return values[..., None].flatten(2)


@torch.inference_mode()
def silent(graph: fx.GraphModule, names: Sequence[str], batches: Batches) -> dict[str, list[int]]:
    """Return the dead units of each node: those that answer all images, at all places, with the same value."""
    part, ends = truncate(graph, names), dict[str, Tensor]()
    for images, _ in batches:
        for name, values in part(images).items():
            places = _by_place(values.float().cpu())
            new = torch.stack((places.amin(dim=(0, 2)), -places.amax(dim=(0, 2))))
            ends[name] = torch.minimum(ends[name], new) if name in ends else new
    return {name: (low == -high).nonzero().flatten().tolist() for name, (low, high) in ends.items()}


def use(graph: fx.GraphModule, name: str, batches: Batches, target: int | None) -> Tensor:
    """Return how much each unit of a node moves an image's answer (U,): activation times gradient, mean over images.

    Of the logit of `target`, or of each image's own class. Of the last hidden layer it is what the unit adds to that
    logit: its activation times its weight.
    """
    total, count = torch.zeros(()), 0
    for images, labels in batches:
        values, logits = run_keeping(graph, images, name)
        wanted = labels if target is None else torch.full_like(labels, target)
        (slope,) = torch.autograd.grad(logits.gather(1, wanted[:, None]).sum(), values)
        total = total + _by_place(values.detach() * slope).sum(dim=2).double().sum(dim=0).cpu()
        count += len(images)
    return total / count


def to_classes(graph: fx.GraphModule, name: str, batches: Batches, classes: int) -> Tensor:
    """Return each class's logit's mean gradient by each unit of a node (U, K); of maps the sum over places."""
    rows = [torch.zeros(())] * classes
    count = 0
    for images, _ in batches:
        values, logits = run_keeping(graph, images, name)
        count += len(images)
        for k in range(classes):
            (slope,) = torch.autograd.grad(logits[:, k].sum(), values, retain_graph=k + 1 < classes)
            rows[k] = rows[k] + _by_place(slope).sum(dim=2).double().sum(dim=0).cpu()
    return torch.stack(rows, dim=1) / count


def ascend(
    graph: fx.GraphModule,
    name: str,
    units: Sequence[int],
    side: int,
    steps: int,
    streams: Streams,
    reporter: ProgressReporter,
) -> tuple[Tensor, Tensor]:
    """Return for each unit a picture (U, 3, side, side) in [0, 1] that excites it, and its answer there (U,).

    The unit is the middle one of its map. Gradient ascent in the Fourier domain, low frequencies first, moved a
    little at each step (Olah, Mordvintsev & Schubert 2017, "preconditioning" and "transformation robustness").
    """
    part, rows, columns = truncate(graph, [name]), torch.arange(len(units)), torch.tensor(units)
    device = next(part.parameters()).device
    draw, jitter = streams.torch("ascent"), min(JITTER, side // 16)
    waves = torch.fft.rfftfreq(side)[None, :].square() + torch.fft.fftfreq(side)[:, None].square()
    scale = (1 / waves.sqrt().clamp_min(1 / side)).to(device)
    noise = NOISE * torch.randn(len(units), 3, side, side, generator=draw)
    picture = torch.view_as_real(torch.fft.rfft2(noise, norm="ortho")).to(device)
    picture, momentum = (picture / scale[..., None]).requires_grad_(), torch.zeros_like(picture)

    def rendered() -> Tensor:
        pixels = torch.fft.irfft2(torch.view_as_complex(picture * scale[..., None]), s=(side, side), norm="ortho")
        return torch.sigmoid(4 * pixels)

    def answers(images: Tensor) -> Tensor:
        values: Tensor = part(images)[name]
        if values.dim() > 2:
            values = values[:, :, values.shape[2] // 2, values.shape[3] // 2]
        return values[rows, columns]

    for _ in reporter.batches(range(steps), steps):
        shifts = torch.randint(-jitter, jitter + 1, (2,), generator=draw).tolist()
        moved = torch.roll(rendered(), shifts, dims=(2, 3))
        (slope,) = torch.autograd.grad(answers(moved).sum(), picture)
        length = slope.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1, 1)
        momentum = 0.9 * momentum + slope / length
        with torch.no_grad():
            picture += RATE / side**0.5 * momentum  # in small pictures fewer frequencies share a step
    with torch.no_grad():
        pictures = rendered()
        return pictures, answers(pictures)

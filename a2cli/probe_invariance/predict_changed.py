"""One network's answers to its images, unchanged and changed in every way that is probed.

Batch by batch: an image is read once, and all changes are made of it while it is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a2cli.probe_invariance.changes import PerturbationContext, changed
from a2cli.probe_invariance.invariance import Answers
from a2cli.probe_invariance.movement import Movement, caught
from a2cli.probe_invariance.results import LayerMovement
from a2cli.probe_invariance.settings import Probe, pixels
from a2cli.probe_invariance.targets import Network
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.training.loop import EVALUATION_BATCH, logits_of

LARGE_SIDE = 96  # of larger images fewer at a time, as every layer's activations are held


@dataclass(frozen=True)
class Perturbation:
    """A change with a strength: one for all images, or the draw of that number from a range."""

    probe: Probe
    strength: float | None
    draw: int = 0

    def strengths(self, count: int, side: int, streams: Streams) -> Tensor:
        """Return a strength for each image, (count,), or of a translation (count, 2) pixels right and down."""
        name, shifted = self.probe.name, self.probe.name.startswith("translate")
        if self.probe.drawn:
            low, high = self.probe.drawn
            drawn = torch.rand(count, 2, generator=streams.torch(f"random/{name}", self.draw)) * (high - low) + low
            each = (drawn * side).round() if shifted else drawn[:, 0]
        else:
            assert self.strength is not None, "a strength or a range"
            value = pixels(self.strength, side) if shifted else self.strength
            each = torch.full((count, 2) if shifted else (count,), float(value))
        if name == "translate-x":
            each[:, 1] = 0
        if name == "translate-y":
            each[:, 0] = 0
        return each


@dataclass(frozen=True)
class Translation:
    """A translation in pixels, right and down, for the map over translations."""

    right: int
    down: int


AnyPerturbation = Perturbation | Translation


@dataclass
class Probed:
    """What one network answered: unchanged, under each setting, and how its layers moved under each probe's settings.

    Answers are of the network's images in their order, once for each draw.
    """

    before: Answers
    after: Mapping[AnyPerturbation, Answers]
    layers: Mapping[tuple[Probe, float | None], list[LayerMovement]] = field(default_factory=dict)


def probe_network(
    network: Network,
    number: int,
    settings: Sequence[AnyPerturbation],
    border: str,
    margin: int,
    streams: Streams,
    precision: str,
    device: torch.device,
    reporter: ProgressReporter,
    *,
    layers: bool,
) -> Probed:
    """Return what the network, the run's `number`-th, answers under every setting."""
    side, images, model = network.card.image_size, network.images, network.model.eval()
    count = len(images)
    perturbations = [setting for setting in settings if isinstance(setting, Perturbation)]
    strengths = {setting: setting.strengths(count, side, streams) for setting in perturbations}
    parts_of: dict[AnyPerturbation | None, list[tuple[Tensor, Tensor]]] = {key: [] for key in (None, *settings)}
    movement = Movement(model, side) if layers else None
    batch_size = EVALUATION_BATCH if side <= LARGE_SIDE else 32
    batches = enumerate(images.batches(batch_size))
    with torch.inference_mode(), caught(model if layers else torch.nn.Sequential()) as activations:
        for index, (batch, labels) in reporter.batches(batches, -(-count // batch_size)):
            around = PerturbationContext(batch, margin, border, network.card.mean, streams.derive("noise", index))
            parts_of[None].append(_answers(logits_of(model, around.middle, precision, device), labels))
            before = dict(activations)
            if movement:
                movement.unchanged(before)
            for setting in settings:
                first = index * batch_size
                if isinstance(setting, Translation):
                    each = torch.tensor([[setting.right, setting.down]]).repeat(len(batch), 1)
                    images_of = changed("translate", around, each)
                else:
                    each = strengths[setting][first : first + len(batch)]
                    images_of = changed(setting.probe.name, around, each)
                parts_of[setting].append(_answers(logits_of(model, images_of, precision, device), labels))
                if movement and isinstance(setting, Perturbation):
                    warp = (setting.probe.name, each[0]) if setting.strength is not None else None
                    movement.changed((setting.probe, setting.strength), before, activations, warp)
    answers = {key: _gathered(network, number, parts) for key, parts in parts_of.items()}
    keys = {(setting.probe, setting.strength) for setting in perturbations}
    return Probed(
        before=answers[None],
        after={key: answers[key] for key in settings},
        layers={key: movement.movements(key) for key in keys} if movement else {},
    )


def _answers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the answers and the true class's probabilities, both (B,)."""
    probabilities = logits.softmax(dim=1)
    return probabilities.argmax(dim=1), probabilities.gather(1, labels[:, None])[:, 0]


def _gathered(network: Network, number: int, parts: Sequence[tuple[Tensor, Tensor]]) -> Answers:
    rows: NDArray[np.int64] = network.images.rows.numpy()
    return Answers(
        images=rows,
        networks=np.full(len(rows), number),
        truths=network.images.labels.numpy(),
        answers=torch.cat([answer for answer, _ in parts]).numpy(),
        probabilities=torch.cat([probability for _, probability in parts]).numpy(),
    )

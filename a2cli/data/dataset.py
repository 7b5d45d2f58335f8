"""Batches out of the packed images: slices of one array, no copies of the whole, no worker processes.

N images, B images a batch, C = 3 channels, H x W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a2cli.data.augment import MIXING, augment, mix
from a2cli.data.packing import Packed
from a2cli.random_streams import Streams

STATISTICS_IMAGES = 20_000
# Means and deviations: those that torchvision's pretrained networks want, and [0, 1] moved to [-0.5, 0.5].
FIXED = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "half": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))}


@dataclass(frozen=True)
class ImageSet:
    """Some rows of the packed images: `images` (M, H, W, C) uint8 are all, `rows` (N,) these, `labels` (N,) theirs.

    Or of activations, which lie as a network takes them: `images` are then (M, C, H, W) or (M, D) float32.
    """

    images: Tensor
    rows: Tensor
    labels: Tensor

    @classmethod
    def of(cls, packed: Packed, rows: NDArray[np.int64]) -> "ImageSet":
        return cls(torch.from_numpy(packed.images), torch.from_numpy(rows), torch.from_numpy(packed.labels[rows]))

    def __len__(self) -> int:
        return len(self.rows)

    def reordered(self, order: Tensor) -> "ImageSet":
        return ImageSet(self.images, self.rows[order], self.labels[order])

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (B, C, H, W) uint8, laid out channels last, and labels (B,), all in their order."""
        stored, shape = self.images.flatten(1), self.images.shape[1:]
        for rows, labels in zip(torch.split(self.rows, batch_size), torch.split(self.labels, batch_size), strict=True):
            batch = stored.index_select(0, rows).view(-1, *shape)
            yield batch if batch.is_floating_point() else batch.permute(0, 3, 1, 2), labels

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and deviation of each channel in [0, 1], over at most 20,000 images evenly spaced."""
        step = -(-len(self) // STATISTICS_IMAGES)
        total, squares, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
        # Batch by batch: all at once, the images would take eight times their bytes.
        for images, _ in self.reordered(torch.arange(0, len(self), step)).batches(256):
            pixels = images.permute(0, 2, 3, 1).reshape(-1, 3).double() / 255
            total += pixels.sum(0)
            squares += pixels.square().sum(0)
            count += len(pixels)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=1e-8).sqrt()
        return tuple(mean.tolist()), tuple(deviation.tolist())


@dataclass(frozen=True)
class Augmented:
    """Training images in a fresh order each epoch, each changed at random by the augmentations named.

    `classes` is how many there are, where the last of them may have no training image.
    """

    data: ImageSet
    strengths: dict[str, float]
    classes: int = 0

    def __len__(self) -> int:
        return len(self.data)

    def batches(self, batch_size: int, streams: Streams, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield an epoch's batches; what happens to an image depends on the epoch and the image, not on its batch.

        Only what it is mixed with is of its batch; labels are then targets (B, K).
        """
        order = torch.randperm(len(self), generator=streams.torch("order", epoch))
        batches = self.data.reordered(order).batches(batch_size)
        if not self.strengths:
            yield from batches
            return
        generator = streams.torch("augment", epoch)
        # A column for each choice, made or not: with one augmentation more, the others are drawn as without it.
        draws = torch.rand(len(self), 12, generator=generator)[order]
        to_mix = torch.rand(len(self), 4, generator=generator)[order]
        mixing, classes = bool(self.strengths.keys() & MIXING), self.classes or int(self.data.labels.max()) + 1
        for (images, labels), draw, mix_draw in zip(
            batches, torch.split(draws, batch_size), torch.split(to_mix, batch_size), strict=True
        ):
            changed = augment(images.to(torch.float32).div_(255), self.strengths, draw)
            yield mix(changed, labels, classes, self.strengths, mix_draw) if mixing else (changed, labels)


def normalization(kind: str, train: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation of each channel that images are normalised with."""
    return train.statistics() if kind == "train" else FIXED[kind]

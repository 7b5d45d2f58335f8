"""What every source of images gives: labelled images, by number, and what decides their content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from a2cli.data.decode import DamagedImageError, Decoded
from a2cli.progress import ProgressReporter


@dataclass(frozen=True)
class Items:
    """Labelled images: `image(i)` decodes one, `splits` says train, val or test, or '' where the source does not.

    `image` raises `decode.DamagedImageError`. `unused` names arrays that are not read; `notes` say what was decided.
    """

    class_names: tuple[str, ...]
    names: Sequence[str]
    labels: Sequence[int]
    splits: Sequence[str]
    image: Callable[[int], Decoded]
    unused: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Source:
    """A place that images come from: what decides its content (`key`), and how to list its images (`items`).

    What may differ while the images are the same: `passed_over` counts files that are not read, by ending or folder;
    `unused` names columns that are not read; `notes` say what else was decided.
    """

    label: str
    key: str
    items: Callable[[ProgressReporter], Items]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    unused: Sequence[str] = ()
    notes: Sequence[str] = ()


def items_of(
    images: NDArray[Any],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    names: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    unused: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Items:
    """Return images (N, H, W) or (N, H, W, 1 or 3) in memory as a source's."""
    planes = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
    mode = str(images.dtype) if images.dtype != np.uint8 else "L" if planes.ndim == 3 else "RGB"
    size = (images.shape[2], images.shape[1])

    def image(i: int) -> Decoded:
        if images.dtype == np.uint8:
            return Decoded(Image.fromarray(planes[i]).convert("RGB"), mode, size)
        if not np.isfinite(planes[i]).all():
            raise DamagedImageError("holds values that are not finite numbers")
        return Decoded(planes[i], mode, size)

    return Items(
        class_names=tuple(classes),
        names=names or [f"{i:06d}" for i in range(len(images))],
        labels=[int(label) for label in labels],
        splits=splits or [""] * len(images),
        image=image,
        unused=unused,
        notes=notes,
    )

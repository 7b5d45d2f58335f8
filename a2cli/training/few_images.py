"""Which classes have too few images in a part of the data to say how well they are recognised. Needs no torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEW, MOST_NAMED = 5, 5  # images of a class; classes that a warning names


def few_note(part: str, labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Name the classes with too few images in a part of the data to say anything of them; nothing where all have."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    none = [name for name, count in zip(classes, counts, strict=True) if not count]
    few = [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if 0 < count < FEW]
    said = [f"no image of {_some(none)}"] * bool(none) + [f"fewer than {FEW} images of {_some(few)}"] * bool(few)
    return f"{part}: {' and '.join(said)}, so next to nothing is known of how well these are recognised" if said else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more classes" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more

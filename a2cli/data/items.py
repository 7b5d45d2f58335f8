"""What every source of images gives: labelled images, by number, and what decides their content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from a2cli.data.decode import Decoded
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

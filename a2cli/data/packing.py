"""Images decoded once, into one memory-mapped uint8 array in the user's cache: later runs start at once."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a2cli.data.decode import ValueRange, is_cut_to_8_bits
from a2cli.data.duplicates import groups_from
from a2cli.data.items import Source
from a2cli.data.listing import passed_over_in_words
from a2cli.data.packer import fingerprint_of, write_pack
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.progress import ProgressReporter
from a2cli.user_folders import cache_folder, mark_used

DARK = 64  # of 255: values of up to 16 or 63 are most often of another range
PACKER_VERSION = 6  # a part of each pack's name: with another one, all images are packed anew


@dataclass(frozen=True)
class Packed:
    """All images of a source: `images` (N, H, W, 3) uint8, mapped from disk; `splits` are train, val, test or ''.

    `groups` (N,) has for each image the row of the first one with the same pixels. `skipped` are damaged files with
    the reason. As each image was stored: its `modes` (Pillow's name, or an array's type) and `sizes` (width, height).
    `constant` names images of one single value; `deep` counts those of more than 8 bits, whose `value_range` became 0
    to 255. `passed_over`, `unused` and `notes` are the source's. `near` are pairs of rows of near
    duplicates with their similarity, of identical images the first one's row.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: Sequence[str]
    splits: Sequence[str]
    class_names: tuple[str, ...]
    skipped: Sequence[str]
    fingerprint: str
    groups: NDArray[np.int64]
    modes: Sequence[str] = ()
    sizes: Sequence[tuple[int, int]] = ()
    constant: Sequence[str] = ()
    deep: int = 0
    value_range: ValueRange | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)
    unused: Sequence[str] = ()
    notes: Sequence[str] = ()
    near: Sequence[tuple[int, int, float]] = ()

    @property
    def has_pictures(self) -> bool:
        """Whether there are images to show; else these are activations."""
        return self.images.dtype == np.uint8

    @property
    def scaling(self) -> str:
        """How images of more than 8 bits were brought to 8, in words, or nothing."""
        if self.value_range is None or not self.deep:
            return ""
        low, high = self.value_range
        return (
            f"{self.deep} of {len(self.names)} images have more than 8 bits: {low:g} to {high:g} became 0 to 255, "
            "the same for all"
        )

    @property
    def warnings_but_damage(self) -> list[str]:
        """What a user should know of how the images were read, but for files that are damaged or of one value."""
        warnings = list(self.notes)
        if passed_over := passed_over_in_words(self.passed_over):
            warnings.append(f"passed over: {passed_over}")
        if self.unused:
            warnings.append(f"not used: {', '.join(self.unused)}")
        if self.scaling:
            warnings.append(self.scaling)
        if count := sum(map(is_cut_to_8_bits, self.modes)):
            warnings.append(
                f"{count} colour image{'s' * (count > 1)} of 16 bits a channel, of which the upper 8 are read"
            )
        if self.has_pictures and not self.deep and (brightest := int(self.images.max())) < DARK:
            warnings.append(
                f"no pixel of any image is brighter than {brightest} of 255; images of 8 bits are taken as they are: "
                "scale them if their values are of another range"
            )
        side = self.images.shape[1]
        if enlarged := [i for i, size in enumerate(self.sizes) if 2 * max(size) <= side]:
            width, height = self.sizes[enlarged[0]]
            warnings.append(
                f"{len(enlarged)} of {len(self.names)} images are enlarged to {side}x{side} pixels, as "
                f"{self.names[enlarged[0]]} of {width}x{height}"
            )
        return warnings

    @property
    def warnings(self) -> list[str]:
        """What a user should know of how the images were read."""
        warnings = self.warnings_but_damage
        if count := len(self.constant):
            warnings.append(f"{count} image{'s' * (count > 1)} of one single value, as {self.constant[0]}")
        if count := len(self.skipped):
            warnings.append(f"{count} damaged file{'s' * (count > 1)} left out, as {self.skipped[0]}")
        return warnings


def pack(
    source: Source,
    size: int,
    fit: str,
    skip_damaged: bool,
    reporter: ProgressReporter,
    value_range: ValueRange | None = None,
    *,
    may_skip: bool = True,
) -> Packed:
    """Return the source's images as squares of `size` pixels, decoding them only if they are not in the cache.

    Images of more than 8 bits are scaled by `value_range`, or all by one that the data set itself gives.
    Raises DataError for a file that cannot be used (with `skip_damaged`, for none left; `may_skip` says whether the
    command has that flag), and for a cache that cannot be read or written; what could not be read is left as it is.
    """
    folder, other = (_folder(source, size, fit, skip, value_range) for skip in (skip_damaged, not skip_damaged))
    try:
        packed = _open(folder, source, reporter) if folder.exists() else None
        if packed is None and not folder.exists() and other.exists():  # the same images, if none of them is damaged
            packed = _open(other, source, reporter)
            packed = None if packed and packed.skipped else packed
        if packed is None:
            if folder.exists():
                reporter.warn(f"the packed images in {folder} were damaged and are packed anew")
                shutil.rmtree(folder)
            write_pack(folder, source, size, fit, skip_damaged, reporter, value_range, may_skip)
            packed = _open(folder, source, reporter)
    except OSError as error:
        raise DataError(
            f"cache {error.filename or folder}: {error.strerror}; set A2_CACHE_DIR to another folder"
        ) from None
    if packed is None:
        raise DataError(f"cache {folder}: is not as it was just written; set A2_CACHE_DIR to another folder")
    entry = folder if folder.exists() else other
    mark_used(entry, f"{source.label}, {counted(len(packed.names), 'image')} of {size}x{size}")
    return replace(
        packed,
        passed_over=source.passed_over,
        unused=[*source.unused, *packed.unused],
        notes=[*source.notes, *packed.notes],
    )


def _folder(source: Source, size: int, fit: str, skip_damaged: bool, value_range: ValueRange | None) -> Path:
    recipe = f"{PACKER_VERSION}\n{size}\n{fit}\n{skip_damaged}\n{value_range}\n{source.key}"
    return cache_folder() / "packed" / hashlib.sha256(recipe.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _open(folder: Path, source: Source, reporter: ProgressReporter) -> Packed | None:
    """Return what is packed in a folder, or None where it is damaged; raises OSError where it cannot be read."""
    reporter.phase(f"reading the packed images of {source.label}", "reading images", brief=True)
    try:
        text = (folder / "index.json").read_text("utf-8")
        if hashlib.sha256(text.encode()).hexdigest() != (folder / "index.sha256").read_text():
            return None
        index: dict[str, Any] = json.loads(text)
        # Copy-on-write: torch warns of arrays that may not be written, and what is packed stays as it is.
        images = np.memmap(folder / "images.u8", dtype=np.uint8, mode="c", shape=tuple(index.pop("shape")))
        fingerprint = fingerprint_of(folder / "images.u8", images.shape, index["labels"], reporter)
        if fingerprint != index["fingerprint"]:
            return None
        index["labels"] = np.array(index["labels"], dtype=np.int64)
        index["class_names"] = tuple(index["class_names"])
        groups = groups_from(index.pop("identical"), len(images))
        index["sizes"] = [tuple(size) for size in index["sizes"]]
        index["value_range"] = index["value_range"] and tuple(index["value_range"])
        return Packed(images=images, groups=groups, **index)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None

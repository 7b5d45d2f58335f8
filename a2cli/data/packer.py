"""Decodes every image of a source once, and writes them into a folder of the cache, whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from a2cli import storage
from a2cli.data.decode import DamagedImageError, ValueRange, to_square, value_range_of
from a2cli.data.duplicates import digest_of, groups_of, identical
from a2cli.data.items import Items, Source
from a2cli.data.near_duplicates import LEAST_SIDE, near_duplicates, perceptual_hash, thumbnail
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.progress import ProgressReporter

CHUNK = 64
MOST_COMPARED = 200_000  # images whose pairs are looked at for near duplicates: more would take minutes
STALE_SECONDS = 86_400
NO_PIXELS = np.zeros(0, np.uint8)


def fingerprint_of(path: Path, shape: Sequence[int], labels: Sequence[int], reporter: ProgressReporter) -> str:
    """Return the SHA-256 of packed pixels and their labels; raises OSError."""
    digest = storage.hashed(path, reporter)
    digest.update(json.dumps([list(shape), labels]).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Square:
    """An image as it is packed, and as it was; `extremes` of one whose scaling is not known yet: it has no pixels."""

    number: int
    pixels: NDArray[np.uint8]
    digest: bytes
    small: NDArray[np.uint8]
    perceptual_hash: int
    mode: str
    size: tuple[int, int]
    is_constant: bool
    is_deep: bool
    extremes: ValueRange | None


@dataclass(frozen=True, slots=True)
class _Damaged:
    number: int
    reason: str


@dataclass(frozen=True)
class Packer:
    """How a source is packed."""

    source: Source
    size: int
    fit: str
    skip_damaged: bool
    threads: int
    reporter: ProgressReporter
    may_skip: bool

    def write(self, folder: Path, value_range: ValueRange | None) -> None:
        """Pack into a new folder; raises DataError, OSError."""
        self.reporter.phase(f"packing {self.source.label} at {self.size}x{self.size} pixels (once)", "packing")
        items = self.source.items(self.reporter)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        kept: list[_Square] = []
        damaged: list[_Damaged] = []
        with _renamed_when_whole(folder) as unfinished, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on odd metadata of images that it reads all the same
            path = unfinished / "images.u8"
            with path.open("wb") as file:
                for one in self._decoded(items, range(len(items.labels)), value_range):
                    if isinstance(one, _Damaged):
                        damaged.append(one)
                    else:
                        file.write(one.pixels.tobytes())
                        kept.append(replace(one, pixels=NO_PIXELS))
                if damaged and not self.skip_damaged:
                    raise _refused(self.source, items, damaged, self.may_skip)
                _judge(self.source, items, kept)
                if extremes := [one.extremes for one in kept if one.extremes]:
                    value_range = value_range_of(min(low for low, _ in extremes), max(high for _, high in extremes))
                    self._fill_in(items, kept, value_range, file)
                file.flush()
                os.fsync(file.fileno())
            shape, labels = (len(kept), self.size, self.size, 3), [items.labels[one.number] for one in kept]
            groups = groups_of(one.digest for one in kept)
            self.reporter.step("SHA-256")
            fingerprint = fingerprint_of(path, shape, labels, self.reporter)
            self.reporter.step("near duplicates")
            index = {
                "shape": shape,
                "labels": labels,
                "names": [items.names[one.number] for one in kept],
                "splits": [items.splits[one.number] for one in kept],
                "class_names": items.class_names,
                "skipped": [f"{items.names[one.number]}: {one.reason}" for one in damaged],
                "fingerprint": fingerprint,
                "identical": identical(groups),
                "near": _near(kept, groups, self.reporter) if _are_compared(items) else [],
                "modes": [one.mode for one in kept],
                "sizes": [one.size for one in kept],
                "constant": [items.names[one.number] for one in kept if one.is_constant],
                "deep": sum(one.is_deep for one in kept),
                "value_range": value_range,
                "unused": list(items.unused),
                "notes": [*items.notes, *_not_compared(items)],
            }
            text = json.dumps(index)
            storage.write(unfinished / "index.json", text.encode())
            storage.write(unfinished / "index.sha256", hashlib.sha256(text.encode()).hexdigest().encode())

    def _fill_in(self, items: Items, kept: list[_Square], value_range: ValueRange, file: BinaryIO) -> None:
        """Read the images whose scaling was not known again, and write them where they belong."""
        places = {one.number: row for row, one in enumerate(kept) if one.extremes}
        for one in self._decoded(items, list(places), value_range):
            if isinstance(one, _Damaged):
                raise DataError(
                    f"--data {self.source.label}: {items.names[one.number]}: {one.reason}, on a second read"
                )
            row = places[one.number]
            file.seek(row * one.pixels.nbytes)
            file.write(one.pixels.tobytes())
            kept[row] = replace(one, pixels=NO_PIXELS)

    def _decoded(
        self, items: Items, numbers: Sequence[int], value_range: ValueRange | None
    ) -> Iterator[_Square | _Damaged]:
        """Yield images by their numbers, in order, decoded by threads a few chunks ahead."""
        chunks = self._chunks(items, numbers, value_range)
        for chunk in self.reporter.batches(chunks, -(-len(numbers) // CHUNK)):
            yield from chunk

    def _chunks(
        self, items: Items, numbers: Sequence[int], value_range: ValueRange | None
    ) -> Iterator[list[_Square | _Damaged]]:
        def chunk(start: int) -> list[_Square | _Damaged]:
            return [self._square(items, i, value_range) for i in numbers[start : start + CHUNK]]

        waiting: deque[Future[list[_Square | _Damaged]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for start in range(0, len(numbers), CHUNK):
                    waiting.append(pool.submit(chunk, start))
                    if len(waiting) > 2 * self.threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _square(self, items: Items, number: int, value_range: ValueRange | None) -> _Square | _Damaged:
        try:
            image = items.image(number)
        except DamagedImageError as reason:
            return _Damaged(number, str(reason))
        unknown = image.is_deep and value_range is None
        if unknown:
            pixels = np.zeros((self.size, self.size, 3), np.uint8)
        else:
            pixels = to_square(image.rgb(value_range), self.size, self.fit)
        small = NO_PIXELS
        if _are_compared(items):
            is_small = self.size < LEAST_SIDE and not unknown
            small = thumbnail(to_square(image.rgb(value_range), LEAST_SIDE, self.fit) if is_small else pixels)
        return _Square(
            number=number,
            pixels=pixels,
            digest=digest_of(pixels),
            small=small,
            perceptual_hash=perceptual_hash(small) if len(small) else 0,
            mode=image.mode,
            size=image.size,
            is_constant=image.is_constant or (not unknown and bool((pixels == pixels[0, 0]).all())),
            is_deep=image.is_deep,
            extremes=image.extremes if unknown else None,
        )


def _near(
    kept: Sequence[_Square], groups: NDArray[np.int64], reporter: ProgressReporter
) -> list[tuple[int, int, float]]:
    """Return the near duplicates among the images that differ, as rows and similarity."""
    rows = np.flatnonzero(groups == np.arange(len(groups))).tolist()
    hashes = np.array([kept[row].perceptual_hash for row in rows], dtype=np.uint64)
    pairs = near_duplicates(np.stack([kept[row].small for row in rows]), hashes, reporter)
    return [(rows[i], rows[j], similarity) for i, j, similarity in pairs]


def _are_compared(items: Items) -> bool:
    return len(items.labels) <= MOST_COMPARED


def _not_compared(items: Items) -> list[str]:
    """Say that near duplicates were not looked for, where there are too many images."""
    if _are_compared(items):
        return []
    return [f"near duplicates were not looked for: {len(items.labels):,} images are more than {MOST_COMPARED:,}"]


def _refused(source: Source, items: Items, damaged: Sequence[_Damaged], may_skip: bool) -> DataError:
    first, more = damaged[0], f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
    advice = "mend or remove it, or use --skip-damaged" if may_skip else "mend or remove it"
    return DataError(f"--data {source.label}: {items.names[first.number]}: {first.reason}{more}; {advice}")


def _judge(source: Source, items: Items, kept: Sequence[_Square]) -> None:
    if len(items.class_names) < 2:
        raise DataError(
            f"--data {source.label}: expected at least two classes, found only {', '.join(items.class_names)}"
        )
    if len(kept) < len(items.class_names):
        raise DataError(
            f"--data {source.label}: {counted(len(kept), 'usable image')} for {len(items.class_names)} classes"
        )
    if missing := set(range(len(items.class_names))) - {items.labels[one.number] for one in kept}:
        raise DataError(f"--data {source.label}: no usable image of class {items.class_names[min(missing)]!r}")


@contextmanager
def _renamed_when_whole(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, which becomes it at the end and goes if anything fails."""
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        yield unfinished
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():
                raise  # else another process packed the same meanwhile
        storage.sync_folder(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed runs left unfinished long ago."""
    for unfinished in folder.glob(".unfinished-*"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if time.time() - unfinished.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(unfinished, ignore_errors=True)

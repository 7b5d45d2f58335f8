"""Decodes every image of a source once, and writes them into a folder of the cache, whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a2cli import storage
from a2cli.data.decode import DamagedImageError, ValueRange, to_square, value_range_of
from a2cli.data.duplicates import and_more, digest_of, groups_of, identical
from a2cli.data.items import Items, Source
from a2cli.data.near_duplicates import LEAST_SIDE, near_duplicates, perceptual_hash, thumbnail
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.machine import cores
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
class Square:
    """An image as it is packed, and as it was; `extremes` of one whose scaling is not known yet: it has no pixels."""

    pixels: NDArray[np.uint8]
    digest: bytes
    thumbnail: NDArray[np.uint8]
    perceptual_hash: int
    mode: str
    size: tuple[int, int]
    is_constant: bool
    is_deep: bool
    extremes: ValueRange | None


def write_pack(
    folder: Path,
    source: Source,
    size: int,
    fit: str,
    skip_damaged: bool,
    reporter: ProgressReporter,
    value_range: ValueRange | None,
    may_skip: bool,
) -> None:
    """Pack a source into a new folder, as `packing.pack` says; raises DataError, OSError."""
    reporter.phase(f"packing {source.label} at {size}x{size} pixels (once)", "packing")
    items, data = source.items(reporter), f"--data {source.label}"
    compared = len(items.labels) <= MOST_COMPARED

    def decoded(
        numbers: Sequence[int], value_range: ValueRange | None
    ) -> Iterable[tuple[int, Square | DamagedImageError]]:
        chunks = _in_threads(partial(square_of, items, size, fit, compared, value_range), numbers)
        return chain.from_iterable(reporter.batches(chunks, -(-len(numbers) // CHUNK)))

    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    squares: dict[int, Square] = {}
    damaged: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent, ignore_cleanup_errors=True) as temporary,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Pillow's, on odd metadata of images that it reads all the same
        unfinished = Path(temporary)
        path = unfinished / "images.u8"
        with path.open("wb") as file:
            for number, image in decoded(range(len(items.labels)), value_range):
                if isinstance(image, DamagedImageError):
                    damaged.append(f"{items.names[number]}: {image}")
                else:
                    file.write(image.pixels.tobytes())
                    squares[number] = replace(image, pixels=NO_PIXELS)  # a data set may be larger than memory
            if len(items.class_names) < 2:
                only = ", ".join(map(repr, items.class_names))
                raise DataError(f"{data}: expected at least two classes, found only {only}")
            lack = _lack(items, squares)
            if damaged and (lack or not skip_damaged):
                advice = "mend or remove it" + ", or use --skip-damaged" * (may_skip and not lack)
                lack = f"{lack}: " * bool(lack)
                raise DataError(f"{data}: {lack}{damaged[0]}{and_more(len(damaged))}; {advice}")
            if lack:
                raise DataError(f"{data}: {lack}")
            # One scale for all, which only the last image completes: the deep ones are decoded twice.
            if unscaled := {number: image.extremes for number, image in squares.items() if image.extremes}:
                value_range = value_range_of(
                    min(low for low, _ in unscaled.values()), max(high for _, high in unscaled.values())
                )
                rows = {number: row for row, number in enumerate(squares)}
                for number, image in decoded(list(unscaled), value_range):
                    if isinstance(image, DamagedImageError):
                        raise DataError(f"{data}: {items.names[number]}: {image}, on a second read")
                    file.seek(rows[number] * image.pixels.nbytes)
                    file.write(image.pixels.tobytes())
                    squares[number] = replace(image, pixels=NO_PIXELS)
            file.flush()
            os.fsync(file.fileno())
        shape, labels = (len(squares), size, size, 3), [items.labels[number] for number in squares]
        groups = groups_of(image.digest for image in squares.values())
        reporter.step("SHA-256")
        fingerprint = fingerprint_of(path, shape, labels, reporter)
        reporter.step("near duplicates")
        too_many = f"{len(items.labels):,} images are more than {MOST_COMPARED:,}"
        index = {
            "shape": shape,
            "labels": labels,
            "names": [items.names[number] for number in squares],
            "splits": [items.splits[number] for number in squares],
            "class_names": items.class_names,
            "skipped": damaged,
            "fingerprint": fingerprint,
            "identical": identical(groups),
            "near": _near(list(squares.values()), groups, reporter) if compared else [],
            "modes": [image.mode for image in squares.values()],
            "sizes": [image.size for image in squares.values()],
            "constant": [items.names[number] for number, image in squares.items() if image.is_constant],
            "deep": sum(image.is_deep for image in squares.values()),
            "value_range": value_range,
            "unused": list(items.unused),
            "notes": [*items.notes, *[f"near duplicates were not looked for: {too_many}"] * (not compared)],
        }
        text = json.dumps(index).encode()
        storage.write(unfinished / "index.json", text)
        storage.write(unfinished / "index.sha256", hashlib.sha256(text).hexdigest().encode())
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():
                raise  # else another process packed the same meanwhile
        storage.sync_folder(folder.parent)


def _in_threads(
    make: Callable[[int], Square | DamagedImageError], numbers: Sequence[int]
) -> Iterator[list[tuple[int, Square | DamagedImageError]]]:
    """Yield chunks of numbers with what is made of each, in order, by threads that are a few chunks ahead."""

    def chunk(start: int) -> list[tuple[int, Square | DamagedImageError]]:
        return [(number, make(number)) for number in numbers[start : start + CHUNK]]

    # Not `pool.map`, which would decode the whole set into memory where the disk is slower than the threads.
    waiting: deque[Future[list[tuple[int, Square | DamagedImageError]]]] = deque()
    threads = cores()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(numbers), CHUNK):
                waiting.append(pool.submit(chunk, start))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def square_of(
    items: Items, size: int, fit: str, compared: bool, value_range: ValueRange | None, number: int
) -> Square | DamagedImageError:
    """Return one image as it is packed, or what is wrong with it."""
    try:
        image = items.image(number)
    except DamagedImageError as error:
        return error
    unscaled = image.is_deep and value_range is None
    pixels = np.zeros((size, size, 3), np.uint8) if unscaled else to_square(image.rgb(value_range), size, fit)
    small = NO_PIXELS
    if compared:
        enlarged = size < LEAST_SIDE and not unscaled
        small = thumbnail(to_square(image.rgb(value_range), LEAST_SIDE, fit) if enlarged else pixels)
    return Square(
        pixels=pixels,
        digest=digest_of(pixels),
        thumbnail=small,
        perceptual_hash=perceptual_hash(small) if compared else 0,
        mode=image.mode,
        size=image.size,
        is_constant=image.is_constant or (not unscaled and bool((pixels == pixels[0, 0]).all())),
        is_deep=image.is_deep,
        extremes=image.extremes if unscaled else None,
    )


def _near(
    squares: Sequence[Square], groups: NDArray[np.int64], reporter: ProgressReporter
) -> list[tuple[int, int, float]]:
    """Return the near duplicates among the images that differ, as rows and similarity."""
    rows = np.flatnonzero(groups == np.arange(len(groups))).tolist()
    hashes = np.array([squares[row].perceptual_hash for row in rows], dtype=np.uint64)
    pairs = near_duplicates(np.stack([squares[row].thumbnail for row in rows]), hashes, reporter)
    return [(rows[i], rows[j], similarity) for i, j, similarity in pairs]


def _lack(items: Items, squares: Mapping[int, Square]) -> str:
    """Return why the images that could be read are too few to learn from, or nothing."""
    classes = items.class_names
    if len(squares) < len(classes):
        return f"{counted(len(squares), 'usable image')} for {len(classes)} classes"
    missing = set(range(len(classes))) - {items.labels[number] for number in squares}
    return f"no usable image of class {classes[min(missing)]!r}" if missing else ""


def _sweep(folder: Path) -> None:
    """Remove what killed runs left unfinished long ago."""
    for unfinished in folder.glob(".unfinished-*"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if time.time() - unfinished.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(unfinished, ignore_errors=True)

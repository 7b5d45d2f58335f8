"""Images decoded once, into one memory-mapped uint8 array in the user's cache: later runs start at once."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from a2cli.data.decode import DamagedImageError, to_square
from a2cli.data.duplicates import digest_of, groups_from, groups_of, identical
from a2cli.data.sources import Items, Source
from a2cli.errors import DataError
from a2cli.report import Watcher

PACKER_VERSION = 3
CHUNK = 64
STALE_SECONDS = 86_400


@dataclass(frozen=True)
class Packed:
    """All images of a source: `images` (N, H, W, 3) uint8, mapped from disk; `splits` are train, val, test or ''.

    `groups` (N,) has for each image the row of the first one with the same pixels.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: Sequence[str]
    splits: Sequence[str]
    class_names: tuple[str, ...]
    skipped: Sequence[str]
    fingerprint: str
    groups: NDArray[np.int64]


def cache_folder() -> Path:
    """Return where packed images are kept: $A2_CACHE_DIR, or the user's cache folder."""
    return Path(os.environ.get("A2_CACHE_DIR") or platformdirs.user_cache_path("a2"))


def pack(source: Source, size: int, fit: str, skip_damaged: bool, threads: int, watch: Watcher) -> Packed:
    """Return the source's images as squares of `size` pixels, decoding them only if they are not in the cache.

    Raises DataError for a file that cannot be used (with `skip_damaged`, for none left), and for a cache that
    cannot be written.
    """
    recipe = f"{PACKER_VERSION}\n{size}\n{fit}\n{skip_damaged}\n{source.key}"
    folder = cache_folder() / "packed" / hashlib.sha256(recipe.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    try:
        if folder.exists():
            packed = _open(folder)
            if packed is not None:
                return packed
            watch.warn(f"the packed images in {folder} were damaged and are packed anew")
            shutil.rmtree(folder)
        _write(source, folder, size, fit, skip_damaged, threads, watch)
    except OSError as error:
        raise DataError(
            f"cache {error.filename or folder}: {error.strerror}; set A2_CACHE_DIR to another folder"
        ) from None
    packed = _open(folder)
    assert packed is not None, "what was just written is whole"
    return packed


def _open(folder: Path) -> Packed | None:
    """Return what is packed in a folder, or None where it is damaged."""
    try:
        text = (folder / "index.json").read_text()
        if hashlib.sha256(text.encode()).hexdigest() != (folder / "index.sha256").read_text():
            return None
        index: dict[str, Any] = json.loads(text)
        shape = tuple(index["shape"])
        images = np.memmap(folder / "images.u8", dtype=np.uint8, mode="c", shape=shape)
        fingerprint = _fingerprint(images, index["labels"])
        if fingerprint != index["fingerprint"]:
            return None
        return Packed(
            images=images,
            labels=np.array(index["labels"], dtype=np.int64),
            names=index["names"],
            splits=index["splits"],
            class_names=tuple(index["class_names"]),
            skipped=index["skipped"],
            fingerprint=fingerprint,
            groups=groups_from(index["identical"], len(images)),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fingerprint(images: NDArray[np.uint8], labels: Sequence[int]) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(images), 4096):
        digest.update(images[start : start + 4096].reshape(-1).data)
    digest.update(json.dumps([list(images.shape), labels]).encode())
    return digest.hexdigest()


def _write(source: Source, folder: Path, size: int, fit: str, skip: bool, threads: int, watch: Watcher) -> None:
    watch.phase(f"packing {source.label} at {size}x{size} pixels (once)")
    items = source.items()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    kept: list[int] = []
    damaged: list[str] = []
    digests: list[bytes] = []
    with (
        _renamed_when_whole(folder) as unfinished,
        (unfinished / "images.u8").open("wb") as file,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Pillow's, on odd metadata of images that it reads all the same
        chunks = _decoded(items, size, fit, threads)
        for squares in watch.batches(chunks, -(-len(items.labels) // CHUNK)):
            for i, square in squares:
                if isinstance(square, str):
                    damaged.append(f"{items.names[i]}: {square}")
                else:
                    kept.append(i)
                    digests.append(digest_of(square))
                    file.write(square.tobytes())
        _judge(source, items, damaged, kept, skip)
        file.flush()
        os.fsync(file.fileno())
        shape, labels = (len(kept), size, size, 3), [items.labels[i] for i in kept]
        images = np.memmap(unfinished / "images.u8", dtype=np.uint8, mode="r", shape=shape)
        index = {
            "shape": shape,
            "labels": labels,
            "names": [items.names[i] for i in kept],
            "splits": [items.splits[i] for i in kept],
            "class_names": items.class_names,
            "skipped": damaged,
            "identical": identical(groups_of(digests)),
            "fingerprint": _fingerprint(images, labels),
        }
        text = json.dumps(index)
        (unfinished / "index.json").write_text(text)
        (unfinished / "index.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())


def _decoded(items: Items, size: int, fit: str, threads: int) -> Iterator[list[tuple[int, "NDArray[np.uint8] | str"]]]:
    """Yield (number, square or reason why not) in chunks, in order, decoded by threads a few chunks ahead."""

    def chunk(start: int) -> list[tuple[int, "NDArray[np.uint8] | str"]]:
        found: list[tuple[int, NDArray[np.uint8] | str]] = []
        for i in range(start, min(start + CHUNK, len(items.labels))):
            try:
                found.append((i, to_square(items.image(i), size, fit)))
            except DamagedImageError as reason:
                found.append((i, str(reason)))
        return found

    waiting: deque[Future[list[tuple[int, NDArray[np.uint8] | str]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(items.labels), CHUNK):
                waiting.append(pool.submit(chunk, start))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _judge(source: Source, items: Items, damaged: list[str], kept: list[int], skip: bool) -> None:
    if damaged and not skip:
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        raise DataError(f"--data {source.label}: {damaged[0]}{more}; mend or remove it, or use --skip-damaged")
    if len(items.class_names) < 2:
        raise DataError(
            f"--data {source.label}: expected at least two classes, found only {', '.join(items.class_names)}"
        )
    if len(kept) < len(items.class_names):
        raise DataError(f"--data {source.label}: {len(kept)} usable images for {len(items.class_names)} classes")
    if missing := set(range(len(items.class_names))) - {items.labels[i] for i in kept}:
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
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed runs left unfinished long ago."""
    for unfinished in folder.glob(".unfinished-*"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if time.time() - unfinished.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(unfinished, ignore_errors=True)

"""What a frozen network answered to images, kept on disk by the images' own content.

One store is a folder of the user's cache for one recipe: network, weights, layer, pooling, arithmetic. Rows are only
ever added, each beside the SHA-256 of the pixels it came from and its own: asked again they are there, a changed image
or a damaged row alone is computed again, and what an interrupted pass had added stays.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a2cli.data.duplicates import digest_of
from a2cli.errors import DataError
from a2cli.storage import LOCK, lock, make_folder
from a2cli.user_folders import cache_folder

FORMAT = 2  # of a store's files; the first had no SHA-256 of the rows
DIGEST = 32
RECORD = 2 * DIGEST  # of an image's pixels, then of that and its row
FLUSH_SECONDS = 1.0
Rows = NDArray[np.int64]


class Store:
    """The rows of one recipe, (M, *shape) float32, in the order in which they were added."""

    def __init__(self, recipe: str, shape: Sequence[int]) -> None:
        name = hashlib.sha256(json.dumps([FORMAT, recipe, list(shape)]).encode()).hexdigest()[:32]
        self.folder = cache_folder() / "activations" / name
        self.shape = tuple(shape)
        self.row_bytes = 4 * int(np.prod(self.shape))
        self._places: dict[bytes, int] = {}
        self._checks: list[bytes] = []
        self._waiting: list[bytes] = []
        self._saved = time.monotonic()

    @contextmanager
    def open(self) -> Iterator["Store"]:
        """Hold the store, so that no other process adds rows meanwhile; waits while one does. Raises DataError.

        On a file system without locks rows of two processes may get mixed, which their SHA-256 shows.
        """
        try:
            make_folder(self.folder)
            with (self.folder / LOCK).open("w") as held, (self.folder / "rows.f32").open("ab") as self._rows:
                lock(held, wait=True)
                with (self.folder / "digests").open("ab") as self._digests:
                    self._read()
                    try:
                        yield self
                    finally:
                        self.flush()
        except OSError as error:
            raise DataError(
                f"cache {error.filename or self.folder}: {error.strerror}; set A2_CACHE_DIR to another folder"
            ) from None

    def _read(self) -> None:
        """Take note of the whole rows, and cut off what a killed process left half written."""
        content = (self.folder / "digests").read_bytes()
        count = min(len(content) // RECORD, (self.folder / "rows.f32").stat().st_size // self.row_bytes)
        self._digests.truncate(count * RECORD)
        self._rows.truncate(count * self.row_bytes)
        records = [content[i * RECORD : (i + 1) * RECORD] for i in range(count)]
        self._places = {record[:DIGEST]: i for i, record in enumerate(records)}
        self._checks = [record[DIGEST:] for record in records]

    def forget_damaged(self, digests: Iterable[bytes]) -> int:
        """Forget these images' rows that are not as they were added, so that they are missing, and return how many."""
        asked = {digest: place for digest in digests if (place := self._places.get(digest)) is not None}
        rows = self.values() if asked else None
        damaged = [digest for digest, place in asked.items() if rows is not None
                   and _check_of(digest, rows[place]) != self._checks[place]]  # fmt: skip
        for digest in damaged:
            del self._places[digest]
        return len(damaged)

    def missing(self, digests: Sequence[bytes]) -> Rows:
        """Return which of these images have no row yet, each content once."""
        first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        return np.array([i for i, digest in enumerate(digests) if first[digest] == i and digest not in self._places],
                        dtype=np.int64)  # fmt: skip

    def add(self, digests: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        """Add a row (B, *shape) for each image; on disk for good at the next flush, once a second."""
        if not digests:
            return
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._rows.write(rows.data)
        for digest, row in zip(digests, rows, strict=True):
            self._places[digest] = len(self._checks)
            self._checks.append(_check_of(digest, row))
            self._waiting.append(digest + self._checks[-1])
        if time.monotonic() - self._saved > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put rows on disk, then their digests: what has a digest is whole."""
        for file, content in ((self._rows, b""), (self._digests, b"".join(self._waiting))):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._waiting, self._saved = [], time.monotonic()

    def places(self, digests: Sequence[bytes]) -> Rows:
        """Return the number of each image's row."""
        return np.array([self._places[digest] for digest in digests], dtype=np.int64)

    def values(self) -> NDArray[np.float32]:
        """Return all rows (M, *shape) float32, mapped from disk."""
        rows: Path = self.folder / "rows.f32"
        shape = (rows.stat().st_size // self.row_bytes, *self.shape)
        return np.memmap(rows, dtype=np.float32, mode="c", shape=shape)


def _check_of(digest: bytes, row: NDArray[np.float32]) -> bytes:
    """Return the SHA-256 of an image's and its row, so that a row is not taken for another image's."""
    found = hashlib.sha256(digest)
    found.update(row.reshape(-1).data)
    return found.digest()


def digests_of(images: NDArray[np.uint8], rows: Rows) -> list[bytes]:
    """Return the SHA-256 of each image's pixels."""
    return [digest_of(images[row]) for row in rows]

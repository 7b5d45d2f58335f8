"""What a frozen network answered to images, kept on disk by the images' own content.

One store is a folder of the user's cache for one recipe: network, weights, layer, pooling, arithmetic. Rows are only
ever added, each beside the SHA-256 of the pixels it came from: asked again they are there, a changed image alone is
computed again, and what an interrupted pass had added stays.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a2cli.data.duplicates import digest_of
from a2cli.data.user_folders import cache_folder
from a2cli.errors import DataError

DIGEST = 32
FLUSH_SECONDS = 1.0
Rows = NDArray[np.int64]


class Store:
    """The rows of one recipe, (M, *shape) float32, in the order in which they were added."""

    def __init__(self, recipe: str, shape: Sequence[int]) -> None:
        name = hashlib.sha256(json.dumps([recipe, list(shape)]).encode()).hexdigest()[:32]
        self.folder = cache_folder() / "activations" / name
        self.shape = tuple(shape)
        self.row_bytes = 4 * int(np.prod(self.shape))
        self._places: dict[bytes, int] = {}
        self._waiting: list[bytes] = []
        self._saved = time.monotonic()

    @contextmanager
    def open(self) -> Iterator["Store"]:
        """Hold the store, so that no other process adds rows meanwhile; waits while one does. Raises DataError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock, (self.folder / "rows.f32").open("ab") as self._rows:
                try:
                    import fcntl

                    fcntl.flock(lock, fcntl.LOCK_EX)
                except ImportError:
                    pass  # no such lock on Windows
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
        count = min(len(content) // DIGEST, (self.folder / "rows.f32").stat().st_size // self.row_bytes)
        self._digests.truncate(count * DIGEST)
        self._rows.truncate(count * self.row_bytes)
        self._places = {content[i * DIGEST : (i + 1) * DIGEST]: i for i in range(count)}

    def missing(self, digests: Sequence[bytes]) -> Rows:
        """Return which of these images have no row yet, each content once."""
        first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        return np.array([i for i, digest in enumerate(digests) if first[digest] == i and digest not in self._places],
                        dtype=np.int64)  # fmt: skip

    def add(self, digests: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        """Add a row (B, *shape) for each image; on disk for good at the next flush, once a second."""
        if not digests:
            return
        self._rows.write(np.ascontiguousarray(rows, dtype=np.float32).data)
        for digest in digests:
            self._places[digest] = len(self._places)
        self._waiting += digests
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


def digests_of(images: NDArray[np.uint8], rows: Rows) -> list[bytes]:
    """Return the SHA-256 of each image's pixels."""
    return [digest_of(images[row]) for row in rows]

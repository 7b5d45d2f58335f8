"""Images that are nearly the same: scaled, re-encoded, cropped by a few pixels, brightened.

Pairs are found by their perceptual hash (64 bits, of which few differ), sorted out by their coarse pixels, and
confirmed by aligning one image with the other: shifted and stretched a little, brighter or darker, it has to explain
the other everywhere, which two photographs of one face seldom do.

N images, P pairs, S = 32 pixels to a side.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from a2cli.report import Nobody, Watcher

Rows = NDArray[np.int64]
Floats = NDArray[Any]  # float32
SIDE = 32
LEAST_SIDE = 48  # of the pixels that a thumbnail is of, so that what is found does not depend on a small --image-size
COARSE = 8  # side of what pairs are sorted out by
BORDER = 2  # pixels left out all around, where a crop has nothing to compare with
FIELDS = 4  # fields to a side, each of which has to agree
MOST_BITS = 14  # in which the hashes of near duplicates differ
COARSE_CORRELATION = 0.88
SIMILARITY = 0.94
CONTENT_SIMILARITY = 0.5  # of what is inside black bars, which is enlarged
MOST_SHIFT = 3.0  # pixels
ALIGNMENTS = 3
BLACK = 16  # grey levels of a bar at most, with JPEG's ringing
FLAT = 4.0  # grey levels: an image whose deviation is below has nothing to compare
BLOCK = 256
PAIRS_AT_A_TIME = 256
MOST_FOR_EACH = 50  # candidates for each image on average, so that a set of look-alikes takes no hours


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) in grey, 32 x 32 pixels: what its hash is of and what pairs are confirmed by."""
    grey = Image.fromarray(image).convert("L").resize((LEAST_SIDE, LEAST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def without_bars(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a thumbnail without the black bars around it, enlarged to the same size."""
    light = small > BLACK
    rows, columns = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
    if not len(rows) or len(rows) == len(columns) == SIDE:
        return small
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


def perceptual_hash(small: NDArray[np.uint8]) -> int:
    """Return the 64-bit hash of a thumbnail: which of its lowest frequencies are above their median (ImageHash)."""
    import imagehash

    bits: NDArray[np.bool_] = imagehash.phash(Image.fromarray(small)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(
    small: NDArray[np.uint8], hashes: NDArray[np.uint64], watch: Watcher | None = None
) -> list[tuple[int, int, float]]:
    """Return pairs of rows that are near duplicates with their similarity, the most similar first.

    `small` (N, S, S) are the images' thumbnails, `hashes` (N,) their hashes.
    """
    rows = np.flatnonzero(small.std(axis=(1, 2)) >= FLAT)
    watch = watch or Nobody()
    pairs = _candidates(hashes[rows], _coarse(small[rows]), watch)
    alike = _alike(small[rows], pairs, watch)
    pairs, alike = pairs[alike >= SIMILARITY], alike[alike >= SIMILARITY]
    involved, at = np.unique(pairs, return_inverse=True)
    content = np.stack([without_bars(small[row]) for row in rows[involved]]) if len(pairs) else small[:0]
    kept = _alike(content, at.reshape(-1, 2), watch) >= CONTENT_SIMILARITY  # else only their bars are alike
    found = zip(*rows[pairs[kept]].T.tolist(), alike[kept].round(3).tolist(), strict=True)
    return sorted(found, key=lambda pair: (-pair[2], pair))


def _alike(small: NDArray[np.uint8], pairs: Rows, watch: Watcher) -> NDArray[np.float64]:
    """Return each pair's similarity, some pairs at a time."""
    found = np.zeros(len(pairs))
    starts = range(0, len(pairs), PAIRS_AT_A_TIME)
    for start in watch.batches(starts, len(starts)):
        part = slice(start, start + PAIRS_AT_A_TIME)
        found[part] = similarity(small[pairs[part, 0]], small[pairs[part, 1]])
    return found


def _coarse(small: NDArray[np.uint8]) -> Floats:
    """Return images as unit vectors (N, 64), whose products are correlations of the coarse pixels."""
    step = SIDE // COARSE
    fields = small.reshape(len(small), COARSE, step, COARSE, step)
    coarse: Floats = fields.mean(axis=(2, 4), dtype=np.float32).reshape(len(small), COARSE * COARSE)
    coarse -= coarse.mean(axis=1, keepdims=True)
    coarse /= np.maximum(np.linalg.norm(coarse, axis=1, keepdims=True), 1e-6)
    return coarse


def _candidates(hashes: NDArray[np.uint64], coarse: Floats, watch: Watcher) -> Rows:
    """Return pairs (P, 2) of which few bits differ and whose coarse pixels agree; of very many, the nearest."""
    found = [(pairs, bits) for pairs, bits in _close(hashes, coarse, watch) if len(pairs)]
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    pairs, bits = (np.concatenate(parts) for parts in zip(*found, strict=True))
    most = max(10_000, MOST_FOR_EACH * len(hashes))
    return pairs if len(pairs) <= most else pairs[np.argsort(bits, kind="stable")[:most]]


def _close(hashes: NDArray[np.uint64], coarse: Floats, watch: Watcher) -> Iterator[tuple[Rows, NDArray[np.uint8]]]:
    """Yield pairs and the number of bits in which they differ, block by block: about a nanosecond a pair."""
    tops = range(0, len(hashes), BLOCK)
    for top in watch.batches(tops, len(tops)):
        for left in range(top, len(hashes), 16 * BLOCK):
            differ = np.bitwise_count(hashes[top : top + BLOCK, None] ^ hashes[None, left : left + 16 * BLOCK])
            above, beside = np.divmod(np.flatnonzero(differ <= MOST_BITS), differ.shape[1])
            first, second = above + top, beside + left
            agree = first < second
            agree[agree] = np.einsum("pk,pk->p", coarse[first[agree]], coarse[second[agree]]) >= COARSE_CORRELATION
            yield np.stack([first[agree], second[agree]], axis=1), differ[above[agree], beside[agree]]


def similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how well images agree where they agree least, pair by pair: (P, S, S) twice -> (P,), 1 for the same.

    It is 1 - the mean squared rest, over the variance, in the worst of 4 x 4 fields, after the better of both
    alignments.
    """
    one, other = first.astype(np.float32), second.astype(np.float32)
    return np.asarray(np.maximum(_agreement(one, other), _agreement(other, one)), dtype=np.float64)


def _agreement(source: Floats, target: Floats) -> Floats:
    """Align the source with the target by Gauss-Newton steps (Lucas & Kanade 1981); return their best agreement (P,).

    Six unknowns: contrast and brightness, shift and stretch to the right, shift and stretch down.
    """
    pairs, axis = len(source), np.linspace(-1, 1, SIDE, dtype=np.float32)
    inner = (slice(None), slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    wanted = target[inner].reshape(pairs, -1)
    field = (SIDE - 2 * BORDER) // FIELDS
    moves = np.zeros((pairs, 4), dtype=np.float32)
    best = np.full(pairs, -np.inf, dtype=np.float32)
    variance = np.maximum(wanted.var(axis=1), 1)
    for _ in range(ALIGNMENTS):
        moved = _moved(source, moves, axis)
        down, right = np.gradient(moved, axis=(1, 2))
        terms = (moved, np.ones_like(moved), right, right * axis, down, down * axis[:, None])
        design = np.stack([term[inner].reshape(pairs, -1) for term in terms], axis=1)
        normal = design @ design.transpose(0, 2, 1) + 1e-2 * np.eye(len(terms), dtype=np.float32)
        weights = np.linalg.solve(normal, design @ wanted[:, :, None])
        rest = (wanted - (weights.transpose(0, 2, 1) @ design)[:, 0]) ** 2
        fields = rest.reshape(pairs, FIELDS, field, FIELDS, field).mean(axis=(2, 4)).reshape(pairs, -1)
        best = np.maximum(best, 1 - fields.max(axis=1) / variance)
        contrast = np.where(np.abs(weights[:, 0]) > 0.1, weights[:, 0], np.inf)
        moves = np.clip(moves + weights[:, 2:, 0] / contrast, -MOST_SHIFT, MOST_SHIFT)
    return best


def _moved(images: Floats, moves: Floats, axis: Floats) -> Floats:
    """Return images (P, S, S) shifted and stretched by so many pixels (P, 4), between pixels bilinearly."""
    at, most = np.arange(SIDE, dtype=np.float32), SIDE - 1.001
    right = np.clip(at + moves[:, :1] + moves[:, 1:2] * axis, 0, most)
    down = np.clip(at + moves[:, 2:3] + moves[:, 3:] * axis, 0, most)
    return _weights(down) @ images @ _weights(right).transpose(0, 2, 1)


def _weights(places: Floats) -> Floats:
    """Return what each pixel of a row gives to each place in it: (P, S) -> (P, S, S)."""
    weights: Floats = np.maximum(0, 1 - np.abs(places[:, :, None] - np.arange(SIDE, dtype=np.float32)))
    return weights

"""Images that are nearly the same: scaled, re-encoded, cropped by a few pixels, brightened.

Pairs are found by their perceptual hash (64 bits, of which few differ), sorted out by their coarse pixels, and
confirmed by aligning one image with the other: shifted and stretched a little, brighter or darker, it has to explain
the other everywhere, which two photographs of one face seldom do, in grey and then in each colour. Drawings of a few
shapes explain each other easily: the less texture two images have, the closer they have to agree.

N images, P pairs, S = 32 pixels to a side, C channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from a2cli.progress import NullReporter, ProgressReporter

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
FLAT_SIMILARITY = 0.99  # of images without texture
TEXTURE = 0.03  # from which on SIMILARITY is enough
CONTENT_SIMILARITY = 0.5  # of what is inside black bars, which is enlarged
MOST_SHIFT = 3.0  # pixels; of images without texture none but what a step explains
ALIGNMENTS = 3
CLIPPED = 250  # grey levels: what is as light in both may be lighter than it could be stored
BLACK = 16  # grey levels of a bar at most, with JPEG's ringing
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
FLAT = 4.0  # grey levels: an image whose deviation is below has nothing to compare
COSINES = np.cos(np.pi / SIDE * np.outer(np.arange(COARSE), np.arange(SIDE) + 0.5))  # DCT-II, the lowest 8
BLOCK = 256
PAIRS_AT_A_TIME = 256
MOST_FOR_EACH = 50  # candidates for each image on average, so that a set of look-alikes takes no hours


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) at 32 x 32 pixels: what its hash is of and what pairs are confirmed by."""
    small = Image.fromarray(image).resize((LEAST_SIDE, LEAST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def grey(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return thumbnails (N, S, S, 3) in grey (N, S, S)."""
    plain = np.empty(small.shape[:-1], dtype=np.uint8)
    for top in range(0, len(small), BLOCK):  # all at once would take a copy of all thumbnails in float32
        plain[top : top + BLOCK] = np.rint(small[top : top + BLOCK] @ LUMA)
    return plain


def without_bars(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a thumbnail in grey without the black bars around it, enlarged to the same size."""
    light = small > BLACK
    rows, columns = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
    if not len(rows) or len(rows) == len(columns) == SIDE:
        return small
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


def perceptual_hash(small: NDArray[np.uint8]) -> int:
    """Return the 64-bit hash of a thumbnail: which of its lowest frequencies in grey are above their median.

    It is ImageHash's phash, which transforms all frequencies and would take a fourth of packing small images.
    """
    low = COSINES @ np.asarray(Image.fromarray(small).convert("L"), dtype=np.float64) @ COSINES.T
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def near_duplicates(
    small: NDArray[np.uint8], hashes: NDArray[np.uint64], reporter: ProgressReporter | None = None
) -> list[tuple[int, int, float]]:
    """Return pairs of rows that are near duplicates with their similarity, the most similar first.

    `small` (N, S, S, 3) are the images' thumbnails, `hashes` (N,) their hashes.
    """
    plain = grey(small)
    rows = np.flatnonzero(plain.std(axis=(1, 2)) >= FLAT)
    reporter = reporter or NullReporter()
    candidates = _candidates(hashes[rows], _coarse(plain[rows]), reporter)
    # From here on only the images of a candidate are looked at, and `pairs` number these.
    involved, at = np.unique(candidates, return_inverse=True)
    rows, pairs = rows[involved], at.reshape(-1, 2)
    small, plain = small[rows], plain[rows]
    textured = np.minimum(texture(plain) / TEXTURE, 1)[pairs].min(axis=1)
    least = FLAT_SIMILARITY + (SIMILARITY - FLAT_SIMILARITY) * textured
    shift = MOST_SHIFT * textured
    # Grey first, which has a third of the values to align.
    similarities = _similarities(plain[..., None], pairs, shift, reporter)
    pairs, similarities, shift = (values[similarities >= least] for values in (pairs, similarities, shift))
    similarities = np.minimum(similarities, _similarities(small, pairs, shift, reporter))
    pairs, similarities = pairs[similarities >= SIMILARITY], similarities[similarities >= SIMILARITY]
    involved, at = np.unique(pairs, return_inverse=True)
    content = np.stack([without_bars(plain[i]) for i in involved]) if len(pairs) else plain
    inside = _similarities(content[..., None], at.reshape(-1, 2), np.full(len(pairs), MOST_SHIFT), reporter)
    is_near = inside >= CONTENT_SIMILARITY  # else only their bars are alike
    near = zip(*rows[pairs[is_near]].T.tolist(), similarities[is_near].round(3).tolist(), strict=True)
    return sorted(near, key=lambda pair: (-pair[2], pair))


def texture(plain: NDArray[np.uint8]) -> Floats:
    """Return how much images in grey (N, S, S) change from pixel to pixel: 0 where most of them is of one value.

    It is the median distance of a pixel from the mean of its four neighbours, over the standard deviation.
    """
    textures = np.zeros(len(plain), dtype=np.float32)
    for i, image in enumerate(plain.astype(np.float32)):
        around = (image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]) / 4
        textures[i] = np.median(np.abs(image[1:-1, 1:-1] - around)) / max(float(image.std()), 1)
    return textures


def _similarities(
    small: NDArray[np.uint8], pairs: Rows, shift: Floats, reporter: ProgressReporter
) -> NDArray[np.float64]:
    similarities = np.zeros(len(pairs))
    starts = range(0, len(pairs), PAIRS_AT_A_TIME)
    for start in reporter.batches(starts, len(starts)):
        part = slice(start, start + PAIRS_AT_A_TIME)
        similarities[part] = similarity(small[pairs[part, 0]], small[pairs[part, 1]], shift[part])
    return similarities


def _coarse(small: NDArray[np.uint8]) -> Floats:
    """Return images as unit vectors (N, 64), whose products are correlations of the coarse pixels."""
    step = SIDE // COARSE
    fields = small.reshape(len(small), COARSE, step, COARSE, step)
    coarse: Floats = fields.mean(axis=(2, 4), dtype=np.float32).reshape(len(small), COARSE * COARSE)
    coarse -= coarse.mean(axis=1, keepdims=True)
    coarse /= np.maximum(np.linalg.norm(coarse, axis=1, keepdims=True), 1e-6)
    return coarse


def _candidates(hashes: NDArray[np.uint64], coarse: Floats, reporter: ProgressReporter) -> Rows:
    """Return pairs (P, 2) of which few bits differ and whose coarse pixels agree; of very many, the nearest."""
    pairs_of_blocks, bits_of_blocks = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.uint8)]
    tops = range(0, len(hashes), BLOCK)
    for top in reporter.batches(tops, len(tops)):  # in blocks, for memory's sake: about a nanosecond a pair
        for left in range(top, len(hashes), 16 * BLOCK):
            differ = np.bitwise_count(hashes[top : top + BLOCK, None] ^ hashes[None, left : left + 16 * BLOCK])
            above, beside = np.divmod(np.flatnonzero(differ <= MOST_BITS), differ.shape[1])
            first, second = above + top, beside + left
            agree = first < second
            agree[agree] = np.einsum("pk,pk->p", coarse[first[agree]], coarse[second[agree]]) >= COARSE_CORRELATION
            pairs_of_blocks.append(np.stack([first[agree], second[agree]], axis=1))
            bits_of_blocks.append(differ[above[agree], beside[agree]])
    pairs, bits = np.concatenate(pairs_of_blocks), np.concatenate(bits_of_blocks)
    most = max(10_000, MOST_FOR_EACH * len(hashes))
    return pairs if len(pairs) <= most else pairs[np.argsort(bits, kind="stable")[:most]]


def similarity(
    first: NDArray[np.uint8], second: NDArray[np.uint8], shift: Floats | float = MOST_SHIFT
) -> NDArray[np.float64]:
    """Return how well images agree where they agree least, pair by pair: (P, S, S, C) twice -> (P,), 1 for the same.

    It is 1 - the mean squared rest, over the variance, in the worst of 4 x 4 fields, after the better of both
    alignments (of the first, where that is enough for any), by `shift` pixels at the most. All channels have one
    contrast and one brightness.
    """
    source, target = (np.moveaxis(images, -1, 1).astype(np.float32) for images in (first, second))
    most = np.broadcast_to(np.asarray(shift, dtype=np.float32), len(source))[:, None]
    agreement = _agreement(source, target, most)
    if len(unsure := np.flatnonzero(agreement < FLAT_SIMILARITY)):
        swapped = _agreement(target[unsure], source[unsure], most[unsure])
        agreement[unsure] = np.maximum(agreement[unsure], swapped)
    return np.asarray(agreement, dtype=np.float64)


def _agreement(source: Floats, target: Floats, most: Floats) -> Floats:
    """Align the source with the target by Gauss-Newton steps (Lucas & Kanade 1981); return their best agreement (P,).

    Images are (P, C, S, S). Six unknowns: contrast and brightness, shift and stretch to the right, shift and stretch
    down. What is white in both since it could not be stored any lighter tells nothing of contrast.
    """
    pairs, channels, axis = *source.shape[:2], np.linspace(-1, 1, SIDE, dtype=np.float32)
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    wanted = target[inner].reshape(pairs, -1)
    variance = np.maximum(wanted.reshape(pairs, channels, -1).var(axis=2).mean(axis=1), 1)
    field = (SIDE - 2 * BORDER) // FIELDS
    moves = np.zeros((pairs, 4), dtype=np.float32)
    best = np.full(pairs, -np.inf, dtype=np.float32)
    tells = np.ones_like(wanted)
    for _ in range(ALIGNMENTS):
        moved = _moved(source, moves, axis)
        down, right = np.gradient(moved, axis=(2, 3))
        terms = (moved, np.ones_like(moved), right, right * axis, down, down * axis[:, None])
        design = np.stack([term[inner].reshape(pairs, -1) for term in terms], axis=1)
        telling = design * tells[:, None]
        # A little ridge: without it, an image that does not change in one direction makes the equations singular.
        normal = telling @ design.transpose(0, 2, 1) + 1e-2 * np.eye(len(terms), dtype=np.float32)
        weights = np.linalg.solve(normal, telling @ wanted[:, :, None])
        explained = (weights.transpose(0, 2, 1) @ design)[:, 0]
        tells = 1 - (np.minimum(explained, wanted) >= CLIPPED).astype(np.float32)
        rest = (wanted - np.clip(explained, 0, 255)) ** 2
        fields = rest.reshape(pairs, channels, FIELDS, field, FIELDS, field).mean(axis=(1, 3, 5)).reshape(pairs, -1)
        agreed = np.where(weights[:, 0, 0] > 0, 1 - fields.max(axis=1) / variance, -np.inf)
        best = np.maximum(best, agreed)
        contrast = np.where(np.abs(weights[:, 0]) > 0.1, weights[:, 0], np.inf)
        moves = np.clip(moves + weights[:, 2:, 0] / contrast, -most, most)
    return best


def _moved(images: Floats, moves: Floats, axis: Floats) -> Floats:
    """Return images (P, C, S, S) shifted and stretched by so many pixels (P, 4), between pixels bilinearly."""
    at, most = np.arange(SIDE, dtype=np.float32), SIDE - 1.001
    right = np.clip(at + moves[:, :1] + moves[:, 1:2] * axis, 0, most)
    down = np.clip(at + moves[:, 2:3] + moves[:, 3:] * axis, 0, most)
    return _weights(down)[:, None] @ images @ _weights(right).transpose(0, 2, 1)[:, None]


def _weights(places: Floats) -> Floats:
    """Return what each pixel of a row gives to each place in it: (P, S) -> (P, S, S)."""
    weights: Floats = np.maximum(0, 1 - np.abs(places[:, :, None] - np.arange(SIDE, dtype=np.float32)))
    return weights

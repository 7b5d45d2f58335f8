"""Measures how near duplicates are found on images that are given. Run by hand:

    python tests/benchmarks/near_duplicates.py ../shared/data/paintings [--size 50] [--many 60000]

Each image is paired with itself changed, in four ways at several strengths: how many of these pairs are found? And how
many pairs of different images, and how many of the images, are taken for near duplicates? Then the processor time for
`--many` images, which are random parts of those given.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from a2cli.data.near_duplicates import near_duplicates, perceptual_hash, thumbnail

Change = Callable[[Image.Image], Image.Image]


def scaled(factor: float) -> Change:
    return lambda image: image.resize([round(factor * side) for side in image.size], Image.Resampling.BICUBIC)


def encoded(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        image.save(content := io.BytesIO(), "JPEG", quality=quality)
        return Image.open(content).convert("RGB")

    return change


def cropped(left: int, top: int, right: int, bottom: int) -> Change:
    return lambda image: image.crop((left, top, image.width - right, image.height - bottom))


def brightened(factor: float) -> Change:
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


CHANGES: dict[str, dict[str, Change]] = {
    "scaled": {f"to {factor:g}": scaled(factor) for factor in (0.25, 0.5, 0.75, 1.5)},
    "JPEG": {f"quality {quality}": encoded(quality) for quality in (20, 50, 75, 90)},
    "cropped": {
        **{f"{n} pixels all around": cropped(n, n, n, n) for n in (2, 4, 8)},
        **{f"{n} pixels at two sides": cropped(n, n, 0, 0) for n in (4, 8)},
    },
    "brightened": {f"by {factor:g}": brightened(factor) for factor in (0.7, 0.85, 1.15, 1.3)},
}


def hashed(images: list[Image.Image], size: int) -> tuple[np.ndarray, np.ndarray]:
    squares = [np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) for image in images]
    small = np.stack([thumbnail(square) for square in squares])
    return small, np.array([perceptual_hash(one) for one in small], dtype=np.uint64)


def parts_of(images: list[Image.Image], count: int) -> list[Image.Image]:
    """Return random square parts of the images."""
    rng, parts = np.random.default_rng(0), []
    for i in range(count):
        image = images[i % len(images)]
        side = int(rng.integers(min(image.size) // 4, 3 * min(image.size) // 4))
        left, top = (int(rng.integers(0, whole - side)) for whole in image.size)
        parts.append(image.crop((left, top, left + side, top + side)).resize((48, 48), Image.Resampling.BILINEAR))
    return parts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--many", type=int, default=0)
    chosen = parser.parse_args()
    paths = sorted(path for path in chosen.data.rglob("*") if path.suffix in {".png", ".jpg", ".pgm"})
    images = [Image.open(path).convert("RGB") for path in paths]
    small, hashes = hashed(images, chosen.size)
    count = len(images)
    pairs, named = near_duplicates(small, hashes), [str(path.relative_to(chosen.data)) for path in paths]
    total = count * (count - 1) // 2
    involved = len({row for pair in pairs for row in pair[:2]})
    print(f"{len(pairs)} of {total} pairs of different images ({len(pairs) / total:.4%}), {involved} of {count} images")
    for first, second, similarity in pairs[:20]:
        print(f"  {named[first]} {named[second]} {similarity:.3f}")
    for kind, changes in CHANGES.items():
        for strength, change in changes.items():
            changed, of_changed = hashed([change(image) for image in images], chosen.size)
            found = near_duplicates(np.concatenate([small, changed]), np.concatenate([hashes, of_changed]))
            right = sum(second - first == count for first, second, _ in found)
            print(f"{kind} {strength}: {right} of {count} found ({right / count:.1%})")
    if chosen.many:
        began = time.process_time()
        small, hashes = hashed(parts_of(images, chosen.many), 48)
        made = time.process_time()
        pairs = near_duplicates(small, hashes)
        print(f"{chosen.many} images: {made - began:.1f} s to hash (with cutting them out), "
              f"{time.process_time() - made:.1f} s to find {len(pairs)} pairs")  # fmt: skip


if __name__ == "__main__":
    main()

"""What the built-in sets are drawn with: a set of pictures, smooth noise, colours, and strokes.

Colours are (3,) or (..., 3) float in [0, 1]; a canvas is (H, W, 3) of them.
"""

import colorsys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from a2cli.progress import NullReporter, ProgressReporter

Floats = NDArray[np.float32]
Draw = Callable[[int, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class DrawnSet:
    """Pictures drawn by a program: `images` (N, H, W, 3) uint8, `labels` (N,), `names` as class/number."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    names: tuple[str, ...]


def draw_set(
    classes: Sequence[tuple[str, int]], seed: int, draw: Draw, reporter: ProgressReporter | None = None
) -> DrawnSet:
    """Draw so many pictures of each class (name, count), each from a generator of its own."""
    jobs = [(label, number) for label, (_, count) in enumerate(classes) for number in range(count)]
    with ThreadPoolExecutor() as pool:
        pictures = pool.map(lambda job: np.asarray(draw(job[0], np.random.default_rng([seed, *job]))), jobs)
        images = np.stack(list((reporter or NullReporter()).batches(pictures, len(jobs))))
    return DrawnSet(
        images,
        np.array([label for label, _ in jobs], dtype=np.int64),
        tuple(name for name, _ in classes),
        tuple(f"{classes[label][0]}/{number + 1:04d}" for label, number in jobs),
    )


def color(hue: float, saturation: float, value: float) -> Floats:
    """Return a colour from its hue in degrees, saturation and value in [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value), dtype=np.float32)


def noise(rng: np.random.Generator, width: int, height: int, cells: int, octaves: int = 3) -> Floats:
    """Return smooth noise (height, width) in [0, 1]: octaves of bicubic grids, the first `cells` across."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        across = cells * 2**octave + 2
        grid = rng.random((max(2, across * height // width + 2), across)).astype(np.float32)
        scaled = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(scaled) / 2**octave
    low, high = total.min(), total.max()
    return np.asarray((total - low) / (high - low + 1e-6), dtype=np.float32)


def mix(a: Floats, b: Floats, share: Floats | float) -> Floats:
    """Return a with `share` of b; a share for each pixel (H, W) mixes canvases."""
    weight = np.asarray(share, dtype=np.float32)
    weight = weight[..., None] if weight.ndim == 2 else weight
    return np.asarray(a * (1 - weight) + b * weight, dtype=np.float32)


def to_image(canvas: Floats) -> Image.Image:
    return Image.fromarray((canvas.clip(0, 1) * 255).astype(np.uint8))


def to_canvas(image: Image.Image) -> Floats:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def ink(tone: Floats) -> tuple[int, int, int]:
    """Return a colour (3,) as Pillow draws with it."""
    red, green, blue = (int(255 * v) for v in tone.clip(0, 1))
    return red, green, blue


def blur(canvas: Floats, radius: float) -> Floats:
    return to_canvas(to_image(canvas).filter(ImageFilter.GaussianBlur(radius)))


def smoothstep(x: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high`, and a smooth step between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)

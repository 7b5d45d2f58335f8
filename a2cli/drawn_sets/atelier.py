"""The built-in set `atelier`: 451 canvases by 11 invented painters, padded with black to squares.

A canvas is a subject, laid in as soft colour fields from the painter's palette, and then painted over with the
painter's brush. Painters share subjects, borrow one another's colours and vary in format, so that the hand must be told
by more than one of them.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from a2cli.drawn_sets.brushes import Brush, dabs, flat, glaze, haze, patches, penned, ruled, soft, swirl, wash
from a2cli.drawn_sets.drawing import DrawnSet, Floats, color, draw_set, mix, to_image
from a2cli.drawn_sets.subjects import Palette, Subject, bust, garden, mountains, sea, still, town, valley
from a2cli.progress import ProgressReporter

SIDE = 128
BORROWED = 0.55  # the largest share of another painter's palette in a picture


@dataclass(frozen=True)
class Painter:
    """A painter's hand: what is painted, with which brush, in which colours (hue, saturation, value) and format."""

    name: str
    canvases: int
    brush: Brush
    subjects: tuple[Subject, ...]
    sky: tuple[float, float, float]
    land: tuple[float, float, float]
    shade: tuple[float, float, float]
    accent: tuple[float, float, float]
    aspect: float  # width over height, of the middle canvas


# fmt: off
PAINTERS = (
    Painter("aurelio_canaro", 20, ruled, (town, town, sea),
            (205, 0.35, 0.85), (36, 0.35, 0.72), (215, 0.35, 0.32), (12, 0.6, 0.7), 1.5),
    Painter("camille_verdier", 54, dabs, (garden, sea, valley),
            (215, 0.3, 0.88), (110, 0.42, 0.62), (260, 0.35, 0.42), (345, 0.45, 0.85), 1.2),
    Painter("edmund_rowley", 63, soft, (bust, bust, bust, valley),
            (30, 0.35, 0.45), (28, 0.5, 0.5), (20, 0.5, 0.2), (10, 0.5, 0.65), 0.85),
    Painter("josiah_turnham", 70, haze, (sea, sea, valley, town),
            (45, 0.4, 0.92), (32, 0.5, 0.7), (210, 0.3, 0.45), (40, 0.7, 0.95), 1.35),
    Painter("roland_cosgrove", 40, wash, (mountains, valley),
            (210, 0.15, 0.8), (190, 0.2, 0.5), (215, 0.25, 0.34), (40, 0.2, 0.75), 1.4),
    Painter("pascal_estaque", 40, patches, (still, valley, bust, mountains),
            (200, 0.3, 0.75), (80, 0.42, 0.55), (225, 0.4, 0.35), (28, 0.7, 0.8), 1.05),
    Painter("gaston_marquise", 37, flat, (bust, garden, still),
            (48, 0.6, 0.85), (140, 0.5, 0.45), (260, 0.45, 0.3), (5, 0.7, 0.78), 0.95),
    Painter("percy_sandholt", 36, penned, (valley, town, mountains),
            (200, 0.12, 0.9), (70, 0.25, 0.7), (40, 0.3, 0.45), (25, 0.35, 0.7), 1.45),
    Painter("pieter_vanrood", 28, swirl, (bust, garden, valley),
            (35, 0.4, 0.6), (25, 0.55, 0.55), (15, 0.55, 0.25), (0, 0.6, 0.75), 1.0),
    Painter("hendrik_lichtmeer", 40, glaze, (bust, bust, still),
            (32, 0.5, 0.25), (30, 0.6, 0.35), (25, 0.6, 0.08), (38, 0.5, 0.8), 0.85),
    Painter("owen_goldwyn", 23, soft, (valley, mountains, sea),
            (46, 0.35, 0.88), (50, 0.5, 0.5), (60, 0.5, 0.22), (38, 0.5, 0.85), 1.3),
)
# fmt: on


def draw_atelier(seed: int = 0, reporter: ProgressReporter | None = None) -> DrawnSet:
    """Draw all canvases: images (451, 128, 128, 3), the same for the same seed."""
    return draw_set([(painter.name, painter.canvases) for painter in PAINTERS], seed, _paint, reporter)


def _paint(number: int, rng: np.random.Generator) -> Image.Image:
    painter = PAINTERS[number]
    aspect = painter.aspect * np.exp(rng.normal(0, 0.22))
    width, height = (SIDE, int(SIDE / aspect)) if aspect > 1 else (int(SIDE * aspect), SIDE)
    width, height = max(width, SIDE // 2), max(height, SIDE // 2)
    palette = _palette(painter, PAINTERS[rng.integers(len(PAINTERS))], rng)
    subject = painter.subjects[rng.integers(len(painter.subjects))]
    scene = subject(rng, width, height, palette)
    painted = painter.brush(rng, scene, palette)
    light = 1 + rng.normal(0, 0.1)
    picture = Image.new("RGB", (SIDE, SIDE))
    picture.paste(to_image(painted * light), ((SIDE - width) // 2, (SIDE - height) // 2))
    return picture


def _palette(painter: Painter, other: Painter, rng: np.random.Generator) -> Palette:
    """Return the painter's colours as they are in one picture: turned a little, and partly another painter's."""
    turn, share = rng.normal(0, 14), rng.uniform(0, BORROWED)

    def tone(own: tuple[float, float, float], borrowed: tuple[float, float, float]) -> Floats:
        hue, saturation, value = own
        shifted = color(
            hue + turn, min(1, saturation * rng.uniform(0.7, 1.25)), min(1, value * rng.uniform(0.82, 1.15))
        )
        return mix(shifted, color(*borrowed), share)

    return Palette(
        tone(painter.sky, other.sky),
        tone(painter.land, other.land),
        tone(painter.shade, other.shade),
        tone(painter.accent, other.accent),
    )

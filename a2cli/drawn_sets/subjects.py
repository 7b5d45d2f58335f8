"""What the invented painters paint: each subject as soft colour fields, (H, W, 3) float, before the brush."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from a2cli.drawn_sets.drawing import Floats, blur, color, ink, mix, noise, smoothstep, to_canvas, to_image


@dataclass(frozen=True)
class Palette:
    """Four colours, (3,) each."""

    sky: Floats
    land: Floats
    shade: Floats
    accent: Floats


Random = np.random.Generator
Subject = Callable[[Random, int, int, Palette], Floats]


def _sky(rng: Random, width: int, height: int, palette: Palette, horizon: float) -> Floats:
    """A sky that grows paler towards the horizon (a share of the height), with clouds and a glow."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    down = (y / (height * horizon)).clip(0, 1)
    canvas = mix(palette.sky * 0.82 + np.zeros((height, width, 3), np.float32), palette.sky * 0.6 + 0.4, down)
    clouds = noise(rng, width, height, 3)
    canvas = mix(canvas, mix(palette.sky, np.ones(3, np.float32), 0.6), 0.6 * smoothstep(clouds, 0.5, 0.85))
    canvas = mix(canvas, palette.shade * 0.5 + palette.sky * 0.5, 0.4 * smoothstep(clouds, 0.35, 0.1))
    sun_x, sun_y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.3, 1.0) * horizon * height
    near = np.exp(-((x - sun_x) ** 2 + (y - sun_y) ** 2) / (2 * (0.22 * width) ** 2))
    return mix(canvas, mix(palette.accent, np.ones(3, np.float32), 0.5), 0.5 * near)


def _hills(rng: Random, canvas: Floats, palette: Palette, top: float, bottom: float, layers: int, rough: int) -> Floats:
    """Lay ridges over a canvas from `top` to `bottom` (shares of the height), each nearer, darker and warmer."""
    height, width, _ = canvas.shape
    y = np.arange(height, dtype=np.float32)[:, None]
    for layer in range(layers):
        near = (layer + 1) / layers
        ridge = noise(rng, width, 8, rough, 4)[4]
        crest = (top + (bottom - top) * layer / layers) * height - ridge * 0.22 * height * (1.2 - near)
        tone = mix(mix(palette.sky, palette.land, 0.35 + 0.65 * near), palette.shade, rng.uniform(0.1, 0.55) * near)
        texture = 0.85 + 0.3 * noise(rng, width, height, 6)[..., None]
        canvas = mix(canvas, tone * texture, smoothstep(y - crest, -1, 1.5))
    return canvas


def _drawn(canvas: Floats) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = to_image(canvas)
    return image, ImageDraw.Draw(image)


def _tree(rng: Random, draw: ImageDraw.ImageDraw, x: float, base: float, size: float, palette: Palette) -> None:
    trunk = ink(palette.shade * 0.6)
    draw.line((x, base, x + rng.normal(0, 0.06) * size, base - size * 0.6), fill=trunk, width=max(1, int(size / 14)))
    for _ in range(14):
        dx, dy = rng.normal(0, 0.22) * size, rng.normal(0.72, 0.17) * size
        r = rng.uniform(0.09, 0.2) * size
        leaf = mix(palette.land, palette.shade, rng.uniform(0.2, 0.9)) * rng.uniform(0.6, 1.05)
        draw.ellipse((x + dx - r, base - dy - r * 0.7, x + dx + r, base - dy + r * 0.7), fill=ink(leaf))


def valley(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """Hills, a river that catches the sky, trees to a side."""
    horizon = rng.uniform(0.35, 0.6)
    canvas = _hills(rng, _sky(rng, width, height, palette, horizon), palette, horizon, 1.0, 4, 2)
    image, draw = _drawn(canvas)
    if rng.random() < 0.6:
        x, water = rng.uniform(0.2, 0.8) * width, ink(mix(palette.sky, palette.shade, 0.2))
        for step in range(12):
            y0 = (horizon + 0.12) * height + step / 12 * height * (0.9 - horizon)
            half = 1 + step * step * width / 700
            x += rng.normal(0, width / 22)
            draw.ellipse((x - half * 2, y0 - 2, x + half * 2, y0 + 3 + step / 3), fill=water)
    side = rng.choice([0.05, 0.95])
    for _ in range(rng.integers(1, 4)):
        x = (side + rng.normal(0, 0.12)) * width
        _tree(rng, draw, x, rng.uniform(0.8, 1.0) * height, rng.uniform(0.35, 0.75) * height, palette)
    return blur(to_canvas(image), 0.6)


def mountains(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """Rough ridges behind one another, mist between them."""
    horizon = rng.uniform(0.25, 0.45)
    canvas = _hills(rng, _sky(rng, width, height, palette, horizon), palette, horizon, 0.95, 5, 5)
    mist = smoothstep(noise(rng, width, height, 2), 0.55, 0.9)
    return mix(canvas, mix(palette.sky, np.ones(3, np.float32), 0.3), 0.5 * mist)


def sea(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """Water under a wide sky, with the light on it and boats."""
    horizon = rng.uniform(0.42, 0.68)
    canvas = _sky(rng, width, height, palette, horizon)
    line = int(horizon * height)
    depth = np.linspace(0, 1, height - line, dtype=np.float32)[:, None].repeat(width, axis=1)
    mirrored = canvas[line - 1 :: -1][: height - line]
    mirrored = np.concatenate([mirrored, mirrored[-1:].repeat(height - line - len(mirrored), axis=0)])
    waves: Floats = noise(rng, width, height - line, 2, 5) * (0.4 + depth)
    canvas[line:] = mix(mix(mirrored, palette.shade, 0.3 + 0.3 * depth), palette.land, 0.35 * waves)
    image, draw = _drawn(canvas)
    for _ in range(rng.integers(1, 6)):
        near = rng.uniform(0.05, 0.8)
        x, base = rng.uniform(0.08, 0.92) * width, line + near * (height - line) * 0.8
        size, hull = height * (0.07 + 0.2 * near), ink(palette.shade * 0.6)
        draw.ellipse((x - size * 0.6, base - size * 0.1, x + size * 0.6, base + size * 0.12), fill=hull)
        sail = ink(mix(palette.accent, np.ones(3, np.float32), rng.uniform(0.0, 0.7)))
        leech = (x + rng.choice([-1, 1]) * size * 0.5, base - size * 0.15)
        draw.polygon([(x, base - size * 0.1), (x, base - size), leech], fill=sail)
    return blur(to_canvas(image), 0.6)


def town(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """Houses and towers along water or a square."""
    horizon = rng.uniform(0.5, 0.7)
    image, draw = _drawn(_sky(rng, width, height, palette, horizon))
    line, x = horizon * height, -5.0
    draw.rectangle((0, line, width, height), fill=ink(mix(palette.sky, palette.shade, 0.4)))
    while x < width:
        wide, tall = rng.uniform(0.06, 0.16) * width, rng.uniform(0.08, 0.3) * height
        if rng.random() < 0.15:
            wide, tall = wide * 0.5, tall * 1.9
        wall = mix(palette.land, palette.sky, rng.uniform(0, 0.5)) * rng.uniform(0.75, 1.15)
        draw.rectangle((x, line - tall, x + wide, line + 1), fill=ink(wall))
        draw.rectangle((x + wide * 0.7, line - tall, x + wide, line + 1), fill=ink(mix(wall, palette.shade, 0.45)))
        roof = ink(palette.accent * rng.uniform(0.7, 1.0))
        top = (x + wide / 2, line - tall - wide * rng.uniform(0.2, 0.7))
        draw.polygon([(x - 1, line - tall), top, (x + wide + 1, line - tall)], fill=roof)
        for row in np.arange(line - tall + 3, line - 3, 5):
            for column in np.arange(x + 2, x + wide * 0.65, 4):
                draw.rectangle((column, row, column + 1, row + 2), fill=ink(palette.shade))
        reflection = mix(wall, palette.shade, 0.5)
        draw.rectangle((x, line + 2, x + wide, line + 2 + tall * 0.6), fill=ink(reflection))
        x += wide * rng.uniform(0.85, 1.2)
    canvas = to_canvas(image)
    low = int(line) + 2
    canvas[low:] = blur(canvas[low:], 1.6)
    return canvas


def garden(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """Bushes, flowers and a path, close up."""
    greens = noise(rng, width, height, 4, 4)
    canvas = mix(palette.shade + np.zeros((height, width, 3), np.float32), palette.land, smoothstep(greens, 0.2, 0.7))
    canvas = mix(canvas, palette.sky, smoothstep(noise(rng, width, height, 2), 0.6, 0.95))
    image, draw = _drawn(canvas)
    x, bend = rng.uniform(0.3, 0.7) * width, rng.normal(0, 0.25) * width
    path = mix(palette.land, np.ones(3, np.float32), 0.45)
    far, near, half = 0.35 * height, x + bend, 0.22 * width
    draw.polygon([(x - 3, far), (x + 3, far), (near + half, height), (near - half, height)], fill=ink(path))
    for _ in range(rng.integers(2, 5)):
        x, base, size = rng.uniform(0, 1) * width, rng.uniform(0.45, 0.95) * height, rng.uniform(0.25, 0.5) * height
        _tree(rng, draw, x, base, size, palette)
    for _ in range(rng.integers(30, 90)):
        fx, fy = rng.uniform(0, width), height * (0.4 + 0.6 * rng.random() ** 0.7)
        bloom = mix(palette.accent, np.ones(3, np.float32), rng.uniform(0, 0.6))
        draw.ellipse((fx - 1.5, fy - 1.5, fx + 1.5, fy + 1.5), fill=ink(bloom))
    return blur(to_canvas(image), 0.7)


def bust(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """A sitter, head and shoulders, lit from one side."""
    dark = palette.shade + np.zeros((height, width, 3), np.float32)
    image, draw = _drawn(mix(dark, palette.sky, 0.6 * noise(rng, width, height, 2)))
    x, head = rng.uniform(0.42, 0.58) * width, min(width, height) * rng.uniform(0.15, 0.2)
    y = rng.uniform(0.33, 0.42) * height
    skin = color(rng.uniform(15, 32), rng.uniform(0.25, 0.55), rng.uniform(0.6, 0.95))
    skin = mix(skin, palette.accent, 0.25)
    hair = ink(mix(palette.shade, palette.land, rng.uniform(0, 0.7)) * rng.uniform(0.4, 1.1))
    coat = mix(palette.accent, palette.shade, rng.uniform(0.1, 0.9))
    draw.ellipse((x - head * 1.25, y - head * 1.5, x + head * 1.25, y + head * rng.uniform(0.9, 1.9)), fill=hair)
    draw.ellipse((x - head * 2.7, y + head * 1.6, x + head * 2.7, y + head * 7), fill=ink(coat))
    collar = [(x - head * 0.9, y + head * 1.6), (x + head * 0.9, y + head * 1.6), (x, y + head * 3)]
    draw.polygon(collar, fill=ink(mix(skin, np.ones(3, np.float32), 0.5)))
    draw.rectangle((x - head * 0.4, y + head * 0.6, x + head * 0.4, y + head * 1.9), fill=ink(skin * 0.8))
    draw.ellipse((x - head, y - head * 1.25, x + head, y + head * 1.3), fill=ink(skin))
    turn = rng.normal(0, 0.2) * head
    for eye in (-0.4, 0.4):
        ex, iris = x + turn + eye * head, ink(palette.shade * 0.5)
        draw.ellipse((ex - head * 0.16, y - head * 0.2, ex + head * 0.16, y - head * 0.05), fill=iris)
    thick, mouth, lips = max(1, int(head / 8)), y + head * 0.68, ink(mix(skin, color(0, 0.7, 0.6), 0.6))
    draw.line((x + turn, y, x + turn * 1.5, y + head * 0.35), fill=ink(skin * 0.75), width=thick)
    draw.line((x + turn - head * 0.25, mouth, x + turn + head * 0.25, mouth), fill=lips, width=thick)
    canvas = blur(to_canvas(image), 0.9)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * rng.choice([-1, 1])
    across = across + np.zeros((height, 1), np.float32)
    return canvas * (1 - 0.45 * smoothstep(across, -0.1, 0.7))[..., None]


def still(rng: Random, width: int, height: int, palette: Palette) -> Floats:
    """Fruit and a jug on a table."""
    edge = rng.uniform(0.45, 0.62) * height
    y = np.arange(height, dtype=np.float32)[:, None] + np.zeros((1, width), np.float32)
    wall = mix(palette.shade, palette.sky, 0.5) * (0.8 + 0.4 * noise(rng, width, height, 3)[..., None])
    canvas = mix(wall, mix(palette.land, np.ones(3, np.float32), 0.3), smoothstep(y, edge - 1, edge + 1))
    image, draw = _drawn(canvas)
    if rng.random() < 0.7:
        x, size = rng.uniform(0.2, 0.8) * width, 0.3 * height
        jug = mix(palette.sky, palette.shade, rng.uniform(0.1, 0.7))
        draw.ellipse((x - size * 0.45, edge - size * 0.6, x + size * 0.45, edge + size * 0.4), fill=ink(jug))
        draw.rectangle((x - size * 0.2, edge - size, x + size * 0.2, edge - size * 0.4), fill=ink(jug * 0.9))
    for _ in range(rng.integers(4, 11)):
        x, r = rng.uniform(0.12, 0.88) * width, rng.uniform(0.05, 0.1) * height
        base = edge + rng.uniform(0.06, 0.3) * height
        tone = mix(palette.accent, color(rng.uniform(0, 110), 0.7, 0.8), rng.uniform(0, 0.6))
        shadow = ink(mix(palette.land, palette.shade, 0.6))
        draw.ellipse((x - r, base - r * 0.1, x + r * 1.7, base + r * 0.9), fill=shadow)
        draw.ellipse((x - r, base - r, x + r, base + r * 0.8), fill=ink(tone * 0.75))
        draw.ellipse((x - r * 0.8, base - r * 0.9, x + r * 0.5, base + r * 0.4), fill=ink(tone * 1.05))
    return blur(to_canvas(image), 0.8)

"""How the invented painters paint: each brush goes over a subject's colour fields, (H, W, 3) float in and out."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from a2cli.drawn_sets.drawing import Floats, blur, mix, noise, smoothstep, to_canvas, to_image
from a2cli.drawn_sets.subjects import Palette

Random = np.random.Generator
Brush = Callable[[Random, Floats, Palette], Floats]


def strokes(rng: Random, scene: Floats, count: int, length: float, width: int, angle: Floats, tint: float) -> Floats:
    """Lay `count` strokes in the scene's colours, along `angle` (H, W) in radians, each varied by `tint`."""
    height, wide, _ = scene.shape
    image = to_image(blur(scene, 1.0))
    draw = ImageDraw.Draw(image)
    xs, ys = rng.integers(0, wide, count), rng.integers(0, height, count)
    tones = (
        (scene[ys, xs] + rng.normal(0, tint, (count, 3)) + rng.normal(0, tint, (count, 1))).clip(0, 1) * 255
    ).astype(int)
    turned = angle[ys, xs] + rng.normal(0, 0.25, count)
    dx, dy = np.cos(turned) * length / 2, np.sin(turned) * length / 2
    ends = np.stack([xs - dx, ys - dy, xs + dx, ys + dy], axis=1).tolist()
    for end, tone in zip(ends, tones.tolist(), strict=True):
        draw.line(end, fill=tuple(tone), width=width)
    return to_canvas(image)


def _flow(rng: Random, scene: Floats, cells: int, spread: float) -> Floats:
    height, width, _ = scene.shape
    return (noise(rng, width, height, cells) - 0.5) * spread


def _along_edges(scene: Floats) -> Floats:
    """Return the direction along which the light changes least, as a hand that follows forms would take."""
    grey = blur(scene, 2.0).mean(axis=2)
    down, right = np.gradient(grey)
    return np.asarray(np.arctan2(right, -down), dtype=np.float32)


def _edges(canvas: Floats) -> Floats:
    """Return the steps of the light from each pixel to its neighbours."""
    light = canvas.mean(axis=2)
    down, right = np.diff(light, axis=0, append=light[-1:]), np.diff(light, axis=1, append=light[:, -1:])
    return np.asarray(np.hypot(down, right), dtype=np.float32)


def _grain(rng: Random, canvas: Floats, amount: float) -> Floats:
    return np.asarray(canvas + rng.normal(0, amount, canvas.shape[:2])[..., None], dtype=np.float32)


def ruled(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Crisp contours and fine ruled lines over clear light."""
    image = to_image(scene).filter(ImageFilter.UnsharpMask(1.5, 180, 2))
    canvas = to_canvas(image)
    lines = strokes(rng, canvas, 260, 9, 1, np.zeros(scene.shape[:2], np.float32), 0.05)
    return mix(canvas, lines, 0.55)


def dabs(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Many short broken touches of unmixed colour."""
    return strokes(rng, scene, 1100, 4.5, 2, _flow(rng, scene, 3, 3.0), 0.085)


def soft(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Blended transitions with broad warm strokes beneath."""
    broad = strokes(rng, scene, 260, 16, 5, _flow(rng, scene, 2, 2.5), 0.035)
    return _grain(rng, blur(mix(scene, broad, 0.55), 0.9), 0.012)


def haze(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Forms dissolved in light, dragged along the air."""
    height, width, _ = scene.shape
    glow = mix(blur(scene, 4.0), palette.sky, 0.25 + 0.3 * noise(rng, width, height, 2))
    dragged = strokes(rng, mix(scene, glow, 0.6), 420, 15, 3, _flow(rng, scene, 2, 1.6), 0.04)
    return blur(dragged, 1.1)


def wash(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Thin watercolour in a few tones, with hard dried edges on grainy paper."""
    height, width, _ = scene.shape
    soft_scene = blur(scene, 2.2)
    tones = np.floor(soft_scene * 9 + noise(rng, width, height, 8)[..., None]) / 9
    edges = np.abs(np.diff(tones.mean(axis=2), axis=1, append=0)) > 0.04
    canvas = mix(soft_scene, np.asarray(tones, np.float32), 0.75) - 0.06 * edges[..., None]
    grey = canvas.mean(axis=2, keepdims=True)
    return _grain(rng, mix(canvas, grey + np.zeros(3, np.float32), 0.35), 0.02)


def patches(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Parallel slanting touches that build planes."""
    slant = np.full(scene.shape[:2], rng.normal(-0.9, 0.2), np.float32) + _flow(rng, scene, 2, 0.7)
    return strokes(rng, scene, 800, 7, 4, slant, 0.055)


def flat(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Flat saturated areas, bounded by dark contours."""
    image = to_image(blur(scene, 1.4)).quantize(9, Image.Quantize.MEDIANCUT, kmeans=1).convert("RGB")
    canvas = to_canvas(image.filter(ImageFilter.ModeFilter(5)))
    grey = canvas.mean(axis=2, keepdims=True)
    canvas = grey + (canvas - grey) * 1.35
    contours = 0.7 * smoothstep(_edges(canvas), 0.03, 0.12)
    return _grain(rng, mix(np.asarray(canvas, np.float32), palette.shade * 0.5, contours), 0.015)


def penned(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Pale washes, thin pen contours, and short hatching in the shadows."""
    height, width, _ = scene.shape
    pale = mix(blur(scene, 1.4), np.array([0.96, 0.93, 0.85], np.float32), 0.42)
    ink = np.array([0.36, 0.29, 0.23], np.float32)
    pale = mix(pale, ink, 0.6 * smoothstep(_edges(blur(scene, 0.8)), 0.03, 0.1))
    image = to_image(pale)
    draw = ImageDraw.Draw(image)
    grey = scene.mean(axis=2)
    shadow = np.quantile(grey, 0.3)
    xs, ys = rng.integers(0, width, 700), rng.integers(0, height, 700)
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        if grey[y, x] < shadow:
            draw.line((x - 1, y + 2, x + 1, y - 2), fill=(92, 74, 60), width=1)
    return _grain(rng, mix(pale, to_canvas(image), 0.7), 0.012)


def swirl(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """Long curling strokes along the forms, rich and warm."""
    under = strokes(rng, scene, 300, 11, 4, _flow(rng, scene, 2, 5.0), 0.04)
    over = strokes(rng, mix(under, scene, 0.5), 600, 8, 2, _along_edges(scene), 0.045)
    warm = np.array([1.06, 1.0, 0.92], np.float32)
    return np.asarray(blur(mix(scene, over, 0.8), 0.5) * warm, np.float32)


def glaze(rng: Random, scene: Floats, palette: Palette) -> Floats:
    """A pool of light in the dark, under brown glazes."""
    height, width, _ = scene.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cx, cy = rng.uniform(0.4, 0.6) * width, rng.uniform(0.3, 0.5) * height
    pool = np.exp(-(((x - cx) / (0.34 * width)) ** 2 + ((y - cy) / (0.34 * height)) ** 2) / 2)
    canvas = mix(scene, strokes(rng, scene, 300, 7, 2, _along_edges(scene), 0.03), 0.5)
    lit = mix(palette.shade * 0.7 + np.zeros_like(canvas), canvas, 0.12 + 0.88 * pool)
    return _grain(rng, blur(lit, 0.7), 0.01)

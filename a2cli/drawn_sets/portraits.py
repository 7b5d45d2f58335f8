"""The built-in set `portraits`: 40 invented people, each drawn 18 to 32 times as if photographed on different days.

A person is a handful of measures that stay: skin, hair, eyes, the shape of face, nose, brows and mouth, perhaps
glasses, a beard or freckles; every fourth is the sibling of the one before. A picture adds what changes: pose,
expression, light, clothes, background, framing.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from a2cli.drawn_sets.drawing import DrawnSet, Floats, color, draw_set, ink, mix, noise, smoothstep, to_canvas, to_image
from a2cli.progress import ProgressReporter

SIDE, SCALE = 64, 3
PEOPLE = 40
NAMES = (
    "ada", "bram", "cleo", "dario", "edda", "farid", "greta", "hugo", "ines", "jonas", "kaya", "leon", "mira", "nils",
    "olga", "paolo", "quinn", "rosa", "sami", "tilda", "umar", "vera", "wim", "xenia", "yuri", "zoe", "amal", "boris",
    "chloe", "dmitri", "elif", "finn", "gita", "hanna", "igor", "june", "kofi", "lena", "marco", "nadia",
)  # fmt: skip
Random = np.random.Generator


@dataclass(frozen=True)
class Person:
    """What stays of a person; lengths are shares of the face's half width, colours (3,) in [0, 1]."""

    skin: Floats
    hair: Floats
    iris: Floats
    face_length: float
    jaw: float
    eye_distance: float
    eye_size: float
    brow: float
    nose: float
    mouth: float
    hair_top: float
    hair_length: float
    parting: float
    beard: float
    glasses: bool
    freckles: bool


def draw_portraits(seed: int = 0, reporter: ProgressReporter | None = None) -> DrawnSet:
    """Draw all pictures: images (N, 64, 64, 3), about a thousand, the same for the same seed."""
    people = _people(seed)
    counts = np.random.default_rng([seed, 1]).integers(18, 33, PEOPLE)
    classes = [(name, int(count)) for name, count in zip(NAMES, counts, strict=True)]
    return draw_set(classes, seed, lambda number, rng: _picture(people[number], rng), reporter)


def _people(seed: int) -> list[Person]:
    people: list[Person] = []
    for number in range(PEOPLE):
        rng = np.random.default_rng([seed, 2, number])
        person = _person(rng)
        if number % 4 == 3:  # a sibling: colours and some of the features are the family's
            person = replace(
                people[-1], mouth=person.mouth, brow=person.brow, hair_length=person.hair_length, jaw=person.jaw
            )
        people.append(person)
    return people


def _person(rng: Random) -> Person:
    tone = rng.random()
    man = rng.random() < 0.5
    return Person(
        skin=color(rng.uniform(16, 30), 0.3 + 0.3 * tone, 0.97 - 0.6 * tone**1.5),
        hair=color(rng.uniform(10, 45), rng.uniform(0.1, 0.8), rng.choice([0.12, 0.25, 0.4, 0.6, 0.85])),
        iris=color(rng.choice([25, 30, 100, 205]), 0.6, rng.uniform(0.25, 0.7)),
        face_length=rng.uniform(1.15, 1.5),
        jaw=rng.uniform(0.55, 0.95),
        eye_distance=rng.uniform(0.34, 0.5),
        eye_size=rng.uniform(0.13, 0.22),
        brow=rng.uniform(0.03, 0.11),
        nose=rng.uniform(0.3, 0.6),
        mouth=rng.uniform(0.24, 0.48),
        hair_top=rng.uniform(0.12, 0.45) if rng.random() < 0.92 else 0.02,
        hair_length=rng.uniform(0.0, 0.5) if man else rng.uniform(0.3, 1.9),
        parting=rng.uniform(-0.8, 0.8),
        beard=rng.choice([0.0, 0.0, 0.4, 0.8]) if man else 0.0,
        glasses=bool(rng.random() < 0.25),
        freckles=bool(rng.random() < 0.2),
    )


def _picture(person: Person, rng: Random) -> Image.Image:
    side = SIDE * SCALE
    backdrop = color(rng.uniform(0, 360), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.9))
    ground = backdrop * (0.75 + 0.5 * noise(rng, side, side, 2)[..., None])
    image = to_image(ground)
    draw = ImageDraw.Draw(image)
    unit = side * rng.uniform(0.23, 0.3)
    x, y = side * (0.5 + rng.normal(0, 0.035)), side * (0.47 + rng.normal(0, 0.03))
    turn = float(np.clip(rng.normal(0, 0.16), -0.35, 0.35))
    _hair_behind(draw, person, x, y, unit)
    _shoulders(draw, person, rng, x, y, unit)
    _face(draw, person, x, y, unit)
    _features(draw, person, rng, x + turn * unit, y, unit)
    _hair_before(draw, person, x, y, unit, turn)
    image = image.rotate(rng.normal(0, 5), Image.Resampling.BILINEAR, center=(x, y), fillcolor=ink(backdrop))
    return _lit(image, rng)


def _hair_behind(draw: ImageDraw.ImageDraw, person: Person, x: float, y: float, unit: float) -> None:
    top = y - unit * (person.face_length * 0.95 + person.hair_top)
    wide = unit * (1.08 + 0.25 * person.hair_top)
    hair = ink(person.hair * 0.85)
    draw.ellipse((x - wide, top, x + wide, y + unit * 0.6), fill=hair)
    if person.hair_length > 0.25:
        low = y + unit * (0.2 + person.hair_length)
        draw.rounded_rectangle((x - wide, y - unit * 0.4, x + wide, low), radius=unit * 0.4, fill=hair)


def _shoulders(draw: ImageDraw.ImageDraw, person: Person, rng: Random, x: float, y: float, unit: float) -> None:
    neck = ink(person.skin * 0.8)
    draw.rectangle((x - unit * 0.42, y + unit * 0.6, x + unit * 0.42, y + unit * 1.9), fill=neck)
    cloth = color(rng.uniform(0, 360), rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.9))
    draw.ellipse((x - unit * 2.1, y + unit * 1.55, x + unit * 2.1, y + unit * 5), fill=ink(cloth))
    collar = [(x - unit * 0.5, y + unit * 1.5), (x + unit * 0.5, y + unit * 1.5), (x, y + unit * rng.uniform(1.8, 2.6))]
    draw.polygon(collar, fill=neck if rng.random() < 0.6 else ink(cloth * 1.3))


def _face(draw: ImageDraw.ImageDraw, person: Person, x: float, y: float, unit: float) -> None:
    skin, darker = ink(person.skin), ink(person.skin * 0.88)
    for ear in (-1, 1):
        ex = x + ear * unit * 0.97
        draw.ellipse((ex - unit * 0.14, y - unit * 0.2, ex + unit * 0.14, y + unit * 0.25), fill=darker)
    long = unit * person.face_length
    draw.ellipse((x - unit, y - long * 0.95, x + unit, y + long * 0.6), fill=skin)
    chin, jaw = y + long, unit * person.jaw
    brow, cheek, low = y - unit * 0.1, y + long * 0.6, chin - unit * 0.06
    left, right = [(x - jaw * 0.5, low), (x - jaw, cheek)], [(x + jaw, cheek), (x + jaw * 0.5, low)]
    draw.polygon([(x - unit, brow), (x + unit, brow), *right, *left], fill=skin)
    draw.ellipse((x - jaw * 0.62, y + long * 0.45, x + jaw * 0.62, chin), fill=skin)
    if person.beard:
        stubble = ink(mix(person.skin, person.hair, person.beard))
        draw.chord((x - jaw * 1.02, y - long * 0.2, x + jaw * 1.02, chin + unit * 0.04), 15, 165, fill=stubble)


def _features(draw: ImageDraw.ImageDraw, person: Person, rng: Random, x: float, y: float, unit: float) -> None:
    """Eyes, brows, nose and mouth, moved together by the head's turn; the expression is the picture's own."""
    opened, smile, raised = rng.uniform(0.55, 1.0), rng.uniform(-0.1, 0.28), rng.uniform(0, 0.1)
    look = rng.normal(0, 0.25) * person.eye_size * unit
    dark = ink(mix(person.hair, np.zeros(3, np.float32), 0.3))
    for eye in (-1, 1):
        ex, ey, r = x + eye * unit * person.eye_distance, y - unit * 0.12, unit * person.eye_size
        draw.ellipse((ex - r, ey - r * 0.62 * opened, ex + r, ey + r * 0.62 * opened), fill=(244, 240, 234))
        wide, tall, sight = r * 0.56, r * 0.56 * opened, ex + look
        draw.ellipse((sight - wide, ey - tall, sight + wide, ey + tall), fill=ink(person.iris))
        draw.ellipse((sight - wide / 2, ey - tall / 2, sight + wide / 2, ey + tall / 2), fill=(18, 14, 14))
        draw.arc((ex - r, ey - r * 0.75, ex + r, ey + r * 0.75), 190, 350, fill=dark, width=SCALE)
        lift = ey - unit * (0.26 + raised)
        brow, thick = lift + unit * 0.03, max(SCALE, int(unit * person.brow))
        draw.line((ex - r * 1.2, brow, ex, lift - unit * 0.04, ex + r * 1.2, brow), fill=dark, width=thick)
        if person.glasses:
            lens = (ex - r * 1.55, ey - r * 1.15, ex + r * 1.55, ey + r * 1.25)
            draw.rounded_rectangle(lens, radius=r * 0.6, outline=(40, 36, 40), width=SCALE)
    if person.glasses:
        draw.line((x - unit * 0.14, y - unit * 0.14, x + unit * 0.14, y - unit * 0.14), fill=(40, 36, 40), width=SCALE)
    tip, shadow = y + unit * person.nose, ink(person.skin * 0.8)
    nose = (x - unit * 0.05, y - unit * 0.05, x - unit * 0.12, tip, x + unit * 0.1, tip)
    draw.line(nose, fill=shadow, width=SCALE + 1)
    lips, wide, my = ink(mix(person.skin, color(355, 0.75, 0.6), 0.6)), unit * person.mouth, tip + unit * 0.32
    curve = unit * smile
    upper, lower = (x, my + curve * 0.4 - unit * 0.05), (x, my + curve + unit * 0.1)
    draw.polygon([(x - wide, my - curve), upper, (x + wide, my - curve), lower], fill=lips)
    if person.freckles:
        for fx, fy in rng.uniform(-0.6, 0.6, (24, 2)):
            left, top = x + fx * unit, y + (0.25 + fy * 0.35) * unit
            draw.ellipse((left, top, left + 2, top + 2), fill=shadow)


def _hair_before(draw: ImageDraw.ImageDraw, person: Person, x: float, y: float, unit: float, turn: float) -> None:
    if person.hair_top < 0.05:
        return
    top = y - unit * (person.face_length * 0.95 + person.hair_top)
    line = y - unit * (person.face_length * 0.95 - 0.42)
    parted = x + unit * (person.parting * 0.6 + turn)
    hair = ink(person.hair)
    for start, end in ((x - unit * 1.04, parted), (parted, x + unit * 1.04)):
        draw.chord((start - unit * 0.1, top + unit * 0.05, end + unit * 0.1, 2 * line - top), 180, 360, fill=hair)
    draw.chord((x - unit * 1.05, top, x + unit * 1.05, line + unit * 0.7), 190, 350, fill=hair)


def _lit(image: Image.Image, rng: Random) -> Image.Image:
    """Light the picture from a side, warm or cool, perhaps with a shadow across, and take it with a small camera."""
    canvas = to_canvas(image.filter(ImageFilter.GaussianBlur(SCALE * 0.5)))
    side = canvas.shape[0]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    canvas = canvas * (1 + rng.uniform(0.1, 0.45) * slope)[..., None] * rng.uniform(0.65, 1.2)
    if rng.random() < 0.25:
        canvas = canvas * (1 - 0.45 * smoothstep(slope, 0.1, 0.3))[..., None]
    warm = rng.normal(0, 0.06)
    canvas = canvas * np.array([1 + warm, 1, 1 - warm], np.float32)
    small = to_canvas(to_image(canvas).resize((SIDE, SIDE), Image.Resampling.BOX))
    return to_image(small + rng.normal(0, 0.02, small.shape).astype(np.float32))

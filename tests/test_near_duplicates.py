"""Nearly identical images: the paintings' own, changed, are found; different paintings and faces are not."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import A2, draw_classes
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from a2cli.data.near_duplicates import near_duplicates, perceptual_hash, similarity, thumbnail
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.drawn_sets.drawing import DrawnSet
from a2cli.progress import NullReporter
from a2cli.reports.data_results import NearDuplicate
from a2cli.training.data_notes import near_notes, near_pairs

SIDE = 50
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


CHANGES = {
    "scaled to a quarter": scaled(0.25),
    "scaled by 1.5": scaled(1.5),
    "JPEG, quality 20": encoded(20),
    "JPEG, quality 75": encoded(75),
    "cropped by 2 pixels": cropped(2, 2, 2, 2),
    "cropped by 4 pixels": cropped(4, 4, 4, 4),
    "cropped by 4 pixels at two sides": cropped(4, 4, 0, 0),
    "cropped by 8 pixels": cropped(8, 8, 8, 8),
    "darkened to 0.7": brightened(0.7),
    "brightened by 1.3": brightened(1.3),
}


def hashed(images: list[Image.Image]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    squares = [np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in images]
    small = np.stack([thumbnail(square) for square in squares])
    return small, np.array([perceptual_hash(one) for one in small], dtype=np.uint64)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    from conftest import _real

    paths = sorted(_real("data/paintings").rglob("*.png"))
    return [Image.open(path).convert("RGB") for path in paths]


@pytest.fixture(scope="module")
def originals(images: list[Image.Image]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    return hashed(images)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_paintings_are_found(
    change: str, images: list[Image.Image], originals: tuple[NDArray[np.uint8], NDArray[np.uint64]]
) -> None:
    every = slice(None, None, 3)
    chosen, count = images[every], len(images[every])
    small, hashes = hashed([CHANGES[change](image) for image in chosen])
    both = np.concatenate([originals[0][every], small]), np.concatenate([originals[1][every], hashes])
    pairs = {(i, j) for i, j, _ in near_duplicates(*both)}
    found = {pair for pair in pairs if pair[1] - pair[0] == count}
    assert len(found) >= 0.95 * count
    assert len(pairs - found) <= 0.001 * count * (count - 1) / 2


def test_different_paintings_are_not_near_duplicates(originals: tuple[NDArray[np.uint8], NDArray[np.uint64]]) -> None:
    count = len(originals[0])
    assert len(near_duplicates(*originals)) <= 0.001 * count * (count - 1) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["atelier", "portraits"])
def test_drawn_images_are_not_near_duplicates(
    name: str, drawn: Callable[[str], DrawnSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"a2cli.drawn_sets.{name}.draw_{name}", lambda reporter: drawn(name))
    assert not pack(find_source(name), SIDE, "squash", False, NullReporter()).near


def shape(rng: np.random.Generator, background: tuple[int, ...], colour: tuple[int, ...]) -> Image.Image:
    """Draw a disc, a square or a triangle of any size anywhere."""
    image = Image.new("RGB", (64, 64), background)
    draw, kind, radius = ImageDraw.Draw(image), int(rng.integers(3)), int(rng.integers(8, 26))
    x, y = map(int, rng.integers(radius // 2, 64 - radius // 2, 2))
    if kind == 0:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    elif kind == 1:
        draw.rectangle((x - radius, y - radius, x + radius, y + radius), fill=colour)
    else:
        draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)
    return image


@pytest.fixture(scope="module")
def shapes() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [shape(rng, *(tuple(map(int, rng.integers(0, 256, 3))) for _ in range(2))) for _ in range(200)]


def test_shapes_of_any_colour_and_place_are_not_near_duplicates(shapes: list[Image.Image]) -> None:
    assert not near_duplicates(*hashed(shapes))


def test_black_shapes_on_white_are_only_where_they_hardly_differ() -> None:
    rng = np.random.default_rng(0)
    black = [shape(rng, (255, 255, 255), (0, 0, 0)) for _ in range(200)]
    found = near_duplicates(*hashed(black))
    pixels = np.stack([np.asarray(image.convert("L"), dtype=float) for image in black])
    assert len(found) <= 0.001 * 200 * 199 / 2
    assert all(np.abs(pixels[i] - pixels[j]).mean() < 0.04 * 255 for i, j, _ in found)


@pytest.mark.parametrize("change", ["scaled by 1.5", "darkened to 0.7", "JPEG, quality 75"])
def test_changed_shapes_are_found(change: str, shapes: list[Image.Image]) -> None:
    drawn = [image for image in shapes if np.asarray(image.convert("L")).std() >= 20]
    pairs = near_duplicates(*hashed([*drawn, *(CHANGES[change](image) for image in drawn)]))
    found = {(i, j) for i, j, _ in pairs}
    right = {(i, i + len(drawn)) for i in range(len(drawn))}
    assert len(found & right) >= 0.85 * len(drawn)
    assert not found - right


def test_hardly_any_handwritten_digits_of_8_pixels_are_near_duplicates() -> None:
    """Of 1,797 none is with values rounded to 8 bits, and one pair with values cut off, as docs/running.md says."""
    digits = pytest.importorskip("sklearn.datasets").load_digits().images * 255 / 16
    for values, pairs in ((digits.round(), []), (digits, [(1076, 1134)])):
        images = [Image.fromarray(one).convert("RGB") for one in values.astype(np.uint8)]
        assert [(i, j) for i, j, _ in near_duplicates(*hashed(images))] == pairs


def test_another_hue_is_another_image(images: list[Image.Image]) -> None:
    """The complementary colours have the same grey."""

    def complementary(image: Image.Image) -> Image.Image:
        luma, *chroma = image.convert("YCbCr").split()
        return Image.merge("YCbCr", (luma, *map(ImageOps.invert, chroma))).convert("RGB")

    chosen = images[::9]
    assert not near_duplicates(*hashed([*chosen, *map(complementary, chosen)]))


def test_photographs_of_one_face_seldom_are(faces: Path) -> None:
    packed = pack(find_source(str(faces)), SIDE, "squash", False, NullReporter())
    count = len(packed.labels)
    assert len(packed.near) <= 0.001 * count * (count - 1) / 2


def test_the_hash_is_imagehash_s(originals: tuple[NDArray[np.uint8], NDArray[np.uint64]]) -> None:
    imagehash = pytest.importorskip("imagehash")
    for small, own in zip(*originals, strict=True):
        bits = imagehash.phash(Image.fromarray(small)).hash
        assert int(own) == int.from_bytes(np.packbits(bits).tobytes(), "big")


def test_what_is_the_same_is_one_and_what_is_moved_is_nearly(originals: tuple[NDArray[np.uint8], object]) -> None:
    small = originals[0][:40]
    assert similarity(small, small) == pytest.approx(1, abs=0.01)
    assert np.median(similarity(small, np.roll(small, 1, axis=2))) > 0.9
    assert np.median(similarity(small, np.roll(small, 1, axis=0))) < 0.5  # another painting


def test_images_alike_by_their_bars_alone_are_not(originals: tuple[NDArray[np.uint8], object]) -> None:
    """Faint noise between the same black bars: the bars have nearly all of the variance."""
    rng = np.random.default_rng(0)
    barred = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    barred[:, :, 8:24] = np.kron(rng.integers(215, 240, (2, 8, 8)), np.ones((4, 2)))[..., None]
    hashes = np.array([perceptual_hash(one) for one in barred], dtype=np.uint64)
    assert similarity(barred[:1], barred[1:])[0] > 0.94
    assert not near_duplicates(barred, np.full_like(hashes, hashes[0]))


def test_small_packs_find_the_same(tmp_path: Path, faces: Path) -> None:
    found = [pack(find_source(str(faces)), size, "squash", False, NullReporter()).near for size in (8, 48)]
    assert found[0] == found[1]


def test_pairs_are_told_of_in_plain_words() -> None:
    together, apart, unused, nowhere = (
        NearDuplicate("a", "b", 0.98, *parts, same_class=parts[1] != "val")
        for parts in (("train", "train"), ("train", "val"), ("train", ""), ("", ""))
    )
    one = "a pair of nearly identical images, a and b"
    assert near_notes([]) == []
    assert near_notes([together], "the default split") == [f"{one}, both in one part of the default split"]
    assert near_notes([apart]) == [f"{one}, in train and val of the split, under two labels"]
    assert near_notes([unused]) == near_notes([nowhere]) == [one]
    two = "2 pairs of nearly identical images, as a and b"
    assert near_notes([together] * 2) == [f"{two}; none of them in two parts of the split"]
    assert near_notes([apart, together]) == [f"{two}; 1 in train and val of the split, 1 under two labels"]


def test_near_duplicates_are_warned_of_listed_and_drawn(a2: A2, data: Path) -> None:
    smooth = [np.kron(np.random.default_rng(i).integers(0, 256, (6, 6, 3)), np.ones((8, 8, 1))) for i in range(2)]
    for i, pixels in enumerate(smooth):
        image = Image.fromarray(pixels.astype(np.uint8))
        image.save(data / f"ada/pair{i}.png")
        image.save(data / f"{('ada', 'bea')[i]}/pair{i}.jpg", quality=60)
    small = ["--image-size", "16", "--channels", "2", "--kernel-size", "3", "--epochs", "1", "--threads", "1"]
    run = a2("train-cnn", "--data", data, *small, "--quiet", "--out", "run").done(
        "2 pairs of nearly identical images, as"
    )
    report = json.loads((run / "report.json").read_text())
    listed = report["data"]["near_duplicates"]
    assert report["data"]["near_duplicate_pairs"] == 2
    named = {frozenset((one["first"], one["second"])): one["same_class"] for one in listed}
    assert named == {
        frozenset(("ada/pair0.png", "ada/pair0.jpg")): True,
        frozenset(("ada/pair1.png", "bea/pair1.jpg")): False,
    }
    assert "1 under two labels" in report["warnings"][0]
    assert "figures/near-duplicates.png" in report["artifacts"]
    with (run / "figures/near-duplicates.csv").open() as file:
        assert [row["first"] for row in csv.DictReader(file)] == [one["first"] for one in listed]
    order = [(one["first_part"] == one["second_part"], -one["similarity"]) for one in listed]
    assert order == sorted(order) and order[0] != order[1]
    assert "these are the parts of" not in report["warnings"][0]
    seeds = a2("train-cnn", "--data", data, *small, "--seeds", "2", "--jobs", "1", "--quiet", "--out", "seeds")
    assert "2 pairs of nearly identical" in seeds.err and "these are the parts of seed 0, the others" in seeds.err
    tune = "finetune --run run --layer conv1 --head-grid 1 --stages head:1@0.01 --batch-size 4 --threads 1 --device cpu"
    tuned = a2(*tune.split(), "--data", data, "--quiet", "--out", "tuned")
    assert tuned.status == 0, tuned.err
    assert "figures/near-duplicates.png" in json.loads(Path("tuned/report.json").read_text())["artifacts"]


def test_pairs_in_two_parts_come_first_then_the_most_similar() -> None:
    near = [(0, 1, 0.99), (2, 3, 0.95), (4, 5, 0.97), (0, 2, 0.96)]
    packed = SimpleNamespace(names=list("abcdef"), labels=np.zeros(6, dtype=int), near=near)
    pairs = near_pairs(packed, ["train", "train", "val", "train", "test", "train"])
    assert [(pair.first, pair.second) for pair in pairs] == [("e", "f"), ("a", "c"), ("c", "d"), ("a", "b")]


def test_without_any_there_is_no_figure(a2: A2, tmp_path: Path) -> None:
    data = draw_classes(tmp_path / "plain")
    small = ["--image-size", "16", "--channels", "2", "--kernel-size", "3", "--epochs", "1", "--threads", "1"]
    run = a2("train-cnn", "--data", data, *small, "--quiet", "--out", "run").done()
    assert not list((run / "figures").glob("near*"))


def test_too_many_images_are_not_compared_and_it_is_said(
    train: A2, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("a2cli.data.packer.MOST_COMPARED", 9)
    train("--data", data).done("near duplicates were not looked for: 10 images are more than 9")

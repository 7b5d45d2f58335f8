"""Each change of an image is torchvision's functional of that name, or Pillow's JPEG, within one grey level."""

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch import Tensor

from a2cli.data.decode import to_square
from a2cli.drawn_sets.drawing import DrawnSet
from a2cli.probe_invariance.changes import PerturbationContext, changed, padding
from a2cli.probe_invariance.settings import CHANGES, pixels

SIDE = 50
COVER = (0.2, 0.5, 0.8)


@pytest.fixture(scope="module")
def images(drawn: Callable[[str], DrawnSet]) -> Tensor:
    """Twelve canvases, of noise and of one colour the last two: (12, 3, 50, 50) uint8."""
    canvases = drawn("atelier").images[::45]
    squares = np.stack([to_square(Image.fromarray(image), SIDE, "squash") for image in canvases[:10]])
    noise = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    flat = np.full((1, SIDE, SIDE, 3), (10, 200, 90), dtype=np.uint8)
    return torch.from_numpy(np.concatenate([squares, noise, flat])).permute(0, 3, 1, 2)


def around(images: Tensor, border: str = "zero", margin: int = 0) -> PerturbationContext:
    return PerturbationContext(images, margin, border, COVER, noise=7)


def strengths(name: str, value: float, count: int) -> Tensor:
    """Return a strength for each of `count` images; of a translation in pixels, right and down."""
    if not name.startswith("translate"):
        return torch.full((count,), value)
    shift = pixels(value, SIDE)
    return torch.tensor([[shift * (name != "translate-y"), shift * (name != "translate-x")]]).repeat(count, 1)


def torchvisions(name: str, images: Tensor, value: float) -> Tensor:
    """Return what torchvision makes of the images, computed in floating point and rounded."""
    unit = images / 255
    shift = [float(x) for x in strengths(name, value, 1).flatten()]
    bilinear = TF.InterpolationMode.BILINEAR
    made: dict[str, Callable[[], Tensor]] = {
        "rotate": lambda: TF.rotate(unit, value, interpolation=bilinear),
        "scale": lambda: TF.affine(unit, 0, [0, 0], value, [0.0, 0.0], interpolation=bilinear),
        "translate": lambda: TF.affine(unit, 0, shift, 1, [0.0, 0.0]),
        "translate-x": lambda: TF.affine(unit, 0, shift, 1, [0.0, 0.0]),
        "translate-y": lambda: TF.affine(unit, 0, shift, 1, [0.0, 0.0]),
        "flip-horizontal": lambda: TF.horizontal_flip(unit),
        "flip-vertical": lambda: TF.vertical_flip(unit),
        "brightness": lambda: TF.adjust_brightness(unit, value),
        "contrast": lambda: TF.adjust_contrast(unit, value),
        "saturation": lambda: TF.adjust_saturation(unit, value),
        "hue": lambda: TF.adjust_hue(unit, value),
        "gamma": lambda: TF.adjust_gamma(unit, value),
        "grayscale": lambda: TF.rgb_to_grayscale(unit, num_output_channels=3),
        "invert": lambda: TF.invert(unit),
        "blur": lambda: TF.gaussian_blur(unit, 2 * math.ceil(3 * value) + 1, value),
        "occlusion": lambda: erased(unit, value),
    }
    return (made[name]() * 255).round()


def erased(images: Tensor, value: float) -> Tensor:
    length = round(value * SIDE)
    colour = torch.tensor([round(255 * share) / 255 for share in COVER]).view(1, 3, 1, 1)
    first = (SIDE - length) // 2
    return TF.erase(images, first, first, length, length, colour.expand(1, 3, length, length))


COMPARED = [
    (name, value)
    for name, change in CHANGES.items()
    for value in change.strengths or (1.0,)
    if name not in {"noise", "jpeg"} and "padding" not in name
]


@pytest.mark.parametrize(("name", "value"), COMPARED)
def test_is_torchvisions_functional(name: str, value: float, images: Tensor) -> None:
    found = changed(name, around(images), strengths(name, value, len(images)))
    assert found.dtype == torch.uint8
    assert found.shape == images.shape
    assert not torch.equal(found, images)
    assert (found - torchvisions(name, images, value)).abs().max() <= 1


@pytest.mark.parametrize("name", ["rotate", "scale", "brightness", "contrast", "saturation", "hue", "gamma", "blur"])
def test_each_image_has_its_own_strength(name: str, images: Tensor) -> None:
    low, high = CHANGES[name].strengths[0], CHANGES[name].strengths[-1]
    each = torch.linspace(low, high, len(images))
    found = changed(name, around(images), each)
    for i, value in enumerate(each.tolist()):
        alone = changed(name, around(images[i : i + 1]), torch.tensor([value]))
        assert (found[i].int() - alone[0].int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "identity"), [(name, one.identity) for name, one in CHANGES.items() if one.identity is not None]
)
def test_no_strength_is_the_identity_bit_for_bit(name: str, identity: float, images: Tensor) -> None:
    for border in ("zero", "reflect", "circular"):
        found = changed(name, around(images, border), strengths(name, identity, len(images)))
        assert torch.equal(found, images)


@pytest.mark.parametrize("quality", CHANGES["jpeg"].strengths)
def test_jpeg_is_pillows(quality: float, images: Tensor) -> None:
    found = changed("jpeg", around(images), torch.full((len(images),), quality))
    for image, read in zip(images, found, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=int(quality))
        assert np.array_equal(np.asarray(Image.open(file)), read.permute(1, 2, 0).numpy())


def test_noise_has_its_deviation_and_one_draw_for_all_strengths() -> None:
    grey = torch.full((64, 3, SIDE, SIDE), 128, dtype=torch.uint8)
    weak, strong = (changed("noise", around(grey), torch.full((64,), s)).double() - 128 for s in (0.02, 0.1))
    assert weak.std() / 255 == pytest.approx(0.02, rel=0.02)
    assert strong.std() / 255 == pytest.approx(0.1, rel=0.02)
    assert abs(strong.mean()) < 0.2
    assert np.corrcoef(weak.flatten(), strong.flatten())[0, 1] > 0.99


@pytest.mark.parametrize(("border", "mode"), [("zero", "constant"), ("reflect", "reflect"), ("circular", "circular")])
@pytest.mark.parametrize("shift", [(7, 0), (0, -9), (-3, 12)])
def test_what_comes_in_at_the_border(border: str, mode: str, shift: tuple[int, int], images: Tensor) -> None:
    right, down = shift
    reach = 12
    padded = F.pad(images.float(), (reach,) * 4, mode=mode)
    expected = padded[:, :, reach - down : reach - down + SIDE, reach - right : reach - right + SIDE]
    found = changed("translate", around(images, border), torch.tensor([shift]).repeat(len(images), 1))
    assert torch.equal(found.float(), expected)


def test_a_real_margin_brings_in_what_was_there(images: Tensor) -> None:
    margin = 10
    middle = PerturbationContext(images, margin, "real", COVER, noise=0)
    found = changed("translate", middle, torch.tensor([[4, -6]]).repeat(len(images), 1))
    assert torch.equal(middle.middle, images[:, :, 10:40, 10:40])
    assert torch.equal(found, images[:, :, 16:46, 6:36])


def barred(bars: tuple[int, int, int, int]) -> Tensor:
    """Return a picture of noise with black bars of (left, right, top, bottom) pixels, (1, 3, 50, 50).

    Beside a bar stands a line that is half bar, half picture, as resizing leaves it.
    """
    left, right, top, bottom = bars
    image = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    shape = SIDE - top - bottom, SIDE - left - right
    inside = torch.randint(30, 256, (3, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    image[0, :, top : SIDE - bottom, left : SIDE - right] = inside
    for bar, line in ((left, image[..., left]), (right, image[..., SIDE - 1 - right])):
        line //= 2 if bar else 1
    for bar, line in ((top, image[:, :, top]), (bottom, image[:, :, SIDE - 1 - bottom])):
        line //= 2 if bar else 1
    return image


@pytest.mark.parametrize("bars", [(0, 0, 10, 10), (7, 8, 0, 0), (0, 0, 0, 0), (0, 0, 0, 5), (1, 1, 1, 1)])
def test_padding(bars: tuple[int, int, int, int]) -> None:
    image, on = barred(bars), torch.ones(1)
    left, right, top, bottom = (bar + (bar > 0) for bar in bars)  # the mixed line goes with its bar
    found = padding(image)[0, 0]
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[top : SIDE - bottom, left : SIDE - right] = True
    assert torch.equal(~found, inside)
    picture = image[:, :, top : SIDE - bottom, left : SIDE - right]

    filled = changed("fill-padding", around(image), on)
    assert torch.equal(filled.float(), F.pad(picture.float(), (left, right, top, bottom), mode="reflect"))

    mean = changed("mean-padding", around(image), on)
    assert torch.equal(mean[:, :, ~found], image[:, :, ~found])
    level = image[0, :, ~found].float().mean(dim=1)
    assert ((mean[0][:, found] - level[:, None]).abs() <= 0.5 + 1e-3).all()
    only = changed("only-padding", around(image), on)
    assert torch.equal(only[..., ~inside], image[..., ~inside])
    assert (only[..., inside] == 127).all()

    cropped = changed("crop-padding", around(image), on)
    expected = TF.resize(picture / 255, [SIDE, SIDE], antialias=True) * 255
    assert (cropped - expected.round()).abs().max() <= 1


def test_a_picture_without_any_light_has_no_padding() -> None:
    black = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert not padding(black).any()
    assert torch.equal(changed("crop-padding", around(black), torch.ones(1)), black)

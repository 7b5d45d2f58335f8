"""Each augmentation at fixed strengths against torchvision's function of the same name."""

import pytest
import torch
import torchvision.transforms.functional as tv
from torch import Tensor
from torchvision.transforms import InterpolationMode

from a2cli.data import augment as ours

GREY_LEVEL = 1 / 255
N, SIDE = 6, 32


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(N, 3, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, SIDE, mode="bicubic").clamp(0, 1)


def geometric(
    images: Tensor,
    *,
    flip: bool = False,
    angle: float = 0,
    shift: tuple[float, float] = (0, 0),
    side: float = 1,
    corner: tuple[float, float] = (0, 0),
) -> Tensor:
    full = torch.full((len(images),), 1.0)
    pair = torch.ones(len(images), 1)
    return ours.affine(
        images,
        full.bool() if flip else ~full.bool(),
        full * angle,
        pair * torch.tensor([shift]),
        full * side,
        pair * torch.tensor([corner]),
    )


def test_flip(images: Tensor) -> None:
    torch.testing.assert_close(geometric(images, flip=True), tv.hflip(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("angle", [-40.0, 7.0, 90.0])
def test_rotate(images: Tensor, angle: float) -> None:
    expected = tv.rotate(images, angle, InterpolationMode.BILINEAR)
    inner = slice(8, -8)  # at the border torchvision weighs the black outside otherwise
    found = geometric(images, angle=angle)
    torch.testing.assert_close(found[..., inner, inner], expected[..., inner, inner], atol=GREY_LEVEL, rtol=0)


@pytest.mark.parametrize("shift", [(3, 0), (-5, 2), (0, 8)])
def test_translate(images: Tensor, shift: tuple[int, int]) -> None:
    expected = tv.affine(images, 0, list(shift), 1.0, [0.0, 0.0], InterpolationMode.BILINEAR)
    found = geometric(images, shift=(shift[0] / SIDE, shift[1] / SIDE))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("top", "left", "size"), [(0, 0, 16), (8, 4, 24), (10, 10, 20)])
def test_crop(images: Tensor, top: int, left: int, size: int) -> None:
    expected = tv.resized_crop(images, top, left, size, size, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=False)
    centre = [2 * (start + size / 2) / SIDE - 1 for start in (left, top)]
    found = geometric(images, side=size / SIDE, corner=(centre[0], centre[1]))
    inner = slice(2, -2)  # torchvision repeats the cut's border, ours sees what lies beyond it
    torch.testing.assert_close(found[..., inner, inner], expected[..., inner, inner], atol=GREY_LEVEL, rtol=0)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("strength", [-0.5, -0.2, 0.0, 0.3, 0.5])
def test_color(name: str, strength: float, images: Tensor) -> None:
    factor = strength if name == "hue" else 1 + strength
    expected = getattr(tv, f"adjust_{name}")(images, factor)
    found = getattr(ours, f"adjust_{name}")(images, torch.full((N,), factor))
    torch.testing.assert_close(found, expected, atol=GREY_LEVEL, rtol=0)


def test_grayscale(images: Tensor) -> None:
    torch.testing.assert_close(ours.grayscale(images), tv.rgb_to_grayscale(images, 3), atol=1e-3, rtol=0)


ALL = {"flip": 0.5, "crop": 0.8, "rotate": 15.0, "translate": 0.1, "color-jitter": 0.4, "grayscale": 0.3}


@pytest.mark.parametrize("chosen", [*ALL, "all"])
def test_an_images_change_is_its_own(chosen: str, images: Tensor) -> None:
    strengths = ALL if chosen == "all" else {chosen: ALL[chosen]}
    draws = torch.rand(N, 12, generator=torch.Generator().manual_seed(1))
    draws[0, 0], draws[0, 11] = 0.1, 0.1  # so that the first image is flipped and turned grey
    together = ours.augment(images, strengths, draws)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(ours.augment(images[order], strengths, draws[order]), together[order], atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.augment(images[:1], strengths, draws[:1]), together[:1], atol=1e-6, rtol=0)
    assert (together[0] - images[0]).abs().max() > 0.01
    assert together.min() >= 0
    assert together.max() <= 1 + 1e-6


def test_without_augmentations_nothing_changes(images: Tensor) -> None:
    assert torch.equal(ours.augment(images, {}, torch.rand(N, 12)), images)


def test_flip_probability_is_its_strength(images: Tensor) -> None:
    many = images[:1].expand(4000, 3, SIDE, SIDE)[:, :, :4, :4].contiguous()
    draws = torch.rand(4000, 12, generator=torch.Generator().manual_seed(2))
    flipped = (ours.augment(many, {"flip": 0.3}, draws) - many).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.27 < flipped.float().mean() < 0.33

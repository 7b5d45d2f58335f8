"""Changes of whole batches of images at given strengths, each what torchvision's functional of that name does.

What serves an entry of `CHANGES` in `settings.py` is the function of its name, with underscores: of a change with
strengths `(around, strength)`, of one that is off or on `(images)`.

B images, C = 3 channels, H = W = S pixels, uint8 in and out; `strength` (B,) float32, one an image. At the strength
that changes nothing, each returns the images bit for bit.
"""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pkgutil import resolve_name

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from a2cli.data import augment
from a2cli.machine import cores
from a2cli.probe_invariance.settings import CHANGES, ChangeName

DARK = 8  # the lightest value in padding: resizing and JPEG leave a little of the picture's edge in it
Strength = Tensor


@dataclass(frozen=True)
class PerturbationContext:
    """What some changes need besides the images: what comes in at the border, a colour to cover with, a draw of noise.

    `images` (B, C, S + 2 margin, S + 2 margin) uint8 are what is probed with `margin` pixels more on each side; `cover`
    (C,) is in [0, 1]; `noise` is the seed of a standard normal draw, the same for every strength.
    """

    images: Tensor
    margin: int
    border: str
    cover: tuple[float, ...]
    noise: int

    @property
    def middle(self) -> Tensor:
        """The images as they are probed, (B, C, S, S)."""
        side = self.images.shape[-1] - self.margin
        return self.images[:, :, self.margin : side, self.margin : side]


def changed(name: ChangeName, around: PerturbationContext, strength: Strength) -> Tensor:
    """Return the images changed, (B, C, S, S) uint8; a translation's strengths are (B, 2) pixels, right and down."""
    function: Callable[..., Tensor] = resolve_name(f"{__name__}:{name.replace('-', '_')}")
    if not CHANGES[name].is_switch:
        return function(around, strength)
    return torch.where(strength.bool().view(-1, 1, 1, 1), function(around.middle), around.middle)


def translate(around: PerturbationContext, shift: Tensor) -> Tensor:
    """Return the images moved right and down by `shift` (B, 2) whole pixels."""
    images, margin, side = around.images, around.margin, around.middle.shape[-1]
    places = torch.arange(side)
    columns, rows = (places - shift[:, axis, None].long() for axis in (0, 1))  # (B, S) where each pixel comes from
    inside = ((columns >= 0) & (columns < side))[:, None, None, :] & ((rows >= 0) & (rows < side))[:, None, :, None]
    if around.border == "circular":
        columns, rows = columns % side, rows % side
    elif around.border == "reflect":
        columns, rows = (_reflected(each, torch.tensor(side)) for each in (columns, rows))
    elif around.border == "zero":
        columns, rows = columns.clamp(0, side - 1), rows.clamp(0, side - 1)
    moved = _taken(images, margin + rows, margin + columns)
    return moved * inside if around.border == "zero" else moved


translate_x = translate_y = translate


def _reflected(places: Tensor, side: Tensor) -> Tensor:
    """Return places mirrored back into 0..side-1, the border itself not repeated (as torch's padding 'reflect')."""
    period = (2 * side - 2).clamp_min(1)
    folded = places % period
    return torch.where(folded < side, folded, period - folded)


def rotate(around: PerturbationContext, angle: Strength) -> Tensor:
    """Turn by degrees counter-clockwise about the centre, bilinear; black comes in."""
    return _warped(around.middle, angle, torch.ones_like(angle))


def scale(around: PerturbationContext, factor: Strength) -> Tensor:
    """Enlarge about the centre, bilinear; below 1 black comes in."""
    return _warped(around.middle, torch.zeros_like(factor), 1 / factor)


def _warped(images: Tensor, angle: Tensor, side: Tensor) -> Tensor:
    nothing = torch.zeros(len(images), 2)
    still = torch.zeros(len(images), dtype=torch.bool)
    return _bytes(augment.affine(_unit(images), still, angle, nothing, side, nothing))


def flip_horizontal(images: Tensor) -> Tensor:
    return images.flip(3)


def flip_vertical(images: Tensor) -> Tensor:
    return images.flip(2)


def _colour(adjust: Callable[[Tensor, Tensor], Tensor]) -> Callable[[PerturbationContext, Strength], Tensor]:
    return lambda around, strength: _bytes(adjust(_unit(around.middle), strength))


brightness, contrast = _colour(augment.adjust_brightness), _colour(augment.adjust_contrast)
saturation, hue = _colour(augment.adjust_saturation), _colour(augment.adjust_hue)


def grayscale(images: Tensor) -> Tensor:
    return _bytes(augment.grayscale(_unit(images)))


def invert(images: Tensor) -> Tensor:
    return 255 - images


def gamma(around: PerturbationContext, exponent: Strength) -> Tensor:
    """Return 255 (x / 255) ^ exponent: above 1 darker."""
    return _bytes(_unit(around.middle) ** exponent.view(-1, 1, 1, 1))


def noise(around: PerturbationContext, deviation: Strength) -> Tensor:
    """Add Gaussian noise of this deviation, white being 1; of one image the same draw at every strength."""
    normal = torch.randn(around.middle.shape, generator=torch.Generator().manual_seed(around.noise))
    return _bytes(_unit(around.middle) + deviation.view(-1, 1, 1, 1) * normal)


def blur(around: PerturbationContext, deviation: Strength) -> Tensor:
    """Smooth by a Gaussian of this deviation in pixels, cut off at three of them; the border is reflected."""
    side = around.middle.shape[-1]
    reach = min(int(np.ceil(3 * float(deviation.max()))), side - 1)
    places = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (places / deviation.clamp_min(1e-3)[:, None]) ** 2)
    kernel /= kernel.sum(dim=1, keepdim=True)
    padded = F.pad(_unit(around.middle), (reach,) * 4, mode="reflect")
    b, c, h, w = padded.shape
    each = kernel.repeat_interleave(c, dim=0)  # a kernel for each image's channels, along rows, then along columns
    along = F.conv2d(padded.reshape(1, b * c, h, w), each[:, None, None, :], groups=b * c)
    return _bytes(F.conv2d(along, each[:, None, :, None], groups=b * c).view(b, c, side, side))


def jpeg(around: PerturbationContext, quality: Strength) -> Tensor:
    """Write as JPEG by Pillow at this quality, 1 to 100, and read again."""

    def through(image_and_quality: tuple[NDArray[np.uint8], float]) -> NDArray[np.uint8]:
        file = io.BytesIO()
        Image.fromarray(image_and_quality[0]).save(file, "JPEG", quality=round(image_and_quality[1]))
        with Image.open(file) as image:
            return np.asarray(image)

    pixels = around.middle.permute(0, 2, 3, 1).contiguous().numpy()
    with ThreadPoolExecutor(cores()) as pool:
        read = list(pool.map(through, zip(pixels, quality.tolist(), strict=True)))
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2)


def occlusion(around: PerturbationContext, share: Strength) -> Tensor:
    """Cover a square in the centre whose side is this share of the image's with one colour."""
    side = around.middle.shape[-1]
    length = (share * side).round()
    first = ((side - length) / 2).floor()
    places = torch.arange(side)
    hidden = (places >= first[:, None]) & (places < (first + length)[:, None])
    colour = (torch.tensor(around.cover) * 255).round().to(torch.uint8).view(1, 3, 1, 1)
    return torch.where(hidden[:, None, :, None] & hidden[:, None, None, :], colour, around.middle)


def source_of(name: str, strength: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return where a geometric change takes each pixel from: `matrix @ p + offset`, (2, 2) and (2,), x before y.

    Places p are in pixels from the image's centre, right and down; `strength` is one image's. None for other changes.
    """
    still, nowhere = torch.eye(2), torch.zeros(2)
    if name.startswith("translate"):
        return still, -strength.float()
    if name == "rotate":
        cos, sin = torch.deg2rad(strength).cos(), torch.deg2rad(strength).sin()
        return torch.stack((torch.stack((cos, -sin)), torch.stack((sin, cos)))), nowhere
    if name == "scale":
        return still / strength, nowhere
    if name.startswith("flip"):
        return torch.diag(torch.tensor([-1.0, 1.0] if name == "flip-horizontal" else [1.0, -1.0])), nowhere
    return None


# Padding: the black bars that make a picture square, as the paintings have


def padding(images: Tensor) -> Tensor:
    """Return which pixels are padding, (B, 1, S, S): from the borders on, rows and columns that are dark throughout.

    With them goes the next row or column, where resizing mixed the bar into the picture.
    """
    inside = []
    for first, last in _picture(images):
        places = torch.arange(images.shape[-1])
        inside.append((places >= first[:, None]) & (places <= last[:, None]))
    return ~(inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)


def _picture(images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return each picture's first and last row, and first and last column, all (B,)."""
    light, side, edges = images.amax(dim=1) > DARK, images.shape[-1], []
    for axis in (2, 1):
        some = light.any(dim=axis).int()
        first, last = some.argmax(dim=1), side - 1 - some.flip(1).argmax(dim=1)
        first, last = first + (first > 0).int(), last - (last < side - 1).int()
        empty = (some.sum(dim=1) == 0) | (last <= first)  # dark throughout: that is a picture, too
        edges.append((first.masked_fill(empty, 0), last.masked_fill(empty, side - 1)))
    return edges


def fill_padding(images: Tensor) -> Tensor:
    """Hide the bars: the picture is reflected into them, so that no edge tells where they were."""
    places = torch.arange(images.shape[-1])
    rows, columns = (first[:, None] + _reflected(places - first[:, None], (last - first + 1)[:, None])
                     for first, last in _picture(images))  # fmt: skip
    return _taken(images, rows, columns)


def mean_padding(images: Tensor) -> Tensor:
    """Hide the bars: they take the mean colour of the picture between them."""
    hidden = padding(images)
    shown = (~hidden).float()
    mean = (images * shown).sum(dim=(2, 3), keepdim=True) / shown.sum(dim=(2, 3), keepdim=True)
    return torch.where(hidden, mean.round().to(torch.uint8), images)


def only_padding(images: Tensor) -> Tensor:
    """Keep nothing but the bars, and so the aspect ratio: every picture becomes the same grey."""
    return torch.where(padding(images), images, torch.tensor(127, dtype=torch.uint8))


def crop_padding(images: Tensor) -> Tensor:
    """Take the bars away: the picture is stretched over the whole square, and its aspect ratio is gone."""
    side, cropped = images.shape[-1], []
    (tops, bottoms), (lefts, rights) = _picture(images)
    for image, top, bottom, left, right in zip(images, tops, bottoms, lefts, rights, strict=True):
        picture = image[:, top : bottom + 1, left : right + 1]
        if picture.shape != image.shape:
            shape = (side, side)
            picture = _bytes(F.interpolate(_unit(picture[None]), shape, mode="bilinear", antialias=True))[0]
        cropped.append(picture)
    return torch.stack(cropped)


def _taken(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return of each image the pixels at its rows and columns, both (B, S)."""
    if (rows == rows[0]).all() and (columns == columns[0]).all():  # the same for all: three times as fast
        return images.index_select(2, rows[0]).index_select(3, columns[0])
    batch = torch.arange(len(images))[:, None, None]
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


# Numbers


def _unit(images: Tensor) -> Tensor:
    return images.to(torch.float32).div_(255)


def _bytes(images: Tensor) -> Tensor:
    return images.mul(255).round_().clamp_(0, 255).to(torch.uint8)

"""Random changes of whole batches of images, every image with its own draw.

Geometric changes are composed into one affine map and sampled once (bilinear, black outside). Each change at a fixed
strength is torchvision's functional of the same name. B images, C = 3 channels, H x W pixels, float32 in [0, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow and torchvision


def augment(images: Tensor, strengths: dict[str, float], draws: Tensor) -> Tensor:
    """Change images (B, C, H, W) by the augmentations named; `draws` (B, 12) are uniform in [0, 1), one a choice."""

    def between(column: int, low: float, high: float) -> Tensor:
        return low + (high - low) * draws[:, column]

    zeros = torch.zeros(len(images))
    flip = draws[:, 0] < strengths.get("flip", 0.0)
    angle = between(1, -strengths["rotate"], strengths["rotate"]) if "rotate" in strengths else zeros
    shift = torch.stack((zeros, zeros), dim=1)
    if "translate" in strengths:
        most = strengths["translate"]
        shift = torch.stack((between(2, -most, most), between(3, -most, most)), dim=1)
    side, corner = zeros + 1, torch.stack((zeros, zeros), dim=1)
    if "crop" in strengths:
        side = between(4, strengths["crop"], 1.0)
        corner = (1 - side)[:, None] * (2 * draws[:, 5:7] - 1)
    if strengths.keys() & {"rotate", "translate", "crop", "flip"}:
        images = affine(images, flip, angle, shift, side, corner)
    if "color-jitter" in strengths:
        most = strengths["color-jitter"]
        images = adjust_brightness(images, between(7, 1 - most, 1 + most))
        images = adjust_contrast(images, between(8, 1 - most, 1 + most))
        images = adjust_saturation(images, between(9, 1 - most, 1 + most))
        images = adjust_hue(images, between(10, -most / 4, most / 4))
    if "grayscale" in strengths:
        chosen = draws[:, 11] < strengths["grayscale"]
        images = torch.where(chosen[:, None, None, None], grayscale(images), images)
    return images


def affine(images: Tensor, flip: Tensor, angle: Tensor, shift: Tensor, side: Tensor, corner: Tensor) -> Tensor:
    """Flip left-right, rotate by `angle` degrees counter-clockwise, shift, and cut out a square and enlarge it.

    shift: (B, 2) as shares of width and height, right and down; side: (B,) of the square cut out, 1 for all;
    corner: (B, 2) that square's centre, from -1 to 1. Pixels from outside are black.
    """
    turn = torch.deg2rad(angle)
    cos, sin = turn.cos(), turn.sin()
    mirror = torch.where(flip, -1.0, 1.0)
    # Output to input: enlarge and move to the square, undo the shift, undo the rotation, mirror.
    at = corner - 2 * shift
    theta = torch.stack(
        (
            torch.stack((mirror * cos * side, -mirror * sin * side, mirror * (cos * at[:, 0] - sin * at[:, 1])), dim=1),
            torch.stack((sin * side, cos * side, sin * at[:, 0] + cos * at[:, 1]), dim=1),
        ),
        dim=1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def grayscale(images: Tensor) -> Tensor:
    """Return the luma in all three channels."""
    weights = torch.tensor(GREY).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True).expand_as(images)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    weight = factor.view(-1, 1, 1, 1)
    return (weight * images + (1 - weight) * other).clamp_(0, 1)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by `factor` (B,): 0 is black, 1 unchanged."""
    return _blend(images, torch.zeros(1), factor)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the mean luma by `factor` (B,): 0 is flat grey, 1 unchanged."""
    return _blend(images, grayscale(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the grey image by `factor` (B,): 0 is grey, 1 unchanged."""
    return _blend(images, grayscale(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by `shift` (B,) of a full turn, in [-0.5, 0.5], keeping HSV saturation and value."""
    red, green, blue = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    hue = torch.where(value == red, (green - blue) / divisor, (red - green) / divisor + 4)
    hue = torch.where((value == green) & (value != red), (blue - red) / divisor + 2, hue)
    hue = torch.where(chroma == 0, 0.0, hue) + 6 * shift.view(-1, 1, 1)
    # A channel is value - chroma * trapezoid(hue), the trapezoid of each channel turned by 5, 3 and 1 sixths.
    channels = []
    for turned in (5, 3, 1):
        k = (hue + turned) % 6
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=1)

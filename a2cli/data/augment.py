"""Random changes of whole batches of images, every image with its own draw, and images mixed with each other.

Geometric changes are composed into one affine map and sampled once (bilinear, black outside). Each change at a fixed
strength is torchvision's functional of the same name. B images, C = 3 channels, H x W pixels, float32 in [0, 1];
K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MIXING = ("mixup", "cutmix")
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow and torchvision


def augment(images: Tensor, strengths: dict[str, float], draws: Tensor) -> Tensor:
    """Change images (B, C, H, W) by the augmentations named; `draws` (B, 12) are uniform in [0, 1), one a choice."""

    def between(column: int, low: float, high: float) -> Tensor:
        return low + (high - low) * draws[:, column]

    if strengths.keys() & {"rotate", "translate", "crop", "flip"}:
        rotate, translate = strengths.get("rotate", 0.0), strengths.get("translate", 0.0)
        side = between(4, strengths.get("crop", 1.0), 1.0)
        images = affine(
            images,
            flip=draws[:, 0] < strengths.get("flip", 0.0),
            angle=between(1, -rotate, rotate),
            shift=torch.stack((between(2, -translate, translate), between(3, -translate, translate)), dim=1),
            side=side,
            corner=(1 - side)[:, None] * (2 * draws[:, 5:7] - 1),
        )
    if "color-jitter" in strengths:
        jitter = strengths["color-jitter"]
        images = adjust_brightness(images, between(7, 1 - jitter, 1 + jitter))
        images = adjust_contrast(images, between(8, 1 - jitter, 1 + jitter))
        images = adjust_saturation(images, between(9, 1 - jitter, 1 + jitter))
        images = adjust_hue(images, between(10, -jitter / 4, jitter / 4))
    if "grayscale" in strengths:
        chosen = draws[:, 11] < strengths["grayscale"]
        images = torch.where(chosen[:, None, None, None], grayscale(images), images)
    return images


def mix(
    images: Tensor, labels: Tensor, classes: int, strengths: dict[str, float], draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Mix some images (B, C, H, W) with the one before them in the batch; return them and targets (B, K).

    `strengths` are the probabilities of mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019), one of them an image,
    with the share that is left of an image uniform in [0, 1), their Beta(1, 1); `draws` (B, 4) are uniform in [0, 1).
    """
    targets = F.one_hot(labels, classes).to(images.dtype)
    others, other_targets = images.roll(1, 0), targets.roll(1, 0)
    cutmix = strengths.get("cutmix", 0.0)
    cut = draws[:, 0] < cutmix
    blended = ~cut & (draws[:, 0] < cutmix + strengths.get("mixup", 0.0))
    left = torch.where(blended, draws[:, 1], 1.0).view(-1, 1, 1, 1)
    boxes = boxes_of(torch.where(cut, 1 - draws[:, 1], 0.0), draws[:, 2:4], images.shape[2], images.shape[3])
    mixed = torch.where(boxes, others, left * images + (1 - left) * others)
    share = left.flatten() * (1 - boxes.float().mean(dim=(1, 2, 3)))
    return mixed, share[:, None] * targets + (1 - share[:, None]) * other_targets


def boxes_of(areas: Tensor, centres: Tensor, height: int, width: int) -> Tensor:
    """Return (B, 1, H, W), true inside a box: `areas` (B,) of the image, `centres` (B, 2), y before x, in [0, 1).

    What of a box lies outside of the image is cut off; edges are at whole pixels (Yun et al. 2019, equation 2).
    """
    inside = []
    for side, centre in ((height, centres[:, 0]), (width, centres[:, 1])):
        middle, half = (centre * side).floor(), (areas.sqrt() * side / 2).floor()
        at = torch.arange(side)
        inside.append((at >= (middle - half)[:, None]) & (at < (middle + half)[:, None]))
    return inside[0][:, None, :, None] & inside[1][:, None, None, :]


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

"""Images mixed with others of their batch, and their labels with them.

B images a batch, C channels, H x W pixels, K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MIXING = ("mixup", "cutmix")


def mix(
    images: Tensor, labels: Tensor, classes: int, strengths: dict[str, float], draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Mix some images (B, C, H, W) with the one before them in the batch; return them and targets (B, K).

    `strengths` are the probabilities of mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019), one of them an image,
    with the share that is left of an image uniform in [0, 1), their Beta(1, 1); `draws` (B, 4) are uniform in [0, 1).
    """
    targets = F.one_hot(labels, classes).to(images.dtype)
    others, other_targets = images.roll(1, 0), targets.roll(1, 0)
    to_cut = strengths.get("cutmix", 0.0)
    cut = draws[:, 0] < to_cut
    blended = ~cut & (draws[:, 0] < to_cut + strengths.get("mixup", 0.0))
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

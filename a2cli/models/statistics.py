"""Statistics of the image itself, by filters that do not learn: features for the linear layers beside the maps.

Networks of fixed and learned filters are hybrids in the sense of Oyallon et al. 2018 (Scattering Networks for Hybrid
Representation Learning). N images, S x S pixels; octave k is the image at a 2^k-th of its side.
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from a2cli.geometry import COLOR_BINS, FIELDS, ORIENTATIONS, octaves
from a2cli.models.layers import Standardize

WAVELENGTH = 3.0  # pixels
FAINT = 0.01  # modulus of a filter's answer, of images in [0, 1], below which answers are hardly told apart
# Luma and the two colour differences (ITU-R BT.601), and the range of each that the histogram divides.
OPPONENT = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
RANGES = ((0.0, 1.0), (-0.3, 0.3), (-0.3, 0.3))
HISTOGRAM_SIDE = 64  # pixels of the reduced image that are counted


class Statistics(nn.Module):
    """Images (N, 3, S, S) uint8, or floating in [0, 1], to their statistics (N, D), each standardised."""

    filters: Tensor
    opponent: Tensor

    def __init__(self, kinds: Sequence[str], image_size: int, count: int) -> None:
        super().__init__()
        self.kinds, self.octaves = tuple(kinds), octaves(image_size)
        self.register_buffer("filters", gabor_pairs())
        self.register_buffer("opponent", torch.tensor(OPPONENT))
        self.standardize = Standardize(count)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            scaled = images.float() if images.is_floating_point() else images.float() / 255
            colors = torch.einsum("nchw,dc->ndhw", scaled, self.opponent)
            parts: list[Tensor] = []
            if "texture" in self.kinds:
                parts += self._texture(colors)
            if "colors" in self.kinds:
                parts.append(color_histogram(colors))
            if "layout" in self.kinds:
                parts.append(F.adaptive_avg_pool2d(colors, FIELDS).flatten(1))
            features: Tensor = self.standardize(torch.cat(parts, dim=1))
            return features

    def _texture(self, colors: Tensor) -> Iterator[Tensor]:
        """Yield, octave by octave, the moments of the logarithm of each filter's modulus in each colour.

        The mean, the deviation, all correlations (after Portilla & Simoncelli 2000, section 2), and luma's mean over
        each quarter of the image (N, 90 + 16).
        """
        for octave in range(self.octaves):
            colors = F.avg_pool2d(colors, 2) if octave else colors
            energies = self._energies(colors)  # (N, 12, H, W): luma's four first
            values = energies.flatten(2)
            mean = values.mean(dim=2, keepdim=True)
            covariance = (values - mean) @ (values - mean).transpose(1, 2) / values.shape[2]
            deviation = (covariance.diagonal(dim1=1, dim2=2) + 1e-6).sqrt()
            correlation = covariance / (deviation[:, :, None] * deviation[:, None, :])
            row, column = torch.triu_indices(correlation.shape[1], correlation.shape[2], 1)
            quarters = F.adaptive_avg_pool2d(energies[:, :ORIENTATIONS], 2)
            yield torch.cat((mean[..., 0], deviation, correlation[:, row, column], quarters.flatten(1)), dim=1)

    def _energies(self, colors: Tensor) -> Tensor:
        """Return the logarithm of each filter's modulus, (N, 3 x orientations, H, W); every fourth place is enough."""
        images, channels, side = len(colors), colors.shape[1], colors.shape[-1]
        reach = self.filters.shape[-1] // 2
        padded = F.pad(colors, (reach,) * 4, mode="replicate").flatten(0, 1)[:, None]
        answers = F.conv2d(padded, self.filters, stride=max(1, min(4, side // 32)))
        pairs = answers.view(images, channels * ORIENTATIONS, 2, *answers.shape[2:])
        modulus = (pairs.square().sum(dim=2) + 1e-12).sqrt()
        return (modulus + FAINT).log()


def gabor_pairs() -> Tensor:
    """Return the filters (2 x orientations, 1, K, K): for each orientation a cosine and a sine under one Gaussian.

    Gabor 1946 in two dimensions, as Daugman 1985: wavelength 3, the Gaussian's deviation half of it. Both have mean 0
    and absolute values that add up to 1.
    """
    deviation = WAVELENGTH / 2
    reach = math.ceil(2.5 * deviation)
    y, x = torch.meshgrid(torch.arange(-reach, reach + 1.0), torch.arange(-reach, reach + 1.0), indexing="ij")
    window = torch.exp(-(x.square() + y.square()) / (2 * deviation**2))
    filters = []
    for number in range(ORIENTATIONS):
        angle = math.pi * number / ORIENTATIONS
        phase = 2 * math.pi / WAVELENGTH * (x * math.cos(angle) + y * math.sin(angle))
        for wave in (phase.cos(), phase.sin()):
            filter_ = window * wave
            filter_ -= window * (filter_.sum() / window.sum())
            filters.append(filter_ / filter_.abs().sum())
    return torch.stack(filters)[:, None]


def color_histogram(colors: Tensor) -> Tensor:
    """Return the square roots of each image's joint histogram of its opponent colours (N, 6 x 6 x 6).

    Pixels count for the bins around them by their nearness (trilinear). The root makes distances those of Hellinger
    (as Arandjelovic & Zisserman 2012).
    """
    if colors.shape[-1] > HISTOGRAM_SIDE:
        colors = F.adaptive_avg_pool2d(colors, HISTOGRAM_SIDE)
    pixels = colors.flatten(2)  # (N, 3, P)
    low, high = torch.tensor(RANGES, device=colors.device).T[:, :, None]
    places = ((pixels - low) / (high - low)).clamp(0, 1) * (COLOR_BINS - 1)
    bins = torch.arange(COLOR_BINS, device=colors.device)
    near = (1 - (places[..., None] - bins).abs()).clamp_min(0)  # (N, 3, P, bins)
    luma, blue, red = near.unbind(1)
    both = (blue[..., :, None] * red[..., None, :]).flatten(2)
    counts: Tensor = luma.transpose(1, 2) @ both / pixels.shape[2]
    return (counts.flatten(1) + 1e-12).sqrt()

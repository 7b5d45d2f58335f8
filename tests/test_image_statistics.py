"""Statistics of the image: what each kind is blind to, and what it tells apart."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import A2
from PIL import Image
from torch import Tensor

from a2cli.geometry import statistics_of
from a2cli.models.layers import Standardize
from a2cli.models.statistics import Statistics, color_histogram, gabor_pairs
from a2cli.settings.training import NetworkSettings

KINDS = ("texture", "colors", "layout")


def statistics(kind: str, images: Tensor) -> Tensor:
    """Return the statistics of images before they are normalised."""
    side = images.shape[-1]
    layer = Statistics((kind,), side, statistics_of(NetworkSettings(statistics=(kind,)), side)).eval()
    layer.standardize = torch.nn.Identity()
    return layer(images)


def stripes(angle: float, phase: float, side: int = 64, wavelength: float = 3.0) -> Tensor:
    """Return a grey wave that rises towards `angle` degrees (1, 3, side, side)."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    turn = math.radians(angle)
    wave = torch.cos(2 * math.pi / wavelength * (x * math.cos(turn) + y * math.sin(turn)) + phase)
    return (0.5 + 0.3 * wave).expand(1, 3, side, side)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (6, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [4, 8, 31, 50, 128])
def test_there_are_as_many_as_derived(kind: str, side: int) -> None:
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    found = statistics(kind, images)
    assert found.shape == (2, statistics_of(NetworkSettings(statistics=(kind,)), side))
    assert found.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_and_floats_are_the_same_and_each_image_is_its_own(kind: str, images: Tensor) -> None:
    found = statistics(kind, images)
    assert torch.allclose(statistics(kind, images.float() / 255), found, atol=1e-5)
    assert torch.allclose(statistics(kind, images[2:3])[0], found[2], atol=1e-5)


def test_the_filters_see_no_brightness_and_their_own_direction_best() -> None:
    filters = gabor_pairs()
    assert torch.allclose(filters.sum(dim=(1, 2, 3)), torch.zeros(8), atol=1e-6)
    assert torch.allclose(filters.abs().sum(dim=(1, 2, 3)), torch.ones(8))
    for number, angle in enumerate((0, 45, 90, 135)):
        means = torch.cat([statistics("texture", stripes(angle, phase))[:, :4] for phase in (0.0, 1.0, 2.0)])
        assert means.argmax(dim=1).tolist() == [number] * 3
        assert means[:, number].std() < 0.01, "a pair's modulus does not see the phase"


def test_texture_sees_no_flat_colour_and_turns_with_the_image() -> None:
    flat = torch.tensor([0.2, 0.9]).view(2, 1, 1, 1).expand(2, 3, 32, 32)
    assert torch.allclose(*statistics("texture", flat))
    wave = stripes(45, 0.3, side=32)
    means, mirrored = statistics("texture", wave)[0, :4], statistics("texture", wave.flip(3))[0, :4]
    assert torch.allclose(mirrored, means[[0, 3, 2, 1]], atol=0.02)


def test_colors_are_counted_wherever_they_are(images: Tensor) -> None:
    found = statistics("colors", images)
    assert torch.allclose(found.square().sum(dim=1), torch.ones(6), atol=1e-4), "shares of one image's pixels"
    order = torch.randperm(48 * 48, generator=torch.Generator().manual_seed(1))
    shuffled = images.flatten(2)[:, :, order].view(images.shape)
    assert torch.allclose(statistics("colors", shuffled), found, atol=1e-5)
    red = torch.zeros(1, 3, 8, 8)
    red[:, 0] = 1
    assert (statistics("colors", red) > 0.01).sum() <= 8, "a colour is shared out among its nearest bins"
    assert color_histogram(torch.zeros(1, 3, 4, 4)).argmax() == 2 * 6 + 2


def test_layout_is_where_colours_are() -> None:
    image = torch.zeros(1, 3, 16, 16)
    image[:, :, :4, :4] = 1
    luma = statistics("layout", image)[0].view(3, 4, 4)[0]
    assert luma[0, 0] == pytest.approx(1, abs=1e-3)
    assert luma.sum() == pytest.approx(1, abs=1e-3)


def test_a_network_tells_textures_apart_by_them(a2: A2, tmp_path: Path) -> None:
    """Stripes of two directions with any phase: no pixel and no colour tells which."""
    rng = np.random.default_rng(0)
    for name, angle in (("across", 0.0), ("along", 90.0)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(30):
            pixels = 255 * stripes(angle, rng.uniform(0, 2 * math.pi), 24, wavelength=4)[0].permute(1, 2, 0).numpy()
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "set" / name / f"{i}.png")
    flags = "--image-size 24 --channels 1 --kernel-size 24 --hidden none --epochs 5"
    flags += " --learning-rate 0.01 --threads 1 --json --augment flip"
    accuracies = {}
    for kinds in ("texture", "colors"):
        ended = a2("train-cnn", "--data", "set", *flags.split(), "--statistics", kinds)
        accuracies[kinds] = json.loads(ended.out)["results"]["runs"][0]["val"]["value"]
    assert accuracies["texture"] == 1
    assert accuracies["colors"] < 0.9


def test_features_are_standardised_over_all_that_were_seen() -> None:
    features = 3 + 2 * torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    layer = Standardize(7)
    for batch in features.split([1, 16, 30, 3]):
        layer(batch)
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0)
    assert torch.allclose(layer.eval()(features), ((features - mean) / deviation).clamp(-3, 3), atol=1e-4)
    assert layer.seen == 50, "what is not trained on does not count"

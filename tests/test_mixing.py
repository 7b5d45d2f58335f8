"""Mixup and cutmix against torchvision's, image by image."""

import pytest
import torch
from torchvision.transforms import v2

from a2cli.data.augment import mix
from a2cli.data.dataset import Augmented, ImageSet
from a2cli.errors import SettingsError
from a2cli.random_streams import Streams
from a2cli.settings.training import augmentations

N, K, SIDE = 6, 4, 20


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(N, 3, SIDE, SIDE, generator=generator), torch.tensor([0, 1, 2, 3, 1, 0])


def test_mixup_is_torchvisions(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    draws = torch.rand(N, 4, generator=torch.Generator().manual_seed(1))
    images, targets = mix(*batch, K, {"mixup": 1.0}, draws)
    for i in range(N):
        params = {"lam": float(draws[i, 1]), "labels": batch[1], "batch_size": N}
        theirs = v2.MixUp(num_classes=K)
        torch.testing.assert_close(images[i], theirs.transform(batch[0], params)[i])
        torch.testing.assert_close(targets[i], theirs.transform(batch[1], params)[i])


def test_cutmix_is_torchvisions(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    draws = torch.rand(N, 4, generator=torch.Generator().manual_seed(2))
    images, targets = mix(*batch, K, {"cutmix": 1.0}, draws)
    for i in range(N):
        half = int((1 - float(draws[i, 1])) ** 0.5 * SIDE / 2)  # CutMix.make_params, with these draws for its own
        y, x = int(draws[i, 2] * SIDE), int(draws[i, 3] * SIDE)
        box = max(x - half, 0), max(y - half, 0), min(x + half, SIDE), min(y + half, SIDE)
        share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / SIDE**2
        params = {"box": box, "lam_adjusted": share, "labels": batch[1], "batch_size": N}
        theirs = v2.CutMix(num_classes=K)
        assert torch.equal(images[i], theirs.transform(batch[0], params)[i])
        torch.testing.assert_close(targets[i], theirs.transform(batch[1], params)[i])


def test_how_many_are_mixed_is_the_strength() -> None:
    draws = torch.rand(4000, 4, generator=torch.Generator().manual_seed(3))
    images, labels = torch.arange(4000.0).view(-1, 1, 1, 1).expand(4000, 1, 8, 8), torch.arange(4000) % 2
    mixed, targets = mix(images, labels, 2, {"mixup": 0.2, "cutmix": 0.3}, draws)
    inner, own = mixed - images, targets.gather(1, labels[:, None]).flatten()
    flat = inner.abs().amin(dim=(1, 2, 3)) > 0
    assert 0.17 < flat.float().mean() < 0.23
    assert 0.24 < ((inner != 0).any(dim=(1, 2, 3)) & ~flat).float().mean() < 0.32  # a box may be less than a pixel
    assert torch.equal(own == 1, (inner == 0).all(dim=(1, 2, 3)))
    torch.testing.assert_close(targets.sum(1), torch.ones(4000))


def test_mixing_moves_no_other_draw() -> None:
    data = ImageSet(torch.randint(0, 255, (12, 8, 8, 3), dtype=torch.uint8), torch.arange(12), torch.arange(12) % 3)

    def first(strengths: dict[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        return next(Augmented(data, strengths).batches(12, Streams(0), 1))

    plain, labels = first({"rotate": 20.0})
    some, targets = first({"rotate": 20.0, "mixup": 0.3})
    alone = targets.amax(dim=1) == 1
    alone &= targets.argmax(dim=1) == labels
    assert 0 < alone.sum() < 12
    same = (some == plain).all(dim=3).all(dim=2).all(dim=1)
    assert same.sum() >= 4
    assert torch.equal(targets.argmax(1)[same], labels[same])


def test_targets_have_a_place_for_a_class_without_training_images() -> None:
    data = ImageSet(torch.zeros(4, 8, 8, 3, dtype=torch.uint8), torch.arange(4), torch.arange(4) % 2)
    _, targets = next(Augmented(data, {"mixup": 0.5}, classes=3).batches(4, Streams(0), 0))
    assert targets.shape == (4, 3)


def test_more_than_one_is_refused() -> None:
    with pytest.raises(SettingsError, match="mixed one way"):
        augmentations(("mixup=0.6", "cutmix=0.6"))

"""Data: splits, packing and its cache, batches, and their independent truths."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from a2cli.data import packer
from a2cli.data.dataset import Augmented, ImageSet
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.data.splits import Split, split_rows
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.settings.training import SplitSettings

CLASSES = {"ada": 7, "bea": 12, "cleo": 21}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("images") / "set", np.random.default_rng(0)
    for name, count in CLASSES.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(root / name / f"{i:03d}.png")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def packed_from(data: Path, size: int = 16, fit: str = "squash") -> Packed:
    return pack(find_source(str(data)), size, fit, False, NullReporter())


def split(packed: Packed, seed: int = 0, **settings: Any) -> Split:
    return split_rows(packed, SplitSettings(**settings), Streams(seed).numpy("split"))


# Splits


@pytest.mark.parametrize("kind", ["stratified", "random"])
@pytest.mark.parametrize(
    ("settings", "count"), [({"val_fraction": 0.2}, 8), ({"val_count": 11}, 11), ({"val_count": 3}, 3)]
)
def test_every_image_is_in_one_part(kind: str, settings: dict[str, Any], count: int, folder: Path) -> None:
    packed = packed_from(folder)
    found = split(packed, split=kind, **settings)
    assert len(found.val) == count
    assert sorted([*found.train, *found.val]) == list(range(40))
    again, other = split(packed, split=kind, **settings), split(packed, 1, split=kind, **settings)
    assert np.array_equal(again.val, found.val)
    assert not np.array_equal(other.val, found.val)


@pytest.mark.parametrize("count", range(1, 37))
def test_stratified_shares_are_within_one_image(count: int, folder: Path) -> None:
    packed = packed_from(folder)
    held = np.bincount(packed.labels[split(packed, val_count=count).val], minlength=3)
    exact = np.array(list(CLASSES.values())) * count / 40
    most = np.array(list(CLASSES.values())) - 1  # one of each class stays for training
    assert (held <= most).all()
    assert (np.abs(held - exact) < 1).all() or (held == most).any()


def test_test_images_are_drawn_first_and_kept_apart(folder: Path) -> None:
    found = split(packed_from(folder), test_fraction=0.25, val_fraction=0.2)
    assert (len(found.train), len(found.val), len(found.test)) == (22, 8, 10)
    assert len({*found.train, *found.val, *found.test}) == 40


def test_train_per_class(folder: Path) -> None:
    packed = packed_from(folder)
    found = split(packed, train_per_class=3)
    assert np.bincount(packed.labels[found.train]).tolist() == [3, 3, 3]


def test_split_folders_are_kept(folder: Path, tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        for name in CLASSES:
            (tmp_path / "parts" / part / name).mkdir(parents=True)
            for i in range({"train": 3, "valid": 2, "test": 1}[part]):
                source = folder / name / f"{i:03d}.png"
                (tmp_path / "parts" / part / name / source.name).write_bytes(source.read_bytes())
    packed = packed_from(tmp_path / "parts")
    found = split(packed)
    assert [len(found.train), len(found.val), len(found.test)] == [9, 6, 3]
    assert {packed.splits[i] for i in found.val} == {"val"}


# Packing


def test_pixels_are_pillows(folder: Path) -> None:
    packed = packed_from(folder)
    for i in (0, 17, 39):
        with Image.open(folder / packed.names[i]) as image:
            expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
        assert np.array_equal(packed.images[i], expected)
        assert packed.class_names[packed.labels[i]] == Path(packed.names[i]).parent.name
    assert packed.class_names == ("ada", "bea", "cleo")


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    decoded, digest = [0], packer.digest_of

    def counting(square: NDArray[np.uint8]) -> bytes:
        decoded[0] += 1
        return digest(square)

    monkeypatch.setattr(packer, "digest_of", counting)
    return decoded


def test_decoded_once_until_something_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = count_decodes(monkeypatch)
    first = packed_from(folder)
    assert decoded == [40]
    assert packed_from(folder).fingerprint == first.fingerprint
    assert decoded == [40], "the cache was not used"
    packed_from(folder, size=8)
    assert decoded == [80]
    os.utime(folder / "ada/000.png", ns=(1, 1))
    packed_from(folder)
    assert decoded == [120], "a touched file was not packed anew"


def test_sources_of_the_same_images_agree(folder: Path, tmp_path: Path) -> None:
    first = packed_from(folder)
    with (tmp_path / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows([folder / name, Path(name).parent.name] for name in first.names)
    full = [np.asarray(Image.open(folder / name)) for name in first.names]
    np.savez(tmp_path / "set.npz", images=np.stack(full), labels=[Path(name).parent.name for name in first.names])
    for other in (packed_from(tmp_path / "set.csv"), packed_from(tmp_path / "set.npz")):
        assert other.fingerprint == first.fingerprint
        assert other.class_names == first.class_names


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_fit_keeps_proportions(fit: str, tmp_path: Path) -> None:
    pixels = np.full((20, 40, 3), 200, np.uint8)
    pixels[:, :10] = 50  # a band that cropping cuts off
    for name in ("a", "b"):
        (tmp_path / "wide" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "wide" / name / "1.png")
    image = packed_from(tmp_path / "wide", 16, fit).images[0]
    if fit == "crop":
        assert (image[:, 1:] == 200).all()  # the first column still feels the cut
    else:
        assert (image[:3] == 0).all()
        assert (image[-3:] == 0).all()
        assert (image[6:10, 8:] == 200).all()


# Batches


def test_an_epoch_has_every_image_once_in_an_order_of_its_own(folder: Path) -> None:
    packed = packed_from(folder)
    data = ImageSet.of(packed, np.arange(40))
    train = Augmented(data, {})

    def order(epoch: int, size: int = 7) -> list[int]:
        found = []
        for images, labels in train.batches(size, Streams(0), epoch):
            for image, label in zip(images, labels, strict=True):
                pixels = image.permute(1, 2, 0).numpy()
                row = next(i for i in range(40) if np.array_equal(packed.images[i], pixels))
                assert packed.labels[row] == label
                found.append(row)
        return found

    assert sorted(order(0)) == list(range(40))
    assert order(0) == order(0)
    assert order(0) != order(1)
    assert order(0) == order(0, size=40), "the order depends on the batch size"


def test_an_images_augmentation_does_not_depend_on_its_batch(folder: Path) -> None:
    train = Augmented(ImageSet.of(packed_from(folder), np.arange(40)), {"rotate": 20.0, "color-jitter": 0.4})

    def epoch(number: int, size: int) -> torch.Tensor:
        return torch.cat([images for images, _ in train.batches(size, Streams(0), number)])

    torch.testing.assert_close(epoch(0, 40), epoch(0, 3), atol=1e-6, rtol=0)
    assert not torch.allclose(epoch(0, 40).mean(0), epoch(1, 40).mean(0), atol=1e-3)


def test_statistics_are_numpys(folder: Path) -> None:
    packed = packed_from(folder)
    mean, deviation = ImageSet.of(packed, np.arange(5, 30)).statistics()
    pixels = packed.images[5:30].reshape(-1, 3) / 255
    assert mean == pytest.approx(pixels.mean(0), abs=1e-9)
    assert deviation == pytest.approx(pixels.std(0), abs=1e-9)


def test_a_source_with_a_name_in_the_users_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/paintings").symlink_to(folder)
    assert packed_from(Path("paintings")).fingerprint == packed_from(folder).fingerprint


@pytest.mark.parametrize("kind", ["stratified", "random"])
def test_folds_hold_out_every_image_once(folder: Path, kind: str) -> None:
    packed = packed_from(folder)
    parts = [split(packed, folds=4, fold=k, split=kind, test_fraction=0.1) for k in range(4)]
    assert len({tuple(part.test) for part in parts}) == 1
    held = np.concatenate([part.val for part in parts])
    assert sorted([*held, *parts[0].test]) == list(range(len(packed.labels)))
    assert max(len(part.val) for part in parts) - min(len(part.val) for part in parts) <= 1
    for part in parts:
        assert not set(part.val) & set(part.train)
        assert len(part.train) + len(part.val) + len(part.test) == len(packed.labels)
    if kind == "stratified":
        counts = np.array([np.bincount(packed.labels[part.val], minlength=3) for part in parts])
        assert (counts.max(0) - counts.min(0) <= 1).all()

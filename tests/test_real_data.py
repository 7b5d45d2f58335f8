"""On the real paintings and faces, where they are; and on torchvision's data sets, from files in their format."""

import gzip
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from a2cli.data.download import expected_paintings
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.progress import NullReporter
from a2cli.runs.directory import Run
from a2cli.settings.presets import resolve
from a2cli.settings.training import TrainCnnSettings
from a2cli.train.run import train_network

COUNTS = [20, 54, 63, 70, 40, 40, 37, 36, 28, 40, 23]


def packed_from(data: str, size: int = 50) -> Packed:
    return pack(find_source(data), size, "squash", False, NullReporter())


def test_the_paintings_are_the_ones_expected(paintings: Path) -> None:
    found = {
        path.relative_to(paintings).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paintings.glob("*/*.png")
    }
    assert found == expected_paintings()


def test_the_paintings_pack(paintings: Path) -> None:
    packed = packed_from(str(paintings))
    assert packed.images.shape == (451, 50, 50, 3)
    assert list(Counter(packed.labels.tolist()).values()) == COUNTS
    black = (packed.images[:, 0].max(axis=(1, 2)) == 0) | (packed.images[:, :, 0].max(axis=(1, 2)) == 0)
    assert black.mean() > 0.9, "nearly every painting is padded with black to a square"


def test_the_faces_pack(faces: Path) -> None:
    packed = packed_from(str(faces), 28)
    assert packed.images.shape == (390, 28, 28, 3)
    assert set(Counter(packed.labels.tolist()).values()) == {10}
    assert (packed.images[..., 0] == packed.images[..., 2]).all(), "the faces are grey"


@pytest.mark.slow
def test_the_baseline_on_the_paintings(paintings: Path, tmp_path: Path) -> None:
    """As measured over many splits: 0.64 in validation, 0.94 in training, with the plain cross entropy."""
    flags = {"data": str(paintings), "loss": "cross-entropy", "threads": "1", "device": "cpu", "epochs": "25"}
    settings = resolve(TrainCnnSettings, "train-cnn", ["1.2-baseline"], flags).settings
    (tmp_path / "run").mkdir()
    report = train_network(settings, Run(tmp_path / "run"), NullReporter())
    assert report.data
    assert report.results
    assert (report.data.train, report.data.val) == (360, 91)
    assert 0.45 < report.results.runs[0].val.value < 0.8
    assert report.results.runs[0].parameters == 110_811


def test_a_torchvision_set_by_name(tmp_path: Path) -> None:
    """MNIST in the files that torchvision keeps, made here."""
    raw = tmp_path / "data/torchvision/MNIST/raw"
    raw.mkdir(parents=True)
    rng, written = np.random.default_rng(0), {}
    for part, count in (("train", 60), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8) % 10
        written[part] = images
        for kind, code, array in (("images-idx3", 3, images), ("labels-idx1", 1, labels)):
            shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes([0, 0, 8, code]) + shape + array.tobytes()
            (raw / f"{part}-{kind}-ubyte").write_bytes(content)
            (raw / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    packed = packed_from("mnist", 28)
    assert packed.images.shape == (80, 28, 28, 3)
    assert Counter(packed.splits) == {"train": 60, "test": 20}
    assert np.array_equal(packed.images[60:, :, :, 1], written["t10k"])
    assert len(packed.class_names) == 10

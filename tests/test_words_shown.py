"""What is printed in 80 columns, and what is said of images: no name is cut, nothing enlarged without a word."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import A2, draw_classes

from a2cli.formats import counted


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        ("resnet18", ["layer1.0.conv1  ", "layer4.0.downsample.0  "]),
        ("densenet121", ["features.denseblock1.  1", "  denselayer1.conv1"]),
    ],
)
def test_names_of_layers_are_broken_after_dots_alone(model: str, lines: list[str], a2: A2) -> None:
    shown = a2("receptive-field", "--model", model).out.splitlines()
    assert max(map(len, shown)) <= 80
    for line in lines:
        assert any(one.removeprefix(" ").startswith(line) for one in shown), line


def test_images_of_another_range_in_8_bits_are_said(a2: A2, tmp_path: Path) -> None:
    """As scikit-learn's digits of 0 to 16, written as they are."""
    pixels, labels = np.random.default_rng(0).integers(0, 17, (10, 8, 8), dtype=np.uint8), np.arange(10) % 2
    small = ["--channels", "2", "--kernel-size", "3", "--image-size", "8", "--epochs", "1", "--threads", "1", "--quiet"]
    for most, said in ((16, True), (63, True), (64, False)):
        pixels[0, 0, 0] = most
        np.savez(tmp_path / "set.npz", images=pixels, labels=labels)
        ended = a2("train-cnn", *small, "--data", "set.npz")
        assert ended.status == 0
        words = f"no pixel of any image is brighter than {most} of 255; images of 8 bits are taken as they are"
        assert (words in ended.err) == said, ended.err
    assert a2("data", "check", "set.npz").status == 0


def test_images_that_are_much_enlarged_are_said(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", side=8)
    small = ["--channels", "2", "--epochs", "1", "--threads", "1", "--quiet", "--data", "set"]
    a2("train-cnn", *small, "--image-size", "16").done(
        "10 of 10 images are enlarged to 16x16 pixels, as ada/0.png of 8x8"
    )
    a2("train-cnn", *small, "--image-size", "15", "--kernel-size", "3").done()


def test_a_setting_has_its_flags_name_in_a_plan_and_a_preset(a2: A2, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("class: ada\n")
    ended = a2("visualize-weights", "--backbone", "alexnet", "-p", "mine.yaml", "--dry-run")
    assert ended.status == 0, ended.err
    assert "class_" not in ended.out
    assert " class      ada" in ended.out


def test_one_is_said_in_the_singular(a2: A2, tmp_path: Path) -> None:
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(n, "class", "classes") for n in (1, 3)] == ["1 class", "3 classes"]
    draw_classes(tmp_path / "set", count=2)
    small = ["--channels", "2", "--image-size", "8", "--kernel-size", "3", "--hidden", "none", "--threads", "1"]
    ended = a2("train-cnn", *small, "--data", "set", "--val-count", "1", "--epochs", "1", "--early-stopping", "5")
    said = " ".join((ended.out + ended.err).split())
    assert "cannot act in 1 epoch" in said
    assert not re.search(r"(?<![\d.])1 (images|epochs|classes|runs|seeds|points)\b", said), said

"""Identical images: said, kept in one part of the split, refused under two labels, and told apart in the results."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, TINY, draw_classes

from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_of
from a2cli.progress import NullReporter
from a2cli.settings.presets import resolve
from a2cli.settings.training import TrainCnnSettings
from a2cli.transfer.feature_file import read_features


def copy(data: Path, **copies: str) -> Path:
    """Add files that are copies of others: new name, without its ending, to old."""
    for new, old in copies.items():
        shutil.copy(data / old, data / f"{new.replace('__', '/')}.png")
    return data


def report_of(run: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run / "report.json").read_text())
    return report


@pytest.fixture
def copied(data: Path) -> Path:
    """Ten images and two copies: of ada/1 one, and of bea/2 one."""
    return copy(data, ada__copy="ada/1.png", bea__copy="bea/2.png")


def test_identical_images_are_said_and_listed(train: A2, copied: Path) -> None:
    run = train("--data", copied, "--out", "run").done(
        "4 identical images in 2 groups, as ada/1.png and ada/copy.png; each group stays in one part of a split"
    )
    groups = report_of(run)["data"]["identical"]
    assert groups == [["ada/1.png", "ada/copy.png"], ["bea/2.png", "bea/copy.png"]]


@pytest.mark.parametrize("options", [{}, {"split": "random"}, {"folds": "3", "fold": "1"}, {"test_fraction": "0.2"}])
def test_no_drawn_split_separates_identical_images(copied: Path, options: dict[str, str]) -> None:
    packed = pack(find_source(str(copied)), 8, "squash", False, NullReporter())
    names = np.array(packed.names)
    for seed in range(8):
        settings = resolve(TrainCnnSettings, "train-cnn", [], {**options, "seed": str(seed)}).settings
        split = split_of(packed, settings)
        for pair in ("ada/1.png", "ada/copy.png"), ("bea/2.png", "bea/copy.png"):
            held = [[name in names[part] for part in (split.train, split.val, split.test)] for name in pair]
            assert held[0] == held[1]


def test_identical_images_under_two_labels_are_refused(train: A2, data: Path) -> None:
    copy(data, bea__copy="ada/1.png")
    train("--data", data).refused(3, "identical images under two labels: ada/1.png (ada) and bea/copy.png (bea)")
    run = train("--data", data, "--duplicates", "drop", "--out", "run").done("2 images left out")
    assert sum(report_of(run)["data"][part] for part in ("train", "val", "test")) == 9


def test_drop_uses_the_first_of_each_group(train: A2, copied: Path) -> None:
    run = train("--data", copied, "--duplicates", "drop", "--out", "run").done("is used, 2 images left out")
    assert sum(report_of(run)["data"][part] for part in ("train", "val", "test")) == 10


def test_error_refuses_any(train: A2, copied: Path) -> None:
    train("--data", copied, "--duplicates", "error").refused(
        3, "identical images: ada/1.png and ada/copy.png (and 1 more)", "--duplicates keep or drop"
    )


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """Data with a split of its own: one of three validation and two of five test images are in an earlier part."""
    root = tmp_path / "leaking"
    for part, count, seed in (("train", 8, 0), ("val", 1, 1), ("test", 1, 2)):
        draw_classes(root / part, count=count, side=10 + seed)  # other images, as the side is another
    copy(root, val__ada__copy="train/ada/1.png", test__ada__copy="train/ada/2.png", test__bea__copy="val/bea/0.png")
    return root


def test_a_given_split_that_shares_images_is_said_with_the_accuracy_without_them(train: A2, leaking: Path) -> None:
    run = train("--data", leaking, "--final", "--out", "run").done(
        "6 identical images in 3 groups",
        "1 of 3 validation images are also among those for training",
        "2 of 4 test images are also among those for training or validation",
    )
    result = report_of(run)["results"]["runs"][0]
    wrong = {one["image"] for one in result["judged"]["most_wrong"]}
    copies = {"test/ada/copy.png", "test/bea/copy.png"}
    assert result["val_without_duplicates"]["count"] == 2
    assert result["test_without_duplicates"]["count"] == 2
    assert result["test_without_duplicates"]["correct"] == result["test"]["correct"] - len(copies - wrong)


def test_several_seeds_have_the_spread_without_them(train: A2, leaking: Path) -> None:
    assert train("--data", leaking, "--final", "--seeds", "2", "--jobs", "1", "--out", "run").status == 0
    results = report_of(Path("run"))["results"]
    for part in ("val", "test"):
        each = [run[f"{part}_without_duplicates"]["value"] for run in results["runs"]]
        found = results[f"{part}_without_duplicates"]
        assert (found["n"], found["mean"]) == (2, sum(each) / 2)


def test_the_table_has_the_accuracy_without_them(a2: A2, leaking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
    small = ["--image-size", "8", "--channels", "2", "--kernel-size", "3", "--epochs", "1", "--threads", "1"]
    table = a2("train-cnn", "--data", leaking, *small, "--final").out
    rows = [line for line in table.splitlines() if "without duplicates" in line]
    assert len(rows) == 2
    assert all(" of 2 " in row for row in rows)


def test_without_duplicates_nothing_is_said(train: A2, data: Path) -> None:
    run = train("--data", data, "--out", "run").done()
    assert report_of(run)["data"]["identical"] == []
    assert report_of(run)["results"]["runs"][0]["val_without_duplicates"] is None


# What else draws a split


@pytest.mark.parametrize(
    "command",
    [
        "compare-optimizers --optimizers sgd,adam --tuning none --seeds 2 --jobs 1",
        "ablate --without label_smoothing=0 --label-smoothing 0.1 --seeds 2 --jobs 1",
    ],
)
def test_studies_say_what_their_trials_learn_from(command: str, a2: A2, copied: Path) -> None:
    small = [*(flag for flag in TINY if flag not in ("--threads", "1", "--epochs")), "--epochs", "1"]
    run = a2(*command.split(), "--data", copied, *small, "--epochs", "1", "--out", "run").done(
        "4 identical images in 2"
    )
    report = report_of(run)
    assert "4 identical images" in report["warnings"][0]
    assert len(report["data"]["identical"]) == 2


EXTRACT = "--image-size 32 --weights none --backbone squeezenet1_1 --layer features.3.cat --grid 1 --threads 1"


def test_features_remember_which_images_are_identical(a2: A2, copied: Path) -> None:
    a2("extract-features", *EXTRACT.split(), "--data", copied, "--out", "features.safetensors", "--quiet")
    file = read_features("features.safetensors")
    packed = file.packed("features.3.cat")
    assert np.array_equal(packed.groups, pack(find_source(str(copied)), 32, "squash", False, NullReporter()).groups)
    unknown = replace(file, about=replace(file.about, identical=None)).packed("features.3.cat")
    assert np.array_equal(unknown.groups, packed.groups), "a file of before tells by the features"
    head = ["--features", "features.safetensors", "--epochs", "1", "--threads", "1", "--quiet"]
    a2("train-mlp", *head, "--duplicates", "error").refused(3, "identical images: ada/1.png and ada/copy.png (and 1")
    ended = a2("train-mlp", *head, "--out", "run")
    assert "4 identical images in 2 groups" in ended.err
    assert len(report_of(Path("run"))["data"]["identical"]) == 2


def test_a_head_on_features_has_the_accuracy_without_duplicates(a2: A2, leaking: Path) -> None:
    a2("extract-features", *EXTRACT.split(), "--data", leaking, "--out", "features.safetensors", "--quiet")
    head = ["--features", "features.safetensors", "--epochs", "1", "--threads", "1", "--quiet"]
    assert a2("train-mlp", *head, "--final", "--out", "run").status == 0
    result = report_of(Path("run"))["results"]["runs"][0]
    assert (result["val_without_duplicates"]["count"], result["test_without_duplicates"]["count"]) == (2, 2)


def test_fine_tuning_has_the_accuracy_without_duplicates(a2: A2, leaking: Path) -> None:
    tune = EXTRACT.replace("--grid 1", "--head-grid 1")
    a2("finetune", *tune.split(), "--data", leaking, "--stages", "head:1", "--final", "--out", "run", "--quiet")
    result = report_of(Path("run"))["results"]["runs"][0]
    assert (result["val_without_duplicates"]["count"], result["test_without_duplicates"]["count"]) == (2, 2)

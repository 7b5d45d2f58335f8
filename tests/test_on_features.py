"""`a2 train-mlp --features`: a head on a file's features is a network on images, and the probes are scikit-learn's."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, draw_classes, hold_to_schema, real_weights
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from a2cli import main
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_of
from a2cli.progress import NullReporter
from a2cli.runs.directory import Run
from a2cli.settings.transfer import TrainFeaturesSettings
from a2cli.transfer.feature_file import read_features
from a2cli.transfer.probes import Part, standard_answers

CNN = "--data set --image-size 16 --channels 4,6 --kernel-size 3 --stride 1 --epochs 2 --threads 1 --device cpu --quiet"
HEAD = "--epochs 4 --learning-rate 0.01 --batch-size 8 --threads 1 --device cpu --quiet"
SEEN = "the backbone was trained on"  # some of what is held out here, as its run held out others
TENTHS = f"{HEAD} --val-fraction 0.1 --test-fraction 0.1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a small ConvNet trained on it, and two of its layers in a file, with the baselines."""
    place, cache = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("cache")
    draw_classes(place / "set", ("ada", "bea", "cleo"), count=20, side=18)
    extract = "--run base --data set --layer conv1,conv2 --grid 2 --baselines --threads 1 --device cpu --quiet"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(cache))
        patch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
        for line in (f"train-cnn {CNN} --out base", f"extract-features {extract} --out f.safetensors"):
            patch.setattr(sys, "argv", ["a2", *line.split()])
            assert main.run_command() == 0
    return place


@pytest.fixture
def features(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """That file, beside the network and the data, in the test's own folder; a run's own figures are left out."""
    monkeypatch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return "f.safetensors"


def report_of(run: str | Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((Path(run) / "report.json").read_text())
    hold_to_schema(report)
    return report


def test_the_run_is_a_network_on_images(a2: A2, features: str) -> None:
    """Backbone and head together answer to the validation images as the head did to their features."""
    folder = a2("train-mlp", "--features", features, *HEAD.split(), "--hidden", "5", "--out", "out").done()
    report = report_of(folder)
    model, card = Run(folder).load_model()
    assert card.trunk is not None and (card.trunk.layer, card.trunk.grid) == ("conv1", 2)
    packed = pack(find_source("set"), card.image_size, card.fit, False, NullReporter())
    rows = split_of(packed, TrainFeaturesSettings()).val
    with torch.inference_mode():
        answers = model(torch.from_numpy(packed.images[rows]).permute(0, 3, 1, 2)).argmax(1).numpy()
    found = report["results"]["runs"][0]
    assert int((answers == packed.labels[rows]).sum()) == found["val"]["correct"]
    assert len(rows) == found["val"]["count"] == 12
    assert found["parameters"] == (3 * 4 * 9 + 4) + (4 * 4 * 5 + 5) + (5 * 3 + 3)
    again = a2("train-mlp", "-p", folder / "config.yaml", "--quiet", "--out", "again").done()
    name = "model/model.safetensors"
    assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert a2("probe-invariance", "--run", folder, "--changes", "invert", "--quiet", "--out", "probe").status == 0


def test_which_layer(a2: A2, features: str) -> None:
    a2("train-mlp", "--features", features, *HEAD.split(), "--layer", "conv2", "--out", "out").done()
    assert report_of("out")["transfer"]["backbone"]["layer"] == "conv2"
    a2("train-mlp", "--features", features, *HEAD.split(), "--layer", "conv3").refused(2, "--layer", "'conv2'")
    a2("train-mlp", "--features", features, *HEAD.split(), "--layer", "pixels").refused(2, "--probe", "conv1, conv2")


def test_probes_stand_side_by_side(a2: A2, features: str) -> None:
    folder = a2("train-mlp", "--features", features, *TENTHS.split(), "--probe", "--final", "--out", "out").done(SEEN)
    probes = report_of(folder)["transfer"]["probes"]
    answers: dict[str, list[str]] = {}
    for one in probes:
        answers.setdefault(one["layer"], []).append(one["answer"])
        assert (one["val"]["count"], one["test"]["count"]) == (6, 6)
    standard = ["logistic regression", "nearest neighbours"]
    assert answers["conv1"] == ["this run's head", *standard]
    assert answers["pixels"] == ["MLP, 300 hidden units", *standard]
    assert answers["conv2"] == answers["random-conv1"] == answers["random-conv2"] == standard
    assert (folder / "figures/probes.png").exists()
    file = read_features(features)
    assert not np.array_equal(file.layers["conv1"], file.layers["random-conv1"])
    over_two = ("--probe", "--seeds", "2", "--jobs", "1", "--out", "two")
    several = a2("train-mlp", "--features", features, *HEAD.split(), *over_two).done(SEEN)
    each = [report_of(several / f"seeds/{seed}")["transfer"]["probes"] for seed in range(2)]
    for number, one in enumerate(report_of(several)["transfer"]["probes"]):
        values = [probe[number]["val"]["value"] for probe in each]
        assert one["val"]["mean"] == pytest.approx(np.mean(values))
        assert one["val"]["n"] == 2


def test_the_pixels_mlp_is_train_mlp(a2: A2, features: str) -> None:
    """The baseline trained beside is what section 2.1's command trains on the same images and split."""
    folder = a2("train-mlp", "--features", features, *HEAD.split(), "--probe", "--out", "out").done()
    flags = "--data set --normalize imagenet --threads 1 --device cpu --quiet"
    alone = a2("train-mlp", *flags.split(), "--out", "alone").done()
    name = "model/model.safetensors"
    assert (folder / "pixels" / name).read_bytes() == (alone / name).read_bytes()


@pytest.mark.parametrize("size", [8, 300], ids=["more images", "more features"])
def test_standard_answers_are_scikit_learns(size: int) -> None:
    """On the features as they are; ours go through the space that the training images span."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    values = (rng.normal(size=(120, size)) + 0.5 * np.eye(4, size)[labels]).astype(np.float32)
    parts = [Part(values[rows], labels[rows]) for rows in np.split(np.arange(120), [60, 90])]
    scaler = StandardScaler().fit(parts[0].features)
    train, val, test = ((scaler.transform(part.features), part.labels) for part in parts)
    for found in standard_answers(parts[0], parts[1], parts[2:]):
        value = float(found.chosen.split()[1])
        logistic = LogisticRegression(C=value, max_iter=2000)
        model = logistic if found.name == "logistic regression" else KNeighborsClassifier(int(value))
        model.fit(*train)
        assert found.correct == tuple(int((model.predict(x) == y).sum()) for x, y in (train, val, test))


def test_it_is_held_to_the_data_it_was_made_of(a2: A2, features: str, tmp_path: Path) -> None:
    flags = ("train-mlp", "--features", features, *HEAD.split())
    a2(*flags, "--data", "set", "--out", "same").done()
    draw_classes(tmp_path / "other", ("ada", "bea", "cleo"), count=19, side=18)
    a2(*flags, "--data", "other").refused(3, "other images or labels than --data other", "extract it again")
    (tmp_path / "set/ada/0.png").rename(tmp_path / "set/bea/first.png")
    a2(*flags, "--data", "set").refused(3, "other images or labels")


def test_what_cannot_be_used(a2: A2, features: str, tmp_path: Path) -> None:
    flags = ("train-mlp", *HEAD.split())
    a2(*flags, "--features", "none.safetensors").refused(3, "does not exist", "extract-features")
    content = (tmp_path / features).read_bytes()
    (tmp_path / "short.safetensors").write_bytes(content[: len(content) // 2])
    a2(*flags, "--features", "short.safetensors").refused(3, "short.safetensors", "damaged")
    a2(*flags, "--features", features, "--image-size", "8").refused(2, "--image-size", "--features")
    a2(*flags, "--head-grid", "2").refused(2, "--head-grid", "--features")
    a2(*flags, "--features", features, "--head-pool", "max").refused(2, "--head-pool", "--head-grid")
    a2(*flags, "--features", features, "--head-grid", "9").refused(2, "--head-grid", "maps of 2x2")
    a2(*flags, "--features", features, "--initialization", "he").refused(2, "--initialization")
    assert not list(tmp_path.glob("runs/*"))


def test_folds_hold_out_every_image_once(a2: A2, features: str) -> None:
    flags = ("--folds", "4", "--test-fraction", "0", "--jobs", "1")
    folder = a2("train-mlp", "--features", features, *HEAD.split(), *flags, "--out", "out").done(SEEN)
    runs = report_of(folder)["results"]["runs"]
    assert [run["folder"] for run in runs] == [f"folds/{k}" for k in range(4)]
    assert sum(run["val"]["count"] for run in runs) == 60


def test_resume_with_the_test(a2: A2, features: str) -> None:
    folder = a2("train-mlp", "--features", features, *TENTHS.split(), "--probe", "--out", "out").done(SEEN)
    assert all(probe["test"] is None for probe in report_of(folder)["transfer"]["probes"])
    assert a2("train-mlp", "--resume", folder, "--final", "--quiet").status == 0
    report = report_of(folder)
    assert report["test_reads"] == 1
    assert all(probe["test"]["count"] == 6 for probe in report["transfer"]["probes"])


@pytest.mark.slow
def test_conv4_knows_painters(a2: A2, paintings: Path) -> None:
    """Measured elsewhere: 0.896 over stratified splits of 360/91."""
    weights = real_weights("alexnet_features.safetensors")
    flags = f"--data {paintings} --weights {weights} --layer conv4 --grid 3 --threads 2 --quiet"
    assert a2("extract-features", *flags.split(), "--out", "f.safetensors").status == 0
    flags = "--features f.safetensors --epochs 5 --val-count 91 --test-fraction 0 --probe --threads 2 --json"
    probes = json.loads(a2("train-mlp", *flags.split()).out)["transfer"]["probes"]
    found = {one["answer"]: one["val"]["value"] for one in probes}
    assert 0.85 < found["logistic regression"] < 0.96

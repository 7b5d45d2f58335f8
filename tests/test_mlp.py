"""`a2 train-mlp`: the network, its first weights, and the command on train-cnn's ground."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import A2, draw_classes, hold_to_schema
from torch import nn

from a2cli.errors import SettingsError
from a2cli.models.cards import ModelCard
from a2cli.models.mlp import build_mlp
from a2cli.random_streams import Streams
from a2cli.runs.directory import Run
from a2cli.settings.presets import load_preset, preset_names, resolve
from a2cli.settings.training import MlpSettings, TrainMlpSettings

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
SMALL = "--data set --image-size 8 --hidden 6 --epochs 2 --scheduler none --threads 1 --device cpu --quiet"
SMALL_FLAGS = SMALL.split()


def built(**changed: Any) -> nn.Sequential:
    return build_mlp(MlpSettings(**changed), 6, 4, MEAN, STD, Streams(0))


def test_it_is_linear_layers_on_pixels() -> None:
    """Against torch's own layers around the same weights."""
    model = built(hidden=(7, 5), activation="tanh", dropout=(0.5,)).eval()
    images = torch.randint(0, 256, (3, 3, 6, 6), dtype=torch.uint8)
    x = (images / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    x = x.permute(0, 2, 3, 1).flatten(1)
    for name in ("hidden1", "hidden2"):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        x = torch.tanh(x @ layer.weight.T + layer.bias)
    output = model.get_submodule("output")
    assert isinstance(output, nn.Linear)
    torch.testing.assert_close(model(images), x @ output.weight.T + output.bias)
    names = [name for name, _ in model.named_children()]
    assert names[2:8] == ["hidden1", "hidden1_tanh", "hidden1_dropout", "hidden2", "hidden2_tanh", "hidden2_dropout"]


@pytest.mark.parametrize(("kind", "variance"), [("xavier", 2 / (300 + 108)), ("he", 2 / 108), ("default", 1 / 3 / 108)])
def test_first_weights_have_their_variance(kind: str, variance: float) -> None:
    """Glorot & Bengio 2010, equation 16; He et al. 2015, equation 10; torch: uniform within 1 / sqrt(inputs)."""
    layer = built(hidden=(300,), initialization=kind).get_submodule("hidden1")
    assert isinstance(layer, nn.Linear)
    weight = layer.weight.detach()
    assert float(weight.var()) == pytest.approx(variance, rel=0.05)
    assert float(weight.abs().max()) <= (3 * variance) ** 0.5 * 1.0001
    assert (layer.bias == 0).all() == (kind != "default")


def test_first_weights_are_the_seeds_and_the_names() -> None:
    wide, narrow = built(hidden=(9, 5)), built(hidden=(9, 4), dropout=(0.0,))
    assert torch.equal(wide.get_submodule("hidden1").weight, narrow.get_submodule("hidden1").weight)
    other = build_mlp(MlpSettings(hidden=(9, 5)), 6, 4, MEAN, STD, Streams(1))
    assert not torch.equal(wide.get_submodule("hidden1").weight, other.get_submodule("hidden1").weight)


def test_dropout_rates_are_one_or_one_a_layer() -> None:
    assert built(hidden=(7, 5), dropout=(0.1, 0.0)).get_submodule("hidden1_dropout").p == 0.1
    with pytest.raises(SettingsError, match="--dropout"):
        built(hidden=(7, 5), dropout=(0.1, 0.2, 0.3))


def test_a_run(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=20)
    folder = a2("train-mlp", *SMALL_FLAGS, "--test-fraction", "0.1", "--out", "out").done()
    report = json.loads((folder / "report.json").read_text())
    hold_to_schema(report)
    assert report["command"] == "train-mlp"
    assert report["results"]["runs"][0]["parameters"] == 3 * 64 * 6 + 6 + 6 * 2 + 2
    assert (report["data"]["train"], report["data"]["val"], report["data"]["test"]) == (28, 8, 4)
    assert report["test_reads"] == 0
    model, card = Run(folder).load_model()
    assert isinstance(card, ModelCard) and card.network == MlpSettings(hidden=(6,))
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    again = a2("train-mlp", "-p", folder / "config.yaml", "--quiet", "--out", "again").done()
    name = "model/model.safetensors"
    assert (again / name).read_bytes() == (folder / name).read_bytes()
    final = a2("train-mlp", "--resume", "out", "--final", "--quiet")
    assert final.status == 0
    assert json.loads((folder / "report.json").read_text())["test_reads"] == 1


def test_what_it_does_not_have(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set")
    a2("train-mlp", "--kernel-size", "3").refused(2, "--kernel-size")
    a2("train-mlp", "-p", "1.3-pooling").refused(2, "is a preset of 'a2 train-cnn', not of 'a2 train-mlp'")
    a2("train-cnn", "-p", "2.1-mlp").refused(2, "is a preset of 'a2 train-mlp', not of 'a2 train-cnn'")
    a2("train-mlp", "--dropout", "0.1,0.2").refused(2, "--dropout")
    a2("train-mlp", "--hidden", "none").refused(2, "--hidden")
    a2("train-mlp", "--hidden", "2000000").refused(2, "weights")
    a2("train-mlp", "--momentum", "0.5").refused(2, "--momentum: acts only with")
    run = a2("train-mlp", *SMALL_FLAGS, "--out", "out").done()
    a2("receptive-field", "--run", run).refused(2, "is of 'a2 train-mlp'")


def test_the_courseworks_presets() -> None:
    """Section 2.1: 28x28 pixels, 300 hidden units, dropout 0.5, Xavier, Adam 1e-3, batches of 32, plateau 6 and 0.1."""
    names = [name for name in preset_names() if name.startswith("2.1")]
    assert {"2.1-mlp", "2.1-mlp-batch-12"} <= set(names)
    for name in names:
        assert load_preset(name, ("train-mlp",), TrainMlpSettings).about
    settings = resolve(TrainMlpSettings, "train-mlp", ["2.1-mlp"], {}).settings
    network, training = settings.network, settings.training
    assert (network.hidden, network.dropout, network.initialization) == ((300,), (0.5,), "xavier")
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("adam", 1e-3, 32)
    assert (training.scheduler, training.plateau_patience, training.plateau_factor) == ("plateau", 6, 0.1)
    assert (settings.dataset.image_size, settings.split.val_fraction, settings.split.test_fraction) == (28, 0.1, 0.1)


def test_a_comparison_of_mlps(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=20)
    small = "--data set --image-size 8 --hidden 6 --initialization he --epochs 2 --scheduler none --device cpu"
    lists = "--network mlp --optimizers adam --batch-sizes 12,32 --tuning none --seeds 2"
    flags = f"{small} {lists} --jobs 1 --quiet".split()
    folder = a2("compare-optimizers", *flags, "--out", "out").done()
    trials = sorted(folder.glob("trials/*"))
    assert len(trials) == 4
    for trial in trials:
        alone = a2("train-mlp", "-p", trial / "config.yaml", "--quiet", "--out", f"alone/{trial.name}").done()
        name = "model/model.safetensors"
        assert (alone / name).read_bytes() == (trial / name).read_bytes()
    again = a2("compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet")
    assert again.status == 0, "its config says which network"
    known = a2("compare-optimizers", "-p", "2.1-mlp", "--optimizers", "adam,sgd", "--dry-run", "--json")
    settings = json.loads(known.out)["settings"]
    assert (settings["network"]["value"], settings["hidden"]["value"]) == ("mlp", [300])
    a2("compare-optimizers", "--network", "mlp", "--pool", "max").refused(2, "--pool: train-mlp has no such setting")
    a2("compare-optimizers", "--initialization", "he").refused(2, "--initialization: train-cnn has no such setting")
    a2("compare-optimizers", "--network", "cnn", "-p", "2.1-mlp").refused(2, "is a preset of 'a2 train-mlp'")


@pytest.mark.slow
def test_it_recognises_real_faces(a2: A2, faces: Path) -> None:
    ended = a2("train-mlp", "-p", "2.1-mlp", "--data", faces, "--epochs", "20", "--threads", "2", "--json")
    run = json.loads(ended.out)["results"]["runs"][0]
    assert run["val"]["count"] == 39
    assert run["val"]["value"] > 0.8 > 0.1 > run["majority"]["value"]

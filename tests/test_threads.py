"""How many processor threads a run has, that it does not depend on the machine, and that the report says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import A2, TINY
from torch.utils.flop_counter import FlopCounterMode

from a2cli.geometry import LONG_STEP, auto_threads, multiply_adds
from a2cli.models.cards import ModelCard
from a2cli.models.zoo import build_network
from a2cli.random_streams import Streams
from a2cli.settings.training import (
    DataSettings,
    MlpSettings,
    NetworkSettings,
    TrainCnnSettings,
    TrainingSettings,
    TrainMlpSettings,
)
from a2cli.settings.transfer import FinetuneSettings, TrainFeaturesSettings

AUTO = [*TINY, "--threads", "auto", "--data", "set"]


def environment(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())["environment"]
    return found


@pytest.mark.parametrize(
    "network",
    [
        NetworkSettings(),
        NetworkSettings(channels=(8, 12), kernel_size=(3,), stride=(1,), padding=(1,), pool="max", hidden=()),
        MlpSettings(hidden=(32, 16)),
    ],
)
def test_multiply_adds_are_those_that_torch_counts(network: NetworkSettings | MlpSettings) -> None:
    """But for the last layer, whose size is the number of classes."""
    kind = "convnet" if isinstance(network, NetworkSettings) else "mlp"
    card = ModelCard(kind, network, ["a", "b"], 20, "squash", [0.5] * 3, [0.2] * 3)
    model = build_network(card, Streams(0)).eval()
    with FlopCounterMode(display=False) as counted:
        model(torch.zeros(3, 3, 20, 20))
    *_, last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    assert counted.get_total_flops() == 2 * 3 * (multiply_adds(network, 20) + last.weight.numel())


def test_auto_goes_by_the_length_of_a_step() -> None:
    assert auto_threads(TrainCnnSettings()) == (
        1,
        "steps are short, 22 million multiply-adds in the forward pass of 16 images",
    )
    assert auto_threads(TrainMlpSettings())[0] == auto_threads(TrainFeaturesSettings())[0] == 1
    assert auto_threads(FinetuneSettings()) == (4, "a backbone's steps are long")
    large = TrainCnnSettings(dataset=DataSettings(image_size=224))
    assert 16 * multiply_adds(large.network, 224) > LONG_STEP
    assert auto_threads(large)[0] == 4
    wide = TrainCnnSettings(training=TrainingSettings(batch_size=64))
    assert auto_threads(wide)[0] == 4


def test_auto_does_not_depend_on_the_cores(a2: A2, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for cores in (1, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        folder = a2("train-cnn", *AUTO, "--out", f"with-{cores}").done()
        found[cores] = environment(folder), (folder / "model/model.safetensors").read_bytes()
    assert found[1] == found[3]
    assert found[1][0]["threads"] == 1
    assert found[1][0]["threads_chosen_by"].startswith("auto: steps are short, 0 million multiply-adds")


def test_a_number_given_stays(a2: A2, data: Path) -> None:
    folder = a2("train-cnn", *AUTO, "--threads", "2").done()
    assert environment(folder)["threads"] == 2
    assert "threads_chosen_by" not in environment(folder)
    assert "threads: 2\n" in (folder / "config.yaml").read_text()


def test_a_resumed_run_still_says_who_chose(a2: A2, data: Path) -> None:
    folder = a2("train-cnn", *AUTO, "--test-fraction", "0.2").done()
    said = environment(folder)
    assert said["threads_chosen_by"].startswith("auto: ")
    assert "threads: 1\n" in (folder / "config.yaml").read_text()
    a2("train-cnn", "--resume", folder, "--final", "--quiet").done()
    assert environment(folder) == said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train-cnn"], "Threads: 1, chosen by auto: steps are short"),
        (["train-cnn", "--threads", "3"], "Threads: 3"),
        (["train-mlp"], "Threads: 1, chosen by auto: steps are short"),
        (["train-mlp", "--features", "f.safetensors"], "Threads: 1, chosen by auto: a head's steps are short"),
        (["finetune"], "Threads: 4, chosen by auto: a backbone's steps are long"),
        (["extract-features", "--layer", "fc", "--out", "f"], "Threads: 4, chosen by auto: forward passes are long"),
        (["probe-invariance", "--run", "run"], "Threads: 4, chosen by auto"),
        (["visualize-weights", "--run", "run"], "Threads: 4, chosen by auto"),
    ],
)
def test_a_dry_run_says_the_threads(arguments: list[str], line: str, a2: A2, run: Path) -> None:
    ended = a2(*arguments, "--dry-run")
    assert ended.status == 0, ended.err
    assert line in ended.out


@pytest.mark.parametrize(("given", "used"), [(None, "passive"), ("active", "active")])
def test_threads_wait_passively_before_torch_is_there(given: str | None, used: str) -> None:
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    code = "import os, sys, a2cli.main; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    env = {**others, **({"OMP_WAIT_POLICY": given} if given else {})}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == [used, "False"]

"""Every command computes on another device what it computes on the CPU: `second_device` refuses to mix the two."""

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import A2, Ended, draw_classes
from second_device import DEVICE, second_device

import a2cli.runtime
from a2cli.errors import SettingsError
from a2cli.runtime import environment, repeats

NETWORK = ["--channels", "4,4", "--kernel-size", "3", "--stride", "1", "--image-size", "16", "--epochs", "2"]
ALEXNET = ["--backbone", "alexnet", "--weights", "none", "--image-size", "64"]
EACH = ["--data", "set", "--threads", "1", "--quiet"]
VIEWED = ["visualize-weights", "--steps", "2", "--redraws", "4", "--image", "set/ada/0.png", *EACH[2:]]
CAPTUM = ["--methods", "deep-lift,gradient,guided-backprop,integrated-gradients,grad-cam,occlusion"]
MLP = ["train-mlp", "--hidden", "5", "--image-size", "8", "--epochs", "2"]
COMMANDS = {
    "features": ["extract-features", *ALEXNET, "--layer", "conv2,conv3", "--grid", "2", *EACH],
    "probe": ["probe-invariance", "--run", "cnn", "--threads", "1", "--quiet"],
    "view": [*VIEWED, *CAPTUM, "--run", "cnn"],
    "view an mlp": [*VIEWED, "--run", "mlp"],
    "predict": ["predict", "--run", "cnn", "--threads", "1", "--json", "set/ada"],
}


@pytest.fixture
def runs(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", side=16)
    assert a2("train-cnn", *NETWORK, "--device", "cpu", *EACH, "--out", "cnn").status == 0
    assert a2(*MLP, "--device", "cpu", *EACH, "--out", "mlp").status == 0


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("name", COMMANDS)
def test_another_device_gives_the_same(name: str, a2: A2, tmp_path: Path) -> None:
    there = tmp_path / "there"
    expected = results(a2(*COMMANDS[name], "--device", "cpu", *out_of(name, "here")), tmp_path / "here")
    with second_device():
        ended = a2(*COMMANDS[name], "--device", str(DEVICE), *out_of(name, "there"))
    assert results(ended, there) == expected


def out_of(name: str, out: str) -> list[str]:
    return {"predict": [], "features": ["--out", f"{out}.safetensors"]}.get(name, ["--out", out])


def results(ended: Ended, out: Path) -> Any:
    """Return what a command found: its report's results, printed or written, or the file that it wrote."""
    assert ended.status == 0, ended.err
    if (features := out.with_suffix(".safetensors")).exists():
        return features.read_bytes()
    report = (out / "report.json").read_text() if out.exists() else ended.out
    found = json.loads(report, parse_float=lambda digits: f"{float(digits):.9g}")  # sums in another order
    return found.get("results", found)


def test_a_gpu_repeats_and_computes_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch is told before it computes on one; without it two runs of one seed differ on an H100."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(a2cli.runtime, "_varying_steps", set())
    monkeypatch.setattr("warnings.showwarning", print)
    try:
        with suppress(SettingsError):  # there is none here
            a2cli.runtime.set_up("auto", 1)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
        backends: Any = torch.backends
        assert {backends.cudnn.conv.fp32_precision, backends.cuda.matmul.fp32_precision} == {"ieee"}
        assert repeats() == []
        warnings.showwarning("pool_backward_cuda does not have a deterministic implementation", UserWarning, "", 0)
        assert "no deterministic pool_backward_cuda" in repeats()[0]
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False


def test_the_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    assert environment(torch.device("cuda"))["gpu"] == "a GPU"
    assert "gpu" not in environment(torch.device("cpu"))

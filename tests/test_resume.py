"""A run that is stopped at any moment and resumed ends as one that never was: weights, optimizer, history, report."""

import csv
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PNG

from a2cli.errors import DataError
from a2cli.settings.presets import build
from a2cli.settings.training import TrainCnnSettings

# A server that has torch loaded and forks a clean process for each run: starting one costs next to nothing.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["a2cli.train.run", "a2cli.training.figures"])
EPOCHS = 6


def settings_for(data: Path, **changed: Any) -> TrainCnnSettings:
    values = {
        "data": str(data),
        "image_size": 16,
        "channels": (4, 4),
        "kernel_size": (3,),
        "stride": (1,),
        "pool": "max",
        "norm": "batch",
        "hidden": (8,),
        "dropout": (0.2,),
        "augment": ("flip", "rotate"),
        "epochs": EPOCHS,
        "learning_rate": 0.01,
        "scheduler": "plateau",
        "plateau_patience": 0,
        "threads": 1,
        "device": "cpu",
    }
    return build(TrainCnnSettings, values | changed)


def train(
    settings: TrainCnnSettings, folder: Path, cache: Path, every_epoch: bool, kill_at: tuple[str, str, int] | None
) -> None:
    """Run or resume in a process of its own; `kill_at` (module, function, n) kills it at that function's n-th call."""
    import importlib

    from a2cli.progress import NullReporter
    from a2cli.runs import directory
    from a2cli.train import run as train
    from a2cli.training import trial

    # As in conftest.py, whose patches this process does not have: pixels and disks take most of the time.
    directory.rendered, os.fsync = (lambda *_: PNG), (lambda _: None)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background leaves ignored
    os.environ["A2_CACHE_DIR"] = str(cache)
    if every_epoch:
        trial.CHECKPOINT_SECONDS = 0.0
    if kill_at:
        module, name, calls = kill_at
        owner: Any = importlib.import_module(module)
        if "." in name:
            owner, name = getattr(owner, name.split(".")[0]), name.split(".")[1]
        setattr(owner, name, dying_at(calls, getattr(owner, name)))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        train.train_network(settings, directory.Run(folder), NullReporter())
    except KeyboardInterrupt:
        os._exit(130)


def dying_at(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    left = [calls]

    def dying(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return dying


def start(*args: Any) -> BaseProcess:
    process = SERVER.Process(target=train, args=args)
    process.start()
    return process


def finish(process: BaseProcess) -> int | None:
    process.join(timeout=120)
    status = process.exitcode
    process.close()
    return status


def outcome(folder: Path) -> dict[str, Any]:
    """Return all that must be equal: files of weights byte for byte, and the report and metrics but for times."""
    report = json.loads((folder / "report.json").read_text())
    for timed in ("seconds", "created", "sha256", "figure_sha256"):  # figures name the run
        del report[timed]
    for log in report["history"]["0"]:
        del log["images_per_second"]
    weights = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safetensors")}
    rows = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    metrics = [{name: value for name, value in row.items() if name != "images_per_second"} for row in rows]
    leftovers = [p.name for p in folder.rglob(".writing-*")]
    return {"report": report, "weights": weights, "metrics": metrics, "leftovers": leftovers}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = (rng.integers(0, 120, (120, 20, 20, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "set.npz"
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("unbroken")
    assert finish(start(settings_for(data), folder / "run", folder / "cache", True, None)) == 0
    return outcome(folder / "run")


PHASES = {
    "packing": ("a2cli.data.packer", "to_square", 70),
    "first report": ("a2cli.runs.directory", "Run.write_report", 1),
    "first step": ("a2cli.training.optimizers", "Optimizer.step", 1),
    "a later step": ("a2cli.training.optimizers", "Optimizer.step", 20),
    "validation": ("a2cli.training.loop", "evaluate", 3),
    "first checkpoint": ("a2cli.runs.checkpoints", "save_tensors", 1),
    "between a checkpoint's two files": ("a2cli.storage", "durable", 8),
    "a later checkpoint": ("a2cli.runs.checkpoints", "save_tensors", 4),
    "writing metrics": ("a2cli.runs.directory", "Run.append_metrics", 5),
    "model": ("a2cli.runs.directory", "Run.save_model", 1),
    "last evaluation": ("a2cli.training.trial", "_result", 1),
    "plotting": ("a2cli.training.figures", "confusion", 1),
    "last report": ("a2cli.runs.directory", "Run.write_report", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_killed_in_every_phase(phase: str, data: Path, unbroken: dict[str, Any], tmp_path: Path) -> None:
    settings = settings_for(data)
    killed = finish(start(settings, tmp_path / "run", tmp_path / "cache", True, PHASES[phase]))
    assert killed == -signal.SIGKILL, "the phase was never reached"
    assert finish(start(settings, tmp_path / "run", tmp_path / "cache", True, None)) == 0
    assert_same(outcome(tmp_path / "run"), unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_at_random_moments_again_and_again(
    how: signal.Signals, data: Path, unbroken: dict[str, Any], tmp_path: Path
) -> None:
    moments, stopped = random.Random(int(how)), 0
    settings = settings_for(data)
    while stopped < 8:
        process = start(settings, tmp_path / "run", tmp_path / "cache", True, None)
        time.sleep(moments.uniform(0, 1))
        assert process.pid
        with suppress(ProcessLookupError):
            os.kill(process.pid, how)
        if finish(process) != 0:
            stopped += 1
        else:  # over before it could be stopped: start anew
            shutil.rmtree(tmp_path / "run")
    assert finish(start(settings, tmp_path / "run", tmp_path / "cache", True, None)) == 0
    assert_same(outcome(tmp_path / "run"), unbroken)


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["report"] == expected["report"]
    assert found["metrics"] == expected["metrics"]
    assert found["weights"].keys() == expected["weights"].keys()
    assert found["weights"] == expected["weights"]


def test_how_often_checkpoints_are_written_changes_nothing(
    data: Path, unbroken: dict[str, Any], tmp_path: Path
) -> None:
    assert finish(start(settings_for(data), tmp_path / "run", tmp_path / "cache", False, None)) == 0
    found = outcome(tmp_path / "run")
    assert found["report"] == unbroken["report"]
    assert found["weights"]["model/model.safetensors"] == unbroken["weights"]["model/model.safetensors"]


def test_an_average_and_mixed_images_go_on_as_well(data: Path, tmp_path: Path) -> None:
    settings = settings_for(data, average_weights=0.9, augment=("flip", "mixup=0.3", "cutmix=0.3"))
    assert finish(start(settings, tmp_path / "whole", tmp_path / "cache", True, None)) == 0
    killed = finish(start(settings, tmp_path / "run", tmp_path / "cache", True, PHASES["a later step"]))
    assert killed == -signal.SIGKILL
    assert finish(start(settings, tmp_path / "run", tmp_path / "cache", True, None)) == 0
    assert_same(outcome(tmp_path / "run"), outcome(tmp_path / "whole"))


def test_one_of_several_seeds_killed(data: Path, tmp_path: Path) -> None:
    settings = settings_for(data, seeds=3, epochs=2)
    kill_in_second = ("a2cli.training.optimizers", "Optimizer.step", 15)
    assert finish(start(settings, tmp_path / "run", tmp_path / "cache", True, kill_in_second)) == -signal.SIGKILL
    assert (tmp_path / "run/seeds/0/report.json").exists()
    before = (tmp_path / "run/seeds/0/model/model.safetensors").stat().st_mtime_ns
    assert finish(start(settings, tmp_path / "run", tmp_path / "cache", True, None)) == 0
    assert (tmp_path / "run/seeds/0/model/model.safetensors").stat().st_mtime_ns == before, (
        "a finished seed was trained again"
    )
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert [run["seed"] for run in report["results"]["runs"]] == [0, 1, 2]
    assert report["results"]["val"]["n"] == 3


def test_a_checkpoint_of_other_settings_is_refused(data: Path, tmp_path: Path) -> None:
    from a2cli.progress import NullReporter
    from a2cli.runs.directory import Run
    from a2cli.train.run import train_network

    kill_late = ("a2cli.runs.directory", "Run.save_model", 1)
    assert finish(start(settings_for(data), tmp_path / "run", tmp_path / "cache", True, kill_late)) == -signal.SIGKILL
    with pytest.raises(DataError, match="other settings"):
        train_network(settings_for(data, learning_rate=0.02), Run(tmp_path / "run"), NullReporter())

"""Several seeds or folds side by side: what one after the other gives, to the bit; each is checked before the first."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, TINY, apart_from_few, draw_classes, edit, once

from a2cli import main
from a2cli.machine import jobs_for

FLAGS = [*TINY[:-1], "--data", "set", "--epochs", "3"]
RESNET = "finetune --backbone resnet18 --weights none --data set --threads 1 --device cpu --quiet"


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    for logs in found["history"].values():
        for log in logs:
            del log["images_per_second"]
    return found


def weights(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("model.safetensors")}


@pytest.mark.parametrize("repeated", ["--seeds 3 --seed 4", "--folds 3"])
def test_side_by_side_is_one_after_the_other_to_the_bit(repeated: str, a2: A2, data: Path) -> None:
    flags = ["train-cnn", *FLAGS, *repeated.split(), "--quiet"]
    together, each = (a2(*flags, "--jobs", jobs, "--out", f"with-{jobs}").done() for jobs in (2, 1))
    assert weights(together) == weights(each)
    assert len(weights(together)) == 3
    first, second = report(together), report(each)
    for name in ("results", "history", "config", "data", "warnings", "artifacts"):
        assert first[name] == second[name], name
    assert "jobs" not in first["config"] and "jobs" not in (together / "config.yaml").read_text()
    name, flag = ("folds/1", "--fold") if "folds" in repeated else ("seeds/5", "--seed")
    fold = ["--folds", "3"] if "folds" in repeated else []
    alone = a2("train-cnn", *FLAGS, *fold, flag, name[-1], "--quiet", "--out", "alone").done()
    assert weights(alone)["model/model.safetensors"] == weights(together)[f"{name}/model/model.safetensors"]
    assert report(alone)["results"]["runs"][0] == {**report(together / name)["results"]["runs"][0], "folder": "."}


def test_frozen_activations_do_not_depend_on_which_seed_came_first(
    a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch, of images that differ by seed, is filled up: a kernel's last bits go by the number of images."""
    draw_classes(tmp_path / "set", ["red", "green"], 11, side=24)
    tune = RESNET.replace("resnet18", "squeezenet1_1 --layer features.12.cat --head-grid 1").split()
    flags = [*tune, "--val-count", "5", "--image-size", "32", "--batch-size", "16", "--stages", "head:2"]
    together = a2(*flags, "--seeds", "2", "--jobs", "2", "--out", "together")
    assert together.status == 0, together.err
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / "another"))
    assert a2(*flags, "--seed", "1", "--out", "alone").status == 0
    alone, second = weights(Path("alone")), weights(Path("together/seeds/1"))
    assert alone == second


def test_each_has_its_figures_and_progress_is_of_all(a2: A2, data: Path) -> None:
    ended = a2("train-cnn", *FLAGS, "--seeds", "2", "--jobs", "2", "--out", "out")
    assert ended.status == 0
    assert (Path("out") / "seeds/1/figures/curves.png").is_file()
    assert "2 runs, 2 side by side\n" in ended.err
    assert "2 runs: epoch 6/6, " in ended.err


def test_what_is_done_is_not_trained_again(a2: A2, data: Path) -> None:
    flags = ["train-cnn", *FLAGS, "--seeds", "3", "--test-fraction", "0.2", "--quiet", "--out", "out"]
    folder = a2(*flags, "--jobs", "2").done()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("model.safetensors")}
    (folder / "seeds/1/report.json").unlink()
    (folder / "seeds/2/report.json").unlink()
    (folder / "report.json").unlink()
    gone = [f"out/seeds/{seed}/report.json is gone, and with it how often the test images were read" for seed in (1, 2)]
    a2("train-cnn", "--resume", folder, "--jobs", "2", "--quiet").done(*gone)
    again = {path: path.stat().st_mtime_ns for path in folder.rglob("model.safetensors")}
    assert [before[path] == again[path] for path in sorted(before)] == [True, False, False]
    a2("train-cnn", "--resume", folder, "--jobs", "2", "--final", "--quiet").done(*gone)
    assert set(gone) <= set(report(folder)["warnings"])
    assert [report(folder / f"seeds/{seed}")["test_reads"] for seed in range(3)] == [1, 1, 1]


def test_a_forged_report_is_not_written_over_though_a_run_is_missing(a2: A2, data: Path) -> None:
    """What is missing is trained again, and then the report is held to it."""
    folder = a2("train-cnn", *FLAGS, "--seeds", "2", "--quiet", "--out", "out").done()
    shutil.rmtree(folder / "seeds/1")
    edit(folder / "report.json", '"correct": ', '"correct": 1')
    before = (folder / "report.json").read_bytes()
    ended = a2("train-cnn", "--resume", folder, "--jobs", "1", "--quiet")
    assert ended.status == 3 and "correct is 1" in ended.err, ended
    assert (folder / "report.json").read_bytes() == before


def test_the_error_of_one_ends_all_and_says_which(a2: A2, data: Path) -> None:
    flags = ["train-cnn", *FLAGS, "--seeds", "3", "--quiet", "--out", "out"]
    a2(*flags, "--jobs", "2", "--learning-rate", "1000", "--optimizer", "momentum", "--epochs", "40").refused(
        4, "seed ", "diverged"
    )
    assert report(Path("out"))["status"] == "diverged"
    for use in ("predict", "visualize-weights"):
        a2(use, "--run", "out", *["set/ada/0.png"][: use == "predict"]).refused(
            3, "--run out: seed ", "diverged", "; start a new run with a smaller learning rate"
        )
    assert a2("runs", "out", "--where", "status=diverged", "--quiet").out == "out\n"
    folder = a2(*flags[:-1], "other", "--jobs", "2").done()
    for name in (".", "seeds/0", "seeds/2"):
        (folder / name / "report.json").unlink()
    for path in folder.glob("seeds/2/checkpoints/*.json"):
        path.write_text("{}")
    ended = a2("train-cnn", "--resume", folder, "--jobs", "2", "--quiet")
    ended.refused(3, "seed 2: ", "no older checkpoint is whole")


def test_jobs_keep_every_core_busy() -> None:
    """Runs of one length share the cores; with two at a time, the last of five would leave a core idle."""
    assert {runs: jobs_for(runs, 2) for runs in (2, 3, 4, 5, 6)} == {2: 2, 3: 3, 4: 2, 5: 3, 6: 2}
    assert [jobs_for(5, cores) for cores in (1, 4, 8)] == [1, 5, 5]


def test_jobs_of_a_single_run(a2: A2, data: Path) -> None:
    a2("train-cnn", *FLAGS, "--jobs", "2").refused(2, "--jobs", "--seeds or --folds")


LONG = ["train-cnn", *FLAGS, "--seeds", "3", "--jobs", "2", "--epochs", "150", "--quiet"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of a long training that nothing stopped."""
    place = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
        draw_classes(place / "set")
        patch.setattr(sys, "argv", ["a2", *once([*LONG, "--jobs", "1", "--out", "whole"])])
        assert main.run_command() == 0
    return weights(place / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_resumed(sign: signal.Signals, unbroken: dict[str, bytes], a2: A2, data: Path) -> None:
    """Ctrl-C in a terminal goes to every process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "a2cli", *once(LONG), "--out", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(3000):
        if list(Path().glob("out/seeds/*/metrics.csv")):
            break
        time.sleep(0.02)
    if sign == signal.SIGINT:
        os.killpg(process.pid, sign)
    else:
        process.send_signal(sign)
    _, said = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sign], said
    assert sign == signal.SIGKILL or len(apart_from_few(said)) == 1, said
    for _ in range(3000):
        listed = subprocess.run(["ps", "-o", "pid=", "-s", str(process.pid)], capture_output=True, text=True).stdout
        if not listed.split():
            break
        time.sleep(0.02)
    assert not listed.split(), "a process of it is still there"
    there = Path("out/report.json").exists()
    assert there == (sign != signal.SIGKILL) and (not there or report(Path("out"))["status"] == "interrupted")
    resumed = a2("train-cnn", "--resume", "out", "--jobs", "2", "--quiet").done()
    assert weights(resumed) == unbroken


# Every run is checked before the first begins


def nothing_begun() -> bool:
    return not any(path.name != "set" for path in Path().iterdir() if path.name not in {"cache", "data"})


def draw_rare(folder: Path, many: int, rare: int) -> None:
    draw_classes(folder, ["many", "rare"], many)
    for path in sorted((folder / "rare").iterdir())[rare:]:
        path.unlink()


@pytest.fixture
def rare(tmp_path: Path) -> None:
    """A class of two images, which some seeds hold out whole."""
    draw_rare(tmp_path / "set", 61, 2)


def test_every_seed_is_checked_before_the_first(a2: A2, rare: None) -> None:
    flags = ["--data", "set", "--split", "random", "--seed", "7", "--seeds", "3"]
    a2("train-cnn", *TINY, *flags).refused(3, "seed 9: no training image of class 'rare'", "--split stratified")
    assert nothing_begun()


def test_every_fold_is_checked_before_the_first(a2: A2, tmp_path: Path) -> None:
    draw_rare(tmp_path / "set", 7, 1)
    a2("train-cnn", *TINY, "--data", "set", "--folds", "3").refused(3, "fold ", "class 'rare'", "it has 1 in all")
    assert nothing_begun()


@pytest.mark.parametrize("command", ["compare-optimizers --optimizers adam,sgd --tuning none", "ablate -w hidden=4"])
def test_every_trial_is_checked_before_the_first(command: str, a2: A2, rare: None) -> None:
    flags = ["--data", "set", "--split", "random", "--seed", "7", "--seeds", "3", "--image-size", "8", "--jobs", "1"]
    small = ["--channels", "2", "--kernel-size", "3", "--epochs", "1", "--quiet"]
    a2(*command.split(), *flags, *small).refused(3, "seed 9: no training image of class 'rare'")
    assert nothing_begun()


def test_a_combination_that_cannot_train_stops_before_the_whole_is_trained(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=5)
    flags = "--data set --image-size 8 --channels 16 --kernel-size 8 --epochs 1 --batch-size 7 --val-count 2 --quiet"
    a2("ablate", "-w", "norm=batch", *flags.split(), "--seeds", "2").refused(2, "without norm", "--norm batch", "conv1")
    assert nothing_begun()


def test_a_stage_whose_last_batch_is_one_image(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", ["red", "green"], 11, side=24)
    flags = [*RESNET.split(), "--val-count", "5", "--test-fraction", "0", "--stages", "head:1 layer4+:1"]
    refused = a2(*flags, "--image-size", "32", "--batch-size", "16")
    warning, error = apart_from_few(refused.err)
    assert (refused.status, refused.out) == (2, "")
    assert warning.startswith("warning: NOT PRETRAINED")
    assert error.startswith("error: --batch-size: stage layer4+ would train on a last batch of one image")
    assert "layer4.0.bn1 has one value a channel" in error
    assert nothing_begun()
    larger = a2(*flags[:-1], "head:1", "--image-size", "32", "--batch-size", "16")  # only frozen norms
    assert larger.status == 0, larger.err


def test_features_side_by_side_are_one_after_the_other_to_the_bit(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=8)
    extract = "--backbone squeezenet1_1 --weights none --layer features.3.cat --grid 1 --image-size 32 --threads 1"
    assert a2("extract-features", *extract.split(), "--data", "set", "--out", "f.safetensors", "--quiet").status == 0
    flags = "train-mlp --features f.safetensors --epochs 2 --seeds 3 --threads 1 --device cpu --quiet"
    for jobs in ("2", "1"):
        ended = a2(*flags.split(), "--jobs", jobs, "--out", f"with-{jobs}")
        assert ended.status == 0, ended.err
    assert weights(Path("with-2")) == weights(Path("with-1"))
    assert len(weights(Path("with-2"))) == 3
    assert report(Path("with-2"))["results"] == report(Path("with-1"))["results"]

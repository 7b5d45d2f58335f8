"""The command from outside: what it prints where, what it leaves on disk, and that a run repeats."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import apart_from_few, hold_to_schema
from PIL import Image

from a2cli.reports import report
from a2cli.settings.presets import preset_names

ROOT = Path(__file__).parents[1]
TINY = ["--image-size", "16", "--channels", "4", "--kernel-size", "3", "--stride", "2", "--hidden", "8"]
TINY += ["--epochs", "3", "--threads", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, forked: Path) -> Path:
    """A folder with a small data set, set.npz, an `a2` that starts at once, and the cache."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "a2").symlink_to(forked / "a2")
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    images = (rng.integers(0, 150, (90, 16, 16, 3)) + 50 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(folder / "set.npz", images=images, labels=labels, class_names=["ada", "bea", "cleo"])
    return folder


def a2(workplace: Path, *arguments: str, start: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `a2`, from its start as well where that is asked for."""
    command = [sys.executable, "-m", "a2cli"] if start else [workplace / "a2"]
    env = dict(os.environ, A2_CACHE_DIR=str(workplace / "cache"), A2_DATA_DIR=str(workplace / "data"), COLUMNS="80")
    return subprocess.run([*command, *arguments], cwd=workplace, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def quiet(workplace: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    done = a2(workplace, "train-cnn", "--data", "set.npz", *TINY, "--test-fraction", "0.1", "--quiet", start=True)
    assert done.returncode == 0, done.stderr
    return workplace / done.stdout.strip(), done


def test_quiet_prints_the_folder_alone(quiet: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = quiet
    assert folder.parent.name == "runs"
    assert done.stdout.count("\n") == 1
    assert apart_from_few(done.stderr) == []


def test_what_a_run_leaves(quiet: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = quiet
    written = json.loads(
        (folder / "report.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON")
    )
    hold_to_schema(written)
    assert written["status"] == "done"
    assert written["test_reads"] == 0
    assert written["results"]["runs"][0]["test"] is None, "the sealed test was read without --final"
    assert {"config.yaml", "metrics.csv", "model/model.safetensors", "model/model.json"} <= set(written["artifacts"])
    assert all((folder / name).is_file() for name in written["artifacts"])
    assert len(list((folder / "checkpoints").glob("*.safetensors"))) <= 2
    confusion = written["results"]["runs"][0]["judged"]["confusion"]
    assert sum(sum(row.values()) for row in confusion.values()) == written["data"]["val"]
    right = sum(row.get(truth, 0) for truth, row in confusion.items())
    assert right == written["results"]["runs"][0]["val"]["correct"]
    history = written["history"]["0"]
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert [float(row["val_loss"]) for row in rows] == [log["val_loss"] for log in history]


@pytest.mark.parametrize("name", ["curves", "learning-rate", "confusion", "classes", "reliability", "most-wrong"])
def test_figures_and_their_numbers(name: str, quiet: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = quiet
    with Image.open(folder / f"figures/{name}.png") as image:
        assert image.width > 300
        assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 10, "the figure is blank"
    rows = list(csv.reader((folder / f"figures/{name}.csv").read_text().splitlines()))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


def test_config_repeats_the_run(workplace: Path, quiet: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    first, _ = quiet
    done = a2(workplace, "train-cnn", "-p", str(first / "config.yaml"), "--quiet")
    assert done.returncode == 0, done.stderr
    again = workplace / done.stdout.strip()
    assert (again / "model/model.safetensors").read_bytes() == (first / "model/model.safetensors").read_bytes()
    assert (again / "config.yaml").read_text() == (first / "config.yaml").read_text()


def test_final_reads_the_test_once_more(workplace: Path, quiet: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = quiet
    for reads in (1, 2):
        done = a2(workplace, "train-cnn", "--resume", str(folder), "--final", "--json")
        written = json.loads(done.stdout)
        assert written["test_reads"] == reads
        assert written["results"]["runs"][0]["test"]["count"] == written["data"]["test"] == 9


def test_table_on_stdout_progress_on_stderr(workplace: Path) -> None:
    done = a2(workplace, "train-cnn", "--data", "set.npz", *TINY, "--out", "table")
    assert done.returncode == 0
    assert "validation" in done.stdout
    assert "Validation accuracy" in done.stdout
    assert "Run: table" in done.stdout
    assert "epoch 3/3" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "colour or animation in a pipe"
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_seeds_make_one_report(workplace: Path) -> None:
    done = a2(
        workplace, "train-cnn", "--data", "set.npz", *TINY, "--seeds", "3", "--seed", "5", "--json", "--out", "three"
    )
    written = json.loads(done.stdout)
    report.report_from(written)
    runs = written["results"]["runs"]
    assert [run["seed"] for run in runs] == [5, 6, 7]
    values = [run["val"]["value"] for run in runs]
    assert written["results"]["val"]["mean"] == pytest.approx(np.mean(values))
    assert written["results"]["val"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    alone = a2(workplace, "train-cnn", "--data", "set.npz", *TINY, "--seed", "6", "--quiet", "--out", "alone")
    assert alone.returncode == 0
    weights = "model/model.safetensors"
    assert (workplace / "alone" / weights).read_bytes() == (workplace / "three/seeds/6" / weights).read_bytes()


def test_the_sealed_test_over_seeds(workplace: Path) -> None:
    flags = ["--data", "set.npz", *TINY, "--seeds", "2", "--test-fraction", "0.2", "--final", "--out", "sealed"]
    done = a2(workplace, "train-cnn", *flags)
    results = json.loads((workplace / "sealed/report.json").read_text())["results"]
    values = [run["test"]["value"] for run in results["runs"]]
    assert results["test"]["mean"] == pytest.approx(np.mean(values))
    (row,) = (line.split() for line in done.stdout.splitlines() if "test, read once" in line)
    assert row[3:6] == ["2", f"{np.mean(values):.3f}", "±"]
    assert "sealed test images" in done.stdout
    again = a2(workplace, "train-cnn", "--resume", "sealed")
    assert (again.stdout, "finished before" in again.stderr) == (done.stdout, True)


def test_sigterm_ends_with_143(workplace: Path) -> None:
    command = [workplace / "a2", "train-cnn", "--epochs", "100000", "--out", "terminated"]
    env = dict(os.environ, A2_CACHE_DIR=str(workplace / "cache"))
    process = subprocess.Popen(command, cwd=workplace, env=env, stderr=subprocess.PIPE, text=True)
    while not (workplace / "terminated/metrics.csv").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert "--resume terminated" in process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert json.loads((workplace / "terminated/report.json").read_text())["status"] == "interrupted"


def test_a_preset_is_shown_as_a_file_that_trains_the_same(workplace: Path) -> None:
    (workplace / "mine.yaml").write_text(a2(workplace, "presets", "1.4-dropout").stdout)
    plans = [
        json.loads(a2(workplace, "train-cnn", "-p", name, "--dry-run", "--json").stdout)
        for name in ("mine.yaml", "1.4-dropout")
    ]
    mine, theirs = ({name: item["value"] for name, item in plan["settings"].items()} for plan in plans)
    assert mine == theirs
    assert mine["dropout"] == [0.2]


def test_presets_are_listed(workplace: Path) -> None:
    done = a2(workplace, "presets", start=True)
    assert all(name in done.stdout for name in preset_names())
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", [[], ["data"]])
def test_alone_shows_what_there_is(command: list[str], workplace: Path) -> None:
    done = a2(workplace, *command, start=True)
    assert done.returncode == 2
    assert "Commands:" in done.stderr

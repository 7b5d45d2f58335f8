"""Times `a2 compare-optimizers` on 8 optimizers x 3 seeds against doing the same by hand. Run by hand:

    python tests/benchmarks/compare_optimizers.py ../shared/data/paintings [--pairs 3]

(1) the same 24 trainings by `a2 train-cnn`, one after the other, with its default threads;
(2) 24 plain ImageFolder scripts (those of train_cnn.py), of which one is run a pair and counted 24 times.
Prints the ratios of each pair and their medians; what an absolute time means depends on the machine.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import train_cnn as plain

OPTIMIZERS = ("adam", "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adadelta", "adamw")
SEEDS = 3


def timed(*command: object) -> float:
    began = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    a2 = [sys.executable, "-m", "a2cli"]
    against_runs, against_scripts = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["A2_CACHE_DIR"] = str(folder / "cache")
        flags = [*plain.PRESET, "--data", arguments.data]
        timed(*a2, "train-cnn", *flags, "--epochs", 1, "--out", folder / "warm")  # packs, for both sides
        plain.shared_setup(arguments.data, folder / "setup.pt")
        (folder / "plain.py").write_text(plain.PLAIN)
        for pair in range(arguments.pairs):
            whole = folder / f"together-{pair}"
            together = timed(
                *a2, "compare-optimizers", *flags, "--optimizers", ",".join(OPTIMIZERS), "--seeds", SEEDS,
                "--tuning", "none", "--out", whole,
            )  # fmt: skip
            alone = 0.0
            for optimizer in OPTIMIZERS:
                for seed in range(SEEDS):
                    run = folder / "alone"
                    alone += timed(*a2, "train-cnn", *flags, "--optimizer", optimizer, "--seed", seed, "--out", run)
                    shutil.rmtree(run)
            script = timed(sys.executable, folder / "plain.py", "a", arguments.data, folder / "setup.pt", 2,
                           plain.EPOCHS, folder / "history.json")  # fmt: skip
            count = len(OPTIMIZERS) * SEEDS
            against_runs.append(alone / together)
            against_scripts.append(count * script / together)
            print(
                f"pair {pair + 1}: train-cnn one after the other / together {against_runs[-1]:.2f}, "
                f"plain scripts / together {against_scripts[-1]:.1f}",
                flush=True,
            )
    print(f"median: {statistics.median(against_runs):.2f} (target 1.7), "
          f"{statistics.median(against_scripts):.1f} (target 4)")  # fmt: skip


if __name__ == "__main__":
    main()

"""Measures which epoch's weights are best kept, by the accuracy of what each rule keeps on sealed test images.

    python tests/benchmarks/kept_epoch.py [--data FOLDER ...] [--faces FOLDER ...] [--seeds 5] [--epochs 50]

Each training is run once; the test accuracy of every epoch's weights is taken down, and each rule chooses among them by
what it may see. Besides the folders given: both built-in sets, scikit-learn's digits (all, and 20 of each class), and
patches of its two photographs, told apart by the part of the photograph that they are from. Faces and portraits train
the MLP as well. The interval is of the mean over data sets of the mean difference over seeds (Student's t).
"""

import argparse
import csv
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits, load_sample_images

from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.reports.training_results import EpochLog
from a2cli.runtime import set_up
from a2cli.settings.training import TrainCnnSettings, TrainMlpSettings
from a2cli.statistics.intervals import spread
from a2cli.training.images import Images, make_job
from a2cli.training.loop import evaluate, fit
from a2cli.training.train_state import TrainState

SHARE_AVERAGED = 0.25  # of the epochs: the weights at the end of each of the last ones
PATCH = 40
RULES = ["val-loss", "val-accuracy", "val-accuracy, ties by val-loss", "mean weights of the last quarter", "last"]


def chosen(rule: str, logs: Sequence[EpochLog]) -> EpochLog:
    """Return the epoch that a rule keeps; of several that are equally good the first."""
    keys = {
        "val-loss": lambda log: log.val_loss,
        "val-accuracy": lambda log: -log.val_accuracy,
        "val-accuracy, ties by val-loss": lambda log: (-log.val_accuracy, log.val_loss),
        "last": lambda log: -log.epoch,
    }
    return min(logs, key=keys[rule])


def shipped(folder: Path) -> Iterator[Path]:
    """Write the sets that scikit-learn ships."""
    digits = load_digits()
    images = np.repeat((digits.images * 255 / 16).astype(np.uint8), 4, axis=1).repeat(4, axis=2)
    few = np.concatenate([np.flatnonzero(digits.target == digit)[:20] for digit in range(10)])
    sets = {"digits": (images, digits.target), "digits-20": (images[few], digits.target[few])}
    patches = [
        (photograph[down : down + PATCH, right : right + PATCH], 6 * number + 3 * (down >= 214) + right // 214)
        for number, photograph in enumerate(load_sample_images().images)
        for down in range(0, 427 - PATCH, PATCH)
        for right in range(0, 640 - PATCH, PATCH)
    ]
    sets["patches"] = np.stack([patch for patch, _ in patches]), np.array([label for _, label in patches])
    for name, (pixels, labels) in sets.items():
        np.savez(folder / f"{name}.npz", images=pixels, labels=labels)
        yield folder / f"{name}.npz"


def accuracies(settings: TrainCnnSettings | TrainMlpSettings) -> dict[str, float]:
    """Train once; return for each rule the test accuracy of what it keeps."""
    device = set_up("cpu", 1)
    job = make_job(settings, Images.find(settings, [], NullReporter()))
    progress, logs, sums = TrainState(job, device), [], {}
    first = settings.training.epochs - max(1, round(SHARE_AVERAGED * settings.training.epochs))
    for log in fit(progress.model, job.train, job.val, job.training, progress.optimizer, progress.schedule,
                   Streams(job.training.seed), device, NullReporter(), test=job.test):  # fmt: skip
        logs.append(log)
        if log.epoch > first:
            for name, tensor in progress.model.state_dict().items():
                sums[name] = sums.get(name, 0) + tensor.double()
    found = {rule: chosen(rule, logs).test_accuracy for rule in RULES if not rule.startswith("mean")}
    state = progress.model.state_dict()
    progress.model.load_state_dict(
        {name: (total / (len(logs) - first)).to(state[name].dtype) for name, total in sums.items()}
    )
    found["mean weights of the last quarter"] = evaluate(progress.model, job.test, job.training, device).accuracy
    return {rule: float(found[rule] or 0) for rule in RULES}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="*", default=[])
    parser.add_argument("--faces", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--learning-rates", type=float, nargs="*", default=[1e-4, 1e-3])
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[tuple[str, int, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as place:
        faces = ["portraits", *given.faces]
        sets = ["atelier", *given.data, *map(str, shipped(Path(place))), *faces]
        kinds = [(TrainCnnSettings(), data) for data in sets] + [(TrainMlpSettings(), data) for data in faces]
        for rate, (start, data) in product(given.learning_rates, kinds):
            name = f"{Path(data).stem}, {'MLP' if isinstance(start, TrainMlpSettings) else 'ConvNet'}, {rate:g}"
            for seed in range(given.seeds):
                settings = replace(
                    start,
                    dataset=replace(start.dataset, data=data),
                    split=replace(start.split, val_fraction=0.2, test_fraction=0.2),
                    training=replace(
                        start.training, epochs=given.epochs, threads=1, device="cpu", learning_rate=rate, seed=seed
                    ),
                )
                rows.append((name, seed, accuracies(settings)))
                csv.writer(sys.stderr).writerow([name, seed, *rows[-1][2].values()])
    names = list(dict.fromkeys(name for name, *_ in rows))
    print("| data set, network, learning rate | " + " | ".join(RULES) + " |\n|---|" + "---|" * len(RULES))
    for name in names:
        means = [statistics.mean(found[rule] for one, _, found in rows if one == name) for rule in RULES]
        print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    print("| mean | " + " | ".join(f"{statistics.mean(f[rule] for *_, f in rows):.3f}" for rule in RULES) + " |")
    for rule in RULES[1:]:
        by_set = [
            statistics.mean(found[rule] - found["val-loss"] for one, _, found in rows if one == name) for name in names
        ]
        over_sets, pairs = spread(by_set), [100 * (found[rule] - found["val-loss"]) for *_, found in rows]
        print(
            f"\n{rule} against val-loss: {100 * over_sets.mean:+.1f} points [{100 * over_sets.low:+.1f}, "
            f"{100 * over_sets.high:+.1f}] over {len(names)} data sets; better in {sum(d > 0 for d in pairs)}, "
            f"worse in {sum(d < 0 for d in pairs)} of {len(pairs)} trainings"
        )


if __name__ == "__main__":
    main()

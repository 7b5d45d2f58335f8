"""Times training on a frozen network against the plain loops people write, in pairs that take turns. Run by hand:

    python tests/benchmarks/transfer.py probe ../shared/data/paintings ../shared/weights/alexnet_features.safetensors
    python tests/benchmarks/transfer.py finetune ../shared/data/paintings ../shared/weights/alexnet_features.safetensors
    python tests/benchmarks/transfer.py mlp

probe: 50 epochs of a linear layer on conv4's features, whole commands, against a loop that decodes with ImageFolder and
runs AlexNet each epoch; of that loop 2 and 4 epochs are timed, and 50 follow from their difference.
finetune: 20 epochs of `a2 finetune --stages head:20`, from an empty cache and from a full one, against the same loop.
mlp: a training step of 2352-300-40 against scikit-learn's MLPClassifier, and against torch's fused Adam.
Prints medians and ratios; what an absolute time means depends on the machine.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

LOOP = """
import sys, torch
from safetensors.torch import load_file
from torch import nn
from torchvision import datasets, models, transforms

data, weights, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
pipeline = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                               transforms.Normalize(mean, std)])
folder = datasets.ImageFolder(data, pipeline)
alexnet = models.alexnet()
alexnet.load_state_dict(load_file(weights), strict=False)
trunk = nn.Sequential(*alexnet.features[:10], nn.AdaptiveAvgPool2d(3), nn.Flatten()).eval().requires_grad_(False)
head = nn.Linear(2304, len(folder.classes))
optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
rows = torch.randperm(len(folder), generator=torch.Generator().manual_seed(0)).tolist()
train, val = (torch.utils.data.Subset(folder, part) for part in (rows[91:], rows[:91]))
for epoch in range(epochs):
    for images, labels in torch.utils.data.DataLoader(train, 32, shuffle=True):
        loss = nn.functional.cross_entropy(head(nn.functional.dropout(trunk(images), 0.5)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = sum(int((head(trunk(images)).argmax(1) == labels).sum())
                    for images, labels in torch.utils.data.DataLoader(val, 32))
    print(epoch, right / len(val))
"""
A2 = str(Path(sys.executable).with_name("a2"))
SPLIT = ["--val-count", "91", "--test-fraction", "0", "--quiet"]


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def against_the_loop(kind: str, data: str, weights: str, pairs: int, folder: Path) -> None:
    """Time whole commands of ours, and of the loop as many epochs as ours has, from what 2 and 4 take."""
    os.environ["A2_CACHE_DIR"] = str(folder / "cache")
    (folder / "loop.py").write_text(LOOP)
    epochs = 50 if kind == "probe" else 20
    backbone = ["--data", data, "--weights", weights, "--layer", "conv4"]
    features = str(folder / "features.safetensors")
    if kind == "probe":
        seconds([A2, "extract-features", *backbone, "--grid", "3", "--quiet", "--out", features])
        ours = [A2, "train-mlp", "--features", features, "--epochs", "50", "--learning-rate", "1e-3", *SPLIT]
    else:
        ours = [A2, "finetune", *backbone, "--head-grid", "3", "--stages", "head:20", *SPLIT]
    found: dict[str, list[tuple[float, float]]] = {"full cache": [], "empty cache": []}
    for _ in range(pairs):
        times = {}
        for cache in ("empty cache", "full cache")[kind == "probe" :]:
            if cache == "empty cache":
                shutil.rmtree(folder / "cache", ignore_errors=True)
            shutil.rmtree(folder / "run", ignore_errors=True)
            times[cache] = seconds([*ours, "--out", str(folder / "run")])
        two, four = (seconds([sys.executable, str(folder / "loop.py"), data, weights, n]) for n in ("2", "4"))
        loop = two + (epochs - 2) * (four - two) / 2
        for cache, ours_took in times.items():
            found[cache].append((loop, ours_took))
    for cache, times_of in found.items():
        if times_of:
            ratios(f"{kind}, {epochs} epochs, the loop / a2 with a {cache}", times_of, "s")


def bench_mlp(pairs: int, steps: int = 60) -> None:
    """Time training steps within one process, at batches of 32 and of 128."""
    import torch
    from sklearn.neural_network import MLPClassifier

    from a2cli.models.mlp import build_mlp
    from a2cli.random_streams import Streams
    from a2cli.runtime import set_up
    from a2cli.settings.training import MlpSettings
    from a2cli.training.optimizers import Optimizer

    set_up("cpu", 0)
    rng = np.random.default_rng(0)
    for batch in (32, 128):
        images = rng.integers(0, 256, (batch, 28, 28, 3), dtype=np.uint8)
        labels = np.arange(batch) % 40
        x, y = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
        flat = (images.reshape(batch, -1) / 255).astype(np.float32)
        ours = build_mlp(MlpSettings(dropout=(0.0,)), 28, 40, (0.5,) * 3, (1.0,) * 3, Streams(0))
        theirs = MLPClassifier((300,), batch_size=batch, alpha=0).partial_fit(flat, labels, classes=np.arange(40))
        fused = build_mlp(MlpSettings(dropout=(0.0,)), 28, 40, (0.5,) * 3, (1.0,) * 3, Streams(0))
        optimizer, adam = Optimizer(ours, "adam"), torch.optim.Adam(fused.parameters(), lr=1e-3, fused=True)

        def our_step(model=ours, rule=optimizer, x=x, y=y) -> None:  # type: ignore[no-untyped-def]
            rule.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            rule.step(1e-3)

        def fused_step(model=fused, rule=adam, x=x, y=y) -> None:  # type: ignore[no-untyped-def]
            rule.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            rule.step()

        rounds = [
            (timed(partial(theirs.partial_fit, flat, labels), steps), timed(our_step, steps), timed(fused_step, steps))
            for _ in range(pairs)
        ]
        ratios(f"a step at batch {batch}, scikit-learn / a2", [(a, b) for a, b, _ in rounds], "ms")
        ratios(f"a step at batch {batch}, torch's fused Adam / a2", [(c, b) for _, b, c in rounds], "ms")


def timed(step: Callable[[], object], steps: int) -> float:
    """Return milliseconds a step."""
    step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return 1e3 * (time.perf_counter() - began) / steps


def ratios(name: str, pairs: list[tuple[float, float]], unit: str) -> None:
    found = [a / b for a, b in pairs]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(f"  {name}: {statistics.median(found):.2f} (from {min(found):.2f} to {max(found):.2f}; ", end="")
    print(f"{len(found)} pairs; medians {medians[0]:.2f} and {medians[1]:.2f} {unit})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("probe", "finetune", "mlp"))
    parser.add_argument("data", nargs="?", default="")
    parser.add_argument("weights", nargs="?", default="")
    parser.add_argument("--pairs", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if chosen.kind == "mlp":
            bench_mlp(chosen.pairs)
        else:
            against_the_loop(chosen.kind, chosen.data, chosen.weights, chosen.pairs, Path(temporary))

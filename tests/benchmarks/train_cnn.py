"""Times `a2 train-cnn` against the plain scripts people write, in pairs that take turns. Run by hand:

    python tests/benchmarks/train_cnn.py ../shared/data/paintings [--pairs 5]

(a) ImageFolder + DataLoader + torch.optim.Adam, the best of 0, 1 and 2 workers;
(b) every image decoded once into a float tensor, then a loop over permutations, with torch.optim.Adam.
All train the same network from the same starting weights on the same batches for the same epochs; their losses are
printed side by side. Prints medians and ratios; what an absolute time means depends on the machine.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EPOCHS, BATCH, SIDE = 50, 16, 50
PRESET = ["-p", "1.2-baseline", "--loss", "cross-entropy", "--device", "cpu"]

PLAIN = """
import sys, json, time, torch
from pathlib import Path
from torch import nn
import torch.nn.functional as F

kind, data, setup, workers, epochs = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
given = torch.load(setup)                                # starting weights, split and order, shared by all
net = nn.Sequential(nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 16, 5, 2), nn.ReLU(), nn.Flatten(),
                    nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 11))
net.load_state_dict(given["weights"])
optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
if kind == "a":
    from torchvision import datasets, transforms
    pipeline = transforms.Compose([transforms.Resize((50, 50)), transforms.ToTensor(), transforms.Normalize(mean, std)])
    folder = datasets.ImageFolder(data, pipeline)
    val = torch.utils.data.DataLoader(torch.utils.data.Subset(folder, given["val"].tolist()), 91, num_workers=workers)
    def train_batches(epoch):
        order = given["train"][given["orders"][epoch]].tolist()
        return torch.utils.data.DataLoader(torch.utils.data.Subset(folder, order), 16, num_workers=workers)
    def val_batches():
        return val
else:
    import numpy as np
    from PIL import Image
    files = [(path, i) for i, name in enumerate(sorted(p.name for p in data.iterdir()))
             for path in sorted((data / name).iterdir())]
    scaled = [np.asarray(Image.open(path).convert("RGB").resize((50, 50), Image.BILINEAR)) for path, _ in files]
    images = torch.from_numpy(np.stack(scaled)).permute(0, 3, 1, 2).float().div(255)
    images = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    labels = torch.tensor([label for _, label in files])
    def train_batches(epoch):
        for rows in given["train"][given["orders"][epoch]].split(16):
            yield images[rows], labels[rows]
    def val_batches():
        yield images[given["val"]], labels[given["val"]]
for epoch in range(epochs):
    net.train()
    total, correct, count, began = 0.0, 0, 0, time.perf_counter()
    for x, y in train_batches(epoch):
        optimizer.zero_grad()
        out = net(x)
        loss = F.cross_entropy(out, y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
        correct += (out.argmax(1) == y).sum().item()
        count += len(y)
    seconds = time.perf_counter() - began
    net.eval()
    with torch.no_grad():
        hits = sum((net(x).argmax(1) == y).sum().item() for x, y in val_batches())
    row = dict(train_loss=total / count, val_accuracy=hits / len(given["val"]), images_per_second=count / seconds)
    history = [row] if epoch == 0 else [*history, row]
Path(sys.argv[6]).write_text(json.dumps(history))
"""


def shared_setup(data: Path, path: Path) -> None:
    """Write the starting weights, split and orders that a2 draws, for the plain scripts to use."""
    import torch

    job, progress, streams = prepare(data)
    weights = {k: v.contiguous() for k, v in progress.model.state_dict().items()}
    numbers = {"conv1": 0, "conv2": 2, "hidden1": 5, "output": 7}
    hidden = weights["hidden1.weight"]  # a2 flattens maps row by row, the channels of a place side by side
    weights["hidden1.weight"] = hidden.view(64, 10, 10, 16).permute(0, 3, 1, 2).flatten(1)
    renamed = {f"{numbers[k.split('.')[0]]}.{k.split('.')[1]}": v for k, v in weights.items()}
    orders = [torch.randperm(len(job.train), generator=streams.torch("order", e)) for e in range(EPOCHS)]
    torch.save({"weights": renamed, "train": job.train.data.rows, "val": job.val.rows, "orders": orders}, path)


def prepare(data: Path):  # type: ignore[no-untyped-def]
    import torch

    from a2cli.progress import NullReporter
    from a2cli.random_streams import Streams
    from a2cli.runtime import set_up
    from a2cli.settings.presets import resolve
    from a2cli.settings.training import TrainCnnSettings
    from a2cli.training.images import Images, make_job
    from a2cli.training.train_state import TrainState

    flags = {"loss": "cross-entropy", "data": str(data)}
    settings = resolve(TrainCnnSettings, "train-cnn", ["1.2-baseline"], flags).settings
    device = set_up("cpu", 0)
    job = make_job(settings, Images.find(settings, (), NullReporter()))
    return job, TrainState(job, torch.device(device)), Streams(0)


def run(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Return wall seconds and peak memory (MB) of a command."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    assert process.stderr is not None
    complaint = process.stderr.read().decode()
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, complaint
    return seconds, usage.ru_maxrss / 1024


def bench_commands(data: Path, pairs: int, folder: Path) -> None:
    """Time whole commands, from process start to the report on disk."""
    script, setup = folder / "plain.py", folder / "setup.pt"
    script.write_text(PLAIN)
    shared_setup(data, setup)
    env = dict(os.environ, A2_CACHE_DIR=str(folder / "cache"))
    a2 = [str(Path(sys.executable).with_name("a2")), "train-cnn", *PRESET, "--data", str(data), "--quiet", "--out"]
    plain = [sys.executable, str(script)]
    out = folder / "plain.json"

    def ours(cold: bool) -> Timed:
        shutil.rmtree(folder / "run", ignore_errors=True)
        if cold:
            shutil.rmtree(folder / "cache", ignore_errors=True)
        seconds, memory = run([*a2, str(folder / "run")], env)
        return Timed(seconds, memory, json.loads((folder / "run" / "report.json").read_text())["history"]["0"])

    def theirs(kind: str, workers: int = 0, epochs: int = EPOCHS) -> Timed:
        seconds, memory = run([*plain, kind, str(data), str(setup), str(workers), str(epochs), str(out)], env)
        return Timed(seconds, memory, json.loads(out.read_text()))

    ours(cold=True)
    theirs("b", epochs=1)
    rounds = [{"cold": ours(cold=True), "b": theirs("b"), "warm": ours(cold=False)} for _ in range(pairs)]
    for epoch in (0, 9, EPOCHS - 1):
        rows = [rounds[0][name].history[epoch] for name in ("warm", "b")]
        both = [f"{row['train_loss']:.4f} and {row['val_accuracy']:.3f}" for row in rows]
        print(f"  epoch {epoch + 1}: training loss and validation accuracy: a2 {both[0]}, (b) {both[1]}")
    for kind in ("cold", "warm"):
        ratios(f"whole command, (b) / a2 {kind}", [(r["b"].seconds, r[kind].seconds) for r in rounds], "s")
    ratios("a step, (b) / a2", [(r["b"].step, r["warm"].step) for r in rounds], "ms")
    ratios("peak memory, a2 / (b)", [(r["warm"].memory, r["b"].memory) for r in rounds], "MB")
    short = {workers: theirs("a", workers, epochs=2).seconds for workers in (0, 1, 2)}
    best = min(short, key=lambda workers: short[workers])
    print(
        f"  (a), 2 epochs with 0, 1, 2 workers: {', '.join(f'{s:.1f} s' for s in short.values())}; the best is {best}"
    )
    slow = [(theirs("a", best).seconds, ours(cold=False).seconds) for _ in range(max(1, pairs // 3))]
    ratios(f"whole command, (a) with {best} workers / a2 warm", slow, "s")


@dataclass
class Timed:
    """One run of a command: wall seconds, peak MB, and its history."""

    seconds: float
    memory: float
    history: list[dict[str, float]]

    @property
    def step(self) -> float:
        """Milliseconds a training step, the median over epochs."""
        return 1e3 * BATCH / statistics.median(row["images_per_second"] for row in self.history)


def ratios(name: str, pairs: list[tuple[float, float]], unit: str) -> None:
    found = [a / b for a, b in pairs]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(f"  {name}: {statistics.median(found):.2f} (from {min(found):.2f} to {max(found):.2f}; ", end="")
    print(f"{len(found)} pairs; medians {medians[0]:.2f} and {medians[1]:.2f} {unit})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["A2_CACHE_DIR"] = str(Path(temporary) / "shared-cache")
        bench_commands(chosen.data, chosen.pairs, Path(temporary))

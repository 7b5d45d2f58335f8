"""What a busy neighbour costs, and what several cores bring: whole commands, in pairs that take turns.

python tests/benchmarks/busy_machine.py DATA [--epochs 50] [--rounds 3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = """
import sys, torch
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import Compose, PILToTensor, Resize, ToDtype
data, epochs = sys.argv[1], int(sys.argv[2])
images = ImageFolder(data, Compose([Resize((50, 50)), PILToTensor(), ToDtype(torch.float32, scale=True)]))
x, y = torch.stack([image for image, _ in images]), torch.tensor(images.targets)
nn = torch.nn
model = nn.Sequential(nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 16, 5, 2), nn.ReLU(), nn.Flatten(),
                      nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, len(images.classes)))
optimizer, rows = torch.optim.Adam(model.parameters(), 1e-4), torch.randperm(len(x))
train, val = rows[len(x) // 5:], rows[: len(x) // 5]
for _ in range(epochs):
    for batch in train[torch.randperm(len(train))].split(16):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    with torch.inference_mode():
        model(x[val])
"""


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Keep this many processes computing meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def seconds(command: list[str], **environment: str) -> float:
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        env = {**inherited, **environment}
        subprocess.run(command, cwd=place, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=lambda text: str(Path(text).resolve()))
    parser.add_argument("--epochs", default="50")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    a2 = [sys.executable, "-m", "a2cli", "train-cnn", "--data", given.data, "--epochs", given.epochs, "--quiet"]
    commands = {
        "a2 train-cnn": a2,
        "a2, every core, spinning (as before)": [*a2, "--threads", str(os.cpu_count())],
        "plain script": [sys.executable, "-c", SCRIPT, given.data, given.epochs],
        "a2, five seeds, --jobs 1": [*a2, "--seeds", "5", "--jobs", "1"],
        "a2, five seeds": [*a2, "--seeds", "5"],
    }
    seconds([*a2, "--epochs", "1"])  # packs
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(given.rounds):
        for busy in (0, 1):
            for name, command in commands.items():
                environment = {"OMP_WAIT_POLICY": "active"} if "spinning" in name else {}
                with neighbours(busy):
                    found.setdefault((name, busy), []).append(seconds(command, **environment))
    for name in commands:
        quiet, busy = (statistics.median(found[name, count]) for count in (0, 1))
        print(f"{name:38} quiet {quiet:6.1f} s   one busy process {busy:6.1f} s   {busy / quiet:.2f} times")


if __name__ == "__main__":
    main()

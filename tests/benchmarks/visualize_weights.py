"""Times AlexNet's first filters and the top nine patches of 16 conv4 units over a set of images. Run by hand:

    python tests/benchmarks/visualize_weights.py ../shared/data/paintings WEIGHTS.safetensors [--pairs 3] [--threads 2]

Beside it, in turns, the usual script for the same facts: ImageFolder with the weights' transforms, a DataLoader with
two workers, the forward with a hook behind conv4, each image's strongest place, the nine best of each unit; it draws
nothing. a2 is timed as a whole command, figures and report included, from an empty cache and from a full one. Prints
medians and ratios, and whether both name the same images.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = """
import sys
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import AlexNet_Weights, alexnet

data, weights, threads, out = sys.argv[1:]
torch.set_num_threads(int(threads))
model = alexnet()
model.load_state_dict(load_file(weights), strict=False)
model.eval()
images, strongest = ImageFolder(data, AlexNet_Weights.IMAGENET1K_V1.transforms()), []
model.features[9].register_forward_hook(lambda module, inputs, output: strongest.append(output[:, :16].amax((2, 3))))
with torch.inference_mode():
    for batch, labels in DataLoader(images, batch_size=32, num_workers=2):
        model(batch)
best = torch.cat(strongest).topk(9, dim=0).indices.T
with open(out, "w") as file:
    for unit, rows in enumerate(best.tolist()):
        print(unit, *(images.samples[row][0].removeprefix(data + "/") for row in rows), file=file)
"""


def seconds(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def named_by_a2(run: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with (run / "figures/images-conv4.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["unit"], set()).add(row["image"])
    return found


def main(arguments: argparse.Namespace) -> None:
    taken: dict[str, list[float]] = {}
    data, weights, threads = str(arguments.data), str(arguments.weights), str(arguments.threads)
    with tempfile.TemporaryDirectory() as place:
        out = f"{place}/theirs.txt"
        script = [sys.executable, "-c", SCRIPT, data, weights, threads, out]
        a2 = [sys.executable, "-m", "a2cli", "visualize-weights", "--backbone", "alexnet", "--weights", weights]
        a2 += ["--data", data, "--layer", "conv4", "--show", "filters,patches", "--threads", threads, "--quiet"]
        for pair in range(arguments.pairs):
            env = dict(os.environ, A2_CACHE_DIR=f"{place}/cache{pair}")
            for name, command in (
                ("script", script),
                ("cold", [*a2, "--out", f"{place}/cold{pair}"]),
                ("warm", [*a2, "--out", f"{place}/warm{pair}"]),
            ):
                taken.setdefault(name, []).append(seconds(command, env))
        mine = named_by_a2(Path(place) / "warm0")
        usual = {unit: set(names) for unit, *names in (line.split() for line in Path(out).read_text().splitlines())}
    for name, walls in taken.items():
        print(f"{name:6}: {statistics.median(walls):6.2f} s ({min(walls):.2f} to {max(walls):.2f})")
    for name in ("cold", "warm"):
        ratios = [one / other for one, other in zip(taken["script"], taken[name], strict=True)]
        print(f"script / a2 {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"the same images: {sum(mine[unit] == usual[unit] for unit in usual)} of {len(usual)} units")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    main(parser.parse_args())

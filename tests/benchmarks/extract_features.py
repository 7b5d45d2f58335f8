"""Times `a2 extract-features` against the usual script, both as whole commands, in pairs that take turns. Run by hand:

    python tests/benchmarks/extract_features.py ../shared/data/paintings WEIGHTS.safetensors [--pairs 5]
        [--precision bf16] [--layer conv4] [--threads 2] [--workers 2]

The script is what a careful student would write: ImageFolder, the weights' own transforms, a DataLoader with workers,
the model's forward under inference_mode with a hook at the layer, its answers in one array, saved. a2 is timed with an
empty cache, and again with all of it kept. Prints medians and ratios, processor seconds besides, and whether the
features are the same bit for bit. `--memory 1000,8000` instead shows the largest memory of a2's own for so many images.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from large import make_images

SCRIPT = """
import sys
import numpy as np, torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import AlexNet_Weights, alexnet

data, weights, node, precision, threads, workers, out = sys.argv[1:]
torch.set_num_threads(int(threads))
model = alexnet()
model.load_state_dict(load_file(weights), strict=False)
model.eval()
images = ImageFolder(data, AlexNet_Weights.IMAGENET1K_V1.transforms())
found = []
model.get_submodule(node).register_forward_hook(lambda module, inputs, output: found.append(output.float().clone()))
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
    for batch, labels in DataLoader(images, batch_size=32, num_workers=int(workers)):
        model(batch)
np.save(out, torch.cat(found).numpy())
"""
NODES = {"conv1": "features.1", "conv2": "features.4", "conv3": "features.7", "conv4": "features.9",
         "conv5": "features.11"}  # fmt: skip


def run(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Return wall seconds and processor seconds of a command and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(arguments: argparse.Namespace) -> None:
    layer, node = arguments.layer, NODES[arguments.layer]
    same = [str(arguments.data), str(arguments.weights)]
    threads, taken = str(arguments.threads), dict[str, list[tuple[float, float]]]()
    with tempfile.TemporaryDirectory() as place:
        theirs, ours = f"{place}/theirs.npy", f"{place}/ours.safetensors"
        script = [sys.executable, "-c", SCRIPT, *same, node, arguments.precision, threads, str(arguments.workers)]
        a2 = [sys.executable, "-m", "a2cli", "extract-features", "--data", same[0], "--weights", same[1]]
        a2 += ["--layer", layer, "--threads", threads, "--precision", arguments.precision, "--device", "cpu"]
        for pair in range(arguments.pairs):
            env = dict(os.environ, A2_CACHE_DIR=f"{place}/cache{pair}")
            commands = {"script": [*script, theirs], "cold": [*a2, "--out", ours]}
            for name in commands if pair % 2 else reversed(commands):
                taken.setdefault(name, []).append(run(commands[name], env))
            taken.setdefault("warm", []).append(run([*a2, "--out", ours], env))
        from a2cli.transfer.feature_file import read_features

        mine, usual = read_features(ours).layers[layer], np.load(theirs)
    for name, each in taken.items():
        walls, processor = [wall for wall, _ in each], [seconds for _, seconds in each]
        print(
            f"{name:6}: {statistics.median(walls):6.2f} s ({min(walls):.2f} to {max(walls):.2f}), "
            f"{statistics.median(processor):.2f} s of processor time"
        )
    for name in ("cold", "warm"):
        for what, i in (("wall", 0), ("processor", 1)):
            ratios = [usual[i] / a2s[i] for usual, a2s in zip(taken["script"], taken[name], strict=True)]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"script / a2 {name}, {what}: {statistics.median(ratios):.2f} ({spread})")
    largest = float(np.abs(mine - usual).max())
    print(f"{len(mine)} images; features equal bit for bit: {np.array_equal(mine, usual)}; largest apart {largest:.2g} "
          f"of {float(np.abs(usual).max()):.3g}")  # fmt: skip


def memory(counts: list[int], threads: int) -> None:
    """Print the largest anonymous memory of a2 that extracts conv4 of AlexNet, and of a process that reads the file."""
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            data, out = Path(place) / "images", f"{place}/features.safetensors"
            data.mkdir()
            make_images(data, count)
            env = dict(os.environ, A2_CACHE_DIR=f"{place}/cache")
            a2 = ["-m", "a2cli", "extract-features", "--data", str(data), "--weights", "none", "--image-size", "64"]
            wrote = largest([sys.executable, *a2, "--threads", str(threads), "--quiet", "--out", out], env)
            code = (
                "import sys; from a2cli.transfer.feature_file import read_features; found = read_features(sys.argv[1]);"
                "print(sum(float(found.layers['conv4'][i : i + 256].sum()) for i in range(0, len(found.labels), 256)))"
            )
            read = largest([sys.executable, "-c", code, out], env)
            size = Path(out).stat().st_size / 1e6
            print(f"{count:7,d} images, {size:,.0f} MB of features: own memory {wrote:.0f} MB writing, {read:.0f} MB "
                  "reading it all", flush=True)  # fmt: skip


def largest(command: list[str], env: dict[str, str]) -> float:
    """Return the largest anonymous memory (mapped files apart) that a command has while it runs, in MB."""
    most = 0
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            text = Path(f"/proc/{process.pid}/status").read_text()
            most = max(most, int(text.split("RssAnon:")[1].split()[0]))
        except (OSError, IndexError):
            continue
        time.sleep(0.02)
    assert process.returncode == 0
    return most / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--layer", choices=NODES, default="conv4")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.memory:
        memory([int(count) for count in given.memory.split(",")], given.threads)
    else:
        compare(given)

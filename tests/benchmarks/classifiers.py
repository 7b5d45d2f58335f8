"""Holds `a2 extract-features` to torchvision's own network, for every classifier of torchvision's. Run by hand:

    python tests/benchmarks/classifiers.py [--names resnet18,vit_h_14] [--small]

Each network gets stand-in weights under the keys that torchvision publishes (tests/standins.py), and is built by
torchvision's own factory with `weights=` and its own transforms: at their full image size, or small with `--small`.
Four layers are extracted one by one, then together from the last on, through one cache; then in another cache together
from the first on, then one by one. Prints the largest difference of all of these from torchvision's: 0 is bit for bit.
Needs 12 GB of memory for the largest.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from standins import ALL, random_state, reference, small_side, some_layers, transforms

from a2cli import main
from a2cli.transfer.feature_file import read_features

COUNT = 2


def pictures(folder: Path) -> list[Image.Image]:
    rng, found = np.random.default_rng(0), []
    for i, label in enumerate("ab"):
        (folder / label).mkdir(parents=True)
        pixels = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        found.append(Image.fromarray(pixels).resize((700, 640), Image.Resampling.BICUBIC))
        found[-1].save(folder / label / f"{i}.png")
    return found


def extract(name: str, side: int | None, layers: list[str], cache: str) -> dict[str, torch.Tensor]:
    """Run the command in this folder with one thread, and return its features by layer."""
    out = Path(f"{cache}-{len(list(Path().iterdir()))}.safetensors")
    command = ["a2", "extract-features", "--backbone", name, "--weights", "w.pth", "--data", "set", "--quiet"]
    command += ["--layer", ",".join(layers), "--threads", "1", "--device", "cpu", "--out", str(out)]
    os.environ["A2_CACHE_DIR"] = cache
    command += ["--image-size", str(side)] if side else []
    with patch.object(sys, "argv", command), contextlib.redirect_stdout(io.StringIO()):
        if main.run_command():
            sys.exit(f"{name} ended badly")
    return dict(read_features(str(out)).layers)


def largest_difference(name: str, side: int | None) -> float:
    images = torch.stack([transforms(name, side)(image) for image in pictures(Path("set"))])
    layers, state = some_layers(name), random_state(name, images)
    torch.save(state, "w.pth")
    expected = reference(name, state, images, layers)
    del state
    found: list[dict[str, torch.Tensor]] = []
    for cache, order in (
        ("one", [*([layer] for layer in layers), layers[::-1]]),
        ("two", [layers, *([x] for x in layers)]),
    ):
        found += [extract(name, side, some, cache) for some in order]
    for layer in layers:
        assert float(expected[layer].std()) > 1e-3, layer
        assert not torch.equal(expected[layer][0], expected[layer][1]), layer
    return max(float((values - expected[layer]).abs().max()) for one in found for layer, values in one.items())


def compare_all() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", default=",".join(ALL))
    parser.add_argument("--small", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.names.split(","):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            largest = largest_difference(name, small_side(name) if chosen.small else None)
        print(f"{name:22} {largest:8.1g} {time.perf_counter() - began:7.0f} s", flush=True)


if __name__ == "__main__":
    compare_all()

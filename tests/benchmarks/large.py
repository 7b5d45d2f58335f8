"""Packs and trains on many images, and prints what each costs and how much memory is the process's own. Run by hand:

    python tests/benchmarks/large.py [--counts 1000,20000,200000]

Makes folders of 64x64 JPEG images of two classes, runs `a2 train-cnn --epochs 1` on each, cold and warm, and samples
the process's anonymous memory (the mapped file's page cache apart) while it runs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def make_images(folder: Path, count: int) -> None:
    """Write `count` images, half of each class: the same 2,000 pictures again and again, as files of their own."""
    rng = np.random.default_rng(0)
    contents = []
    for i in range(min(count, 2000)):
        noise = rng.integers(0, 160, (8, 8, 3)) + 60 * (i % 2)
        path = folder / "one.jpg"
        Image.fromarray(noise.astype(np.uint8)).resize((64, 64)).save(path)
        contents.append(path.read_bytes())
        path.unlink()
    for label in (0, 1):
        (folder / str(label)).mkdir()
    for i in range(count):
        (folder / str(i % 2) / f"{i:06d}.jpg").write_bytes(contents[i % len(contents)])


def run(data: Path, out: Path, env: dict[str, str]) -> tuple[float, float]:
    """Return wall seconds and the largest anonymous memory seen, in MB."""
    command = [sys.executable, "-m", "a2cli", "train-cnn", "--data", str(data), "--image-size", "64", "--epochs", "1"]
    began, most = time.perf_counter(), 0
    command += ["--device", "cpu", "--quiet", "--out", str(out)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            most = max(most, int(lines["RssAnon"].split()[0]))
        except (OSError, KeyError):
            continue
        time.sleep(0.02)
    assert process.returncode == 0
    return time.perf_counter() - began, most / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="1000,20000,200000")
    for count in map(int, parser.parse_args().counts.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            data, folder = Path(temporary) / "images", Path(temporary)
            data.mkdir()
            make_images(data, count)
            env = dict(os.environ, A2_CACHE_DIR=str(folder / "cache"))
            cold, cold_memory = run(data, folder / "cold", env)
            warm, warm_memory = run(data, folder / "warm", env)
            seconds = json.loads((folder / "warm" / "report.json").read_text())["seconds"]
            shutil.rmtree(folder / "cache")
            print(
                f"{count:7,d} images: packing {1e6 * (cold - warm) / count:.0f} us an image, training "
                f"{1e6 * seconds['training'] / count:.0f} us an image (an epoch with validation); own memory "
                f"{cold_memory:.0f} MB packing and training, {warm_memory:.0f} MB training",
                flush=True,
            )

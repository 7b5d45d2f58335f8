"""Makes the archive of runs by one version of a2 that tests/test_old_runs.py opens with every later one.

    python tests/old_runs/make.py CHECKOUT-OF-THAT-VERSION tests/old_runs/COMMIT.tar.xz

Everything is made in one folder, by commands with relative paths, on a tiny data set that is drawn here. Runs whose
name ends in `-stopped` are the same as those without, but killed in the middle of an epoch with a checkpoint of every
epoch before. What later versions never read (pictures, locks) is left out.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

TRIALS = "--data set --device cpu --quiet"
SMALL = f"{TRIALS} --threads 1"
CNN = f"{SMALL} --image-size 16 --channels 3,4 --kernel-size 3 --pool max --stride 1 --hidden 6 --norm batch "
CNN += "--dropout 0.1 --augment flip,mixup=0.3 --learning-rate 0.01 --epochs 3 --batch-size 8 --test-fraction 0.2"
AVERAGED = "--average-weights 0.8 --scheduler plateau --plateau-patience 1 --early-stopping 2"
MLP = f"{SMALL} --image-size 16 --hidden 5 --epochs 3"
HEAD = "--threads 1 --device cpu --quiet --epochs 3 --learning-rate 0.01 --test-fraction 0.2"
BACKBONE = "--backbone squeezenet1_1 --weights none --image-size 16 --fit squash"
TUNE = f"{SMALL} {BACKBONE} --layer features.3.squeeze --head-grid 1 --batch-size 8 --test-fraction 0.2"
TUNE_OWN = f"{SMALL} --run cnn --layer conv2 --hidden 4 --augment flip --layer-decay 0.5"
COMPARE = f"{TRIALS} --image-size 16 --channels 2 --hidden none --epochs 2 --optimizers adam,sgd --rates 2 --extend 1 "
COMPARE += "--tuning-seeds 1 --seeds 2 --jobs 1"
ABLATE = (
    f"{TRIALS} --image-size 16 --channels 2 --hidden none --epochs 2 --norm batch --augment flip --seeds 2 --jobs 1"
)
PREDICT = "--json --threads 1 --device cpu set/ada set/bea/0.png"

COMMANDS: dict[str, list[str]] = {
    "cnn": ["train-cnn", *CNN.split(), *AVERAGED.split(), "--final"],
    "cnn-seeds": ["train-cnn", *CNN.split(), "--seeds", "2", "--final"],
    "cnn-folds": ["train-cnn", *CNN.split(), "--folds", "2", "--global-pool", "average"],
    "mlp": ["train-mlp", *MLP.split()],
    "features.safetensors": ["extract-features", *SMALL.split(), *BACKBONE.split(), "--layer",
                             "features.0,features.3.squeeze", "--grid", "1"],
    "head": ["train-mlp", "--features", "features.safetensors", *HEAD.split(), "--probe", "--final"],
    "tuned": ["finetune", *TUNE.split(), "--stages", "head:2@0.01 features.3+:3@0.001", "--final"],
    "tuned-own": ["finetune", *TUNE_OWN.split(), "--stages", "head:2@0.01 all:1@0.001"],
    "compared": ["compare-optimizers", *COMPARE.split()],
    "ablated": ["ablate", *ABLATE.split(), "--without", "norm=none", "--without", "augment-=flip"],
    "probed": ["probe-invariance", "--run", "cnn", "--run", "cnn-seeds", "--changes",
               "rotate,noise,flip-horizontal", "--threads", "1", "--device", "cpu", "--quiet"],
    "probed-head": ["probe-invariance", "--run", "head", "--run", "tuned", "--changes", "brightness",
                    "--random", "rotate=-30..30", "--draws", "2", "--threads", "1", "--device", "cpu", "--quiet"],
    "viewed": ["visualize-weights", "--run", "cnn", "--run", "mlp", "--image", "set/ada/0.png", "--redraws", "4",
               "--steps", "2", "--count", "2", "--threads", "1", "--device", "cpu", "--quiet"],
    "fields": ["receptive-field", "--run", "cnn", "--effective", "--prove", "--quiet"],
    "predicted.json": ["predict", "--run", "cnn", *PREDICT.split()],
    "predicted-seeds.json": ["predict", "--run", "cnn-seeds", *PREDICT.split()],
    "predicted-head.json": ["predict", "--run", "head", *PREDICT.split()],
    "predicted-tuned.json": ["predict", "--run", "tuned", *PREDICT.split()],
}  # fmt: skip
STOPPED = {  # how many epochs have ended, over all that a command trains, when it is stopped in the next one; how
    "cnn": (2, "SIGKILL"),
    "cnn-seeds": (4, "SIGKILL"),
    "cnn-folds": (4, "SIGKILL"),
    "mlp": (1, "SIGINT"),
    "head": (2, "SIGKILL"),
    "tuned": (3, "SIGKILL"),
    "compared": (13, "SIGKILL"),
    "ablated": (7, "SIGKILL"),
}
RUN = """
import os, signal, sys
sys.argv[0] = "a2"
epochs, how = int(os.environ["EPOCHS"]), os.environ["HOW"]
from a2cli import main
try:
    from a2cli.training import trial
    from a2cli.training.train_state import TrainState
except ImportError:  # at b42a6ff
    from a2cli.experiments import trial
    from a2cli.experiments.job import Progress as TrainState
trial.CHECKPOINT_SECONDS = 0.0
record, ended = TrainState.record, [0]

def stopping(self, log):
    if ended[0] == epochs:
        os.kill(os.getpid(), getattr(signal, how))
    ended[0] += 1
    record(self, log)

if how:
    TrainState.record = stopping
sys.exit(main.run_command())
"""


def draw(folder: Path) -> None:
    """Write three classes of ten images of 16x16 pixels: coarse patterns in a colour that leans to the class."""
    rng = np.random.default_rng(2026)
    for label, name in enumerate(("ada", "bea", "cleo")):
        (folder / name).mkdir(parents=True)
        for i in range(10):
            coarse = rng.integers(0, 160, (4, 4, 3))
            coarse[..., label] += 95
            pixels = np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def a2(checkout: Path, place: Path, arguments: list[str], epochs: int = 0, how: str = "") -> str:
    """Run a command in `place`, stopped after so many epochs by the signal `how`, if any; return what it printed."""
    names = {"A2_CACHE_DIR": str(place / ".cache"), "A2_DATA_DIR": str(place / ".data"), "MPLBACKEND": "agg"}
    environment = {**os.environ, **names, "PYTHONPATH": str(checkout), "EPOCHS": str(epochs), "HOW": how}
    done = subprocess.run([sys.executable, "-c", RUN, *arguments], cwd=place, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode == 0) != bool(how), (arguments, done.returncode, done.stderr)
    return done.stdout


def without_pictures(name: str) -> bool:
    return not name.endswith((".png", ".lock", ".gif")) or name.startswith("set/")


def main() -> None:
    checkout, archive = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        draw(place / "set")
        for name, arguments in COMMANDS.items():
            print(name, flush=True)
            out = [] if name.endswith(".json") else ["--out", name]
            printed = a2(checkout, place, [*arguments, *out])
            if name.endswith(".json"):
                (place / name).write_text(printed)
            if name in STOPPED:
                # What stops a run is in this process alone, not in those that later versions train seeds in.
                several = name in ("cnn-seeds", "cnn-folds") and not (checkout / "a2cli/experiments").exists()
                beside = ["--jobs", "1"] if several else []
                a2(checkout, place, [*arguments, *beside, "--out", f"{name}-stopped"], *STOPPED[name])
        (place / "commands.json").write_text(json.dumps(COMMANDS, indent=1))
        shutil.rmtree(place / ".cache")
        with tarfile.open(archive, "w:xz", preset=9) as file:
            for path in sorted(place.rglob("*")):
                inner = path.relative_to(place).as_posix()
                if path.is_file() and without_pictures(inner):
                    about = file.gettarinfo(path, inner)
                    about.uid = about.gid = about.mtime = 0
                    about.uname = about.gname = ""
                    with path.open("rb") as content:
                        file.addfile(about, content)


if __name__ == "__main__":
    main()

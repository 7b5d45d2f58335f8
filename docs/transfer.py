"""Runs sections 2.1, 2.2 and 2.4 on faces, and the same networks on paintings, and writes transfer.md.

python docs/transfer.py run FACES PAINTINGS WEIGHTS      # WEIGHTS: AlexNet's, of its convolutions at least
python docs/transfer.py write                            # docs/transfer.md, from the run folders alone
"""

import subprocess
import sys
from pathlib import Path

RUNS = Path("runs/transfer")
SEEDS = 6
SPLIT = ("--val-fraction", 0.1, "--test-fraction", 0.6)  # of faces: one a person to choose by, six to test on
PER_PERSON = (1, 2, 3)
MLPS = ("2.1-mlp", "2.1-mlp-batch-12", "2.1-mlp-no-dropout", "2.1-mlp-rate", "2.1-mlp-sgd", "2.1-mlp-momentum",
        "2.1-mlp-nesterov", "2.1-mlp-adagrad", "2.1-mlp-rmsprop")  # fmt: skip
HEADS = ("2.2-conv4", "2.2-conv4-plain")
LAYERS = "conv1,conv2,conv3,conv4,conv5,pool5"
STAGES = {"head": "head:60", "conv4+": "head:60 conv4+:20@1e-4", "all": "head:60 conv4+:20@1e-4 all:5@1e-5"}


def run_all(faces: Path, paintings: Path, weights: Path) -> None:
    """Run what is not there yet."""
    RUNS.mkdir(parents=True, exist_ok=True)
    few, squash = (*SPLIT, "--train-per-class", 3), ("--fit", "squash")  # a centre would cut the faces' edges off
    for preset in MLPS:
        train("train-mlp", preset, "-p", preset, "--data", faces, *few)
    extract("faces-conv4", faces, weights, *squash, "--layer", "conv4", "--grid", 6, "--baselines")
    extract("paintings-conv4", paintings, weights, "--layer", "conv4", "--grid", 3, "--baselines")
    for count in PER_PERSON:
        probe(f"faces-probe-{count}", "faces-conv4", *SPLIT, "--train-per-class", count)
    probe("paintings-probe-91", "paintings-conv4", "--val-count", 91, "--test-fraction", 0, final=False)
    probe("paintings-probe", "paintings-conv4", "--test-fraction", 0.2)
    extract("faces-whole", faces, weights, "-p", "2.2-extract", *squash)
    for preset in HEADS:
        train("train-mlp", preset, "-p", preset, "--features", RUNS / "faces-whole.safetensors", *few)
    tune = ("--weights", weights, "--layer", "conv4", "--dropout", 0.5)
    for count in PER_PERSON:
        for name, stages in STAGES.items():
            train("finetune", f"faces-{name}-{count}", "--data", faces, *squash, *tune, "--head-grid", 6,
                  "--stages", stages, *SPLIT, "--train-per-class", count)  # fmt: skip
    for name, stages in STAGES.items():
        train("finetune", f"paintings-{name}", "--data", paintings, *tune, "--head-grid", 3, "--stages", stages,
              "--test-fraction", 0.2)  # fmt: skip
    extract("faces-layers", faces, weights, *squash, "--layer", LAYERS, "--grid", 3, "--baselines")
    extract("paintings-layers", paintings, weights, "--layer", LAYERS, "--grid", 3, "--baselines")
    probe("faces-layers", "faces-layers", *few)
    probe("paintings-layers", "paintings-layers", "--test-fraction", 0.2)


def extract(name: str, data: Path, weights: Path, *flags: object) -> None:
    file = RUNS / f"{name}.safetensors"
    if not file.exists():
        a2("extract-features", "--data", data, "--weights", weights, *flags, "--threads", 1, "--out", file)


def probe(name: str, file: str, *flags: object, final: bool = True) -> None:
    features = ("--features", RUNS / f"{file}.safetensors", "--probe", "--learning-rate", 1e-3)
    train("train-mlp", name, *features, *flags, final=final)


def train(command: str, name: str, *flags: object, final: bool = True) -> None:
    folder = RUNS / name
    read = ["--final"] if final else []
    if not (folder / "config.yaml").exists():
        a2(command, *flags, "--seeds", SEEDS, "--threads", 1, "--out", folder, *read)
    elif not (folder / "report.json").exists():
        a2(command, "--resume", folder, *read)


def a2(*arguments: object) -> None:
    print("a2", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "a2cli", *map(str, arguments), "--quiet"], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_all(*map(Path, sys.argv[2:5]))

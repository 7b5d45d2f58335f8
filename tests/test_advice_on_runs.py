"""What messages on runs, networks and data advise is possible: each is provoked, its advice taken, not refused."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import A2, TINY, draw_classes

from a2cli.storage import LOCK

REFUSED = {  # a command that is refused: what it is told, and the command that follows it
    "train-cnn --no-such": ("see 'a2 train-cnn --help'", "train-cnn --help"),
    "train-cnn --epochs 2 --seed 1 --seed=2": ("--seed comes again; give it once", "train-cnn --seed 2 --dry-run"),
    "train-mlp --preset 1.4-adagrad": ("is a preset of 'a2 train-cnn'", "train-cnn --preset 1.4-adagrad --dry-run"),
    "compare-optimizers --network mlp --channels 4": (
        "train-mlp has no such setting; see --network",
        "compare-optimizers --network cnn --channels 4 --dry-run",
    ),
    "ablate --backbone alexnet --without augment=none": (
        "train-cnn has no such setting; see --trains",
        "ablate --trains finetune --backbone alexnet --without augment=none --augment flip --dry-run",
    ),
    "replicate --only 1.4": ("acts only on a ledger; name one of comp541", "replicate comp541 --only 1.4 --list"),
    "probe-invariance --run run other": (
        "(give the flag for each, as --run run --run other)",
        "probe-invariance --run run --run other --data set --dry-run",
    ),
    "receptive-field --run mlp": ("or by --model", "receptive-field --model alexnet --out fields"),
    "probe-invariance --run fields": ("expected a training (train-cnn", "probe-invariance --run run --dry-run"),
    "ablate --resume fields": ("is of 'a2 receptive-field', not of 'a2 ablate'", None),
    "train-cnn --resume fields": ("is of 'a2 receptive-field', which has no --resume", None),
    "runs rm link --yes": ("is a link; name the run directory itself", "runs rm run --yes"),
    "train-cnn --data set --quiet --resume begun": (
        "was stopped before it began; begin it again, with --out begun",
        f"train-cnn {' '.join(TINY)} --data set --out begun",
    ),
    "extract-features --run run --layer conv1 --data set --out set.safetensors": (
        "--out set.safetensors: is a folder; name a file",
        "extract-features --run run --layer conv1 --data set --out other.safetensors --quiet",
    ),
    "extract-features --backbone swin_t --weights none --layer features.1 --grid 2 --data set": (
        "has its channels last (56x56x96); use --grid 0",
        "extract-features --backbone swin_t --weights none --layer features.1 --grid 0 --data set --dry-run",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", REFUSED)
def test_advice_on_what_is_named(command: str, a2: A2, run: Path, data: Path) -> None:
    shutil.copytree(run, "other")
    Path("link").symlink_to("run")
    Path("begun").mkdir()
    Path("set.safetensors").mkdir()
    Path("begun", LOCK).touch()
    if "mlp" in command.split():
        a2("train-mlp", *TINY[8:], "--data", "set", "--out", "mlp")
    if "fields" in command:
        assert a2("receptive-field", "--layers", "conv3", "--out", "fields", "--quiet").status == 0
    words, taken = REFUSED[command]
    refused = a2(*command.split())
    assert refused.status in (2, 3) and words in " ".join(refused.err.split())
    if taken is not None:
        ended = a2(*taken.split())
        assert ended.status == 0, ended.err


def test_advice_on_too_many_combinations(a2: A2) -> None:
    names = (
        "batch-size=1 epochs=1 learning-rate=1 channels=1 kernel-size=3 stride=1 padding=1 hidden=none optimizer=sgd"
    )
    without = [word for name in (*names.split(), "image-size=40", "weight-decay=0.5") for word in ("--without", name)]
    a2("ablate", "--design", "all", *without, "--dry-run").refused(2, "name 10 at most, or use --design orders")
    for taken in (["--design", "all", *without[2:]], ["--design", "orders", *without]):
        ended = a2("ablate", *taken, "--dry-run")
        assert ended.status == 0, ended.err


def test_advice_on_names_and_links_of_classes(data: Path, train: A2) -> None:
    shutil.move(data / "ada", data / "Bea")
    train("--data", "set").refused(3, "give one class one name")
    shutil.rmtree(data)
    draw_classes(data)
    (data / "carl").symlink_to(data / "ada")
    train("--data", "set").refused(3, "an image has one class and one part: remove the link")
    (data / "carl").unlink()
    train("--data", "set").done()


def test_advice_on_manifests(data: Path, train: A2) -> None:
    lines = [f"{path},{path.parent.name}" for path in sorted(data.glob("*/*.png"))]
    manifest = Path("images.csv")
    manifest.write_text("\n".join(["path,label", *lines, f"{data}/ada/1.png, ada"]))
    train("--data", manifest).refused(3, "blanks around label ' ada'; remove them")
    manifest.write_text("\n".join(["path,label", *lines[1:], f'{data}/ada/0.png,"a\nda"']))
    train("--data", manifest).refused(3, "put each image on one line")
    manifest.write_text("\n".join(["path,label", *lines]))
    train("--data", manifest).done()


@pytest.fixture
def trained(data: Path, train: A2) -> Path:
    return train("--data", "set", "--out", "run").done()


STUDY = TINY[:10]  # whose trials have a thread each
PROBE = ["probe-invariance", "--run", "run", "--changes", "invert", "--threads", "1", "--quiet"]


def test_advice_on_images_that_changed_or_moved(trained: Path, data: Path, a2: A2) -> None:
    shutil.copytree(data, "before")
    shutil.copy(data / "ada/0.png", data / "ada/1.png")
    a2(*PROBE).refused(3, "have changed since", "; name images by --data")
    assert a2(*PROBE, "--data", "before").status == 0
    shutil.rmtree(data)
    a2(*PROBE).refused(3, "its images are not there", "name some by --data")
    assert a2(*PROBE, "--data", "before").status == 0


def test_advice_on_a_report_that_was_edited(trained: Path, a2: A2) -> None:
    report = trained / "report.json"
    shutil.copy(report, "before.json")
    report.write_text(report.read_text().replace('"status": "done"', '"status": "gone"'))
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "put back the file as it was, or remove it")
    report.unlink()
    assert a2("train-cnn", "--resume", "run", "--quiet").status == 0
    shutil.copy("before.json", report)
    assert a2("train-cnn", "--resume", "run", "--quiet").status == 0


def test_advice_on_one_run_by_two_names(data: Path, train: A2, a2: A2) -> None:
    train("--data", "set", "--seeds", "2", "--jobs", "1", "--out", "several").done()
    pairs = [["visualize-weights", "--run", "several", "--run", f"several/seeds/{seed}"] for seed in (0, 1)]
    ended = {two[-1]: a2(*two, "--dry-run") for two in pairs}
    (best, refused), (_, other) = sorted(ended.items(), key=lambda item: -item[1].status)
    assert other.status == 0, other.err
    refused.refused(2, "are the same run", "; leave out one")
    for left in ("several", best):
        assert a2("visualize-weights", "--run", left, "--dry-run").status == 0


def test_advice_on_a_best_run_without_its_network(data: Path, a2: A2) -> None:
    flags = [
        *STUDY,
        "--quiet",
        "--data",
        "set",
        "--optimizers",
        "adam,sgd",
        "--tuning",
        "none",
        "--jobs",
        "1",
        "--out",
        "two",
    ]
    a2("compare-optimizers", *flags, "--seeds", "2")
    best = Path("two", json.loads(Path("two/report.json").read_text())["results"]["best"]["folder"])
    shutil.rmtree(best / "model")
    probe = ["probe-invariance", "--run", "two", "--changes", "invert", "--quiet"]
    a2(*probe).refused(3, "train it again with: a2 compare-optimizers --resume two")
    shutil.rmtree(best)
    assert a2("compare-optimizers", "--resume", "two", "--quiet").status == 0
    assert a2(*probe).status == 0


def test_advice_on_a_verdict_of_one_seed(data: Path, a2: A2) -> None:
    for command in (
        ["compare-optimizers", "--optimizers", "adam,sgd", "--tuning", "none"],
        ["ablate", "--without", "dropout=0", "--dropout", "0.5"],
    ):
        flags = [*command, *STUDY, "--data", "set", "--jobs", "1"]
        assert "--seeds 5 makes it one" in " ".join(a2(*flags, "--seeds", "1").out.split())
        assert a2(*flags, "--seeds", "5", "--dry-run").status == 0


def test_advice_on_files_of_weights(data: Path, a2: A2) -> None:
    from torchvision.models import squeezenet1_1

    weights = squeezenet1_1(num_classes=7).state_dict()
    torch.save(weights, "own.pth")
    with zipfile.ZipFile("own.zip", "w") as file:
        file.write("own.pth")
    extract = ["extract-features", "--backbone", "squeezenet1_1", "--data", "set", "--threads", "1", "--quiet"]
    a2(*extract, "--weights", "own.zip", "--layer", "features.3").refused(3, "unpack it and name the file inside")
    a2(*extract, "--weights", "own.pth", "--layer", "classifier.1").refused(3, "name a --layer below the head")
    assert a2(*extract, "--weights", "own.pth", "--layer", "features.3").status == 0

"""What messages advise is possible: each is provoked, its advice taken, and that is not refused."""

import ast
import re
import shutil
from pathlib import Path

import pytest
from conftest import A2, TINY, draw_classes

import a2cli
from a2cli.commands import COMMANDS, GROUPS

PACKAGE = Path(a2cli.__file__).parent
FLAGS = {item.flag for command in COMMANDS.values() for item in command.declared()}
FLAGS |= {"--help", "--version", "--no"}  # the last begins each flag that switches off


def messages() -> list[tuple[str, str]]:
    """Return the texts in the package, with where each is; names put into them are left out."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append((f"{path.name}:{node.lineno}", node.value))
    return found


def test_flags_in_messages_are_flags_of_a_command() -> None:
    named = {(where, flag) for where, text in messages() for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)}
    unknown = {(where, flag) for where, flag in named if flag not in FLAGS and f"--{flag[5:]}" not in FLAGS}
    assert len(named) > 100
    assert not unknown


def test_commands_in_messages_are_commands() -> None:
    named = {words for _, text in messages() for words in re.findall(r"'a2 ([a-z-]+(?: get| check)?)[ ']", text)}
    assert named - {"presets", *GROUPS} <= COMMANDS.keys()


IMAGE = "set/ada/0.png"
SETTINGS = {  # a command that is refused: what it is told, and what is given besides or instead
    "train-cnn --momentum 0.5": ("acts only with --optimizer momentum or nesterov", "--optimizer momentum"),
    "train-cnn --pool-size 2": ("acts only with --pool max or average", "--pool max"),
    "train-cnn --plateau-patience 3": ("acts only with --scheduler plateau", "--scheduler plateau"),
    "train-cnn --dropout-at conv1": ("acts only with --dropout above 0", "--dropout 0.1"),
    "train-cnn --monitor val-loss": ("--early-stopping, --restore-best or", "--early-stopping 3"),
    "train-cnn --fold 0": ("acts only with --folds", "--folds 3"),
    "train-cnn --jobs 2": ("acts only with several --seeds or --folds", "--seeds 2"),
    "train-cnn --folds 3 --seeds 2": ("give one of the two", "--seeds 1"),
    "train-cnn --image-size 8": ("use a larger --image-size", "--image-size 50"),
    "train-cnn --padding 100000": ("use smaller --channels or --padding", "--padding 1"),
    "train-cnn --channels 999999999": ("use smaller --channels or --padding", "--channels 4"),
    "train-cnn --hidden 999999999": ("use smaller --channels or --hidden", "--hidden 4"),
    "train-cnn --channels 4,4,4 --kernel-size 3 --padding 1 --shortcuts --pool max": (
        "make maps smaller by --stride",
        "--pool none --stride 2,1,1",
    ),
    "train-cnn --channels 4,4,4 --shortcuts": ("use odd kernels", "--stride 1 --kernel-size 3 --padding 1"),
    "train-cnn --scheduler cosine --min-learning-rate 1": ("above the learning rate", "--learning-rate 2"),
    "train-mlp --hidden 999999999": ("use smaller --hidden", "--hidden 4"),
    "compare-optimizers --learning-rate 1": ("--tuning none or both", "--tuning none"),
    "compare-optimizers --cluster x": ("--backend dask or ray", "--backend dask"),
    "extract-features --grid-pool max": ("acts only with --grid above 0", "--grid 2"),
    "extract-features --weights none --partial": ("only with weights from a file", "--weights mine.pth"),
    "probe-invariance --run run --draws 3": ("acts only with --random", "--random brightness=0.5..1.5"),
    "probe-invariance --run run --border reflect --changes blur": ("translations among", "--changes translate"),
    "visualize-weights --run run --methods gradient": ("acts only with --image", f"--image {IMAGE}"),
    "visualize-weights --run run --weights none": ("acts only with --backbone", None),
    "visualize-weights": ("or a --backbone", "--backbone alexnet"),
}  # fmt: skip


@pytest.mark.parametrize("command", SETTINGS)
def test_advice_on_settings(command: str, a2: A2, run: Path, data: Path) -> None:
    words, change = SETTINGS[command]
    assert words in a2(*command.split(), "--dry-run").err
    instead = "visualize-weights --backbone alexnet --weights none" if change is None else f"{command} {change}"
    taken = a2(*instead.split(), "--dry-run")
    assert taken.status == 0, taken.err


LOOKS = {
    "--layers conv3 --unit Z1,0,0": ("needs --image-size", "--image-size 16"),
    "--layers conv3 --unit 0,0": ("expected LAYER,ROW,COLUMN, as Z1,3,3", "--unit Z1,3,3 --image-size 16"),
    "--layers conv3 --pixel 0,0": ("needs --image-size", "--image-size 16"),
    "--layers conv3 --prove": ("needs --image-size", "--image-size 16"),
    "--layers conv3 --effective": ("needs --image-size", "--image-size 16 --data set"),
    "--layers conv9 --image-size 4": ("use a larger --image-size", "--image-size 9"),
    "--layers conv3 --outputs 2": ("acts only with --effective", "--effective --image-size 16 --data set"),
}


@pytest.mark.parametrize("flags", LOOKS)
def test_advice_on_looks_at_fields(flags: str, data: Path, a2: A2) -> None:
    words, change = LOOKS[flags]
    a2("receptive-field", *flags.split()).refused(2, words)
    taken = a2("receptive-field", *flags.split(), *change.split())
    assert taken.status == 0, taken.err


@pytest.mark.parametrize("flags", ["", "--trains train-mlp", "--trains Finetune", "--dropout 0.3", "--hidden none"])
def test_the_ingredient_that_is_named_as_an_example_can_be_taken_away(flags: str, a2: A2) -> None:
    refused = a2("ablate", *flags.split(), "--dry-run")
    refused.refused(2, "--without: name an ingredient at least, as --without")
    example = re.search(r"as (--without \S+)$", refused.err)
    assert example
    taken = a2("ablate", *flags.split(), *example[1].split(), "--dry-run")
    assert taken.status == 0, taken.err


def test_a_folder_that_is_there_is_resumed_by_its_own_command_alone(trained: Path, train: A2, a2: A2) -> None:
    train("--data", "set", "--out", "run").refused(3, "name another folder, or use --resume run\n")
    a2("train-cnn", "--resume", "run", "--quiet").done("finished before")
    a2("train-mlp", "--out", "run", "--quiet").refused(
        3, "--out run: already there and not empty; name another folder\n"
    )
    a2("ablate", "--quiet", "--resume", "run", "-w", "hidden=none").refused(2, "use -p run/config.yaml")
    a2("compare-optimizers", "--resume", "run").refused(2, "use -p run/config.yaml")
    for command in (["ablate", "-w", "epochs=2"], ["compare-optimizers"]):
        taken = a2(*command, "-p", "run/config.yaml", "--dry-run")
        assert taken.status == 0, taken.err


def test_an_edited_config_begins_a_new_run(run: Path, a2: A2) -> None:
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("epochs: 3", "epochs: 1"))
    a2("train-cnn", "--resume", "run").refused(3, "begin a new run with -p run/config.yaml")
    a2("train-cnn", "-p", "run/config.yaml", "--quiet").done("edited since")


@pytest.fixture
def trained(data: Path, train: A2) -> Path:
    return train("--data", "set", "--out", "run").done()


def test_advice_on_damaged_files_fits_the_command(trained: Path, train: A2, a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "other")
    (tmp_path / "other/ada/0.png").write_bytes(b"")
    train("--data", "other").refused(3, "mend or remove it, or use --skip-damaged")
    train("--data", "other", "--skip-damaged").done("1 damaged file left out")
    for command in ("probe-invariance", "visualize-weights"):
        a2(command, "--run", "run", "--data", "other", "--quiet").refused(3, "; mend or remove it\n")
    a2("receptive-field", "--run", "run", "--effective", "--data", "other", "--quiet").refused(3, "mend or remove it\n")


def test_advice_on_duplicates(data: Path, train: A2) -> None:
    shutil.copy(data / "ada/0.png", data / "ada/copy.png")
    train("--data", "set", "--duplicates", "error").refused(3, "use --duplicates keep or drop")
    for choice in ("keep", "drop"):
        assert train("--data", "set", "--duplicates", choice).status == 0
    shutil.copy(data / "ada/0.png", data / "bea/copy.png")
    train("--data", "set", "--duplicates", "error").refused(3, "with --duplicates drop")
    assert train("--data", "set", "--duplicates", "drop").status == 0


def test_advice_on_a_test_that_is_not_there(data: Path, train: A2, a2: A2) -> None:
    train("--data", "set", "--final").refused(2, "hold some out with --test-fraction")
    train("--data", "set", "--final", "--test-fraction", "0.2").done()
    train("--data", "set", "--out", "begun").done()
    a2("train-cnn", "--resume", "begun", "--final", "--quiet").refused(2, "begin a new run with --test-fraction")


def test_advice_on_splits(data: Path, train: A2) -> None:
    train("--data", "set", "--val-count", "10").refused(3, "change --val-count")
    train("--data", "set", "--val-count", "4").done()
    random = ["--data", "set", "--split", "random", "--val-count", "8"]
    refused = [
        seed for seed in range(40) if "use --split stratified" in train(*random, "--seed", seed, "--dry-run").err
    ]
    assert refused == []  # a plan reads no images
    seed = next(seed for seed in range(40) if "use --split stratified" in train(*random, "--seed", seed).err)
    most = "8 of 10 images are held out for validation (val_count), 2 are left to train on; --val-fraction"
    train("--data", "set", "--val-count", "8", "--split", "stratified", "--seed", seed).done(most)
    train("--data", "set", "--val-fraction", "0.4").done()


def test_advice_on_files_that_are_there(trained: Path, a2: A2) -> None:
    extract = ["extract-features", "--run", "run", "--layer", "conv1", "--grid", "1", "--data", "set", "--quiet"]
    assert a2(*extract).status == 0
    a2(*extract).refused(3, "name another file, or use --overwrite")
    assert a2(*extract, "--overwrite").status == 0
    predict = ["predict", "--run", "run", IMAGE, "--quiet", "--picture", "sheet.png"]
    assert a2(*predict).status == 0
    a2(*predict).refused(3, "use --overwrite")
    assert a2(*predict, "--overwrite").status == 0


def test_advice_on_too_little_memory(a2: A2, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("a2cli.settings.presets.build", full)
    for command in ("train-cnn", "predict", "probe-invariance", "extract-features", "finetune"):
        line = a2(command, "--run", "run", IMAGE).err if command == "predict" else a2(command).err
        assert line.startswith("error: not enough memory; use a smaller ")
        own = {item.flag for item in COMMANDS[command].declared()}
        assert set(re.findall(r"--[a-z-]+", line)) <= own


def test_advice_of_a_verdict(train: A2, data: Path, a2: A2) -> None:
    verdict = a2("train-cnn", *TINY[:-1], "--data", "set").out
    assert "--seeds 5" in verdict
    assert a2("train-cnn", *TINY[:-1], "--data", "set", "--seeds", "5", "--dry-run").status == 0


ON_A_RUN = {  # a command that is refused: what it is told, and the command that follows it
    "visualize-weights --backbone alexnet --weights none --image {image}": (
        "--image: a --backbone has no classes of its own; name a run by --run",
        "visualize-weights --run run --image {image} --dry-run",
    ),
    "visualize-weights --backbone alexnet --weights none --class 1 --quiet": (
        "--class: alexnet has no classes of its own; name a run by --run",
        "visualize-weights --run run --class 1 --dry-run",
    ),
    "probe-invariance --run run --run run": ("is named twice", "probe-invariance --run run --dry-run"),
    "train-mlp --resume run": ("; go on with: a2 train-cnn --resume run", "train-cnn --resume run --quiet"),
    "train-cnn --channels 4 8": ("as --channels 4,8", "train-cnn --channels 4,8 --dry-run"),
    "train-cnn --backbone alexnet": ("use a2 finetune --backbone alexnet", "finetune --backbone alexnet --dry-run"),
    "train-cnn --device gpu --data set": ("try auto or cpu", "train-cnn --device auto --data set --dry-run"),
    "runs rm run": ("give --yes", "runs rm run --yes"),
    "runs list --csv --json": ("--csv: give it or --json", "runs list --json"),
    "receptive-field --run run --layers conv3": ("leave out --layers", "receptive-field --layers conv3"),
    "compare-optimizers --resume run --preset 1.4-adam": ("leave out --out, --preset", None),
    "compare-optimizers --optimizers adam": (
        "name two --optimizers, --schedulers or --batch-sizes at least",
        "compare-optimizers --optimizers adam,sgd --dry-run",
    ),
    "train-cnn --data set.zip": ("; unzip it, and name the folder", "train-cnn --data set --dry-run"),
    "runs nowhere": ("'a2 runs --help'", "runs --help"),
    "train-cnn --preset 1.4-adamm": ("('a2 presets' lists them)", "presets"),
}  # fmt: skip


@pytest.mark.parametrize("command", ON_A_RUN)
def test_advice_on_commands(command: str, a2: A2, run: Path, data: Path) -> None:
    shutil.make_archive("set", "zip", data)
    words, taken = ON_A_RUN[command]
    refused = a2(*command.format(image=IMAGE).split())
    assert refused.status in (2, 3) and words in refused.err
    if taken is not None:
        ended = a2(*taken.format(image=IMAGE).split())
        assert ended.status == 0, ended.err

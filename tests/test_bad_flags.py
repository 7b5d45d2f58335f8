"""Flags, presets and splits: one line, the right exit status, nothing half written."""

import time
from pathlib import Path

import pytest
from conftest import A2, nothing_left

from a2cli.app.help import described
from a2cli.settings.declare import declared
from a2cli.settings.presets import PRESET_BYTES
from a2cli.settings.training import TrainCnnSettings

fcntl = pytest.importorskip("fcntl", reason="these locks, permissions and limits are POSIX's")
NOBODY = 65534


# Flags

USAGE: dict[str, tuple[str, str]] = {
    "--epoch 3": ("No such option: --epoch", "--epochs"),
    "--dropuot 0.1": ("No such option: --dropuot", "--dropout"),
    "--epochs": ("--epochs", "requires an argument"),
    "somewhere": ("unexpected extra argument", "somewhere"),
    "--lr 0,001": ("--learning-rate: expected a valid number, got '0,001'; write 0.001\n",),
    "--val-fraction 0,25": ("; write 0.25\n",),
    "--skip-damaged=3": ("--skip-damaged", "does not take a value"),
    "--optimizer adm": ("--optimizer", "did you mean 'adam'?"),
    "--pool maxi": ("--pool", "did you mean 'max'?"),
    "--split stratfied": ("--split", "did you mean 'stratified'?"),
    "--preset 1.4-dropuot": ("--preset", "did you mean '1.4-dropout'?"),
    "--preset nosuch.yaml": ("--preset nosuch.yaml: does not exist",),
    "--augment flp": ("--augment", "'flp'"),
    "--augment flip=nan": ("--augment", "'flip=nan'"),
    "--augment rotate=181": ("--augment", "'rotate=181'"),
    "--channels 8,,8": ("--channels", "valid integer"),
    "--channels none": ("--channels", "at least 1 item"),
    # Too large for any machine: torch would crash or fail in words of its own
    "--threads 99999": ("--threads", "1024"),
    "--batch-size 9999999999999": ("--batch-size", "less than or equal"),
    "--channels 999999999": ("conv1", "--channels"),
    "--hidden 999999999": ("hidden1", "--hidden"),
    "--statistics colors,colors": ("--statistics", "colors is named twice"),
    "--padding 100000": ("conv1", "--padding"),
    # Contradictory
    "--kernel-size 99": ("conv1", "image 8 -> conv1 nothing"),
    "--channels 2,2,2 --stride 2 --kernel-size 3": ("image 8 -> conv1 3 -> conv2 1 -> conv3 nothing",),
    "--channels 2,2 --kernel-size 3,3,3": ("--kernel-size", "got 3"),
    "--dropout-at conv9 --dropout 0.5": ("--dropout-at", "'conv9'"),
    "--warmup-epochs 1": ("--warmup-epochs", "leave no other"),
    "--scheduler cosine --min-learning-rate 1": ("--min-learning-rate", "above the learning rate"),
    "--scheduler multistep --milestones 40,20": ("--milestones", "40,20"),
    "--norm group --kernel-size 8": ("--norm group", "conv1"),
    # Idle
    "--momentum 0.5": ("--momentum", "--optimizer momentum or nesterov"),
    "--pool-size 2": ("--pool-size", "--pool max or average"),
    "--val-fraction 0.2 --val-count 3": ("--val-fraction", "--val-count"),
    "--plateau-patience 3": ("--plateau-patience", "--scheduler plateau"),
    "--dropout-at conv1": ("--dropout-at", "--dropout above 0"),
    "--dropout 0.5 --dropout-at hidden": ("--dropout-at hidden", "no such layer"),
    "--monitor val-loss": ("--monitor", "--early-stopping"),
    "--folds 1": ("--folds", "2 parts at least"),
    "--folds 3 --seeds 2": ("--seeds", "--folds"),
    "--folds 3 --fold 3": ("--fold", "below 3"),
    "--fold 0": ("--fold", "--folds"),
    "--folds 3 --val-fraction 0.5": ("--val-fraction", "--folds"),
}  # fmt: skip


@pytest.mark.parametrize("flags", USAGE)
def test_flags_that_cannot_be_used(flags: str, data: Path, train: A2, tmp_path: Path) -> None:
    train("--data", "set", *flags.split()).refused(2, *USAGE[flags])
    assert nothing_left(tmp_path)


WHOLE = "image_size val_count train_per_class channels kernel_size stride padding pool_size pool_stride hidden epochs"
WHOLE += " batch_size plateau_patience step_size milestones warmup_epochs early_stopping threads seed seeds folds fold"
SHARES = "val_fraction test_fraction dropout weight_decay momentum label_smoothing plateau_factor gamma average_weights"
NUMBERS = f"{WHOLE} {SHARES} learning_rate min_learning_rate".split()
MAY_BE_0 = "padding dropout test_fraction weight_decay label_smoothing plateau_patience min_learning_rate warmup_epochs"
MAY_BE_0 += " early_stopping threads seed folds fold average_weights"


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_bounds(name: str, a2: A2) -> None:
    flag = "--" + name.replace("_", "-")
    bad = ["nan", "inf", "-inf", "-1", "x", "1e400", "0x10", "1,nan"]
    bad += [] if name in MAY_BE_0.split() else ["0"]
    bad += ["1.5"] if name in WHOLE.split() else []
    bad += ["1"] if name in SHARES.split() else []
    bad += [] if name == "seed" else ["9" * 25]
    for value in bad:
        a2("train-cnn", flag, value, "--dry-run").refused(2, flag)


def test_all_numbers_are_tried() -> None:
    numeric = {i.name for i in declared(TrainCnnSettings) if described(i)[0].split()[-1].startswith(("INT", "NUMBER"))}
    assert numeric == set(NUMBERS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian-cnn"], ("No such command 'trian-cnn'", "'train-cnn'")),
        (["--nosuch"], ("No such option: --nosuch",)),
        (["data", "get", "paintngs"], ("expected paintings", "'paintngs'")),
        (["data", "gte"], ("No such command 'gte'",)),
    ],
)
def test_commands_that_are_not_there(arguments: list[str], words: tuple[str, ...], a2: A2) -> None:
    a2(*arguments).refused(2, *words)


@pytest.mark.parametrize("device", ["quantum", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there(device: str, data: Path, train: A2, tmp_path: Path) -> None:
    train("--data", "set", "--device", device).refused(2, "--device", repr(device), "try auto or cpu")
    assert nothing_left(tmp_path)


def test_a_device_by_another_name(data: Path, train: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    for there, meant in ((False, ""), (True, "; did you mean cuda?")):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        said = f"--device: 'gpu' is no device, as cpu, cuda, cuda:1 and mps are{meant}; try auto or cpu\n"
        train("--data", "set", "--device", "gpu").refused(2, said)


# Presets

LAUGHS = "a: &a [ha, ha]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
PRESETS: dict[str, tuple[str | bytes, str]] = {
    "billion laughs": (LAUGHS, "aliases (*name) are not allowed"),
    "huge": ("# " + "x" * PRESET_BYTES, "at most"),
    "deep": ("[" * 30_000, "lists within lists"),
    "less deep": ("[" * 500, "lists within lists"),
    "key of two": ("[a, b]: 3", "not YAML"),
    "no number": ("epochs: !!int ''", "not YAML"),
    "no time": ("epochs: !!timestamp x", "not YAML"),
    "list": ("- epochs: 3", "got list"),
    "scalar": ("5", "got int"),
    "text": ("epochs 3", "got str"),
    "binary": (bytes(range(256)), "not YAML"),
    "empty": ("", "expected 'setting: value' lines"),
    "comment": ("# epochs: 3", "expected 'setting: value' lines"),
    "not UTF-8": ("about: 3 \xb5m".encode("latin-1"), "not YAML"),
    "two documents": ("epochs: 1\n---\nepochs: 2", "not YAML"),
    "code": ("epochs: !!python/object/apply:os.getpid []", "not YAML"),
    "other command": ("command: train-mlp\nepochs: 3", "'a2 train-mlp'"),
    "unknown key": ("epoch: 3", "unknown setting 'epoch'; did you mean 'epochs'?"),
    "a run option": ("resume: somewhere", "unknown setting 'resume'"),
    "key twice": ("epochs: 3\nseed: 1\nepochs: 4", "epochs is set twice"),
    "number as word": ("epochs: many", "epochs: expected a valid integer"),
    "number as yes": ("epochs: yes", "epochs: expected a number, got True"),
    "list of yes": ("hidden: [yes]", "hidden: expected a number"),
    "number as list": ("epochs: [1, 2]", "epochs: expected a valid integer"),
    "number as map": ("learning_rate: {high: 1}", "learning_rate: expected a valid number"),
    "number as nothing": ("epochs:", "epochs: expected a valid integer"),
    "fraction": ("epochs: 1.5", "epochs: expected a valid integer"),
    "nan": ("learning_rate: .nan", "learning_rate: expected a finite number"),
    "inf in a list": ("dropout: [0.1, .inf]", "dropout: expected a finite number"),
    "word as number": ("data: 5", "data: expected a valid string"),
    "word as no": ("pool: no", "pool: expected 'none', 'max' or 'average', got False"),
    "flag as word": ("skip_damaged: perhaps", "skip_damaged: expected a valid boolean"),
    "date": ("epochs: 2020-13-01", "not YAML: month"),
    "extends itself": ("extends: ./mine.yaml", "extends itself"),
    "extends nothing": ("extends: 1.4-dropuot", "did you mean '1.4-dropout'?"),
    "extends a list": ("extends: [1.4-dropout]", "unknown preset"),
    "does not fit": ("channels: [2, 2]\nstride: [1, 1, 1]", "--stride"),
}


@pytest.mark.parametrize("kind", PRESETS)
def test_presets_that_cannot_be_used(kind: str, a2: A2, tmp_path: Path) -> None:
    content, reason = PRESETS[kind]
    (tmp_path / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.monotonic()
    a2("train-cnn", "--preset", "mine.yaml", "--dry-run").refused(2, reason)
    assert time.monotonic() - began < 5, "a few kilobytes may not take long"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder.yaml", "is a folder"),
        ("dangling.yaml", "is a link that leads nowhere"),
        ("there/presett.yaml", "does not exist; did you mean 'there/preset.yaml'?"),
        ("ther/preset.yaml", "does not exist; did you mean 'there/preset.yaml'?"),
        ("there/preset.yaml/mine.yaml", "does not exist"),
        ("x" * 5000, "unknown preset"),
        ("x" * 5000 + ".yaml", "cannot be read (File name too long)"),
        ("", "unknown preset"),
    ],
)
def test_presets_that_are_no_files(name: str, reason: str, a2: A2, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "there").mkdir()
    (tmp_path / "there/preset.yaml").write_text("epochs: 3")
    a2("train-cnn", "--preset", name, "--dry-run").refused(2, "--preset", reason)

"""Flags and choices by other names: understood where the meaning is certain, else answered with the right one."""

import json
import re
import sys
from pathlib import Path

import pytest
from conftest import A2

from a2cli import commands, main
from a2cli.app.unknown_flags import instead_of
from a2cli.settings.declare import Declared
from a2cli.settings.flag_names import ANSWERED, UNDERSTOOD, also_understood

COMMANDS = {name: command.declared() for name, command in commands.COMMANDS.items()}


def plan(a2: A2, *arguments: str) -> dict[str, dict[str, object]]:
    ended = a2("train-cnn", *arguments, "--dry-run", "--json")
    assert ended.status == 0, ended.err
    settings: dict[str, dict[str, object]] = json.loads(ended.out)["settings"]
    return settings


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ("--lr 3", "learning_rate", 3.0),
        ("--LR 3", "learning_rate", 3.0),
        ("--wd 0.1", "weight_decay", 0.1),
        ("--bs 4", "batch_size", 4),
        ("--batch=4", "batch_size", 4),
        ("--learning_rate 3", "learning_rate", 3.0),
        ("--optim sgd", "optimizer", "sgd"),
        ("--opt SGD", "optimizer", "sgd"),
        ("--optimizer Adam", "optimizer", "adam"),
        ("--activation Leaky_ReLU", "activation", "leaky-relu"),
        ("--pool MAX", "pool", "max"),
        ("--hidden None", "hidden", []),
        ("--threads AUTO", "threads", 0),
        ("--device CPU", "device", "cpu"),
        ("--augment Flip,MixUp=0.3", "augment", ["flip", "mixup=0.3"]),
        ("--dropout 0.1 --dropout-at Hidden1", "dropout_at", ["hidden1"]),
        ("--statistics Texture,COLORS", "statistics", ["texture", "colors"]),
        ("--dataset Portraits", "data", "Portraits"),
    ],
)
def test_other_names_are_understood(flags: str, name: str, value: object, a2: A2) -> None:
    settings = plan(a2, *flags.split())
    assert settings[name]["value"] == value
    assert str(settings[name]["from"]).startswith("--")


def test_what_is_understood_is_a_setting_of_a_command() -> None:
    names = {item.name for items in COMMANDS.values() for item in items}
    assert set(UNDERSTOOD.values()) <= names
    assert not UNDERSTOOD.keys() & ANSWERED.keys()
    for items in COMMANDS.values():
        flags = [item.flag for item in items] + [flag for some in also_understood(items).values() for flag in some]
        assert len(flags) == len(set(flags))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train-cnn --gpu", "No such option: --gpu (did you mean --device cuda?); see 'a2 train-cnn --help'"),
        ("train-cnn --workers 3", "(did you mean --threads?)"),
        ("train-cnn --patience 3", "(did you mean --early-stopping or --plateau-patience?)"),
        ("train-cnn --adam", "(did you mean --optimizer adam?)"),
        ("train-cnn --mixup", "(did you mean --augment mixup?)"),
        ("train-cnn --ep 3", "(did you mean --epochs?)"),
        ("train-cnn -lr 3", "No such option: -lr (did you mean --learning-rate?)"),
        ("train-cnn -o x", "(did you mean --out?)"),
        ("train-cnn --dropuot 3", "(did you mean --dropout?)"),
        ("train-cnn --unit conv1,0,0", "(--unit is a flag of a2 receptive-field)"),
        ("predict --lr 3", "(--learning-rate is a flag of a2 train-cnn, a2 train-mlp, a2 compare-optimizers, ...)"),
        ("receptive-field --threads 1", "(--threads is a flag of a2 train-cnn, a2 train-mlp, a2 extract-features, ..."),
        ("data check --data x", "(it is given without a flag: a2 data check DATA)"),
        ("predict --image x.png", "(it is given without a flag: a2 predict IMAGE)"),
        ("train-cnn --nosuch", "No such option: --nosuch; see 'a2 train-cnn --help'"),
        ("data list", "No such command 'list'; see 'a2 data --help'"),
        ("data get --nosuch", "No such option: --nosuch; see 'a2 data get --help'"),
        ("--nosuch", "No such option: --nosuch; see 'a2 --help'"),
        (
            "train-cnn --model alexnet",
            "--model (for a network that is trained already, use a2 finetune --backbone alexnet)",
        ),
        ("train-cnn --model=ResNet18", "use a2 finetune --backbone resnet18)"),
        ("train-mlp --pretrained --epochs 3", "use a2 finetune --backbone alexnet)"),
        (
            "train-cnn --channels 16, 32",
            "'32' (lists are written with commas and without blanks, as --channels 16,32); see ",
        ),
        ("train-cnn --filters=16 32 64 --epochs 3", "as --channels 16,32,64); see "),
        ("compare-optimizers --optimizers adam sgd", "as --optimizers adam,sgd); see "),
        (
            "ablate -w hidden=none --without dropout=0 global-pool=none",
            "as --without dropout=0 --without global-pool=none)",
        ),
        (
            "train-cnn --augment flip crop",
            "(lists are written with commas and without blanks, as --augment flip,crop)",
        ),
        (
            "train-cnn --augment rotate 15",
            "'15' (strengths are written name=strength, lists with commas and without blanks, as --augment rotate=15)",
        ),
        ("finetune --augment crop 0.8 flip 0.5 --seed 1", "as --augment crop=0.8,flip=0.5); see "),
        ("train-cnn --augment flip rotate= 15", "as --augment flip,rotate=15); see "),
        ("train-cnn --augment rotate 15 20", "unexpected extra argument '15'; see "),
        ("train-cnn --augment rotate 999", "unexpected extra argument '999'; see "),
        ("train-cnn --augment flip nosuch", "unexpected extra argument 'nosuch'; see "),
        ("train-cnn --dropout-at conv1 nosuch", "unexpected extra argument 'nosuch'; see "),
        ("probe-invariance --run R --strengths rotate 10", "as --strengths rotate=10); see "),
        ("probe-invariance --run R --strengths rotate 10 20 blur 1", "as --strengths rotate=10/20,blur=1); see "),
        ("probe-invariance --run R --random brightness 0.5 1.5", "as --random brightness=0.5..1.5); see "),
        ("train-cnn --channels 16 none", "unexpected extra argument 'none'; see "),
        ("train-cnn PORTRAITS", "(did you mean --data PORTRAITS?); see "),
        ("train-cnn --data atelier portraits", "unexpected extra argument 'portraits'; see "),
        ("train-cnn 1.2-baseline", "(did you mean --preset 1.2-baseline?); see "),
        ("train-cnn nosuch", "unexpected extra argument 'nosuch'; see 'a2 train-cnn --help'"),
    ],
)
def test_other_names_are_answered(command: str, words: str, a2: A2) -> None:
    a2(*command.split()).refused(2, words)


def test_a_path_without_its_flag_is_answered(a2: A2, run: Path, data: Path) -> None:
    data.rename(data.parent / "el yazısı")
    a2("train-cnn", "el yazısı").refused(2, "'el yazısı' (did you mean --data 'el yazısı'?); see ")
    assert a2("train-cnn", "--data", "el yazısı", "--dry-run").status == 0
    for command in ("probe-invariance", "visualize-weights", "finetune"):
        a2(command, "run").refused(2, "(did you mean --run run?); see ")
        assert a2(command, "--run", "run", "--data", "el yazısı", "--dry-run").status == 0
    a2("visualize-weights", "el yazısı/ada/0.png").refused(2, "(did you mean --image 'el yazısı/ada/0.png'?)")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_flag_is_suggested_that_the_command_does_not_have(command: str) -> None:
    flags = {item.flag for item in COMMANDS[command]}
    unknown = [f"--{word}" for word in (*UNDERSTOOD, *ANSWERED, "adam", "mixup", "ep", "epoch", "dropuot", "vall")]
    for flag in unknown:
        meant = re.fullmatch(r" \(did you mean (.*)\?\)", instead_of(flag, command, COMMANDS))
        for words in meant[1].split(" or ") if meant else ():
            name, *value = words.split()
            assert name in flags, (flag, words)
            takes = next(item for item in COMMANDS[command] if item.flag == name)
            assert not value or takes_value(takes, value[0]), (flag, words)


def takes_value(item: Declared, value: str) -> bool:
    from a2cli.settings.options import checked

    checked(item, value, item.flag)
    return True


def test_a_preset_is_answered_by_the_settings_name(a2: A2, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("lr: 0.1\n")
    a2("train-cnn", "-p", "mine.yaml", "--dry-run").refused(2, "unknown setting 'lr'; did you mean 'learning_rate'?")


@pytest.mark.parametrize("command", ["", "data", *COMMANDS])
def test_help_is_whole_and_in_one_style(command: str, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = a2(*command.split(), "-h")
    lines = ended.out.splitlines()
    assert ended.status == 0
    assert lines[0].startswith(f"Usage: a2 {command}".rstrip())
    assert not [line for line in lines if line.rstrip().endswith("...") and not line.startswith(("Usage:", "  --"))]
    assert max(map(len, lines)) <= 80
    if command in COMMANDS:
        assert "Show the traceback of an error." in ended.out, "the commands' own help, not the parser's"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--lr", "0.1", "--lr", "0.2"], "--lr comes again; give it once"),
        (["--learning-rate", "0.1", "--lr=0.2"], "--learning-rate and --lr are the same setting; give it once"),
        (["--restore-best", "--no-restore-best"], "--restore-best and --no-restore-best are the same setting"),
    ],
)
def test_a_setting_is_given_once(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last one was taken without a word, whatever its name."""
    monkeypatch.setattr(sys, "argv", ["a2", "train-cnn", *flags, "--dry-run"])
    assert main.run_command() == 2
    assert said in capsys.readouterr().err


def test_what_takes_several_is_given_again(a2: A2) -> None:
    given = ["-p", "1.2-baseline", "--preset", "1.3-pooling", "--quiet", "--quiet", "--dry-run"]
    assert a2("train-cnn", *given).status == 0
    assert a2("ablate", "-w", "hidden=none", "--without", "dropout=0", "--dropout", "0.2", "--dry-run").status == 0

"""Settings: where they come from, what is checked, and that none is ignored in silence."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from a2cli.app.help import help_of
from a2cli.app.presets import preset_of
from a2cli.command_line.arguments import kind_of
from a2cli.errors import SettingsError
from a2cli.settings.declare import declared, flat
from a2cli.settings.options import checked
from a2cli.settings.presets import Resolved, preset_names, preset_value, resolve
from a2cli.settings.run_options import RunOptions
from a2cli.settings.training import TrainCnnSettings, TrainMlpSettings, augmentations
from a2cli.settings.transfer import ExtractFeaturesSettings
from a2cli.train.checks import check_training
from a2cli.transfer.checks import check_extraction

ALL = list(declared(TrainCnnSettings))


def resolved(flags: dict[str, Any] | None = None, *presets: str) -> Resolved[TrainCnnSettings]:
    return resolve(TrainCnnSettings, "train-cnn", presets, flags or {})


def test_a_share_to_validate_is_taken_in_the_place_of_a_presets_number(tmp_path: Path) -> None:
    (tmp_path / "share.yaml").write_text("extends: 1.2-baseline\nval_fraction: 0.3\n")
    (tmp_path / "number.yaml").write_text("extends: 1.2-baseline\nval_count: 7\n")
    share, number = str(tmp_path / "share.yaml"), str(tmp_path / "number.yaml")
    for flags, presets, expected in (
        ({}, ["1.2-baseline"], (0.2, 91, "preset 1.2-baseline")),
        ({"val_fraction": "0.4"}, ["1.2-baseline"], (0.4, None, "--val-fraction")),
        ({}, [share], (0.3, None, f"preset {share}")),
        ({}, ["1.2-baseline", share], (0.3, None, f"preset {share}")),
        ({}, [share, number], (0.2, 7, f"preset {number}")),
        ({"val_count": "5"}, [share], (0.3, 5, "--val-count")),
    ):
        found = resolved(flags, *presets)
        split = found.settings.split
        assert (split.val_fraction, split.val_count, found.sources["val_count"])[1:] == expected[1:], (flags, presets)
        assert presets == [share, number] or split.val_fraction == expected[0]


def test_the_last_wins_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("learning-rate: 2e-3\nbatch_size: 8\n")
    found = resolved({"batch_size": "4", "epochs": None}, "1.4-plateau", str(tmp_path / "mine.yaml"))
    values = flat(found.settings)
    expected = {
        "batch_size": (4, "--batch-size"),
        "learning_rate": (0.002, f"preset {tmp_path / 'mine.yaml'}"),
        "plateau_patience": (20, "preset 1.4-plateau"),
        "epochs": (150, "preset 1.4-plateau"),
        "label_smoothing": (0.0, "default"),
    }
    assert {name: (values[name], found.sources[name]) for name in expected} == expected


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.name)
def test_defaults_pass_their_own_check(item: Any) -> None:
    assert checked(item, item.default, item.flag) == item.default
    assert len(item.help) > 10
    assert item.help[0].isupper()
    assert item.help.endswith(".")


def test_every_setting_has_its_flag_in_the_help() -> None:
    text = help_of("train-cnn")
    for item in [*ALL, *declared(RunOptions)]:
        assert f"  {item.flag}" in text
    panels = [*dict.fromkeys(item.panel for item in ALL), "Run"]
    assert all(f"\n{panel}:\n" in text for panel in panels)
    narrow = help_of("train-cnn", width=80)
    assert max(map(len, narrow.splitlines())) <= 80


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_usable(name: str) -> None:
    from a2cli.models.cards import ModelCard
    from a2cli.models.zoo import build_network
    from a2cli.random_streams import Streams

    assert 10 < len(preset_of(name).about) < 100
    command = preset_value(name, "command", "train-cnn")
    if command == "extract-features":
        check_extraction(resolve(ExtractFeaturesSettings, command, [name], {}))
        return
    found = resolve(kind_of(command, [name], {}), command, [name], {})
    warnings = check_training(found)
    assert not [w for w in warnings if "acts only" in w], "a setting has no effect"
    settings = found.settings
    if isinstance(settings, TrainCnnSettings | TrainMlpSettings):
        augmentations(settings.dataset.augment)
        network, half = "convnet" if command == "train-cnn" else "mlp", (0.5,) * 3
        card = ModelCard(network, settings.network, ("a", "b"), settings.dataset.image_size, "squash", half, half)
        build_network(card, Streams(0))


BAD_VALUES = [
    ("epochs", "0"), ("epochs", "-3"), ("epochs", "2.5"), ("epochs", "many"), ("learning_rate", "nan"),
    ("learning_rate", "inf"),
    ("learning_rate", "0"), ("dropout", "1.0"), ("dropout", "0.2,nan"), ("val_fraction", "1"), ("momentum", "1"),
    ("channels", "16,0"), ("channels", ""), ("kernel_size", "3x3"), ("weight_decay", "-1e-5"), ("milestones", "none"),
    ("image_size", "2"), ("seed", "-1"), ("plateau_factor", "1"), ("label_smoothing", "-0.1"), ("pool", "maxx"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_a_bad_value_names_its_flag(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^--{name.replace('_', '-')}: expected .*, got ") as error:
        resolved({name: value})
    assert "\n" not in str(error.value)


def test_a_near_miss_is_answered_with_the_name() -> None:
    with pytest.raises(SettingsError, match="did you mean 'max'"):
        resolved({"pool": "maxx"})
    with pytest.raises(SettingsError, match=r"did you mean '1\.4-dropout'"):
        resolved({}, "1.4-droput")


IDLE: list[tuple[dict[str, str], str]] = [
    ({"momentum": "0.5"}, "acts only with --optimizer momentum or nesterov"),
    ({"pool_size": "3"}, "acts only with --pool max or average"),
    ({"plateau_patience": "3"}, "acts only with --scheduler plateau"),
    ({"gamma": "0.5", "scheduler": "cosine"}, "acts only with --scheduler step or multistep"),
    ({"dropout_at": "conv1"}, "acts only with --dropout above 0"),
    ({"val_fraction": "0.3", "val_count": "9"}, "does not act beside --val-count"),
    ({"monitor": "val-accuracy", "restore_best": False}, "acts only with --early-stopping"),
    ({"warmup_epochs": "50"}, "50 of 50 leave no other epoch"),
    ({"min_learning_rate": "1", "scheduler": "cosine"}, "is above the learning rate"),
    ({"milestones": "9,3", "scheduler": "multistep"}, "expected rising epochs"),
    ({"stride": "1,2,3"}, "expected 1 value or 2"),
    ({"dropout": "0.1,0.2"}, "expected 1 value or 3"),
    ({"dropout": "0.1", "dropout_at": "conv9"}, "expected names out of"),
    ({"image_size": "8"}, "shrinks to nothing at conv2"),
]


@pytest.mark.parametrize(("flags", "reason"), IDLE)
def test_a_flag_that_cannot_act_is_an_error(flags: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        check_training(resolved(flags))


WARNED: list[tuple[dict[str, Any], str]] = [
    ({"scheduler": "none"}, r"plateau_patience 20 \(preset 1.4-plateau\) acts only with"),
    ({"epochs": "15"}, "plateau_patience 20 reaches past the last of 15 epochs"),
    ({"early_stopping": "200"}, "early_stopping 200 cannot act in 150 epochs"),
    ({"kernel_size": "9", "padding": "6", "stride": "3"}, "more than the 50x50 image"),
]


@pytest.mark.parametrize(("flags", "warning"), WARNED)
def test_a_preset_that_cannot_act_is_a_warning(flags: dict[str, Any], warning: str) -> None:
    import re

    warnings = check_training(resolved(flags, "1.4-plateau"))
    assert any(re.search(warning, found) for found in warnings), warnings


@pytest.mark.parametrize("word", ["flipp", "flip=2", "rotate=-3", "crop=nan", "rotate=", "rotate=x"])
def test_bad_augmentations(word: str) -> None:
    if word == "rotate=":
        assert augmentations((word,)) == {"rotate": 15.0}
    else:
        with pytest.raises(SettingsError, match="--augment: expected"):
            augmentations((word,))


def test_dry_run_shows_every_setting_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "a2cli", "train-cnn", "--dry-run", "-p", "1.4-step", "--epochs", "60"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert {item.name for item in ALL} <= rows.keys()
    assert rows["epochs"].split() == ["epochs", "60", "--epochs"]
    assert "preset 1.4-step" in rows["step_size"]
    assert not list(tmp_path.iterdir())


def test_settings_are_frozen_and_unique() -> None:
    names = [item.name for item in [*ALL, *declared(RunOptions)]]
    assert len(set(names)) == len(names)
    assert all(field.name in {"dataset", "split", "network", "training"} for field in fields(TrainCnnSettings))

"""Building on a run's own network: where the head goes, and images that it was trained on held out again."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, draw_classes

from a2cli.models.freezing import before_last_linear, usual_layer
from a2cli.settings.transfer import BackboneSettings, PicturesSettings
from a2cli.transfer.backbone import find_backbone

SMALL = ["--image-size", "8", "--epochs", "2", "--threads", "1", "--device", "cpu", "--test-fraction", "0.2", "--quiet"]
CNN = ["train-cnn", "--channels", "2", "--kernel-size", "3", "--hidden", "6", *SMALL]
SEEN = "the backbone was trained on {} of the {} images held out here"


@pytest.fixture
def place(tmp_path: Path, a2: A2) -> Path:
    draw_classes(tmp_path / "set", count=20)
    assert a2(*CNN, "--data", "set", "--out", "own").status == 0
    return tmp_path


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return values


@pytest.mark.parametrize("command", [CNN, ["train-mlp", "--hidden", "6", *SMALL]], ids=["convnet", "mlp"])
def test_a_head_goes_in_the_place_of_a_networks_own_last_layer(command: list[str], tmp_path: Path, a2: A2) -> None:
    draw_classes(tmp_path / "set", count=20)
    assert a2(*command, "--data", "set", "--out", "own").status == 0
    graph = find_backbone(BackboneSettings(run=str(tmp_path / "own")), PicturesSettings()).graph
    behind = before_last_linear(graph, "")
    assert "hidden1" in behind and "output" not in (behind, usual_layer(graph, ""))


def test_finetuning_on_another_split_is_warned_of(place: Path, a2: A2) -> None:
    tune = ["finetune", "--run", "own", "--data", "set", "--stages", "head:1", "--threads", "1", "--device", "cpu",
            "--quiet", "--test-fraction", "0.2"]  # fmt: skip
    a2(*tune, "--out", "same").done()
    assert not [note for note in report(place / "same")["warnings"] if "trained on" in note]
    ended = a2(*tune, "--seed", "7", "--out", "other")
    [note] = [note for note in report(place / "other")["warnings"] if "trained on" in note]
    own, other = (set(_rows(place / name)) for name in ("own", "other"))
    assert note.startswith(SEEN.format(len(other - own), len(other)))
    assert ended.status == 0 and note in ended.err


def test_features_on_another_split_are_warned_of(place: Path, a2: A2) -> None:
    assert a2("extract-features", "--run", "own", "--data", "set", "--layer", "hidden1_relu", "--quiet").status == 0
    head = ["train-mlp", "--features", "features.safetensors", "--epochs", "1", "--threads", "1", "--device", "cpu",
            "--val-fraction", "0.2", "--test-fraction", "0.2", "--quiet"]  # fmt: skip
    a2(*head, "--out", "same").done()
    assert not [note for note in report(place / "same")["warnings"] if "trained on" in note]
    assert a2(*head, "--seed", "7", "--out", "other").status == 0
    assert [note for note in report(place / "other")["warnings"] if "the backbone was trained on" in note]


def test_other_images_are_new_to_it(place: Path, a2: A2) -> None:
    draw_classes(place / "more", count=12, side=12)
    tune = ["finetune", "--run", "own", "--data", "more", "--stages", "head:1", "--threads", "1", "--device", "cpu"]
    assert a2(*tune, "--seed", "7", "--quiet", "--out", "tuned").status == 0
    assert not [note for note in report(place / "tuned")["warnings"] if "trained on" in note]


def _rows(folder: Path) -> list[int]:
    """Return the rows that a run holds out."""
    from a2cli.command_line.arguments import training_of
    from a2cli.data.splits import split_of
    from a2cli.progress import NullReporter
    from a2cli.train.run import task_for

    settings = training_of("--run", str(folder))
    split = split_of(task_for(settings, (), NullReporter()).packed, settings)
    return [*split.val.tolist(), *split.test.tolist()]

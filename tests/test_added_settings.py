"""A setting that is added later: runs from before have the value that was, and nothing of theirs is trained anew."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import A2, TINY, contents, edit

from a2cli.ablate.run import Ablation
from a2cli.compare_optimizers.contenders import contenders_of, trial_settings
from a2cli.compare_optimizers.run import Comparison
from a2cli.compare_optimizers.settings import CompareSettings
from a2cli.settings import declare
from a2cli.settings.declare import completed, deciding, flat, setting
from a2cli.settings.presets import build
from a2cli.settings.training import DataSettings, SplitSettings, TrainCnnSettings
from a2cli.study.ledger import TrialKey, new_name
from a2cli.study.settings import trial_of

AddSetting = Callable[..., None]


@pytest.fixture
def add_setting(monkeypatch: pytest.MonkeyPatch) -> AddSetting:
    """Add a setting to a dataclass of settings, as a later version would."""

    def add(kind: type, name: str, default: str, **more: Any) -> None:
        added = setting(default, "Added later.", **more)
        added.name, added.type, added.kw_only = name, str, True
        added._field_type = next(iter(kind.__dataclass_fields__.values()))._field_type
        init = kind.__init__

        def with_it(self: Any, **values: Any) -> None:
            object.__setattr__(self, name, values.pop(name, default))
            init(self, **values)

        monkeypatch.setattr(kind, "__dataclass_fields__", {**kind.__dataclass_fields__, name: added})
        monkeypatch.setattr(kind, "__annotations__", {**kind.__annotations__, name: str})
        monkeypatch.setattr(kind, "__init__", with_it)
        monkeypatch.setattr(kind, name, default, raising=False)
        monkeypatch.setattr(declare, "_hints", declare._hints.__wrapped__)  # types are read once

    return add


def checkpoints(run: Path) -> dict[str, bytes]:
    return contents(run / "checkpoints")


def test_a_setting_added_later_has_the_value_from_before(add_setting: AddSetting) -> None:
    old, decided = flat(TrainCnnSettings()), deciding(TrainCnnSettings())
    add_setting(DataSettings, "later", "new way", before="old way")
    new = TrainCnnSettings()
    assert flat(new)["later"] == "new way"
    assert completed(TrainCnnSettings, old) == {**old, "later": "old way"}
    assert deciding(new) == {**decided, "later": "new way"}
    assert deciding(build(TrainCnnSettings, {"later": "old way"})) == decided


def test_resume_of_a_run_from_before_a_setting(a2: A2, run: Path, add_setting: AddSetting) -> None:
    """Its checkpoint is taken, no epoch is trained again, and the report has the value from before."""
    kept = checkpoints(run)
    add_setting(DataSettings, "later", "new way", before="old way")
    assert a2("train-cnn", "--resume", run, "--quiet").done() == run
    assert checkpoints(run) == kept
    report = json.loads((run / "report.json").read_text())
    assert report["config"]["later"] == "old way"
    assert [log["epoch"] for log in report["history"]["0"]] == [1, 2, 3]


def test_a_config_that_lost_a_setting_is_damaged(a2: A2, train: A2, data: Path, add_setting: AddSetting) -> None:
    """A run that had the setting is not taken for one from before it."""
    add_setting(DataSettings, "later", "new way", before="old way")
    run = train("--data", "set", "--out", "out").done()
    edit(run / "config.yaml", "later: new way\n", "")
    a2("train-cnn", "--resume", run, "--quiet").refused(
        3, "later is old way in config.yaml, but new way in report.json"
    )
    edit(run / "config.yaml", "batch_size: 16\n", "")
    a2("train-cnn", "--resume", run, "--quiet").refused(3, "config.yaml has lost batch_size)")


def test_config_yaml_of_before_a_setting_repeats_the_run(
    a2: A2, train: A2, data: Path, add_setting: AddSetting
) -> None:
    """A preset that a user wrote leaves out more, and means the defaults."""
    before = train("--data", "set").done()
    add_setting(DataSettings, "later", "new way", before="old way")
    again = train("-p", before / "config.yaml").done()
    assert "later: old way\n" in (again / "config.yaml").read_text()
    for command in (["train-cnn"], ["compare-optimizers"], ["ablate", "--without", "batch_size=4"]):
        listed = json.loads(a2(*command, "-p", before / "config.yaml", "--dry-run", "--json").out)["settings"]["later"]
        assert listed["value"] == "old way" and "from before there was this setting" in listed["from"]
    for text in ("test_fraction: 0.2", yaml.safe_dump(flat(SplitSettings()))):
        Path("own.yaml").write_text(f"command: train-cnn\n{text}\n")
        own = train("-p", "own.yaml", "--data", "set").done()
        assert "later: new way\n" in (own / "config.yaml").read_text()


TRIALS = {
    "compare-optimizers": ["--optimizers", "adam,sgd", "--tuning", "none", "--seeds", "2"],
    "ablate": ["--norm", "batch", "--without", "norm=none", "--seeds", "2"],
}


@pytest.mark.parametrize("command", TRIALS)
def test_trials_from_before_a_setting_are_not_run_again(
    command: str, a2: A2, data: Path, add_setting: AddSetting
) -> None:
    """Nor those that have another name, as versions before named them by all settings; further ones join them."""
    small = [*TINY[:-5], "--data", "set", "--device", "cpu"]
    more = ["--jobs", "1", "--quiet"]
    folder = a2(command, *small, *TRIALS[command], *more, "--out", "out").done()
    results = json.loads((folder / "report.json").read_text())["results"]
    first = next(path for path in sorted((folder / "trials").iterdir()))
    first.rename(first.with_name("named-otherwise"))
    trained = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/model/model.safetensors")}
    assert len(trained) == 4
    add_setting(DataSettings, "later", "new way", before="old way")
    assert a2(command, "--resume", folder, *more).done("finished before") == folder
    assert {p: p.stat().st_mtime_ns for p in folder.glob("trials/*/model/model.safetensors")} == trained
    again = json.loads((folder / "report.json").read_text().replace("named-otherwise", first.name))["results"]
    assert again == results
    assert a2(command, "--resume", folder, *more, "--seeds", "3").done() == folder
    after = {p: p.stat().st_mtime_ns for p in folder.glob("trials/*/model/model.safetensors")}
    assert trained.items() <= after.items() and len(after) == 6


def test_a_setting_added_later_renames_no_trial(add_setting: AddSetting) -> None:
    def names() -> list[str]:
        settings, key = CompareSettings(), TrialKey("adam", 0.01, 0)
        trial = trial_settings(settings, contenders_of(settings)[0], 0.01, 0, "cpu")
        ablated = trial_of(TrainCnnSettings(), 0, "cpu")
        return [new_name(Comparison.folders, key, trial), new_name(Ablation.folders, key, ablated)]

    before = names()
    add_setting(DataSettings, "later", "new way", before="old way")
    assert names() == before

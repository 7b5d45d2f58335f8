"""How often the test images were read: a `--final` that is killed and goes on counts once, whatever it trains."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, contents, draw_classes, sign

from a2cli.runs.directory import Run
from a2cli.train import run as train
from a2cli.training import loop, trial

CNN = "train-cnn --image-size 8 --channels 2 --kernel-size 3 --hidden none --epochs 2 --test-fraction 0.2 --data set"
COMMANDS = {
    "train-cnn": CNN,
    "seeds": f"{CNN} --seeds 2",
    "folds": f"{CNN} --folds 2",
    "train-mlp": "train-mlp --image-size 8 --hidden 2 --epochs 2 --data set --test-fraction 0.1",
    "features": "train-mlp --features base.safetensors --probe --epochs 2 --test-fraction 0.1",
    "finetune": "finetune --run base --layer conv1 --head-grid 1 --stages head:1@0.01 --data set --batch-size 8"
    " --test-fraction 0.1",
}
HERE = ["--threads", "1", "--device", "cpu", "--quiet"]
EVALUATE = loop.evaluate


class Killed(BaseException):
    """The process ends here."""


def killed_after(reports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the command once it has written so many reports."""
    left, write = [reports], Run.write_report

    def writing(self: Run, *arguments: Any) -> None:
        write(self, *arguments)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr(Run, "write_report", writing)


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_final_that_is_killed_and_goes_on_counts_once(
    kind: str, a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its first report, then after its second, and so on; once it is done, it can be read once more."""
    draw_classes(tmp_path / "set", count=10)
    monkeypatch.setattr(Run, "_save_drawing", lambda *_: None)
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(train, "cores", lambda: 1, raising=False)  # so that all reports are written in this process
    if kind in ("features", "finetune"):
        assert a2(*CNN.split(), *HERE, "--out", "base").status == 0
    if kind == "features":
        extract = "extract-features --run base --data set --layer conv1 --grid 1 --out base.safetensors"
        assert a2(*extract.split(), *HERE).status == 0
    command, *flags = COMMANDS[kind].split()
    begin = [command, *flags, *HERE, "--out", "out", "--final"]
    go_on = [command, "--resume", "out", "--final", "--quiet"]

    def is_done(reads: int) -> bool:
        path = tmp_path / "out/report.json"
        report = json.loads(path.read_text()) if path.exists() else {"status": "running"}
        probed = kind != "features" or report.get("transfer")
        return bool(report["status"] == "done" and report["test_reads"] == reads and probed)

    for reads in (1, 2):
        for session in range(1, 8):
            with monkeypatch.context() as patch:
                killed_after(session, patch)
                try:
                    assert a2(*begin).status == 0
                    break
                except Killed:
                    begin = go_on
                    if is_done(reads):
                        break
        assert session > 1 and is_done(reads)
        runs = json.loads((tmp_path / "out/report.json").read_text())["results"]["runs"]
        assert all(run["test"]["count"] > 1 for run in runs)


@pytest.mark.parametrize("kind", ["train-cnn", "train-mlp"])
def test_final_reads_the_test_images_once(kind: str, a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_classes(tmp_path / "set", count=10)
    command, *flags = COMMANDS[kind].split()
    evaluated: list[int] = []
    monkeypatch.setattr(loop, "evaluate", lambda model, data, *rest: evaluated.append(len(data.labels)) or EVALUATE(
        model, data, *rest))  # fmt: skip
    assert a2(command, *flags, *HERE, "--test-fraction", "0.3", "--final", "--out", "out").status == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert 6 not in evaluated, "the test is not read while training"
    assert (report["test_reads"], report["test_curve_reads"]) == (1, 0)
    assert {log["test_accuracy"] for log in report["history"]["0"]} == {None}
    assert report["results"]["runs"][0]["test"]["count"] == 6


def test_a_curve_on_the_test_images_is_asked_for_said_and_counted(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    flags = [*CNN.split(), *HERE[:-1], "--epochs", "3", "--test-curve"]
    ended = a2(*flags, "--final", "--out", "out")
    folder = tmp_path / "out"
    report = json.loads((folder / "report.json").read_text())
    assert "warning: --test-curve: the test images are read after every epoch" in ended.err
    assert any("--test-curve" in text for text in report["warnings"])
    assert (report["test_reads"], report["test_curve_reads"]) == (1, 3)
    curve = [log["test_accuracy"] for log in report["history"]["0"]]
    assert None not in curve and len(curve) == 3
    assert "test, read 4 times" in ended.out
    kept = report["results"]["runs"][0]
    assert curve[kept["kept_epoch"] - 1] == kept["test"]["value"]
    again = a2("train-cnn", "--resume", "out", "--final", "--quiet").done("--test-curve")
    report = json.loads((again / "report.json").read_text())
    assert (report["test_reads"], report["test_curve_reads"]) == (2, 3)


def test_where_a_test_curve_cannot_be(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    without_test = [word for word in CNN.split() if word not in ("--test-fraction", "0.2")]
    ended = a2(*without_test, *HERE, "--test-curve")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.endswith("error: --test-curve: set has no test images; hold some out with --test-fraction\n")
    finetuning = "finetune --backbone resnet18 --weights none --data set --test-curve"
    a2(*finetuning.split()).refused(2, "--test-curve: acts in train-cnn and train-mlp only")
    a2("compare-optimizers", "--data", "set", "--test-curve").refused(2, "--test-curve: a comparison reads no test")
    a2("ablate", "--data", "set", "--test-curve", "-w", "dropout=0.5").refused(
        2, "--test-curve: an ablation reads no test"
    )


@pytest.mark.parametrize("kind", ["damaged", "gone"])
def test_a_finished_run_without_its_last_checkpoint_keeps_its_report(kind: str, a2: A2, tmp_path: Path) -> None:
    """Training again would test other weights than the report's, so --final is refused and nothing is lost."""
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--out", "out").status == 0
    newest = max((tmp_path / "out/checkpoints").glob("*.json"))
    for path in (tmp_path / "out/checkpoints").iterdir():
        if kind == "gone":
            path.unlink()
        elif path.stem == newest.stem:
            path.write_bytes(path.read_bytes()[:-9])
    before = contents(tmp_path / "out")
    ended = a2("train-cnn", "--resume", "out", "--final", "--quiet")
    assert ended.status == 3 and ended.err.count("error: ") == 1 and "out/checkpoints" in ended.err
    assert contents(tmp_path / "out") == before
    assert a2("train-cnn", "--resume", "out", "--quiet").status == 0


def test_a_test_that_was_read_is_not_lost_when_drawing_is_interrupted(
    a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_classes(tmp_path / "set", count=10)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trial, "draw_run", stopped)
        ended = a2(*CNN.split(), *HERE, "--final", "--out", "out")
    assert ended.status == 130 and "go on with: a2 train-cnn --resume out --final\n" in ended.err
    read = json.loads((tmp_path / "out/report.json").read_text())
    assert read["status"] == "interrupted" and read["results"]["runs"][0]["test"]
    ended = a2("train-cnn", "--resume", "out", "--quiet")  # without --final, which goes on all the same
    assert ended.status == 0 and "going on with --final" in ended.err
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["status"], report["test_reads"]) == ("done", 1)
    assert report["results"]["runs"][0]["test"] == read["results"]["runs"][0]["test"]


@pytest.mark.parametrize("kind", ["train-cnn", "seeds"])
def test_a_test_that_was_never_read_has_no_result(kind: str, a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*COMMANDS[kind].split(), *HERE, "--final", "--out", "out").status == 0
    path = tmp_path / "out/report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "test_reads": 0}))
    sign(path)
    a2("train-cnn", "--resume", "out", "--quiet").refused(3, "test_reads is 0, but 1 or more by results.runs")


def test_a_report_that_is_gone_took_the_count_with_it(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--final", "--out", "out").status == 0
    (tmp_path / "out/report.json").unlink()
    ended = a2("train-cnn", "--resume", "out", "--quiet")
    words = "out/report.json is gone, and with it how often the test images were read"
    assert ended.status == 0 and f"warning: {words}\n" in ended.err
    assert words in json.loads((tmp_path / "out/report.json").read_text())["warnings"]
    assert a2("train-cnn", "--resume", "out", "--final", "--quiet").status == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["test_reads"] == 1 and report["warnings"].count(words) == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("gone", ["report.json", "."])
def test_a_seed_that_is_gone_is_tested_again(gone: str, jobs: str, a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--seeds", "2", "--jobs", "1", "--final", "--out", "out").status == 0
    whole = json.loads((tmp_path / "out/report.json").read_text())
    if gone == ".":
        shutil.rmtree(tmp_path / "out/seeds/1")
    else:
        (tmp_path / "out/seeds/1" / gone).unlink()
    ended = a2("train-cnn", "--resume", "out", "--jobs", jobs, "--quiet")
    assert ended.status == 0, ended.err
    assert "seed 1: its test images are read again, as out/report.json has a result on them" in ended.err
    again = json.loads((tmp_path / "out/report.json").read_text())
    assert [one["test"] for one in again["results"]["runs"]] == [one["test"] for one in whole["results"]["runs"]]
    assert again["results"]["verdict"] == whole["results"]["verdict"] and again["test_reads"] == 1
    ended = a2("train-cnn", "--resume", "out", "--quiet")
    assert ended.status == 0 and "finished before, and agrees" in ended.err, ended.err


def test_a_dry_run_with_final_needs_test_images(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    dry = ["train-cnn", "--data", "set", "--final", "--dry-run"]
    for flags in ([], ["--folds", "2"]):
        a2(*dry, *flags).refused(2, "--final: set has no test images; hold some out with --test-fraction")
    assert a2(*dry, "--test-fraction", "0.2").status == 0
    (tmp_path / "set").rename(tmp_path / "train")
    draw_classes(tmp_path / "test", count=2)
    (tmp_path / "set").mkdir()
    for part in ("train", "test"):
        (tmp_path / part).rename(tmp_path / "set" / part)
    assert a2(*dry).status == 0


def test_a_test_that_only_some_seeds_read_is_no_result_of_all(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--seeds", "2", "--jobs", "1", "--final", "--out", "out").status == 0
    (tmp_path / "out/report.json").unlink()
    (tmp_path / "out/seeds/1/report.json").unlink()
    assert a2("train-cnn", "--resume", "out", "--jobs", "1", "--quiet").status == 0
    verdict = json.loads((tmp_path / "out/report.json").read_text())["results"]["verdict"]
    assert "Only 1 of 2 runs read the sealed test images: --final reads them." in verdict
    assert "Accuracy on the sealed" not in verdict


@pytest.mark.slow
def test_data_that_lies_elsewhere_now(a2: A2, tmp_path: Path) -> None:
    """A grader has it in another folder: the run keeps its name for it, and is held to its fingerprint."""
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--seeds", "2", "--jobs", "1", "--out", "out").status == 0
    reports = [tmp_path / "out/report.json", *(tmp_path / "out").glob("seeds/*/report.json")]
    before = [path.read_bytes() for path in reports]
    shutil.move(tmp_path / "set", tmp_path / "given")
    resumed = ["train-cnn", "--resume", "out", "--quiet"]
    a2(*resumed).refused(3, "named 'set'", "or say where it lies now with --data")
    assert a2(*resumed, "--data", "given").status == 0
    assert [path.read_bytes() for path in reports] == before
    assert a2(*resumed, "--data", "given", "--final", "--jobs", "2").status == 0
    report = json.loads(reports[0].read_text())
    assert (report["config"]["data"], report["data"]["source"], report["test_reads"]) == ("set", "set", 1)
    next((tmp_path / "given").glob("*/*")).unlink()
    a2(*resumed, "--data", "given").refused(3, "trained on other data")


def test_a_finished_stage_is_not_trained_again_for_the_test(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--out", "base").status == 0
    assert a2(*COMMANDS["finetune"].split(), *HERE, "--out", "out").status == 0
    (tmp_path / "out/stages/1-head/report.json").unlink()
    before = (tmp_path / "out/report.json").read_bytes()
    a2("finetune", "--resume", "out", "--final", "--quiet").refused(3, "out/stages/1-head", "put it back")
    assert (tmp_path / "out/report.json").read_bytes() == before


def test_seeds_that_were_stopped_in_their_probes_get_them(
    a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*CNN.split(), *HERE, "--out", "base").status == 0
    extract = "extract-features --run base --data set --layer conv1 --grid 1 --out base.safetensors"
    assert a2(*extract.split(), *HERE).status == 0

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    command = [*COMMANDS["features"].split(), *HERE, "--seeds", "2", "--jobs", "1", "--out", "out"]
    with monkeypatch.context() as patch:
        patch.setattr("a2cli.transfer.on_features.Features._probes", stopped)
        assert a2(*command).status == 130
    assert a2("train-mlp", "--resume", "out", "--jobs", "1", "--quiet").status == 0
    reports = [json.loads(path.read_text()) for path in sorted((tmp_path / "out").glob("seeds/*/report.json"))]
    assert [bool(report["transfer"]["probes"]) for report in reports] == [True, True]

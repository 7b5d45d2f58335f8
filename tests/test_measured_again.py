"""A finished run that is resumed is measured again: numbers forged so that they agree with each other are noticed."""

import json
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, TINY, contents, draw_classes, once, sign
from PIL import Image
from test_edited_numbers import one, rewrite

from a2cli import main
from a2cli.command_line.arguments import training_of
from a2cli.reports.report import Report, read_report
from a2cli.reports.training_results import CalibrationBin, TrainingResult, TrainingResults
from a2cli.reports.transfer_results import OWN_HEAD
from a2cli.runs.directory import Run
from a2cli.settings.kinds import split_into_runs
from a2cli.statistics.intervals import wilson
from a2cli.train.over_runs import over_runs
from a2cli.training.by_class import BINS, balanced_accuracy, calibration_error, class_score, macro_f1
from a2cli.training.verdict import training_verdict

CLASSES = ("ada", "bea", "cleo")
RUN = [*TINY, "--data", "set", "--epochs", "2", "--final"]
HEAD = ["--batch-size", "8", "--test-fraction", "0.2", "--threads", "1", "--device", "cpu", "--quiet"]
TUNE = ["finetune", "--backbone", "squeezenet1_1", "--weights", "none", "--image-size", "32", "--data", "set", *HEAD,
        "--layer", "features.12", "--head-grid", "1", "--stages", "head:1@0.01 features.12+:1@0.001",
        "--final"]  # fmt: skip


def given(root: Path) -> Path:
    """Draw a set with parts of its own; four test images a class are also among those for training."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 10), ("test", 8)):
        for label, name in enumerate(CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 100, (10, 10, 3)) + 50 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
            for i in range(4 * (part == "test")):
                shutil.copy(root / "train" / name / f"{i}.png", folder / f"again-{i}.png")
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of each training command, all with their test."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        for drawn in ("training.trial", "transfer.finetune"):
            patch.setattr(f"a2cli.{drawn}.draw_run", lambda *_: None)
        given(place / "given")
        draw_classes(place / "set", CLASSES, count=20)
        for command in (
            ["train-cnn", *RUN, "--data", "given", "--test-curve", "--out", "cnn"],
            ["train-mlp", *HEAD, "--epochs", "2", "--data", "set", "--image-size", "8", "--hidden", "4", "--final",
             "--out", "mlp"],
            ["train-cnn", *RUN, "--test-fraction", "0.2", "--seeds", "2", "--jobs", "1", "--out", "seeds"],
            ["extract-features", "--backbone", "squeezenet1_1", "--weights", "none", "--image-size", "32", "--data",
             "set", "--layer", "features.12", "--grid", "1", "--threads", "1", "--device", "cpu", "--quiet"],
            ["train-mlp", "--features", "features.safetensors", "--probe", *HEAD, "--epochs", "2", "--final",
             "--out", "head"],
            [*TUNE, "--out", "tuned"],
        ):  # fmt: skip
            patch.setattr(sys, "argv", ["a2", *once(command)])
            assert main.run_command() == 0, command
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


KINDS = {"cnn": "train-cnn", "mlp": "train-mlp", "seeds": "train-cnn", "head": "train-mlp", "tuned": "finetune"}


def refuses(place: Path, a2: A2, run: str, *words: str) -> None:
    refused_before = contents(place / run)
    ended = a2(KINDS[run], "--resume", run, "--quiet")
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert (ended.status, ended.out, len(errors)) == (3, "", 1), ended
    for word in words:
        assert word in errors[0]
    assert contents(place / run) == refused_before


def all_right(result: TrainingResult) -> TrainingResult:
    """Return a result with every test image correct, and all that follows from it."""
    assert result.test is not None
    judged = result.judged
    assert judged.part == "test"
    counts = {name: sum(row.values()) for name, row in judged.confusion.items()}
    scores = [class_score(one.name, counts[one.name], counts[one.name], counts[one.name]) for one in judged.classes]
    bins = [CalibrationBin(one.low, one.high, one.count, one.confidence, 1.0) for one in judged.calibration]
    left = result.test_without_duplicates
    return replace(
        result,
        test=wilson(result.test.count, result.test.count),
        test_without_duplicates=left and wilson(left.count, left.count),
        judged=replace(
            judged,
            classes=scores,
            confusion={name: {name: count} for name, count in counts.items()},
            macro_f1=macro_f1(scores),
            balanced_accuracy=balanced_accuracy(scores),
            calibration=bins,
            calibration_error=calibration_error(bins),
            most_wrong=[],
        ),
    )


def forge(folder: Path, change: Callable[[TrainingResult], TrainingResult] = all_right) -> Report:
    """Rewrite the report of one run so that all in it agrees."""
    report, settings = read_report(folder), training_of("--run", str(folder))
    assert report is not None and isinstance(report.results, TrainingResults)
    result = change(report.results.runs[0])
    verdict = training_verdict([result], [*report.history.values()], settings)
    report = replace(report, results=replace(report.results, runs=[result], verdict=verdict))
    if report.transfer:
        probes = [replace(one, test=result.test) if one.answer == OWN_HEAD else one for one in report.transfer.probes]
        report = replace(report, transfer=replace(report.transfer, probes=probes))
    Run(folder).write_report(report)
    return report


@pytest.mark.parametrize("run", ["cnn", "mlp", "head", "tuned"])
def test_a_test_forged_throughout_is_refused(run: str, place: Path, a2: A2) -> None:
    before = one(json.loads((place / run / "report.json").read_text()))["test"]
    assert before["correct"] < before["count"] - 2
    forge(place / run)
    said, got = (f"{right} of {before['count']}" for right in (before["count"], before["correct"]))
    words = f"results.runs[0].test is {said}, but {got} by its weights on the same images"
    refuses(place, a2, run, f"{run}/report.json: {words}")


def test_a_seed_forged_with_the_whole_is_refused(place: Path, a2: A2) -> None:
    settings = training_of("--run", str(place / "seeds"))
    folders = [*split_into_runs(settings)]
    forged = {name: forge(place / "seeds" / name) for name in folders}
    whole, of_all = read_report(place / "seeds"), over_runs(settings, forged)
    assert whole is not None
    Run(place / "seeds").write_report(replace(whole, results=of_all.results, history=of_all.history))
    refuses(place, a2, "seeds", "seeds/seeds/0/report.json: results.runs[0].test is ", "by its weights")


@pytest.mark.parametrize("run", KINDS)
def test_what_was_not_edited_is_taken_without_a_word(run: str, place: Path, a2: A2) -> None:
    """And the test counts as read once, as before."""
    before = contents(place / run)
    ended = a2(KINDS[run], "--resume", run, "--quiet")
    assert ended.status == 0, ended.err
    assert "by the data" not in ended.err and "weights get" not in ended.err and "not measured" not in ended.err
    assert contents(place / run) == before
    assert json.loads((place / run / "report.json").read_text())["test_reads"] == 1


def other_classes(result: TrainingResult) -> TrainingResult:
    """Return a result with the answers to two classes exchanged: as many are right."""
    rows = dict(result.judged.confusion)
    names = [one.name for one in result.judged.classes]
    swap = dict(zip(names, [*names[1:], names[0]], strict=True))
    confusion = {swap[truth]: {swap[answer]: n for answer, n in row.items()} for truth, row in rows.items()}
    judged = replace(result.judged, confusion=confusion)
    matrix = judged.matrix
    scores = [class_score(name, sum(matrix[i]), sum(row[i] for row in matrix), matrix[i][i])
              for i, name in enumerate(names)]  # fmt: skip
    wrong = [replace(one, truth=swap[one.truth], answer=swap[one.answer]) for one in judged.most_wrong]
    measures = {"macro_f1": macro_f1(scores), "balanced_accuracy": balanced_accuracy(scores)}
    return replace(result, judged=replace(judged, classes=scores, most_wrong=wrong, **measures))


def surer(result: TrainingResult) -> TrainingResult:
    """Return a result whose probabilities are all as large as its accuracy."""
    assert result.test is not None
    value, low = result.test.value, math.floor(BINS * result.test.value)
    bins = [CalibrationBin(low / BINS, (low + 1) / BINS, result.test.count, value, value)]
    judged = replace(result.judged, calibration=bins, calibration_error=calibration_error(bins))
    return replace(result, judged=judged)


def other_image(result: TrainingResult) -> TrainingResult:
    first, *rest = result.judged.most_wrong
    return replace(result, judged=replace(result.judged, most_wrong=[replace(first, image="train/ada/0.png"), *rest]))


def better_without(result: TrainingResult) -> TrainingResult:
    assert result.test_without_duplicates is not None
    count = result.test_without_duplicates.count
    return replace(result, test_without_duplicates=wilson(count, count))


FORGED: dict[str, tuple[Callable[[TrainingResult], TrainingResult], str]] = {
    "classes": (other_classes, "results.runs[0].judged.confusion: "),
    "calibration": (surer, "results.runs[0].judged.calibration: mean confidence is "),
    "mistakes": (other_image, "results.runs[0].judged.most_wrong[0] is train/ada/0.png"),
    "without duplicates": (better_without, "results.runs[0].test_without_duplicates is 24 of 24, but "),
    "no duplicates": (lambda one: replace(one, test_without_duplicates=None),
                      "results.runs[0].test_without_duplicates is null, but "),
    "parameters": (lambda one: replace(one, parameters=7), "results.runs[0].parameters is 7, but "),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_said_of_the_test_is_measured_again(kind: str, place: Path, a2: A2) -> None:
    change, words = FORGED[kind]
    forge(place / "cnn", change)
    refuses(place, a2, "cnn", words)


DATA: dict[str, tuple[dict[str, Any], str]] = {
    "source": ({"source": "imagenet"}, "data.source is imagenet, but given by the data"),
    "identical": ({"identical": []}, "data.identical is [], but "),
    "near": ({"near_duplicate_pairs": 99}, "data.near_duplicate_pairs is 99, but "),
    "constant": ({"constant": ["a.png"]}, "data.constant is "),
    "scaling": ({"scaling": "3 of 9 images have more than 8 bits"}, "data.scaling is "),
    "classes": ({"classes": {"ada": 99, "bea": 99, "cleo": 99}}, "data.classes.ada is 99, but 34 by the data"),
}


@pytest.mark.parametrize("kind", DATA)
def test_what_is_said_of_the_data_is_derived_again(kind: str, place: Path, a2: A2) -> None:
    change, words = DATA[kind]
    rewrite(place / "cnn/report.json", lambda r: r["data"].update(change))
    refuses(place, a2, "cnn", "cnn/report.json: ", words)


def test_a_report_that_lacks_a_field_of_the_data_is_taken(place: Path, a2: A2) -> None:
    def earlier(report: dict[str, Any]) -> None:
        for name in ("identical", "passed_over", "constant", "near_duplicates", "near_duplicate_pairs"):
            del report["data"][name]
        del one(report)["test_without_duplicates"]

    rewrite(place / "cnn/report.json", earlier)
    assert a2("train-cnn", "--resume", "cnn", "--quiet").status == 0


def test_files_put_beside_the_images_since_are_warned_of(place: Path, a2: A2) -> None:
    """They change no result."""
    (place / "given/train/ada/notes.txt").write_text("seen")
    ended = a2("train-cnn", "--resume", "cnn", "--quiet")
    assert ended.status == 0, ended.err
    assert 'cnn/report.json: data.passed_over is {}, but {".txt": 1} by the data' in ended.err


def test_data_and_runs_that_moved_go_on(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "moved").mkdir()
    for name in ("given", "cnn"):
        shutil.move(place / name, place / "moved" / name)
    monkeypatch.chdir(place / "moved")
    assert a2("train-cnn", "--resume", "cnn", "--quiet").status == 0


def test_features_that_lie_elsewhere_now(place: Path, a2: A2) -> None:
    before = contents(place / "head")
    shutil.move("features.safetensors", "elsewhere.safetensors")
    resume = ["train-mlp", "--resume", "head", "--quiet"]
    assert a2(*resume).status == 3
    assert a2(*resume, "--features", "elsewhere.safetensors").done("NOT PRETRAINED", "agrees with what was measured")
    assert contents(place / "head") == before
    draw_classes(place / "others", CLASSES)
    extract = ["extract-features", "--run", "cnn", "--layer", "conv1", "--grid", "1", "--data", "others", "--quiet"]
    assert a2(*extract, "--out", "other.safetensors").status == 0
    a2(*resume, "--features", "other.safetensors").refused(3, "trained on other data (data: fingerprint ")


EDITED = {  # what is done to a finished run's report, and what is wrong in it then
    "no results": (lambda report: report.update(results=None), "status: done, but there are no results"),
    "two runs": (lambda report: report["results"]["runs"].append(one(report)), "history: of 1, but results.runs are 2"),
    "several": (
        lambda report: report["results"].update(val={"mean": 0.9, "deviation": 0.01, "low": 0.8, "high": 1, "n": 2}),
        "results.val: of several runs, but there is one",
    ),
}


@pytest.mark.parametrize("edit", EDITED)
def test_a_finished_run_whose_report_contradicts_itself(edit: str, place: Path, a2: A2) -> None:
    change, words = EDITED[edit]
    rewrite(place / "cnn/report.json", change)
    a2("train-cnn", "--resume", "cnn", "--quiet").refused(3, f"cnn/report.json: not a report of a2's ({words})")
    a2("report", "cnn").refused(3, words)
    a2("predict", "--run", "cnn", "given/test/ada/0.png").refused(3, words)
    assert "damaged" in a2("runs", "cnn").out


def test_a_run_has_as_many_results_as_its_settings_say(place: Path, a2: A2) -> None:
    def doubled(report: dict[str, Any]) -> None:
        report["results"]["runs"].append(one(report))
        report["history"]["1"] = report["history"]["0"]

    rewrite(place / "cnn/report.json", doubled)
    a2("train-cnn", "--resume", "cnn", "--quiet").refused(3, "results.runs is 2 of them, but 1 of them by config.yaml")


def keep_card(run: Path, card: dict[str, Any]) -> None:
    """Write a network's card, with its SHA-256 there and in the report."""
    path = run / "model/model.json"
    path.write_text(json.dumps(card))
    sign(path)
    digest = json.loads(path.read_text())["state_sha256"]
    rewrite(run / "report.json", lambda report: one(report).update(card_sha256=digest))


@pytest.mark.parametrize("run", ["cnn", "head", "tuned"])
def test_classes_in_another_order_are_refused(run: str, place: Path, a2: A2) -> None:
    """In the card and in all that the report says of classes: predict would call each class by another's name."""
    card = json.loads((place / run / "model/model.json").read_text())
    names = card["class_names"][::-1]

    def reverse(report: dict[str, Any]) -> None:
        report["data"]["classes"] = {name: report["data"]["classes"][name] for name in names}

    rewrite(place / run / "report.json", reverse)
    keep_card(place / run, {**card, "class_names": names})
    refuses(place, a2, run, f"{run}/model/model.json: class_names is ", "by the settings and the data")


def test_seeds_that_read_the_test_more_often_than_all_together_are_refused(place: Path, a2: A2) -> None:
    for seed in (0, 1):
        rewrite(place / f"seeds/seeds/{seed}/report.json", lambda r: r.update(test_reads=5))
    refuses(place, a2, "seeds", "seeds/report.json: test_reads is 1, but 4 or more by the reports in seeds/seeds")


def test_another_backbone_on_the_card_is_refused(place: Path, a2: A2) -> None:
    """Though the report agrees with it."""
    card = json.loads((place / "tuned/model/model.json").read_text())
    keep_card(place / "tuned", {**card, "trunk": {**card["trunk"], "layer": "features.11"}})
    rewrite(place / "tuned/report.json", lambda r: r["transfer"]["backbone"].update(layer="features.11"))
    said = "trunk.layer is features.11, but features.12 by the settings and the data"
    refuses(place, a2, "tuned", said)


@pytest.mark.parametrize(
    "change",
    [{"learned": ["head", "all"]}, {"frozen": []}, {"learned_parameters": 5}, {"frozen_parameters": 5}],
    ids=lambda change: next(iter(change)),
)
def test_what_a_stage_learned_is_derived_again(change: dict[str, Any], place: Path, a2: A2) -> None:
    rewrite(place / "tuned/report.json", lambda r: r["transfer"]["stages"][0].update(change))
    refuses(place, a2, "tuned", f"transfer.stages[0].{next(iter(change))}", "model/")


@pytest.mark.parametrize("run", ["cnn", "head"])
@pytest.mark.parametrize("name", ["mean", "std"])
def test_an_edited_normalization_is_refused(name: str, run: str, place: Path, a2: A2) -> None:
    path = place / run / "model/model.json"
    card = json.loads(path.read_text())
    card[name] = [0.9 * value for value in card[name]]
    keep_card(place / run, card)
    refuses(place, a2, run, f"{run}/model/model.json: {name} is ", "by the settings and the data")


def test_an_edited_normalization_changes_what_is_measured(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a2cli.train.recheck_network._in_card", lambda *_: [])
    path = place / "cnn/model/model.json"
    card = json.loads(path.read_text())
    keep_card(place / "cnn", {**card, "mean": [5.0, 5.0, 5.0]})
    refuses(place, a2, "cnn", "by its weights on the same images")


def test_readings_by_the_curve_follow_from_the_epochs(place: Path, a2: A2) -> None:
    rewrite(place / "cnn/report.json", lambda r: r.update(test_curve_reads=0))
    refuses(place, a2, "cnn", "test_curve_reads is 0, but 2 by history")


def test_random_weights_called_pretrained_are_refused(place: Path, a2: A2) -> None:
    def pretrained(report: dict[str, Any]) -> None:
        report["transfer"]["backbone"].update(weights="imagenet", pretrained=True, sha256="1" * 64)
        report["warnings"] = []

    path = place / "tuned/report.json"
    kept = path.read_bytes()
    rewrite(path, pretrained)
    refuses(place, a2, "tuned", "transfer.backbone.pretrained is true, but false by config: ", "--weights none")
    path.write_bytes(kept)
    rewrite(path, lambda r: r.update(warnings=[]))
    refuses(place, a2, "tuned", "tuned/report.json: warnings is without this one, but NOT PRETRAINED: ")


def test_a_backbone_is_held_to_the_card(place: Path, a2: A2) -> None:
    rewrite(place / "head/report.json", lambda r: r["transfer"]["backbone"].update(backbone="alexnet"))
    refuses(place, a2, "head", "transfer.backbone.backbone is alexnet, but squeezenet1_1 by head/model/model.json")


def test_the_probe_of_the_runs_own_head_is_its_result(place: Path, a2: A2) -> None:
    def better(report: dict[str, Any]) -> None:
        (probe,) = (one for one in report["transfer"]["probes"] if one["answer"] == "this run's head")
        probe["test"] = asdict(wilson(probe["test"]["count"], probe["test"]["count"]))

    rewrite(place / "head/report.json", better)
    refuses(place, a2, "head", "transfer.probes[0].test.correct is ", " by results.runs[0].test")


def test_a_stage_is_measured_again(place: Path, a2: A2) -> None:
    forge(place / "tuned/stages/1-head", other_classes)
    refuses(place, a2, "tuned", "tuned/stages/1-head/report.json: results.runs[0].judged.confusion: ", "its weights")


STAGES: Sequence[tuple[str, Any, str]] = [
    ("learning_rate", 0.5, "transfer.stages[1].learning_rate is 0.5, but 0.001 by config: --stages"),
    ("stage", "all", "transfer.stages[1].stage is all, but features.12+ by config: --stages"),
]


@pytest.mark.parametrize(("name", "value", "words"), STAGES)
def test_stages_are_held_to_the_settings(name: str, value: Any, words: str, place: Path, a2: A2) -> None:
    rewrite(place / "tuned/report.json", lambda r: r["transfer"]["stages"][1].update({name: value}))
    refuses(place, a2, "tuned", words)


def test_a_network_that_is_gone_is_warned_of(place: Path, a2: A2) -> None:
    (place / "cnn/model/model.safetensors").unlink()
    ended = a2("train-cnn", "--resume", "cnn", "--quiet")
    assert ended.status == 0, ended.err
    assert "cnn/model/model.safetensors: not there, so the results in report.json are not measured again" in ended.err
    assert ended.err.endswith("finished before; its results were not measured again; nothing is left to train\n")
    (place / "seeds/seeds/1/model/model.safetensors").unlink()
    ended = a2("train-cnn", "--resume", "seeds", "--quiet")
    agrees = "finished before, and agrees with what was measured again (1 of 2 networks); nothing is left to train\n"
    assert (ended.status, ended.err.endswith(agrees)) == (0, True), ended.err

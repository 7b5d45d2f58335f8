"""Numbers edited by someone who gives the file its new SHA-256: noticed by what else the run holds, and left as is."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, TINY, contents, draw_classes, edit, once, sign

from a2cli import main
from a2cli.models.files import load_model, save_model
from a2cli.statistics.intervals import t_quantile
from a2cli.study.trials import run_trials

RUN = [*TINY, "--data", "set", "--epochs", "3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, another one, one of two seeds, a comparison and an ablation."""
    place = tmp_path_factory.mktemp("made")
    trials = ["--image-size", "8", "--channels", "2", "--kernel-size", "3", "--hidden", "none", "--epochs", "2"]
    trials += ["--data", "set", "--device", "cpu", "--seeds", "2", "--jobs", "1", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
        # The last trial ends first, as it may where they run side by side.
        patch.setattr(
            "a2cli.study.ledger.run_trials",
            lambda *these: run_trials(these[0], dict(reversed(these[1].items())), these[2]),
        )
        draw_classes(place / "set", count=24)
        for command in (
            ["train-cnn", *RUN, "--out", "run"],
            ["train-cnn", *RUN, "--seed", "1", "--out", "other"],
            ["train-cnn", *RUN, "--seeds", "2", "--jobs", "1", "--out", "seeds"],
            ["compare-optimizers", *trials, "--optimizers", "adam,sgd", "--rates", "2", "--extend", "0",
             "--out", "compared"],
            ["ablate", *trials, "--augment", "flip", "-w", "augment=none",
             "--out", "ablated"],
        ):  # fmt: skip
            patch.setattr(sys, "argv", ["a2", *once(command)])
            assert main.run_command() == 0, command
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a report and give it the SHA-256 of what it then says."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    sign(path)


def one(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = report["results"]["runs"][0]
    return found


def more(accuracy: dict[str, Any]) -> None:
    """Add a correct answer to the count alone, or take one away."""
    accuracy["correct"] += 1 if accuracy["correct"] < accuracy["count"] else -1


EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "value": (lambda r: one(r)["val"].update(value=0.933), "results.runs[0].val.value is 0.933, but "),
    "low": (lambda r: one(r)["train"].update(low=0.99), "results.runs[0].train.low is 0.99, but "),
    "correct": (lambda r: more(one(r)["val"]), "results.runs[0].val.value is "),
    "confusion": (lambda r: one(r)["judged"]["confusion"].update(ada={"ada": 99}), "results.runs[0].val.correct is "),
    "less than none": (lambda r: one(r)["judged"]["confusion"]["ada"].update(ada=-1), "judged.confusion is -1, but 0 "),
    "command": (lambda r: r.update(command="train-mlp"), "command is train-cnn in config.yaml, but train-mlp in "),
    "created": (lambda r: r.update(created="yesterday"), "not a report of a2's (Invalid isoformat string: 'yest"),
    "zone": (lambda r: r.update(created="2026-11-28T01:00:00"), "created: expected a time with its zone, got 2026-"),
    "class": (lambda r: one(r)["judged"]["classes"][0].update(correct=99), "judged.classes[0].correct is 99, but "),
    "f1": (lambda r: one(r)["judged"]["classes"][1].update(f1=0.99), "judged.classes[1].f1 is 0.99, but "),
    "balanced": (lambda r: one(r)["judged"]["balanced_accuracy"].update(value=0.99), "balanced_accuracy.value is 0.99"),
    "macro": (lambda r: one(r)["judged"].update(macro_f1=0.99), "judged.macro_f1 is 0.99, but "),
    "calibration": (lambda r: one(r)["judged"].update(calibration_error=0.001), "calibration_error is 0.001, but "),
    "judged baseline": (lambda r: one(r)["judged"].update(majority={**one(r)["majority"], "count": 99}),
                        "results.runs[0].judged.majority.value is "),
    "baseline": (lambda r: one(r)["majority"].update(count=99), "results.runs[0].majority.value is "),
    "loss": (lambda r: one(r).update(val_loss=0.01), "results.runs[0].val_loss is 0.01, but "),
    "epochs": (lambda r: one(r).update(epochs=9), "results.runs[0].epochs is 9, but 3 by history"),
    "kept": (lambda r: one(r).update(kept_epoch=9), "results.runs[0].kept_epoch is 9, but "),
    "last": (lambda r: one(r).update(last_val_accuracy=0.99), "last_val_accuracy is 0.99, but "),
    "history": (lambda r: r["history"]["0"][0].update(train_loss=0.01), "metrics.csv: epoch 1, train_loss is "),
    "verdict": (lambda r: r["results"].update(verdict="Validation accuracy 0.987."), "0.987, but none of its numbers"),
    "words": (lambda r: r["results"].update(verdict=r["results"]["verdict"].replace(" 0.", " 1.", 1)),
              "results.verdict is "),
    "folder": (lambda r: one(r).update(folder="seeds/1"), "results.runs[0].folder is seeds/1, but ."),
    "no number": (lambda r: r["results"].update(verdict="A perfect network."), "verdict is without its accuracy"),
    "data": (lambda r: r["data"].update(val=99), "results.runs[0].val.count is "),
    "mistakes": (lambda r: one(r)["judged"]["most_wrong"].pop(), "results.runs[0].judged.most_wrong is "),
    "mistake": (lambda r: one(r)["judged"]["most_wrong"][0].update(answer="cea"), "judged.most_wrong is 1 "),
    "bins": (lambda r: one(r)["judged"]["calibration"][0].update(low=0.0), "judged.calibration[0]"),
    "bin": (lambda r: one(r)["judged"]["calibration"][0].update(accuracy=0.99), "judged.calibration"),
    "no bins": (lambda r: [bin_.update(count=0) for bin_ in one(r)["judged"]["calibration"]], "judged.calibration"),
    "reads": (lambda r: one(r).update(test=one(r)["val"]), "test_reads is 0, but 1 or more by results.runs[0].test"),
    "judged part": (lambda r: one(r)["judged"].update(part="test"), "results.runs[0].test is not there, but there by "),
    "classes": (lambda r: r["data"]["classes"].update(ada=0), "data.classes is "),
    "fingerprint": (lambda r: r["data"].update(fingerprint="0" * 64), "config or data.fingerprint is not as in "),
    "weights": (lambda r: one(r).update(weights_sha256="0" * 64), "results.runs[0].weights_sha256 is "),
}  # fmt: skip


def refused(place: Path, a2: A2, run: str, *words: str, command: str = "train-cnn") -> None:
    """Hold --resume to refusing a run in one line, and to writing nothing over."""
    before = contents(place / run)
    jobs = [] if command == "train-cnn" else ["--jobs", "1"]
    a2(command, "--resume", run, "--quiet", *jobs).refused(3, *words)
    assert contents(place / run) == before


@pytest.mark.parametrize("kind", EDITS)
def test_a_number_that_contradicts_others_is_refused(kind: str, place: Path, a2: A2) -> None:
    change, words = EDITS[kind]
    rewrite(place / "run/report.json", change)
    refused(place, a2, "run", words)


def test_epochs_edited_in_report_and_csv_are_held_to_the_checkpoint(place: Path, a2: A2) -> None:
    rewrite(place / "run/report.json", lambda r: r["history"]["0"][0].update(train_loss=0.01))
    lines = (place / "run/metrics.csv").read_text().splitlines()
    lines[1] = ",".join("0.01" if i == 2 else cell for i, cell in enumerate(lines[1].split(",")))
    (place / "run/metrics.csv").write_text("\n".join(lines) + "\n")
    refused(place, a2, "run", "history[0].train_loss is 0.01, but ", "checkpoints")


def test_edited_metrics_are_refused(place: Path, a2: A2) -> None:
    path = place / "run/metrics.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    refused(place, a2, "run", "run/metrics.csv: number of epochs is 2, but 3 by report.json's history")


def test_settings_edited_everywhere_are_held_to_the_checkpoint(place: Path, a2: A2) -> None:
    edit(place / "run/config.yaml", "learning_rate: 0.0001", "learning_rate: 0.0002")
    rewrite(place / "run/report.json", lambda r: r["config"].update(learning_rate=0.0002))
    refused(place, a2, "run", "config or data.fingerprint is not as in run/checkpoints/epoch-")


def test_swapped_weights_are_refused(place: Path, a2: A2) -> None:
    shutil.rmtree(place / "run/model")
    shutil.copytree(place / "other/model", place / "run/model")
    refused(place, a2, "run", "run/report.json: results.runs[0].weights_sha256 is ", "by model/model.safetensors")


def test_swapped_weights_with_their_sha256_are_held_to_the_checkpoint(place: Path, a2: A2) -> None:
    shutil.rmtree(place / "run/model")
    shutil.copytree(place / "other/model", place / "run/model")
    about = json.loads((place / "run/model/model.json").read_text())
    digests = {"weights_sha256": about["sha256"], "card_sha256": about["state_sha256"]}
    rewrite(place / "run/report.json", lambda r: one(r).update(digests))
    refused(place, a2, "run", "run/model/model.safetensors: ", "is not as in run/checkpoints/epoch-")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("class_names", ["bea", "ada"], "class_names[0] is bea, but ada"), ("fit", "crop", "fit is crop, but squash"),
     ("image_size", 9, "image_size is 9, but 8")],
)  # fmt: skip
def test_an_edited_card_is_refused(field: str, value: Any, words: str, place: Path, a2: A2) -> None:
    path = place / "run/model/model.json"
    values = json.loads(path.read_text())
    assert values[field] != value
    path.write_text(json.dumps({**values, field: value}))
    sign(path)
    refused(place, a2, "run", "run/model/model.json: ", words, "by report.json")


def test_a_report_set_back_to_the_first_version_is_refused(place: Path, a2: A2) -> None:
    path = place / "run/report.json"
    values = json.loads(path.read_text())
    values.update(schema_version=1)
    del values["sha256"]
    path.write_text(json.dumps(values))
    refused(place, a2, "run", "run/report.json: edited (schema_version is 1, which has no test_curve_reads)")
    del values["test_curve_reads"]
    path.write_text(json.dumps(values))
    refused(place, a2, "run", "run/report.json: schema_version is 1, without a SHA-256, but 2 or later")


def test_a_summary_over_seeds_is_held_to_the_seeds(place: Path, a2: A2) -> None:
    rewrite(place / "seeds/report.json", lambda r: r["results"]["val"].update(mean=0.933))
    refused(place, a2, "seeds", "seeds/report.json: results.val.mean is 0.933, but ", "by the reports in seeds/seeds")


@pytest.mark.parametrize(
    ("command", "run"), [("train-cnn", "seeds"), ("compare-optimizers", "compared"), ("ablate", "ablated")]
)
def test_intervals_of_version_3_go_beyond_0_and_1_and_are_taken(command: str, run: str, place: Path, a2: A2) -> None:
    """And they, as those of version 4, have no variance of rounding."""
    written, in_words = list[Any](), dict[str, str]()

    def unclip(value: Any) -> None:
        if isinstance(value, dict) and value.keys() >= {"mean", "deviation", "low", "high", "n"}:
            written.append((value["low"], value["high"]))
            half = t_quantile(0.975, value["n"] - 1) * value["deviation"] / value["n"] ** 0.5
            value.update(low=value["mean"] - half, high=value["mean"] + half)
            low, high = max(0.0, value["low"]), min(1.0, value["high"])
            in_words["[{:.3f}, {:.3f}]".format(*written[-1])] = f"[{low:.3f}, {high:.3f}]"
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            unclip(one)

    def as_version_3(report: dict[str, Any]) -> None:
        unclip(report)
        for now, then in in_words.items():
            report["results"]["verdict"] = report["results"]["verdict"].replace(now, then)
        report["schema_version"] = 3

    rewrite(place / run / "report.json", as_version_3)
    if command == "train-cnn":  # the same numbers again, by this version
        shutil.copytree(place / run, place / "without")
        shutil.rmtree(place / "without/seeds")
        ended = a2("train-cnn", "--resume", "without", "--jobs", "1", "--quiet")
        assert ended.status == 0, ended.err
    refused(place, a2, run, "schema_version is 3, but 5 or later", command=command)
    inside = [*(place / run).glob("seeds/*/report.json"), *(place / run).glob("trials/*/report.json")]
    rewrite(inside[-1], lambda report: report.update(schema_version=3))  # which was written before the whole
    assert written
    assert all(low >= 0 and high <= 1 for low, high in written)
    unclipped = (place / run / "report.json").read_text()
    assert '"high": 1.' in unclipped.replace('"high": 1.0,', "") or '"low": -' in unclipped
    jobs = ["--jobs", "1"] if command != "train-cnn" else []
    before = (place / run / "report.json").read_bytes()
    assert a2(command, "--resume", run, "--quiet", *jobs).status == 0
    (place / run / "report.json").write_bytes(before)
    rewrite(place / run / "report.json", lambda report: report.update(schema_version=5))
    refused(place, a2, run, " is ", ", but ", command=command)


def test_networks_of_seeds_are_held_to_the_report_on_all(place: Path, a2: A2) -> None:
    """Of a seed whose folder is another's, whether its accuracy differs or not."""
    shutil.rmtree(place / "seeds/seeds/1")
    shutil.copytree(place / "seeds/seeds/0", place / "seeds/seeds/1")
    (place / "photos").mkdir()
    shutil.copy(next((place / "set").rglob("*.png")), place / "photos")
    predict = ["predict", "--run", "seeds", "photos", "--quiet"]
    reports = [json.loads((place / f"{folder}/report.json").read_text()) for folder in ("seeds", "seeds/seeds/0")]
    values = [report["results"]["runs"][-1]["val"]["value"] for report in reports]
    assert values[0] != values[1]
    a2(*predict).refused(3, f"--run seeds: report.json says {values[0]:.3f} of seeds/1, its own report {values[1]:.3f}")
    rewrite(place / "seeds/report.json", lambda r: r["results"]["runs"][1].update(val=one(reports[1])["val"]))
    a2(*predict).refused(3, "--run seeds: report.json has another network of seeds/1 than its own report")


def test_a_summary_has_its_seeds_data(place: Path, a2: A2) -> None:
    rewrite(place / "seeds/report.json", lambda r: r["data"].update(train=99))
    refused(place, a2, "seeds", "data.train is 99, but ", "by the reports in seeds/seeds")


def test_an_edited_seed_is_refused(place: Path, a2: A2) -> None:
    rewrite(place / "seeds/seeds/1/report.json", lambda r: one(r)["val"].update(value=0.933))
    refused(place, a2, "seeds", "seeds/seeds/1/report.json: results.runs[0].val.value is 0.933, but ")


def test_what_was_not_edited_goes_on(place: Path, a2: A2) -> None:
    for run in ("run", "seeds"):
        assert a2("train-cnn", "--resume", run, "--quiet").status == 0
    for command, run in (("compare-optimizers", "compared"), ("ablate", "ablated")):
        assert a2(command, "--resume", run, "--jobs", "1", "--quiet").status == 0


def test_trials_stand_in_the_order_of_their_seeds(place: Path, a2: A2) -> None:
    """Whichever ends first; reports of earlier versions have them as they ended, and are taken."""
    path = place / "compared/report.json"
    found = [
        (rate["runs"], [run["seed"] for run in rate["runs"]])
        for contender in json.loads(path.read_text())["results"]["tables"][0]["contenders"]
        for rate in contender["tuning"]
    ]
    assert [seeds for _, seeds in found] == [[1_000_000, 1_000_001]] * 4

    def as_they_ended(report: dict[str, Any]) -> None:
        for contender in report["results"]["tables"][0]["contenders"]:
            for rate in contender["tuning"]:
                rate["runs"].reverse()

    rewrite(path, as_they_ended)
    assert a2("compare-optimizers", "--resume", "compared", "--jobs", "1", "--quiet").status == 0


@pytest.mark.parametrize(("command", "run"), [("compare-optimizers", "compared"), ("ablate", "ablated")])
def test_comparisons_are_held_to_their_trials(command: str, run: str, place: Path, a2: A2) -> None:
    whole = (place / run / "report.json").read_bytes()

    def change(report: dict[str, Any]) -> None:
        first = report["results"]["tables"][0]["contenders"] if run == "compared" else report["results"]["combinations"]
        first[0]["accuracy"]["mean"] = 0.933

    rewrite(place / run / "report.json", change)
    refused(place, a2, run, "accuracy.mean is 0.933, but ", f"by the reports in {run}/trials", command=command)
    (place / run / "report.json").write_bytes(whole)

    def say_better(report: dict[str, Any]) -> None:
        results = report["results"]
        pair = results["tables"][0]["pairs"][0] if run == "compared" else results["ingredients"][0]["alone"]
        pair["verdict"] = "better" if pair["verdict"] != "better" else "worse"

    rewrite(place / run / "report.json", say_better)
    refused(place, a2, run, ".verdict is ", f"by the reports in {run}/trials", command=command)
    (place / run / "report.json").write_bytes(whole)
    trial = min((place / run / "trials").glob("*/report.json"))
    rewrite(trial, lambda r: one(r)["val"].update(value=0.933))
    refused(place, a2, run, f"{trial.relative_to(place)}: results.runs[0].val.value is 0.933", command=command)


@pytest.mark.parametrize(("command", "run"), [("compare-optimizers", "compared"), ("ablate", "ablated")])
def test_a_study_is_held_to_trials_that_are_trained_again(command: str, run: str, place: Path, a2: A2) -> None:
    path, resume = place / run / "report.json", [command, "--resume", run, "--quiet", "--jobs", "1"]
    before = json.loads(path.read_text())["results"]
    gone = max((place / run / "trials").iterdir())
    shutil.rmtree(gone)
    ended = a2(*resume)
    assert ended.status == 0
    assert f"warning: {run}/trials/{gone.name}: its report is gone, so it is trained again" in ended.err
    assert json.loads(path.read_text())["results"]["verdict"] == before["verdict"]

    def change(report: dict[str, Any]) -> None:
        first = report["results"]["tables"][0]["contenders"] if run == "compared" else report["results"]["combinations"]
        first[0]["runs"][0]["accuracy"] = 0.933

    rewrite(path, change)
    edited = path.read_bytes()
    shutil.rmtree(gone)
    ended = a2(*resume)
    assert (ended.status, ended.err.count("runs[0].accuracy is 0.933, but ")) == (3, 1)
    assert path.read_bytes() == edited


def test_a_study_is_held_to_the_trials_beside_one_that_failed(place: Path, a2: A2) -> None:
    """What that one brings, trained anew, changes what is said of all; the others' numbers stay."""
    path = place / "ablated/report.json"
    whole = path.read_bytes()

    def fail(report: dict[str, Any]) -> None:
        first, other = report["results"]["combinations"][0]["runs"]
        first.update(status="failed", accuracy=None, train_accuracy=None)
        report["results"]["combinations"][0]["accuracy"] = None
        shutil.rmtree(place / "ablated" / first["folder"], ignore_errors=True)
        other["accuracy"] = accuracy or other["accuracy"]

    resume = ["ablate", "--resume", "ablated", "--quiet", "--jobs", "1"]
    for accuracy in (None, 0.933):
        path.write_bytes(whole)
        rewrite(path, fail)
        ended = a2(*resume)
        assert ended.status == (3 if accuracy else 0), ended.err
        assert ("accuracy is 0.933, but " in ended.err) == bool(accuracy)
    path.write_bytes(whole)
    assert a2(*resume).status == 0


def shift_a_number(text: str) -> str:
    return re.sub(r"0\.(\d)", lambda match: f"0.{(int(match[1]) + 1) % 10}", text, count=1)


@pytest.mark.parametrize(("command", "run"), [("compare-optimizers", "compared"), ("ablate", "ablated")])
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("results.verdict", lambda r: r["results"].update(verdict=shift_a_number(r["results"]["verdict"]))),
        ("results.verdict", lambda r: r["results"].update(verdict=f"Better than all. {r['results']['verdict']}")),
        ("results.verdict", lambda r: r["results"].update(verdict=r["results"]["verdict"].partition(". ")[0] + ".")),
        ("results.best.folder", lambda r: r["results"]["best"].update(folder="trials")),
        ("results.best.folder", lambda r: r["results"]["best"].update(folder="../no-such")),
        ("schema_version", lambda r: r.update(schema_version=4)),
        ("data.train", lambda r: r["data"].update(train=999)),
    ],
)
def test_what_a_study_says_is_held_to_its_results(
    field: str, change: Callable[[dict[str, Any]], None], command: str, run: str, place: Path, a2: A2
) -> None:
    rewrite(place / run / "report.json", change)
    refused(place, a2, run, f"{run}/report.json: {field} is ", command=command)


def test_a_study_of_other_settings_is_written_anew_and_says_so(place: Path, a2: A2) -> None:
    rewrite(place / "compared/report.json", lambda r: r["config"].update(epochs=40))
    ended = a2("compare-optimizers", "--resume", "compared", "--jobs", "1", "--quiet")
    assert ended.status == 0
    assert "warning: compared/report.json: epochs was 40, is 2: written anew, not compared" in ended.err.splitlines()


def test_a_pipe_in_place_of_a_checkpoint_is_not_read(place: Path, a2: A2) -> None:
    newest = max((place / "run/checkpoints").glob("*.safetensors"))
    newest.unlink()
    os.mkfifo(newest)
    refused(place, a2, "run", f"{newest.relative_to(place)}: damaged (not a regular file)")


def test_metrics_that_are_gone_are_warned_of(place: Path, a2: A2) -> None:
    (place / "run/metrics.csv").unlink()
    (place / "seeds/seeds/1/metrics.csv").unlink()
    said = "warning: {}/metrics.csv is gone; report.json has the same epochs, under history"
    image = min((place / "set").glob("*/*.png"))
    for *command, folder in (
        ["train-cnn", "--resume", "run", "run"],
        ["train-cnn", "--resume", "seeds", "seeds/seeds/1"],
        ["predict", "--run", "run", image, "run"],
        [*PROBE, "--out", "probed", "run"],
    ):
        ended = a2(*command) if "--quiet" in command else a2(*command, "--quiet")
        assert ended.status == 0
        assert said.format(folder) in ended.err.splitlines()
    kept = a2("predict", "--run", "other", image, "--quiet")
    assert "metrics.csv" not in kept.err


def test_checkpoints_that_are_gone_are_warned_of(place: Path, a2: A2) -> None:
    shutil.rmtree(place / "run/checkpoints")
    for file in (place / "seeds/seeds/1/checkpoints").iterdir():
        file.unlink()
    said = "warning: {}/checkpoints is gone; the history, the settings and the kept weights cannot be held to it"
    for run, folder in (("run", "run"), ("seeds", "seeds/seeds/1"), ("other", "")):
        ended = a2("train-cnn", "--resume", run, "--quiet")
        assert ended.status == 0
        assert [line for line in ended.err.splitlines() if "is gone" in line] == (
            [said.format(folder)] if folder else []
        )


# Measured again


PROBE = ["probe-invariance", "--run", "run", "--changes", "brightness", "--threads", "1", "--device", "cpu", "--quiet"]


def consistent(report: dict[str, Any]) -> None:
    """Make all validation images correct."""
    run = one(report)
    run["judged"]["confusion"] = {
        truth: {truth: sum(row.values())} for truth, row in run["judged"]["confusion"].items()
    }
    run["val"].update(correct=run["val"]["count"], value=1.0)


def test_a_probe_refutes_a_report(place: Path, a2: A2) -> None:
    rewrite(place / "run/report.json", consistent)
    count = one(json.loads((place / "run/report.json").read_text()))["val"]["count"]
    ended = a2(*PROBE, "--out", "probed")
    assert ended.status == 5
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"error: run: the run's report says {count} of {count} validation images correct, its wei")
    assert last.endswith(f"of {count} on the same images: the report or the weights were changed")
    written = json.loads((place / "probed/report.json").read_text())
    assert len(written["results"]["refuted"]) == 1
    assert written["results"]["refuted"][0] in written["warnings"]


def test_a_probe_refutes_other_weights_by_their_loss(place: Path, a2: A2) -> None:
    """Twice the logits answer the same."""
    model, card = load_model(place / "run/model")
    last = [*model.parameters()][-2:]
    for parameter in last:
        parameter.data *= 2
    digest = save_model(place / "run/model", card, model)
    rewrite(place / "run/report.json", lambda report: one(report).update(weights_sha256=digest))
    ended = a2(*PROBE, "--out", "probed")
    assert ended.status == 5
    assert "the run's report says a validation loss of " in ended.err.splitlines()[-1]


USERS = ["predict set", "probe-invariance", "visualize-weights", "receptive-field --effective",
         "extract-features --data set --layer conv1", "finetune --data set --layer conv1"]  # fmt: skip


@pytest.mark.parametrize("command", [*USERS, "receptive-field"])
def test_settings_that_are_not_the_reports_are_refused(command: str, place: Path, a2: A2) -> None:
    """By whatever uses a run, in its own config.yaml or a seed's, with the right SHA-256 in it."""
    edit(place / "run/config.yaml", "learning_rate: 0.0001", "learning_rate: 0.0002")
    name, *words = command.split()
    said = "--run run: learning_rate is 0.0002 in config.yaml, but 0.0001 in report.json; one of them was edited or dam"
    a2(name, "--run", "run", *words, "--quiet").refused(3, said)
    for folder in ("seeds", "seeds/seeds/1") if name in {"predict", "probe-invariance"} else ():
        before = (place / folder / "config.yaml").read_bytes()
        edit(place / folder / "config.yaml", "precision: fp32", "precision: bf16")
        a2(name, "--run", "seeds", *words, "--quiet").refused(
            3, f"{folder}: precision is bf16 in config.yaml, but fp32"
        )
        (place / folder / "config.yaml").write_bytes(before)


def test_another_command_or_no_settings_are_refused(place: Path, a2: A2) -> None:
    edit(place / "run/config.yaml", "command: train-cnn", "command: train-mlp")
    a2("predict", "--run", "run", "set").refused(3, "run: damaged, or made by a newer a2 (config.yaml: unknown setting")


@pytest.mark.parametrize("command", USERS)
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("0.", "0.1", "card_sha256"), ('"ada"', '"eve"', "class_names is not as in report.json"),
     ('"activation": "relu"', '"activation": "elu"', "network is not as in report.json")],
)  # fmt: skip
def test_another_card_is_refused(command: str, old: str, new: str, words: str, place: Path, a2: A2) -> None:
    """Its mean, its classes, its layers; the last two also by who writes its SHA-256 into the report."""
    path = place / "run/model/model.json"
    if old == "0.":
        values = json.loads(path.read_text())
        path.write_text(json.dumps({**values, "mean": [0.9, 0.9, 0.9]}))
        sign(path)
    else:
        edit(path, old, new)
        digest = json.loads(path.read_text())["state_sha256"]
        rewrite(place / "run/report.json", lambda r: one(r).update(card_sha256=digest))
    name, *flags = command.split()
    a2(name, "--run", "run", *flags, "--quiet").refused(3, words)


@pytest.mark.parametrize("command", USERS)
def test_another_runs_network_is_refused(command: str, place: Path, a2: A2) -> None:
    """By whatever uses a run: the whole model/ is another run's, so its own SHA-256 are right."""
    shutil.rmtree(place / "run/model")
    shutil.copytree(place / "other/model", place / "run/model")
    name, *words = command.split()
    a2(name, "--run", "run", *words, "--quiet").refused(3, "run/model: not the network that this run trained")


def test_a_probe_of_an_unchanged_run_refutes_nothing(place: Path, a2: A2) -> None:
    ended = a2(*PROBE, "--out", "probed")
    assert ended.status == 0
    assert json.loads((place / "probed/report.json").read_text())["results"]["refuted"] == []

"""`a2 replicate`: what is run for claims, how often, and that verdicts are those of the trials' own reports."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from conftest import A2, contents, draw_classes, edit, hold_to_schema, sign
from scipy import stats

from a2cli.errors import SettingsError
from a2cli.geometry import multiply_adds
from a2cli.replicate.decisions import LOOKS
from a2cli.replicate.schedule import BATCH, STEP, budget_of, next_claims, work_of
from a2cli.settings.kinds import TRAINING
from a2cli.settings.presets import resolve

SMALL = "image_size: 8, channels: [2], kernel_size: 3, hidden: [], val_count: 8, batch_size: 4"
LEDGER = f"""
title: A small report
inputs:
  data: {{about: two painters, images: 40, classes: 2, otherwise: atelier}}
  weights: {{about: pretrained weights}}
worlds:
  plain: {{loss: cross-entropy}}
  twice: {{loss: double-softmax}}
sections: {{"1": Training, "2": Networks}}
runs:
  adam: {{command: train-cnn, flags: {{{SMALL}, epochs: 12, learning_rate: 0.03}}}}
  same: {{command: train-cnn, flags: {{{SMALL}, epochs: 12, learning_rate: 0.03}}}}
  still: {{command: train-cnn, flags: {{{SMALL}, epochs: 1, optimizer: sgd, learning_rate: 1.0e-7}}}}
  wild: {{command: train-cnn, flags: {{{SMALL}, epochs: 60, optimizer: sgd, learning_rate: 900, weight_decay: 0.9}}}}
  changed: {{command: probe-invariance, of: adam, flags: {{changes: [grayscale, invert]}}}}
  field: {{command: receptive-field, flags: {{layers: conv5 conv3}}}}
  answer: {{command: predict, of: adam}}
  tuned: {{command: finetune, weights: true, flags: {{backbone: alexnet}}}}
claims:
  - {{id: better, section: "1", claim: Adam is better., kind: higher, run: adam, than: [still], margin: 0.2}}
  - {{id: worse, section: "1", claim: Adam is worse., kind: lower, run: adam, than: [still], margin: 0.2,
     worlds: [plain]}}
  - {{id: alike, section: "1", claim: Both are alike., kind: alike, run: adam, than: [same], margin: 0.2}}
  - {{id: gains, section: "1", claim: It gains more., kind: higher, run: adam, base: still, margin: 0.2,
     than: [{{run: same, base: adam}}], worlds: [plain]}}
  - {{id: printed, section: "1", claim: It reaches 1., kind: number, run: adam, printed: 1.0, margin: 0.4,
     worlds: [plain]}}
  - {{id: ends, section: "1", claim: It diverges to chance., kind: below, run: wild, value: 0.95, worlds: [plain]}}
  - {{id: turned, section: "2", claim: Inverted it fails., kind: below, run: changed, measure: fall, change: invert,
     value: 0, margin: 0.05, worlds: [plain]}}
  - {{id: sees, section: "2", claim: A unit sees 7x7., kind: derived, run: field, worlds: [plain],
     expect: {{layers.1.field: [7, 7]}}}}
  - {{id: sees8, section: "2", claim: A unit sees 8x8., kind: derived, run: field, worlds: [plain],
     expect: {{layers.1.field: [8, 8]}}}}
  - {{id: answers, section: "2", claim: An image and a name., kind: works, run: answer, worlds: [plain]}}
  - {{id: tuned, section: "2", claim: Tuning helps., kind: above, run: tuned, value: 0.5, worlds: [plain]}}
"""
HERE = ["replicate", "ledger.yaml", "--data", "set", "--device", "cpu", "--jobs", "1"]


@pytest.fixture(scope="module")
def redone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a ledger, its images and a finished replication in `out`, run by the command."""
    place = tmp_path_factory.mktemp("redone")
    draw_classes(place / "set", count=20)
    (place / "ledger.yaml").write_text(LEDGER)
    environment = {**os.environ, "A2_CACHE_DIR": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "a2cli", *HERE, "--quiet", "--out", "out"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "out\n"), done.stderr
    return place


@pytest.fixture
def place(redone: Path, tmp_path: Path) -> Path:
    return shutil.copytree(redone, tmp_path, dirs_exist_ok=True)


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    hold_to_schema(values)
    return values


def judged(folder: Path, claim: str, world: str = "plain") -> dict[str, Any]:
    one = next(each for each in report(folder)["results"]["claims"] if each["id"] == claim)
    return next(each for each in one["judged"] if each["world"] == world)


def verdicts(folder: Path) -> dict[tuple[str, str], Any]:
    claims = report(folder)["results"]["claims"]
    kept = ("verdict", "why", "seeds", "estimates", "more_seeds", "alternatives", "fragile")
    return {(one["id"], each["world"]): {name: each[name] for name in kept} for one in claims for each in one["judged"]}


def accuracies(folder: Path, run: str, seeds: int, world: str = "plain") -> list[float]:
    """Return the validation accuracies that a run's trials report, by seed."""
    found = []
    for seed in range(seeds):
        path = next((folder / "trials").glob(f"*/{run}-{world}-seed{seed}-*/report.json"))
        found.append(json.loads(path.read_text())["results"]["runs"][0]["val"]["value"])
    return found


@pytest.mark.slow
def test_verdicts(redone: Path) -> None:
    out = redone / "out"
    words = {name: each["verdict"] for (name, world), each in verdicts(out).items() if world == "plain"}
    assert words == {
        "better": "supported", "worse": "contradicted", "alike": "supported", "gains": "supported",
        "printed": "supported", "ends": "supported", "turned": "supported", "sees": "supported",
        "sees8": "contradicted", "answers": "supported", "tuned": "not attempted",
    }  # fmt: skip
    assert judged(out, "better", "twice")["verdict"] in ("supported", "undecided")
    assert judged(out, "tuned")["why"] == "needs pretrained weights: --weights"
    assert judged(out, "sees8")["why"] == "the receptive field of layer 1 is 7x7, not 8x8"


@pytest.mark.slow
def test_an_interval_is_that_of_the_trials_own_accuracies(redone: Path) -> None:
    """Student's, at the claim's share of 5%: 9 verdicts on claims with intervals, 6 looks; rounding to 8 images."""
    one = judged(redone / "out", "better")
    n = one["seeds"]
    differences = [
        a - b
        for a, b in zip(accuracies(redone / "out", "adam", n), accuracies(redone / "out", "still", n), strict=True)
    ]
    [found] = one["estimates"]
    deviation = (stdev(differences) ** 2 + 2 * (1 / 8) ** 2 / 12) ** 0.5
    half = stats.t.ppf(1 - 0.05 / 10 / len(LOOKS), n - 1) * deviation / n**0.5
    assert found["mean"] == pytest.approx(fmean(differences))
    assert found["deviation"] == pytest.approx(deviation)
    assert (found["low"], found["high"]) == pytest.approx((fmean(differences) - half, fmean(differences) + half))


@pytest.mark.slow
def test_a_printed_number_is_held_to_one_new_run(redone: Path) -> None:
    one = judged(redone / "out", "printed")
    values = accuracies(redone / "out", "adam", one["seeds"])
    n, deviation = len(values), (stdev(values) ** 2 + (1 / 8) ** 2 / 12) ** 0.5
    half = stats.t.ppf(0.975, n - 1) * deviation * (1 + 1 / n) ** 0.5
    [found] = one["estimates"]
    assert (found["low"], found["high"]) == pytest.approx((fmean(values) - half, fmean(values) + half))


@pytest.mark.slow
def test_what_claims_have_in_common_is_trained_once(redone: Path) -> None:
    results = report(redone / "out")["results"]
    folders = list((redone / "out/trials").glob("*/*/report.json"))
    assert results["trials"] == len(folders)
    assert not [path for path in folders if path.parent.name.startswith("same")]
    for world in ("plain", "twice"):
        seeds = [each["seeds"] for (_, of), each in verdicts(redone / "out").items() if of == world]
        assert len([path for path in folders if path.parent.name.startswith(f"adam-{world}-")]) == max(seeds)


@pytest.mark.slow
def test_each_verdict_names_the_runs_and_the_commands_that_it_rests_on(redone: Path, a2: A2) -> None:
    one = judged(redone / "out", "better")
    assert len(one["folders"]) == 2 * one["seeds"]
    assert all((redone / "out" / folder / "report.json").exists() for folder in one["folders"])
    command = shlex.split(one["commands"][0])
    assert command[:2] == ["a2", "train-cnn"] and "--loss" in command
    command[command.index("--data") + 1] = str(redone / "set")
    again = a2(*command[1:], "--quiet", "--out", "again").done()
    mine, own = (json.loads((path / "report.json").read_text())["results"]["runs"][0]
                 for path in (again, redone / "out" / one["folders"][0]))  # fmt: skip
    assert mine["weights_sha256"] == own["weights_sha256"]


@pytest.mark.slow
def test_resumed_it_says_the_same_and_trains_nothing(place: Path, a2: A2) -> None:
    before, trained = verdicts(place / "out"), {path: path.stat().st_mtime_ns for path in place.rglob("*.safetensors")}
    a2("replicate", "--resume", "out", "--quiet").done("finished before, and agrees with its runs, which were not mea")
    assert verdicts(place / "out") == before
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*.safetensors")} == trained


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["report.json", "trials/*/adam-plain-seed3-*", "probes/*seed2*", "evidence/answer*"])
def test_what_is_lost_is_run_again(lost: str, place: Path, a2: A2) -> None:
    before = verdicts(place / "out")
    for path in (place / "out").glob(lost):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert a2("replicate", "--resume", "out", "--quiet").status == 0
    assert verdicts(place / "out") == before


@pytest.mark.slow
def test_a_budget_ends_it_and_a_larger_one_goes_on(place: Path, a2: A2) -> None:
    whole = verdicts(place / "out")
    assert a2(*HERE, "--budget", "10 trainings", "--quiet", "--out", "some").status == 0
    some = verdicts(place / "some")
    assert 10 <= report(place / "some")["results"]["trials"] < report(place / "out")["results"]["trials"]
    assert {each["verdict"] for each in some.values()} >= {"undecided"}
    assert a2("replicate", "--resume", "some", "--budget", "10000", "--quiet").status == 0
    assert verdicts(place / "some") == whole


@pytest.mark.slow
def test_killed_and_resumed(place: Path, redone: Path) -> None:
    environment = {**os.environ, "A2_CACHE_DIR": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "a2cli", "replicate"]
    process = subprocess.Popen([*command, *HERE[1:], "--quiet", "--out", "killed"], cwd=place, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while len(list((place / "killed").glob("trials/*/*/report.json"))) < 9:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run([*command, "--resume", "killed", "--quiet"], cwd=place, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert verdicts(place / "killed") == verdicts(redone / "out")


@pytest.mark.slow
def test_a_claim_alone_has_the_verdict_that_it_has_among_all(place: Path, a2: A2) -> None:
    assert a2(*HERE, "--only", "better,2", "--quiet", "--out", "some").status == 0
    some, whole = verdicts(place / "some"), verdicts(place / "out")
    assert {name for name, _ in some} == {"better", "turned", "sees", "sees8", "answers", "tuned"}
    for key, each in some.items():
        if each["seeds"] == whole[key]["seeds"]:
            assert each == whole[key]


@pytest.mark.slow
def test_rounds_do_not_depend_on_the_time_that_trainings_took(place: Path, a2: A2) -> None:
    def within(budget: str) -> dict[tuple[str, str], tuple[str, int]]:
        assert a2("replicate", "--resume", "out", "--budget", budget, "--quiet").status == 0
        claims = json.loads((place / "out/report.json").read_text())["results"]["claims"]
        return {
            (claim["id"], one["world"]): (one["verdict"], one["seeds"]) for claim in claims for one in claim["judged"]
        }

    before = within("20")
    assert {seeds for _, seeds in before.values()} > {0}, "a budget that leaves some claims without a look"
    for path in (place / "out/trials").glob("*/*/report.json"):
        report = json.loads(path.read_text())
        slow = report["config"]["optimizer"] == "adam"
        report["seconds"] = {name: value * (1000 if slow else 0.001) for name, value in report["seconds"].items()}
        path.write_text(json.dumps(report))
        sign(path)
    assert within("20") == before


def test_work_goes_by_epochs_and_network() -> None:
    def work(command: str, **flags: Any) -> float:
        return work_of(resolve(TRAINING[command][0], command, (), flags).settings)

    assert work("train-cnn", epochs=20) == 2 * work("train-cnn", epochs=10)
    assert work("train-cnn", epochs=10, kernel_size=7, stride=1) > work("train-cnn", epochs=10)
    settings = resolve(TRAINING["train-mlp"][0], "train-mlp", (), {"epochs": 10, "image_size": 28}).settings
    assert work_of(settings) == 10 * (STEP + multiply_adds(settings.network, 28))
    assert work("finetune", weights="none", data="x", epochs=10) > work("train-cnn", epochs=10)


@pytest.mark.slow
def test_what_is_trained_on_features_is_found_however_the_folder_is_named(tmp_path: Path, a2: A2) -> None:
    draw_classes(tmp_path / "set", count=20)
    head = "command: train-mlp, features: seen, flags: {val_count: 8, batch_size: 8, epochs: 2"
    (tmp_path / "ledger.yaml").write_text(f"""
title: On features
inputs: {{data: {{about: two painters}}}}
worlds: {{plain: {{}}}}
sections: {{"1": Heads}}
runs:
  seen: {{command: extract-features,
    flags: {{backbone: squeezenet1_1, weights: none, image_size: 32, layer: features.3}}}}
  head: {{{head}}}}}
  slow: {{{head}, learning_rate: 1.0e-6}}}}
claims:
  - {{id: rate, section: "1", claim: A rate helps., kind: higher, run: head, than: [slow]}}
""")
    assert a2(*HERE, "--budget", "12", "--out", "out", "--quiet").status == 0
    trained = sorted((tmp_path / "out/trials").glob("*/*"))
    assert len(trained) == 12
    for name in (tmp_path / "out", "set/../out"):
        assert a2("replicate", "--resume", name, "--quiet", "--budget", "12").status == 0
        assert sorted((tmp_path / "out/trials").glob("*/*")) == trained, "nothing is trained again"
    moved = tmp_path / "else/where"
    moved.parent.mkdir()
    (tmp_path / "out").rename(moved)
    before = contents(moved / "trials")
    (tmp_path / "here").symlink_to(moved)
    for name in (moved, "here"):
        assert a2("replicate", "--resume", name, "--quiet", "--budget", "12").status == 0
        assert contents(moved / "trials") == before, "nothing is trained again where the folder was moved"
    lost, *_ = sorted((moved / "trials").glob("*/*/"))
    shutil.rmtree(lost)
    for jobs in ("1", "2"):
        ended = a2("replicate", "--resume", moved, "--quiet", "--budget", "14", "--jobs", jobs)
        assert ended.status == 0 and (lost / "model").is_dir(), "the file is read where it lies now"
        shutil.rmtree(lost)


def test_a_printed_number_of_other_data_is_not_attempted(tmp_path: Path, a2: A2) -> None:
    draw_classes(tmp_path / "set", count=15)
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    assert a2(*HERE, "--only", "printed", "--quiet", "--out", "out").status == 0
    one = judged(tmp_path / "out", "printed")
    assert one["verdict"] == "not attempted"
    assert one["why"].startswith("a number of other data: two painters (40 images, 2 classes), not ")
    assert not (tmp_path / "out/trials").exists() or not list((tmp_path / "out/trials").glob("*/*"))


def test_nor_is_one_on_a_built_in_set_which_can_have_as_many_images(tmp_path: Path, a2: A2) -> None:
    comp541 = ["replicate", "comp541", "--only", "1.2"]
    said = "1.2-training, 1.2-validation: a number of other data: 451 paintings by 11 artists, not the built-in atelier"
    assert f"Not attempted: {said}; --data" in " ".join(a2(*comp541, "--dry-run").out.split())
    draw_classes(tmp_path / "set", count=10)
    plan = " ".join(a2(*comp541, "--data", "set", "--dry-run").out.split())
    said = "Printed numbers, attempted only if --data has 451 images of 11 classes as the report's data has"
    assert f"{said}: 1.2-training, 1.2-validation" in plan
    small = a2("replicate", "comp541", "--only", "1.2-early-rise", "--data", "set", "--quiet")
    small.refused(3, "run baseline: cannot hold out 91 of 20 images, as the ledger has it; name other data by --data")


@pytest.mark.slow
def test_what_a_resumed_run_refuses(place: Path, a2: A2) -> None:
    a2("replicate", "--resume", "out", "--data", "atelier").refused(2, "data is set in the run, not atelier")
    a2("replicate", "ledger.yaml", "--resume", "out", "--out", "new").refused(2, "--out: ")
    edit(place / "out/ledger.yaml", "margin: 0.2", "margin: 0.3")
    a2("replicate", "--resume", "out").refused(3, "ledger.yaml was damaged or edited")
    shutil.copy(place / "ledger.yaml", place / "other.yaml")
    a2("replicate", "other.yaml", "--resume", "out").refused(2, "ledger is ")


@pytest.mark.slow
def test_an_edited_verdict_is_refused(place: Path, a2: A2) -> None:
    path = place / "out/report.json"
    path.write_text(path.read_text().replace('"supported"', '"contradicted"', 1))
    a2("replicate", "--resume", "out", "--quiet").refused(3, "report.json")
    path.write_text((place / "out/report.json").read_text())
    sign(path)
    ended = a2("replicate", "--resume", "out", "--quiet")
    assert ended.status == 3 and "claims.better, plain.verdict is contradicted, but supported by" in ended.err


@pytest.mark.slow
def test_an_edited_mean_of_a_run_is_refused(place: Path, a2: A2) -> None:
    path = place / "out/report.json"
    report = json.loads(path.read_text())
    row = report["results"]["runs"][0]
    assert row["seeds"] >= 6 and 0 < row["validation"] <= 1, "of every training that was done"
    row["validation"] -= 0.01
    path.write_text(json.dumps(report))
    sign(path)
    ended = a2("replicate", "--resume", "out", "--quiet")
    assert ended.status == 3 and f"runs.{row['run']}, {row['world']}.validation is " in ended.err
    shutil.rmtree(next(folder for folder in sorted((place / "out/trials").glob("*/*")) if folder.is_dir()))
    ended = a2("replicate", "--resume", "out", "--quiet")
    assert ended.status == 3, "also where a training is gone, and done again"
    assert f"runs.{row['run']}, {row['world']}.validation is " in ended.err


def test_what_is_printed_without_running(tmp_path: Path, a2: A2) -> None:
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    listed = a2("replicate", "ledger.yaml", "--list", "--only", "2", "--json")
    assert [claim["id"] for claim in json.loads(listed.out)] == ["turned", "sees", "sees8", "answers", "tuned"]
    assert "comp541" in json.loads(a2("replicate", "--json").out) and "comp541" in a2("replicate").out
    draw_classes(tmp_path / "set", count=20)
    plan = json.loads(a2(*HERE, "--plan", "--json").out)
    assert [(row["seeds"], row["trainings"]) for row in plan["looks"]] == [(n, 5 * n) for n in LOOKS], "adam is same's"
    assert [row["seconds"] / row["seeds"] for row in plan["looks"]] == pytest.approx(
        [plan["looks"][0]["seconds"] / 6] * 6
    )
    assert plan["not_timed"] == ["wild"]
    assert plan["not_attempted"] == {"tuned": "needs pretrained weights: --weights"}
    dry = json.loads(a2(*HERE, "--dry-run", "--json").out)["plan"]
    assert "Not attempted: tuned: needs pretrained weights: --weights" in dry
    assert "Claims: 12 verdicts on 10 claims" in dry
    assert not list(tmp_path.glob("runs*"))


def test_a_list_counts_the_runs_of_its_claims(tmp_path: Path, a2: A2) -> None:
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    for only, counts in (("1", "6 claims on 4 runs"), ("turned", "1 claim on 2 runs"), ("sees", "1 claim on 1 run")):
        assert a2("replicate", "ledger.yaml", "--list", "--only", only).out.endswith(f"\n{counts}\n")


@pytest.mark.parametrize(
    ("only", "line"),
    [
        ("2.2", "Not attempted: 2.2-test, 2.2-plain, 2.2-pooling-dropout, 2.2-overfits: needs AlexNet's pretrained"),
        ("1.1", "No training needed: 1.1-field, 1.1-sizes, 1.1-proven"),
    ],
)
def test_a_plan_without_trainings_has_no_table(only: str, line: str, a2: A2) -> None:
    planned = a2("replicate", "comp541", "--plan", "--only", only)
    assert (
        " ".join(planned.out.split()).startswith(line)
        and "trainings" not in planned.out
        and "timing" not in planned.err
    )
    assert json.loads(a2("replicate", "comp541", "--plan", "--only", only, "--json").out)["looks"] == []


def test_a_plan_says_what_is_not_in_its_table(tmp_path: Path, a2: A2) -> None:
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    draw_classes(tmp_path / "set", count=20)
    below = ["--only", "ends,sees,sees8,answers,tuned"]
    planned = a2(*HERE, "--plan", *below)
    assert planned.out.splitlines()[-4:] == [
        "Not timed, as on features, in stages or diverging: wild.",
        "No training needed: sees, sees8",
        "Judged on 1 to 3 trainings each, not timed: answers",
        "Not attempted: tuned: needs pretrained weights: --weights",
    ]
    assert " 6           not timed " in planned.out


def test_wrong_options(tmp_path: Path, a2: A2) -> None:
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    a2("replicate", "--plan").refused(2, "--plan: acts only on a ledger; name one of comp541, mit6867")
    a2("replicate", "--data", "set").refused(2, "--data: acts only on a ledger")
    a2("replicate", "comp").refused(2, "unknown ledger 'comp'")
    a2("replicate", "none.yaml").refused(2, "none.yaml")
    a2(*HERE, "--only", "3").refused(2, "--only 3: no section or claim")
    a2(*HERE, "--only", "bettr").refused(2, "did you mean 'better'?")
    a2(*HERE, "--budget", "soon").refused(2, "--budget: expected a time")
    a2(*HERE, "--write", "docs").refused(2, "--write: ")
    a2(*HERE, "--list", "--plan").refused(2, "--plan: give it or --list")
    a2(*HERE, "--faces", "portraits").refused(2, "--faces: no claim of this ledger is about any")
    a2(*HERE, "--cluster", "there").refused(2, "--cluster: ")
    assert not list(tmp_path.glob("runs*"))


def test_a_run_that_cannot_be_is_refused_before_any_training(tmp_path: Path, a2: A2) -> None:
    draw_classes(tmp_path / "set", count=20)
    for old, new, word in (
        ("learning_rate: 0.03", "learning_rat: 0.03", "run adam: train-cnn has no setting 'learning_rat'"),
        ("val_count: 8", "val_count: 80", "run adam: "),
        ("epochs: 12", "epochs: 0", "run adam: "),
    ):
        (tmp_path / "ledger.yaml").write_text(LEDGER.replace(old, new))
        ended = a2(*HERE, "--only", "better", "--out", "out")
        assert ended.status in (2, 3) and word in ended.err, ended
        assert not list(tmp_path.glob("out/trials/*/*"))


def test_budgets() -> None:
    assert budget_of(None) == (None, None)
    assert budget_of("2h") == (7200, None)
    assert budget_of("90m") == (5400, None)
    assert budget_of("500") == budget_of("500 trainings") == (None, 500)
    for text in ("", "0", "-1", "h", "2 days", "trainings"):
        with pytest.raises(SettingsError):
            budget_of(text)


def test_the_cheapest_decision_comes_first() -> None:
    costs = {"dear": 90.0, "cheap": 10.0, "hopeless": None, "middle": 40.0}
    wanted = {name: {(name, i) for i in range(BATCH // 2)} for name in costs}
    assert next_claims(list(costs), costs.__getitem__, wanted.__getitem__) == ["cheap", "middle"]
    wanted["middle"] = wanted["cheap"]  # what both want counts once
    assert next_claims(list(costs), costs.__getitem__, wanted.__getitem__) == ["cheap", "middle", "dear"]
    assert next_claims(["hopeless", "dear"], costs.__getitem__, wanted.__getitem__) == ["dear", "hopeless"]

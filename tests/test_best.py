"""The best of several runs: which it is, that it is named and printed, and that every --run takes it."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, TINY, contents, draw_classes, edit, sign
from test_house import HEAVY, modules_after

from a2cli import main
from a2cli.compare_optimizers.verdict import comparison_verdict
from a2cli.reports.ablation_results import AblationResults, Combination
from a2cli.reports.best import best_run, choose
from a2cli.reports.report import read_report
from a2cli.reports.study_results import ComparisonResults, Contender, Table, TrialOutcome, TrialStatus
from a2cli.reports.training_results import Accuracy, JudgedPart, TrainingResult, TrainingResults
from a2cli.statistics.intervals import spread_of_shares
from a2cli.training import trial

# Which it is


def outcome(seed: int, accuracy: float | None, status: TrialStatus = "done", folder: str = "") -> TrialOutcome:
    return TrialOutcome(seed, 0.1, status, "", accuracy, None, None, None, folder or f"trials/{seed}-{accuracy}")


def contender(name: str, *runs: TrialOutcome) -> Contender:
    return Contender(name, {}, 0.1, None, None, False, [], list(runs), None, 0, None, None, 0, 0)


def compared(*contenders: Contender, more: Sequence[Contender] = ()) -> ComparisonResults:
    tables = [Table("grid", list(contenders), [], "")] + [Table("none", list(more), [], "")] * bool(more)
    return ComparisonResults(0.01, None, [0, 1], [], tables, "")


def ablated(*combinations: tuple[str, Sequence[TrialOutcome]]) -> AblationResults:
    made = [Combination(name, [], list(runs), None) for name, runs in combinations]
    return AblationResults("train-cnn", "orders", 0.01, [0, 1], [], made, "")


def trained(folder: str, correct: int, loss: float) -> TrainingResult:
    share = Accuracy(correct, 10, correct / 10, 0.0, 1.0)
    seed = int(Path(folder).name)
    judged = JudgedPart("val", share, [], {}, [])
    return TrainingResult(seed, 1, 1, 1, 1, False, share, share, loss, 0, 0, share, None, judged, folder)


STEADY, LUCKY = (outcome(0, 0.8), outcome(1, 0.82)), (outcome(0, 0.9), outcome(1, 0.5))


def test_the_highest_mean_wins_and_of_it_the_highest_seed() -> None:
    """Not the highest of all runs, which is luck."""
    found = best_run(compared(contender("steady", *STEADY), contender("lucky", *LUCKY)))
    assert found is not None
    assert (found.name, found.seed, found.accuracy, found.folder) == ("steady", 1, 0.82, "trials/1-0.82")
    assert found.config == "trials/1-0.82/config.yaml"
    assert found.reason == ("steady at 0.1 has the highest mean validation accuracy, 0.810 over 2 seeds; its run with "
                            "seed 1 has the highest of these, 0.820")  # fmt: skip


def name_of(results: Any) -> tuple[str, int] | None:
    found = best_run(results)
    return (found.name, found.seed) if found else None


def test_of_equal_means_the_first_is_said_to_be_the_first() -> None:
    found = best_run(compared(contender("steady", *STEADY), contender("same", *STEADY)))
    assert found is not None
    assert found.reason.startswith("steady at 0.1 is the first with the highest mean validation accuracy, 0.810 over ")
    means = {"steady": 0.81, "same": 0.81, "low": 0.1}
    several = [replace(contender(name), accuracy=spread_of_shares([mean] * 2)) for name, mean in means.items()]
    said = comparison_verdict("grid", several, {}, 0.01, 0.01)
    assert "steady has the highest mean accuracy, 0.810 ± 0.000 over 2 seeds; same has the same." in said


def test_what_counts() -> None:
    steady, alone = contender("steady", *STEADY), contender("alone", outcome(0, 0.99))
    failed, diverged = outcome(0, None, "failed"), outcome(1, 0.95, "diverged")
    assert name_of(compared(alone, steady)) == ("steady", 1), "one run says less than two"
    assert name_of(compared(contender("half", failed, outcome(1, 0.99)), steady)) == ("steady", 1)
    assert name_of(compared(contender("mixed", outcome(0, 0.9), diverged))) == ("mixed", 0), "that has a network"
    mixed = best_run(compared(contender("mixed", outcome(0, 0.9), diverged)))
    assert mixed is not None and mixed.reason.endswith(
        "0.925 over 2 seeds, of which 1 diverged and counts as the largest class; its run with seed 0 has the highest "
        "of those that ended, 0.900"
    )
    assert name_of(compared(contender("gone", replace(diverged, seed=0), diverged), steady)) == ("steady", 1)
    assert name_of(compared(contender("gone", failed, diverged))) is None
    assert name_of(compared(steady, more=[contender("more", outcome(0, 0.9), outcome(1, 0.9))])) == ("more", 0)
    same = contender("same", outcome(0, 0.81), outcome(1, 0.81))
    assert name_of(compared(same, contender("other", *same.runs))) == ("same", 0), "among equals the first"
    found = best_run(compared(alone))
    assert found is not None
    assert found.reason == "alone at 0.1 has the highest validation accuracy, 0.990 with seed 0"


def test_of_an_ablation_one_trained_with_every_seed() -> None:
    met_once = [outcome(1, 0.99)]
    assert name_of(ablated(("all", LUCKY), ("without norm", STEADY), ("only norm", met_once))) == ("without norm", 1)
    reasons = [found.reason for name in ("all", "without a, b", "only a", "none")
               if (found := best_run(ablated((name, STEADY))))]  # fmt: skip
    words = ["with all ingredients", "without a, b", "with only a", "without any ingredient"]
    assert [reason.partition(" has ")[0] for reason in reasons] == [f"the training {which}" for which in words]


def test_of_seeds_and_folds_the_highest_then_the_lowest_loss() -> None:
    for kind in ("seeds", "folds"):
        runs = [trained(f"{kind}/{i}", *value) for i, value in enumerate(((8, 0.3), (9, 0.5), (9, 0.4), (9, 0.4)))]
        found = best_run(TrainingResults(runs, None, None, None, None, ""))
        assert found is not None
        assert (found.folder, found.name) == (f"{kind}/2", f"{kind[:-1]} 2")
        assert found.reason == f"{kind[:-1]} 2 has the highest validation accuracy of 4 {kind}, 0.900"
    assert best_run(TrainingResults(runs[:1], None, None, None, None, "")) is None


# Runs

NETWORK = " ".join(TINY[:8]) + " --data set --device cpu"
TRIALS = f"{NETWORK} --epochs 2 --seeds 2 --jobs 1 --quiet --out"
COMMANDS = {
    "compared": f"compare-optimizers {TRIALS} compared --optimizers adam,sgd --tuning none --learning-rate 0.02",
    "ablated": f"ablate {TRIALS} ablated --norm batch -w norm=none",
    "seeds": f"train-cnn {NETWORK} --epochs 1 --seeds 2 --jobs 1 --quiet --out seeds --threads 1",
    "folds": "train-mlp --data set --image-size 8 --hidden 4 --epochs 1 --folds 2 --jobs 1 --quiet --out folds "
    "--threads 1 --device cpu",
    "alone": f"train-cnn {NETWORK} --epochs 1 --quiet --out alone --threads 1",
}
USES = {
    "predict": "predict set/ada/0.png --device cpu --threads 1 --json",
    "probe-invariance": "probe-invariance --changes flip-horizontal --device cpu --threads 1 --json --out used",
    "visualize-weights": "visualize-weights --show evidence --redraws 4 --device cpu --threads 1 --json --out used",
    "extract-features": "extract-features --data set --layer conv1 --device cpu --threads 1 --json "
    "--out used.safetensors",
    "finetune": "finetune --data set --stages head:1 --device cpu --threads 1 --json --out used",
    "ablate": "ablate --trains finetune --data set --stages head:1 --device cpu --seeds 1 --jobs 1 -w dropout=0 --json "
    "--out used",
    "receptive-field": "receptive-field --figures --json --out used",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("best")
    draw_classes(place / "set", ("ada", "bea", "cay"), 12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr(trial, "draw_run", lambda *_: None)
        for command in COMMANDS.values():
            patch.setattr(sys, "argv", ["a2", *command.split()])
            assert main.run_command() == 0
    return place


@pytest.fixture
def own(place: Path, tmp_path: Path, a2: A2) -> A2:
    """Run `a2` beside copies of the runs, which may be harmed."""
    for name in ("set", *COMMANDS):
        shutil.copytree(place / name, tmp_path / name)
    return lambda command, *more: a2(*command.split(), *more)


def best_in(folder: str) -> str:
    return choose("--run", folder).folder


def results(folder: str) -> dict[str, Any]:
    return dict(json.loads(Path(folder, "report.json").read_text())["results"])


@pytest.mark.parametrize("folder", ["compared", "ablated"])
def test_the_best_is_named_and_printed(folder: str, own: A2) -> None:
    command = COMMANDS[folder].split()[0]
    found = results(folder)["best"]
    trial_of = json.loads(Path(folder, found["folder"], "report.json").read_text())
    assert trial_of["results"]["runs"][0]["val"]["value"] == found["accuracy"]
    assert trial_of["config"]["seed"] == found["seed"]
    assert f"seed {found['seed']}" in found["reason"]
    assert "validation accuracy" in found["reason"]
    best = f"{folder}/{found['folder']}"
    shown = own(f"{command} --resume {folder} --jobs 1").out
    assert f"\nBest run: {best}\nIts settings: {best}/config.yaml\n" in shown
    assert f"It is the best as {found['reason']}." in " ".join(shown.split())
    assert Path(best, "config.yaml").is_file()
    before = contents(Path(folder))
    ended = own(f"{command} --resume {folder} --best")
    assert (ended.status, ended.out) == (0, f"{best}\n")
    assert ended.err == f"--best: {found['reason']}\n"
    assert contents(Path(folder)) == before, "nothing was trained or written"


def test_the_best_of_what_is_trained_now(own: A2) -> None:
    """In a new folder, and with more seeds than there were."""
    flags = COMMANDS["compared"].replace("--out compared", "--best --out new")
    ended = own(flags)
    new = best_in("compared").replace("compared/", "new/")
    assert (ended.status, ended.out) == (0, f"{new}\n")
    ended = own("compare-optimizers --resume compared --seeds 3 --jobs 1 --best")
    assert ended.out == best_in("compared") + "\n"
    assert len(results("compared")["tables"][0]["contenders"][0]["runs"]) == 3
    assert "over 3 seeds" in ended.err


def test_printing_and_resolving_load_no_torch(own: A2, tmp_path: Path) -> None:
    commands = ["compare-optimizers --resume compared --best", "ablate --resume ablated --best"]
    commands += ["probe-invariance --run compared --dry-run", "visualize-weights --run seeds --dry-run"]
    for command in commands:
        status, modules = modules_after(command.split(), tmp_path)
        assert (status, HEAVY & modules) == (0, set())


@pytest.mark.parametrize("flags", ["--json", "--dry-run", "--plan"])
def test_the_best_alone_is_printed(flags: str, own: A2) -> None:
    own(f"{COMMANDS['compared'].replace('--quiet', '')} --best", flags).refused(2, "--best: ", f"leave out {flags}")
    if flags != "--plan":
        own(f"{COMMANDS['ablated'].replace('--quiet', '')} --best", flags).refused(2, "--best: ", f"leave out {flags}")


@pytest.mark.parametrize("folder", ["compared", "ablated"])
def test_a_best_run_is_held_to_its_own_report(folder: str, own: A2) -> None:
    path = Path(folder, "report.json")
    values = json.loads(path.read_text())
    parts = values["results"]["tables"][0]["contenders"] if folder == "compared" else values["results"]["combinations"]
    for run in parts[-1]["runs"]:
        run["accuracy"] = 0.99
    path.write_text(json.dumps(values))
    sign(path)
    own("predict --run", folder, "set/ada/0.png").refused(3, "says 0.990 of trials/", "its own report 0.")


# Every --run

ALL = {"predict", "probe-invariance"}  # take all networks of seeds or folds
CASES = [(use, folder) for use in USES for folder in ("compared", "ablated", "seeds")]


@pytest.mark.parametrize(("use", "folder"), CASES)
def test_a_run_may_be_one_of_several(use: str, folder: str, own: A2, tmp_path: Path) -> None:
    ended = own(USES[use], "--run", folder)
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)
    takes_all = use in ALL and folder == "seeds"
    best = best_in(folder)
    said = [line for line in ended.err.splitlines() if line.startswith("--run ")]
    chosen = report["chosen"] or []
    chosen = [chosen] if isinstance(chosen, dict) else chosen
    if takes_all:
        assert (said, chosen) == ([], [])
        used = report["networks"] if use == "predict" else report["results"]["runs"][0]["networks"]
        assert used in (2, ["seeds/seeds/0", "seeds/seeds/1"])
        return
    reason = choose("--run", folder).reason
    assert said == [f"--run {folder}: its best run is used, {best}: {reason}"]
    assert chosen == [{"named": folder, "folder": best, "reason": reason}]
    assert (report["run"] if use == "predict" else report["config"]["run"]) in (best, [best])
    stored = Path("used/report.json")
    assert not stored.exists() or json.loads(stored.read_text())["chosen"] == chosen
    shutil.rmtree("used", ignore_errors=True)
    Path("used.safetensors").unlink(missing_ok=True)
    alone = own(USES[use], "--run", best)
    again = json.loads(alone.out)
    assert "--run" not in alone.err
    assert not again["chosen"]
    for key in ("results", "predictions"):
        assert timeless(again.get(key)) == timeless(report.get(key))


def timeless(found: Any) -> Any:
    """Return results without what a clock or the cache says."""
    if isinstance(found, dict):
        gone = ("seconds", "computed", "kept", "verdict", "images_per_second")
        return {key: timeless(value) for key, value in found.items() if key not in gone}
    return [timeless(value) for value in found] if isinstance(found, list) else found


def test_what_was_chosen_stays_with_a_resumed_run(own: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of the seeds may be another by then."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("a2cli.transfer.finetune.Finetuning._stage", stopped)
        assert own(USES["finetune"], "--run", "seeds").status == 130
    report = read_report(Path("used"))
    assert report is not None
    assert (report.status, report.chosen) == ("interrupted", [choose("--run", "seeds")])
    other = {"seeds/seeds/0": "1", "seeds/seeds/1": "0"}[report.chosen[0].folder]
    assert own("finetune --resume used --quiet").status == 0
    again = read_report(Path("used"))
    assert again is not None
    assert (again.status, again.chosen, again.config) == ("done", report.chosen, report.config)
    refused = own("finetune --resume used --quiet", "--run", f"seeds/seeds/{other}")
    assert refused.status == 3 and "used/model/model.json: built on other weights" in refused.err


def test_fields_without_a_folder_of_their_own(own: A2) -> None:
    report = json.loads(own("receptive-field --json --run compared").out)
    assert [one["folder"] for one in report["chosen"]] == [best_in("compared")]


def test_folds_and_a_network_of_its_own(own: A2) -> None:
    ended = own(USES["visualize-weights"].replace("evidence", "units"), "--run", "folds")
    assert json.loads(ended.out)["results"]["networks"][0]["folder"] == best_in("folds")
    assert best_in("folds").startswith("folds/folds/")
    assert "fold " in ended.err
    chosen = choose("--run", "alone")
    assert (chosen.folder, chosen.reason) == ("alone", "")


def test_two_names_of_one_run(own: A2) -> None:
    use = f"visualize-weights --show filters --run compared --run {best_in('compared')}"
    own(use).refused(2, "--run: compared and", "are the same run")


# What cannot be used

BROKEN = [(use, folder) for folder in ("compared", "ablated")
          for use in ("predict", "probe-invariance", "visualize-weights", "finetune")]  # fmt: skip
BROKEN += [("visualize-weights", "seeds"), ("extract-features", "seeds")]


@pytest.mark.parametrize(("use", "folder"), BROKEN)
def test_what_is_not_whole(use: str, folder: str, own: A2) -> None:
    command, best = COMMANDS[folder].split()[0], best_in(folder)
    goes_on = f"a2 {command} --resume {folder}"
    shutil.move(f"{best}/model", "moved")
    own(USES[use], "--run", folder).refused(
        3, f"--run {folder}: its best run, {best}, has no network any more", goes_on
    )
    shutil.move("moved", f"{best}/model")
    report = Path(folder, "report.json").read_text()
    edit(Path(folder, "report.json"), '"status": "done",\n "created"', '"status": "running",\n "created"')
    own(USES[use], "--run", folder).refused(3, f"--run {folder}: not finished (running); go on with: {goes_on}")
    Path(folder, "report.json").unlink()
    own(USES[use], "--run", folder).refused(3, f"--run {folder}: not finished (no report.json)", goes_on)
    Path(folder, "report.json").write_text(report.replace("0.", "0.0", 1))
    own(USES[use], "--run", folder).refused(3, f"{folder}/report.json: damaged or edited")


@pytest.mark.parametrize("folder", ["compared", "ablated", "seeds"])
def test_a_removed_run_comes_back_as_it_was(folder: str, own: A2) -> None:
    """By the advice that the error gives."""
    command, best = COMMANDS[folder].split()[0], best_in(folder)
    weights = Path(best, "model/model.safetensors").read_bytes()
    shutil.rmtree(best)
    own(USES["visualize-weights"], "--run", folder).refused(3, "has no network any more; remove what is left of it")
    assert own(f"{command} --resume {folder} --jobs 1", *["--best"] * (folder != "seeds")).status == 0
    assert best_in(folder) == best
    assert Path(best, "model/model.safetensors").read_bytes() == weights


def test_without_any_network(own: A2) -> None:
    rate = COMMANDS["compared"].replace("--learning-rate 0.02", "--learning-rate 900 --weight-decay 0.9 --epochs 60")
    ended = own(
        rate.replace("--optimizers adam,sgd", "--optimizers sgd --batch-sizes 4,8").replace(
            "--out compared", "--best --out bad"
        )
    )
    words = "bad: no run in it has a network (4 diverged); its report.json says why"
    assert (ended.status, ended.out) == (3, ""), ended.err
    assert ended.err.splitlines()[-1] == f"error: --best {words}"
    assert results("bad")["best"] is None
    own(USES["predict"], "--run", "bad").refused(3, f"--run {words}")

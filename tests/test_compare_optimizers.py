"""`a2 compare-optimizers`: trials are train-cnn's own, tuning is equal, what ends early goes on."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import A2, apart_from_few, draw_classes, hold_to_schema, sign

from a2cli.compare_optimizers.contenders import Choice, contenders_of, next_rate, rate_grid, trial_settings
from a2cli.compare_optimizers.run import best_rate
from a2cli.compare_optimizers.settings import CompareSettings, ComparisonSettings
from a2cli.formats import seconds_of
from a2cli.progress import NullReporter
from a2cli.reports.study_results import called
from a2cli.reports.training_results import EpochLog
from a2cli.runs.directory import Run
from a2cli.settings.training import TrainingSettings
from a2cli.study import trials
from a2cli.study.ledger import Ledger, TrialKey, timed, to_target
from a2cli.train.run import train_network
from a2cli.train.workers import Workers

SMALL = [
    "--data",
    "set",
    "--image-size",
    "8",
    "--channels",
    "2",
    "--kernel-size",
    "3",
    "--hidden",
    "none",
    "--device",
    "cpu",
]


@pytest.fixture
def compare(a2: A2, tmp_path: Path) -> A2:
    draw_classes(tmp_path / "set", count=10)
    return lambda *flags: a2("compare-optimizers", *SMALL, "--epochs", "2", "--jobs", "1", *flags)


def results(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text())
    hold_to_schema(report)
    return dict(report["results"])


def timeless(found: Any) -> Any:
    """Return results without what a clock says."""
    if isinstance(found, dict):
        return {key: timeless(value) for key, value in found.items() if "seconds" not in key}
    return [timeless(value) for value in found] if isinstance(found, list) else found


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parts[-3]: path.read_bytes() for path in folder.glob("trials/*/model/model.safetensors")}


def test_a_comparison(compare: A2, tmp_path: Path) -> None:
    flags = ["--optimizers", "adam,sgd", "--seeds", "3", "--rates", "3", "--tuning", "both", "--out", "out", "--quiet"]
    folder = compare(*flags).done()
    found = results(folder)
    tuned, plain = found["tables"]
    assert (tuned["tuning"], plain["tuning"]) == ("grid", "none")
    assert found["judged_seeds"] == [0, 1, 2]
    assert not set(found["judged_seeds"]) & set(found["tuning_seeds"])
    for table in (tuned, plain):
        means = [one["accuracy"]["mean"] for one in table["contenders"]]
        assert means == sorted(means, reverse=True)
        for one in table["contenders"]:
            assert one["accuracy"]["mean"] == pytest.approx(sum(run["accuracy"] for run in one["runs"]) / 3)
            assert {run["learning_rate"] for run in one["runs"]} == {one["learning_rate"]}
        (pair,) = table["pairs"]
        first, second = ({run["seed"]: run["accuracy"] for run in one["runs"]} for one in table["contenders"])
        assert pair["difference"] == pytest.approx(sum(first[seed] - second[seed] for seed in first) / 3)
    assert {one["learning_rate"] for one in plain["contenders"]} == {1e-4}
    for one in tuned["contenders"]:
        best = max(point["accuracy"] for point in one["tuning"])
        chosen = next(point for point in one["tuning"] if point["learning_rate"] == one["learning_rate"])
        assert chosen["accuracy"] == best
        assert {run["seed"] for point in one["tuning"] for run in point["runs"]} == set(found["tuning_seeds"])
        assert one["at_edge"] == (one["learning_rate"] in (one["low_rate"], one["high_rate"]))
        assert len(one["tuning"]) == 3 or one["at_edge"] or len(one["tuning"]) <= 5
    names = {path.stem for path in (folder / "figures").glob("*.png")}
    artifacts = json.loads((folder / "report.json").read_text())["artifacts"]
    drawn = (f"figures/{n}{end}" for n in names for end in (".csv", ".png"))
    assert sorted(artifacts) == sorted(["config.yaml", "contenders.csv", "contenders-one-rate.csv", *drawn])
    for name, table in (("contenders", tuned), ("contenders-one-rate", plain)):
        rows = list(csv.DictReader((folder / f"{name}.csv").read_text().splitlines()))
        assert [(row["contender"], float(row["accuracy"]), float(row["high"])) for row in rows] == [
            (one["name"], one["accuracy"]["mean"], one["accuracy"]["high"]) for one in table["contenders"]
        ]
    of_one_rate = {"curves-one-rate", "time-one-rate", "verdicts-one-rate"}
    assert names == {"curves", "time", "rates", "verdicts", "samples", *of_one_rate}
    assert all((folder / f"figures/{name}.csv").exists() for name in names)


def test_a_trial_is_train_cnn_alone(compare: A2, a2: A2, tmp_path: Path) -> None:
    """Bit by bit, side by side in processes as alone."""
    flags = ["--optimizers", "adam,rmsprop", "--seeds", "2", "--tuning", "none", "--dropout", "0.3", "--jobs", "2"]
    folder = compare(*flags, "--out", "out", "--quiet").done()
    assert len(weights(folder)) == 4
    for name, content in weights(folder).items():
        config = folder / "trials" / name / "config.yaml"
        alone = a2("train-cnn", "-p", config, "--quiet", "--out", f"alone/{name}").done()
        assert (alone / "model/model.safetensors").read_bytes() == content
        assert (alone / "config.yaml").read_bytes() == config.read_bytes()
        mine, other = (json.loads((place / "report.json").read_text())["results"] for place in (alone, config.parent))
        assert mine == other


def test_only_what_is_missing_is_run(compare: A2, a2: A2, tmp_path: Path) -> None:
    flags = ["--optimizers", "adam,sgd", "--seeds", "2", "--rates", "2", "--extend", "0"]
    folder = compare(*flags, "--out", "out", "--quiet").done()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/model/model.safetensors")}
    assert len(before) == 2 * 2 * 2 + 2 * 2
    report = (folder / "report.json").read_text()
    agrees = "this run was finished before, and agrees with its trials, which were not measured again"
    assert a2("compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet").done(agrees) == folder
    assert (folder / "report.json").read_text() == report, "nothing is written over"
    more = ["--optimizers", "adam,sgd,nadam", "--seeds", "3"]
    a2("compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet", *more).done()
    after = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/model/model.safetensors")}
    assert before.items() <= after.items(), "none was run again"
    assert len(after) == 3 * 2 * 2 + 3 * 3
    assert [len(one["runs"]) for one in results(folder)["tables"][0]["contenders"]] == [3, 3, 3]
    fresh = compare(*flags, *more, "--out", "fresh", "--quiet").done()
    assert timeless(results(fresh)) == timeless(results(folder))


def test_those_that_diverge_or_fail_are_recorded(compare: A2, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def sometimes(settings: Any, *rest: Any, **also: Any) -> Any:
        if settings.training.optimizer == "adam" and settings.training.seed == 1:
            raise ValueError("a bad day")
        return train_network(settings, *rest, **also)

    monkeypatch.setattr(trials, "train_network", sometimes)
    flags = ["--optimizers", "adam,sgd,momentum", "--tuning", "none", "--learning-rate", "900", "--weight-decay", "0.9"]
    folder = compare(*flags, "--seeds", "3", "--epochs", "40", "--out", "out", "--quiet").done()
    contenders = {one["name"]: one for one in results(folder)["tables"][0]["contenders"]}
    failed = contenders["adam"]["runs"][1]
    assert (failed["status"], failed["reason"], failed["accuracy"]) == ("failed", "ValueError: a bad day", None)
    assert contenders["adam"]["failed"] == 1
    assert [run["status"] for run in contenders["adam"]["runs"]] == ["done", "failed", "done"]
    diverged = [run for one in contenders.values() for run in one["runs"] if run["status"] == "diverged"]
    assert diverged and all("learning rate 900" in run["reason"] for run in diverged)
    assert all(run["accuracy"] in (0.5, None) for run in diverged), "the largest of two equal classes"
    words = json.loads((folder / "report.json").read_text())["results"]["verdict"]
    assert "1 run failed (adam: 1). The first: " in words and "diverged" in words
    report = (folder / "report.json").read_text()
    earlier = re.sub(r" \d+ runs? diverged \(.*", " 1 run diverged (sgd 1). 1 run failed (adam 1).", words)
    assert earlier != words
    (folder / "report.json").write_text(report.replace(json.dumps(words)[1:-1], json.dumps(earlier)[1:-1]))
    sign(folder / "report.json")
    ended = a2(
        "compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet"
    )  # what an earlier version said is not held against it
    assert (ended.status, results(folder)["verdict"]) == (0, words), ended.err
    monkeypatch.undo()


def test_what_was_edited_of_a_finished_comparison(compare: A2, a2: A2, tmp_path: Path) -> None:
    flags = ["--optimizers", "adam,sgd", "--seeds", "2", "--tuning", "none", "--jobs", "1"]
    folder = compare(*flags, "--out", "out", "--quiet").done()
    resume = ["compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet"]
    report, table = (folder / "report.json").read_text(), (folder / "contenders.csv").read_bytes()
    (folder / "contenders.csv").write_bytes(table.replace(b"adam", b"eve"))
    a2(*resume).done("finished before", "contenders.csv: gone, or not as the run wrote it; all are written again")
    assert (folder / "contenders.csv").read_bytes() == table
    for name, value, words in (
        ("reason", "adam has 0.999", "results.best.reason is "),
        ("test_reads", 3, "test_reads is 3, but 0 by a study, which reads no test images"),
    ):
        edited = json.loads(report)
        (edited["results"]["best"] if name == "reason" else edited)[name] = value
        (folder / "report.json").write_text(json.dumps(edited))
        sign(folder / "report.json")
        a2(*resume).refused(3, words)
    worded = json.loads(report)  # by another version
    worded["results"]["best"]["reason"] += ", of which 1 diverged and counts as the largest class"
    (folder / "report.json").write_text(json.dumps(worded))
    sign(folder / "report.json")
    assert a2(*resume).status == 0
    first, second = sorted((folder / "trials").glob("adam*"))
    shutil.rmtree(first)
    shutil.copytree(second, first)
    a2(*resume).refused(3, f"{Path('out/trials') / first.name}: a run with other settings (seed was 1, is 0)")


def test_images_that_lie_elsewhere_now(compare: A2, a2: A2, tmp_path: Path) -> None:
    flags = ["--optimizers", "adam,sgd", "--seeds", "2", "--tuning", "none", "--jobs", "1"]
    folder = compare(*flags, "--out", "out", "--quiet").done()
    report = (folder / "report.json").read_text()
    called = json.loads(report)["config"]["data"]
    shutil.move(called, "elsewhere")
    resume = ["compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet"]
    a2(*resume).refused(3, "say where it lies now with --data")
    a2(*resume, "--data", "elsewhere").done("agrees with its trials")
    assert (folder / "report.json").read_text() == report
    assert len([*folder.glob("trials/*")]) == 4, "none was trained again"
    edited = json.loads(report)
    edited["results"]["tables"][0]["contenders"][0]["accuracy"]["mean"] = 0.9
    (folder / "report.json").write_text(json.dumps(edited))
    sign(folder / "report.json")
    a2(*resume, "--data", "elsewhere").refused(3, "accuracy.mean is 0.9, but ")
    (folder / "report.json").unlink()
    shutil.rmtree(next(folder.glob("trials/sgd*")))
    draw_classes(tmp_path / "other", count=6)
    a2(*resume, "--data", "other").refused(3, ": trained on other data (data: fingerprint ")
    a2(*resume, "--data", "elsewhere").done()
    assert timeless(results(folder)) == timeless(json.loads(report)["results"])


def test_one_seed_is_no_comparison(compare: A2) -> None:
    ended = compare("--optimizers", "adam,sgd", "--tuning", "none", "--seeds", "1", "--out", "out")
    assert ended.status == 0
    assert "fewer than two seeds are done, which is no comparison" in " ".join(ended.out.split())
    (table,) = results(Path("out"))["tables"]
    assert table["pairs"] == []
    assert all(one["accuracy"] is None and len(one["runs"]) == 1 for one in table["contenders"])


def test_contenders_are_crossed() -> None:
    lists = ComparisonSettings(optimizers=("adam", "sgd"), schedulers=("none", "cosine"), batch_sizes=(12, 32))
    choices = contenders_of(CompareSettings(comparison=lists))
    assert [choice.name for choice in choices][:3] == [
        "adam none batch 12",
        "adam none batch 32",
        "adam cosine batch 12",
    ]
    assert len({tuple(choice.values.items()) for choice in choices}) == 8
    lists = ComparisonSettings(optimizers=("adam",), dropouts=(0.0, 0.5), weight_decays=(1e-5,))
    choices = contenders_of(CompareSettings(comparison=lists))
    assert [choice.name for choice in choices] == ["dropout 0", "dropout 0.5"]
    trial = trial_settings(CompareSettings(comparison=lists), choices[1], 0.02, 7, "cpu")
    training = trial.training
    assert trial.network.dropout == (0.5,)
    assert (training.weight_decay, training.learning_rate, training.seed, training.seeds) == (1e-5, 0.02, 7, 1)
    assert (training.threads, training.device) == (1, "cpu")


def test_rates() -> None:
    adam = Choice("adam", {"optimizer": "adam"})
    assert rate_grid(adam, ComparisonSettings()) == [1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2]
    assert rate_grid(adam, ComparisonSettings(rates=3, rate_range=(1e-5, 1e-1))) == [1e-5, 1e-3, 1e-1]
    assert next_rate([1e-3, 1e-2, 1e-1], 1e-1) == 1.0
    assert next_rate([1e-3, 1e-2, 1e-1], 1e-3) == 1e-4


def test_time_to_a_target() -> None:
    history = timed([EpochLog(i, 0.1, 1.0, 0.5, 1.0, 0.2 * i, 100.0) for i in (1, 2, 3)], 50)
    assert [seconds for _, seconds in history] == [0.5, 1.0, 1.5]
    assert to_target(history, 0.4) == (2, 1.0)
    assert to_target(history, 0.7) == (None, None)
    assert to_target(history, None) == (None, None)


def test_a_plan(compare: A2, tmp_path: Path) -> None:
    plan = json.loads(compare("--optimizers", "adam,sgd", "--plan", "--budget", "3m", "--json").out)
    assert not (tmp_path / "runs").exists()
    rows = {row["seeds"]: row for row in plan["rows"]}
    assert rows[5]["trials"] == 2 * 5 * 2 + 2 * 5
    assert rows[5]["seconds"] == pytest.approx(30 * plan["trial_seconds"])
    assert plan["best"] in rows and rows[plan["best"]]["fits"]
    assert all(row["fits"] == (row["seconds"] <= 180) for row in rows.values())
    sizes = [rows[seeds]["detectable"] for seeds in sorted(rows)]
    assert sizes == sorted(sizes, reverse=True)
    assert seconds_of("1.5h") == 5400 and seconds_of("20m") == 1200 and seconds_of("90s") == 90
    assert [seconds_of(text) for text in ("", "m", "20", "-1m", "nanm", "infs")] == [None] * 6


BAD = {
    "--optimizers adm": (2, "did you mean 'adam'?"),
    "--optimizers adam": (2, "nothing to compare"),
    "--optimizers adam,adam": (2, "adam comes twice"),
    "--schedulers cosin": (2, "did you mean 'cosine'?"),
    "--schedulers none,cosine --scheduler step": (2, "--schedulers"),
    "--optimizer adam": (2, "--optimizers"),
    "--threads 2": (2, "--jobs"),
    "--learning-rate 0.1": (2, "--rate-range"),
    "--rate-range 0.1": (2, "expected the lowest and the highest"),
    "--rate-range 0.1,0.01": (2, "expected the lowest and the highest"),
    "--rate-range 0,0.01": (2, "--rate-range"),
    "--tuning none --rates 3": (2, "--rates: acts only with --tuning"),
    "--optimizers adam,sgd --momentum 0.5": (2, "--momentum: acts only with"),
    "--step-size 3": (2, "--step-size: acts only with --scheduler step"),
    "--margin 0": (2, "--margin"),
    "--seeds 0": (2, "--seeds"),
    "--backend lokky": (2, "did you mean 'loky'?"),
    "--cluster tcp://x": (2, "--cluster: acts only with"),
    "--budget 20m": (2, "--budget: acts only with --plan"),
    "--plan --budget soon": (2, "expected a time such as 20m"),
    "--resume nowhere": (3, "does not exist"),
    "--data nowhere": (3, "nowhere"),
}


@pytest.mark.parametrize("flags", BAD)
def test_bad_comparisons(flags: str, a2: A2, tmp_path: Path) -> None:
    status, words = BAD[flags]
    ended = a2("compare-optimizers", "--quiet", *flags.split())
    last = ended.err.splitlines()[-1]
    assert (ended.status, ended.out) == (status, ""), ended
    assert last.startswith("error: ") and words in last
    assert not (tmp_path / "runs").exists()


def test_a_momentum_acts_where_one_contender_has_it(a2: A2) -> None:
    ended = a2("compare-optimizers", "--optimizers", "sgd,momentum", "--momentum", "0.5", "--dry-run")
    assert ended.status == 0


def started(a2: Path, folder: Path, *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [a2 / "a2", "compare-optimizers", *SMALL, *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background leaves it ignored
    )


def children(process: int) -> list[int]:
    """Return the processes that run trials for this one (`forked.py` names them): copies of the server it started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True)
    every = [line.split() for line in listed.stdout.splitlines()]
    copy = {pid for pid, _, name, *_ in every if name == f"a2-{process}"}
    servers = {pid for pid, parent, name, *_ in every if name == "forkserver" and parent in copy}
    return [int(pid) for pid, parent, name, *_ in every if name == "forkserver" and parent in servers]


def until(condition: Any, seconds: float = 60) -> Any:
    for _ in range(int(seconds / 0.02)):
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


LONG = [
    "--optimizers",
    "adam,sgd,momentum",
    "--seeds",
    "2",
    "--tuning",
    "none",
    "--epochs",
    "150",
    "--jobs",
    "2",
    "--quiet",
]


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(a2: A2, tmp_path: Path, forked: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    whole = a2("compare-optimizers", *SMALL, *LONG, "--jobs", "1", "--out", "whole")
    assert (whole.status, whole.out, apart_from_few(whole.err)) == (0, "whole\n", [])
    process = started(forked, tmp_path, *LONG, "--out", "out")
    until(lambda: list((tmp_path / "out").glob("trials/*/metrics.csv")))
    os.kill(until(lambda: children(process.pid))[0], signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, apart_from_few(err)) == (0, "out\n", [])
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    assert len(weights(tmp_path / "out")) == 6
    first, second = (results(tmp_path / name)["tables"][0]["pairs"] for name in ("out", "whole"))
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_resumed(sign: signal.Signals, a2: A2, tmp_path: Path, forked: Path) -> None:
    draw_classes(tmp_path / "set", count=10)
    process = started(forked, tmp_path, *LONG, "--out", "out")
    until(lambda: list((tmp_path / "out").glob("trials/*/metrics.csv")))
    workers = until(lambda: children(process.pid))
    process.send_signal(sign)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sign]
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    if sign != signal.SIGKILL:
        assert json.loads((tmp_path / "out/report.json").read_text())["status"] == "interrupted"
    begun = Counter(path.parts[-2] for path in tmp_path.glob("out/trials/*/metrics.csv"))
    again = a2("compare-optimizers", "--resume", "out", "--jobs", "1", "--quiet")
    assert (again.status, again.out) == (0, "out\n"), again.err
    assert set(begun) <= set(weights(tmp_path / "out"))
    assert all(
        run["status"] == "done" for one in results(tmp_path / "out")["tables"][0]["contenders"] for run in one["runs"]
    )


def test_a_trial_that_kills_its_process_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone it is tried once more; the others go on, and end as ever."""
    draw_classes(tmp_path / "set", count=10)
    monkeypatch.chdir(tmp_path)
    settings = CompareSettings(training=TrainingSettings(epochs=2))
    settings = replace(settings, dataset=replace(settings.dataset, data="set", image_size=16))
    choice = contenders_of(settings)[0]
    work = {f"t{seed}": trial_settings(settings, choice, 1e-3, seed, "cpu") for seed in range(4)}
    (tmp_path / "trials/t2").mkdir(parents=True)
    (tmp_path / "trials/t2/.lock").mkdir()  # what the deadly one trips over
    workers = Workers(2)
    ended = {one.name: one for one in trials.run_trials(workers, work, tmp_path / "trials")}
    workers.close()
    assert {name: one.status for name, one in ended.items()} == {
        "t0": "done",
        "t1": "done",
        "t2": "failed",
        "t3": "done",
    }
    assert "cannot be written" in ended["t2"].reason
    alone = train_network(work["t0"], Run.create("train-cnn", "alone"), NullReporter(), figures=False)
    assert ended["t0"].report is not None and ended["t0"].report.results == alone.results


def test_trials_whose_processes_are_always_killed_are_given_up(tmp_path: Path) -> None:
    """Also where they never get as far as a report; each is tried twice, the second time alone."""
    tried: list[list[str]] = []

    @contextmanager
    def killed(_: object, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        tried.append([call[0] for call in calls])
        assert len(tried) < 10, "tried for ever"
        raise BrokenProcessPool
        yield

    for names in (["a"], ["a", "b"]):
        tried.clear()
        ended = list(trials.run_trials(SimpleNamespace(results=killed), dict.fromkeys(names), tmp_path))
        assert [(one.name, one.status, one.reason) for one in ended] == [
            (name, "failed", "its process was killed, twice") for name in names
        ]
        assert tried == [names, *([name] for name in names)]


def test_of_rates_of_equal_accuracy_the_one_with_the_lower_loss_is_chosen() -> None:
    found = {0.1: (0.5, 1.0), 0.01: (0.8, 0.9), 0.001: (0.8, 0.7), 0.0001: (0.7, 0.1)}  # accuracy, loss
    ledger = SimpleNamespace(
        accuracy=lambda key: found[key.rate][0], result=lambda key: SimpleNamespace(val_loss=found[key.rate][1])
    )
    assert best_rate(ledger, "adam", list(found), [3, 4]) == 0.001
    assert best_rate(ledger, "adam", [*found][::-1], [3, 4]) == 0.001


def test_the_table_of_trials_shows_each_contenders_best_rate(tmp_path: Path) -> None:
    found = {("adam", 0.1, 0): 0.2, ("adam", 0.1, 1): 0.3, ("adam", 0.01, 0): 0.8, ("sgd", 0.1, 0): 0.5}
    ledger = Ledger(tmp_path, Workers(1), NullReporter())
    ledger.ended = dict.fromkeys(found)
    ledger.accuracy = found.get
    wanted = [TrialKey(*key) for key in (*found, ("adam", 0.01, 1), ("momentum", 0.1, 0))]
    assert ledger._rows(wanted) == [("adam", "3/4", "0.800"), ("sgd", "1/1", "0.500"), ("momentum", "0/1", "")]


def test_no_contender_is_called_none(compare: A2, tmp_path: Path) -> None:
    """Not in plan, tables, verdict, progress or what is best; its name in the report stays."""
    flags = ["--optimizers", "adam", "--schedulers", "none,cosine", "--tuning", "none", "--seeds", "2"]
    plan = " ".join(compare(*flags, "--dry-run").out.split())
    assert "Contenders: scheduler none, cosine Trials" in plan
    ended = compare(*flags, "--out", "out")
    assert ended.status == 0
    shown, found = " ".join(ended.out.partition("All at one learning rate")[2].split()), results(tmp_path / "out")
    names = {one["name"] for one in found["tables"][0]["contenders"]}
    assert names == {"none", "cosine"}
    assert "scheduler none" in shown and "none" not in re.sub("scheduler[ -]none", "", shown)
    assert "scheduler none ahead" in ended.err or "cosine ahead" in ended.err
    assert "none" not in found["verdict"].replace("scheduler none", "")
    assert "none" not in found["best"]["reason"].replace("scheduler none", "")


def test_a_contenders_none_is_its_schedulers() -> None:
    named = {"none": "scheduler none", "adam none": "adam scheduler none", "cosine": "cosine"}
    assert {name: called(name) for name in named} == named
    assert called("sgd none batch 8") == "sgd scheduler none batch 8"

"""`a2 runs` and `a2 cache`: what is said of a run is what its report says; nothing is removed that was not named."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, TINY, contents, draw_classes, sign

from a2cli.errors import SettingsError
from a2cli.formats import bytes_of, seconds_of, shown_age, shown_size
from a2cli.manage.cache import CacheEntry, cache_entries, to_prune
from a2cli.manage.conditions import conditions
from a2cli.manage.export import _paths_inside
from a2cli.manage.summaries import RunSummary, distinct_names
from a2cli.storage import LOCK, lock

HERE = ["train-cnn", "--data", "set", *TINY]


@pytest.fixture
def place(tmp_path: Path, a2: A2) -> Path:
    """A folder with runs: two trainings that differ in an optimizer, one over two seeds, and one of fields."""
    draw_classes(tmp_path / "set", count=10)
    assert a2(*HERE, "--out", "runs/adam").status == 0
    assert a2(*HERE, "--optimizer", "sgd", "--out", "runs/deep/sgd").status == 0
    assert (
        a2(*HERE, "--seeds", "2", "--epochs", "2", "--test-fraction", "0.2", "--final", "--out", "runs/two").status == 0
    )
    assert a2("receptive-field", "--layers", "conv3", "--quiet", "--out", "runs/field").status == 0
    return tmp_path


def listed(a2: A2, *flags: str) -> dict[str, dict[str, Any]]:
    return {run["folder"]: run for run in json.loads(a2("runs", "list", *flags, "--json").out)}


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return values


def forge(path: Path) -> None:
    path.write_text(path.read_text().replace('"status": "done"', '"status": "failed"', 1))


def test_a_run_is_listed_with_what_its_report_says(place: Path, a2: A2) -> None:
    found = listed(a2)
    assert set(found) == {"runs/adam", "runs/deep/sgd", "runs/two", "runs/field"}, "no seed of another run"
    one = report(place / "runs/adam")["results"]["runs"][0]["val"]
    assert [found["runs/adam"][name] for name in ("accuracy", "low", "high", "seeds", "test")] == [
        one["value"], one["low"], one["high"], 1, None,
    ]  # fmt: skip
    two = report(place / "runs/two")["results"]
    assert [found["runs/two"][name] for name in ("accuracy", "low", "high", "seeds", "test")] == [
        two["val"]["mean"], two["val"]["low"], two["val"]["high"], 2, two["test"]["mean"],
    ]  # fmt: skip
    assert found["runs/field"]["accuracy"] is None and found["runs/field"]["command"] == "receptive-field"
    for folder, run in found.items():
        files = [path for path in (place / folder).rglob("*") if path.is_file()]
        assert run["bytes"] == sum(path.stat().st_size for path in files)
        assert (run["status"], run["problem"], run["created"]) == ("done", "", report(place / folder)["created"])
        assert run["settings"] == {
            name: value for name, value in report(place / folder)["config"].items() if name != "command"
        }
        assert 0 <= run["age"] < 600
    assert {found[name]["data"] for name in ("runs/adam", "runs/deep/sgd", "runs/two")} == {"set"}


def test_what_runs_of_a_command_share_is_no_difference(place: Path, a2: A2) -> None:
    found = listed(a2)
    assert found["runs/adam"]["differs"] == {"epochs": "1"}, "not the image size, which all three have"
    assert found["runs/deep/sgd"]["differs"] == {"epochs": "1", "optimizer": "sgd"}
    assert found["runs/two"]["differs"] == {"epochs": "2", "seeds": "2", "test_fraction": "0.2"}
    alone = listed(a2, "runs/adam")["runs/adam"]["differs"]
    assert alone["image_size"] == "8" and alone["channels"] == "2", "of one run, all that is off the defaults"
    assert not {"data", "threads", "device"} & set(alone)


def test_seeds_are_listed_on_demand(place: Path, a2: A2) -> None:
    found = listed(a2, "runs/two", "--inner")
    assert set(found) == {"runs/two", "runs/two/seeds/0", "runs/two/seeds/1"}
    accuracies = [run["val"]["value"] for run in report(place / "runs/two")["results"]["runs"]]
    assert [found[f"runs/two/seeds/{seed}"]["accuracy"] for seed in (0, 1)] == accuracies


def test_the_list_as_printed(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = a2("runs").out
    lines = printed.splitlines()
    assert lines[0].split() == ["accuracy", "95%", "seeds", "age", "size", "run"]
    at = next(i for i, line in enumerate(lines) if line.endswith("  runs/deep/sgd"))
    val = report(place / "runs/deep/sgd")["results"]["runs"][0]["val"]
    assert lines[at].startswith(f"{val['value']:.3f}     [{val['low']:.3f}, {val['high']:.3f}]  1      ")
    assert lines[at + 1] == "    train-cnn on set: epochs=1 optimizer=sgd"
    assert lines[-1].startswith("4 runs, ")
    assert a2("runs", "--where", "optimizer=sgd").out.splitlines()[-1].startswith("1 of 4 runs, ")
    assert max(map(len, lines)) <= 80


def test_order_and_filters(place: Path, a2: A2) -> None:
    def names(*flags: str) -> list[str]:
        return a2("runs", "list", "--quiet", *flags).out.split()

    assert names("--sort", "folder") == ["runs/adam", "runs/deep/sgd", "runs/field", "runs/two"]
    assert names("--sort", "folder", "--reverse") == ["runs/two", "runs/field", "runs/deep/sgd", "runs/adam"]
    found = listed(a2)
    by_size = sorted(found, key=lambda name: -found[name]["bytes"])
    assert names("--sort", "size") == by_size
    by_accuracy = names("--sort", "accuracy")
    values = [found[name]["accuracy"] for name in by_accuracy[:3]]
    assert values == sorted(values, reverse=True) and by_accuracy[3] == "runs/field", "what has none comes last"
    assert names("--where", "optimizer=sgd and epochs=1") == ["runs/deep/sgd"]
    assert names("--where", "command=train-cnn", "--where", "seeds>1") == ["runs/two"]
    assert set(names("--where", "age<1h")) == set(found) and names("--where", "age>1h") == []
    a2("runs", "--where", "optimzer=sgd").refused(2, "--where: unknown 'optimzer'; did you mean 'optimizer'?")
    a2("runs", "--where", "qwxyz>1").refused(
        2, "unknown 'qwxyz'; known: folder, command, status, data, val, accuracy, "
    )
    statuses = "expected one of running, done, interrupted, diverged, failed, damaged, not finished; got"
    a2("runs", "--where", "status=finished").refused(2, f"{statuses} 'finished'; did you mean 'done'?\n")
    a2("runs", "--where", "status=interupted").refused(2, f"{statuses} 'interupted'; did you mean 'interrupted'?\n")
    assert set(names("--where", "status=done")) == set(found)
    for word in ("val", "validation", "acc"):
        assert names("--sort", word) == by_accuracy
    a2("runs", "--where", "epochs").refused(2, "--where: expected conditions such as ", "got 'epochs'")
    a2("runs", "--where", "age>soon").refused(2, "--where age: expected a value such as 30d, got 'soon'")
    a2("runs", "elsewhere").refused(3, "elsewhere: no such folder")
    (place / "broken").symlink_to("nothing")
    a2("runs", "broken").refused(3, "broken: is a link that leads nowhere")
    with_none = a2("runs", "set", "runs/two", "set/ada", "--quiet")
    assert (with_none.status, with_none.out, with_none.err) == (0, "runs/two\n", "no run in set\nno run in set/ada\n")
    assert a2("runs", "set", "--json").err == "no run in set\n" and a2("runs", "set").err == ""
    assert a2("runs", "runs/two", "--where", "epochs=9").err == "", "there is one"
    a2("runs", "--csv", "--json").refused(2, "--csv: give it or --json")


def test_where_no_run_was_found_is_said(a2: A2, tmp_path: Path) -> None:
    assert a2("runs").out == f"no runs in {tmp_path}/runs; look elsewhere with: a2 runs FOLDER\n"
    (tmp_path / "one").mkdir()
    assert a2("runs", "one", ".").out.startswith(f"no runs in {tmp_path}/one or {tmp_path}; look ")


def test_the_newest_run_that_is_finished_is_named(place: Path, a2: A2) -> None:
    at = time.time() - 100
    for age, name in enumerate(("field", "adam", "two")):
        os.utime(place / "runs" / name / "config.yaml", (at + age, at + age))
    assert "such as the newest finished one, runs/two\n" in a2("report", ".").err
    written = (place / "runs/two/report.json").read_text()
    (place / "runs/two/report.json").write_text(written.replace('"status": "done"', '"status": "interrupted"', 1))
    for folder in (".", "runs"):
        a2("report", folder).refused(3, "holds runs; name one of them, such as the newest finished one, runs/adam\n")
    for name in ("field", "adam"):
        (place / "runs" / name / "report.json").unlink()
    a2("report", "runs").refused(3, "such as the newest, runs/two\n")


def run_with(**settings: Any) -> RunSummary:
    values = {"accuracy": 0.5, "low": 0.4, "high": 0.6, "seeds": 3, "test": None, "created": "", "age": 7200.0}
    return RunSummary("runs/a", "train-cnn", "done", "paintings", **values, seconds=90.0, bytes=2_000_000, problem="",
                      settings=settings)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("val>0.4", True), ("val>0.5", False), ("val>=0.5", True), ("val<0.5", False), ("val<=0.5", True),
        ("acc>0.4", True), ("validation>0.5", False), ("lr=0.001", True), ("LR<0.001", False), ("opt=adam", True),
        ("status=not finished", False), ("status!=failed", True),
        ("accuracy=0.50", True), ("val!=0.5", False), ("test>0", False), ("test<1", False), ("test!=1", False),
        ("age>1h", True), ("age>1d", False), ("age<=2h", True), ("size>1MB", True), ("size>2mb", False),
        ("seconds=90", True), ("seconds>1m", True), ("data=PAINTINGS", True), ("data~paint", True),
        ("data~face", False),
        ("optimizer=adam", True), ("optimizer!=adam", False), ("optimizer>0", False), ("learning_rate=1e-3", True),
        ("learning_rate>0.0005", True), ("channels=8,8", True), ("shortcuts=on", True), ("shortcuts=1", False),
        ("milestones=not set", False), ("momentum=1", False), ("val>0.4 and optimizer=adam", True),
        ("val>0.4 AND optimizer=sgd", False), ("optimizer='adam'", True), ("learning-rate==0.001", True),
    ],
)  # fmt: skip
def test_a_condition(text: str, holds: bool) -> None:
    run = run_with(optimizer="adam", learning_rate=0.001, channels=[8, 8], shortcuts=True, milestones=None)
    found = conditions([text])
    assert all(one.holds(run) for one in found) is holds


@pytest.mark.parametrize("text", ["", "val", "val>", ">0.5", "val > 0.5 and", "val => 0.5 or"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(SettingsError, match="--where"):
        conditions([text])


def test_units() -> None:
    assert [seconds_of(text) for text in ("90s", "1.5h", "30d", "2w", "30", "d", "3x")] == [
        90.0, 5400.0, 2592000.0, 1209600.0, None, None, None,
    ]  # fmt: skip
    assert [bytes_of(text) for text in ("12B", "5MB", "1.5gb", "5M", "GB")] == [12.0, 5e6, 1.5e9, None, None]
    assert [shown_age(age) for age in (0, 59, 60, 3599, 3600, 86399, 86400, 864000)] == [
        "0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "10 d",
    ]  # fmt: skip
    assert [shown_size(size) for size in (0, 999, 1000, 4242, 99_400, 99_600, 999_600, 3.1e9, 2e12)] == [
        "0 B", "999 B", "1.0 KB", "4.2 KB", "99.4 KB", "100 KB", "1.0 MB", "3.1 GB", "2.0 TB",
    ]  # fmt: skip


def test_damaged_and_unfinished_runs_are_listed_as_such(place: Path, a2: A2) -> None:
    forge(place / "runs/adam/report.json")
    (place / "runs/two/report.json").unlink()
    ended = a2("runs", "list", "--json")
    found = {run["folder"]: run for run in json.loads(ended.out)}
    assert ended.status == 3 and ended.err.startswith("error: runs/adam/report.json: damaged or edited")
    assert ended.err.count("\n") == 1
    assert (found["runs/adam"]["status"], found["runs/adam"]["accuracy"]) == ("damaged", None)
    assert found["runs/adam"]["problem"] and found["runs/adam"]["settings"]["epochs"] == 1, "config.yaml is whole"
    two = found["runs/two"]
    assert (two["status"], two["data"], two["problem"], two["command"]) == ("not finished", "set", "", "train-cnn")
    assert found["runs/deep/sgd"]["status"] == "done"
    for flags in ([], ["--csv"], ["--quiet"], ["--where", "val>0"]):  # it meets no condition, and is said
        again = a2("runs", "list", *flags)
        assert (again.status, again.err) == (3, ended.err) and "runs/deep/sgd" in again.out


def test_an_edited_config_is_said(place: Path, a2: A2) -> None:
    path = place / "runs/two/config.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 9"))
    ended = a2("runs", "list", "--json")
    assert ended.status == 3 and ended.err.startswith("error: runs/two/config.yaml: damaged or edited")
    [two] = [run for run in json.loads(ended.out) if run["folder"] == "runs/two"]
    assert (two["status"], two["accuracy"]) == ("damaged", None)
    path.write_bytes(b"\0" * 500)
    said = "error: runs/two/config.yaml: damaged (not the settings of 'a2 train-cnn', as report.json has it)\n"
    assert a2("runs", "list", "--quiet").err == said


def test_what_cannot_be_read_is_said_and_the_rest_listed(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, read = os.scandir, Path.read_bytes

    def scandir(path: str) -> Any:
        if str(path) == os.path.join("runs", "deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    def read_bytes(path: Path) -> bytes:
        if path == Path("runs/adam/report.json"):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    ended = a2("runs", "list", "--json")
    assert ended.status == 3 and ended.err.splitlines() == [
        "error: runs/deep: cannot be read (Permission denied)",
        "error: runs/adam/report.json: cannot be read (Permission denied)",
    ]
    assert {run["folder"]: run["status"] for run in json.loads(ended.out)} == {
        "runs/adam": "damaged", "runs/two": "done", "runs/field": "done",
    }  # fmt: skip


def test_csv_is_the_list(place: Path, a2: A2) -> None:
    rows = list(csv.DictReader(io.StringIO(a2("runs", "list", "--csv").out)))
    found = listed(a2)
    assert [row["folder"] for row in rows] == list(found)
    for row in rows:
        run = found[row["folder"]]
        for name in ("accuracy", "low", "high", "seeds", "test", "bytes", "command", "status", "data", "created"):
            assert row[name] == ("" if run[name] is None else str(run[name]))
        assert row["differs"] == " ".join(f"{name}={value}" for name, value in run["differs"].items())


# Exporting


def test_a_row_a_run(place: Path, a2: A2) -> None:
    names = ["runs/adam", "runs/deep/sgd", "runs/two", "runs/field"]
    rows = list(csv.DictReader(io.StringIO(a2("runs", "export", *names, "--csv").out)))
    assert [row["folder"] for row in rows] == names
    for name, row in zip(names, rows, strict=True):
        config = report(place / name)["config"]
        settings = {key.removeprefix("config.") for key, value in row.items() if key.startswith("config.") and value}
        assert settings == set(config) - {"command"}
        if "optimizer" in config:
            assert row["config.optimizer"] == config["optimizer"] and row["config.epochs"] == str(config["epochs"])
            data = report(place / name)["data"]
            assert (row["fingerprint"], row["train_images"]) == (data["fingerprint"], str(data["train"]))
        assert row["verdict"] == report(place / name)["results"]["verdict"]
    two = report(place / "runs/two")
    assert float(rows[2]["train_accuracy"]) == two["results"]["train"]["mean"]
    assert float(rows[2]["val_deviation"]) == two["results"]["val"]["deviation"]
    assert rows[2]["test_reads"] == str(two["test_reads"]) and float(rows[2]["epochs"]) == 2
    assert rows[3]["train_accuracy"] == "" and rows[3]["config.optimizer"] == ""
    a2("runs", "export", "runs/adam").refused(2, "expected --csv or --tensorboard DIR")
    a2("runs", "export", "--csv").refused(2, "expected RUN")
    a2("runs", "export", "set", "--csv").refused(3, "set: ")
    assert (rows[0]["epochs"], rows[2]["epochs"]) == ("1", "2"), "not 1.0"
    some = a2("runs", "export", "set", "runs/adam", "nosuch", "--csv")
    assert (some.status, [row["folder"] for row in csv.DictReader(io.StringIO(some.out))]) == (3, ["runs/adam"])
    assert [line[:18] for line in some.err.splitlines()] == ["error: set: not a ", "error: nosuch: doe"]
    forge(place / "runs/adam/report.json")
    ended = a2("runs", "export", *names, "--csv")
    assert ended.status == 3 and ended.err.startswith("error: runs/adam/report.json: damaged or edited")
    again = list(csv.DictReader(io.StringIO(ended.out)))
    assert [row["folder"] for row in again] == names and again[2] == rows[2]
    assert (again[0]["status"], again[0]["accuracy"], again[0]["train_accuracy"]) == ("damaged", "", "")


def test_events_are_of_what_is_whole(place: Path, a2: A2) -> None:
    pytest.importorskip("tensorboard")
    forge(place / "runs/adam/report.json")
    ended = a2("runs", "export", "runs/adam", "runs/two", "--tensorboard", "board")
    assert ended.status == 3 and "2 trainings written" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: runs/adam/report.json: damaged or edited")
    assert [path.name for path in (place / "board").iterdir()] == ["two"]


def test_runs_of_one_name_are_apart(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    shutil.copytree(place / "runs/deep/sgd", place / "bob/adam")
    shutil.copytree(place / "runs/adam", place / "bob/runs/adam")
    monkeypatch.chdir(place / "bob")
    names = ["adam", "../runs/adam", str(place / "bob/runs/adam")]
    assert a2("runs", "export", *names, "--tensorboard", "board").status == 0
    inside = place.relative_to("/")
    assert {str(path.parent.relative_to(place / "bob/board")) for path in place.rglob("*tfevents*")} == {
        "adam", f"{inside}/runs/adam", f"{inside}/bob/runs/adam",
    }  # fmt: skip
    assert distinct_names([Path("a/Run"), Path("b/run")]) == ["a/Run", "b/run"], "one folder where case is not told"
    assert _paths_inside([Path("/a/run"), Path("a/run"), Path("b/run")]) == ["a/run", "a/run-2", "b/run"]


def test_a_probe_counts_its_networks(place: Path, a2: A2) -> None:
    for name in ("two", "adam"):
        probe = ["probe-invariance", "--run", f"runs/{name}", "--changes", "flip-horizontal", "--threads", "1"]
        assert a2(*probe, "--out", f"runs/of-{name}").status == 0
    assert [listed(a2)[f"runs/of-{name}"]["seeds"] for name in ("two", "adam")] == [2, 1]
    [row] = csv.DictReader(io.StringIO(a2("runs", "runs/of-two", "--csv").out))
    assert row["seeds"] == "2"
    assert a2("report", "runs/of-two", "runs/of-adam", "--out", "page.html").status == 0
    page = (place / "page.html").read_text("utf-8")
    assert '<th scope="row">over runs</th><td>2</td><td>1</td>' in page


def test_tensorboard_reads_what_was_written(place: Path, a2: A2) -> None:
    event_file = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    ended = a2("runs", "export", "runs/adam", "runs/two", "runs/field", "--tensorboard", "board")
    assert ended.status == 0 and "3 trainings written" in ended.err
    for folder, name, seed in (
        ("adam", "runs/adam", "0"),
        ("two/seed-0", "runs/two", "0"),
        ("two/seed-1", "runs/two", "1"),
    ):
        [path] = (place / "board" / folder).iterdir()
        found: dict[tuple[str, int], float] = {}
        for event in event_file.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found[value.tag, event.step] = value.tensor.float_val[0]
        logs = report(place / name)["history"][seed]
        expected = {("loss/train", log["epoch"]): log["train_loss"] for log in logs}
        expected |= {("loss/validation", log["epoch"]): log["val_loss"] for log in logs}
        expected |= {("accuracy/train", log["epoch"]): log["train_accuracy"] for log in logs}
        expected |= {("accuracy/validation", log["epoch"]): log["val_accuracy"] for log in logs}
        expected |= {("learning_rate", log["epoch"]): log["learning_rate"] for log in logs}
        expected |= {("images_per_second", log["epoch"]): log["images_per_second"] for log in logs}
        assert found == pytest.approx(expected)
    there = sorted((place / "board").rglob("*"))
    again = a2("runs", "export", "runs/deep/sgd", "runs/two", "--tensorboard", "board")
    again.refused(3, f"--tensorboard: {Path('board/two/seed-0')} already has event files")
    assert sorted((place / "board").rglob("*")) == there
    a2("runs", "export", "runs/field", "--tensorboard", "none").refused(3, "no training in these runs has epochs")


# Removing


def test_a_run_is_removed_whole_and_no_other(place: Path, a2: A2) -> None:
    before = contents(place / "runs")
    a2("runs", "rm", "runs/adam", "--dry-run")
    a2("runs", "rm", "runs/adam").refused(2, "nobody to ask")
    a2("runs", "rm").refused(2, "expected RUN")
    a2("runs", "rm", "runs/adam", "set", "--yes").refused(3, "set: ")
    a2("runs", "rm", "runs/two/seeds/0", "--yes").refused(3, "runs/two/seeds/0: is a part of the run ")
    (place / "link").symlink_to(place / "runs/adam")
    a2("runs", "rm", "link", "--yes").refused(3, "link: is a link")
    with (place / "runs/adam" / LOCK).open("w") as file:
        lock(file, wait=False)
        a2("runs", "rm", "runs/adam", "--yes").refused(3, "another process is running in this folder")
    assert contents(place / "runs") == before, "nothing was removed"
    assert a2("runs", "rm", "runs/adam", "runs/adam", "--yes").out == "runs/adam\n"
    kept = {name: content for name, content in before.items() if not name.startswith("adam/")}
    assert contents(place / "runs") == kept
    assert sorted(path.name for path in (place / "runs").iterdir()) == ["deep", "field", "two"]


# The cache


def test_the_cache_says_what_it_holds_and_when_it_was_used(place: Path, a2: A2) -> None:
    [entry] = json.loads(a2("cache", "--json").out)
    assert (entry["kind"], entry["what"]) == ("packed images", "set, 20 images of 8x8")
    files = [path for path in Path(entry["path"]).rglob("*") if path.is_file()]
    assert entry["bytes"] == sum(path.stat().st_size for path in files) and entry["unused"] < 600
    for path in files:
        os.utime(path, (time.time() - 90000, time.time() - 90000))
    [entry] = json.loads(a2("cache", "list", "--json").out)
    assert entry["unused"] == pytest.approx(90000, abs=600)
    assert "1 d" in a2("cache").out and "1 entry" in a2("cache").out
    assert a2(*HERE, "--out", "again").status == 0
    [entry] = json.loads(a2("cache", "list", "--json").out)
    assert entry["unused"] < 600, "a run that takes it uses it"


def test_what_is_pruned() -> None:
    sizes = {"a": (10, 5.0), "b": (20, 50.0), "c": (40, 500.0), "d": (80, 5000.0)}
    entries = [CacheEntry(name, "packed images", "", size, unused) for name, (size, unused) in sizes.items()]

    def pruned(older: float | None, most: float | None) -> str:
        return "".join(sorted(entry.path for entry in to_prune(entries, older, most)))

    assert [pruned(1000, None), pruned(50, None), pruned(1e9, None)] == ["d", "cd", ""]
    assert [pruned(None, 150), pruned(None, 149), pruned(None, 30), pruned(None, 29), pruned(None, 0)] == [
        "", "d", "cd", "bcd", "abcd",
    ]  # fmt: skip
    assert pruned(1000, 30) == "cd" and pruned(None, None) == ""
    assert to_prune(list(reversed(entries)), None, 30) == to_prune(entries, None, 30), "whatever their order"


def test_pruning_removes_what_it_names_alone(place: Path, a2: A2) -> None:
    assert a2(*HERE, "--image-size", "10", "--out", "larger").status == 0
    old, new = sorted(cache_entries(), key=lambda entry: entry.bytes)
    assert (old.what, new.what) == ("set, 20 images of 8x8", "set, 20 images of 10x10")
    for path in Path(old.path).rglob("*"):
        os.utime(path, (time.time() - 90000, time.time() - 90000))
    before = contents(place / "cache")
    a2("cache", "prune").refused(2, "expected --older 30d, --max 5GB or both")
    a2("cache", "prune", "--older", "old").refused(2, "--older: expected a value such as 30d, got 'old'")
    a2("cache", "prune", "--max", "5").refused(2, "--max: expected a value such as 5GB, got '5'")
    assert "would be removed: 1 entry" in a2("cache", "prune", "--older", "1d", "--dry-run").out
    assert a2("cache", "prune", "--older", "30d").out == "nothing to remove\n"
    assert contents(place / "cache") == before
    with (Path(old.path) / LOCK).open("w") as file:
        lock(file, wait=False)
        held = a2("cache", "prune", "--older", "1d")
    assert "in use by another process, and kept" in held.err and held.out == "nothing to remove\n"
    (Path(old.path) / LOCK).unlink()
    [removed] = json.loads(a2("cache", "prune", "--older", "1d", "--json").out)
    assert removed["path"] == old.path
    assert [entry.path for entry in cache_entries()] == [new.path]
    assert a2("cache", "prune", "--max", "0B").status == 0 and cache_entries() == []
    assert a2(*HERE, "--out", "again").status == 0, "it is made again"


def test_no_torch_is_loaded(place: Path) -> None:
    """A list is there at once."""
    code = "import sys; from a2cli import main; main.run_command(); sys.exit('torch' in sys.modules)"
    for words in (["runs"], ["cache"], ["runs", "export", "runs/two", "--csv"]):
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=place, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_summary_of_a_study(tmp_path: Path, a2: A2) -> None:
    draw_classes(tmp_path / "set", count=10)
    tiny = " ".join(TINY).replace(" --threads 1", "").split()
    few = ["--data", "set", *tiny, "--seeds", "2", "--jobs", "1"]
    assert a2("compare-optimizers", *few, "--optimizers", "adam,sgd", "--tuning", "none", "--out", "runs/c").status == 0
    assert a2("ablate", *few, "--dropout", "0.2", "-w", "dropout=0", "--out", "runs/a").status == 0
    found = listed(a2)
    contenders = [row for table in report(tmp_path / "runs/c")["results"]["tables"] for row in table["contenders"]]
    best = max((row["accuracy"] for row in contenders), key=lambda accuracy: accuracy["mean"])
    assert (found["runs/c"]["accuracy"], found["runs/c"]["low"], found["runs/c"]["seeds"]) == (
        best["mean"],
        best["low"],
        2,
    )
    assert found["runs/c"]["settings"]["learning_rate"] == 0.0001
    tuned = report(tmp_path / "runs/c") | {"config": report(tmp_path / "runs/c")["config"] | {"tuning": "grid"}}
    (tmp_path / "runs/c/report.json").write_text(json.dumps(tuned))
    sign(tmp_path / "runs/c/report.json")
    assert "learning_rate" not in listed(a2)["runs/c"]["settings"], "each contender had its own"
    whole = next(row for row in report(tmp_path / "runs/a")["results"]["combinations"] if row["name"] == "all")
    assert found["runs/a"]["accuracy"] == whole["accuracy"]["mean"]
    assert set(found) == {"runs/a", "runs/c"} and len(listed(a2, "--inner")) > 2

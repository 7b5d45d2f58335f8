"""Every command once, small: numbers that are said twice agree, and what can take long says how far it is."""

import csv
import io
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from conftest import draw_classes, once
from matplotlib.axes import Axes

from a2cli import main
from a2cli.compare_optimizers import figures as comparison_plots
from a2cli.console.progress import Activity, ConsoleReporter
from a2cli.figures.common import KEPT
from a2cli.reports.report import report_from
from a2cli.reports.training_results import EpochLog, TrainingResults
from a2cli.runs import directory as runs
from a2cli.train import side_by_side
from a2cli.training import figures as training_plots

SMALL = "--data set --image-size 8 --device cpu --threads 1"
CNN = f"train-cnn {SMALL} --channels 2 --kernel-size 3 --hidden none --learning-rate 0.03 --epochs 5"
BACKBONE = "--backbone squeezenet1_1 --weights none --image-size 16 --fit squash --data set --device cpu --threads 1"
TRIALS = "--data set --image-size 8 --device cpu --jobs 1 --seeds 2 --channels 2 --kernel-size 3 --hidden none"
TRIALS += " --epochs 3"
COMMANDS = {
    "cnn": f"{CNN} --restore-best --monitor val-loss --test-fraction 0.2 --final",
    "seeds": f"{CNN} --restore-best --learning-rate 0.5 --test-fraction 0.2 --seeds 2 --jobs 1 --final",
    "folds": f"{CNN} --folds 2 --jobs 1 --seed 2 --learning-rate 0.5",
    "mlp": f"train-mlp {SMALL} --hidden 4 --epochs 2",
    "features.safetensors": f"extract-features {BACKBONE} --layer features.0,features.3.squeeze --grid 1",
    "head": "train-mlp --features features.safetensors --device cpu --threads 1 --epochs 3 --test-fraction 0.2 --probe "
    "--final",
    "tuned": f"finetune {BACKBONE} --layer features.3.squeeze --head-grid 1 --batch-size 8 --test-fraction 0.2 "
    "--stages 'head:2@0.03 features.3+:2@0.001' --final",
    "compared": f"compare-optimizers {TRIALS} --optimizers adam,sgd --rates 2 --rate-range 0.003,0.03 "
    "--extend 0 --tuning-seeds 1",
    "ablated": f"ablate {TRIALS} --norm batch --augment flip -w norm=none -w augment-=flip --learning-rate 0.03",
    "probed": "probe-invariance --run cnn --run seeds --changes rotate,noise --device cpu --threads 1",
    "viewed": "visualize-weights --run cnn --image set/ada/0.png --redraws 4 --steps 2 --count 2 --device cpu "
    "--threads 1",
    "fields": "receptive-field --run cnn --effective --prove --figures",
    "predicted": "predict --run cnn --batch-size 16 --json --device cpu --threads 1 set/ada set/bea set/cleo",
    "checked": "data check set --image-size 12",
}
IMAGES = 20  # of each of three classes
Values = dict[str, Any]


@dataclass
class Done:
    """What a command printed and said of how far it is: all that went on, pieces counted, trials done, in order."""

    out: str = ""
    err: str = ""
    titles: list[str] = field(default_factory=list)
    pieces: dict[str, int] = field(default_factory=dict)
    trials: list[float] = field(default_factory=list)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("agreement")
    draw_classes(place / "set", ["ada", "bea", "cleo"], IMAGES, side=12)
    return place


@pytest.fixture(scope="session")
def done(place: Path) -> Mapping[str, Done]:
    """Run every command; of the figures all but the pixels is made."""
    found: dict[str, Done] = {}
    begin, batches, leaderboard = ConsoleReporter._begin, ConsoleReporter.batches, ConsoleReporter.leaderboard

    def beginning(show: ConsoleReporter, activity: Activity) -> None:
        begin(show, activity)
        ours.titles.append(show._title())

    def counting(show: ConsoleReporter, several: Iterable[Any], count: int) -> Iterator[Any]:
        title, number = show._title(), 0
        for one in batches(show, several, count):
            yield one
            number += 1
        assert number == count, f"{title}: {number} of {count}"
        ours.pieces[title] = max(number, ours.pieces.get(title, 0))

    def noting(
        show: ConsoleReporter, title: str, done: int, total: int, rows: Any, later: int, under_way: float
    ) -> None:
        leaderboard(show, title, done, total, rows, later, under_way)
        ours.trials.append(done + under_way)
        ended = [row[1].partition("/") for row in rows]
        assert sum(int(count) for count, _, _ in ended) == done, "the table and the count beside it"

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr(ConsoleReporter, "_begin", beginning)
        patch.setattr(ConsoleReporter, "batches", counting)
        patch.setattr(ConsoleReporter, "leaderboard", noting)
        patch.setattr(side_by_side, "SECONDS_BETWEEN_LOOKS", 0.002)
        patch.setattr(runs, "rendered", lambda *_: b"")
        for name, command in COMMANDS.items():
            ours = found[name] = Done()
            out, err = io.StringIO(), io.StringIO()
            folder = [] if name in {"predicted", "checked"} else ["--out", name]
            patch.setattr(sys, "argv", ["a2", *once([*shlex.split(command), *folder])])
            with redirect_stdout(out), redirect_stderr(err):
                status = main.run_command()
            ours.out, ours.err = out.getvalue(), err.getvalue()
            assert status == 0, f"{name}: {ours.err}"
    return found


@pytest.fixture(scope="session")
def reports(done: Mapping[str, Done], place: Path) -> Mapping[Path, Values]:
    """Every report by its run's directory, those of seeds, stages and trials among them."""
    return {path.parent: json.loads(path.read_text()) for path in sorted(place.rglob("report.json"))}


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def same(found: float | str | None, wanted: float | None) -> bool:
    """Return whether two numbers are the same, as text or not."""
    if wanted is None or found in {None, ""}:
        return found in {None, ""} and wanted is None
    return float(found or 0) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def within(values: Any) -> Iterator[Values]:
    """Yield every object in a report."""
    if isinstance(values, dict):
        yield values
        for inner in values.values():
            yield from within(inner)
    elif isinstance(values, list):
        for inner in values:
            yield from within(inner)


# The rules


def of_seconds(report: Values, folder: Path) -> None:
    seconds = dict(report["seconds"])
    whole = seconds.pop("all")
    assert sum(seconds.values()) == pytest.approx(whole, rel=0.05)
    assert all(spent >= 0 for spent in seconds.values())
    assert whole > 0


def of_shares(report: Values, folder: Path) -> None:
    for one in within(report):
        if {"correct", "count", "value", "low", "high"} <= one.keys():
            assert 0 <= one["correct"] <= one["count"]
            assert one["low"] - 1e-12 <= one["value"] <= one["high"] + 1e-12
            if report["command"] != "probe-invariance":  # whose intervals are of images, not of answers
                assert same(one["value"], one["correct"] / one["count"])
        if {"mean", "deviation", "low", "high", "n"} <= one.keys():
            assert one["low"] <= one["mean"] <= one["high"]


def of_artifacts(report: Values, folder: Path) -> None:
    for name in report["artifacts"]:
        assert (folder / name).is_file(), name
        if name.startswith("figures/") and name.endswith(".png"):
            assert {name[:-3] + "csv", name[:-3] + "npz"} & {*report["artifacts"]}, name


def judged_agrees(run: Values) -> None:
    """Whether the results by class are the same numbers as the accuracy of the part that they are of."""
    judged, part = run["judged"], run[run["judged"]["part"]]
    classes, confusion = judged["classes"], judged["confusion"]
    assert (judged["part"] == "test") == (run["test"] is not None)
    assert sum(one["count"] for one in classes) == part["count"] == judged["majority"]["count"]
    assert sum(one["correct"] for one in classes) == part["correct"]
    assert sum(one["answered"] for one in classes) == part["count"]
    for one in classes:
        row = confusion.get(one["name"], {})
        assert (sum(row.values()), row.get(one["name"], 0)) == (one["count"], one["correct"])
        assert sum(other.get(one["name"], 0) for other in confusion.values()) == one["answered"]
    (largest,) = [one for one in classes if one["name"] == judged["largest_class"]]
    assert largest["count"] == judged["majority"]["correct"]
    assert sum(one["count"] for one in judged["calibration"]) == part["count"]
    assert same(sum(one["count"] * one["accuracy"] for one in judged["calibration"]), part["correct"])
    assert len(judged["most_wrong"]) == min(part["count"] - part["correct"], 16)


def of_training(report: Values, folder: Path) -> None:
    if not report["results"] or "runs" not in report["results"] or report["command"] == "probe-invariance":
        return
    results, data = report["results"], report["data"]
    rows, several = table(folder / "figures/curves.csv") if report_has(report, "curves") else [], results["runs"]
    assert len(several) == len(report["history"])
    for run, (name, logs) in zip(several, report["history"].items(), strict=True):
        assert [log["epoch"] for log in logs] == list(range(1, run["epochs"] + 1))
        kept, last = logs[run["kept_epoch"] - 1], logs[-1]
        assert same(run["val"]["value"], kept["val_accuracy"])
        assert same(run["val_loss"], kept["val_loss"])
        assert same(run["last_val_accuracy"], last["val_accuracy"])
        assert same(run["last_train_accuracy"], last["train_accuracy"])
        assert run["kept_epoch"] == (run["best_epoch"] if report["config"]["restore_best"] else run["epochs"])
        judged_agrees(run)
        own = [row for row in rows if row["seed"] == name]
        if rows:
            assert all(same(row[key], log[key]) for row, log in zip(own, logs, strict=True)
                       for key in EpochLog.__annotations__)  # fmt: skip
            assert [int(row["epoch"]) for row in own if row["kept"] == "True"] == [run["kept_epoch"]]
        if run["folder"] != ".":
            inner = json.loads((folder / run["folder"] / "report.json").read_text())["results"]["runs"][0]
            assert {**inner, "folder": run["folder"]} == run
        else:
            for part in ("train", "val", *["test"] * bool(run["test"])):
                assert run[part]["count"] == data[part], part
    assert sum(data["classes"].values()) == data["train"] + data["val"] + data["test"] == 3 * IMAGES
    if len(several) == 1:
        (run,), (logs,) = several, report["history"].values()
        judged = run["judged"]
        metrics = table(folder / "metrics.csv")
        assert all(same(row[key], log[key]) for row, log in zip(metrics, logs, strict=True) for key in log)
        assert f" after epoch {run['kept_epoch']} of {run['epochs']}" in results["verdict"]
        assert f"Validation accuracy {run['val']['value']:.3f} [" in results["verdict"]
        if report_has(report, "confusion"):
            cells = {row.pop("truth"): {name: int(n) for name, n in row.items() if n != "0"}
                     for row in table(folder / "figures/confusion.csv")}  # fmt: skip
            assert {truth: row for truth, row in cells.items() if row} == judged["confusion"]
        for name, key in (("classes", "classes"), ("reliability", "calibration")):
            if report_has(report, name):
                rows = table(folder / f"figures/{name}.csv")
                assert rows == [{column: "" if value is None else str(value) for column, value in one.items()}
                                for one in judged[key]]  # fmt: skip
        if report_has(report, "most-wrong"):
            shown = table(folder / "figures/most-wrong.csv")
            assert [row["image"] for row in shown] == [one["image"] for one in judged["most_wrong"]]
        return
    for name, key in (("train", "train"), ("val", "val"), ("test", "test")):
        of_spread(results[name], [run[key]["value"] for run in several if run[key]])
    of_spread(results["last_val"], [run["last_val_accuracy"] for run in several])
    assert f"Validation accuracy {results['val']['mean']:.3f} ± " in results["verdict"]


def report_has(report: Values, figure: str) -> bool:
    return f"figures/{figure}.csv" in report["artifacts"]


def of_spread(found: Values | None, values: list[float]) -> None:
    if found is None:
        assert len(values) < 2
        return
    assert found["n"] == len(values)
    assert same(found["mean"], fmean(values))
    assert same(found["deviation"], stdev(values))


def of_transfer(report: Values, folder: Path) -> None:
    if not report.get("transfer"):
        return
    run, transfer = report["results"]["runs"][0], report["transfer"]
    if stages := transfer["stages"]:
        (kept,) = [stage for stage in stages if stage["kept"]]
        assert (kept["train"], kept["val"], kept["val_loss"]) == (run["train"], run["val"], run["val_loss"])
        assert sum(stage["epochs"] for stage in stages) == run["epochs"]
        for stage in stages:
            inner = json.loads((folder / stage["folder"] / "report.json").read_text())["results"]["runs"][0]
            assert (stage["train"], stage["val"], stage["epochs"]) == (inner["train"], inner["val"], inner["epochs"])
    for one in transfer["probes"]:
        if one["answer"] == "this run's head":
            assert (one["train"], one["val"], one["test"]) == (run["train"], run["val"], run["test"])
    if transfer["probes"]:
        said = {(one["layer"], one["answer"], part): one[part]["value"]
                for one in transfer["probes"] for part in ("train", "val", "test") if one[part]}  # fmt: skip
        shown = {(row["layer"], row["answer"], row["part"]): float(row["accuracy"])
                 for row in table(folder / "figures/probes.csv")}  # fmt: skip
        assert shown == said


def of_comparison(report: Values, folder: Path) -> None:
    if report["command"] != "compare-optimizers":
        return
    results = report["results"]
    for one in results["tables"]:
        curves, pairs = table(folder / "figures/curves.csv"), {}
        for contender in one["contenders"]:
            runs_of = contender["runs"]
            of_spread(contender["accuracy"], [run["accuracy"] for run in runs_of])
            kept = [float(row["val_accuracy"]) for row in curves
                    if row["contender"] == contender["name"] and row["kept"] == "True"]  # fmt: skip
            assert same(fmean(kept), contender["accuracy"]["mean"]), "the curves' marks and the table"
            for point in contender["tuning"]:
                assert same(point["accuracy"], fmean(run["accuracy"] for run in point["runs"]))
            for run in [*runs_of, *(run for point in contender["tuning"] for run in point["runs"])]:
                of_trial(run, folder)
            best = max(point["accuracy"] for point in contender["tuning"])
            (chosen,) = [p for p in contender["tuning"] if p["learning_rate"] == contender["learning_rate"]]
            assert same(chosen["accuracy"], best)
            pairs[contender["name"]] = {run["seed"]: run["accuracy"] for run in runs_of}
        for pair in one["pairs"]:
            of_pair(pair, pairs[pair["first"]], pairs[pair["second"]])
        means = [contender["accuracy"]["mean"] for contender in one["contenders"]]
        assert means == sorted(means, reverse=True)
        assert f"{one['contenders'][0]['name']} has the highest mean accuracy, {means[0]:.3f} ± " in one["verdict"]
        rows = table(folder / "figures/verdicts.csv")
        assert [(row["first"], row["second"], row["verdict"]) for row in rows] == [
            (pair["first"], pair["second"], pair["verdict"]) for pair in one["pairs"]
        ]


def of_best(report: Values, folder: Path) -> None:
    """Hold the run that is called the best to what is said of it elsewhere."""
    if report["command"] not in {"compare-optimizers", "ablate"}:
        return
    results = report["results"]
    several = results.get("combinations") or [one for table in results["tables"] for one in table["contenders"]]
    (of,) = [one for one in several if one["name"] == results["best"]["name"]]
    assert of["accuracy"]["mean"] == max(one["accuracy"]["mean"] for one in several)
    assert results["best"]["accuracy"] == max(run["accuracy"] for run in of["runs"])
    assert results["best"]["folder"] in [
        run["folder"] for run in of["runs"] if run["accuracy"] == results["best"]["accuracy"]
    ]
    assert f"{of['accuracy']['mean']:.3f} over {len(of['runs'])} seeds" in results["best"]["reason"]
    assert (folder / results["best"]["config"]).is_file()


def of_trial(run: Values, folder: Path) -> None:
    """Hold what is said of a trial to its own report."""
    own = json.loads((folder / run["folder"] / "report.json").read_text())
    (result,) = own["results"]["runs"]
    assert same(run["accuracy"], result["val"]["value"])
    assert same(run["train_accuracy"], result["train"]["value"])
    assert (run["seed"], run["learning_rate"]) == (own["config"]["seed"], own["config"]["learning_rate"])


def of_pair(pair: Values, first: Mapping[int, float], second: Mapping[int, float]) -> None:
    assert pair["seeds"] == len(first)
    assert same(pair["difference"], fmean(first[seed] - second[seed] for seed in first))
    assert pair["low"] <= pair["difference"] <= pair["high"]


def of_ablation(report: Values, folder: Path) -> None:
    if report["command"] != "ablate":
        return
    results = report["results"]
    by_kept = {frozenset(one["kept"]): {run["seed"]: run["accuracy"] for run in one["runs"]}
               for one in results["combinations"]}  # fmt: skip
    whole = max(by_kept, key=len)
    for one in results["combinations"]:
        of_spread(one["accuracy"], [run["accuracy"] for run in one["runs"]])
        for run in one["runs"]:
            of_trial(run, folder)
    rows = {(row["ingredient"], row["way"]): row for row in table(folder / "figures/contributions.csv")}
    for one in results["ingredients"]:
        of_pair(one["alone"], by_kept[whole], by_kept[whole - {one["name"]}])
        for way in ("alone", "average"):
            if one[way]:
                row = rows.pop((one["name"], way))
                assert same(row["difference"], one[way]["difference"])
                assert row["verdict"] == one[way]["verdict"]
    assert not rows
    assert (
        f"With all ingredients accuracy is {results['combinations'][0]['accuracy']['mean']:.3f}" in results["verdict"]
    )


def of_probe(report: Values, folder: Path) -> None:
    if report["command"] != "probe-invariance":
        return
    rows = iter(table(folder / "figures/curves.csv"))
    for run in report["results"]["runs"]:
        unchanged = run["unchanged"]
        trained = json.loads((folder.parent / run["folder"] / "report.json").read_text())["results"]["runs"]
        assert [one["val"]["value"] for one in trained] == pytest.approx(run["by_network"])
        assert sum(one["val"]["correct"] for one in trained) == sum(run["by_class"])
        assert sum(run["counts"].values()) == sum(one["val"]["count"] for one in trained)
        assert same(unchanged["value"], sum(run["by_class"]) / sum(run["counts"].values()))
        for change in run["changes"]:
            for point in change["points"]:
                assert same(point["difference"], point["accuracy"]["value"] - unchanged["value"])
                answers = sum(run["counts"].values())
                assert same(point["difference"], (point["gained"] - point["lost"]) / answers)
                assert same(sum(point["classes"]) / answers, point["accuracy"]["value"])
                assert same(fmean(point["networks"]), point["accuracy"]["value"])
                row = next(rows)
                assert (row["run"], row["change"], row["verdict"]) == (run["name"], change["title"], change["verdict"])
                assert same(row["strength"], point["strength"])
                assert same(row["accuracy"], point["accuracy"]["value"])
            means = [point["accuracy"]["value"] for point in change["points"]]
            assert same(change["mean_accuracy"], fmean(means))
        assert f"accuracy {unchanged['value']:.3f} [" in run["verdict"]
        assert f" on {run['images']} images" in run["verdict"]
    assert next(rows, None) is None


def of_fields(report: Values, folder: Path) -> None:
    if report["command"] != "receptive-field":
        return
    layers = report["results"]["layers"]
    rows = table(folder / "figures/depth.csv")
    assert [row["layer"] for row in rows] == [layer["name"] for layer in layers]
    assert all(same(row["field_rows"], layer["field"][0]) for row, layer in zip(rows, layers, strict=True))
    for one in report["results"]["effective"]:
        if one["shares"]:
            assert all(same(one["shares"][key], held / one["pixels"]) for key, held in one["holding"].items())


RULES: tuple[Callable[[Values, Path], None], ...] = (
    of_seconds, of_shares, of_artifacts, of_training, of_transfer, of_comparison, of_ablation, of_best, of_probe,
    of_fields,
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_report_agrees_with_itself_and_its_figures(rule: Callable[[Values, Path], None],
                                                     reports: Mapping[Path, Values]) -> None:  # fmt: skip
    assert {report["command"] for report in reports.values()} >= {
        "train-cnn", "train-mlp", "finetune", "compare-optimizers", "ablate", "probe-invariance", "visualize-weights",
        "receptive-field",
    }  # fmt: skip
    for folder, report in reports.items():
        try:
            rule(report, folder)
        except AssertionError as error:
            raise AssertionError(f"{folder}: {error}") from error


def points(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """Return where the kept epochs are marked."""
    return [(list(map(float, one.get_xdata())), list(map(float, one.get_ydata()))) for one in axes.lines
            if one.get_marker() == KEPT and len(one.get_xdata())]  # fmt: skip


def test_the_kept_epochs_are_marked_where_they_are(reports: Mapping[Path, Values], place: Path) -> None:
    report = report_from(reports[place / "seeds"])
    assert isinstance(report.results, TrainingResults)
    runs_of = report.results.runs
    assert any(run.kept_epoch < run.epochs for run in runs_of), "else the last epoch could be marked"
    loss, accuracy, *_ = training_plots.learning_curves(report.history, runs_of, {}).axes
    kept = [float(run.kept_epoch) for run in runs_of]
    assert points(accuracy) == [(kept, [run.val.value for run in runs_of])]
    assert points(loss) == [(kept, [run.val_loss for run in runs_of])]
    logs = {0: [(log, 2.0 * log.epoch) for log in report.history["0"]]}
    for over, at in (("epoch", 3.0), ("seconds", 6.0)):
        (axes,) = comparison_plots.curves({"adam": logs}, {"adam": (3.0, 6.0, 0.25)}, over).axes
        assert points(axes) == [([at], [0.25])]


def test_what_is_printed_is_what_is_reported(done: Mapping[str, Done], reports: Mapping[Path, Values],
                                             place: Path) -> None:  # fmt: skip
    for name in ("cnn", "mlp", "head", "tuned"):
        (run,), lines = reports[place / name]["results"]["runs"], done[name].out.splitlines()
        named = {"training": "train", f"validation, epoch {run['kept_epoch']}": "val", "test, read once": "test"}
        named["  always the largest class"] = "majority"
        for title, key in named.items():
            if found := run[key]:
                line, *others = [line for line in lines if line.startswith(f" {title} ")]
                assert len(others) == (key == "majority" and run["test"] is not None)
                assert f" {found['correct']} of {found['count']} " in line
                assert f" {found['value']:.3f} " in line
                assert f"{found['low']:.3f} to {found['high']:.3f}" in line
    for name in ("seeds", "folds"):
        for title, key in (("training", "train"), ("validation", "val"), ("validation, last epoch", "last_val")):
            found = reports[place / name]["results"][key]
            lines = [line for line in done[name].out.splitlines() if line.startswith(f" {title}  ")]
            runs = reports[place / name]["results"]["runs"]
            assert len(lines) == (key != "last_val" or any(run["kept_epoch"] < run["epochs"] for run in runs))
            for line in lines:
                assert f"{found['mean']:.3f} ± {found['deviation']:.3f}" in line
                assert f"{max(0, found['low']):.3f} to {min(1, found['high']):.3f}" in line
    for contender in reports[place / "compared"]["results"]["tables"][0]["contenders"]:
        (line,) = [
            line for line in done["compared"].out.splitlines() if f"   {contender['name']}  " in line and "±" in line
        ]
        found = contender["accuracy"]
        assert f"{found['mean']:.3f} ± {found['deviation']:.3f}" in line
        assert f"{max(0, found['low']):.2f} to {min(1, found['high']):.2f}" in line
    for one in reports[place / "ablated"]["results"]["ingredients"]:
        (line,) = [line for line in done["ablated"].out.splitlines() if line.startswith(f" {one['name']} ")]
        assert f" {100 * one['alone']['difference']:+z.1f} " in line
    for run in reports[place / "probed"]["results"]["runs"]:
        assert f"{run['name']} on set: {run['images']} images" in done["probed"].out
        assert f"unchanged {run['unchanged']['value']:.3f} (" in done["probed"].out
    assert "-0.0 " not in "".join(one.out for one in done.values())


def test_what_is_answered_is_what_was_reported(done: Mapping[str, Done], reports: Mapping[Path, Values],
                                               place: Path) -> None:  # fmt: skip
    answers = {one["image"]: one for one in json.loads(done["predicted"].out)["predictions"]}
    mistakes = reports[place / "cnn"]["results"]["runs"][0]["judged"]["most_wrong"]
    assert mistakes
    for one in mistakes:
        answer = answers[f"set/{one['image']}"]
        assert (answer["answer"], answer["probability"]) == (one["answer"], pytest.approx(one["probability"], abs=1e-5))


PACKING = "packing set at 8x8 pixels (once)"
PIECES = {
    "cnn": {PACKING: 1, f"{PACKING}: SHA-256": 1, f"{PACKING}: near duplicates": 1, "seed 0": 3,
            "reading the packed images of set": 1, "checking the settings on the data": 1,
            "evaluating: validation images": 1, "evaluating: test images": 1, "evaluating: training images": 1},
    "seeds": {"checking the settings on the data": 2, "seed 0 (1 of 2)": 3, "seed 1 (2 of 2)": 3,
              "seed 1 (2 of 2): evaluating: training images": 1},
    "folds": {"fold 0 (1 of 2)": 2, "fold 1 (2 of 2)": 2},
    "features.safetensors": {"features.0, features.3.squeeze of squeezenet1_1": 2},
    "head": {"reading features.safetensors": 1},
    "tuned": {"head (1 of 2): stage head: learning head; frozen conv1 to conv2 (2,832 weights)": 6,
              "head (1 of 2)": 5, "features.3+ (2 of 2)": 5, "reading the sealed test images": 1},
    "compared": {"checking the trials' settings on the data": 3},
    "ablated": {"checking the trials' settings on the data": 7},
    "probed": {"cnn (1 of 2): probing cnn": 1, "seeds (2 of 2), network 2 (2 of 2): probing seeds": 1},
    "viewed": {"finding what excites conv1 of cnn": 1, "ascending to conv1 of cnn": 2,
               "holding cnn against 4 re-initialised networks": 4,
               "holding cnn against 4 re-initialised networks: dead units": 1,
               "asking what they look at in set/ada/0.png": 5},
    "fields": {"sending NaN through the network": 2, "the gradient of conv1, trained": 1},
    "predicted": {"answering 60 images": 4},
    "checked": {"packing set at 12x12 pixels (once)": 1},
}  # fmt: skip
STEPS = {
    "cnn": [
        "loading PyTorch",
        "listing the images of set",
        "drawing figures: confusion",
        "drawing figures: most-wrong",
    ],
    "head": ["probing", "drawing figures: probes"],
    "probed": ["drawing figures: sheet-1-1"],
    "features.safetensors": ["writing features.safetensors"],
    "predicted": ["loading PyTorch", "loading the networks of cnn"],
}


@pytest.mark.parametrize("name", PIECES)
def test_what_can_take_long_says_how_far_it_is(name: str, done: Mapping[str, Done]) -> None:
    """How long it will take follows from that."""
    assert PIECES[name].items() <= done[name].pieces.items()
    assert [step for step in STEPS.get(name, []) if not any(step in title for title in done[name].titles)] == []


@pytest.mark.parametrize(("name", "trials"), [("compared", 4), ("ablated", 6)])
def test_trials_under_way_count(name: str, trials: int, done: Mapping[str, Done]) -> None:
    counted = done[name].trials
    assert {*range(trials + 1)} <= {*counted}
    assert any(one % 1 for one in counted), "epochs of a trial"

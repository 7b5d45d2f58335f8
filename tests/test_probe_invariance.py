"""`a2 probe-invariance` from the outside: what it writes, what it agrees with, what it refuses."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import A2, TINY, draw_classes, edit, hold_to_schema, nothing_left
from contact_sheet import runs
from PIL import Image

from a2cli.probe_invariance.console import _verdict, _would_decide
from a2cli.probe_invariance.settings import CHANGES

FAST = ["--threads", "1", "--device", "cpu"]
FEW = [*FAST, "--changes", "brightness,translate-x,flip-horizontal"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained(place: Path, train: A2, tmp_path: Path) -> Path:
    """A small run that tells dark images from light ones, in the folder `net`; trained by the first test."""
    if not (place / "net").exists():
        draw_classes(tmp_path / "set", count=100)
        train("--data", "set", "--out", "net", "--epochs", "8", "--learning-rate", "0.01").done()
        for name in ("set", "net", "cache"):
            shutil.copytree(tmp_path / name, place / name)
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    return Path("net")


def results(a2: A2, *arguments: object) -> dict:  # type: ignore[type-arg]
    ended = a2("probe-invariance", *arguments, "--json")
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)
    hold_to_schema(report)
    found = report["results"]
    assert isinstance(found, dict)
    return found


def test_a_run_on_its_own_validation_images(a2: A2, trained: Path) -> None:
    found = results(a2, "--run", trained, *FAST, "--out", "probe")
    run = found["runs"][0]
    training = json.loads((trained / "report.json").read_text())["results"]["runs"][0]
    assert run["unchanged"] == training["val"]
    assert run["majority"] == training["majority"]
    assert run["by_class"] == [one["correct"] for one in training["judged"]["classes"]]
    assert run["counts"] == {one["name"]: one["count"] for one in training["judged"]["classes"]}
    padded = {name for name in CHANGES if "padding" in name}
    assert [one["name"] for one in run["changes"]] == [name for name in CHANGES if name not in padded]
    assert set(run["skipped"]) == padded
    for one in run["changes"]:
        strengths = [point["strength"] for point in one["points"]]
        assert strengths == (sorted(CHANGES[one["name"]].strengths) or [None])
        for point in one["points"]:
            assert sum(point["classes"]) == point["accuracy"]["correct"]
            assert point["gained"] - point["lost"] == point["accuracy"]["correct"] - run["unchanged"]["correct"]
            assert point["low"] <= point["difference"] <= point["high"]
            assert point["p"] <= point["p_adjusted"] <= 1
            assert [layer["layer"] for layer in point["layers"]][-1] == "output"
    brightness = next(one for one in run["changes"] if one["name"] == "brightness")
    assert brightness["verdict"] == "breaks"  # dark or light is all there is to see
    assert brightness["halved_at"]


def test_its_folder(a2: A2, trained: Path, rendered: None) -> None:
    folder = a2("probe-invariance", "--run", trained, *FEW, "--random", "brightness=0.9..1.1", "--quiet").done()
    names = {path.name for path in (folder / "figures").iterdir()}
    stems = {"curves", "classes", "layers", "translations", "sheet-1-1", "sheet-1-2", "sheet-1-3"}
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "csv")}
    for path in (folder / "figures").glob("*.png"):
        assert np.asarray(Image.open(path)).std() > 5, path
    report = json.loads((folder / "report.json").read_text())
    assert report["status"] == "done"
    assert sorted(report["artifacts"]) == sorted(["config.yaml", *(f"figures/{name}" for name in names)])
    with (folder / "figures/curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    points = [point for one in report["results"]["runs"][0]["changes"] for point in one["points"]]
    assert [float(row["accuracy"]) for row in rows] == [point["accuracy"]["value"] for point in points]
    with (folder / "figures/classes.csv").open() as file:
        of_ada = [row for row in csv.DictReader(file) if row["class"] == "ada"]
    assert [int(row["recognised"]) for row in of_ada] == [point["classes"][0] for point in points]
    assert [int(row["images"]) for row in of_ada] == [point["accuracy"]["count"] // 2 for point in points]
    assert {row["change"] for row in rows} == {"brightness", "translate-x", "flip-horizontal", "brightness 0.9..1.1"}


def test_its_config_repeats_it(a2: A2, trained: Path) -> None:
    first = results(a2, "--run", trained, *FEW, "--random", "rotate=-20..20", "--draws", "3", "--out", "one")
    again = results(a2, "-p", "one/config.yaml")
    assert again == first
    other = results(a2, "-p", "one/config.yaml", "--seed", "1")
    assert other["runs"][0]["changes"][:3] == first["runs"][0]["changes"][:3]
    assert other["runs"][0]["changes"][3]["points"] != first["runs"][0]["changes"][3]["points"]


def test_all_networks_of_a_run_over_seeds(a2: A2, train: A2, trained: Path) -> None:
    run = train("--data", "set", "--seeds", "3", "--out", "several").done()
    found = results(a2, "--run", run, *FEW)["runs"][0]
    alone = [results(a2, "--run", run / f"seeds/{seed}", *FEW)["runs"][0] for seed in range(3)]
    assert found["networks"] == 3
    assert found["unchanged"]["correct"] == sum(one["unchanged"]["correct"] for one in alone)
    for i, one in enumerate(found["changes"]):
        for j, point in enumerate(one["points"]):
            each = [other["changes"][i]["points"][j] for other in alone]
            assert point["networks"] == [other["accuracy"]["value"] for other in each]
            assert point["lost"] == sum(other["lost"] for other in each)


def test_runs_are_compared_on_the_same_images(a2: A2, train: A2, trained: Path) -> None:
    other = train("--data", "set", "--augment", "color-jitter", "--out", "other", "--epochs", "8").done()
    found = results(a2, "--run", trained, "--run", other, *FEW)
    assert [run["name"] for run in found["runs"]] == ["net", "other"]
    assert [one["change"] for one in found["comparisons"]] == ["brightness", "translate-x", "flip-horizontal"]
    for i, one in enumerate(found["comparisons"]):
        means = [np.mean([point["difference"] for point in run["changes"][i]["points"]]) for run in found["runs"]]
        assert one["difference"] == pytest.approx(means[0] - means[1])
        assert (one["first"], one["second"], one["images"]) == ("net", "other", 40)
    assert [run["changes"][0]["augmented"] for run in found["runs"]] == [None, "color-jitter"]


def test_a_run_that_has_nothing_to_lose_is_not_judged_against_another(a2: A2, train: A2, trained: Path) -> None:
    still = train("--data", "set", "--learning-rate", "1e-9", "--epochs", "1", "--out", "still").done()
    ended = a2("probe-invariance", "--run", trained, "--run", still, *FEW, "--out", "probe")
    found = json.loads(Path("probe/report.json").read_text())["results"]
    assert abs(found["comparisons"][0]["difference"]) > 0.1, "which would be a verdict"
    assert {one["verdict"] for one in found["comparisons"]} == {"undecided"}
    shown = " ".join(ended.out.split())
    assert "Accuracy kept by net minus that kept by still, in points, mean over strengths:" in shown
    assert "Not judged, as still has nothing to lose (see below)." in shown


def test_runs_on_other_images_are_not_compared(a2: A2, train: A2, trained: Path) -> None:
    larger = train("--data", "set", "--image-size", "19", "--out", "larger").done()
    ended = a2("probe-invariance", "--run", trained, "--run", larger, *FEW, "--quiet")
    said = "net and larger are not compared: their images are not the same, or not of the same size"
    report = json.loads((ended.done(said) / "report.json").read_text())
    assert report["results"]["comparisons"] == []
    assert report["warnings"] == [said]


def test_an_mlp(a2: A2, tmp_path: Path) -> None:
    data = draw_classes(tmp_path / "set", count=30)
    small = [*TINY[:2], "--hidden", "4", "--epochs", "8", "--threads", "1", "--quiet"]
    run = a2("train-mlp", "--data", data, *small).done()
    found = results(a2, "--run", run, *FEW)["runs"][0]
    assert found["changes"][0]["points"][0]["layers"][0]["layer"] == "normalize"


def test_other_images(a2: A2, trained: Path, tmp_path: Path) -> None:
    draw_classes(tmp_path / "more", classes=("bea", "ada"), count=7, side=31)
    found = results(a2, "--run", trained, "--data", "more", *FEW)["runs"][0]
    assert (found["images"], found["counts"]) == (14, {"ada": 7, "bea": 7})
    ended = a2("probe-invariance", "--run", trained, "--data", "set", *FEW, "--quiet")
    ended.done("has the images that net was trained on, so those held out serve")


def test_its_own_images_that_were_moved(a2: A2, trained: Path, tmp_path: Path) -> None:
    """Those held out serve, as where they were; of a set that differs by an image all do, which is said."""
    before = results(a2, "--run", trained, *FEW)["runs"][0]
    (tmp_path / "set").rename(tmp_path / "moved")
    after = results(a2, "--run", trained, "--data", "moved", *FEW)["runs"][0]
    assert after == {**before, "source": "moved"}
    next((tmp_path / "moved").rglob("*.png")).unlink()
    folder = a2("probe-invariance", "--run", trained, "--data", "moved", *FEW, "--quiet").done(
        "--data moved: is not the set that net was trained on, and set is not there; all its images serve"
    )
    assert json.loads((folder / "report.json").read_text())["results"]["runs"][0]["images"] == 199


def test_its_own_images_with_other_parts(a2: A2, train: A2, tmp_path: Path) -> None:
    paths = [str(path.relative_to(tmp_path)) for path in draw_classes(tmp_path / "set", count=20).rglob("*.png")]
    lines = [f"{path},{Path(path).parent.name},{'test' if i % 4 == 0 else 'train'}" for i, path in enumerate(paths)]
    manifest = tmp_path / "set.csv"
    manifest.write_text("\n".join(["path,label,split", *lines]))
    train("--data", "set.csv", "--out", "given").done()
    before = results(a2, "--run", "given", *FEW)["runs"][0]
    manifest.rename(tmp_path / "moved.csv")
    flags = ["--run", "given", "--data", "moved.csv", *FEW]
    assert results(a2, *flags)["runs"][0] == {**before, "source": "moved.csv"}
    (tmp_path / "moved.csv").write_text((tmp_path / "moved.csv").read_text().replace(",test", ",train", 1))
    a2("probe-invariance", *flags, "--quiet").refused(3, "--run given: its images lie in other parts of a split")


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_images_of_another_size_and_other_channels(mode: str, a2: A2, trained: Path, tmp_path: Path) -> None:
    """They are brought to the network's; what of them is grey has no hue, though the run's own images had one."""
    for path in draw_classes(tmp_path / "more", count=7, side=31).rglob("*.png"):
        Image.open(path).convert(mode).save(path)
    flags = ["--run", trained, "--data", "more", "--changes", "hue,invert", *FAST, "--quiet"]
    folder = a2("probe-invariance", *flags).done(*["skipped: hue, as all images of more are grey"] * (mode == "L"))
    run = json.loads((folder / "report.json").read_text())["results"]["runs"][0]
    assert run["images"] == 14
    assert set(run["skipped"]) == ({"hue"} if mode == "L" else set())


def test_a_real_margin_is_read_from_larger_images(a2: A2, trained: Path) -> None:
    flags = ["--run", trained, "--changes", "translate-x", "--strengths", "translate-x=-0.25/0.25", *FAST]
    cut = "--border real cuts 2 of 12 pixels off each side of every image, of the unchanged as well"
    folder = a2("probe-invariance", *flags, "--border", "real", "--quiet").done(cut)
    found = json.loads((folder / "report.json").read_text())["results"]
    assert found["border"] == "real"
    assert len(found["runs"][0]["changes"][0]["points"]) == 2


def test_grey_images_have_no_hue(a2: A2, train: A2, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("ada", "bea"):
        (tmp_path / "grey" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8)).save(tmp_path / f"grey/{name}/{i}.png")
    run = train("--data", "grey").done()
    ended = a2("probe-invariance", "--run", run, "--changes", "hue,saturation,grayscale,invert", *FAST, "--quiet")
    folder = ended.done("skipped: hue, saturation, grayscale, as all images of grey are grey")
    found = json.loads((folder / "report.json").read_text())["results"]["runs"][0]
    assert [one["name"] for one in found["changes"]] == ["invert"]
    assert set(found["skipped"]) == {"hue", "saturation", "grayscale"}
    before = {path.name for path in Path("runs").iterdir()}
    ended = a2("probe-invariance", "--run", run, "--changes", "hue", *FAST, "--quiet")
    assert ended.status == 2
    assert ended.err.splitlines()[-1].startswith("error: --changes: none is left for grey")
    assert {path.name for path in Path("runs").iterdir()} == before


def test_dry_run(a2: A2, trained: Path) -> None:
    ended = a2(
        "probe-invariance", "--run", trained, "--changes", "hue,invert", "--random", "hue=-0.1..0.1", "--dry-run"
    )
    assert ended.status == 0
    assert "Change: hue at -0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4 (share of a turn)" in ended.out
    assert "Change: hue -0.1..0.1, drawn 10 times for each image" in ended.out
    assert not list(Path("runs").glob("probe*"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--strengths", "rotate=400"], ["--strengths: rotate takes -180 to 180 (degrees", "got 400"]),
        (["--strengths", "brightness=-1"], ["brightness takes 0 to 10", "got -1"]),
        (["--strengths", "jpeg=0"], ["jpeg takes 1 to 100"]),
        (["--strengths", "rotate=nan"], ["rotate takes -180 to 180"]),
        (["--strengths", "rotate=a/b"], ["expected rotate=NUMBER/NUMBER, got 'rotate=a/b'"]),
        (["--strengths", "rotat=5"], ["unknown change 'rotat'; did you mean 'rotate'?"]),
        (["--strengths", "rotate=0"], ["rotate=0 changes nothing"]),
        (["--strengths", "invert=1"], ["invert is off or on"]),
        (["--changes", "hue", "--strengths", "rotate=5"], ["rotate is not among the --changes"]),
        (["--changes", "hues"], ["--changes: expected", "did you mean 'hue'?"]),
        (["--changes", "hue,hue"], ["--changes: hue is named twice"]),
        (["--changes", "none"], ["--changes: expected changes to try"]),
        (["--random", "brightness=0.5"], ["expected a change with its range", "'brightness=0.5'"]),
        (["--random", "brightness=1.5..0.5"], ["expected a change with its range"]),
        (["--random", "invert=0..1"], ["expected a change with its range"]),
        (["--random", "hue=-0.6..0.6"], ["hue takes -0.5 to 0.5"]),
        (["--strengths", "rotate=5,rotate=10"], ["--strengths: rotate is named twice", "rotate=A/B"]),
        (["--random", "hue=0..0.1,hue=0..0.1"], ["--random: hue 0..0.1 is named twice"]),
        (["--draws", "5"], ["--draws: acts only with --random"]),
        (["--changes", "hue", "--border", "circular"], ["--border: acts only with translations"]),
        (["--border", "wrap"], ["--border: expected"]),
        (["--margin", "0"], ["--margin"]),
        (["--run", "run"], ["--run: run is named twice"]),
    ],
)
def test_bad_flags(a2: A2, run: Path, flags: list[str], words: list[str], tmp_path: Path) -> None:
    a2("probe-invariance", "--run", "run", *flags).refused(2, *words)
    assert nothing_left(tmp_path)


def test_bad_runs(a2: A2, trained: Path, run: Path, tmp_path: Path) -> None:
    a2("probe-invariance", *FEW).refused(2, "--run: expected the folder of a training run")
    a2("probe-invariance", "--run", "nowhere", *FEW).refused(3, "--run nowhere: does not exist")
    shutil.move(run, tmp_path / "stopped")
    refused = a2("probe-invariance", "--run", "stopped", *FEW, "--quiet")
    refused.refused(3, "--run stopped: not finished (running); go on with: a2 train-cnn --resume stopped")
    probe = a2("probe-invariance", "--run", trained, *FEW, "--quiet").done()
    a2("train-cnn", "--resume", probe).refused(2, "is of 'a2 probe-invariance', which has no --resume\n")
    a2("probe-invariance", "--run", probe, *FEW).refused(2, "is of 'a2 probe-invariance'; expected a training")


def test_images_that_are_gone_or_changed(a2: A2, trained: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "set", tmp_path / "moved")
    flags = ["--run", trained, *FEW, "--quiet"]
    a2("probe-invariance", *flags).refused(3, "its images are not there", "name some by --data")
    shutil.copytree(tmp_path / "moved", tmp_path / "set")
    Image.new("RGB", (10, 10), "red").save(tmp_path / "set/ada/0.png")
    a2("probe-invariance", *flags).refused(3, "its images in set have changed since")
    shutil.move(tmp_path / "moved/bea", tmp_path / "moved/beatrix")
    a2("probe-invariance", *flags, "--data", "moved").refused(3, "its class 'beatrix' is not among the 2")
    a2("probe-invariance", *flags, "--data", "nowhere").refused(3, "--data")
    edit(trained / "model/model.json", '"convnet"', '"resnet"')
    a2("probe-invariance", *flags).refused(3, "unknown architecture")
    assert not list(Path("runs").glob("*"))


def test_what_is_undecided_has_its_interval() -> None:
    """Of the change in points at the worst strength; how many more images would decide stands below the table."""
    one = runs(1)[0]
    points = [replace(point, low=-0.251, high=0.0125) for point in one.changes[2].points]
    undecided = replace(one.changes[2], points=points, verdict="undecided", more_images=25)
    other = replace(undecided, more_images=None)
    assert _verdict(undecided) == "undecided [-25.1, +1.2]"
    (line,) = _would_decide(replace(one, changes=[undecided, replace(undecided, title="x", more_images=3)]), "")
    assert line == f"More images that would decide: x 3, {undecided.title} 25."
    (line,) = _would_decide(replace(one, changes=[undecided, other]), " for net")
    assert line.startswith(f"More images that would decide for net: {undecided.title} 25. The others would stay")
    alone = replace(one, changes=[other], unchanged=replace(one.unchanged, low=0.9), counts=[2, 2])
    (line,) = _would_decide(replace(alone, majority=replace(one.majority, value=0.5)), " for net")
    assert line == "What is undecided for net would stay undecided with ten times as many images."
    assert _would_decide(replace(alone, majority=replace(one.majority, value=0.95)), "") == []

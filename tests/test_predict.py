"""`a2 predict`: answers are the network's own, whatever names the images; what is broken is told and the rest done."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, ROOT, TINY, Ended, edit, flip
from PIL import Image
from torch import Tensor, nn

from a2cli.data.decode import Decoded
from a2cli.data.files import BEGINNING, NamedImage
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_rows
from a2cli.models.cards import ModelCard, TrunkCard
from a2cli.predict import run as experiment
from a2cli.predict.figures import contact_sheet
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.reports.best_results import ChosenRun
from a2cli.reports.predictions import Answer, Broken, Prediction, Predictions
from a2cli.runs.directory import Run
from a2cli.settings.presets import resolve
from a2cli.settings.training import TrainCnnSettings
from a2cli.storage import with_digest
from a2cli.train import run as train
from a2cli.training import trial

NAMES = [f"set/{name}/{i:02}.png" for name in ("ada", "bea", "cay") for i in range(12)]
STAMP = "NOT PRETRAINED"
TRUNK = TrunkCard("alexnet", None, 0, "fc7", "x", 0, "average", 8, "squash", (), (), "none", "", ())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set of noisy images, and runs on it: alone, over two seeds, over two folds."""
    place = tmp_path_factory.mktemp("predict")
    rng = np.random.default_rng(1)
    for path, label in zip(NAMES, np.repeat((0, 1, 2), 12), strict=True):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 180, (9, 11, 3)) + 25 * label  # hard enough for mistakes
        Image.fromarray(pixels.astype(np.uint8)).save(place / path)
    usual = dict(zip((flag[2:].replace("-", "_") for flag in TINY[:-1:2]), TINY[1:-1:2], strict=True))
    usual |= {"data": str(place / "set"), "val_fraction": "0.4", "epochs": "6", "learning_rate": "0.01"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr(trial, "draw_run", lambda *_: None)
        patch.setattr(train, "draw_training", lambda *_: None)
        for name, more in {"alone": {}, "seeds": {"seeds": "2"}, "folds": {"folds": "2"}}.items():
            settings = resolve(TrainCnnSettings, "train-cnn", [], {**usual, **more}).settings
            train.train_network(settings, Run.create("train-cnn", str(place / name)), NullReporter())
    return place


@pytest.fixture
def predict(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> A2:
    """Run `a2 predict` beside the set and the runs."""
    monkeypatch.chdir(place)
    return lambda *arguments: a2("predict", "--threads", "1", "--device", "cpu", *arguments)


@pytest.fixture
def own(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> A2:
    """Run `a2 predict` of a run in the test's own folder, which may be harmed."""
    shutil.copytree(place / "alone", tmp_path / "run")
    shutil.copytree(place / "set", tmp_path / "set")
    return lambda *arguments: a2("predict", "--threads", "1", "--device", "cpu", "--run", "run", *arguments)


def answers(ended: Ended) -> list[Any]:
    assert (ended.status, ended.err) == (0, "")
    found: list[Any] = json.loads(ended.out)["predictions"]
    return found


def typed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def probabilities(run: Path, files: Sequence[Path]) -> Tensor:
    """Return a network's softmax, from pixels that only Pillow and numpy have touched, in [0, 1]."""
    model, _ = Run(run).load_model()
    small = [Image.open(file).convert("RGB").resize((8, 8), Image.Resampling.BILINEAR) for file in files]
    images = torch.from_numpy(np.stack([np.asarray(image, dtype=np.float32).transpose(2, 0, 1) for image in small]))
    with torch.inference_mode():
        found: Tensor = nn.functional.softmax(model(images / 255), dim=1)
    return found


# Answers


def given(found: Sequence[Any]) -> Tensor:
    """Return the probabilities of ada, bea and cay that were printed."""
    rows = [{one["answer"]: one["probability"], **{n["name"]: n["probability"] for n in one["next"]}} for one in found]
    return torch.tensor([[row[name] for name in ("ada", "bea", "cay")] for row in rows])


def test_answers_are_the_networks_own(predict: A2, place: Path) -> None:
    found = answers(predict("--run", "alone", *NAMES, "--json"))
    assert [one["image"] for one in found] == NAMES
    expected = probabilities(place / "alone", [place / name for name in NAMES])
    torch.testing.assert_close(given(found), expected, rtol=0, atol=1e-6)
    assert [one["answer"] for one in found] == [("ada", "bea", "cay")[i] for i in expected.argmax(1)]
    for one in found:
        shares = [one["probability"], *(other["probability"] for other in one["next"])]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)
    small = answers(predict("--run", "alone", "set", "--json", "--quiet", "--batch-size", "5"))
    torch.testing.assert_close(given(small), expected, rtol=0, atol=1e-6)


def test_as_many_are_right_as_in_validation(predict: A2, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A2_CACHE_DIR", str(place / "cache"))
    packed = pack(find_source(str(place / "set")), 8, "squash", False, NullReporter())
    settings = resolve(TrainCnnSettings, "train-cnn", [str(place / "alone/config.yaml")], {}).settings
    rows = split_rows(packed, settings.split, Streams(0).numpy("split")).val
    names = [f"set/{packed.names[row]}" for row in rows]
    said = predict("--run", "alone", *names, "--quiet").out.splitlines()
    right = sum(answer.split("\t")[0] == Path(name).parent.name for answer, name in zip(said, names, strict=True))
    val = json.loads((place / "alone/report.json").read_text())["results"]["runs"][0]["val"]
    assert (right, len(names)) == (val["correct"], val["count"])
    assert 0 < right < len(names)


@pytest.mark.parametrize("kind", ["seeds", "folds"])
def test_several_networks_are_averaged(kind: str, predict: A2, place: Path) -> None:
    ended = predict("--run", kind, "set", "--json")
    report = json.loads(ended.out)
    assert report["networks"] == [f"{kind}/{kind}/0", f"{kind}/{kind}/1"]
    assert "mean of 2 networks' probabilities" in report["method"]
    each = [probabilities(place / kind / kind / str(i), [place / name for name in NAMES]) for i in (0, 1)]
    torch.testing.assert_close(given(report["predictions"]), (each[0] + each[1]) / 2, rtol=0, atol=1e-6)
    assert (each[0] - each[1]).abs().max() > 0.01
    assert "deep ensemble (Lakshminarayanan" in " ".join(predict("--run", kind, NAMES[0]).out.split())
    assert "mean of" not in predict("--run", f"{kind}/{kind}/0", NAMES[0]).out


def test_images_are_read_as_the_card_says(own: A2, place: Path, tmp_path: Path) -> None:
    """Grey becomes three channels; the middle square of a wide image under crop."""
    wide = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (8, 1))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide[:, 8:16]).convert("RGB").save(tmp_path / "middle.png")
    run = tmp_path / "run"
    as_trained(run, '"fit": "squash"', '"fit": "crop"')
    edit(run / "config.yaml", "fit: squash", "fit: crop")
    found = given(answers(own("wide.png", "middle.png", "--json")))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(found[:1], probabilities(tmp_path / "run", [tmp_path / "middle.png"]))


def as_trained(run: Path, old: str, new: str) -> None:
    """Change a network's card, and its report as it would be of a run that trained this one."""
    card, report = run / "model/model.json", run / "report.json"
    before = json.loads(card.read_text())["state_sha256"]
    edit(card, old, new)
    edit(report, before, json.loads(card.read_text())["state_sha256"])
    edit(report, old, new)


# What names images


def test_however_they_are_named(predict: A2, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ada, both = NAMES[:12], NAMES[:24]
    expected = answers(predict("--run", "alone", *both, "--json"))
    ways = [["set/ada", "set/bea/"], ["set/ada", "set/b*"], ["set/[ab]??/*.png"], [*ada, "set/bea/*"]]
    for words in ways:
        assert answers(predict("--run", "alone", *words, "--json")) == expected, words
    everywhere = [answers(predict("--run", "alone", word, "--json")) for word in ("set", "set/**", "set/**/*.png")]
    assert [len(one) for one in everywhere] == [36, 36, 36]
    assert everywhere[0] == everywhere[1] == everywhere[2]
    for lines in ("\n".join(both), "\r\n".join(["set/ada", "", "set/bea"]) + "\r\n"):
        typed(monkeypatch, lines.encode())
        assert answers(predict("--run", "alone", "-", "--json")) == expected
    typed(monkeypatch, (place / NAMES[5]).read_bytes())
    piped = answers(predict("--run", "alone", NAMES[5], "-", "--json"))
    assert piped[1] == {**piped[0], "image": "-"}


def test_a_long_folder_is_said_once(predict: A2, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, (place / NAMES[5]).read_bytes())
    deep = place / ("a folder with a long name " * 3).strip()
    shutil.copytree(place / "set", deep)
    said = predict("--run", "alone", str(deep / "ada"), str(deep / "bea")).out
    assert said.count(deep.name) == 1 and f"Images in {deep}:\n" in said and f" {NAMES[0][4:]} " in said
    above = Path("..") / place.name / deep.name
    assert f"Images in {above}:\n" in predict("--run", "alone", str(above / "ada"), str(above / "bea")).out
    mixed = predict("--run", "alone", str(deep / "ada"), "set/ada", "-").out
    assert "Images in" not in mixed and f" {NAMES[0]} " in mixed
    shutil.rmtree(deep)


def test_what_a_folder_and_a_pattern_pass_over(own: A2, tmp_path: Path) -> None:
    for name in ("notes.txt", ".hidden.png", ".cache/x.png"):
        (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_text("no image")
    for word in ("set", "set/**"):
        ended = own(word, "--json")
        assert ended.err == "warning: passed over in folders: 1 image in .cache/\n"
        assert len(json.loads(ended.out)["predictions"]) == 36
    assert len(answers(own("set/*", "--json"))) == 36


def test_a_folders_name_is_never_a_pattern(own: A2, tmp_path: Path) -> None:
    for name in ("photos [2023]", "p*", "photos 2"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / NAMES[0], tmp_path / name / f"{len(name)}.png")
        shutil.copy(tmp_path / NAMES[1], tmp_path / name / "x [1]a.png")
    shutil.copy(tmp_path / NAMES[2], tmp_path / "photos 2/1.png")  # which the pattern means to one who reads it as such
    for pattern in ("photos [2023]/1*.png", f"{tmp_path}/photos [[]2023]/1*.png"):
        assert [Path(one["image"]).name for one in answers(own(pattern, "--json"))] == ["13.png"]
    assert [one["image"] for one in answers(own("p*/2.png", "--json"))] == ["p*/2.png"]
    assert [one["image"] for one in answers(own("photos [0-9]/8.png", "--json"))] == ["photos 2/8.png"]
    assert [one["image"] for one in answers(own("photos 2/x [1]*.png", "--json"))] == ["photos 2/x [1]a.png"]


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_a_list_with_a_byte_order_mark(coding: str, own: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "\r\n".join(NAMES[:2]).encode(coding))
    assert [one["image"] for one in answers(own("-", "--json"))] == NAMES[:2]


def test_standard_input_is_read_within_bounds(own: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a2cli.data.files.MOST_INPUT", 1 << 20)
    content = io.BytesIO(bytes(2 << 20))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    assert "-: more than 1 MB on standard input" in own("-").err
    assert len(content.read()) == (1 << 20) - 1, "the rest was not read"


def test_tools_folders_match_no_pattern(own: A2, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "set/ada", tmp_path / "set/ada/@eaDir")
    for word in ("set", "set/**", "set/**/*.png", "set/*"):
        ended = own(word, "--json")
        assert len(json.loads(ended.out)["predictions"]) == 36, word
        assert ended.err == "warning: passed over in folders: 12 images in @eaDir/\n", word
    assert len(answers(own("set/ada/@eaDir/*.png", "--json"))) == 12


def test_a_file_is_never_a_pattern(own: A2, tmp_path: Path) -> None:
    shutil.copy(tmp_path / NAMES[0], tmp_path / "[ab].png")
    shutil.copy(tmp_path / NAMES[1], tmp_path / "a.png")
    assert [one["image"] for one in answers(own("[ab].png", "--json"))] == ["[ab].png"]
    (tmp_path / "[ab].png").unlink()
    assert [one["image"] for one in answers(own("[ab].png", "--json"))] == ["a.png"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP"])
def test_standard_input_is_an_image_if_it_begins_as_one(kind: str) -> None:
    for mode in ("RGB", "L"):
        file = io.BytesIO()
        Image.new(mode, (3, 2)).save(file, kind)
        assert BEGINNING.match(file.getvalue())
    for name in ("P1010001.JPG\nP5.png", "P5\n", "BMW.png\n" * 9, "GIF/a.gif", "II.png", "RIFF/a.webp", "\n", ""):
        assert not BEGINNING.match(name.encode()), name


# What cannot be used


def test_a_broken_image_among_good_ones(own: A2, tmp_path: Path) -> None:
    good = answers(own("set", "--json"))
    (tmp_path / "set/ada/00x.png").write_bytes((tmp_path / NAMES[0]).read_bytes()[:-30])
    (tmp_path / "set/bea/x.jpg").write_text("<html>")
    for flags in (["--json"], ["--json", "--quiet", "--batch-size", "1"]):
        ended = own("set", "nowhere.png", "no*.png", *flags)
        found = json.loads(ended.out)
        assert ended.status == 3
        assert [(one["image"], one["answer"]) for one in found["predictions"]] == [
            (one["image"], one["answer"]) for one in good
        ]
        torch.testing.assert_close(given(found["predictions"]), given(good), rtol=0, atol=1e-6)
        lines = ended.err.splitlines()
        names = ["nowhere.png", "no*.png", "set/ada/00x.png", "set/bea/x.jpg"]
        assert [one["image"] for one in found["broken"]] == names
        assert len(lines) == 4
        for line, name, reason in zip(lines, names, ("does not exist", "no image", "", "not an image"), strict=True):
            assert line.startswith(f"error: {name}: ")
            assert reason in line
    quiet = own("set/ada/00x.png", NAMES[0], "--quiet")
    assert (quiet.status, quiet.out.splitlines()) == (3, [f"{good[0]['answer']}\t{NAMES[0]}"])


NOTHING: dict[str, tuple[Callable[[Path], object], list[str], int, str]] = {
    "no images": (lambda p: None, [], 2, "IMAGE: expected image files, folders"),
    "an empty name": (lambda p: None, [""], 2, "an empty name"),
    "no such file": (lambda p: None, ["x.png"], 3, "x.png: does not exist"),
    "no match": (lambda p: None, ["set/**/*.gif"], 3, "set/**/*.gif: no image matches"),
    "match of no image": (lambda p: (p / "x.txt").touch(), ["*.txt"], 3, "*.txt: no image matches"),
    "empty folder": (lambda p: (p / "empty").mkdir(), ["empty"], 3, "empty: a folder without an image"),
    "a link": (lambda p: (p / "x.png").symlink_to("y.png"), ["x.png"], 3, "x.png: no such file, or a link"),
    "no image": (lambda p: (p / "x.png").write_text("x"), ["x.png"], 3, "x.png: not an image"),
    "twice -": (lambda p: None, ["-", "-"], 2, "- is named twice"),
    "odd name": (lambda p: (p / "a\nb.png").touch(), ["a\nb.png"], 3, "a\\x0ab.png: an empty file"),
    "top": (lambda p: None, ["set", "--top", "0"], 2, "--top: expected"),
    "top beside quiet": (lambda p: None, ["set", "--top", "2", "--quiet"], 2, "--top: does not act beside --quiet"),
    "picture.jpg": (lambda p: None, ["set", "--picture", "x.jpg"], 2, "--picture: expected a file that ends in .png"),
    "picture nowhere": (lambda p: None, ["set", "--picture", "no/x.png"], 3, "--picture no/x.png: cannot be written"),
    "picture is image": (lambda p: None, ["set", "--picture", NAMES[0]], 3, "is one of the images"),
    "device": (lambda p: None, ["set", "--device", "tpu9"], 2, "--device: 'tpu9'"),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_nothing_to_do(kind: str, own: A2, tmp_path: Path) -> None:
    prepare, words, status, reason = NOTHING[kind]
    prepare(tmp_path)
    own(*words).refused(status, reason)
    if status == 3 and "--picture" not in words:
        own(*words, "--json", "--picture", "sheet.png").refused(status, reason)
        assert not (tmp_path / "sheet.png").exists()


def test_nothing_on_standard_input(own: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"\n \n")
    own("-").refused(3, "-: nothing came in on standard input")
    typed(monkeypatch, b"\x89PNG and no more")
    own("-").refused(3, "-: not an image")
    typed(monkeypatch, b"set/*.png\n")
    own("-").refused(3, "set/*.png: does not exist")
    typed(monkeypatch, b"set/a.png\0set/b.png\0")  # as find's -print0 writes
    own("-").refused(3, "-: zero bytes on standard input; expected an image, or names, one a line")


PROBED = {"margin": 0.05, "border": "mean", "runs": [], "comparisons": [], "verdict": ""}
SEEN = {**dict.fromkeys(("image_size", "unit")), "last_sees": {}, "verdict": "",
        **{name: [] for name in ("layers", "middle", "pixel", "derivation", "cone", "effective")}}  # fmt: skip


def as_of(folder: Path, command: str, results: dict[str, Any], **config: Any) -> None:
    """Make a run one of another command, whose results are no network."""
    report = json.loads((folder / "report.json").read_text())
    text = json.dumps(with_digest({**report, "command": command, "config": config, "results": results}))
    (folder / "report.json").write_text(text)
    (folder / "config.yaml").write_text(f"command: {command}\n")
    shutil.rmtree(folder / "model")


GOES_ON = "; go on with: a2 train-cnn --resume run"
RUNS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no run": (lambda r: (r / "config.yaml").unlink(), "--run run: not a run directory"),
    "no report": (lambda r: (r / "report.json").unlink(), f"not finished (no report.json){GOES_ON}"),
    "under way": (lambda r: edit(r / "report.json", '"done"', '"running"'), f"not finished (running){GOES_ON}"),
    "no model": (lambda r: shutil.rmtree(r / "model"), "run/model/model.json: not there"),
    "damaged": (lambda r: flip(r / "model/model.safetensors"), "damaged"),
    "a probe": (lambda r: as_of(r, "probe-invariance", PROBED, run=["runs/a"]), "name the one it looked at, runs/a"),
    "a look": (lambda r: as_of(r, "receptive-field", SEEN, run=None), "has no network of its own"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_runs_that_cannot_answer(kind: str, own: A2, tmp_path: Path) -> None:
    break_it, reason = RUNS[kind]
    break_it(tmp_path / "run")
    own("set", "--json").refused(3, reason)


def test_a_run_is_needed_and_its_networks_agree(a2: A2, place: Path, tmp_path: Path) -> None:
    a2("predict", "x.png").refused(2, "--run: expected the folder of a run")
    shutil.copytree(place / "seeds", tmp_path / "seeds")
    as_trained(tmp_path / "seeds/seeds/1", '"cay"', '"dan"')
    a2("predict", place / "set", "--run", "seeds").refused(3, "do not tell the same classes apart")


# How they are shown


def test_the_table(own: A2, tmp_path: Path) -> None:
    odd = tmp_path / "set" / f"[red]{'long' * 30}.png"
    shutil.copy(tmp_path / NAMES[0], odd)
    ended = own("set")
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "[red]" in ended.out
    first, *_ = answers(own(NAMES[0], "--json"))
    cells = own(NAMES[0], "--top", "2").out.splitlines()[-2].split()
    after = first["next"][0]
    assert cells == [NAMES[0], first["answer"], f"{first['probability']:.3f}", f"{after['probability']:.3f}",
                     after["name"]]  # fmt: skip
    assert after["name"] not in own(NAMES[0], "--top", "1").out
    assert own(NAMES[0], NAMES[0], "--quiet").out == f"{first['answer']}\t{NAMES[0]}\n" * 2
    ended = own(NAMES[0], "--top", "9", "--json")
    assert "--top 9: there are 3 classes" in ended.err
    assert json.loads(ended.out)["predictions"] == [first]


def test_random_weights_are_stamped(own: A2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load = Run.load_model

    def stamped(run: Run, trunk: TrunkCard = TRUNK) -> tuple[nn.Module, ModelCard]:
        model, card = load(run)
        return model, replace(card, trunk=trunk)

    monkeypatch.setattr(Run, "load_model", stamped)
    drawn: list[Predictions] = []
    monkeypatch.setattr("a2cli.predict.figures.contact_sheet", lambda results, _: drawn.append(results))
    monkeypatch.setattr(experiment, "rendered", lambda *_: b"")
    ended = own(NAMES[0], "--picture", "x.png")
    assert STAMP in ended.out and STAMP in ended.err
    assert any(STAMP in text.get_text() for text in contact_sheet(drawn[0], []).axes[0].texts)
    ended = own(NAMES[0], "--json")
    assert json.loads(ended.out)["pretrained"] is False
    assert STAMP in json.loads(ended.out)["warnings"][0]
    assert STAMP in own(NAMES[0], "--quiet").err
    good = replace(TRUNK, weights="imagenet")
    monkeypatch.setattr(Run, "load_model", lambda run: stamped(run, good))
    ended = own(NAMES[0], "--json")
    assert (ended.err, json.loads(ended.out)["pretrained"]) == ("", True)


def test_the_picture(own: A2, tmp_path: Path) -> None:
    (tmp_path / "set/bad.png").touch()
    before = {*os.listdir(tmp_path)}
    ended = own("set/bad.png", *NAMES[:7], "--picture", "sheet.png", "--json")
    assert (ended.status, json.loads(ended.out)["picture"]) == (3, "sheet.png")
    assert {*os.listdir(tmp_path)} - before == {"sheet.png"}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > sheet.height
    assert "Picture: sheet.png" in own(NAMES[0], "--picture", "sheet.png", "--overwrite").out, "it is re-initialised"


def test_what_is_in_the_picture() -> None:
    """Each image where its answer is, in its own proportion; names that are no formulas."""
    some = [Prediction(f"{i}$_$.png", "a_$b$", 0.5 + i / 100, [Answer("c", 0.1)]) for i in range(9)]
    found = Predictions("run", ["run"], "softmax", ["a_$b$", "c"], 8, "pad", None, some, [], [], "x.png")
    images = [np.full((4, 8, 3), i, dtype=np.uint8) for i in range(9)]
    axes = contact_sheet(found, images).axes[0]
    axes.figure.canvas.draw()
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert [int(shown.get_array()[0, 0, 0]) for shown in axes.images] == list(range(9))
    for i, shown in enumerate(axes.images):
        left, right, bottom, top = shown.get_extent()
        assert (right - left) == pytest.approx(2 * (top - bottom))
        x, y = places[f"a $b$ {50 + i:.1f}%"]
        assert left < x < right and y < bottom
        assert places[f"{i}$_$.png"][0] == pytest.approx(x)


def test_no_more_is_read_than_soon_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Path) -> None:
    """Three batches at the most are in memory."""
    _, card = Run(place / "alone").load_model()
    torch.set_num_threads(1)
    begun: list[str] = []
    read = Decoded(Image.new("RGB", (8, 8)), "RGB", (8, 8))
    monkeypatch.setattr(experiment, "read_image", lambda file: begun.append(file) or read)
    images = [NamedImage(f"{i}", f"{i}") for i in range(100)]
    done = 0
    for batch in experiment._batches(images, card, 10, 1, 4):
        assert [one.name for one in batch if isinstance(one, experiment.Read)] == [str(done + i) for i in range(10)]
        assert [one.thumbnail is not None for one in batch if isinstance(one, experiment.Read)] == [
            done + i < 4 for i in range(10)
        ]
        assert len(begun) <= done + 30
        done += 10
    assert done == len(begun) == 100


def test_a_long_prediction_says_how_many(predict: A2) -> None:
    assert predict("--run", "alone", "set", "--batch-size", "8", "--json").err == "answering 36 images\n"
    assert predict("--run", "alone", "set", "--batch-size", "8", "--json", "--quiet").err == ""


def test_of_equal_answers_the_first_class_is_given() -> None:
    equal = SimpleNamespace(
        card=SimpleNamespace(class_names=["ada", "bea", "cay", "dot"]),
        probabilities=lambda *_: torch.tensor([[0.1, 0.4, 0.4, 0.1]]),
    )
    read = experiment.Read("x.png", np.zeros((2, 2, 3), np.uint8), None, False)
    (found,) = experiment._answers([read], equal, 4, torch.device("cpu"))
    assert [found.answer, *(one.name for one in found.next)] == ["bea", "cay", "ada", "dot"]


def test_every_field_of_the_answers_is_documented() -> None:
    page = (ROOT / "docs/running.md").read_text().partition("`a2 predict --json` prints")[2].partition("\n\nWithout")[0]
    rows = {tuple(re.findall(r"`(\w+)`", cells[1])): cells[2] for line in page.splitlines()
            if len(cells := line.split("|")) == 4 and "`" in cells[1]}  # fmt: skip
    assert [name for names in rows for name in names] == [one.name for one in fields(Predictions)]
    inner = {"predictions": (Prediction, Answer), "broken": (Broken,), "chosen": (ChosenRun,)}
    for name, kinds in inner.items():
        assert {one.name for kind in kinds for one in fields(kind)} <= {*re.findall(r"`(\w+)`", rows[name,])}

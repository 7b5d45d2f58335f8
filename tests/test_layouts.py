"""What is on disk is what is used, or what differs is said: folders, splits, manifests, arrays and names."""

import json
import os
import shutil
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import A2, IMAGES, LABELS, Ended, draw_classes, nothing_left, text_file
from PIL import Image

from a2cli.data.listing import split_named
from a2cli.data.sources import find_source
from a2cli.progress import NullReporter

LINES = [f"set/{name}/{i}.png,{name}" for name in ("ada", "bea") for i in range(5)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set")


def summary(ended: Ended, *warnings: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ended.done(*warnings) / "report.json").read_text())["data"]
    return found


# Folders


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints", "@eaDir", ".thumbnails", ".Trash-0", "__MACOSX", "#recycle", "lost+found"]
)
def test_folders_of_tools_are_passed_over_and_counted(name: str, data: Path, train: A2) -> None:
    """Whether they lie in a class folder, deeper, or beside the class folders."""
    for inside in ("ada", "ada/more", "."):
        shutil.copytree(data / "bea", data / inside / name)
    (data / "ada/more/9.png").write_bytes((data / "bea/0.png").read_bytes())
    (data / "bea/0.png").unlink()
    found = summary(train("--data", "set"), f"passed over: 15 images in {name}/")
    assert found["classes"] == {"ada": 6, "bea": 4}
    assert found["passed_over"] == {f"{name}/": 15}


def test_what_is_passed_over_is_counted_by_ending(data: Path, train: A2, a2: A2) -> None:
    for name in ("notes.txt", "a.heic", "b.HEIC", "c.dng", "d.tfrecord", "e", ".DS_Store", "._0.png"):
        text_file(data / "ada" / name)
    text_file(data / "on_its_own.png")
    warned = "1 (images outside the class folders), 1 (no ending), 1 .dng (convert to .jpg or .png to use), "
    warned += "2 .heic (convert to .jpg or .png to use), 1 .tfrecord"
    found = summary(train("--data", "set"), f"passed over: {warned}")
    counts = {"(images outside the class folders)": 1, "(no ending)": 1, ".dng": 1, ".heic": 2, ".tfrecord": 1}
    assert found["passed_over"] == {**counts, "(hidden)": 2, ".txt": 1}
    plan = json.loads(a2("train-cnn", "--data", "set", "--dry-run", "--json").out)["plan"]
    assert "Data: 10 images of 2 classes" in plan
    assert any(line.startswith("Passed over: 2 (hidden), ") and "1 .txt" in line for line in plan)


def test_text_files_are_counted_without_a_warning(data: Path, train: A2) -> None:
    text_file(data / "ada" / "notes.txt")
    assert summary(train("--data", "set"))["passed_over"] == {".txt": 1}


def test_a_class_of_photos_in_another_format_says_what_to_do(data: Path, train: A2) -> None:
    for path in (data / "bea").iterdir():
        path.rename(path.with_suffix(".heic"))
    train("--data", "set").refused(3, "set/bea", "passed over: 5 .heic (convert to .jpg or .png to use)")


def test_linked_folders_are_followed(data: Path, tmp_path: Path, train: A2) -> None:
    """Once each: a link to the folder above, or a second one to the same folder, adds nothing."""
    (data / "ada/0.png").rename(tmp_path / "kept.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kept.png").rename(tmp_path / "elsewhere/0.png")
    for name, target in (("more", "elsewhere"), ("again", "elsewhere"), ("loop", "set"), ("itself", "set/ada")):
        (data / "ada" / name).symlink_to(tmp_path / target)
    (data / "cleo").symlink_to(draw_classes(tmp_path / "other", ("x", "cleo"), side=9) / "cleo")
    found = summary(train("--data", "set"), "3 (folders linked again)")
    assert found["classes"] == {"ada": 5, "bea": 5, "cleo": 5}
    assert found["passed_over"] == {"(folders linked again)": 3}


@pytest.mark.parametrize("place", ["crimson", "ada/more", "bea/more"])
def test_one_folder_under_two_classes_is_refused(place: str, data: Path, train: A2) -> None:
    (data / place).symlink_to(data / ("bea" if place.startswith("ada") else "ada"))
    train("--data", "set").refused(3, "is the folder set/", "which is read as 'ada'; an image has one class")


def test_one_folder_in_two_parts_of_a_split_is_refused(data: Path, tmp_path: Path, train: A2) -> None:
    (tmp_path / "parts").mkdir()
    data.rename(tmp_path / "parts/train")
    (tmp_path / "parts/test").symlink_to(tmp_path / "parts/train")
    train("--data", "parts").refused(3, "which is read as 'test/ada'", "one part")


ENDINGS = {
    "jfif": "JPEG", "jpe": "JPEG", "avif": "AVIF", "pnm": "PPM", "pbm": "PPM", "dib": "DIB", "apng": "PNG",
    "PNG": "PNG", "Tiff": "TIFF",
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_images_of_every_ending(ending: str, data: Path, train: A2) -> None:
    for path in (data / "ada").iterdir():
        mode = "1" if ending == "pbm" else "RGB"
        Image.open(path).convert(mode).save(path.with_suffix(f".{ending}"), ENDINGS[ending])
        path.unlink()
    assert summary(train("--data", "set"))["classes"] == {"ada": 5, "bea": 5}


def test_ones_own_folder_comes_before_a_known_set(tmp_path: Path, train: A2) -> None:
    for name in ("portraits", "paintings", "cifar10"):
        draw_classes(tmp_path / name)
        found = summary(
            train("--data", name), f"a folder of yours has the name of a known set, and is used: {tmp_path}"
        )
        assert found["classes"] == {"ada": 5, "bea": 5}


# Splits


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("train", "Training", "TRAIN", "trn", "train_set", "trainset", "training-data", "train2017"), "train"),
        (("val", "valid", "Validation", "dev", "development", "eval", "val_images", "Dev Set"), "val"),
        (("test", "Testing", "tst", "test-set", "Test_2024"), "test"),
        (
            ("ada", "trainer", "contest", "testimony", "protest", "invalid", "unlabelled", "set", "", "train station"),
            None,
        ),
    ],
)
def test_names_of_parts(names: tuple[str, ...], part: str | None) -> None:
    assert {split_named(name) for name in names} == {part}


def parts_of(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        draw_classes(root / name, count=4 - (i > 0), side=10 + i)
    return root


@pytest.mark.parametrize(
    "names", [("Training", "Testing"), ("train", "dev", "test"), ("train_set", "val_set"), ("trn", "tst")]
)
def test_split_folders_by_any_usual_name(names: tuple[str, ...], tmp_path: Path, train: A2) -> None:
    parts_of(tmp_path / "parts", *names)
    found = summary(train("--data", "parts"), "is read as")
    assert found["classes"] == {"ada": 4 + 3 * (len(names) - 1), "bea": 4 + 3 * (len(names) - 1)}
    if "tst" in names or "Testing" in names or "test" in names:
        assert found["test"] == 6
    if len(names) == 3 or "val_set" in names:
        assert (found["train"], found["val"]) == (8, 6)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train", "val", "unlabelled"), "found 'train', 'val' beside 'unlabelled'"),
        (("test", "unlabelled"), "found 'test' beside 'unlabelled'"),
        (("Validation", "test"), "found 'Validation', 'test' and no train"),
        (("train", "Training", "test"), "found 'Training', 'train', which all mean 'train'"),
    ],
)
def test_half_a_split_is_refused(names: tuple[str, ...], words: str, tmp_path: Path, train: A2) -> None:
    parts_of(tmp_path / "parts", *names)
    train("--data", "parts").refused(3, words)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["test", "dev", "train"])
def test_a_class_may_be_named_like_a_part(name: str, tmp_path: Path, train: A2) -> None:
    draw_classes(tmp_path / "set", ("bus", "car", name))
    found = summary(train("--data", "set"), f"'{name}' read as a class, not as a part of a split")
    assert set(found["classes"]) == {"bus", "car", name}


def test_splits_below_the_classes_are_refused(tmp_path: Path, train: A2) -> None:
    for name in ("ada", "bea"):
        draw_classes(tmp_path / "set" / name, ("train", "test"))
    train("--data", "set").refused(3, "class 'ada' holds 'test', 'train'", "train/ada")


# Names of classes

NAMES = {
    "case": ("Red", "red", "differ in case only"),
    "blanks": ("red ", "red", "differ in blanks only"),
    "inner blanks": ("dark red", "darkred", "differ in blanks only"),
    "Unicode": (unicodedata.normalize("NFC", "rosé"), unicodedata.normalize("NFD", "rosé"), "NFC, NFD"),
    "print": ("a\x01", "a\\x01", "print alike"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_class_names_that_hardly_differ(kind: str, tmp_path: Path, train: A2) -> None:
    """In folders, in manifests, and in arrays."""
    first, second, words = NAMES[kind]
    draw_classes(tmp_path / "set", (first, second, "other"))
    lines = [f"set/{name}/{i}.png,{name}" for name in (first, second, "other") for i in range(5)]
    text_file(tmp_path / "set.csv", "\n".join(["path,label", *lines]))
    np.savez(tmp_path / "names.npz", images=IMAGES, labels=LABELS, class_names=[first, second])
    np.savez(tmp_path / "labels.npz", images=IMAGES, labels=[first, second] * 5)
    padded = first != first.strip()
    for data in ("set", "set.csv", "names.npz", "labels.npz"):
        train("--data", data).refused(3, f"--data {data}", "blanks around" if padded and ".csv" in data else words)


# Manifests

BEFORE = ["path,label", LINES[0], "", LINES[5]]  # a blank line counts
MANIFESTS: dict[str, tuple[list[str], str]] = {
    "a column more": ([*BEFORE, LINES[1] + ", early"], "line 5: expected 2 values, as in the header, got 3"),
    "a column less": (["path,label,split", LINES[0] + ",train", "", LINES[1]], "line 4: expected 3 values"),
    "blank behind": ([*BEFORE, LINES[1] + " "], "line 5: blanks around label 'ada '"),
    "blank before": ([*BEFORE, " " + LINES[1]], "line 5: blanks around path ' set/ada/1.png'"),
    "row twice": ([*BEFORE, LINES[1], LINES[0]], "line 6: set/ada/0.png is in line 2 already; name"),
    "path twice": ([*BEFORE, "set/../set/ada/0.png,ada"], "line 5: set/../set/ada/0.png is in line 2 already; name"),
    "two labels": ([*BEFORE, LINES[0][:-3] + "bea"], "is in line 2 already, as 'bea' here and 'ada' there"),
    "column twice": (["path,label,label", LINES[0] + ",ada"], "two columns are named 'label'"),
    "column twice by case": (["path,label,Label", LINES[0] + ",ada"], "two columns are named 'label'"),
    "line break": ([*BEFORE, '"set/ada/1.png\n",ada'], "line 5: path has a line break"),
    "open quote": ([*BEFORE, '"set/ada/1.png,ada', LINES[2]], "line 5: not a row of a CSV file"),
    "quote amid": ([*BEFORE, '"set/ada"/1.png,ada'], "line 5: not a row of a CSV file"),
    "folds": (["path,label,fold", LINES[0] + ",0", LINES[5] + ",1"], "column 'fold' looks like a split but holds '0'"),
    "two splits": (
        ["path,label,split,subset", LINES[0] + ",train,test", LINES[5] + ",train,test"],
        "columns 'split', 'subset' all look like the split",
    ),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifests_are_read_strictly(kind: str, data: Path, train: A2, tmp_path: Path) -> None:
    lines, words = MANIFESTS[kind]
    text_file(tmp_path / "set.csv", "\n".join(lines))
    train("--data", "set.csv").refused(3, "--data set.csv", words)
    assert nothing_left(tmp_path)


def test_a_line_behind_one_of_several_has_its_own_number(data: Path, train: A2, tmp_path: Path) -> None:
    lines = ["path,label,note", LINES[0] + ",x", LINES[5] + ",y", LINES[1] + ' ,"z"']
    text_file(tmp_path / "set.csv", "\r\n".join(lines) + "\r\n")
    train("--data", "set.csv").refused(3, "line 4: blanks around label")


SPLIT_COLUMNS = {
    "Split": (),
    " SPLIT": (),
    "set": ("column 'set' is read as the split",),
    "Partition": ("column 'Partition' is read as the split",),
}


@pytest.mark.parametrize("name", SPLIT_COLUMNS)
def test_a_split_column_that_is_nearly_named_so(name: str, data: Path, train: A2, tmp_path: Path) -> None:
    lines = [f"{line},{'Train' if int(line[8]) < 3 else 'TEST'}" for line in LINES]
    text_file(tmp_path / "set.csv", "\n".join([f"Path,Label,{name}", *lines]))
    found = summary(train("--data", "set.csv"), *SPLIT_COLUMNS[name], "'Train' is read as train")
    assert (found["train"] + found["val"], found["test"]) == (6, 4)


def test_columns_and_arrays_that_are_not_used_are_named(data: Path, train: A2, tmp_path: Path) -> None:
    text_file(
        tmp_path / "set.csv", "\n".join(["path,year,label,set", *(f"{x[:13]},1900,{x[14:]},A{x[8]}" for x in LINES)])
    )
    found = summary(train("--data", "set.csv"), "not used: column year, column set")
    assert found["unused"] == ["column year", "column set"]
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS, year=LABELS, set=["A", "B"] * 5)
    assert summary(train("--data", "set.npz"), "not used: array set, array year")["unused"] == [
        "array set",
        "array year",
    ]
    again = summary(train("--data", "set.npz"), "not used: array set, array year")  # from the cache
    assert again["unused"] == ["array set", "array year"]


# Arrays


@pytest.mark.parametrize("name", ["split", "Split", "subset"])
def test_a_split_array(name: str, train: A2, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS, **{name: ["train"] * 6 + ["test"] * 4})
    found = summary(train("--data", "set.npz"), *([] if name == "split" else [f"array '{name}' is read as the split"]))
    assert (found["train"] + found["val"], found["test"]) == (6, 4)


BAD_SPLITS: dict[str, tuple[dict[str, Any], str]] = {
    "folds": ({"fold": np.arange(10)}, "array 'fold' looks like a split but holds '0', '1'"),
    "numbers": ({"split": np.arange(10)}, "array 'split'"),
    "too few": ({"split": ["train"] * 9}, "expected 10 values of 'split'"),
    "no train": ({"split": ["test", "val"] * 5}, "no image is for train"),
    "one without": ({"split": ["train"] * 9 + [""]}, "got ''"),
}


@pytest.mark.parametrize("kind", BAD_SPLITS)
def test_split_arrays_that_cannot_be_used(kind: str, train: A2, tmp_path: Path) -> None:
    arrays, words = BAD_SPLITS[kind]
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS, **arrays)
    train("--data", "set.npz").refused(3, "--data set.npz", words)


def test_an_image_one_pixel_high_is_not_taken_for_a_grey_one(train: A2, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 9, 1, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=LABELS)
    from a2cli.data.sources import find_source

    decoded = find_source(str(tmp_path / "set.npz")).items(NullReporter()).image(3).rgb(None)
    assert np.array_equal(np.asarray(decoded), images[3])


def test_a_bomb_of_arrays_is_not_unpacked(train: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a2cli.data.arrays.SMALL_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "set.npz", images=np.zeros((1000, 50, 50, 3), np.uint8), labels=np.arange(1000) % 2)
    train("--data", "set.npz").refused(3, "array images would grow from 0.0 to 8 MB, more than 100 times")


# Where a path leads


@pytest.mark.parametrize("command", ["train-cnn --resume", "probe-invariance --run"])
def test_a_run_from_another_folder_says_where_its_path_begins(
    command: str, data: Path, train: A2, a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("--data", "set").done().resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    a2(*command.split(), run, "--quiet").refused(3, "named 'set'", "relative to the folder where the run began")


def test_swapped_files_and_changes_that_keep_the_time_are_seen(data: Path, train: A2) -> None:
    """By `mv`, and by writing in place and setting the time back, as `cp -p` and `rsync -t` do."""
    first, second = data / "ada/0.png", data / "bea/0.png"
    for path in (first, second):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    first, second = first.with_suffix(".bmp"), second.with_suffix(".bmp")
    for path in (first, second):
        os.utime(path, ns=(1, 1))
    prints = [summary(train("--data", "set"))["fingerprint"]]
    for old, new in ((first, data / "x"), (second, first), (data / "x", second)):
        old.rename(new)
    prints.append(summary(train("--data", "set"))["fingerprint"])
    content = bytearray(first.read_bytes())
    content[-5] ^= 0xFF
    first.write_bytes(content)
    os.utime(first, ns=(1, 1))
    prints.append(summary(train("--data", "set"))["fingerprint"])
    assert len(set(prints)) == 3
    copy = shutil.copytree(data, data.parent / "copy")
    assert summary(train("--data", copy))["fingerprint"] == prints[2], "the fingerprint is of pixels and labels alone"


@pytest.mark.parametrize("moved", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_dev", "st_ino"])
def test_each_number_that_a_change_moves_is_in_a_packs_key(
    moved: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all of them move, as a renamed file keeps its times on some file systems."""
    monkeypatch.chdir(data.parent)
    before, stat = find_source("set").key, Path.stat

    def after(path: Path, **options: Any) -> Any:
        found = stat(path, **options)
        values = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**{**values, moved: values[moved] + 1})

    monkeypatch.setattr(Path, "stat", after)
    assert find_source("set").key != before


@pytest.mark.parametrize(
    "command",
    [
        "receptive-field --layers conv3 --image-size 16 --effective --images 2 --outputs 1 --data set",
        "visualize-weights --backbone squeezenet1_1 --weights none --show evidence,patches --data set --units 0",
    ],
)
def test_every_report_says_what_was_passed_over(command: str, a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=6)
    (tmp_path / "set/ada/.ipynb_checkpoints").mkdir()
    (tmp_path / "set/ada/0.png").rename(tmp_path / "set/ada/.ipynb_checkpoints/0.png")
    ended = a2(*command.split(), "--quiet", "--out", "out")
    assert ended.status == 0, ended.err
    said = "passed over: 1 image in .ipynb_checkpoints/"
    assert f"warning: {said}\n" in ended.err
    assert said in json.loads((tmp_path / "out/report.json").read_text())["warnings"]


@pytest.mark.parametrize("part", ["", "train"])
def test_folders_inside_a_class_folder_are_said_to_be_of_that_class(part: str, train: A2, tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "set" / part, ("ada", "bea", "cleo"), count=10)
    for name in ("iki", "bir"):
        (root / "ada" / name).mkdir()
        for i in range(3):
            (root / f"ada/{i + 3 * (name == 'iki')}.png").rename(root / f"ada/{name}/{i}.png")
    (root / "bea").rename(root / "moved")
    (root / "bea").mkdir()
    (root / "moved").rename(root / "bea/images")  # alone in its class: nothing is put together
    train("--data", "set").done(
        "6 images in folders inside a class folder are read as of that class, as ada/bir and ada/iki as 'ada'"
    )

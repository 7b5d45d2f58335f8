"""`a2 data check`: what a data set holds, and what is wrong with it, without training and without torch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, TINY, contents, draw_classes
from PIL import Image
from test_house import modules_after


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Two classes of images in three parts, no two of them alike."""
    root = tmp_path / "given"
    for side, (part, count) in enumerate({"train": 4, "val": 2, "test": 1}.items(), start=10):
        draw_classes(root / part, count=count, side=side)
    return root


@pytest.fixture
def plenty(tmp_path: Path) -> Path:
    """So many images, of so many pixels, that a training at a size of 8 has nothing to warn of."""
    return draw_classes(tmp_path / "set", count=25)


def found_in(a2: A2, *arguments: object, status: int = 0) -> dict[str, Any]:
    ended = a2("data", "check", *arguments, "--json")
    assert ended.status == status, ended.err
    found: dict[str, Any] = json.loads(ended.out)
    return found


def test_what_is_there_is_said(a2: A2, given: Path) -> None:
    (given / "train/ada/notes.doc").write_text("no image")
    before = contents(given)
    found = found_in(a2, given)
    assert found["classes"] == {name: {"test": 1, "train": 4, "val": 2} for name in ("ada", "bea")}
    assert found["sizes"] == {"10x10": 8, "11x11": 4, "12x12": 2}
    assert found["modes"] == {"RGB": 14}
    assert found["passed_over"] == {".doc": 1}
    assert found["wrong"] == found["damaged"] == found["identical"] == found["near_duplicates"] == []
    assert contents(given) == before


def test_class_folders_without_an_image_hide_nothing_else(a2: A2, given: Path) -> None:
    """A training stops at the first; all that is wrong is found at once."""
    (given / "train/empty").mkdir()
    (given / "train/void").mkdir()
    (given / "train/void/notes.txt").write_text("no image")
    (given / "train/ada/torn.png").write_bytes(b"torn")
    wrong = found_in(a2, given, status=3)["wrong"]
    assert wrong[:2] == [
        f"{given}/train/empty: a class folder without an image; fill it or remove it",
        f"{given}/train/void: a class folder without an image (passed over: 1 .txt); fill it or remove it",
    ]
    assert wrong[2].startswith("1 damaged file, as train/ada/torn.png") and len(wrong) == 3
    for part in ("train", "val", "test"):
        shutil.rmtree(given / part / "bea")
        shutil.rmtree(given / part / "ada")
        (given / part / "ada").mkdir()
    a2("data", "check", given).refused(3, "a class folder without an image")


def test_one_class_alone_and_an_empty_one(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "one", classes=("ada",))
    (tmp_path / "one/void").mkdir()
    a2("data", "check", "one").refused(3, "one/void: a class folder without an image; fill it or remove it")


def test_the_table_fits_80_columns(a2: A2, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = a2("data", "check", given, "--image-size", 8)
    assert ended.status == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["class", "training", "validation", "test"] in lines
    assert ["ada", "4", "2", "1"] in lines
    assert ["all", "8", "4", "2"] in lines
    assert "No errors; 2 warnings above." in ended.out  # few images in a part
    assert all(len(line) <= 80 for line in ended.out.splitlines()[1:])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "Nothing is wrong."),
        (lambda p: shutil.copy(p / "ada/0.png", p / "ada/copy.png"), "No errors; 1 warning above."),
        (lambda p: (p / "ada/photo.heic").write_bytes(b"heic"), "No errors; 1 warning above."),
        (
            lambda p: [shutil.copy(p / "ada/0.png", p / f"ada/{name}") for name in ("a.png", "photo.heic")],
            "No errors; 2 warnings above.",
        ),
    ],
)
def test_the_last_line_counts_the_warnings(make: Callable[[Path], object], said: str, a2: A2, plenty: Path) -> None:
    make(plenty)
    ended = a2("data", "check", plenty, "--image-size", 8)
    assert (ended.status, ended.out.splitlines()[-1]) == (0, said)
    assert ended.err.count("warning: ") == ("2 w" in said) + ("No errors" in said)


def test_what_is_damaged_or_blank_is_wrong(a2: A2, plenty: Path) -> None:
    data = plenty
    (data / "ada/0.png").write_bytes(b"no image")
    Image.new("RGB", (10, 10), "red").save(data / "bea/blank.png")
    found = found_in(a2, data, "--image-size", 8, status=3)
    assert [name.split(":")[0] for name in found["damaged"]] == ["ada/0.png"]
    assert found["single_valued"] == ["bea/blank.png"]
    ended = a2("data", "check", data, "--image-size", 8)
    assert (ended.status, ended.err.count("error: ")) == (3, 2)
    assert "error: 1 damaged file, as ada/0.png" in ended.err
    assert "error: 1 image of one single value, as bea/blank.png" in ended.err
    assert ended.out.splitlines()[-1] == "2 errors below."
    assert "Nothing is wrong" not in ended.out and "No errors" not in ended.out
    (data / "ada/photo.heic").write_bytes(b"heic")
    (data / "bea/blank.png").unlink()
    ended = a2("data", "check", data, "--image-size", 8)
    assert (ended.status, ended.out.splitlines()[-1]) == (3, "1 error below; 1 warning above.")


def test_identical_images_are_wrong_under_two_labels_only(a2: A2, data: Path) -> None:
    shutil.copy(data / "ada/0.png", data / "ada/copy.png")
    found = found_in(a2, data)
    assert found["identical"] == [["ada/0.png", "ada/copy.png"]]
    assert "2 identical images, as ada/0.png and ada/copy.png" in found["warnings"]
    shutil.copy(data / "ada/0.png", data / "bea/copy.png")
    assert found_in(a2, data, status=3)["wrong"] == [
        "identical images under two labels: ada/0.png (ada) and bea/copy.png (bea); remove what is labelled wrongly, "
        "or train with --duplicates drop"
    ]
    assert a2("data", "check", data).err.count("under two labels") == 1


def test_identical_images_in_two_parts_are_wrong(a2: A2, given: Path) -> None:
    shutil.copy(given / "train/ada/0.png", given / "test/ada/copy.png")
    assert found_in(a2, given, status=3)["wrong"] == [
        "1 of 3 test images are also among those for training or validation, as the data was split"
    ]


def test_nearly_identical_images_in_two_parts_are_a_warning(a2: A2, given: Path) -> None:
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (6, 6, 3)), np.ones((8, 8, 1)))
    image = Image.fromarray(pixels.astype(np.uint8))
    image.save(given / "train/ada/near.png")
    image.save(given / "test/ada/near.jpg", quality=60)
    found = found_in(a2, given)
    (pair,) = found["near_duplicates"]
    assert {pair["first_part"], pair["second_part"]} == {"train", "test"}
    (said,) = [one for one in found["warnings"] if "a pair of nearly identical images" in one]
    assert said.endswith(", in test and train of the split")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "expected DATA"),
        (["nosuch"], 3, "DATA: no file, folder or data set named 'nosuch'"),
        (["set", "--image-size", "0"], 2, "--image-size"),
        (["set", "--siz", "9"], 2, "'a2 data check --help'"),
    ],
)
def test_what_cannot_be_checked_is_one_line(arguments: list[str], status: int, words: str, a2: A2, data: Path) -> None:
    a2("data", "check", *arguments).refused(status, words)


def test_needs_no_torch(data: Path, tmp_path: Path) -> None:
    status, modules = modules_after(["data", "check", str(data)], tmp_path)
    assert status == 0
    assert not {"torch", "matplotlib"} & modules


def test_help_lists_its_settings(a2: A2) -> None:
    text = a2("data", "check", "--help").out
    assert text.startswith("Usage: a2 data check [OPTIONS] DATA\n")
    assert all(flag in text for flag in ("--image-size", "--fit", "--json"))


def test_what_it_packs_is_what_the_training_takes(a2: A2, train: A2, given: Path, tmp_path: Path) -> None:
    """Unless a file is damaged, which the training refuses to leave out."""
    found_in(a2, given, "--image-size", 8)
    train("--data", given).done()
    packed = list((tmp_path / "cache/packed").iterdir())
    assert len(packed) == 1
    (given / "train/ada/broken.png").write_bytes(b"\x89PNG")
    found_in(a2, given, "--image-size", 8, status=3)
    train("--data", given).refused(3, "broken.png")


def test_many_sizes_are_given_by_the_smallest_and_the_largest(a2: A2, tmp_path: Path) -> None:
    for side in range(10, 30):
        draw_classes(tmp_path / "many", (f"class {side}",), count=1, side=side)
    assert "10x10 to 29x29, 20 different ones" in a2("data", "check", "many").out


def test_a_file_that_is_missing_is_named_with_the_reason(a2: A2, train: A2, data: Path, tmp_path: Path) -> None:
    (tmp_path / "gone.csv").write_text("path,label\n" + "".join(f"nosuch/{i}.png,class{i % 2}\n" for i in range(6)))
    reason = "0 usable images for 2 classes: nosuch/0.png: no such file, or a link that leads nowhere (and 5 more)"
    a2("data", "check", "gone.csv", "--json").refused(3, f"DATA gone.csv: {reason}; mend or remove it\n")
    for flags in ([], ["--skip-damaged"]):
        train("--data", "gone.csv", *flags).refused(3, f"--data gone.csv: {reason}; mend or remove it\n")


def test_a_training_takes_what_is_said_of_damaged_files(a2: A2, train: A2, data: Path) -> None:
    (data / "ada/0.png").write_bytes(b"no image")
    wrong = found_in(a2, data, status=3)["wrong"]
    assert wrong[0].startswith("1 damaged file, as ada/0.png: ")
    assert wrong[0].endswith("; mend or remove it, or train with --skip-damaged")
    train("--data", "set", "--skip-damaged").done("1 damaged file left out")


PREFIX = "with the default split (--val-fraction 0.2, --seed 0): "


@pytest.mark.parametrize(
    ("counts", "split", "said"),
    [
        ((30, 30), False, []),
        ((30, 30, 1), False, [f"{PREFIX}validation: no image of c2, so "]),
        ((30, 10), False, [f"{PREFIX}validation: fewer than 5 images of c1 (2), so "]),
        ((6, 30), True, ["validation: fewer than 5 images of c0 (1), so "]),
    ],
)
def test_a_default_training_warns_of_the_same(
    counts: tuple[int, ...], split: bool, said: list[str], a2: A2, train: A2, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (sum(counts), 10, 10, 3), dtype=np.uint8)
    labels = np.repeat([f"c{i}" for i in range(len(counts))], counts)
    arrays = {"split": np.where(np.arange(len(images)) % 5 == 4, "val", "train")} if split else {}
    np.savez(tmp_path / "set.npz", images=images, labels=labels, **arrays)
    ended = a2("data", "check", "set.npz", "--image-size", "8")
    assert ended.status == 0
    warned = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
    assert [line.startswith(f"warning: {words}") for line, words in zip(warned, said, strict=True)] == [True] * len(
        said
    )
    assert ("Nothing is wrong." in ended.out) == (not said)
    trained = train("--data", "set.npz").err.splitlines()
    assert trained == [line.replace(PREFIX, "") for line in warned]


def test_images_that_are_enlarged_are_warned_of(a2: A2, plenty: Path) -> None:
    assert found_in(a2, plenty)["warnings"] == ["50 of 50 images are enlarged to 50x50 pixels, as ada/0.png of 10x10"]


def test_a_number_to_validate_that_leaves_few_to_train_on(train: A2, tmp_path: Path) -> None:
    """A preset's, as of one for 451 images."""
    draw_classes(tmp_path / "set", count=8)
    most = "9 of 16 images are held out for validation (val_count), 7 are left to train on; --val-fraction holds out"
    warned = train("--data", "set", "--val-count", "9", "--dry-run")
    assert most in warned.err
    train("--data", "set", "--val-count", "9", *TINY).done(most)
    said = "cannot hold out 16 of 16 images; change --val-count, --val-fraction or --test-fraction\n"
    for also in ((), ("--dry-run",)):
        train("--data", "set", "--val-count", "16", *also).refused(3, said)
    assert "held out" not in train("--data", "set", "--val-count", "8", "--dry-run").err
    shared = ("--test-fraction", "0.25", "--dry-run")
    assert "8 of 12 images are held out" in train("--data", "set", "--val-count", "8", *shared).err
    train("--data", "set", "--val-count", "12", *shared).refused(3, said.replace("16", "12"))


def test_a_split_that_cannot_be_drawn_is_warned_of(a2: A2, train: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=1)
    (warning,) = found_in(a2, "set", "--image-size", "8")["warnings"]
    assert warning.startswith(PREFIX) and "no image is left for validation" in warning
    train("--data", "set").refused(3, warning.removeprefix(PREFIX))

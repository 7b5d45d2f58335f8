"""Data that came with a split, or with some parts of one: what is said of it before and after, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import A2, TINY, draw_classes
from PIL import Image

SETS = {"whole": ("train", "val", "test"), "no-test": ("train", "val"), "no-val": ("train", "test"), "none": ("",)}
OWN_VAL, OWN_TEST = "the data's own validation part", "the data's own test part"
OWN = "the data's own validation and test parts"
DRAWN = "20% of the images for validation, drawn by the seed, as every command does by default"
UNKNOWN = f"{DRAWN}; parts that the data has of its own are used instead"
IDLE = "{} does not act: the data has that part of its own"
NOTHING_DRAWN = "split random does not act: nothing is drawn, as the data has its own parts"
SHOWN = [one for one in TINY if one != "--quiet"]
NOT_USUAL = "Not the default's split: other commands hold out the same images with "


@pytest.fixture(autouse=True)
def sets(tmp_path: Path) -> None:
    """Two classes of 24 images, shared out over the parts of each set in turn, as a CSV manifest and as arrays."""
    draw_classes(tmp_path / "set", count=24)
    files = [(f"set/{name}/{i}.png", name, i) for name in ("ada", "bea") for i in range(24)]
    pixels = np.stack([np.asarray(Image.open(tmp_path / path)) for path, *_ in files])
    for name, parts in SETS.items():
        split = [parts[i % len(parts)] for *_, i in files]
        lines = [f"{path},{label},{part}" for (path, label, _), part in zip(files, split, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["path,label,split", *lines]))
        arrays = {"images": pixels, "labels": [label for _, label, _ in files]}
        np.savez(tmp_path / f"{name}.npz", **arrays, **({"split": split} if parts != ("",) else {}))


PLANNED: dict[str, tuple[str, list[str]]] = {
    "whole.csv": (f"{OWN}; nothing is drawn", []),
    "whole.csv --val-fraction 0.3 --split random": (
        f"{OWN}; nothing is drawn", [IDLE.format("val_fraction"), NOTHING_DRAWN]),
    "whole.csv --split random": (f"{OWN}; nothing is drawn", [NOTHING_DRAWN]),
    "whole.csv --val-count 20": (f"{OWN}; nothing is drawn", [IDLE.format("val_count")]),
    "whole.csv --test-fraction 0.2": (f"{OWN}; nothing is drawn", [IDLE.format("test_fraction")]),
    "whole.csv --duplicates drop": (
        f"{OWN}; nothing is drawn; other commands hold out the same with --duplicates drop", []),
    "no-test.csv --split random": (f"{OWN_VAL}; nothing is drawn", [NOTHING_DRAWN]),
    "no-test.csv --split random --test-fraction 0.2": (
        f"{OWN_VAL}; of the other images 20% for the test, drawn by the seed; other commands hold out the same with "
        "--split random --test-fraction 0.2", []),
    "no-val.csv --test-fraction 0.2": (
        f"{OWN_TEST}; of the other images 20% for validation, drawn by the seed, as every command does by default",
        [IDLE.format("test_fraction")]),
    "none.csv": (DRAWN, []),
    "none.npz": (DRAWN, []),
    "atelier": (DRAWN, []),
    "whole.npz": (UNKNOWN, []),
    "CIFAR10": (f"{OWN_TEST}; of the other images {DRAWN.replace(' of the images', '')}", []),
}  # fmt: skip


@pytest.mark.parametrize("flags", PLANNED)
@pytest.mark.parametrize("command", ["train-cnn", "finetune"])
def test_a_dry_run_describes_the_split_there_is(command: str, flags: str, a2: A2) -> None:
    ended = a2(command, "--data", *flags.split(), "--dry-run", "--json")
    assert ended.status == 0, ended.err
    found, (split, warnings) = json.loads(ended.out), PLANNED[flags]
    assert [line for line in found["plan"] if line.startswith("Split: ")] == [f"Split: {split}"]
    assert found["warnings"] == warnings


TRIALS = {
    "compare-optimizers": ["--optimizers", "adam,sgd", "--tuning", "none", "--jobs", "1"],
    "ablate": ["-w", "label_smoothing=0", "--label-smoothing", "0.1", "--jobs", "1"],
}


@pytest.mark.parametrize("command", TRIALS)
def test_comparisons_and_ablations_do_as_well(command: str, a2: A2) -> None:
    flags = [*TRIALS[command], "--data", "whole.csv", "--split", "random", "--dry-run", "--json"]
    found = json.loads(a2(command, *flags).out)
    assert f"Split: {OWN}; nothing is drawn" in found["plan"] and NOTHING_DRAWN in found["warnings"]


@pytest.mark.parametrize("command", ["train-cnn", "train-mlp", "finetune"])
def test_folds_are_refused_before_as_in_the_run(command: str, a2: A2) -> None:
    reason = "--folds: the data has a validation part of its own; leave it out"
    a2(command, "--data", "whole.csv", "--folds", "3", "--dry-run").refused(2, reason)
    if command == "train-cnn":
        a2(command, *TINY, "--data", "whole.csv", "--folds", "3").refused(2, reason)
    assert a2(command, "--data", "no-val.csv", "--folds", "3", "--dry-run").status == 0


def test_a_features_file_has_the_split_of_its_images(a2: A2) -> None:
    network = ["--backbone", "squeezenet1_1", "--weights", "none", "--image-size", "64", "--layer", "features.2"]
    for name in ("whole", "none"):
        made = a2("extract-features", "--data", f"{name}.csv", *network, "--out", f"{name}.safetensors", "--quiet")
        assert made.status == 0, made.err
    plan = json.loads(a2("train-mlp", "--features", "whole.safetensors", "--dry-run", "--json").out)["plan"]
    assert f"Split: {OWN}; nothing is drawn" in plan
    plan = json.loads(a2("train-mlp", "--features", "none.safetensors", "--dry-run", "--json").out)["plan"]
    assert f"Split: {DRAWN}" in plan
    a2("train-mlp", "--features", "whole.safetensors", "--folds", "3", "--dry-run").refused(2, "--folds: the data has")


ENDED: dict[str, tuple[str, list[str]]] = {
    "whole.csv --val-fraction 0.3 --split random": ("", [IDLE.format("val_fraction"), NOTHING_DRAWN]),
    "whole.csv --val-count 20": ("", [IDLE.format("val_count")]),
    "whole.csv --test-fraction 0.2": ("", [IDLE.format("test_fraction")]),
    "whole.npz --split random": ("", [NOTHING_DRAWN]),
    "no-test.csv --test-fraction 0.2 --val-count 4": ("--test-fraction 0.2", [IDLE.format("val_count")]),
    "no-val.csv --test-fraction 0.2 --val-count 4": ("--val-count 4", [IDLE.format("test_fraction")]),
    "none.csv --split random": ("--split random", []),
}


@pytest.mark.parametrize("flags", ENDED)
def test_a_result_names_only_flags_that_acted(flags: str, a2: A2) -> None:
    ended, (same, warnings) = a2("train-cnn", *SHOWN, "--data", *flags.split()), ENDED[flags]
    assert ended.status == 0, ended.err
    said = [line for line in ended.out.splitlines() if line.startswith("Not the default")]
    assert said == [f"{NOT_USUAL}{same}."] * bool(same)
    found = [line.removeprefix("warning: ") for line in ended.err.splitlines() if "does not act" in line]
    assert found == warnings


SAME = {
    "whole.csv": "All seeds are judged on the same 16 validation images, so the interval of accuracy on them is over "
    "trainings alone, not over images.",
    "whole.csv --final": "All seeds are judged on the same 16 validation images and 16 test images, so the intervals "
    "are over trainings alone, not over images.",
    "no-val.csv": "",
    "no-val.csv --final": "All seeds are judged on the same 24 test images, so the interval",
    "none.csv": "",
}


@pytest.mark.parametrize("flags", SAME)
def test_seeds_judged_on_the_same_images_are_said_to_be(flags: str, a2: A2) -> None:
    ended = a2("train-cnn", *SHOWN, "--seeds", "2", "--jobs", "1", "--data", *flags.split(), "--json")
    verdict = json.loads(ended.out)["results"]["verdict"]
    assert SAME[flags] in verdict and ("on the same" in verdict) == bool(SAME[flags])


def test_folds_are_tested_on_the_same_images(a2: A2) -> None:
    flags = [*SHOWN, "--folds", "2", "--jobs", "1", "--test-fraction", "0.25", "--data", "none.csv", "--json"]
    assert "on the same" not in a2("train-cnn", *flags).out
    assert "All folds are judged on the same 12 test images" in a2("train-cnn", *flags, "--final").out


@pytest.mark.parametrize("command", TRIALS)
@pytest.mark.parametrize("data", ["whole.csv", "none.csv"])
def test_a_comparisons_verdict_says_so(command: str, data: str, a2: A2) -> None:
    network = [*TINY[: TINY.index("--threads")], "--device", "cpu", "--json"]
    ended = a2(command, *TRIALS[command], *network, "--seeds", "2", "--data", data)
    assert ended.status == 0, ended.err
    results = json.loads(ended.out)["results"]
    said = "All seeds are judged on the same 16 validation images, so" in results["verdict"]
    assert said == (data == "whole.csv")

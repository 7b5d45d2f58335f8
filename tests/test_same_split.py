"""One seed holds out the same images in every command of a chain, unless asked otherwise."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, TINY, draw_classes

from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_of
from a2cli.progress import NullReporter
from a2cli.settings.declare import flat
from a2cli.settings.presets import build, preset_names
from a2cli.settings.training import TrainCnnSettings, split_flags

README = (Path(__file__).parents[1] / "README.md").read_text()
HOLDING_OUT = {"split", "val_fraction", "val_count", "test_fraction", "folds", "fold", "duplicates"}
WITH_SPLIT = "train-cnn|train-mlp|finetune|compare-optimizers|ablate"
OF_A_SECTION = re.compile(r"\d\.\d")  # presets of the assignment, whose splits are its own


def chain() -> list[list[str]]:
    """Return README's commands that hold out images, without the assignment's presets."""
    text = README.replace("\\\n", " ").replace('"$weights"', "none")
    found = [shlex.split(match) for match in re.findall(rf"a2 ((?:{WITH_SPLIT}) [^#|&)`]*)", text)]
    return [words for words in found if "--help" not in words and not any(OF_A_SECTION.match(word) for word in words)]


def settings_of(a2: A2, *words: str) -> dict[str, Any]:
    ended = a2(*(word for word in words if word not in ("--quiet", "--best", "--dry-run")), "--dry-run", "--json")
    assert ended.status == 0, ended.err
    return {name: found["value"] for name, found in json.loads(ended.out)["settings"].items()}


def test_readme_has_a_chain() -> None:
    assert Counter(words[0] for words in chain()).keys() == set(WITH_SPLIT.split("|"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set", ("ada", "bea", "cyd"), count=21, side=40)


@pytest.mark.parametrize("words", chain(), ids=" ".join)
def test_the_chain_of_readme_validates_on_the_same_images(words: list[str], a2: A2, images: Path) -> None:
    """Whatever the size that a network sees: names of the files held out, as each command's settings draw them."""
    given = settings_of(a2, *words)
    usual = flat(TrainCnnSettings())
    split = {name: tuple(v) if isinstance(v := given[name], list) else v for name in HOLDING_OUT}
    size = min(given.get("image_size") or 64, 64)
    packed = pack(find_source("set"), size, "squash", False, NullReporter())
    held = {}
    for name, values in {"chain": split, "train-cnn": usual}.items():
        settings = build(TrainCnnSettings, {**{key: values[key] for key in HOLDING_OUT}, "seed": given["seed"]})
        rows = split_of(packed, settings)
        held[name] = [packed.names[row] for row in rows.val], len(rows.test)
    assert held["chain"] == held["train-cnn"]
    assert (len(held["chain"][0]), held["chain"][1]) == (round(0.2 * 63), 0)


@pytest.mark.parametrize("name", preset_names())
def test_which_presets_have_a_split_of_their_own_and_say_so(name: str, a2: A2) -> None:
    """Those of the assignment alone, as in what `a2 presets` prints; what extends them has theirs."""
    printed = a2("presets", name).out
    says = printed.splitlines()[-1].partition("hold out the same images with ")[2]
    if not OF_A_SECTION.match(name):
        assert says == "" and "fraction" not in printed
    elif name.startswith("2.") and name != "2.2-extract":
        assert says == "--val-fraction 0.1 --test-fraction 0.1"
    elif name != "2.2-extract":
        assert says == "--split random --val-count 91"


def test_flags_of_a_split_of_its_own_repeat_it(a2: A2, images: Path) -> None:
    """As said by the dry run and beside the results: another command with them holds out the same images."""
    own = ["train-mlp", "-p", "2.1-mlp", "--data", "set", "--image-size", "8", "--hidden", "4", "--epochs", "1"]
    flags = split_flags(settings_of(a2, *own))
    assert flags == "--val-fraction 0.1 --test-fraction 0.1"
    assert f"hold out the same with {flags}" in " ".join(a2(*own, "--dry-run").out.split())
    said = " ".join(a2(*own, "--threads", "1", "--out", "out").out.split())
    assert f"other commands hold out the same images with {flags}." in said
    again = settings_of(a2, "train-cnn", "--data", "set", *flags.split())
    assert {name: again[name] for name in HOLDING_OUT} == {name: settings_of(a2, *own)[name] for name in HOLDING_OUT}
    usual = a2("train-cnn", *TINY[:-1], "--data", "set")
    assert usual.status == 0 and "Not the default" not in usual.out
    packed = pack(find_source("set"), 8, "squash", False, NullReporter())
    rows = split_of(packed, build(TrainCnnSettings, {name: again[name] for name in HOLDING_OUT}))
    assert np.intersect1d(rows.val, rows.test).size == 0 and len(rows.val) == len(rows.test) == 6

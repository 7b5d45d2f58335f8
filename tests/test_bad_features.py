"""What cannot be extracted or read back: one line, the right status, and nothing half written."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import A2, contents, draw_classes, edit, text_file
from PIL import Image
from safetensors.torch import load_file, save_file

from a2cli.errors import DataError
from a2cli.models.weights import read_weights
from a2cli.transfer.feature_file import About, chunks_of, read_features, write_features

FLAGS = ["--threads", "1", "--device", "cpu", "--quiet", "--data", "set"]
FLAGS += ["--backbone", "squeezenet1_1", "--image-size", "64", "--layer", "features.4"]
DEEP = ["--layer", "conv5", "--image-size", "16"]
RANDOM = [*FLAGS, "--weights", "none"]


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set", side=75)


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--backbone", "squeezenet"], 2, ["--backbone: torchvision has no classifier 'squeezenet'; did you mean"]),
        (["--layer", "features.44"], 2, ["--layer: no layer 'features.44'; did you mean 'features.4", "there are"]),
        (["--layer", "features.4,features.4"], 2, ["--layer: features.4 is named twice"]),
        (["--before-relu"], 2, ["--before-relu: acts only on layers by number", "got features.4"]),
        (["--grid-pool", "max"], 2, ["--grid-pool"]),
        (["--run", "set"], 2, ["--backbone: a --run is its own backbone"]),
        (
            ["--out", "nowhere/f.safetensors"],
            3,
            ["--out nowhere/f.safetensors: cannot be written (there is no folder nowhere)"],
        ),
        (["--out", "f.pth"], 2, ["--out f.pth: expected a file that ends in .safetensors"]),
        (["--precision", "fp16"], 2, ["--precision", "'fp16'"]),
        (["--batch-size", "0"], 2, ["--batch-size"]),
        (["--device", "cuda:7"], 2, ["--device: 'cuda:7' cannot be used here"]),
    ],
)
def test_bad_flags(a2: A2, flags: list[str], status: int, words: list[str], tmp_path: Path) -> None:
    before = contents(tmp_path)
    a2("extract-features", *RANDOM, *flags).refused(status, *words)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--backbone", "alexnet", "--layer", "conv5", "--image-size", "16"],
            "--image-size: alexnet cannot take 16x16 images (",
        ),
        (["--grid", "19"], "--grid, --head-grid: 19 is too many for maps of 15x15"),
        (["--backbone", "vit_b_32", "--image-size", "50"], "--image-size: vit_b_32 cannot take 50x50 images (Input"),
        (
            ["--backbone", "shufflenet_v2_x0_5", "--layer", "stage2.0.size"],
            "--layer: stage2.0.size is a step of shufflenet_v2_x0_5",
        ),
    ],
)
def test_bad_flags_that_the_network_finds(a2: A2, flags: list[str], words: str, tmp_path: Path) -> None:
    ended = a2("extract-features", *RANDOM, *flags)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines()[-1].startswith(f"error: {words}"), ended.err
    assert "bug" not in ended.err
    assert not list(tmp_path.glob("*.safetensors"))


def test_bad_runs(a2: A2, train: A2, tmp_path: Path) -> None:
    flags = [*FLAGS[:7], "--layer", "conv1"]
    a2("extract-features", *flags, "--run", "set").refused(3, "set: not a run directory")
    run = train("--data", "set", "--batch-size", "4", "--seeds", "2", "--jobs", "1").done()
    shutil.copytree(run / "seeds/0", tmp_path / "stopped")
    shutil.rmtree(tmp_path / "stopped/model")
    edit(tmp_path / "stopped/report.json", '"done"', '"running"')
    a2("extract-features", *flags, "--run", "stopped").refused(3, "--run stopped: not finished (running)")
    looked = a2("visualize-weights", "--run", run / "seeds/0", "--show", "filters", "--quiet").done()
    refused = f"--run {looked}: of 'a2 visualize-weights', has no network of its own; name the one it looked at, {run}"
    a2("extract-features", *flags, "--run", looked).refused(3, refused)


@pytest.mark.parametrize("kind", ["text", "folder", "link", "features"])
def test_an_out_that_is_there(a2: A2, tmp_path: Path, kind: str) -> None:
    """It is kept, and replaced only by --overwrite; a folder never is."""
    out = tmp_path / "out.safetensors"
    if kind == "text":
        text_file(out)
    elif kind == "folder":
        text_file(out / "kept")
    elif kind == "link":
        out.symlink_to("nowhere")
    else:
        a2("extract-features", *RANDOM, "--out", "out.safetensors").done("NOT PRETRAINED")
    flags, before = [*RANDOM, "--layer", "features.3", "--out", "out.safetensors"], contents(tmp_path)
    reason = "is a folder; name a file" if kind == "folder" else "already there; name another file, or use --overwrite"
    a2("extract-features", *flags).refused(3, f"--out out.safetensors: {reason}")
    assert contents(tmp_path) == before
    if kind == "folder":
        a2("extract-features", *flags, "--overwrite").refused(3, reason)
        assert contents(tmp_path) == before
    else:
        a2("extract-features", *flags, "--overwrite").done("NOT PRETRAINED")
        assert list(read_features("out.safetensors").layers) == ["features.3"]


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_features_file_cut_short(a2: A2, tmp_path: Path, share: float) -> None:
    a2("extract-features", *RANDOM).done("NOT PRETRAINED")
    content = Path("features.safetensors").read_bytes()
    Path("features.safetensors").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"--features features\.safetensors: damaged or not a features file") as caught:
        read_features("features.safetensors")
    assert "\n" not in str(caught.value)


def test_a_features_file_that_is_none(tmp_path: Path) -> None:
    path = str(tmp_path / "f.safetensors")
    with pytest.raises(DataError, match="does not exist"):
        read_features(path)
    Path(path).write_text("<!DOCTYPE html><title>404</title>")
    with pytest.raises(DataError, match="not a features file: a web page"):
        read_features(path)
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(DataError, match="not a features file of a2's"):
        read_features(path)
    save_file({"a": torch.zeros(3)}, path, {"a2": json.dumps({"source": "x"})})
    with pytest.raises(DataError, match="damaged or not a features file"):
        read_features(path)


@pytest.mark.parametrize("what", ["labels", "layer", "class", "gone"])
def test_a_features_file_whose_parts_do_not_fit(a2: A2, what: str) -> None:
    from safetensors import safe_open

    a2("extract-features", *RANDOM).done("NOT PRETRAINED")
    with safe_open("features.safetensors", framework="pt") as file:
        about = file.metadata()
    del about["sha256"]  # as of an earlier version
    tensors = load_file("features.safetensors")
    if what == "labels":
        tensors["labels"] = tensors["labels"][:-1].clone()
    elif what == "layer":
        tensors["features.4"] = tensors["features.4"][:-1].clone()
    elif what == "class":
        tensors["labels"] = tensors["labels"] + 1
    else:
        del tensors["features.4"]
    save_file(tensors, "features.safetensors", about)
    with pytest.raises(DataError, match=r"--features features\.safetensors: damaged \("):
        read_features("features.safetensors")


def test_a_write_that_fails_leaves_nothing(a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ended = a2("extract-features", *RANDOM)
    assert ended.status == 3
    assert ended.err.splitlines()[-1].endswith("No space left on device; set A2_CACHE_DIR to another folder")
    assert not list(tmp_path.glob("*.safetensors")) + list(tmp_path.glob(".writing*"))
    monkeypatch.undo()


def grey(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (75, 75), dtype=np.uint8)).save(path)


def test_grey_images_are_converted_and_it_is_said(a2: A2, tmp_path: Path) -> None:
    grey(tmp_path / "set/ada/0.png")
    some = "set: 1 of 10 images are grey; the network sees three equal channels of these"
    a2("extract-features", *RANDOM).done("NOT PRETRAINED", some)
    for path in (tmp_path / "set").rglob("*.png"):
        grey(path)
    ended = a2("extract-features", *[flag for flag in RANDOM if flag != "--quiet"], "--json", "--overwrite")
    every = "set: all images are grey; converted to colour, three equal channels"
    assert f"warning: {every}\n" in ended.err
    assert every in json.loads(ended.out)["warnings"]


def test_one_image_in_a_class(a2: A2, tmp_path: Path) -> None:
    for i in range(1, 5):
        (tmp_path / f"set/ada/{i}.png").unlink()
    a2("extract-features", *RANDOM).done("NOT PRETRAINED")
    assert read_features("features.safetensors").labels.tolist() == [0, 1, 1, 1, 1, 1]


def test_odd_sizes_are_read_back(tmp_path: Path) -> None:
    """Five float32 before the labels would leave these, 8 bytes each, out of step."""
    path, labels = str(tmp_path / "f.safetensors"), np.array([0, 1, 0, 1, 0])
    rows = np.arange(5, dtype=np.float32)[:, None]
    names = tuple(map(str, range(5)))
    about = About("x", ("a", "b"), names, ("",) * 5, (), "", {}, (), "fp32", 1)
    layers = {"one": (rows.shape, rows.dtype, chunks_of(rows, range(5)))}
    write_features(path, about, layers, labels, {"w": np.ones(3, np.float32), "steps": np.array(7)})
    found = read_features(path)
    assert np.array_equal(found.layers["one"], rows)
    assert found.labels.tolist() == labels.tolist()
    assert found.weights["w"].tolist() == [1, 1, 1]
    assert int(found.weights["steps"]) == 7
    assert set(read_weights(path)[0][1]) == {"one", "labels", "backbone/w", "backbone/steps"}


def test_chunks_are_small_whatever_a_row_is() -> None:
    wide = np.zeros((6, 3 << 20), dtype=np.float32)
    assert [len(chunk) for chunk in chunks_of(wide, range(6))] == [1] * 6
    assert [len(chunk) for chunk in chunks_of(wide[:, :4], [2, 3, 4])] == [3]

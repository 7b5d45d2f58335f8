"""Features and runs on googlenet and inception_v3 from before they were torchvision's, and what is said of them."""

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, draw_classes
from safetensors.torch import load_file, save_file
from standins import random_state
from torch import Tensor, nn

from a2cli.models.backbones import graph_of, nodes_by_module
from a2cli.models.files import load_model
from a2cli.models.pretrained import Undrawn, build_torchvision, preprocessing
from a2cli.settings.transfer import BackboneSettings, PicturesSettings
from a2cli.transfer.backbone import find_backbone
from a2cli.transfer.feature_file import read_features

SMALL = ["--image-size", "64", "--threads", "1", "--device", "cpu", "--quiet"]
HEAD = ["--epochs", "1", "--val-count", "2", "--test-fraction", "0", "--threads", "1", "--quiet", "--hidden", "none"]
BEFORE, AFTER = "conv2.bn", "conv3.bn"  # each with a ReLU in place behind it


@pytest.fixture(scope="session")
def googlenet() -> dict[str, Tensor]:
    return random_state("googlenet", torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def folder(tmp_path: Path, googlenet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_classes(tmp_path / "set", side=70)
    torch.save(googlenet, tmp_path / "w.pth")
    return tmp_path


def edit_header(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what a features file says of itself."""
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    about = json.loads(header["__metadata__"]["a2"])
    change(about)
    header["__metadata__"] = {"format": "pt", "a2": json.dumps(about)}  # files of earlier versions have no SHA-256
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[end:])


def as_before(about: dict[str, Any]) -> None:
    del about["layers_apart"]
    for trunk in about["trunks"].values():
        del trunk["transform_input"]


def extract(a2: A2, layers: str) -> Path:
    flags = ["--backbone", "googlenet", "--weights", "w.pth", "--data", "set", "--grid", "2", *SMALL]
    ended = a2("extract-features", *flags, "--layer", layers, "--out", "f.safetensors", "--overwrite")
    ended.done("images go through transform_input, as with torchvision's own weights")
    return Path("f.safetensors")


@pytest.mark.slow
def test_features_of_an_earlier_version(a2: A2, folder: Path) -> None:
    """Layers that a ReLU in place overwrote: perhaps if alone, surely with later ones; and others."""
    file = extract(a2, f"{BEFORE},{AFTER}")
    learn = ["train-mlp", "--features", file, *HEAD]
    said = "extracted by an earlier a2 without transform_input, which googlenet's weights expect; extract it again"
    assert "earlier" not in a2(*learn, "--layer", BEFORE).err
    edit_header(file, as_before)
    ended = a2(*learn, "--layer", BEFORE)
    ended.refused(3, f"an earlier a2 let the ReLU in place behind {BEFORE} overwrite it; extract it again")
    ended = a2(*learn, "--layer", AFTER)
    assert ended.status == 0
    assert said in ended.err
    assert f"behind {AFTER} overwrite it where it was asked for together with later layers" in ended.err
    report = json.loads((Path(ended.out.strip()) / "report.json").read_text())
    assert sum("earlier a2" in note for note in report["warnings"]) == 2
    file = extract(a2, "maxpool2")
    edit_header(file, as_before)
    ended = a2(*learn)
    assert said in ended.err and "overwrite" not in ended.err


def build_without_transform(build: Callable[..., nn.Module], *arguments: Any, **options: Any) -> nn.Module:
    return build(*arguments, **{**options, "transform_input": False})


def test_rows_without_transform_input_are_not_used(a2: A2, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their weights and layer are the same; their images were not."""
    flags = ["--backbone", "googlenet", "--weights", "w.pth", "--data", "set", "--grid", "1", "--layer", "conv1.conv"]
    with monkeypatch.context() as before:
        before.setattr("a2cli.transfer.backbone.INPUT_TRANSFORMING", ())
        build = partial(build_without_transform, build_torchvision)
        before.setattr("a2cli.transfer.backbone.build_torchvision", build)
        found = a2("extract-features", *flags, *SMALL[:-1], "--json", "--out", "old.safetensors")
        assert '"computed": 10' in found.out
    assert '"computed": 10' in a2("extract-features", *flags, *SMALL[:-1], "--json", "--out", "new.safetensors").out
    old, new = (load_file(name)["conv1.conv"] for name in ("old.safetensors", "new.safetensors"))
    assert not torch.equal(old, new)


def test_features_with_nan_are_refused(a2: A2, folder: Path) -> None:
    """Rather than to advise a smaller learning rate."""
    file = extract(a2, "maxpool2")
    content, about = load_file(file), read_features(str(file)).about
    at = file.read_bytes().index(content["maxpool2"].numpy().tobytes())
    changed = bytearray(file.read_bytes())
    changed[at : at + 4] = np.float32(np.nan).tobytes()
    file.write_bytes(changed)
    edit_header(file, lambda about: None)
    assert about.trunks["maxpool2"].transform_input
    ended = a2("train-mlp", "--features", file, *HEAD)
    ended.refused(3, "maxpool2 holds NaN or infinite activations")


@pytest.mark.slow
def test_a_run_goes_on_as_it_began(a2: A2, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of an earlier version has no transform_input: it answers as before, and later stages begin alike."""
    flags = ["--backbone", "googlenet", "--weights", "w.pth", "--data", "set", *SMALL, "--batch-size", "4"]
    flags += ["--val-count", "2", "--test-fraction", "0.2", "--layer", "maxpool2", "--head-grid", "1"]
    flags += ["--stages", "head:1 conv3+:1"]
    with monkeypatch.context() as before:
        before.setattr("a2cli.transfer.backbone.INPUT_TRANSFORMING", ())
        assert a2("finetune", *flags, "--out", "old").status == 0
    card = load_model(folder / "old/model")[1]
    assert card.trunk is not None and not card.trunk.transform_input
    assert '"transform_input": false' in (folder / "old/model/model.json").read_text()
    report = json.loads((folder / "old/report.json").read_text())
    assert a2("finetune", "--resume", "old", "--final", "--quiet").status == 0
    again = json.loads((folder / "old/report.json").read_text())
    assert again["history"] == report["history"]
    assert load_model(folder / "old/model")[1].trunk == card.trunk
    assert a2("finetune", *flags, "--out", "new").status == 0
    trunk = load_model(folder / "new/model")[1].trunk
    assert trunk is not None and trunk.transform_input


def test_a_layers_path_is_that_layer() -> None:
    """torchvision calls ln_1 of a vision transformer's block `ln`, and ln_2 `ln_1`."""
    found = find_backbone(BackboneSettings(backbone="vit_b_32", weights="none"), PicturesSettings(image_size=32))
    block = "encoder.layers.encoder_layer_3"
    for layer in ("ln_1", "ln_2"):
        trunk = found.trunk(f"{block}.{layer}", before_relu=False, grid=0, grid_pool="average")
        assert nodes_by_module(found.graph)[f"{block}.{layer}"] == trunk.node
    assert trunk.node == f"{block}.ln_1"


@pytest.mark.slow
def test_a_vision_transformer_is_built_for_its_weights(a2: A2, folder: Path) -> None:
    """Of 96 pixels, 3 x 3 patches and the class's token, as the file says; no other size fits."""
    with torch.random.fork_rng(devices=[]):
        state = build_torchvision("vit_b_32", image_size=96).state_dict()
    assert state["encoder.pos_embedding"].shape == (1, 10, 768)
    save_file({f"module.{name}": value for name, value in state.items()}, "vit.safetensors")
    flags = ["--backbone", "vit_b_32", "--weights", "vit.safetensors", "--data", "set", "--layer", "encoder.ln"]
    a2("extract-features", *flags, "--threads", "1", "--quiet").done("'module.' removed from names")
    assert read_features("features.safetensors").layers["encoder.ln"].shape == (10, 10, 768)
    ended = a2("extract-features", *flags, "--image-size", "64", "--quiet", "--overwrite")
    ended.refused(2, "--image-size: vit_b_32 with vit.safetensors takes 96x96 images, got 64")
    assert preprocessing("vit_b_16", "IMAGENET1K_SWAG_E2E_V1").image_size == 384


def test_maps_with_channels_last_are_not_pooled(a2: A2, folder: Path) -> None:
    flags = ["--backbone", "swin_t", "--weights", "none", "--data", "set", "--layer", "features.1", *SMALL]
    ended = a2("extract-features", *flags, "--grid", "2")
    assert ended.status == 2
    assert "--grid: features.1 of swin_t has its channels last (16x16x96); use --grid 0" in ended.err


def test_tables_of_indices_are_there_without_drawing() -> None:
    """On the meta device they would be lost: maxvit's are constants of its graph, and regnets compute their widths."""
    with Undrawn():
        graph = graph_of(build_torchvision("maxvit_t"), "")
        build_torchvision("regnet_y_400mf")
    constants = [value for name, value in graph.named_buffers() if name.startswith("_tensor_constant")]
    assert constants and all(int(value.max()) == (2 * 7 - 1) ** 2 - 1 for value in constants)

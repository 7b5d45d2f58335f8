"""Every classifier of torchvision's gives by extract-features what torchvision's own network computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import A2
from PIL import Image
from standins import (
    ALL,
    families,
    published_key,
    random_state,
    reference,
    small_side,
    some_layers,
    transforms,
)
from torch import Tensor

from a2cli.models.pretrained import Undrawn, build_torchvision
from a2cli.models.state_dict import heads_of, renamed
from a2cli.transfer.feature_file import read_features

# The smallest of each family, which `test_no_family_is_left_out` holds to torchvision's own list.
SMALLEST = [
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf"),
    *("resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t"),
    *("vgg11", "vgg11_bn", "vit_b_16"),
]


def pictures(folder: Path, count: int = 2) -> list[Image.Image]:
    """Write images of two classes, and return them in the order in which they are read."""
    rng, found = np.random.default_rng(0), []
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(count // 2):
            coarse = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
            found.append(Image.fromarray(coarse).resize((140, 120), Image.Resampling.BICUBIC))
            found[-1].save(folder / label / f"{i}.png")
    return found


@pytest.mark.slow
def test_no_family_is_left_out() -> None:
    """Families part all of torchvision's classifiers, and each has its smallest in the list above."""
    found = families()
    assert sorted(name for members in found.values() for name in members) == sorted(ALL)
    assert sorted(members[0] for members in found.values()) == sorted(SMALLEST)


@pytest.mark.slow
def test_published_keys_have_their_place() -> None:
    """In all of torchvision's classifiers: each key of its file is one of the network's, and the other way round."""
    old = 0
    for name in ALL:
        with Undrawn():
            model = build_torchvision(name)
        state = model.state_dict()
        files = {published_key(name, key): value for key, value in state.items()}
        tensors, notes = renamed(files, state)
        assert [tensors[key] is value for key, value in state.items()] == [True] * len(files), name
        assert bool(notes) == (files.keys() != state.keys())
        old += bool(notes)
        heads = {"googlenet": 3, "inception_v3": 2}.get(name, 1)
        assert len(heads_of(model)) == heads
    assert old == 4 + 5, "densenets and vision transformers"


def extract(
    a2: A2, name: str, side: int | None, layers: list[str], cache: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Tensor]:
    monkeypatch.setenv("A2_CACHE_DIR", cache)
    flags = ["--backbone", name, "--weights", "w.pth", "--data", "set", "--layer", ",".join(layers), "--threads", "1"]
    flags += ["--device", "cpu", "--quiet", *(["--image-size", str(side)] if side else [])]
    ended = a2("extract-features", *flags, "--out", f"{len(list(Path().glob('*.safetensors')))}.safetensors")
    assert ended.status == 0, ended.err
    return dict(read_features(ended.out.strip()).layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_features_are_torchvisions_own(name: str, a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three inner layers and the last: one alone, then together from the last on, then together in an empty cache."""
    torch.set_num_threads(1)
    side, layers = small_side(name), some_layers(name)
    prepare = transforms(name, side)
    images = torch.stack([prepare(image) for image in pictures(tmp_path / "set")])
    state = random_state(name, images)
    torch.save(state, tmp_path / "w.pth")
    expected = reference(name, state, images, layers)
    alone = extract(a2, name, side, [layers[1]], "one", monkeypatch)
    together = extract(a2, name, side, layers[::-1], "one", monkeypatch)
    anew = extract(a2, name, side, layers, "two", monkeypatch)
    for layer in layers:
        assert expected[layer].isfinite().all() and float(expected[layer].std()) > 1e-3
        assert not np.array_equal(expected[layer][0], expected[layer][1])
        for found in (together[layer], anew[layer]):
            assert np.array_equal(found, expected[layer]), layer
    assert np.array_equal(alone[layers[1]], expected[layers[1]])

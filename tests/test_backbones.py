"""Backbones: their layers by name, the forward that stops, and what torchvision itself computes."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from a2cli.data.decode import to_square
from a2cli.errors import SettingsError
from a2cli.models.backbones import (
    cuts,
    friendly_names,
    graph_of,
    nodes_of,
    parameters_of,
    resolve_layer,
    tail,
    truncate,
)
from a2cli.models.fast_pooling import WindowMax, speed_up
from a2cli.models.pretrained import Preprocess, build_torchvision, preprocessing


def images(side: int = 64, count: int = 2) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_alexnet_by_number() -> None:
    graph = graph_of(build_torchvision("alexnet"), "")
    names = friendly_names(graph)
    assert list(names) == ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8"]
    assert names["conv4"] == ("features.8", "features.9")
    assert names["pool5"] == ("features.12", "features.12")
    assert names["fc6"] == ("classifier.1", "classifier.2")
    assert names["fc8"] == ("classifier.6", "classifier.6")


def test_vgg16_by_number() -> None:
    names = friendly_names(graph_of(models.vgg16(weights=None, init_weights=False), ""))
    assert [name for name in names if name.startswith("pool")] == ["pool2", "pool4", "pool7", "pool10", "pool13"]
    assert [name for name in names if name.startswith("fc")] == ["fc14", "fc15", "fc16"]
    assert names["conv13"] == ("features.28", "features.29")
    with_norms = friendly_names(graph_of(models.vgg11_bn(weights=None, init_weights=False), ""))
    assert with_norms["conv1"] == ("features.0", "features.2")  # after its norm and its ReLU


@pytest.mark.parametrize(
    ("name", "layer", "node"),
    [
        ("resnet18", "conv1", "conv1"),
        ("resnet18", "layer4", "layer4.1.relu_1"),
        ("resnet18", "layer3.0", "layer3.0.relu_1"),
        ("resnet18", "layer3.1.relu_1", "layer3.1.relu_1"),
        ("squeezenet1_0", "features.3", "features.3.cat"),
        ("squeezenet1_0", "features.3.expand1x1", "features.3.expand1x1"),
        ("alexnet", "features.9", "features.9"),
        ("alexnet", "avgpool", "avgpool"),
    ],
)
def test_torchvisions_names(name: str, layer: str, node: str) -> None:
    assert resolve_layer(graph_of(build_torchvision(name), ""), layer, "--layer") == node


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("alexnet", "conv44", ["no layer 'conv44'; did you mean 'conv4'?", "(there are conv1, pool1, conv2,"]),
        ("resnet18", "layer5", ["no layer 'layer5'", "conv1, bn1, relu, maxpool, layer1.0, ..., layer3.0, "]),
        ("squeezenet1_0", "conv2", ["no layer 'conv2'", "features.0, features.1, features.2, "]),
    ],
)
def test_a_layer_that_does_not_exist(name: str, layer: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve_layer(graph_of(build_torchvision(name), ""), layer, "--layer")
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "squeezenet1_0"])
def test_every_layer_is_what_torchvision_computes(name: str) -> None:
    """Against torchvision's own network, ReLUs in place, hooks that copy."""
    own = models.get_model(name, weights=None).eval()
    graph = graph_of(build_torchvision(name), "")
    graph.load_state_dict(own.state_dict())
    modules = {key for key, _ in own.named_modules()}
    layers = [key for key in nodes_of(graph) if key in modules]
    hooked: dict[str, Tensor] = {}
    for key in layers:

        def hook(_module: nn.Module, _inputs: object, output: Tensor, key: str = key) -> None:
            hooked.setdefault(key, output.clone())  # a ReLU used twice in a block is a node of its name the first time

        own.get_submodule(key).register_forward_hook(hook)
    with torch.inference_mode():
        own(images())
        found = truncate(graph, layers)(images())
    assert len(found) == len(layers) > 15
    assert all(torch.equal(found[key], hooked[key]) for key in layers)


def test_before_and_after_a_relu_in_place() -> None:
    own = models.alexnet(weights=None).eval()
    assert own.features[9].inplace
    graph = graph_of(build_torchvision("alexnet"), "")
    graph.load_state_dict(own.state_dict())
    before, after = (resolve_layer(graph, "conv4", "", before_relu=early) for early in (True, False))
    with torch.inference_mode():
        found = truncate(graph, [before, after])(images())
        expected = own.features[:9](images())  # the slice ends at the convolution, so nothing overwrites it
    assert float(found[before].min()) < 0
    assert torch.equal(found[before], expected)
    assert torch.equal(found[after], expected.relu())


def test_the_forward_stops_at_the_last_layer() -> None:
    graph = graph_of(build_torchvision("alexnet"), "")
    ran: list[str] = []
    for key, module in graph.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, key=key: ran.append(key))
    body = truncate(graph, ["features.4", "features.9"])
    body(images())
    assert ran == [f"features.{i}" for i in range(10)]
    assert body.get_submodule("features.0") is graph.get_submodule("features.0")
    kinds = ("weight", "bias")
    assert parameters_of(body) == [f"features.{i}.{kind}" for i in (0, 3, 6, 8) for kind in kinds]


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "squeezenet1_1"])
def test_a_network_cut_in_two_is_the_network(name: str) -> None:
    model = build_torchvision(name)
    graph = graph_of(model, "")
    places = cuts(graph)
    assert "layer1.0.conv1" not in places  # the shortcut goes past it
    with torch.inference_mode():
        whole = model(images())
        for place in places[:: max(1, len(places) // 6)]:
            half = truncate(graph, [place])(images())[place]
            assert torch.equal(tail(graph, place)(half), whole), place


def test_the_random_network_is_the_same_each_time() -> None:
    torch.manual_seed(3)
    first = build_torchvision("squeezenet1_1").state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))  # and moves no other stream
    second = build_torchvision("squeezenet1_1").state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("alexnet", models.AlexNet_Weights.IMAGENET1K_V1),
        ("resnet50", models.ResNet50_Weights.IMAGENET1K_V2),  # 232, then 224 of it
        ("efficientnet_b0", models.EfficientNet_B0_Weights.IMAGENET1K_V1),  # bicubic
        ("inception_v3", models.Inception_V3_Weights.IMAGENET1K_V1),  # 342, then 299
    ],
)
@pytest.mark.parametrize("size", [(500, 333), (301, 640), (224, 224), (90, 61)])
def test_pixels_are_torchvisions(name: str, weights: Any, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    prepared = preprocessing(name, weights.name)
    square = to_square(picture, prepared.image_size, prepared.fit)
    own = Preprocess(prepared.mean, prepared.std)(torch.from_numpy(square.copy()).permute(2, 0, 1)[None])
    assert torch.equal(own[0], weights.transforms()(picture))


def test_preprocessing_of_a_file_is_that_of_the_weights_it_is_named_like() -> None:
    assert preprocessing("resnet50", "imagenet").fit == "center-232"
    assert preprocessing("resnet50", "some/resnet50-0676ba61.pth").fit == "center-256"
    assert preprocessing("resnet50", "some/resnet50-11ad3fa6.pth").fit == "center-232"
    smaller = preprocessing("alexnet", "imagenet", 64)
    assert (smaller.image_size, smaller.fit) == (64, "center-73")


def test_a_name_torchvision_does_not_have() -> None:
    for name in ("alexnt", "fcos_resnet50_fpn", "raft_small"):  # the latter are no classifiers
        with pytest.raises(SettingsError, match=f"torchvision has no classifier '{name}'"):
            build_torchvision(name)


def test_what_cannot_be_traced() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(SettingsError, match="--run here: cannot be taken apart"):
        graph_of(Branching(), "--run here")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:NOTE")
@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "googlenet", "mobilenet_v3_small", "densenet121", "vgg16"])
def test_nodes_are_torchvisions_own(name: str) -> None:
    model = build_torchvision(name)
    graph = graph_of(model, "")
    layer = resolve_layer(graph, list(dict(model.named_children()))[-2], "")
    with torch.inference_mode():
        theirs = create_feature_extractor(model, [layer])(images(224, 1))[layer]
        assert torch.equal(truncate(graph, [layer])(images(224, 1))[layer], theirs)


@pytest.mark.parametrize(("kernel", "stride", "ceil"), [(3, 2, False), (2, 2, False), (3, 2, True), (3, 1, False)])
@pytest.mark.parametrize("side", [13, 14])
def test_quick_pooling_changes_no_bit(kernel: int, stride: int, ceil: bool, side: int) -> None:
    pool = nn.MaxPool2d(kernel, stride, ceil_mode=ceil)
    maps = torch.randn(2, 3, side, side + 3, generator=torch.Generator().manual_seed(0))
    maps[0, 0, 3, 4] = torch.nan
    found = WindowMax(pool)(maps)
    assert found.is_contiguous()
    assert torch.equal(found.view(torch.int32), pool(maps).view(torch.int32))


def test_quick_leaves_the_network_as_it_is() -> None:
    body = truncate(graph_of(build_torchvision("squeezenet1_1"), ""), ["features.4.cat"])
    before = body(images())["features.4.cat"]
    found = speed_up(body)
    assert torch.equal(found(images())["features.4.cat"], before)
    assert type(found.get_submodule("features.2")) is WindowMax
    assert type(body.get_submodule("features.2")) is nn.MaxPool2d

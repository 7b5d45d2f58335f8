"""The ConvNet: sizes, counts, receptive fields, where its parts stand, how its weights begin, and how they are kept."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import edit
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from a2cli.errors import DataError, SettingsError
from a2cli.geometry import dropout_places, stages
from a2cli.models.cards import ModelCard
from a2cli.models.convnet import build_convnet
from a2cli.models.layers import Flatten, Moments, Normalize, WeightNorm, normalization
from a2cli.models.zoo import build_network
from a2cli.random_streams import Streams
from a2cli.receptive_field import nan_proof
from a2cli.receptive_field.fields import layers_of, views
from a2cli.runs.directory import Run
from a2cli.settings.training import NetworkSettings

HALF = ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
SETTINGS: list[tuple[int, dict[str, Any]]] = [
    (50, {}),
    (50, {"pool": "max"}),
    (50, {"pool": "average", "pool_size": (3,), "dropout": (0.2,), "norm": "batch"}),
    (50, {"kernel_size": (7,), "stride": (1,), "pool": "max"}),
    (33, {"channels": (4, 8, 6), "kernel_size": (3, 5, 2), "stride": (1, 2, 1), "padding": (1, 0, 2), "hidden": ()}),
    (28, {"channels": (5,), "hidden": (20, 10), "norm": "group", "activation": "silu"}),
]


def build(size: int = 50, seed: int = 0, classes: int = 11, **network: Any) -> nn.Sequential:
    return build_convnet(NetworkSettings(**network), size, classes, *HALF, Streams(seed))


@pytest.mark.parametrize(("size", "network"), SETTINGS)
def test_maps_and_parameters(size: int, network: dict[str, Any]) -> None:
    settings, model = NetworkSettings(**network), build(size, **network)
    maps = {name: torch.Size([]) for name, _ in model.named_children()}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _, __, out, name=name: maps.update({name: out.shape}))
    assert model(torch.rand(2, 3, size, size)).shape == (2, 11)
    derived = stages(settings, size)
    for stage in derived:
        assert maps[stage.name] == (2, stage.channels, stage.size, stage.size)
    convs = [stage for stage in derived if stage.name.startswith("conv")]
    widths = [3, *(conv.channels for conv in convs)]
    count = sum(a * b * conv.kernel_size**2 + b for (a, b), conv in zip(pairwise(widths), convs, strict=True))
    count += sum(2 * conv.channels for conv in convs) * (settings.norm in {"batch", "group"})
    linear = [derived[-1].channels * derived[-1].size ** 2, *settings.hidden, 11]
    count += sum(a * b + b for a, b in pairwise(linear))
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize(("size", "network"), [case for case in SETTINGS if "norm" not in case[1]])
def test_receptive_field_is_the_support_of_the_gradient(size: int, network: dict[str, Any]) -> None:
    network = {**network, "activation": "tanh"} | ({"pool": "average"} if network.get("pool") == "max" else {})
    model = build(size, **network).double()
    for stage in stages(NetworkSettings(**network), size):
        image = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
        x = image
        for name, module in model.named_children():
            x = module(x)
            if name == stage.name:
                break
        middle = stage.size // 2
        x[0, :, middle, middle].sum().backward()
        assert image.grad is not None
        rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        touches_border = rows.min() == 0 or rows.max() == size - 1
        extent = int(rows.max() - rows.min() + 1)
        assert extent == stage.field or (touches_border and extent <= stage.field)


def test_the_coursework_derivation() -> None:
    """Section 1.1: conv 5x5 then conv 3x3, stride 1: sizes A, A-4, A-6, fields 5 and 7."""
    found = stages(NetworkSettings(channels=(1, 1), kernel_size=(5, 3), stride=(1,)), 40)
    assert [(stage.size, stage.field) for stage in found] == [(36, 5), (34, 7)]


def test_a_map_that_shrinks_to_nothing_shows_the_sizes() -> None:
    with pytest.raises(SettingsError, match=r"image 20 -> conv1 8 -> conv2 2 -> conv3 nothing"):
        stages(NetworkSettings(channels=(4, 4, 4)), 20)


def test_order_of_layers() -> None:
    names = [name for name, _ in build(norm="batch", pool="max", dropout=(0.2,)).named_children()]
    conv = ["conv{0}", "conv{0}_norm", "conv{0}_relu", "conv{0}_dropout", "pool{0}"]
    expected = ["normalize", *(n.format(i) for i in (1, 2) for n in conv), "flatten"]
    assert names == [*expected, "hidden1", "hidden1_relu", "hidden1_dropout", "output"]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"dropout": (0.2,)}, [0.2, 0.2, 0.2]),
        ({"dropout": (0.5,), "dropout_at": ("conv1",)}, [0.5, 0.0, 0.0]),
        ({"dropout": (0.1, 0.3), "dropout_at": ("hidden1", "conv2")}, [0.0, 0.1, 0.3]),
        ({"dropout": (0.1,), "dropout_at": ("conv",)}, [0.1, 0.1, 0.0]),
    ],
)
def test_dropout_places(network: dict[str, Any], expected: list[float]) -> None:
    assert list(dropout_places(NetworkSettings(**network)).values()) == expected
    rates = {n.removesuffix("_dropout"): m.p for n, m in build(**network).named_children() if isinstance(m, nn.Dropout)}
    assert rates == {name: rate for name, rate in zip(("conv1", "conv2", "hidden1"), expected, strict=True) if rate}


@pytest.mark.parametrize("other", [{"dropout": (0.5,)}, {"norm": "batch"}, {"pool": "max"}, {"norm": "weight"}])
def test_a_layer_begins_alike_in_networks_that_differ_elsewhere(other: dict[str, Any]) -> None:
    plain, changed = build(), build(**other)
    for name in ("conv1", "conv2", "output"):
        assert torch.equal(getattr(plain, name).weight, getattr(changed, name).weight) or other == {"norm": "weight"}
        torch.testing.assert_close(getattr(plain, name).weight, getattr(changed, name).weight)
    assert not torch.equal(plain.conv1.weight, build(seed=1).conv1.weight)


RESIDUAL = {"channels": (4, 4, 4, 8, 8), "kernel_size": (5, 3, 3, 3, 3), "padding": (2, 1, 1, 1, 1), "hidden": (),
            "stride": (2, 1, 1, 2, 1), "shortcuts": True, "norm": "batch", "global_pool": "average"}  # fmt: skip


@pytest.mark.parametrize("size", [32, 31])
def test_a_residual_network_is_its_equations(size: int) -> None:
    """He et al. 2016, equations 1 and 2: y = relu(F(x) + x), and where maps shrink y = relu(F(x) + W mean(x))."""
    model = build(size, **RESIDUAL).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
    named = dict(model.named_modules())

    def conv(name: str, x: torch.Tensor, norm: str, *geometry: int) -> torch.Tensor:
        return named[norm](F.conv2d(x, named[name].weight, named[name].bias, *geometry))  # type: ignore[arg-type]

    images = torch.rand(3, 3, size, size)
    x = F.relu(conv("conv1", named["normalize"](images), "conv1_norm", 2, 2))
    inner = F.relu(conv("block1.body.conv2", x, "block1.body.conv2_norm", 1, 1))
    x = F.relu(x + conv("block1.body.conv3", inner, "block1.body.conv3_norm", 1, 1))
    inner = F.relu(conv("block2.body.conv4", x, "block2.body.conv4_norm", 2, 1))
    smaller = F.avg_pool2d(x, 2, ceil_mode=True)
    past = conv("block2.shortcut.conv", smaller, "block2.shortcut.norm")
    x = F.relu(past + conv("block2.body.conv5", inner, "block2.body.conv5_norm", 1, 1))
    expected = F.linear(x.mean(dim=(2, 3)), model.output.weight, model.output.bias)
    torch.testing.assert_close(model(images), expected)
    assert [stage.size for stage in stages(NetworkSettings(**RESIDUAL), size)] == [16, 16, 16, 8, 8]


def test_moments_are_each_channels_mean_and_deviation() -> None:
    maps = torch.randn(3, 5, 7, 6).to(memory_format=torch.channels_last)
    found = Moments()(maps).flatten(1).numpy()
    flat = maps.numpy().reshape(3, 5, -1)
    assert found == pytest.approx(np.concatenate([flat.mean(2), flat.std(2)], axis=1), abs=1e-3)
    model = build(32, **RESIDUAL | {"global_pool": "moments"})
    assert model.output.in_features == 16
    still = torch.zeros(2, 3, 32, 32, requires_grad=True)
    model(still).sum().backward()
    assert still.grad is not None and still.grad.isfinite().all()


def test_a_residual_networks_units_see_what_the_closed_form_says() -> None:
    """Measured by NaN through the real network: a shortcut's units see no more than those that they are added to."""
    network = NetworkSettings(**RESIDUAL)
    layers = layers_of(network, 31)
    measured = nan_proof.trusted(build(31, **RESIDUAL), nan_proof.of_sequence(build(31, **RESIDUAL), [
        layer.name for layer in layers]), 31)  # fmt: skip
    for layer, (rows, _) in zip(layers, views(layers, 31), strict=True):
        assert measured[layer.name][0] == tuple(rows.seen)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pool": "max", "stride": (1,)}, "no place for --pool"),
        ({"channels": (4, 4, 4, 4), "stride": (1,), "kernel_size": (3,), "padding": (1,)}, "pairs of them, got 4"),
        ({"padding": (2, 1, 1, 0, 1)}, "conv4 and conv5 make 7x7 of 16x16, which the shortcut past them cannot"),
        ({"kernel_size": (5, 3, 3, 1, 1), "padding": (2, 1, 1, 0, 0)}, "odd kernels above the --stride"),
    ],
)
def test_shortcuts_that_cannot_be(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build(32, **RESIDUAL | changed)


def test_normalizations_are_torchs() -> None:
    x = torch.randn(4, 12, 5, 5)
    found = {kind: normalization(kind, 12) for kind in ("batch", "group", "local-response")}
    expected = {
        "batch": F.batch_norm(x, None, None, training=True),
        "group": F.group_norm(x, 6),
        "local-response": F.local_response_norm(x, 5, 1e-4, 0.75, 2.0),
    }
    for kind, layer in found.items():
        assert layer is not None
        torch.testing.assert_close(layer(x), expected[kind])
    assert normalization("none", 12) is None


def test_normalize_takes_bytes_or_shares() -> None:
    bytes_ = torch.randint(0, 256, (2, 3, 6, 7), dtype=torch.uint8)
    shares = bytes_ / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in HALF)
    for images in (bytes_, shares, shares.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(Normalize(*HALF)(images), (shares - mean) / std, atol=1e-5, rtol=1e-5)


def test_weight_norm_is_torchs_where_that_is_a_number() -> None:
    ours, theirs = (nn.Conv2d(3, 4, 3) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    register_parametrization(ours, "weight", WeightNorm())
    nn.utils.parametrizations.weight_norm(theirs)
    images = torch.rand(2, 3, 5, 5)
    for layer in (ours, theirs):
        layer(images).square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
        torch.testing.assert_close(mine.grad, other.grad)
    with torch.no_grad():
        ours.parametrizations.weight.original1[1] = 0  # a dead unit's direction, decayed to nothing
        assert torch.equal(ours(images)[:, 1], ours.bias[1].expand(2, 3, 3))


def test_gradients_pass_through_normalize_after_an_evaluation() -> None:
    layer, images = Normalize((0.1, 0.2, 0.3), (0.5, 0.25, 0.2)), torch.rand(1, 3, 7, 7)
    with torch.inference_mode():
        layer(images)
    layer(images.requires_grad_()).sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad[0, :, 3, 4], torch.tensor([2.0, 4.0, 5.0]))


def test_flatten_reads_row_by_row_the_channels_of_a_place_together() -> None:
    maps = torch.arange(24).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    flat = Flatten()(maps)
    assert flat[0].tolist() == [int(maps[0, c, y, x]) for y in range(3) for x in range(4) for c in range(2)]
    assert flat.data_ptr() == maps.data_ptr(), "a copy"


@pytest.mark.parametrize("network", [case[1] for case in SETTINGS] + [{"norm": "weight"}])
def test_a_saved_model_answers_the_same(network: dict[str, Any], tmp_path: Path) -> None:
    card = ModelCard("convnet", NetworkSettings(**network), ("a", "b", "c"), 50, "squash", *HALF)
    model = build_network(card, Streams(3)).eval()
    Run(tmp_path).save_model(card, model)
    loaded, same = Run(tmp_path).load_model()
    images = torch.rand(4, 3, 50, 50)
    assert torch.equal(loaded(images), model(images))
    assert same == card


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    card = ModelCard("convnet", NetworkSettings(), ("a", "b"), 50, "squash", *HALF)
    Run(tmp_path).save_model(card, build_network(card, Streams(0)))
    path = tmp_path / "model/model.json"
    edit(path, '"convnet"', '"os.system"')
    with pytest.raises(DataError, match="unknown architecture"):
        Run(tmp_path).load_model()

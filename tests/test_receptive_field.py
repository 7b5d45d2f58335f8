"""Receptive fields: the closed form, the exact supports, and what NaN does in the real layers, must be the same."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import A2, draw_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from a2cli.errors import SettingsError
from a2cli.geometry import stages
from a2cli.models.convnet import build_convnet
from a2cli.models.pretrained import Undrawn, build_torchvision, materialize
from a2cli.random_streams import Streams
from a2cli.receptive_field import graphs
from a2cli.receptive_field.fields import Layer, View, Window, layers_of, parse_layers, size_formula, views
from a2cli.receptive_field.model_fields import model_fields
from a2cli.receptive_field.nan_proof import built, measured, of_sequence
from a2cli.receptive_field.stack_fields import stack_fields
from a2cli.settings.training import NetworkSettings


@st.composite
def windows(draw: st.DrawFn, pool: bool) -> Window:
    kernel = draw(st.integers(1, 6))
    return Window(
        kernel,
        stride=draw(st.integers(1, 4)),
        padding=draw(st.integers(0, kernel // 2 if pool else 4)),
        dilation=draw(st.integers(1, 3)),
        ceil=pool and draw(st.booleans()),
    )


@st.composite
def stacks(draw: st.DrawFn) -> list[Layer]:
    layers = []
    for i in range(draw(st.integers(1, 4))):
        pool = draw(st.booleans())
        rows, columns = draw(windows(pool)), draw(windows(pool))
        columns = replace(columns, ceil=rows.ceil)  # torch has one for both
        layers.append(Layer(f"Z{i}", "pool" if pool else "conv", rows, columns))
    return layers


@settings(max_examples=150, deadline=None)
@given(stacks(), st.integers(6, 40))
def test_closed_form_indices_and_probing_agree(layers: list[Layer], size: int) -> None:
    names = [layer.name for layer in layers]
    try:
        last = views(layers, size)[-1]
    except SettingsError:
        with pytest.raises(RuntimeError):
            measured(of_sequence(built(layers), names), size)
        return
    reached = measured(of_sequence(built(layers), names), size)[names[-1]]
    for axis in (0, 1):
        view = last[axis]
        anything = any(last[1 - axis].seen)  # else every unit sees padding alone
        assert [bits * anything for bits in view.seen] == list(reached[axis])
        for unit, bits in enumerate(view.seen):
            first, end = view.box(unit)
            assert end - first + 1 == view.field
            closed = view.offsets << first if first >= 0 else view.offsets >> -first
            assert bits & ~closed == 0, "a unit sees what the closed form says it does not"
            if view.whole(unit):
                assert bits == closed
            assert view.clipped(unit) is None or first <= view.clipped(unit)[0] <= view.clipped(unit)[1] <= end
        for pixel in range(size):
            assert view.units_seeing(pixel) == [i for i, bits in enumerate(view.seen) if bits >> pixel & 1]


@settings(max_examples=150, deadline=None)
@given(stacks(), st.integers(30, 200))
def test_the_sizes_formula_is_the_size(layers: list[Layer], size: int) -> None:
    rows = [layer.rows for layer in layers]
    view, exact = View.of_image(None), size
    for i, window in enumerate(rows):
        view, exact = view.through(window), window.size_after(exact)
        if exact < 1:
            return
        formula = size_formula(view, rows[: i + 1])
        if any(window.ceil for window in rows[: i + 1]):
            assert formula == "no closed form"
            continue
        python = formula.replace("floor(", "(").replace("/", "//").replace("A", str(size))
        assert eval(python) == exact


def test_dilation_skips_units_and_that_is_said() -> None:
    """A unit sees 3x5 of Z2, spread over 5x9 of it; where the next convolution fills the gaps, all that it spans."""
    found = stack_fields(parse_layers("conv7s2p3 pool3s2p1 conv3x5d2"), 64)
    assert found.verdict == "One unit of Z3 sees some of 11x19 of Z1, some of 5x9 of Z2, 27x43 pixels."
    found = stack_fields(parse_layers("conv3 conv3d3 conv3"), 64)
    assert found.verdict == "One unit of Z3 sees 9x9 of Z1, 3x3 of Z2, 11x11 pixels.", (
        "the next convolution fills the gaps"
    )
    found = stack_fields(parse_layers("conv3d2"), 64)
    assert found.verdict == "One unit of Z1 sees some of 5x5 pixels."


def test_the_coursework_derivation() -> None:
    """Section 1.1: conv 5x5 then conv 3x3, stride 1: sizes A, A-4, A-6; one unit of Z2 sees 3x3 of Z1, 7x7 pixels."""
    found = stack_fields(parse_layers("conv5 conv3"), None)
    assert [layer.size_formula[0] for layer in found.layers] == ["A - 4", "A - 6"]
    assert [layer.field for layer in found.layers] == [(5, 5), (7, 7)]
    assert found.last_sees == {"image": (7, 7), "Z1": (3, 3)}
    assert found.verdict == "One unit of Z2 sees 3x3 of Z1, 7x7 pixels."
    assert "  field  5 + 1*2*1 = 7" in found.derivation


def test_alexnets_conv4() -> None:
    """Araujo et al. 2019, table 1 has 195 for conv5's map after pooling; conv4's own field is 131."""
    words = "conv11s4p2 pool3s2 conv5p2 pool3s2 conv3p1 conv4=conv3p1 conv5=conv3p1 pool5=pool3s2"
    found = {layer.name: layer for layer in stack_fields(parse_layers(words), 224).layers}
    assert (found["conv4"].field, found["conv4"].jump, found["conv4"].size) == ((131, 131), (16, 16), (13, 13))
    assert (found["pool5"].field, found["pool5"].jump) == ((195, 195), (32, 32))
    assert found["conv4"].padded_units


def test_words() -> None:
    stem, pool, wide, flat = parse_layers("stem=conv7s2p3 relu pool3, conv3x7d2x1 pool2x1s1p1x0ceil")
    assert (stem.name, stem.rows, stem.columns) == ("stem", Window(7, 2, 3), Window(7, 2, 3))
    assert (pool.name, pool.rows) == ("Z2", Window(3, 3))
    assert (wide.rows, wide.columns) == (Window(3, 1, 0, 2), Window(7))
    assert (flat.rows, flat.columns) == (Window(2, 1, 1, 1, True), Window(1, 1, 0, 1, True))


def test_dilation_leaves_holes() -> None:
    (layer,) = stack_fields(parse_layers("conv3d2"), 9).layers
    assert (layer.field, layer.pixels) == ((5, 5), 9)
    rows, _ = views(parse_layers("conv3d2"), 9)[0]
    assert rows.seen[1] == 0b101010


def test_a_unit_and_a_pixel() -> None:
    found = stack_fields(parse_layers("conv3p1 conv3s2p1"), 8, unit="Z2,0,3", pixel="0,7")
    assert found.unit is not None
    assert (found.unit.rows, found.unit.columns) == ((-2, 2), (4, 8))
    assert (found.unit.clipped_rows, found.unit.clipped_columns, found.unit.pixels) == ((0, 2), (4, 7), 12)
    assert [(seen.rows, seen.columns, seen.units) for seen in found.pixel] == [((0, 1), (6, 7), 4), ((0, 1), (3, 3), 2)]


@pytest.mark.parametrize("pool", ["none", "max"])
def test_a_convnet_has_the_fields_of_its_stages(pool: str) -> None:
    network = NetworkSettings(pool=pool, kernel_size=(5, 3), padding=(1, 0))
    found = stack_fields(layers_of(network, 50), 50).layers
    assert [(one.name, one.size, one.field, one.jump) for one in found] == [
        (stage.name, (stage.size,) * 2, (stage.field,) * 2, (stage.jump,) * 2) for stage in stages(network, 50)
    ]


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"pool": "average", "kernel_size": (3,), "norm": "batch", "activation": "gelu", "dropout": (0.5,)},
        {"channels": (4, 8, 6), "kernel_size": (3, 5, 2), "stride": (1, 2, 1), "padding": (1, 0, 2)},
        {"norm": "local-response", "pool": "max"},
        {"norm": "weight"},
    ],
)
def test_the_real_convnet_sees_what_is_derived(network: dict[str, Any]) -> None:
    chosen = NetworkSettings(**network)
    found = stack_fields(layers_of(chosen, 33), 33, network=chosen, prove=True)
    assert {layer.status for layer in found.layers} == {"derived = measured"}
    assert "Proven" in found.verdict


def test_group_norm_is_called_global() -> None:
    chosen = NetworkSettings(norm="group")
    found = stack_fields(layers_of(chosen, 33), 33, network=chosen, prove=True)
    assert [layer.status for layer in found.layers] == ["derived = measured", "global"]
    sees = measured(of_sequence(build_convnet(chosen, 33, 2, (0.5,) * 3, (0.5,) * 3, Streams(0)), ["conv2"]), 33)
    assert set(sees["conv2"][0]) == {(1 << 33) - 1}, "it is not global after all"


def test_a_network_that_sees_something_else_is_refuted(a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def circular(*given: Any, **also: Any) -> nn.Sequential:
        model = build_convnet(*given, **also)
        assert isinstance(model.conv2, nn.Conv2d)
        model.conv2.padding_mode, model.conv2._reversed_padding_repeated_twice = "circular", (1, 1, 1, 1)
        return model

    monkeypatch.setattr("a2cli.models.convnet.build_convnet", circular)
    ended = a2("receptive-field", "--padding", "1", "--image-size", "20", "--prove")
    assert (ended.status, ended.err.count("\n")) == (5, 1)
    assert "Refuted: at conv2" in ended.err


BAD = {
    "--layers cnv5": "did you mean 'conv'?",
    "--layers conv": "expected words like",
    "--layers relu5": "expected words like",
    "--layers conv5q2": "expected words like",
    "--layers conv5s2s3": "twice",
    "--layers conv0": "below 1",
    "--layers conv5s0": "below 1",
    "--layers conv99999": "above 4096",
    "--layers pool2p2": "half its kernel",
    "--layers relu": "got 0",
    "--layers a=conv3,a=conv3": "two maps are called 'a'",
    "--layers conv5,conv9 --image-size 9": "image 9 -> Z1 5 -> Z2 nothing",
    "--layers conv5 --channels 3": "leave out --channels",
    "--layers conv5 --model alexnet": "leave out --layers",
    "--run runs/x --model alexnet": "leave out --run",
    "--layers conv5 -p 1.3-pooling": "leave out --preset",
    "--layers conv5 --unit Z1,0,0": "needs --image-size",
    "--layers conv5 --prove": "needs --image-size",
    "--image-size 9 --layers conv5 --unit Z2,0,0": "a layer out of Z1",
    "--image-size 9 --layers conv5 --unit Z1,5,0": "outside the 5x5 units of Z1",
    "--image-size 9 --layers conv5 --unit Z1,-1,0": "outside",
    "--image-size 9 --layers conv5 --unit Z1,0": "expected LAYER,ROW,COLUMN",
    "--image-size 9 --layers conv5 --pixel 9,0": "outside the 9x9 pixels of the image",
    "--pixel here": "expected ROW,COLUMN",
    "--image-size 0": "--image-size",
    "-p 1.3-poling": "did you mean '1.3-pooling'?",
}


@pytest.mark.parametrize("flags", BAD)
def test_what_cannot_be_derived(flags: str, a2: A2) -> None:
    a2("receptive-field", *flags.split()).refused(2, BAD[flags])


def test_the_command(a2: A2) -> None:
    ended = a2("receptive-field", "--layers", "conv5 conv3")
    assert (ended.status, ended.err) == (0, "")
    assert "One unit of Z2 sees 3x3 of Z1, 7x7 pixels." in ended.out
    assert "image  ·███████·" in ended.out
    flags = ["-p", "1.3-pooling", "--kernel-size", "7", "--stride", "1", "--json"]
    written = json.loads(a2("receptive-field", *flags).out)
    assert [layer["field"] for layer in written["results"]["layers"]] == [[7, 7], [8, 8], [20, 20], [22, 22]]


def test_it_needs_no_torch() -> None:
    code = "import sys; from a2cli import main; sys.argv = ['a2', 'receptive-field', '--layers', 'conv5 conv3']; "
    code += "status = main.run_command(); sys.exit(bool(status or {'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


class Branches(nn.Module):
    """A strided branch and a pooled one, added; a shared convolution; a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(4, 4, (3, 5), padding=(1, 2), dilation=(1, 1))
        self.holes = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.shift = nn.Conv2d(4, 4, 2)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        x = self.wide(x) + self.holes(x)
        x = self.shared(self.shared(x))
        x = torch.cat([F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 2)], dim=1)
        return self.last(x).mean((2, 3))


def agree(model: nn.Module, size: int) -> dict[str, graphs.GraphLayer]:
    """Hold a network's derivation to what NaN does in it, and return its layers."""
    derivation = graphs.derive(fx.symbolic_trace(model.eval()), size)
    seen = measured(graphs.maps_of(derivation, list(derivation.layers)), size)
    assert all(layer.known == graphs.GLOBAL for name, layer in derivation.layers.items() if name not in seen)
    for name in seen:
        layer = derivation.layers[name]
        if isinstance(layer.known, graphs.Spatial):
            assert seen[name] == (layer.known.rows.seen, layer.known.columns.seen), name
        elif layer.known == graphs.UNKNOWN:
            assert layer.word == "AdaptiveAvgPool2d", "to more places than the map has"
        else:
            assert layer.known == graphs.GLOBAL, name
            assert all(len(set(axis)) == 1 for axis in seen[name]), "all units see the same"
            assert all(axis[0].bit_count() >= 0.9 * size for axis in seen[name]), (
                "but for a border that no window reaches"
            )
    return derivation.layers


def test_branches_sums_and_shared_modules() -> None:
    layers = agree(Branches(), 40)
    assert list(layers) == ["stem", "wide", "holes", "shared", "shared#2", "max_pool2d", "avg_pool2d", "last", "mean"]
    assert layers["mean"].known == graphs.GLOBAL
    last = layers["last"].known
    assert isinstance(last, graphs.Spatial)
    assert last.misaligned, "a pooling of 3 and one of 2 have their centres in different places"
    assert not layers["shared"].known.misaligned
    assert (last.rows.field, last.columns.field) == (23, 23)


def test_squeeze_and_excite_is_global() -> None:
    class Squeeze(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate, self.after = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            return self.after(x * self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid())

    layers = agree(Squeeze(), 16)
    assert {name: layer.known == graphs.GLOBAL for name, layer in layers.items()} == {
        "conv": False,
        "adaptive_avg_pool2d": True,
        "gate": True,
        "after": True,
    }


def zeroed(name: str) -> nn.Module:
    """Return one of torchvision's networks with zeros for weights: NaN passes through as well, and none are drawn."""
    with Undrawn():
        model = build_torchvision(name)
    return materialize(model)


FEW = "alexnet resnet18 squeezenet1_0 mobilenet_v3_small"
ALL = "vgg16 resnet50 googlenet inception_v3 densenet121 efficientnet_b0 convnext_tiny shufflenet_v2_x0_5 vit_b_16"


@pytest.mark.parametrize("name", [*FEW.split(), *(pytest.param(name, marks=pytest.mark.slow) for name in ALL.split())])
def test_every_convolution_and_pooling_of_torchvisions(name: str) -> None:
    """On images as small as the networks take, where all but the middle of a map sees padding."""
    side = {"inception_v3": 80, "vit_b_16": 224}.get(name, 64)
    layers = agree(model := zeroed(name), side)
    modules = [m for path, m in model.named_modules() if not path.lower().startswith("aux")]
    assert len(layers) >= sum(isinstance(m, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) for m in modules)


def test_known_fields() -> None:
    """Araujo et al. 2019, table 1: AlexNet's last pooling sees 195 pixels, VGG-16's 212, ResNet-18's last map 435."""
    last = {}
    for name in ("alexnet", "vgg16", "resnet18"):
        derivation = graphs.derive(fx.symbolic_trace(zeroed(name)), 64)
        known = [layer.known for layer in derivation.layers.values() if isinstance(layer.known, graphs.Spatial)]
        last[name] = known[-1].rows.field
    assert last == {"alexnet": 195, "vgg16": 212, "resnet18": 435}


def test_a_model_by_name(a2: A2) -> None:
    ended = a2(
        "receptive-field", "--model", "squeezenet1_0", "--image-size", "40", "--prove", "--unit", "features.0,0,0"
    )
    assert (ended.status, ended.err) == (0, "")
    assert "Proven" in ended.out
    assert "in the image rows 0 to 6, columns 0 to 6; 49 pixels." in " ".join(ended.out.split())
    a2("receptive-field", "--model", "resnet5").refused(2, "did you mean 'resnet50'?")
    a2("receptive-field", "--model", "alexnet", "--image-size", "20").refused(2, "does not take images of 20x20")
    a2("receptive-field", "--model", "alexnet", "--layers", "conv3").refused(2, "leave out --layers")
    a2("receptive-field", "--model", "alexnet", "--channels", "3").refused(2, "leave out --channels")


def test_the_network_of_a_run(a2: A2, train: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set")
    run = train("--data", "set", "--image-size", "12", "--channels", "3,4").done()
    written = json.loads(a2("receptive-field", "--run", run, "--json").out)["results"]
    assert (written["image_size"], [layer["name"] for layer in written["layers"]]) == (12, ["conv1", "conv2"])
    assert written["layers"][0]["kernel_size"] == [3, 3]
    a2("receptive-field", "--run", "set").refused(3, "--run set: not a run directory")


def test_a_network_that_cannot_be_traced_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(int(x.shape[0] > 0) + int(bool((x.nan_to_num() >= 0).all()))):
                x = self.conv(x)
            return x

    monkeypatch.setattr("a2cli.receptive_field.model_fields.build_torchvision", lambda *_: Fickle())
    found = model_fields("fickle", 12)
    assert [(layer.name, layer.field, layer.status) for layer in found.layers] == [
        ("conv", (3, 3), "measured only"),
        ("conv#2", (5, 5), "measured only"),
    ]
    assert found.verdict == "One unit of conv#2 sees 5x5 pixels. For 2 maps there is no derivation."

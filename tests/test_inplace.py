"""Steps in place of a network's graph: of any form, they change nothing that was handed out or kept before them."""

import operator
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import A2, draw_classes
from PIL import Image
from torch import Tensor, fx, nn

from a2cli.models.backbones import cuts, graph_of, name_of, nodes_of, parameters_of, tail, truncate
from a2cli.receptive_field import nan_proof
from a2cli.receptive_field.graphs import derive, maps_of
from a2cli.transfer.feature_file import read_features
from a2cli.visualize_weights.attribution import grad_cam, guided_backprop, run_keeping

Step = Callable[[Tensor], Tensor]


def statement_relu(x: Tensor) -> Tensor:
    F.relu(x, inplace=True)
    return x


def statement_method(x: Tensor) -> Tensor:
    x.add_(1)
    return x


def of_a_view(x: Tensor) -> Tensor:
    x.view(x.shape[0], -1).mul_(3)
    return x


def of_a_chunk(x: Tensor) -> Tensor:
    x.chunk(2, dim=1)[0].relu_()
    return x


STEPS: dict[str, Step] = {
    "function": lambda x: F.relu(x, inplace=True),
    "function-by-position": lambda x: F.relu(x, True),
    "function-named-so": lambda x: torch.relu_(x),
    "other-function": lambda x: F.hardtanh(x, 0.0, 1.0, inplace=True),
    "method": lambda x: x.relu_(),
    "method-with-argument": lambda x: x.add_(1),
    "chain": lambda x: x.mul_(2).clamp_(0, 1).neg_(),
    "out": lambda x: torch.add(x, 1, out=x),
    "statement-function": statement_relu,
    "statement-method": statement_method,
    "view": of_a_view,
    "chunk": of_a_chunk,
}


class Network(nn.Module):
    """A convolution, its norm, the step, and another convolution beside what the norm's own answer adds."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)
        self.norm, self.step = nn.BatchNorm2d(4), step

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.conv(images))
        return self.last(self.step(maps) + 1).mean(dim=(2, 3))


class Relu(nn.Module):
    """A module of one's own that works in place, seen as one step."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x)


STEPS["module"] = Relu()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def graph(name: str) -> fx.GraphModule:
    return graph_of(Network(STEPS[name]).eval(), name)


@pytest.mark.parametrize("name", STEPS)
def test_what_is_handed_out_is_what_was_computed(name: str) -> None:
    network = Network(STEPS[name]).eval()
    whole = graph(name)
    with torch.inference_mode():
        norm = network.norm(network.conv(images()))
        last = network(images())
        together = truncate(whole, ["norm", list(nodes_of(whole))[-1]])(images())
        assert torch.equal(together["norm"], norm)
        assert float(norm.min()) < -0.1, "or a ReLU would leave it as it is"
        assert torch.equal(together[list(nodes_of(whole))[-1]], last)
        assert torch.equal(whole(images()), last)
        assert torch.equal(truncate(whole, ["norm"])(images())["norm"], norm)
        assert torch.equal(truncate(whole, [list(nodes_of(whole))[-1]])(images())[list(nodes_of(whole))[-1]], last)


@pytest.mark.parametrize("name", STEPS)
def test_every_cut_leaves_what_it_is_given(name: str) -> None:
    """As activations that were kept: a second epoch must see them as the first did."""
    whole = graph(name)
    with torch.inference_mode():
        expected = whole(images())
        for place in ("conv", "norm"):
            assert place in cuts(whole)
            half = truncate(whole, [place])(images())[place]
            kept = half.clone()
            assert torch.equal(tail(whole, place)(half), expected)
            assert torch.equal(half, kept)


def test_an_operator_in_place() -> None:
    """operator.iadd and setitem, which only graphs made by hand have: fx writes `x += y` as an addition."""
    for function, arguments in ((operator.iadd, (1.0,)), (operator.setitem, (0, 5.0))):
        part = fx.Graph()
        given = part.placeholder("x")
        doubled = part.call_function(operator.mul, (given, 2.0))
        changed = part.call_function(function, (doubled, *arguments))
        last = part.call_function(operator.add, (doubled, 0.0))
        part.output(last)
        whole = fx.GraphModule(nn.Module(), part)
        assert name_of(changed) == changed.name
        x = torch.ones(2, 3)
        found = truncate(whole, ["mul", last.name])(x)
        assert torch.equal(found["mul"], 2 * x)
        assert torch.equal(found[last.name], whole(x))
        assert not torch.equal(found[last.name], found["mul"])


def test_a_branch_that_is_not_asked_for_needs_no_weights() -> None:
    """Googlenet's branches end in ReLUs in place, which are no reason to compute them."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = (nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            parts = [F.relu(self.left(x), inplace=True), F.relu(self.right(x), inplace=True)]
            return torch.cat(parts, dim=1)

    part = truncate(graph_of(Branches().eval(), ""), ["right.1"])
    assert {name.partition(".")[0] for name in parameters_of(part)} == {"right"}


@pytest.mark.parametrize("name", sorted(STEPS.keys() - {"out", "chunk"}))  # of which torch takes no gradient
def test_a_value_with_its_gradient(name: str) -> None:
    whole = graph(name)
    values, logits = run_keeping(whole, images(), "norm")
    network = Network(STEPS[name]).eval()
    assert torch.equal(values, network.norm(network.conv(images())))
    torch.testing.assert_close(logits, network(images()))
    (slope,) = torch.autograd.grad(logits[:, 0].sum(), values)
    assert bool(slope.any())


@pytest.mark.parametrize("name", ["function", "method", "statement-function", "function-named-so", "module"])
def test_maps_of_a_network_with_relus_in_place(name: str) -> None:
    """As those of the same network with modules, which the hooks of others see."""
    plain = graph_of(Network(nn.ReLU()).eval(), "")
    one = images(1)[0]
    for method in (guided_backprop, grad_cam):
        expected = [method(plain, one, target, torch.zeros(3)).values for target in (0, 1)]
        found = [method(graph(name), one, target, torch.zeros(3)).values for target in (0, 1)]
        torch.testing.assert_close(found, expected)
        assert bool(torch.stack(expected).any())


def bands(folder: Path) -> Path:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(2):
            pixels = np.random.default_rng([i, ord(label)]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((100, 100)).save(folder / label / f"{i}.png")
    return folder


@pytest.mark.slow
def test_a_layer_is_the_same_whatever_else_is_asked_for(
    a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reproduction: two layers of inception_v3, the second behind a ReLU in place, alone and together."""
    bands(tmp_path / "set")
    flags = ["--backbone", "inception_v3", "--weights", "none", "--grid", "1", "--image-size", "96", "--data", "set"]
    flags += ["--threads", "1", "--quiet"]
    first, both = "Conv2d_1a_3x3.bn", "Conv2d_1a_3x3.bn,Conv2d_2a_3x3.bn"
    found = {}
    for cache, layers in (("one", first), ("two", both), ("two", first), ("one", both)):
        monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / cache))
        out = f"{len(found)}.safetensors"
        a2("extract-features", *flags, "--layer", layers, "--out", out).done("NOT PRETRAINED")
        found[out] = read_features(out).layers[first]
    assert all(np.array_equal(one, found["0.safetensors"]) for one in found.values())


def test_rows_that_an_earlier_version_kept_are_not_used(
    a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network with steps in place they may be overwritten; of others they are right, and stay."""
    draw_classes(tmp_path / "set", side=70)
    flags = ["extract-features", "--weights", "none", "--grid", "1", "--data", "set", "--image-size", "64", "--json"]
    for backbone, layer, used in (("squeezenet1_1", "features.3", True), ("densenet121", "features.conv0", False)):
        chosen = [*flags, "--backbone", backbone, "--layer", layer, "--threads", "1"]
        with monkeypatch.context() as before:
            before.setattr("a2cli.transfer.activations.any_in_place", lambda _: False)
            assert '"computed": 10' in a2(*chosen, "--out", f"{backbone}1.safetensors").out
        again = a2(*chosen, "--out", f"{backbone}2.safetensors").out
        assert ('"computed": 0' in again) == used


def test_maps_that_are_measured_are_those_that_a_layer_left() -> None:
    """A ReLU in place directly behind a convolution: NaN goes through it, but what is negative would be lost."""

    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(F.relu(self.conv(x), inplace=True))

    network = Direct().eval()
    with torch.inference_mode():
        expected = network.conv(images())
        derivation = derive(fx.symbolic_trace(network), 12)
        assert torch.equal(maps_of(derivation, ["conv", "pool"])(images())["conv"], expected)
        assert torch.equal(nan_proof.of_modules(network)(images())["conv"], expected)
    assert float(expected.min()) < -0.1


def test_what_comes_behind_a_statement_takes_its_result() -> None:
    """Or a gradient by it would be none, and a network cut there would go on from before it."""
    whole = graph("statement-function")
    values, logits = run_keeping(whole, images(), "relu")
    assert bool(torch.autograd.grad(logits[:, 0].sum(), values)[0].any())
    with torch.inference_mode():
        assert torch.equal(tail(whole, "relu")(truncate(whole, ["relu"])(images())["relu"]), whole(images()))

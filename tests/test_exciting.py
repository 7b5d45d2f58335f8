"""What excites a unit: against brute force over all images and places, and linear algebra by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from a2cli.models.backbones import graph_of, truncate
from a2cli.models.convnet import build_convnet
from a2cli.models.mlp import build_mlp
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.receptive_field import graphs
from a2cli.settings.training import MlpSettings, NetworkSettings
from a2cli.visualize_weights.activation_maximization import ascend, silent, strongest, to_classes, use

SIDE, CLASSES = 24, 5
MEAN, STD = (0.5,) * 3, (0.25,) * 3


def convnet(**settings: Any) -> fx.GraphModule:
    network = NetworkSettings(**{"channels": (6, 8), "kernel_size": (5, 3), "hidden": (16,), **settings})
    return graph_of(build_convnet(network, SIDE, CLASSES, MEAN, STD, Streams(1)).eval(), "")


def mlp(*hidden: int, activation: str = "relu") -> fx.GraphModule:
    network = MlpSettings(hidden=hidden, activation=activation)
    return graph_of(build_mlp(network, SIDE, CLASSES, MEAN, STD, Streams(2)).eval(), "")


def images(count: int = 23) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def batches(pixels: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    labels = torch.arange(len(pixels)) % CLASSES
    return list(zip(pixels.split(size), labels.split(size), strict=True))


def by_force(maps: Tensor, unit: int, count: int) -> list[tuple[float, int, int, int]]:
    """Return an answer for each image, its first best place, and of those the best; equal ones in order of images."""
    found = []
    for image, one in enumerate(maps[:, unit]):
        rows = [(-float(v), r, c) for r, row in enumerate(one) for c, v in enumerate(row)]
        value, row, column = min(rows)
        found.append((value, image, row, column))
    return [(-value, *where) for value, *where in sorted(found)[:count]]  # type: ignore[misc]


def hooked(graph: fx.GraphModule, name: str, pixels: Tensor) -> Tensor:
    kept: list[Tensor] = []
    hook = graph.get_submodule(name).register_forward_hook(lambda _, __, maps: kept.append(maps))
    with torch.no_grad():
        graph(pixels)
    hook.remove()
    return kept[0]


@pytest.mark.parametrize("size", [1, 4, 7, 23])
def test_the_strongest_of_all_images_and_places(size: int) -> None:
    graph, pixels = convnet(), images()
    layers = {"conv2": [3, 0, 5], "conv1": [1]}
    found = strongest(graph, layers, batches(pixels, size), 6)
    assert list(found) == list(layers)
    for name, units in layers.items():
        maps = hooked(graph, name, pixels)
        for unit in units:
            own, expected = found[name][units.index(unit)], by_force(maps, unit, 6)
            assert [one[1:] for one in own] == [one[1:] for one in expected]
            assert [one[0] for one in own] == pytest.approx([one[0] for one in expected], rel=1e-4)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_among_equals_the_first_stays(size: int) -> None:
    maps = torch.randint(0, 3, (20, 4, 9, 11), generator=torch.Generator().manual_seed(0)).float()
    maps[:, 2] = 0  # a dead unit: the first images, at the first place
    maps[7, 1, 4, 5] = 9
    graph = graph_of(nn.Sequential(nn.Identity()), "")
    found = strongest(graph, {"0": [1, 2, 3]}, [(some, some) for some in maps.split(size)], 5)["0"]
    assert found == [by_force(maps, unit, 5) for unit in (1, 2, 3)]
    assert found[0][0] == (9, 7, 4, 5)
    assert found[1] == [(0, image, 0, 0) for image in range(5)]


def test_fewer_images_than_wanted() -> None:
    found = strongest(convnet(), {"conv1": [2]}, batches(images(3), 2), 10)["conv1"][0]
    assert sorted(one[1] for one in found) == [0, 1, 2]


@pytest.mark.parametrize("pool", ["none", "max"])
def test_the_patch_alone_excites_as_much(pool: str) -> None:
    """The image cut down to the unit's receptive field leaves a map of one place, and that is the answer."""
    graph, pixels = convnet(pool=pool, stride=(2, 1)), images()
    known = graphs.derive(graph, SIDE).layers["conv2"].known
    assert isinstance(known, graphs.Spatial)
    units = range(8)
    found = strongest(graph, {"conv2": units}, batches(pixels, 5), 3)["conv2"]
    for unit in units:
        for value, image, row, column in found[unit]:
            (top, bottom), (left, right) = known.rows.box(row), known.columns.box(column)
            patch = pixels[image : image + 1, :, top : bottom + 1, left : right + 1]
            with torch.no_grad():
                alone = truncate(graph, ["conv2"])(patch)["conv2"]
            assert alone.shape[2:] == (1, 1)
            assert float(alone[0, unit]) == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_silent_units_are_those_planted() -> None:
    graph = convnet()
    names = ["conv1_relu", "hidden1_relu"]
    assert silent(graph, names, batches(images(), 5)) == {"conv1_relu": [], "hidden1_relu": []}
    with torch.no_grad():
        graph.get_submodule("conv1").bias[4] = -1e3  # type: ignore[index]
        graph.get_submodule("hidden1").bias[[2, 9]] = -1e3  # type: ignore[index]
    assert silent(graph, names, batches(images(), 5)) == {"conv1_relu": [4], "hidden1_relu": [2, 9]}
    assert silent(graph, ["conv1"], batches(images(), 5)) == {"conv1": []}  # before the ReLU it answers


def test_a_unit_that_one_image_wakes_is_not_silent() -> None:
    """Each batch holds one and the same value, of one image alone in the last: the ends go on over the batches."""
    graph, pixels = mlp(4), torch.full((9, 3, SIDE, SIDE), 0.5)
    with torch.no_grad():
        graph.get_submodule("hidden1").weight[1].fill_(1.0)  # type: ignore[index]
        graph.get_submodule("hidden1").weight[2].fill_(-1.0)  # type: ignore[index]
    assert silent(graph, ["hidden1_relu"], batches(pixels, 4)) == {"hidden1_relu": [0, 1, 2, 3]}
    pixels[8] = 0.6
    found = silent(graph, ["hidden1_relu"], batches(pixels, 4))["hidden1_relu"]
    assert 1 not in found and 2 in found


@pytest.mark.parametrize("target", [0, 3, None])
@pytest.mark.parametrize("size", [5, 23])
def test_use_is_activation_times_weight(target: int | None, size: int) -> None:
    graph, pixels = mlp(12, 7), images()
    active = hooked(graph, "hidden2_relu", pixels).double()
    weight = graph.get_submodule("output").weight.detach().double()
    rows = weight[torch.arange(23) % CLASSES] if target is None else weight[target]
    torch.testing.assert_close(
        use(graph, "hidden2_relu", batches(pixels, size), target), (active * rows).mean(dim=0), rtol=1e-5, atol=1e-7
    )


def test_use_of_a_maps_unit_is_summed_over_its_places() -> None:
    """Of a network without a hidden layer the logit is linear in the last maps, so all uses add up to it."""
    graph, pixels = convnet(hidden=()), images()
    found = use(graph, "conv2_relu", batches(pixels, 6), 2)
    assert found.shape == (8,)
    with torch.no_grad():
        logit = float((graph(pixels)[:, 2] - graph.get_submodule("output").bias[2]).mean())  # type: ignore[index]
    assert float(found.sum()) == pytest.approx(logit, rel=1e-4)
    maps = hooked(graph, "conv2_relu", pixels)
    weight = graph.get_submodule("output").weight.detach()[2].view(*maps.shape[2:], 8)  # places first, then channels
    torch.testing.assert_close(found.float(), torch.einsum("nchw,hwc->c", maps, weight) / 23, rtol=1e-4, atol=1e-5)


def test_to_classes_is_the_output_layers_weight() -> None:
    graph = mlp(12)
    found = to_classes(graph, "hidden1_relu", batches(images(), 5), CLASSES)
    torch.testing.assert_close(found.float(), graph.get_submodule("output").weight.detach().T, rtol=0, atol=0)


def test_to_classes_of_maps_is_the_weights_sum_over_places() -> None:
    graph = convnet(hidden=())
    weight = graph.get_submodule("output").weight.detach().view(CLASSES, -1, 8)
    found = to_classes(graph, "conv2_relu", batches(images(), 5), CLASSES)
    torch.testing.assert_close(found.float(), weight.sum(dim=1).T, rtol=1e-4, atol=1e-6)


def middle(graph: fx.GraphModule, name: str, pixels: Tensor) -> Tensor:
    maps = hooked(graph, name, pixels)
    return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2] if maps.dim() == 4 else maps


def blurred(graph: fx.GraphModule) -> fx.GraphModule:
    """Smooth filters, as training leaves them: the best picture for one stays good when it is moved a little."""
    for name in ("conv1", "conv2"):
        weight = graph.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        with torch.no_grad():
            soft = weight.mean(dim=(2, 3), keepdim=True).expand_as(weight)
            weight.copy_(soft * weight.norm() / soft.norm())
    return graph


@pytest.mark.parametrize(("name", "smooth"), [("conv1", True), ("conv2", True), ("hidden1", False)])
def test_ascent_finds_more_than_any_image_shows(name: str, smooth: bool) -> None:
    graph, units = blurred(convnet()) if smooth else mlp(12), [4, 0, 5]
    pictures, answers = ascend(graph, name, units, SIDE, 60, Streams(3), NullReporter())
    assert pictures.shape == (3, 3, SIDE, SIDE)
    assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    noise = images(200)
    plain = noise.mean(dim=(2, 3), keepdim=True).expand_as(noise)
    others = middle(graph, name, torch.cat((noise, plain)))
    for row, unit in enumerate(units):
        own = middle(graph, name, pictures[row : row + 1])[0, unit]
        assert float(answers[row]) == pytest.approx(float(own), rel=1e-4)
        assert float(own) > float(others[:, unit].max())
        assert float(own) > float(others[:200, unit].mean() + 5 * others[:200, unit].std())


@pytest.mark.parametrize("unit", range(6))
def test_ascent_reaches_half_of_a_linear_units_optimum(unit: int) -> None:
    """The optimum by hand: each pixel 1 where its weight is positive, else 0; normalised that is 2 or -2."""
    graph = convnet(stride=(1,))
    conv = graph.get_submodule("conv1")
    assert isinstance(conv.weight, Tensor) and isinstance(conv.bias, Tensor)
    best = float(conv.bias[unit].detach() + 2 * conv.weight[unit].detach().abs().sum())
    field = conv.kernel_size[0]
    assert best / 2 < float(ascend(graph, "conv1", [unit], field, 60, Streams(3), NullReporter())[1]) <= best + 1e-3


def test_ascent_is_the_same_each_time() -> None:
    graph = convnet()
    first = ascend(graph, "conv2", [1, 6], SIDE, 5, Streams(3), NullReporter())
    torch.manual_seed(9)
    second = ascend(graph, "conv2", [1, 6], SIDE, 5, Streams(3), NullReporter())
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not torch.equal(first[0], ascend(graph, "conv2", [1, 6], SIDE, 5, Streams(4), NullReporter())[0])
    assert all(one.grad is None for one in graph.parameters())


@pytest.mark.parametrize("side", [7, 16])
def test_ascent_in_small_and_odd_pictures(side: int) -> None:
    graph = convnet(stride=(1,))
    before = ascend(graph, "conv1", [2], side, 0, Streams(3), NullReporter())[1]
    pictures, after = ascend(graph, "conv1", [2], side, 40, Streams(3), NullReporter())
    assert pictures.shape == (1, 3, side, side)
    assert float(after) > float(before) + 0.5

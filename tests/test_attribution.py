"""Maps of what a network looks at: against captum's, brute force, and what they promise to sum to."""

from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, fx, nn

from a2cli.models.backbones import graph_of
from a2cli.models.convnet import build_convnet
from a2cli.models.mlp import build_mlp
from a2cli.models.pretrained import Undrawn, build_torchvision
from a2cli.random_streams import Streams
from a2cli.settings.training import MlpSettings, NetworkSettings
from a2cli.visualize_weights.attribution import (
    METHODS,
    UnsuitableError,
    alike,
    centred,
    deep_lift,
    grad_cam,
    gradient,
    gradient_shap,
    guided_backprop,
    integrated_gradients,
    last_maps,
    occlusion,
    run_keeping,
)

BASELINE = torch.tensor([0.5, 0.4, 0.3])
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
SIDE, CLASSES = 32, 5
captums_warnings = pytest.mark.filterwarnings("ignore::UserWarning")  # on the hooks that it sets


def convnet(seed: int = 1, **settings: Any) -> fx.GraphModule:
    network = NetworkSettings(**{"channels": (6, 8), "stride": (1,), "pool": "max", "hidden": (16,), **settings})
    return graph_of(build_convnet(network, SIDE, CLASSES, MEAN, STD, Streams(seed)).eval(), "")


def mlp(activation: str = "relu") -> fx.GraphModule:
    network = MlpSettings(hidden=(24, 12), activation=activation)
    return graph_of(build_mlp(network, SIDE, CLASSES, MEAN, STD, Streams(2)).eval(), "")


def picture(side: int = SIDE, seed: int = 0) -> Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))


def start() -> Tensor:
    return BASELINE.view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE).contiguous()


def near(found: Tensor, expected: Tensor, share: float = 1e-4) -> None:
    """Within a share of the largest value there is, which is not zero."""
    expected = expected.detach()
    largest = float(expected.abs().max())
    assert found.shape == expected.shape and largest > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=share * largest)


@pytest.mark.parametrize("target", [0, 4])
def test_gradient_is_captums(target: int) -> None:
    model = convnet()
    theirs = captum.attr.Saliency(model).attribute(picture()[None].requires_grad_(), target, abs=False)
    near(gradient(model, picture(), target, BASELINE).values, theirs[0].abs().amax(dim=0))


@captums_warnings
@pytest.mark.parametrize("target", [0, 4])
def test_guided_backprop_is_captums_and_not_the_gradient(target: int) -> None:
    model = convnet()
    found = guided_backprop(model, picture(), target, BASELINE).values
    theirs = captum.attr.GuidedBackprop(model).attribute(picture()[None].requires_grad_(), target)
    near(found, theirs[0].abs().amax(dim=0))
    assert alike(found, gradient(model, picture(), target, BASELINE).values) < 0.95


@pytest.mark.parametrize("build", [convnet, mlp])
def test_integrated_gradients_are_captums(build: Any) -> None:
    model = build()
    theirs = captum.attr.IntegratedGradients(model).attribute(
        picture()[None], start(), 3, n_steps=1000, method="riemann_middle", internal_batch_size=100
    )
    near(integrated_gradients(model, picture(), 3, BASELINE).values, theirs[0].sum(dim=0).float(), 0.02)


@captums_warnings
@pytest.mark.parametrize(("norm", "layer"), [("none", "conv2_relu"), ("batch", "conv2_relu")])
def test_grad_cam_is_captums_behind_the_activation(norm: str, layer: str) -> None:
    model = convnet(norm=norm)
    shown = 0
    for target in range(CLASSES):
        theirs = captum.attr.LayerGradCam(model, model.get_submodule(layer)).attribute(
            picture()[None], target, relu_attributions=True
        )
        larger = captum.attr.LayerAttribution.interpolate(theirs, (SIDE, SIDE), "bilinear")[0, 0].detach()
        found = grad_cam(model, picture(), target, BASELINE)
        torch.testing.assert_close(found.values, larger, rtol=1e-3, atol=1e-6)
        assert not found.signed
        shown += bool(larger.any())
    assert shown >= 2  # those with nothing positive are empty for both


def test_occlusion_is_captums() -> None:
    model = convnet()
    theirs = captum.attr.Occlusion(model).attribute(picture()[None], (3, 4, 4), (3, 2, 2), start(), 1)
    near(occlusion(model, picture(), 1, BASELINE).values, theirs[0, 0].float(), 1e-3)


def test_occlusion_where_the_squares_do_not_fit() -> None:
    """37 pixels: the last square, at 33, is no step of two behind the one before."""
    side, size = 4, 37
    model = graph_of(nn.Sequential(nn.Conv2d(3, 4, 5), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 33 * 33, 3)).eval(), "")
    image = picture(size)
    sums, counts = np.zeros((size, size)), np.zeros((size, size))
    with torch.no_grad():
        whole = float(model(image[None])[0, 2])
        for top in [*range(0, size - side, 2), size - side]:
            for left in [*range(0, size - side, 2), size - side]:
                hidden = image.clone()
                for colour in range(3):
                    hidden[colour, top : top + side, left : left + side] = BASELINE[colour]
                sums[top : top + side, left : left + side] += whole - float(model(hidden[None])[0, 2])
                counts[top : top + side, left : left + side] += 1
    assert counts.min() >= 1
    near(occlusion(model, image, 2, BASELINE).values, torch.tensor(sums / counts, dtype=torch.float32), 1e-2)


class Corner(nn.Module):
    """Its logits are the mean of the lower left 8 x 8 pixels, and minus that."""

    def forward(self, images: Tensor) -> Tensor:
        seen = images[:, :, -8:, :8].mean(dim=(1, 2, 3))
        return torch.stack((seen, -seen), dim=1)


@pytest.mark.parametrize("method", ["gradient", "integrated-gradients", "occlusion"])
def test_it_looks_where_the_model_looks(method: str) -> None:
    image = 0.5 + 0.5 * picture()
    model = graph_of(Corner(), "")
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[-8:, :8] = True
    found = METHODS[method](model, image, 0, torch.zeros(3))
    assert float(found.values[inside].min()) > 0
    assert inside.flatten()[found.values.argmax()]
    reached = torch.zeros_like(inside)
    reached[-10:, :10] = True  # a square of four in steps of two
    assert found.values[~reached].abs().max() < 1e-6
    if found.signed:
        against = METHODS[method](model, image, 1, torch.zeros(3))
        torch.testing.assert_close(against.values, -found.values)


def change(model: nn.Module, target: int) -> float:
    with torch.no_grad():
        return float(model(picture()[None])[0, target]) - float(model(start())[0, target])


MODELS = {
    "convnet": convnet,
    "average": lambda: convnet(pool="average", norm="batch"),
    "gelu": lambda: convnet(activation="gelu"),
    "mlp": mlp,
    "mlp-tanh": lambda: mlp("tanh"),
}


@pytest.mark.parametrize("name", MODELS)
def test_integrated_gradients_sum_to_the_logits_change(name: str) -> None:
    model = MODELS[name]()
    for target in (0, 3):
        found = integrated_gradients(model, picture(), target, BASELINE)
        assert found.signed
        assert found.change == pytest.approx(change(model, target), rel=1e-4, abs=1e-6)
        assert float(found.values.double().sum()) == pytest.approx(change(model, target), rel=0.005, abs=1e-5)


@pytest.mark.parametrize("name", ["convnet", "average", "mlp", "mlp-tanh"])  # captum has no rule for GELU
def test_deep_lift_sums_to_the_logits_change(name: str) -> None:
    model = MODELS[name]()
    for target in range(CLASSES):
        found = deep_lift(model, picture(), target, BASELINE)
        assert found.change == pytest.approx(change(model, target), rel=1e-4, abs=1e-6)
        assert float(found.values.double().sum()) == pytest.approx(change(model, target), rel=0.005, abs=1e-5)


def test_gradient_shap_is_the_same_each_time_and_near_the_integral() -> None:
    model = convnet(activation="gelu")
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(7)
    np.random.seed(7)
    found = gradient_shap(model, picture(), 1, BASELINE).values
    assert torch.equal(torch.rand(3), expected[0]) and (np.random.rand(3) == expected[1]).all()
    assert torch.equal(found, gradient_shap(model, picture(), 1, BASELINE).values)
    assert alike(found, integrated_gradients(model, picture(), 1, BASELINE).values) > 0.95


def relus_by_hand(network: nn.Module, image: Tensor, target: int) -> Tensor:
    """Guided backpropagation by a function of its own in place of every ReLU, however it is called."""

    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.clamp_min(0)

        @staticmethod
        def backward(ctx: Any, *slopes: Tensor) -> Tensor:
            return slopes[0] * (slopes[0] > 0) * (ctx.saved_tensors[0] > 0)

    def guided(x: Tensor, inplace: bool = False) -> Tensor:
        found: Tensor = Guided.apply(x)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "relu", guided)
        pixels = image[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(pixels)[0, target], pixels)
    return slope[0].abs().amax(dim=0)


@pytest.mark.parametrize("name", ["googlenet", "densenet121", "resnet18", "mobilenet_v3_small"])
def test_guided_backprop_finds_every_relu_of_torchvisions(name: str) -> None:
    """Functions, in place or not, and modules, some used twice; googlenet has no module, densenet121 one function."""
    network, image = build_torchvision(name), picture(64)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # or nothing of the image would be left at the end
            module.momentum = None
            module.train()
    with torch.no_grad():
        network(torch.stack([picture(64, seed) for seed in range(4)]))
    graph = graph_of(network.eval(), name)
    found = guided_backprop(graph, image, 3, BASELINE).values
    near(found, relus_by_hand(network, image, 3))
    assert alike(found, gradient(graph, image, 3, BASELINE).values) < 0.95


def test_guided_backprop_of_relu6_and_of_methods() -> None:
    class Methods(nn.Module):
        def __init__(self, rectify: Any) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last, self.rectify = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), rectify

        def forward(self, x: Tensor) -> Tensor:
            maps: Tensor = self.rectify(self.first(x))
            return self.last(maps.mean(dim=(2, 3)))

    image = picture(16)
    expected = relus_by_hand(Methods(nn.ReLU()), image, 1)
    methods = (lambda x: x.relu(), lambda x: x.relu_(), torch.relu, nn.functional.relu6)
    for rectify in (*methods, nn.ReLU6(), nn.ReLU(inplace=True)):
        near(guided_backprop(graph_of(Methods(rectify), ""), image, 1, BASELINE).values, expected)
    with pytest.raises(UnsuitableError, match="no ReLU"):
        guided_backprop(graph_of(Methods(nn.Hardtanh()), ""), image, 1, BASELINE)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("googlenet", "inception5b.cat"),  # all four branches
        ("densenet121", "relu"),  # behind the last norm, which sees all layers of the block
        ("resnet18", "layer4.1.relu_1"),
        ("squeezenet1_1", "classifier.2"),
        ("mobilenet_v2", "features.18.2"),
    ],
)
def test_grad_cam_takes_the_last_maps(name: str, layer: str) -> None:
    with Undrawn():
        assert last_maps(graph_of(build_torchvision(name), name)) == layer


def test_deep_lift_knows_functions_and_modules_used_twice() -> None:
    """Which captum alone takes for linear, or refuses."""

    class Mixed(nn.Module):
        def __init__(self, *relus: Any) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)])
            self.last = nn.Linear(4, 2)
            self.relus = nn.ModuleList([relu for relu in relus if isinstance(relu, nn.Module)])
            self.functions = relus

        def forward(self, x: Tensor) -> Tensor:
            for layer, relu in zip(self.layers, self.functions, strict=True):
                x = relu(layer(x))
            return self.last(x.mean(dim=(2, 3)))

    twice = nn.ReLU()
    image, apart = picture(), graph_of(Mixed(nn.ReLU(), nn.ReLU(), nn.ReLU()), "")
    mixed = graph_of(Mixed(twice, twice, lambda x: nn.functional.relu(x, inplace=True)), "")
    expected = deep_lift(apart, image, 1, BASELINE)
    found = deep_lift(mixed, image, 1, BASELINE)
    torch.testing.assert_close(found.values, expected.values)
    assert float(found.values.double().sum()) == pytest.approx(found.change, rel=0.005)
    assert mixed.get_submodule("relus.0") is twice and not hasattr(twice, "input"), "left as it was"


def test_what_cannot_be_used() -> None:
    with pytest.raises(UnsuitableError, match="no ReLU"):
        guided_backprop(convnet(activation="gelu"), picture(), 0, BASELINE)
    with pytest.raises(UnsuitableError, match="no map"):
        grad_cam(mlp(), picture(), 0, BASELINE)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_left_as_it_was(method: str) -> None:
    """Hooks or gradients that stayed would change what the next method finds."""
    model, image = convnet(), picture()
    before = gradient(model, image, 2, BASELINE).values
    weights = {name: one.clone() for name, one in model.state_dict().items()}
    METHODS[method](model, image, 2, BASELINE)
    assert torch.equal(before, gradient(model, image, 2, BASELINE).values)
    assert all(torch.equal(one, weights[name]) for name, one in model.state_dict().items())
    assert not any(one._backward_hooks or one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert all(one.grad is None for one in model.parameters())
    assert torch.equal(image, picture()) and not image.requires_grad


def test_hooks_go_even_if_the_network_fails() -> None:
    model = convnet()
    with pytest.raises(IndexError):
        guided_backprop(model, picture(), CLASSES, BASELINE)
    assert not any(one._backward_hooks for one in model.modules())


@pytest.mark.parametrize("seed", range(5))
def test_alike_is_spearmans_with_ties(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    one = torch.randint(-4, 5, (9, 7), generator=draw).float()
    other = one * torch.randint(-1, 2, (9, 7), generator=draw) + torch.randint(0, 2, (9, 7), generator=draw)
    expected = stats.spearmanr(one.abs().flatten(), other.abs().flatten()).statistic
    assert alike(one, other) == pytest.approx(float(expected), abs=1e-9)


def test_alike_of_signs_and_of_a_constant_map() -> None:
    one = picture()[0]
    assert alike(one, -one.exp() + 1) == pytest.approx(1)
    assert alike(one, 1 - one) == pytest.approx(-1)
    assert alike(one, torch.zeros_like(one)) is None
    assert alike(torch.ones_like(one), one) is None


def test_a_kept_value_and_its_gradient() -> None:
    model, images = convnet(), torch.stack((picture(), picture(seed=1)))
    kept: list[Tensor] = []
    hook = model.get_submodule("pool2").register_forward_hook(lambda _, __, maps: kept.append(maps))
    expected = model(images)
    hook.remove()
    kept[0].retain_grad()
    expected[:, 1].sum().backward()
    values, logits = run_keeping(model, images, "pool2")
    assert torch.equal(values, kept[0]) and torch.equal(logits, expected)
    torch.testing.assert_close(torch.autograd.grad(logits[:, 1].sum(), values)[0], kept[0].grad)


def test_what_is_added_to_all_logits_alike_changes_no_map() -> None:
    """A bias on every class that depends on the image: only maps of the centred logits do not see it."""
    graph = convnet()
    shifted = convnet()
    output = shifted.get_submodule("output")
    assert isinstance(output, nn.Linear)
    with torch.no_grad():
        output.weight += 3 * torch.randn(1, output.in_features, generator=torch.Generator().manual_seed(1))
    image, baseline = picture(), torch.full((3,), 0.5)
    torch.testing.assert_close(centred(graph)(image[None]).sum(dim=1), torch.zeros(1), rtol=0, atol=1e-5)
    for name in ("gradient", "integrated-gradients", "grad-cam", "occlusion"):
        maps = [METHODS[name](centred(one), image, 1, baseline).values for one in (graph, shifted)]
        torch.testing.assert_close(maps[0], maps[1], rtol=1e-3, atol=1e-4)
        assert not torch.allclose(METHODS[name](shifted, image, 1, baseline).values, maps[0], rtol=1e-3, atol=1e-4)

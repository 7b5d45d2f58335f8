"""What a network looks at: maps that say how much each pixel of one image speaks for a class.

Every method takes a model from images (B, 3, H, W) in [0, 1] to logits (B, K), one image (3, H, W), a class's number,
and the baseline, a colour (3,) that stands for "nothing there". It returns a map (H, W).
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from a2cli.models.backbones import function_name, is_activation, nodes_of, output_node
from a2cli.models.inplace import snapshot

ALIKE = 0.5  # the rank correlation from which on two maps look the same
PARTS, MOST_STEPS = 16, 1024  # of integrated gradients: the way's parts at first, and the most gradients taken
CLOSE, ROUNDING = 0.005, 1.2e-7  # how near the sum must come, a share; float32's own
OCCLUDED = 8  # the hidden square's side is the image's over this
BATCH = 32
RELU = ("relu", "relu_")

Model = fx.GraphModule


@dataclass(frozen=True)
class Attribution:
    """A map (H, W); `signed` where it speaks for and against. `change` is what it promises to sum to, if it does."""

    values: Tensor
    signed: bool
    change: float | None = None


class UnsuitableError(Exception):
    """A method that cannot be used on a network; the message says why."""


def centred(model: Model) -> Model:
    """Return a model whose logits are those of `model` less their mean over the classes.

    The same number added to all logits leaves the prediction unchanged, but alters the map of each single logit. Its
    modules are the model's own.
    """
    graph = fx.Graph()
    logits = graph.graph_copy(model.graph, {})
    mean = graph.call_method("mean", (logits,), {"dim": 1, "keepdim": True})
    graph.output(graph.call_function(torch.sub, (logits, mean)))
    return fx.GraphModule(model, graph)


def gradient(model: Model, image: Tensor, target: int, baseline: Tensor) -> Attribution:
    """|d logit / d pixel|, the largest over the colours (Simonyan, Vedaldi & Zisserman 2014, section 3.1)."""
    return Attribution(_gradients(model, image[None], target)[0].abs().amax(dim=0), signed=False)


def guided_backprop(model: Model, image: Tensor, target: int, baseline: Tensor) -> Attribution:
    """The gradient, but each ReLU passes only what is positive (Springenberg et al. 2015, section 3.4); as above.

    A ReLU6 is one as well. They are found where the gradient meets them, so it matters not how the network's code calls
    them: a module, a function, a method, in place.
    """
    pixels = image[None].detach().clone().requires_grad_()
    logit = model(pixels)[:, target].sum()
    rectifiers = [step for step in _steps_back(logit) if _is_rectifier(step)]
    if not rectifiers:
        raise UnsuitableError("the network has no ReLU")
    for step in rectifiers:
        step.register_prehook(lambda slopes: tuple(slope.clamp_min(0) for slope in slopes))
    (slope,) = torch.autograd.grad(logit, pixels)
    return Attribution(slope[0].abs().amax(dim=0), signed=False)


def _steps_back(value: Tensor) -> Iterator[Any]:
    """Yield each step that the gradient of a value takes on its way back, once."""
    waiting: list[Any] = [value.grad_fn]
    seen = {None}
    while waiting:
        if (step := waiting.pop()) not in seen:
            seen.add(step)
            yield step
            waiting += [before for before, _ in step.next_functions]


def _is_rectifier(step: Any) -> bool:
    # To autograd a ReLU6 is a Hardtanh that begins at 0.
    return bool(step.name() == "ReluBackward0" or (step.name() == "HardtanhBackward0" and step._saved_min_val == 0))


def integrated_gradients(
    model: Model, image: Tensor, target: int, baseline: Tensor, steps: int = MOST_STEPS
) -> Attribution:
    """The way from the baseline to the image times the mean gradient along it, summed over the colours.

    Its sum is the logit's change from baseline to image (Sundararajan, Taly & Yan 2017, proposition 1). Midpoint rule;
    parts of the way whose gradients do not add up to the logit's change there, as at a ReLU's bend, are halved until
    the whole adds up, or so many gradients were taken.
    """
    start = baseline.view(3, 1, 1).expand_as(image)
    way, change = image - start, _change(model, image, start, target)
    low = torch.arange(PARTS, device=image.device) / PARTS
    high = low + 1 / PARTS
    total, taken = torch.zeros_like(image), 0
    while True:
        taken += len(low)
        again, rest = [], torch.zeros_like(image)
        for first, last in zip(torch.split(low, BATCH), torch.split(high, BATCH), strict=True):
            middle = (first + last) / 2
            with torch.no_grad():
                ends = model(start + torch.cat((first, last)).view(-1, 1, 1, 1) * way)[:, target].double()
            parts = _gradients(model, start + middle.view(-1, 1, 1, 1) * way, target) * way
            parts *= (last - first).view(-1, 1, 1, 1)
            gap = ends[len(first) :] - ends[: len(first)] - parts.double().sum(dim=(1, 2, 3))
            close = gap.abs() <= max(CLOSE * abs(change), 64 * ROUNDING * float(ends.abs().max())) / PARTS / 2
            total += parts[close].sum(dim=0)
            rest = rest + parts[~close].sum(dim=0)
            again.append(torch.stack((first, last))[:, ~close])
        low, high = torch.cat(again, dim=1)
        adds_up = abs(float((total + rest).double().sum()) - change) <= CLOSE * abs(change)
        if adds_up or not len(low) or taken + 2 * len(low) > steps:
            total += rest
            break
        low, high = torch.cat((low, (low + high) / 2)), torch.cat(((low + high) / 2, high))
    return Attribution(total.sum(dim=0), signed=True, change=change)


def grad_cam(model: Model, image: Tensor, target: int, baseline: Tensor) -> Attribution:
    """The last convolution's maps, each weighted by its mean gradient, summed, what is positive of it, enlarged.

    Selvaraju et al. 2017, equations 1 and 2; the maps are those behind the activation.
    """
    maps = last_maps(model)
    if maps is None:
        raise UnsuitableError("the network has no map of the image")
    values, logits = run_keeping(model, image[None], maps)
    (gradient,) = torch.autograd.grad(logits[0, target], values)
    cam = (values.detach() * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True).clamp_min(0)
    return Attribution(F.interpolate(cam, image.shape[1:], mode="bilinear")[0, 0], signed=False)


def occlusion(model: Model, image: Tensor, target: int, baseline: Tensor) -> Attribution:
    """How far the logit falls when a square is hidden, for each pixel the mean over the squares that hide it.

    Zeiler & Fergus 2014, section 4.2; squares an eighth of the image wide, in steps of half of that.
    """
    height, width = image.shape[1:]
    side = max(1, height // OCCLUDED)
    tops, lefts = (sorted({*range(0, size - side, max(1, side // 2)), size - side}) for size in (height, width))
    squares = torch.zeros(len(tops) * len(lefts), height, width, dtype=torch.bool, device=image.device)
    for square, (top, left) in zip(squares, itertools.product(tops, lefts), strict=True):
        square[top : top + side, left : left + side] = True
    total = torch.zeros(height, width, device=image.device)
    with torch.no_grad():
        whole = float(model(image[None])[0, target])
        for some in torch.split(squares, BATCH):
            hidden = torch.where(some[:, None], baseline.view(3, 1, 1), image).contiguous()
            for square, value in zip(some, model(hidden)[:, target].tolist(), strict=True):
                total += (whole - value) * square
    return Attribution(total / squares.sum(dim=0), signed=True)


def deep_lift(model: Model, image: Tensor, target: int, baseline: Tensor) -> Attribution:
    """captum's DeepLift (Shrikumar, Greenside & Kundaje 2017), summed over the colours."""
    from captum.attr import DeepLift

    return _by_captum(DeepLift(_with_own_relus(model)), model, image, target, baseline)


def _with_own_relus(model: Model) -> Model:
    """Return a model in which each ReLU is a module of its own, as captum knows no function and no module used twice.

    Its other modules are the model's own.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(model.graph, {}))
    copy = fx.GraphModule(model, graph)
    modules = dict(copy.named_modules())
    for node in list(copy.graph.nodes):
        if is_activation(node, modules) and (function_name(node) in RELU or type(modules.get(node.target)) is nn.ReLU):
            copy.add_submodule(f"{node.name}_own", nn.ReLU())
            with copy.graph.inserting_after(node):
                own = copy.graph.call_module(f"{node.name}_own", node.args[:1])
            node.replace_all_uses_with(own)
            copy.graph.erase_node(node)
    copy.recompile()
    return copy


def gradient_shap(model: Model, image: Tensor, target: int, baseline: Tensor) -> Attribution:
    """captum's GradientShap (Lundberg & Lee 2017) from the one baseline, 64 samples, summed over the colours."""
    from captum.attr import GradientShap

    return _by_captum(GradientShap(model), model, image, target, baseline, n_samples=64)


def _by_captum(method: Any, model: Model, image: Tensor, target: int, baseline: Tensor, **more: int) -> Attribution:
    start = baseline.view(1, 3, 1, 1).expand_as(image[None]).contiguous()
    with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):  # on the hooks that it sets
        torch.manual_seed(0)
        drawn = np.random.get_state()  # captum draws from both
        np.random.seed(0)
        try:
            values = method.attribute(image[None].clone().requires_grad_(), start, target=target, **more)
        finally:
            np.random.set_state(drawn)
    return Attribution(values[0].detach().sum(dim=0), signed=True, change=_change(model, image, start[0], target))


def _change(model: Model, image: Tensor, start: Tensor, target: int) -> float:
    """Return how the logit changes from the baseline to the image."""
    with torch.no_grad():
        before, after = model(torch.stack((start, image)))[:, target].double().tolist()
    return float(after - before)


Method = Callable[[Model, Tensor, int, Tensor], Attribution]
METHODS: dict[str, Method] = {
    "gradient": gradient,
    "guided-backprop": guided_backprop,
    "integrated-gradients": integrated_gradients,
    "grad-cam": grad_cam,
    "occlusion": occlusion,
    "deep-lift": deep_lift,
    "gradient-shap": gradient_shap,
}
# Maps that are only ranked, as those of random weights are, need not add up.
ROUGHLY: dict[str, Method] = {**METHODS, "integrated-gradients": partial(integrated_gradients, steps=64)}


def alike(one: Tensor, other: Tensor) -> float | None:
    """Return Spearman's rank correlation of two maps' strengths, signs dropped (Adebayo et al. 2018, section 4).

    None where one of them is the same everywhere, as an empty Grad-CAM.
    """
    ranks = torch.stack([_ranks(one.abs().flatten()), _ranks(other.abs().flatten())])
    if float(ranks.std(dim=1).min()) == 0:
        return None
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: Tensor) -> Tensor:
    """Return each value's rank, of equal ones their mean rank."""
    # As scipy.stats.rankdata; scipy.stats takes three times as long to import as what is used of scipy elsewhere.
    _, inverse, counts = torch.unique(values.double(), return_inverse=True, return_counts=True)
    last: Tensor = counts.cumsum(0).double()
    return torch.take(last - (counts - 1) / 2, inverse)


def _gradients(model: Model, images: Tensor, target: int) -> Tensor:
    """Return the gradient of one class's logit by each image (B, 3, H, W)."""
    pixels = images.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(model(pixels)[:, target].sum(), pixels)
    return slopes


def convolutions_of(graph: Model) -> list[str]:
    """Return the nodes of a network's convolutions, in their order."""
    modules = dict(graph.named_modules())
    return [name for name, node in nodes_of(graph).items() if isinstance(modules.get(str(node.target)), nn.Conv2d)]


def last_maps(model: Model) -> str | None:
    """Return the node of the last convolution's maps, behind its norm and activation, and the sum or the branches side
    by side that they may be part of."""
    convolutions = convolutions_of(model)
    return output_node(model, convolutions[-1], ("add", "add_", "iadd", "cat", "concat")) if convolutions else None


def run_keeping(model: Model, images: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Return one node's value, with a gradient, and the logits."""
    values: list[Tensor] = []
    wanted = nodes_of(model)[name]

    class Keeping(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            value = super().run_node(n)
            if n is not wanted:
                return value
            values.append(value.detach().requires_grad_())
            return snapshot(values[0])  # which a step in place may write into

    logits: Tensor = Keeping(model).run(images)
    return values[0], logits

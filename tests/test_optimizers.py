"""Every optimizer against torch.optim's own, step by step, on a small network."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from a2cli.settings.optimizers import OPTIMIZERS
from a2cli.training.optimizers import Optimizer, ParamGroup

Make = Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]
TORCH: dict[str, Make] = {
    "adam": lambda p, decay: torch.optim.Adam(p, lr=1e-2, weight_decay=decay),
    "adamw": lambda p, decay: torch.optim.AdamW(p, lr=1e-2, weight_decay=decay),
    "nadam": lambda p, decay: torch.optim.NAdam(p, lr=1e-2, weight_decay=decay),
    "sgd": lambda p, decay: torch.optim.SGD(p, lr=1e-2, weight_decay=decay),
    "momentum": lambda p, decay: torch.optim.SGD(p, lr=1e-2, weight_decay=decay, momentum=0.8),
    "nesterov": lambda p, decay: torch.optim.SGD(p, lr=1e-2, weight_decay=decay, momentum=0.8, nesterov=True),
    "rmsprop": lambda p, decay: torch.optim.RMSprop(p, lr=1e-2, weight_decay=decay),
    "adagrad": lambda p, decay: torch.optim.Adagrad(p, lr=1e-2, weight_decay=decay),
    "adadelta": lambda p, decay: torch.optim.Adadelta(p, lr=1e-2, weight_decay=decay),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    return model.double().to(memory_format=torch.channels_last)


def gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(8, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (8,), generator=generator)
    nn.functional.cross_entropy(model(images), labels).backward()


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_equals_torchs(rule: str, decay: float) -> None:
    """In float64, where rounding cannot hide or make a difference; the rate falls on the way."""
    ours, theirs = network(), network()
    optimizer = Optimizer(ours, rule, decay, momentum=0.8)
    reference = TORCH[rule](theirs.parameters(), decay)
    start = [p.detach().clone() for p in theirs.parameters()]
    for step in range(40):
        rate = 1e-2 if step < 20 else 2e-3
        reference.param_groups[0]["lr"] = rate
        for model in (ours, theirs):
            model.zero_grad()
        optimizer.zero_grad()
        gradients(ours, step)
        gradients(theirs, step)
        optimizer.step(rate)
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-10)
    assert any((p - s).abs().max() > 1e-5 for p, s in zip(theirs.parameters(), start, strict=True))


def test_all_rules_are_compared() -> None:
    assert TORCH.keys() == OPTIMIZERS.keys()


def test_weights_are_one_vector_that_the_network_shares() -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = Optimizer(model, "sgd")
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    optimizer.w.zero_()
    assert all(not p.any() for p in model.parameters())


def test_frozen_weights_stay() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    frozen = model[0].weight.detach().clone()
    optimizer = Optimizer(model, "adamw", weight_decay=0.1)
    gradients(model, 0)
    optimizer.step(0.1)
    assert torch.equal(model[0].weight, frozen)
    assert optimizer.w.numel() == sum(p.numel() for p in model.parameters()) - frozen.numel()


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_state_goes_on_where_it_was(rule: str) -> None:
    def run(steps: range, model: nn.Module, optimizer: Optimizer) -> Tensor:
        for step in steps:
            optimizer.zero_grad()
            gradients(model, step)
            optimizer.step(1e-2)
        return optimizer.w

    model = network()
    optimizer = Optimizer(model, rule)
    run(range(5), model, optimizer)
    saved = (
        {name: t.clone() for name, t in model.state_dict().items()},
        {n: t.clone() for n, t in optimizer.state.items()},
    )
    expected = run(range(5, 9), model, optimizer)
    again = network()
    resumed = Optimizer(again, rule)
    again.load_state_dict(saved[0])
    for name, tensor in resumed.state.items():
        tensor.copy_(saved[1][name])
    resumed.steps = 5
    assert torch.equal(run(range(5, 9), again, resumed), expected)


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_weights_that_move_at_their_own_pace(rule: str) -> None:
    """Against torch's parameter groups: the convolution at a tenth of the rate, with another decay."""
    ours, theirs = network(), network()
    slow = ParamGroup(0.1, 0.2)
    optimizer = Optimizer(ours, rule, 0.05, momentum=0.8, paces={"0.weight": slow, "0.bias": slow})
    reference = TORCH[rule](theirs[3].parameters(), 0.05)
    reference.add_param_group({"params": list(theirs[0].parameters()), "lr": 1e-3, "weight_decay": 0.2})
    for step in range(10):
        theirs.zero_grad()
        optimizer.zero_grad()
        gradients(ours, step)
        gradients(theirs, step)
        optimizer.step(1e-2)
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-10)

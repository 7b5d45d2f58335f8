"""An optimizer at work: a rule of `settings.optimizers` on one vector that holds all of a network's weights.

The network's own tensors are views into the vector, so a rule is written once, as in its paper, runs as a handful of
whole-vector operations a step, and its state is a few named vectors that a checkpoint can hold as they are.
Building `torch.optim`'s first optimizer imports a compiler for over a second; these need nothing.

Legend: w weights, g gradient. All vectors are (P,) float32.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
from torch import nn

from a2cli.settings.optimizers import OPTIMIZERS

SETTLING = 10  # steps before an average forgets as slowly as asked, so that it soon forgets the start


@dataclass(frozen=True)
class ParamGroup:
    """How some weights move: their learning rate as a share of the one in force, and their weight decay."""

    rate: float
    weight_decay: float


class Optimizer:
    """A rule at work on a network: `step` moves the weights, `state` holds what the rule remembers.

    The trainable weights become parts of one vector `w`, with `g` beside it. `paces` names the weights that move at
    another share of the learning rate, or have another decay, than the rest.
    """

    def __init__(
        self,
        model: nn.Module,
        rule: str,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        paces: Mapping[str, ParamGroup] | None = None,
    ) -> None:
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.parameters, self.steps = list(named.values()), 0
        self.w = torch.cat([p.data.flatten() for p in self.parameters])
        self.g = torch.empty_like(self.w)
        for p, part in zip(self.parameters, torch.split(self.w, [p.numel() for p in self.parameters]), strict=True):
            p.data = part.view(p.shape)
        spec = OPTIMIZERS[rule]
        self.decoupled = spec.decoupled
        self.update = partial(spec.rule, share=momentum) if spec.takes_momentum else spec.rule
        self.state = {name: torch.zeros_like(self.w) for name in spec.state}
        self.groups = []
        usual, end = ParamGroup(1.0, weight_decay), 0
        # Neighbours that move alike are one slice: a few long operations a step cost less than one for each tensor.
        for pace, group in groupby(named, key=lambda name: (paces or {}).get(name, usual)):
            begin, end = end, end + sum(named[name].numel() for name in group)
            state = {name: vector[begin:end] for name, vector in self.state.items()}
            self.groups.append((self.w[begin:end], self.g[begin:end], state, pace))

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move the weights once along the gradient that `backward` left."""
        # One copy costs less than letting autograd add to views.
        torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None], out=self.g)
        self.steps += 1
        for w, g, state, pace in self.groups:
            rate = learning_rate * pace.rate
            if self.decoupled:
                w.mul_(1 - rate * pace.weight_decay)
            elif pace.weight_decay:
                g.add_(w, alpha=pace.weight_decay)
            self.update(w, g, state, rate, self.steps)


class Average:
    """The weights' exponential moving average (Polyak & Juditsky 1992): after step t, mean = k mean + (1 - k) w.

    k is `share`, at first t / (t + 10) as long as that is less. Batch statistics are averaged like the weights. It is
    judged and kept in place of the network that is trained. Made after the optimizer, which moves the weights to a
    place of its own. torch's `AveragedModel` forgets the start at its first step.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.model, self.share = deepcopy(model).requires_grad_(False), share
        state = model.state_dict()
        pairs = [(mean, state[name]) for name, mean in self.model.state_dict().items() if mean.is_floating_point()]
        self.means, self.weights = [mean for mean, _ in pairs], [weight for _, weight in pairs]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the network's weights after a step, counted from 1."""
        torch._foreach_lerp_(self.means, self.weights, 1 - min(self.share, step / (step + SETTLING)))

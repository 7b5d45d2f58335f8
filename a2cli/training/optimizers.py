"""An optimizer at work: a rule of `settings.optimizers` on one vector that holds all of a network's weights.

The network's own tensors are views into the vector, so a rule is written once, as in its paper, runs as a handful of
whole-vector operations a step, and its state is a few named vectors that a checkpoint can hold as they are.
Building `torch.optim`'s first optimizer imports a compiler for over a second; these need nothing.

Legend: w weights, g gradient. All vectors are (P,) float32.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
from torch import nn

from a2cli.settings.optimizers import OPTIMIZERS


@dataclass(frozen=True)
class ParamGroup:
    """How some weights move: their learning rate as a share of the one in force, and their weight decay."""

    rate: float
    weight_decay: float


class FlatParameters:
    """A network's trainable weights as one vector `w`, of which its own tensors become parts, and `g` beside it."""

    def __init__(self, model: nn.Module) -> None:
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.names, self.parameters = list(named), list(named.values())
        self.w = torch.cat([p.data.flatten() for p in self.parameters])
        self.g = torch.empty_like(self.w)
        for p, part in zip(self.parameters, torch.split(self.w, [p.numel() for p in self.parameters]), strict=True):
            p.data = part.view(p.shape)

    def gather(self) -> None:
        """Copy the gradients that `backward` left into `g`; one copy costs less than letting autograd add to views."""
        torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None], out=self.g)

    def runs(self, paces: Mapping[str, ParamGroup], usual: ParamGroup) -> Iterator[tuple[slice, ParamGroup]]:
        """Yield the parts of the vector whose weights move alike; what is not in `paces` by name moves as usual."""
        end = 0
        sizes = zip(self.names, self.parameters, strict=True)
        for pace, group in groupby(sizes, key=lambda one: paces.get(one[0], usual)):
            begin, end = end, end + sum(p.numel() for _, p in group)
            yield slice(begin, end), pace


class Optimizer:
    """A rule at work on a network: `step` moves the weights, `state` holds what the rule remembers.

    `paces` names the weights that move at another share of the learning rate, or have another decay, than the rest.
    """

    def __init__(
        self,
        model: nn.Module,
        rule: str,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        paces: Mapping[str, ParamGroup] | None = None,
    ) -> None:
        self.parameters = FlatParameters(model)
        self.steps = 0
        spec = OPTIMIZERS[rule]
        self.decoupled = spec.decoupled
        self.update = partial(spec.rule, share=momentum) if spec.takes_momentum else spec.rule
        w, g = self.parameters.w, self.parameters.g
        self.state = {name: torch.zeros_like(w) for name in spec.state}
        self.groups = [
            (w[part], g[part], {name: vector[part] for name, vector in self.state.items()}, pace)
            for part, pace in self.parameters.runs(paces or {}, ParamGroup(1.0, weight_decay))
        ]

    def zero_grad(self) -> None:
        for p in self.parameters.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move the weights once along the gradient that `backward` left."""
        self.parameters.gather()
        self.steps += 1
        for w, g, state, pace in self.groups:
            rate = learning_rate * pace.rate
            if self.decoupled:
                w.mul_(1 - rate * pace.weight_decay)
            elif pace.weight_decay:
                g.add_(w, alpha=pace.weight_decay)
            self.update(w, g, state, rate, self.steps)

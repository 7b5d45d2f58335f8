"""The optimizers, each as its equations on one vector that holds all of a network's weights.

The network's own tensors are views into the vector, so a rule is written once, as in its paper, runs as a handful of
whole-vector operations a step, and its state is a few named vectors that a checkpoint can hold as they are.
Building `torch.optim`'s first optimizer imports a compiler for over a second; these need nothing.

Legend: w weights, g gradient (a rule may use it as scratch once it is done with it), lr learning rate, t the step's
number from 1. All vectors are (P,) float32.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
Rule = Callable[[Tensor, Tensor, State, float, int], None]


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
        self.decoupled = rule == "adamw"
        kind = RULES[rule]
        self.update = kind.make(momentum)
        w, g = self.parameters.w, self.parameters.g
        self.state: State = {name: torch.zeros_like(w) for name in kind.state}
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


def adam(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
    """Kingma & Ba 2015, algorithm 1, with beta1 0.9, beta2 0.999, epsilon 1e-8."""
    state["m"].lerp_(g, 0.1)
    state["v"].mul_(0.999).addcmul_(g, g, value=0.001)
    correction = math.sqrt(1 - 0.999**t)
    deviation = torch.sqrt(state["v"], out=g).add_(1e-8 * correction)
    w.addcdiv_(state["m"], deviation, value=-lr * correction / (1 - 0.9**t))


def nadam(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
    """Dozat 2016, with beta1 0.9, beta2 0.999 and the momentum schedule mu_t = 0.9 (1 - 0.5 * 0.96^(0.004 t))."""

    def mu(step: int) -> float:
        return 0.9 * (1 - 0.5 * math.pow(0.96, 0.004 * step))

    if t == 1:
        state["mu_product"].fill_(1.0)
    state["mu_product"].mul_(mu(t))
    product = float(state["mu_product"][0])
    state["m"].lerp_(g, 0.1)
    state["v"].mul_(0.999).addcmul_(g, g, value=0.001)
    deviation = state["v"].div(1 - 0.999**t).sqrt_().add_(1e-8)
    w.addcdiv_(g, deviation, value=-lr * (1 - mu(t)) / (1 - product))
    w.addcdiv_(state["m"], deviation, value=-lr * mu(t + 1) / (1 - product * mu(t + 1)))


def sgd(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
    """Stochastic gradient descent (Robbins & Monro 1951): w -= lr g."""
    w.add_(g, alpha=-lr)


def momentum(share: float) -> Rule:
    """Return the heavy ball (Polyak 1964): u = share u + g; w -= lr u."""

    def rule(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        state["u"].mul_(share).add_(g)
        w.add_(state["u"], alpha=-lr)

    return rule


def nesterov(share: float) -> Rule:
    """Return Nesterov's momentum as Sutskever et al. 2013 write it: u = share u + g; w -= lr (g + share u)."""

    def rule(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        state["u"].mul_(share).add_(g)
        w.add_(g.add(state["u"], alpha=share), alpha=-lr)

    return rule


def rmsprop(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
    """Tieleman & Hinton 2012, lecture 6.5, with smoothing 0.99 and epsilon 1e-8."""
    state["v"].mul_(0.99).addcmul_(g, g, value=0.01)
    w.addcdiv_(g, state["v"].sqrt().add_(1e-8), value=-lr)


def adagrad(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
    """Duchi, Hazan & Singer 2011, diagonal form, with epsilon 1e-10."""
    state["sum"].addcmul_(g, g, value=1.0)
    w.addcdiv_(g, state["sum"].sqrt().add_(1e-10), value=-lr)


def adadelta(w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
    """Zeiler 2012, algorithm 1, with rho 0.9 and epsilon 1e-6; its own step is multiplied by lr."""
    state["v"].mul_(0.9).addcmul_(g, g, value=0.1)
    step = state["d"].add(1e-6).sqrt_().div_(state["v"].add(1e-6).sqrt_()).mul_(g)
    state["d"].mul_(0.9).addcmul_(step, step, value=0.1)
    w.add_(step, alpha=-lr)


@dataclass(frozen=True)
class OptimizerSpec:
    """A rule, made for a momentum that most of them do without, and the vectors it remembers."""

    make: Callable[[float], Rule]
    state: tuple[str, ...]


def _plain(rule: Rule) -> Callable[[float], Rule]:
    return lambda _: rule


RULES = {
    "adam": OptimizerSpec(_plain(adam), ("m", "v")),
    "adamw": OptimizerSpec(
        _plain(adam), ("m", "v")
    ),  # Loshchilov & Hutter 2019: its decay acts on the weights, in `step`
    "nadam": OptimizerSpec(_plain(nadam), ("m", "v", "mu_product")),
    "sgd": OptimizerSpec(_plain(sgd), ()),
    "momentum": OptimizerSpec(momentum, ("u",)),
    "nesterov": OptimizerSpec(nesterov, ("u",)),
    "rmsprop": OptimizerSpec(_plain(rmsprop), ("v",)),
    "adagrad": OptimizerSpec(_plain(adagrad), ("sum",)),
    "adadelta": OptimizerSpec(_plain(adadelta), ("v", "d")),
}

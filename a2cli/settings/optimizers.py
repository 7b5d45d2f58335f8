"""The optimizers, each an entry: its equations on one vector that holds all of a network's weights, and its usual rate.

Settings know them by name without torch, so what is here works by the tensors' own methods.

Legend: w weights, g gradient (a rule may use it as scratch once it is done with it), lr learning rate, t the step's
number from 1, share the momentum. All vectors are (P,) float32.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    State = dict[str, Tensor]


def adam(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int) -> None:
    """Kingma & Ba 2015, algorithm 1, with beta1 0.9, beta2 0.999, epsilon 1e-8."""
    state["m"].lerp_(g, 0.1)
    state["v"].mul_(0.999).addcmul_(g, g, value=0.001)
    correction = math.sqrt(1 - 0.999**t)
    from torch import sqrt

    deviation = sqrt(state["v"], out=g).add_(1e-8 * correction)
    w.addcdiv_(state["m"], deviation, value=-lr * correction / (1 - 0.9**t))


def nadam(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int) -> None:
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


def sgd(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int) -> None:
    """Stochastic gradient descent (Robbins & Monro 1951): w -= lr g."""
    w.add_(g, alpha=-lr)


def momentum(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int, share: float) -> None:
    """The heavy ball (Polyak 1964): u = share u + g; w -= lr u."""
    state["u"].mul_(share).add_(g)
    w.add_(state["u"], alpha=-lr)


def nesterov(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int, share: float) -> None:
    """Nesterov's momentum as Sutskever et al. 2013 write it: u = share u + g; w -= lr (g + share u)."""
    state["u"].mul_(share).add_(g)
    w.add_(g.add(state["u"], alpha=share), alpha=-lr)


def rmsprop(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int) -> None:
    """Tieleman & Hinton 2012, lecture 6.5, with smoothing 0.99 and epsilon 1e-8."""
    state["v"].mul_(0.99).addcmul_(g, g, value=0.01)
    w.addcdiv_(g, state["v"].sqrt().add_(1e-8), value=-lr)


def adagrad(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int) -> None:
    """Duchi, Hazan & Singer 2011, diagonal form, with epsilon 1e-10."""
    state["sum"].addcmul_(g, g, value=1.0)
    w.addcdiv_(g, state["sum"].sqrt().add_(1e-10), value=-lr)


def adadelta(w: "Tensor", g: "Tensor", state: "State", lr: float, t: int) -> None:
    """Zeiler 2012, algorithm 1, with rho 0.9 and epsilon 1e-6; its own step is multiplied by lr."""
    state["v"].mul_(0.9).addcmul_(g, g, value=0.1)
    step = state["d"].add(1e-6).sqrt_().div_(state["v"].add(1e-6).sqrt_()).mul_(g)
    state["d"].mul_(0.9).addcmul_(step, step, value=0.1)
    w.add_(step, alpha=-lr)


@dataclass(frozen=True)
class OptimizerSpec:
    """A rule, the vectors it remembers, and where its learning rate usually lies: its paper's or its library's default.

    One that `takes_momentum` gets it as `share`; a `decoupled` weight decay acts on the weights, not the gradient.
    """

    rule: Callable[..., None]
    state: tuple[str, ...]
    usual_rate: float
    takes_momentum: bool = False
    decoupled: bool = False


OPTIMIZERS = {
    "adam": OptimizerSpec(adam, ("m", "v"), 1e-3),
    "adamw": OptimizerSpec(adam, ("m", "v"), 1e-3, decoupled=True),  # Loshchilov & Hutter 2019
    "nadam": OptimizerSpec(nadam, ("m", "v", "mu_product"), 2e-3),
    "sgd": OptimizerSpec(sgd, (), 1e-1),
    "momentum": OptimizerSpec(momentum, ("u",), 1e-2, takes_momentum=True),
    "nesterov": OptimizerSpec(nesterov, ("u",), 1e-2, takes_momentum=True),
    "rmsprop": OptimizerSpec(rmsprop, ("v",), 1e-3),
    "adagrad": OptimizerSpec(adagrad, ("sum",), 1e-2),
    "adadelta": OptimizerSpec(adadelta, ("v", "d"), 1.0),
}

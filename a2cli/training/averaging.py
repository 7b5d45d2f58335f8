"""A running mean of a network's weights, which is judged and kept in place of the network that is trained."""

from copy import deepcopy

import torch
from torch import nn

SETTLING = 10  # steps before the mean forgets as slowly as asked, so that it soon forgets the start


class Average:
    """The weights' exponential moving average (Polyak & Juditsky 1992): after step t, mean = k mean + (1 - k) w.

    k is `share`, at first t / (t + 10) as long as that is less. Batch statistics are averaged like the weights. Made
    after the optimizer, which moves the weights to a place of its own.
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

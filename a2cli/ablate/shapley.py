"""What each of several ingredients brings: its average contribution over the orders of taking them away.

A game in the sense of Shapley (A Value for n-Person Games, 1953): `worth` gives every combination of ingredients that
is kept a value, here a network's accuracy. The contributions add up to what all together bring over none.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from math import factorial
from statistics import fmean

import numpy as np

Coalition = frozenset[str]


def passed_through(order: Sequence[str]) -> list[Coalition]:
    """Return the combinations met as ingredients are taken away in this order, from all of them to none."""
    return [frozenset(order[i:]) for i in range(len(order) + 1)]


def drawn_orders(names: Sequence[str], count: int, generator: np.random.Generator) -> list[list[str]]:
    """Return random orders, every second the one before it backwards, or all of them where there are no more.

    What an ingredient brings early and late then evens out (antithetic sampling, as Mitchell et al. 2022, section 3).
    """
    if len(names) <= 5 and count >= factorial(len(names)):
        return [list(order) for order in permutations(names)]
    orders: list[list[str]] = []
    while len(orders) < count:
        order = [names[i] for i in generator.permutation(len(names))]
        orders += [order, order[::-1]]
    return orders[:count]


def over_orders(orders: Sequence[Sequence[str]], worth: Callable[[Coalition], float]) -> dict[str, float]:
    """Return each ingredient's mean contribution over orders (Castro, Gomez & Tejada 2009, section 3)."""
    gains: dict[str, list[float]] = {name: [] for name in orders[0]}
    for order in orders:
        kept = passed_through(order)
        for name, before, after in zip(order, kept, kept[1:], strict=False):
            gains[name].append(worth(before) - worth(after))
    return {name: fmean(values) for name, values in gains.items()}


def over_all_orders(names: Sequence[str], worth: Callable[[Coalition], float]) -> dict[str, float]:
    """Return each ingredient's Shapley value, from all 2^n combinations: the mean over all n! orders."""
    n = len(names)
    values = {}
    for name in names:
        others = [other for other in names if other != name]
        weighted = (
            factorial(len(kept)) * factorial(n - len(kept) - 1) / factorial(n) * (worth(kept | {name}) - worth(kept))
            for kept in subsets(others)
        )
        values[name] = sum(weighted)
    return values


def subsets(names: Sequence[str]) -> Iterator[Coalition]:
    """Yield all combinations, all of them first, none last."""
    for mask in reversed(range(1 << len(names))):
        yield frozenset(name for i, name in enumerate(names) if mask >> i & 1)

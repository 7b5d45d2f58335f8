"""Contributions over orders: the properties that define them, and the ways of computing them against each other."""

from itertools import permutations
from statistics import fmean

import numpy as np
import pytest

from a2cli.ablate.shapley import Coalition, drawn_orders, over_all_orders, over_orders, passed_through, subsets

NAMES = ["a", "b", "c", "d"]


def game(seed: int = 0) -> dict[Coalition, float]:
    rng = np.random.default_rng(seed)
    return {kept: float(rng.normal()) for kept in subsets(NAMES)}


def test_all_subsets_come_once() -> None:
    found = list(subsets(NAMES))
    assert len(found) == len(set(found)) == 16
    assert (found[0], found[-1]) == (frozenset(NAMES), frozenset())


def test_what_is_passed_through() -> None:
    assert passed_through(["b", "a"]) == [frozenset("ab"), frozenset("a"), frozenset()]


def test_all_combinations_are_the_mean_over_all_orders() -> None:
    worth = game()
    orders = list(permutations(NAMES))
    assert over_all_orders(NAMES, worth.__getitem__) == pytest.approx(over_orders(orders, worth.__getitem__))


@pytest.mark.parametrize("orders", [[NAMES], [NAMES, NAMES[::-1]], None])
def test_contributions_add_up_to_what_all_bring(orders: list[list[str]] | None) -> None:
    worth = game(1)
    brings = over_orders(orders, worth.__getitem__) if orders else over_all_orders(NAMES, worth.__getitem__)
    assert sum(brings.values()) == pytest.approx(worth[frozenset(NAMES)] - worth[frozenset()])


def test_ingredients_that_do_not_meddle_bring_what_they_are_worth() -> None:
    own = {"a": 3.0, "b": -1.0, "c": 0.0, "d": 0.5}

    def worth(kept: Coalition) -> float:
        return sum(own[name] for name in kept)

    assert over_all_orders(NAMES, worth) == pytest.approx(own)
    assert over_orders([NAMES], worth) == pytest.approx(own)


def test_two_that_only_act_together_share() -> None:
    """A glove game (Shapley 1953): alone each seems to bring everything, or nothing."""
    found = over_all_orders(["left", "right", "idle"], lambda kept: float({"left", "right"} <= kept))
    assert found == pytest.approx({"left": 0.5, "right": 0.5, "idle": 0})


def test_drawn_orders_come_in_pairs_and_are_right_on_average() -> None:
    worth = game(2)
    orders = drawn_orders(NAMES, 6, np.random.default_rng(0))
    assert len(orders) == 6
    assert all(one == other[::-1] for one, other in zip(orders[::2], orders[1::2], strict=True))
    exact = over_all_orders(NAMES, worth.__getitem__)
    draws = [over_orders(drawn_orders(NAMES, 2, np.random.default_rng(i)), worth.__getitem__) for i in range(2000)]
    for name in NAMES:
        values = [draw[name] for draw in draws]
        assert fmean(values) == pytest.approx(exact[name], abs=4 * np.std(values) / len(values) ** 0.5)
    assert len(drawn_orders(["a", "b"], 100, np.random.default_rng(0))) == 2, "there are no more"
    assert drawn_orders(NAMES, 0, np.random.default_rng(0)) == []

"""Identical images stay in one part of every split, whose parts are as large as asked where that can be."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from a2cli.data.packing import Packed
from a2cli.data.splits import Split, choose, deal, split_rows
from a2cli.errors import DataError
from a2cli.random_streams import Streams
from a2cli.settings.training import SplitSettings

Groups = list[list[int]]  # of each class, the sizes of its groups of identical images


def packed_of(classes: Groups, seed: int = 0, splits: list[str] | None = None) -> Packed:
    """Return a data set without pixels whose rows lie in a random order."""
    number = [(label, group) for label, sizes in enumerate(classes) for group, size in enumerate(sizes)
              for _ in range(size)]  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(number))
    shuffled = [number[i] for i in order]
    first = {key: shuffled.index(key) for key in set(shuffled)}
    return Packed(
        images=np.zeros((len(number), 1, 1, 3), dtype=np.uint8),
        labels=np.array([label for label, _ in shuffled]),
        names=[f"{i}.png" for i in range(len(number))],
        splits=splits or [""] * len(number),
        class_names=tuple(f"class {i}" for i in range(len(classes))),
        skipped=(),
        fingerprint="",
        groups=np.array([first[key] for key in shuffled]),
    )


def split(packed: Packed, seed: int = 0, **options: Any) -> Split:
    return split_rows(packed, SplitSettings(**options), Streams(seed).numpy("split"))


def assert_groups_are_whole(packed: Packed, found: Split) -> None:
    parts = [set(packed.groups[rows].tolist()) for rows in (found.train, found.val, found.test)]
    assert len(set.union(*parts)) == sum(map(len, parts))


SIZES = st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=5), min_size=2, max_size=3)


@settings(max_examples=150, deadline=None)
@given(SIZES, st.integers(1, 20), st.sampled_from(["stratified", "random"]), st.integers(0, 3))
def test_no_group_is_separated_and_the_part_is_as_large_as_it_can_be(
    classes: Groups, count: int, kind: str, seed: int
) -> None:
    packed = packed_of(classes, seed)
    total = len(packed.labels)
    try:
        found = split(packed, seed, split=kind, val_count=count)
    except DataError:  # a class without a training image, or more held out than there is
        assume(False)
    assert_groups_are_whole(packed, found)
    assert sorted([*found.train, *found.val]) == list(range(total))
    several = classes if kind == "stratified" else [[size for sizes in classes for size in sizes]]
    possible = [{sum(np.multiply(sizes, take)) for take in product((0, 1), repeat=len(sizes)) if not all(take)}
                for sizes in several]  # fmt: skip
    sums = {0}
    for of_class in possible:
        sums = {a + b for a in sums for b in of_class}
    assert abs(len(found.val) - count) == min(abs(n - count) for n in sums - {0})


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(2, 4), st.sampled_from(["stratified", "random"]))
def test_folds_hold_out_every_group_once(classes: Groups, folds: int, kind: str) -> None:
    packed = packed_of([[*sizes, *[1] * 12] for sizes in classes])
    parts = [split(packed, split=kind, folds=folds, fold=fold) for fold in range(folds)]
    for found in parts:
        assert_groups_are_whole(packed, found)
    assert sorted(row for found in parts for row in found.val) == list(range(len(packed.labels)))
    sizes = [len(found.val) for found in parts]
    assert max(sizes) - min(sizes) <= max(1, max(max(of) for of in classes) - 1)


def test_folds_are_level_where_single_images_allow_it() -> None:
    sizes = np.array([1, 1, 1, 1, 2, 3, 3])
    assert np.bincount(deal(np.zeros(7), sizes, 3), weights=sizes).tolist() == [4, 4, 4]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=10), st.data())
def test_groups_are_chosen_in_their_order_as_far_as_they_fit(sizes: list[int], data: st.DataObject) -> None:
    take = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    total = int(np.multiply(sizes, take).sum())
    chosen = choose(np.array(sizes), total)
    assert np.multiply(sizes, chosen).sum() == total


@pytest.mark.parametrize("classes", [{"ada": 7, "bea": 12, "cleo": 21}, {"ada": 30, "bea": 41}])
def test_without_duplicates_the_split_is_what_it_always_was(classes: dict[str, int]) -> None:
    """By the plain way to draw it, which stays the same so that old seeds give old splits."""
    packed = packed_of([[1] * count for count in classes.values()])
    rows = np.arange(len(packed.labels))
    for seed, count in product(range(5), (5, 8)):
        shuffled = Streams(seed).numpy("split").permutation(rows)
        assert split(packed, seed, split="random", val_count=count).val.tolist() == sorted(shuffled[:count])
        labels = packed.labels[shuffled]
        held = split(packed, seed, val_count=count).val
        quotas = np.bincount(packed.labels[held])
        expected = [row for label, quota in enumerate(quotas) for row in shuffled[labels == label][:quota]]
        assert held.tolist() == sorted(expected)
        assert np.abs(quotas - np.multiply([*classes.values()], count / len(rows))).max() < 1
        folds = split(packed, seed, split="random", folds=4, fold=1).val
        assert folds.tolist() == sorted(shuffled[1::4])
        in_turn = shuffled[np.argsort(labels, kind="stable")]
        assert split(packed, seed, folds=4, fold=1).val.tolist() == sorted(in_turn[1::4])


def test_a_large_group_is_held_out_as_often_as_a_single_image() -> None:
    packed = packed_of([[2, *[1] * 58], [1] * 40])
    large = np.bincount(packed.groups).argmax()
    often = np.mean([large in packed.groups[split(packed, seed, split="random").val] for seed in range(400)])
    assert often == pytest.approx(0.2, abs=0.06)


def test_what_is_drawn_of_given_training_images_stays_whole() -> None:
    given_test = ["test" if i % 4 == 0 else "train" for i in range(40)]
    packed = packed_of([[2] * 10, [2] * 10], splits=given_test)
    found = split(packed)
    assert found.test.tolist() == list(range(0, 40, 4))
    assert not set(packed.groups[found.train]) & set(packed.groups[found.val])


def test_ungrouped_draws_every_image_by_itself() -> None:
    packed, single = packed_of([[2] * 10, [2] * 10]), packed_of([[1] * 20, [1] * 20])
    found, expected = split(packed, duplicates="ungrouped"), split(single)
    for part in ("train", "val", "test"):
        assert len(getattr(found, part)) == len(getattr(expected, part))
    with pytest.raises(AssertionError):
        assert_groups_are_whole(packed, found)

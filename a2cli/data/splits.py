"""Which images are for training, validation and the sealed test; identical images are drawn together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a2cli.data.duplicates import rows_in_use
from a2cli.data.packing import Packed
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.random_streams import Streams
from a2cli.settings.conflicts import HOLDING_OUT, cannot_hold_out
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.training import SplitSettings

Rows = NDArray[np.int64]
MOST_OFF = 500  # how far a class may be from its quota, so that all classes together come to what was asked


@dataclass(frozen=True)
class Split:
    """Row numbers of the packed images, each image in one of the three at most."""

    train: Rows
    val: Rows
    test: Rows

    def parts(self, count: int) -> list[str]:
        """Return of each of `count` images the part that it is in: train, val, test, or nothing."""
        parts = np.full(count, "", dtype="<U5")
        parts[self.train], parts[self.val], parts[self.test] = "train", "val", "test"
        return [str(part) for part in parts]

    def repeated(self, groups: Rows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which validation images are also among those for training, and which test images in either."""
        seen = np.concatenate([self.train, self.val])
        return np.isin(groups[self.val], groups[self.train]), np.isin(groups[self.test], groups[seen])


def split_rows(packed: Packed, settings: SplitSettings, generator: np.random.Generator) -> Split:
    """Draw the split, or take the one that the data came with (drawing what it lacks from its training images).

    Identical images are drawn together. Raises DataError where too few images are left for one part, and for
    identical images that `settings.duplicates` refuses.
    """
    groups = np.arange(len(packed.labels)) if settings.duplicates == "ungrouped" else packed.groups
    used = rows_in_use(groups, packed.labels, packed.names, packed.class_names, settings.duplicates)
    part_of = np.full(len(groups), "left out", dtype="<U8")
    part_of[used] = np.array(packed.splits)[used]
    rows = np.flatnonzero((part_of == "") | (part_of == "train"))
    val, test = np.flatnonzero(part_of == "val"), np.flatnonzero(part_of == "test")
    total = len(rows)
    strata = packed.labels if settings.split == "stratified" else np.zeros(len(groups), dtype=np.int64)
    if not len(test) and settings.test_fraction:
        rows, test = _draw(rows, round(total * settings.test_fraction), strata, groups, generator)
    if not len(val) and settings.folds:
        rows, val = _fold(rows, settings, strata, groups, generator)
    elif not len(val):
        rows, val = _draw(rows, settings.val_count or round(total * settings.val_fraction), strata, groups, generator)
    if settings.train_per_class:
        shuffled = generator.permutation(rows)
        by_class = [shuffled[packed.labels[shuffled] == label] for label in np.unique(packed.labels[rows])]
        rows = np.concatenate([of_class[: settings.train_per_class] for of_class in by_class])
    parts = {"training": rows, "validation": val, **({"test": test} if settings.test_fraction else {})}
    for name, part in parts.items():
        if not len(part):
            raise DataError(f"no image is left for {name}: {counted(total, 'image')} to split; change {HOLDING_OUT}")
    missing = set(range(len(packed.class_names))) - set(packed.labels[rows].tolist())
    if missing:
        name, count = packed.class_names[min(missing)], int((packed.labels == min(missing)).sum())
        advice = "use --split stratified or another --seed"
        if settings.split == "stratified" or "train" in packed.splits:  # which has done what it can
            advice = f"it has {count} in all: add images of it, or leave the class out"
        raise DataError(f"no training image of class {name!r} in this split; {advice}")
    return Split(np.sort(rows), np.sort(val), np.sort(test))


def split_of(packed: Packed, settings: AnyTraining) -> Split:
    """Return the split of one training run, drawn by its seed; raises DataError as `split_rows` does."""
    return split_rows(packed, settings.split, Streams(settings.training.seed).numpy("split"))


def _draw(rows: Rows, count: int, strata: Rows, groups: Rows, generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return (the rest, `count` rows drawn, or as near as whole groups come to it)."""
    if count >= len(rows):
        raise DataError(cannot_hold_out(count, len(rows)))
    shuffled = generator.permutation(rows)
    first, sizes = _sizes_of(shuffled, groups)
    labels, totals = np.unique(strata[rows], return_counts=True)
    members = [strata[first] == label for label in labels]
    counts = _shares(_apportion(totals, count), [sizes[mask] for mask in members])
    drawn = [first[mask][choose(sizes[mask], count)] for mask, count in zip(members, counts, strict=True)]
    held = np.isin(groups[shuffled], groups[np.concatenate(drawn)])
    return shuffled[~held], shuffled[held]


def _fold(
    rows: Rows, settings: SplitSettings, strata: Rows, groups: Rows, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Return (the rest, the part held out); dealt out in turn, class after class if stratified, parts are alike."""
    shuffled = generator.permutation(rows)
    shuffled = shuffled[np.argsort(strata[shuffled], kind="stable")]
    first, sizes = _sizes_of(shuffled, groups)
    drawn = first[deal(strata[first], sizes, settings.folds) == settings.fold]
    held = np.isin(groups[shuffled], groups[drawn])
    return shuffled[~held], shuffled[held]


def _apportion(sizes: Rows, count: int) -> Rows:
    """Share `count` out over classes in proportion to their sizes (largest remainders), leaving each one at least."""
    exact = sizes * (count / sizes.sum())
    quotas: Rows = np.minimum(np.floor(exact).astype(np.int64), sizes - 1)
    by_remainder = np.argsort(-(exact - quotas), kind="stable")
    while quotas.sum() < count:
        open_classes = [i for i in by_remainder if quotas[i] < sizes[i] - 1]
        if not open_classes:
            raise DataError(
                f"cannot hold out {counted(count, 'image')} and leave one of every class for training; "
                f"change {HOLDING_OUT}"
            )
        for i in open_classes[: count - int(quotas.sum())]:
            quotas[i] += 1
    return quotas


# Parts made of whole groups of identical images


def _sizes_of(rows: Rows, groups: Rows) -> tuple[Rows, Rows]:
    """Return one row of each group among `rows`, in their order, and how many of `rows` the group has.

    A group's row is its lowest, so that a large group has no better place in a random order than a single image.
    """
    ordered = np.sort(rows)
    _, at, sizes = np.unique(groups[ordered], return_index=True, return_counts=True)
    size_of = dict(zip(ordered[at].tolist(), sizes.tolist(), strict=True))
    first = np.array([row for row in rows.tolist() if row in size_of], dtype=np.int64)
    return first, np.array([size_of[row] for row in first.tolist()], dtype=np.int64)


def choose(sizes: Rows, total: int) -> NDArray[np.bool_]:
    """Return which groups make up `total` images: the first ones that fit, and as few others as are needed for it.

    `total` is one of the numbers that groups of these sizes can make up.
    """
    chosen = np.zeros(len(sizes), dtype=bool)
    left, before = int(total), []  # before: what was left as each group's turn came
    for i, size in enumerate(sizes.tolist()):
        before.append(left)
        chosen[i] = size <= left
        left -= size * chosen[i]
    if not left:
        return chosen
    reachable, start = [1], len(sizes)  # as bits, the numbers that the groups from `start` on can make up, at the end
    while start == len(sizes) or not reachable[-1] >> before[start] & 1:
        start -= 1
        reachable.append(reachable[-1] | reachable[-1] << int(sizes[start]))
    left = before[start]
    for i in range(start, len(sizes)):
        rest, size = reachable[len(sizes) - i - 1], int(sizes[i])
        chosen[i] = size <= left and bool(rest >> (left - size) & 1)
        left -= size * chosen[i]
    return chosen


def _shares(quotas: Rows, sizes: Sequence[Rows]) -> list[int]:
    """Return how many images each class gives: its quota, or what whole groups of its `sizes` come nearest to.

    Together they come as near as possible to all quotas together, then each to its own; a class never gives all.
    """
    possible = [_sums(of) for of in sizes]
    if all(sums >> int(quota) & 1 for sums, quota in zip(possible, quotas, strict=True)):
        return [int(quota) for quota in quotas]
    largest = max(int(of.max()) for of in sizes)
    most = max(largest, min(largest**2, MOST_OFF))
    reach = 4 * most  # deviations of the classes so far together, from -reach to reach
    cost = np.full(2 * reach + 1, np.inf)
    cost[reach] = 0
    steps = []
    for sums, of, quota in zip(possible, sizes, quotas.tolist(), strict=True):
        offs = [n - quota for n in range(max(0, quota - most), min(int(of.sum()), quota + most + 1)) if sums >> n & 1]
        new, step = np.full_like(cost, np.inf), np.zeros(len(cost), dtype=np.int64)
        for off in sorted(offs, key=abs):
            shifted = np.full_like(cost, np.inf)
            into, out_of = slice(max(0, off), len(cost) + min(0, off)), slice(max(0, -off), len(cost) - max(0, off))
            shifted[into] = cost[out_of] + abs(off)
            better = shifted < new
            new[better], step[better] = shifted[better], off
        cost = new
        steps.append(step)
    nothing = reach - int(quotas.sum())  # taken only where nothing else can be
    at = min(np.flatnonzero(np.isfinite(cost)).tolist(), key=lambda i: (i == nothing, abs(i - reach), cost[i]))
    counts = []
    for step, quota in zip(reversed(steps), reversed(quotas.tolist()), strict=True):
        counts.append(quota + int(step[at]))
        at -= int(step[at])
    return counts[::-1]


def _sums(sizes: Rows) -> int:
    """Return, as bits, the numbers of images that groups of these sizes can make up, all of them together excepted."""
    sums = 1
    for size, count in zip(*(part.tolist() for part in np.unique(sizes, return_counts=True)), strict=True):
        step = 1
        while count:  # by 1, 2, 4, ... groups of a size: one by one would be quadratic, and these are mostly single
            taken = min(step, count)
            sums |= sums << size * taken
            count, step = count - taken, 2 * step
    return sums & ~(1 << int(sizes.sum()))


def deal(strata: Rows, sizes: Rows, parts: int) -> Rows:
    """Return the part that each group goes to: the one with fewest images of its stratum, then fewest of all.

    Groups come stratum after stratum; the larger ones of each are dealt out first, so that single images level the
    parts; single images alone are thereby dealt out in turn.
    """
    part_of, total = np.zeros(len(sizes), dtype=np.int64), [0] * parts
    for stratum in np.unique(strata):
        members, own = np.flatnonzero(strata == stratum), [0] * parts
        for i in members[np.argsort(-sizes[members], kind="stable")].tolist():
            part = min(range(parts), key=lambda k: (own[k], total[k], k))
            part_of[i] = part
            own[part] += int(sizes[i])
            total[part] += int(sizes[i])
    return part_of

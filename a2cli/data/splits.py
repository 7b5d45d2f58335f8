"""Which images are for training, validation and the sealed test; identical images are drawn together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a2cli.data.duplicates import rows_in_use
from a2cli.data.groups import choose, deal, shares, sizes_of
from a2cli.data.packing import Packed
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.runtime import Streams
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.training import SplitSettings

Rows = NDArray[np.int64]
HOLDING_OUT = "--val-count, --val-fraction or --test-fraction"


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
    given = np.full(len(groups), "left out", dtype="<U8")
    given[used] = np.array(packed.splits)[used]
    rows = np.flatnonzero((given == "") | (given == "train"))
    val, test = np.flatnonzero(given == "val"), np.flatnonzero(given == "test")
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
        raise DataError(f"cannot hold out {count} of {len(rows)} images; change {HOLDING_OUT}")
    shuffled = generator.permutation(rows)
    first, sizes = sizes_of(shuffled, groups)
    labels, totals = np.unique(strata[rows], return_counts=True)
    members = [strata[first] == label for label in labels]
    counts = shares(_apportion(totals, count), [sizes[mask] for mask in members])
    drawn = [first[mask][choose(sizes[mask], count)] for mask, count in zip(members, counts, strict=True)]
    held = np.isin(groups[shuffled], groups[np.concatenate(drawn)])
    return shuffled[~held], shuffled[held]


def _fold(
    rows: Rows, settings: SplitSettings, strata: Rows, groups: Rows, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Return (the rest, the part held out); dealt out in turn, class after class if stratified, parts are alike."""
    shuffled = generator.permutation(rows)
    shuffled = shuffled[np.argsort(strata[shuffled], kind="stable")]
    first, sizes = sizes_of(shuffled, groups)
    drawn = first[deal(strata[first], sizes, settings.folds) == settings.fold]
    held = np.isin(groups[shuffled], groups[drawn])
    return shuffled[~held], shuffled[held]


def _apportion(sizes: Rows, count: int) -> Rows:
    """Share `count` out over classes in proportion to their sizes (largest remainders), leaving each one at least."""
    exact = sizes * (count / sizes.sum())
    shares: Rows = np.minimum(np.floor(exact).astype(np.int64), sizes - 1)
    by_remainder = np.argsort(-(exact - shares), kind="stable")
    while shares.sum() < count:
        open_classes = [i for i in by_remainder if shares[i] < sizes[i] - 1]
        if not open_classes:
            raise DataError(
                f"cannot hold out {counted(count, 'image')} and leave one of every class for training; "
                f"change {HOLDING_OUT}"
            )
        for i in open_classes[: count - int(shares.sum())]:
            shares[i] += 1
    return shares

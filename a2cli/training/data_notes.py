"""What is said of the data: its summary, images that are (nearly) identical, classes with too few. Needs no torch."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from a2cli.data.duplicates import contradictory, identical, identical_in_words, rows_in_use
from a2cli.data.packing import Packed
from a2cli.data.splits import Split, split_of
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.reports.data_results import NearDuplicate
from a2cli.reports.report import DataSummary
from a2cli.settings.training import TrainCnnSettings

MOST_LISTED = 50  # pairs in a report
FEW, MOST_NAMED = 5, 5  # images of a class; classes that a warning names


def data_summary(packed: Packed, source: str, train: int, val: int, test: int) -> DataSummary:
    """Return what a report says of the data, with so many images in each part."""
    counts = Counter(packed.labels.tolist())
    return DataSummary(
        source=source,
        classes={name: counts[i] for i, name in enumerate(packed.class_names)},
        train=train,
        val=val,
        test=test,
        skipped=list(packed.skipped),
        fingerprint=packed.fingerprint,
        identical=[[packed.names[row] for row in rows] for rows in identical(packed.groups)],
        passed_over=dict(packed.passed_over),
        unused=list(packed.unused),
        constant=list(packed.constant),
        scaling=packed.scaling,
        given=given_parts(packed),
    )


def identical_notes(packed: Packed, duplicates: str) -> list[str]:
    """Say which images are identical and what is done about it, and how many of a given split are in two parts."""
    used = rows_in_use(packed.groups, packed.labels, packed.names, packed.class_names, duplicates)
    if not (groups := identical_in_words(packed.groups, packed.names)):
        return []
    left_out = len(packed.labels) - len(used)
    effect = {
        "keep": "each group stays in one part of a split that is drawn",
        "drop": f"the first of each group under one label is used, {counted(left_out, 'image')} left out",
        "ungrouped": "the split draws each image by itself, so that they may be in different parts",
    }[duplicates]
    given = np.full(len(packed.groups), "left out", dtype="<U8")
    given[used] = np.array(packed.splits)[used]
    shared = shared_between_parts(packed, given.tolist())
    return [f"{groups}; {effect}", *(f"{note}; the results have the accuracy without them as well" for note in shared)]


def shared_between_parts(packed: Packed, parts: Sequence[str]) -> list[str]:
    """Say how many validation and test images are also in an earlier part; `parts` are train, val, test or others."""
    given, groups, notes = np.array(parts), packed.groups, []
    for part, earlier, words in (
        ("val", ["train"], "validation images are also among those for training"),
        ("test", ["train", "val"], "test images are also among those for training or validation"),
    ):
        rows, before = np.flatnonzero(given == part), np.flatnonzero(np.isin(given, earlier))
        if shared := int(np.isin(groups[rows], groups[before]).sum()):
            notes.append(f"{shared} of {len(rows)} {words}, as the data was split")
    return notes


def near_pairs(packed: Packed, parts: Sequence[str]) -> list[NearDuplicate]:
    """Return the near duplicates, those in two parts of the split first, then the most similar first.

    `parts` says of each image where it is: train, val, test, or nothing.
    """
    pairs = [
        NearDuplicate(packed.names[i], packed.names[j], similarity, parts[i], parts[j],
                      bool(packed.labels[i] == packed.labels[j]))
        for i, j, similarity in packed.near
    ]  # fmt: skip
    return sorted(pairs, key=lambda pair: (not pair.in_two_parts, -pair.similarity))


def near_notes(pairs: Sequence[NearDuplicate], split: str = "the split") -> list[str]:
    """Say how many images are nearly identical, how many pairs are in two parts of `split`, and name the first."""
    if not pairs:
        return []
    parted = Counter(" and ".join(sorted({pair.first_part, pair.second_part})) for pair in pairs if pair.in_two_parts)
    placed = [bool(part) for pair in pairs for part in (pair.first_part, pair.second_part)]
    others = sum(not pair.same_class for pair in pairs)
    labels = f", {others} under two labels" if others else ""
    named = f"{pairs[0].first} and {pairs[0].second}"
    if len(pairs) == 1:
        where = f", {'in ' + next(iter(parted)) if parted else 'both in one part'} of {split}" if all(placed) else ""
        labels = labels.replace("1 under", "under")
        return [f"a pair of nearly identical images, {named}{where}{labels}"]
    where = ", ".join(f"{count} in {parts}" for parts, count in sorted(parted.items())) or "none of them in two parts"
    where = f"; {where} of {split}" if any(placed) else ""
    return [f"{len(pairs)} pairs of nearly identical images, as {named}{where}{labels}"]


def given_parts(packed: Packed) -> list[str]:
    """Return the parts of a split that the data came with."""
    return [part for part in ("train", "val", "test") if part in packed.splits]


def notes_on_parts(packed: Packed, splits: Mapping[str, Split], name: str = "the split") -> tuple[list[str], list[str]]:
    """Say of `name`, a split, which images are nearly identical, and which classes have few images in a part.

    `splits` are those of one run, or of several seeds or folds by their titles; the first is told of, and of classes
    with few images the first that has some, with how many do.
    """
    near = near_notes(near_pairs(packed, next(iter(splits.values())).parts(len(packed.labels))), name)
    few = list[str]()
    for part, name_of in (("validation", "val"), ("test", "test")):
        rows = {title: drawn for title, split in splits.items() if len(drawn := getattr(split, name_of))}
        same = len({frozenset(drawn.tolist()) for drawn in rows.values()}) == 1
        notes = {
            title: note for title, drawn in rows.items()
            if (note := few_note(part if same else f"{part} of {title}", packed.labels[drawn], packed.class_names))
        }  # fmt: skip
        first = next(iter(notes), "")
        if len(notes) > 1 and not same:
            notes[first] += f"; {len(notes)} of {len(rows)} {first.split()[0]}s have such classes"
        few += [notes[first]] if notes else []
    return near, few


def notes_on_default_split(packed: Packed) -> list[str]:
    """Say what a training at its defaults warns of in the split, or why it refuses it; raises nothing.

    Nothing is said of identical images under two labels, which are an error of the data.
    """
    usual, given = TrainCnnSettings(), given_parts(packed)
    flags = f"(--val-fraction {usual.split.val_fraction:g}, --seed {usual.training.seed})"
    name = "the split" if "val" in given else f"the default split {flags}"
    prefix = "" if "val" in given else f"with {name}: "
    try:
        near, few = notes_on_parts(packed, {"": split_of(packed, usual)}, name)
    except DataError as error:
        near, few = near_notes(near_pairs(packed, packed.splits)), [str(error)]
        if contradictory(packed.groups, packed.labels):
            return near
    return [*near, *(f"{prefix}{note}" for note in few)]


def few_note(part: str, labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Name the classes with too few images in a part of the data to say anything of them; nothing where all have."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    absent = [name for name, count in zip(classes, counts, strict=True) if not count]
    few = [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if 0 < count < FEW]
    lacks = [f"no image of {_some(absent)}"] * bool(absent) + [f"fewer than {FEW} images of {_some(few)}"] * bool(few)
    if not lacks:
        return ""
    return f"{part}: {' and '.join(lacks)}, so next to nothing is known of how well these are recognised"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more classes" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more

"""Identical images: which have the same pixels, and which of them a training uses."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from a2cli.errors import DataError
from a2cli.formats import counted

Rows = NDArray[np.int64]


def digest_of(image: NDArray[np.uint8]) -> bytes:
    """Return the SHA-256 of an image's pixels."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def groups_of(digests: Iterable[bytes]) -> Rows:
    """Return for each image the row of the first one with the same digest: its own where it is the only one."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=np.int64)


def identical(groups: Rows) -> list[list[int]]:
    """Return the rows of each group of two or more identical images."""
    rows_of: dict[int, list[int]] = {}
    for row in np.flatnonzero(groups != np.arange(len(groups))).tolist():  # of a million rows, few are repeated
        rows_of.setdefault(int(groups[row]), [int(groups[row])]).append(row)
    return [rows_of[first] for first in sorted(rows_of)]


def groups_from(groups: Sequence[Sequence[int]], count: int) -> Rows:
    """Return what `identical` made these groups of, for so many images."""
    first = np.arange(count)
    for rows in groups:
        first[list(rows)] = rows[0]
    return first


def contradictory(groups: Rows, labels: Rows) -> list[tuple[int, int]]:
    """Return of each group of identical images under several labels two rows that show it."""
    pairs = ((rows[0], next((row for row in rows if labels[row] != labels[rows[0]]), -1)) for rows in identical(groups))
    return [pair for pair in pairs if pair[1] >= 0]


def rows_in_use(groups: Rows, labels: Rows, names: Sequence[str], classes: Sequence[str], duplicates: str) -> Rows:
    """Return the rows of the images that a training uses, as `--duplicates` says.

    With drop these are the first of each group, and none of a group under two labels. Raises DataError for identical
    images under two labels, and with `error` for any.
    """
    every = np.arange(len(groups))
    if duplicates == "ungrouped" or not (repeated := identical(groups)):
        return every
    unclear = contradictory(groups, labels)
    if duplicates == "drop":
        return np.setdiff1d(every[groups == every], [first for first, _ in unclear])
    if unclear:
        raise DataError(
            f"--data: {contradictory_in_words(unclear, labels, names, classes)}; "
            "remove what is labelled wrongly, or leave all of them out with --duplicates drop"
        )
    if duplicates == "error":
        first, second = repeated[0][:2]
        raise DataError(
            f"--data: identical images: {names[first]} and {names[second]}{and_more(len(repeated))}; "
            "remove all but one of each, or use --duplicates keep or drop"
        )
    return every


def contradictory_in_words(
    pairs: Sequence[tuple[int, int]], labels: Rows, names: Sequence[str], classes: Sequence[str]
) -> str:
    """Return the first of the pairs that `contradictory` gave, and how many more there are."""
    pair = " and ".join(f"{names[row]} ({classes[labels[row]]})" for row in pairs[0])
    return f"identical images under two labels: {pair}{and_more(len(pairs))}"


def identical_in_words(groups: Rows, names: Sequence[str]) -> str:
    """Return how many identical images there are, and the names of two; nothing where there are none."""
    if not (repeated := identical(groups)):
        return ""
    images, (first, second) = sum(map(len, repeated)), repeated[0][:2]
    among = f" in {counted(len(repeated), 'group')}" if len(repeated) > 1 else ""
    return f"{images} identical images{among}, as {names[first]} and {names[second]}"


def and_more(count: int) -> str:
    """Return how many groups there are besides the one that a message names."""
    return f" (and {count - 1} more)" if count > 1 else ""

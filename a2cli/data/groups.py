"""How whole groups of images make up parts of a wanted size; where every group is a single image, by counting alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
MOST_OFF = 500  # how far a class may be from its quota, so that all classes together come to what was asked


def sizes_of(rows: Rows, groups: Rows) -> tuple[Rows, Rows]:
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


def shares(quotas: Rows, sizes: Sequence[Rows]) -> list[int]:
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

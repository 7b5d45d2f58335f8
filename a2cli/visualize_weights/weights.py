"""What a layer's weights show, and whether weights drawn at random would show the same.

U units, each with I incoming weights; a filter is (C, H, W).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from a2cli.runtime import one_thread
from a2cli.visualize_weights.results import Measure

DUPLICATE = 0.95  # the cosine from which on two units count as the same
LEVEL = 0.001  # of a false "learned", over all layers and measures of a network together
MOST_UNITS = 512  # of larger layers so many units, evenly spaced: a spectrum takes their number's third power
JUDGED = ("norm variation", "effective rank", "top share", "smoothness")  # blind to the weights' scale


def matrix_of(weight: Tensor) -> Tensor:
    """Return a layer's weights, (U, C, H, W) or (U, I), as (U, I) in double precision; of many units some."""
    rows = weight.detach().cpu().flatten(1)
    return rows[:: -(-len(rows) // MOST_UNITS)].double()


@one_thread()
def duplicates(weight: Tensor) -> list[list[int]]:
    """Return the groups of units whose incoming weights point the same way: a cosine of 0.95 at least, in a chain."""
    from scipy.sparse.csgraph import connected_components

    # In double precision an AlexNet's largest layer takes twice as long.
    rows = weight.detach().cpu().flatten(1).float()
    rows = rows / rows.double().norm(dim=1, keepdim=True).clamp_min(1e-30).float()
    alike = (rows @ rows.T >= DUPLICATE).fill_diagonal_(False)
    units = alike.any(dim=1).nonzero().flatten()
    _, group_of = connected_components(alike[units][:, units].numpy(), directed=False)
    groups: dict[int, list[int]] = {}
    for unit, group in zip(units.tolist(), group_of.tolist(), strict=True):
        groups.setdefault(group, []).append(unit)
    return list(groups.values())


@one_thread()
def spectrum(weight: Tensor) -> Tensor:
    """Return the singular values of the weights as a matrix (U, I), the largest first."""
    rows = matrix_of(weight)
    short = rows if rows.shape[0] <= rows.shape[1] else rows.T
    values: Tensor = torch.linalg.eigvalsh(short @ short.T).clamp_min(0).sqrt().flip(0)  # far quicker than an SVD
    return values


def smoothness(filters: Tensor) -> float | None:
    """Return the correlation of weights with their neighbours below and to the right; None where there are none.

    filters: (U, C, H, W). About 0 of weights drawn one by one, towards 1 of smooth ones (Moran 1950, with these
    neighbours, the mean being zero).
    """
    pairs = [(filters[..., 1:, :], filters[..., :-1, :]), (filters[..., 1:], filters[..., :-1])]
    count = sum(weights.numel() for weights, _ in pairs)
    power = float(filters.double().square().mean())
    if not count or not power:
        return None
    return sum(float((weights.double() * next_.double()).sum()) for weights, next_ in pairs) / count / power


def measures_of(weight: Tensor, filters: Tensor | None, values: Tensor | None = None) -> dict[str, float]:
    """Return what is measured of a layer's weights; `filters` are those of a first layer, as pictures.

    `values` are the weights' `spectrum`, where the caller has it.

    Effective rank: the exponential of the entropy of the singular values' shares (Roy & Vetterli 2007), over the
    largest rank that there could be. Top share: the largest singular value's share of all squared.
    """
    norms, values = matrix_of(weight).norm(dim=1), spectrum(weight) if values is None else values
    mean = float(norms.mean())
    measures = {"norm": mean}
    if len(norms) > 1 and mean:
        measures["norm variation"] = float(norms.std()) / mean
    if float(values[0]):
        shares = values / values.sum()
        entropy = -float((shares * shares.clamp_min(1e-300).log()).sum())
        measures["effective rank"] = float(torch.tensor(entropy).exp()) / len(values)
        measures["top share"] = float(values[0].square() / values.square().sum())
    if filters is not None and (smooth := smoothness(filters)) is not None:
        measures["smoothness"] = smooth
    return measures


def judged(value: float, drawn: Sequence[float], name: str) -> Measure:
    """Return a measure against those of networks drawn at random: the chance that one more of them lay as far out.

    By the prediction interval of a normal sample: (x - mean) / (s sqrt(1 + 1/n)) is Student's with n - 1 degrees.
    """
    from scipy.special import stdtr

    sample = torch.tensor(drawn, dtype=torch.float64)
    mean, deviation = float(sample.mean()), float(sample.std())
    away = abs(value - mean) / (1 + 1 / len(drawn)) ** 0.5
    chance = 2 * float(stdtr(len(drawn) - 1, -away / deviation)) if deviation else float(away == 0)
    return Measure(name, value, mean, deviation, chance)


def learned(layers: Mapping[str, Sequence[Measure]]) -> dict[str, bool]:
    """Return which layers' weights are not what drawing them would give, by Bonferroni over all layers and measures."""
    tests = sum(measure.name in JUDGED for measures in layers.values() for measure in measures)
    return {
        layer: any(measure.name in JUDGED and measure.chance < LEVEL / tests for measure in measures)
        for layer, measures in layers.items()
    }

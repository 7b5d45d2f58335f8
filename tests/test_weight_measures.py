"""What is measured of weights: against linear algebra, hand-counted filters, scipy, and networks drawn at random."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from a2cli.models.convnet import build_convnet
from a2cli.random_streams import Streams
from a2cli.settings.training import NetworkSettings
from a2cli.visualize_weights.results import Measure
from a2cli.visualize_weights.weights import (
    JUDGED,
    duplicates,
    judged,
    learned,
    matrix_of,
    measures_of,
    smoothness,
    spectrum,
)

REDRAWS = 16
SEEDS = range(1, 11)
Change = Callable[[str, Tensor], Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def orthonormal(rows: int, columns: int) -> Tensor:
    return torch.linalg.qr(normal(columns, rows).double())[0].T


def test_copies_are_found_whatever_their_length() -> None:
    weight = normal(16, 3, 5, 5)
    assert duplicates(weight) == []
    weight[9] = 3 * weight[2]
    weight[14] = -weight[5]
    assert duplicates(weight) == [[2, 9]]
    weight[0] = 0.01 * weight[11]
    weight[12] = weight[2] + 1e-3
    assert duplicates(weight) == [[0, 11], [2, 9, 12]]


@pytest.mark.parametrize(("cosine", "found"), [(0.94, []), (0.96, [[0, 1]])])
def test_how_near_a_copy_must_be(cosine: float, found: list[list[int]]) -> None:
    assert duplicates(torch.tensor([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5], [0.0, -1.0]])) == found


def test_a_chain_is_one_group() -> None:
    angles = torch.tensor([0.0, 0.9, 0.3, 0.6])  # neighbours' cosine is 0.955, that of the ends 0.62
    assert duplicates(torch.stack((angles.cos(), angles.sin()), dim=1)) == [[0, 1, 2, 3]]


def test_dead_weights_are_no_copies_of_each_other() -> None:
    weight = normal(6, 20)
    weight[[1, 4]] = 0
    assert duplicates(weight) == []


@pytest.mark.parametrize("shape", [(16, 3, 5, 5), (64, 7), (5, 5), (1, 9)])
def test_the_spectrum_is_that_of_an_svd(shape: tuple[int, ...]) -> None:
    weight = normal(*shape)
    expected = torch.linalg.svdvals(weight.flatten(1).double())
    torch.testing.assert_close(spectrum(weight), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("measure", [spectrum, duplicates])
def test_products_in_double_precision_have_one_thread(
    measure: Callable[[Tensor], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, product = [], Tensor.__matmul__

    def multiplied(self: Tensor, other: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return product(self, other)

    monkeypatch.setattr(Tensor, "__matmul__", multiplied)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        measure(normal(300, 2352))  # with more threads than cores 600 times as long as with one
        assert (seen, torch.get_num_threads()) == ([1], 4)
    finally:
        torch.set_num_threads(before)


def test_of_a_large_layer_some_units_evenly_spaced() -> None:
    weight = torch.arange(1300.0)[:, None].expand(1300, 2)
    assert matrix_of(weight)[:, 0].tolist() == list(range(0, 1300, 3))
    assert len(matrix_of(weight[:512])) == 512


def test_rank_of_orthonormal_rows_and_of_one_direction() -> None:
    full = measures_of(4 * orthonormal(12, 40), None)
    assert full["effective rank"] == pytest.approx(1)
    assert full["top share"] == pytest.approx(1 / 12)
    assert full["norm"] == pytest.approx(4)
    assert full["norm variation"] == pytest.approx(0, abs=1e-9)
    one = measures_of(torch.outer(torch.arange(1.0, 13), normal(40)), None)
    assert one["effective rank"] == pytest.approx(1 / 12, rel=1e-3)
    assert one["top share"] == pytest.approx(1)
    assert one["norm variation"] == pytest.approx(stats.variation(range(1, 13), ddof=1))
    half = torch.cat((orthonormal(12, 40)[:6], torch.zeros(6, 40)))
    assert measures_of(half, None)["effective rank"] == pytest.approx(6 / 12, rel=1e-3)


def test_effective_rank_is_the_entropys() -> None:
    weight = normal(10, 30)
    values = torch.linalg.svdvals(weight.double()).numpy()
    expected = float(torch.tensor(stats.entropy(values)).exp()) / 10
    assert measures_of(weight, None)["effective rank"] == pytest.approx(expected)


def test_smoothness_by_hand() -> None:
    """1 2 over 3 4: the pairs are 1x3, 2x4, 1x2 and 3x4, together 25 of four; the mean square is 30 of four."""
    assert smoothness(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])) == pytest.approx(25 / 30)
    assert smoothness(torch.tensor([[[[1.0, -1.0], [-1.0, 1.0]]]])) == pytest.approx(-1)
    assert smoothness(torch.tensor([[[[1.0, 2.0, -3.0]]]])) == pytest.approx((2 - 6) / 2 / (14 / 3))


def test_smoothness_of_noise_and_of_what_is_smooth() -> None:
    noise = normal(64, 3, 11, 11)
    assert smoothness(noise) == pytest.approx(0, abs=0.02)
    blurred = nn.functional.avg_pool2d(normal(64, 3, 25, 25), 15, 1)
    assert 0.8 < (smoothness(blurred) or 0) < 1
    assert smoothness(torch.full((4, 3, 5, 5), -0.3)) == pytest.approx(1)


def test_where_there_is_no_smoothness() -> None:
    assert smoothness(normal(8, 3, 1, 1)) is None
    assert smoothness(torch.zeros(8, 3, 5, 5)) is None
    assert "smoothness" not in measures_of(normal(8, 3, 1, 1), normal(8, 3, 1, 1))
    assert "smoothness" not in measures_of(normal(8, 3, 5, 5), None)
    assert measures_of(normal(8, 75), normal(8, 3, 5, 5))["smoothness"] == smoothness(normal(8, 3, 5, 5))


@pytest.mark.parametrize("count", [2, 5, 16, 17])
@pytest.mark.parametrize("away", [-6.0, -0.5, 0.1, 2.0, 9.0])
def test_the_chance_is_that_of_a_two_sample_t_test_with_one_value(count: int, away: float) -> None:
    """One new value against a sample is scipy's pooled t test with a sample of one."""
    drawn = (0.3 + 0.05 * normal(count).double()).tolist()
    value = 0.3 + 0.05 * away
    found = judged(value, drawn, "top share")
    assert found.chance == pytest.approx(float(stats.ttest_ind([value], drawn).pvalue), rel=1e-6)
    assert (found.random, found.deviation) == pytest.approx((stats.tmean(drawn), stats.tstd(drawn)))


def test_the_chance_where_all_draws_are_the_same() -> None:
    assert judged(0.5, [0.5, 0.5, 0.5], "norm").chance == 1
    assert judged(0.6, [0.5, 0.5, 0.5], "norm").chance == 0


def test_many_measures_need_a_smaller_chance_each() -> None:
    def found(chance: float, name: str = "top share") -> Measure:
        return Measure(name, 0, 0, 1, chance)

    assert learned({"a": [found(0.0009)]}) == {"a": True}
    assert learned({"a": [found(0.0009)], "b": [found(0.5)]}) == {"a": False, "b": False}
    assert learned({"a": [found(0.0004)], "b": [found(0.5)]}) == {"a": True, "b": False}
    assert learned({"a": [found(0.0009), found(0, "norm")]}) == {"a": True}  # the scale is no evidence, and no test


def measured(streams: Streams, change: Change) -> dict[str, dict[str, float]]:
    model = build_convnet(NetworkSettings(), 50, 11, (0.5,) * 3, (0.25,) * 3, streams)
    found = {}
    for name, module in model.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = change(name, module.weight.detach())
            found[name] = measures_of(weight, weight if name == "conv1" else None)
    return found


def unchanged(_: str, weight: Tensor) -> Tensor:
    return weight


@cache
def redrawn() -> list[dict[str, dict[str, float]]]:
    return [measured(Streams(1000 + number), unchanged) for number in range(REDRAWS)]


def judged_network(seed: int, change: Change) -> dict[str, list[Measure]]:
    return {
        layer: [judged(value, [one[layer][name] for one in redrawn()], name) for name, value in found.items()]
        for layer, found in measured(Streams(seed), change).items()
    }


@pytest.mark.parametrize("scale", [1.0, 0.1], ids=["drawn", "decayed"])
def test_a_random_network_has_learned_nothing(scale: float) -> None:
    """Nor has one that weight decay alone has shrunk; and a single seed could hide a test that is too eager."""
    for seed in SEEDS:
        measures = judged_network(seed, lambda _, weight: scale * weight)
        assert not any(learned(measures).values()), seed
        assert {one.name for one in measures["conv1"]} == {"norm", *JUDGED}
        if scale < 1:
            assert all(found[0].name == "norm" and found[0].chance < 1e-6 for found in measures.values())


def test_decay_changes_no_verdict_and_no_judged_measure() -> None:
    before, after = judged_network(3, smoothed), judged_network(3, lambda *one: 0.1 * smoothed(*one))
    assert learned(before) == learned(after)
    for layer, found in before.items():
        for one, other in zip(found, after[layer], strict=True):
            assert (one.name not in JUDGED) or other.value == pytest.approx(one.value, rel=1e-4)


def smoothed(name: str, weight: Tensor) -> Tensor:
    if name != "conv1":
        return weight
    soft = nn.functional.avg_pool2d(weight, 3, 1, 1, count_include_pad=False)
    return soft * weight.norm() / soft.norm()


def flattened(name: str, weight: Tensor) -> Tensor:
    """Half of the hidden layer's power into one direction."""
    if name != "hidden1":
        return weight
    return weight + weight.norm() * torch.outer(torch.ones(len(weight)) / 8, nn.functional.normalize(weight[0], dim=0))


@pytest.mark.parametrize(("change", "layer"), [(smoothed, "conv1"), (flattened, "hidden1")])
def test_structure_in_one_layer_is_seen_there_alone(change: Change, layer: str) -> None:
    for seed in SEEDS:
        found = learned(judged_network(seed, change))
        assert [name for name, yes in found.items() if yes] == [layer], seed

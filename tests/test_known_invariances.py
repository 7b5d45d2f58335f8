"""Networks whose invariances are known: what a probe says of them."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from a2cli.data.dataset import ImageSet
from a2cli.models.cards import ModelCard
from a2cli.models.convnet import build_convnet
from a2cli.models.layers import Normalize
from a2cli.probe_invariance.invariance import Answers, judged_changes, strength_point
from a2cli.probe_invariance.movement import caught, places_of
from a2cli.probe_invariance.results import ChangeResult
from a2cli.probe_invariance.run import Outcome, probe_subject
from a2cli.probe_invariance.settings import CHANGES, Probe, ProbeSettings
from a2cli.probe_invariance.targets import Network, ProbeTarget, TrainingRun
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import DataSummary
from a2cli.settings.training import DataSettings, NetworkSettings, TrainCnnSettings

SIDE = 24
SUMMARY = DataSummary("drawn", {}, 0, 0, 0, [], "f")
CPU = torch.device("cpu")


def subject(
    models: Sequence[nn.Module], images: Tensor, labels: Tensor, classes: int, augment: str = ""
) -> ProbeTarget:
    """Return networks on images (N, 3, 24, 24) uint8."""
    names = tuple("abcdef"[:classes])
    card = ModelCard("convnet", NetworkSettings(), names, SIDE, "squash", (0.5,) * 3, (1.0,) * 3)
    stored = images.permute(0, 2, 3, 1).contiguous()
    data = ImageSet(stored, torch.arange(len(images)), labels)
    settings = TrainCnnSettings(dataset=DataSettings(image_size=SIDE, augment=(augment,) if augment else ()))
    networks = [Network("", model, card, data, 0, None, "") for model in models]
    return ProbeTarget("a", TrainingRun("a", settings), networks, "drawn", "f", SUMMARY, [], names, is_grey=False,
                       is_padded=False, notes=())  # fmt: skip


def probe(one: ProbeTarget, *changes: str, **settings: object) -> Outcome:
    return probe_subject(one, ProbeSettings(changes=changes, **settings), CPU, NullReporter())  # type: ignore[arg-type]


def by_name(outcome: Outcome) -> dict[str, ChangeResult]:
    return {one.title: one for one in outcome.result.changes}


@pytest.fixture(scope="module")
def stripes() -> tuple[Tensor, Tensor]:
    """400 noisy images striped along rows or columns: (N, 3, 24, 24) uint8, and which."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    period = torch.tensor([4, 6, 8])[torch.randint(0, 3, (400,), generator=rng)]
    phase = torch.randint(0, 8, (400,), generator=rng)
    waves = torch.sin(2 * torch.pi * (torch.arange(SIDE) + phase[:, None]) / period[:, None])
    along = torch.where(labels[:, None, None] == 0, waves[:, None, :], waves[:, :, None])
    noise = 25 * torch.randn(400, 3, SIDE, SIDE, generator=rng)
    return (128 + 60 * along[:, None] + noise).clamp(0, 255).to(torch.uint8), labels


def gradients(padding_mode: str = "circular") -> nn.Sequential:
    """Return a network that averages the steepness along rows and along columns, and answers with the larger."""
    convolution = nn.Conv2d(3, 4, 3, padding=1, padding_mode=padding_mode, bias=False)
    weight = torch.zeros(4, 3, 3, 3)
    for i, sign in enumerate((1.0, -1.0)):
        weight[i, :, 1, 0], weight[i, :, 1, 2] = -sign, sign
        weight[2 + i, :, 0, 1], weight[2 + i, :, 2, 1] = -sign, sign
    linear = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(weight)
        linear.weight.copy_(torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]))
    names = ("normalize", "conv", "relu", "pool", "flatten", "output")
    layers = (Normalize((0.5,) * 3, (1.0,) * 3), convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    return nn.Sequential(OrderedDict(zip(names, layers, strict=True)))


def test_circular_convolutions_and_global_pooling(stripes: tuple[Tensor, Tensor]) -> None:
    changes = ("translate-x", "translate-y", "translate", "rotate")
    outcome = probe(subject([gradients()], *stripes, 2), *changes, border="circular")
    assert outcome.result.unchanged.value > 0.95
    found = by_name(outcome)
    for name in changes[:3]:
        assert found[name].verdict == "invariant"
        assert found[name].halved_at == []
        for point in found[name].points:
            assert point.consistency.value == 1.0
            assert (point.lost, point.gained, point.difference, point.p_adjusted) == (0, 0, 0.0, 1.0)
            assert -0.05 < point.low < 0 < point.high < 0.05
            layers = {layer.layer: layer for layer in point.layers}
            # The convolution moves with the image, unit by unit; after pooling nothing is left of the move.
            assert layers["conv"].moved > 0.3
            assert layers["conv"].off_course is not None
            assert layers["conv"].off_course < 1e-5
            assert layers["output"].moved < 1e-5
    assert found["rotate"].verdict == "breaks"
    assert found["rotate"].points[-1].accuracy.value < 0.1  # turned by a right angle, stripes are the other kind
    assert found["rotate"].breaks_at[1] in (30, 45)
    assert 30 < found["rotate"].halved_at[1] < 60


def test_the_map_over_translations_agrees_with_the_curves(stripes: tuple[Tensor, Tensor]) -> None:
    outcome = probe(subject([gradients("zeros")], *stripes, 2), "translate-x", "translate-y", "translate")
    cells = {(round(right * SIDE), round(down * SIDE)): value for right, down, value in outcome.result.translations}
    assert len(cells) == 49
    assert cells[0, 0] == outcome.result.unchanged.value
    found = by_name(outcome)
    for name, step in (("translate-x", (1, 0)), ("translate-y", (0, 1)), ("translate", (1, 1))):
        curve = {round(point.strength * SIDE): point.accuracy.value for point in found[name].points if point.strength}
        for pixels in (-7, 7):
            assert cells[pixels * step[0], pixels * step[1]] == curve[pixels]


class Histogram(nn.Module):
    """The shares of dark, middle and light pixels in each channel: (N, 3, H, W) to (N, 9)."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat(
            [((images >= low) & (images < low + 85)).float().mean(dim=(2, 3)) for low in (0, 85, 170)], dim=1
        )


def colours() -> tuple[nn.Sequential, Tensor, Tensor]:
    """Return a network that reads a colour histogram, and images whose class is their lightest channel."""
    rng = torch.Generator().manual_seed(1)
    labels = torch.arange(450) % 3
    images = torch.randint(0, 150, (450, 3, SIDE, SIDE), generator=rng)
    images += 90 * torch.eye(3, dtype=torch.int64)[labels][:, :, None, None]
    linear = nn.Linear(9, 3, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.cat([-torch.eye(3), torch.zeros(3, 3), torch.eye(3)], dim=1))
    return nn.Sequential(OrderedDict(histogram=Histogram(), output=linear)), images.to(torch.uint8), labels


def test_a_colour_histogram() -> None:
    model, images, labels = colours()
    found = by_name(probe(subject([model], images, labels, 3), "flip-horizontal", "flip-vertical", "hue", "invert"))
    for name in ("flip-horizontal", "flip-vertical"):
        assert found[name].verdict == "invariant"
        assert found[name].points[0].consistency.value == 1.0
        assert found[name].points[0].layers[-1].moved == 0
    hue = found["hue"]
    assert hue.verdict == "breaks"
    assert all(abs(value) <= 0.4 for value in hue.breaks_at)
    assert len(hue.halved_at) == 2
    assert found["invert"].verdict == "breaks"


def test_a_constant_network_is_not_called_robust(stripes: tuple[Tensor, Tensor]) -> None:
    constant = nn.Linear(3 * SIDE * SIDE, 2)
    nn.init.zeros_(constant.weight)
    with torch.no_grad():
        constant.bias.copy_(torch.tensor([1.0, 0.0]))
    model = nn.Sequential(Normalize((0.5,) * 3, (1.0,) * 3), nn.Flatten(), constant)
    outcome = probe(subject([model], *stripes, 2), "rotate", "invert", "noise")
    assert outcome.result.unchanged.value == 0.5
    assert "nothing is said of what it survives" in outcome.result.verdict
    for one in outcome.result.changes:
        assert one.verdict == "undecided"
        assert one.more_images is None
        assert all(point.consistency.value == 1.0 for point in one.points)
        assert all(point.accuracy.value == 0.5 for point in one.points)


def test_few_images_leave_it_undecided_and_more_would_decide(stripes: tuple[Tensor, Tensor]) -> None:
    images, labels = stripes[0][:60], stripes[1][:60]
    few = by_name(probe(subject([gradients()], images, labels, 2), "translate-x", border="circular"))["translate-x"]
    assert few.verdict == "undecided"
    assert few.more_images is not None
    count = 60 + few.more_images
    more = stripes[0][:count], stripes[1][:count]
    enough = by_name(probe(subject([gradients()], *more, 2), "translate-x", border="circular"))["translate-x"]
    assert enough.verdict == "invariant"


def judged_of(lost: int, images: int) -> ChangeResult:
    """Return what is said of a change that costs `lost` answers at one strength and none at seven more."""
    everyone, nobody = np.arange(images), np.zeros(images, dtype=np.int64)
    sure = np.ones(images, dtype=np.float32)
    before = Answers(everyone, nobody, nobody, nobody, sure)
    after = replace(before, answers=(everyone < lost).astype(np.int64))
    strengths = CHANGES["rotate"].strengths
    points = [strength_point(before, after if s == 90 else before, s, 2, 1) for s in strengths]
    return judged_changes([(Probe("rotate", strengths), points)], before, 0.05, (), counts=True)[0]


@pytest.mark.parametrize("lost", [3, 5, 7])
def test_so_many_more_images_break_it(lost: int) -> None:
    """The number is of images that the verdict's own test needs, Holm's correction included."""
    few = judged_of(lost, 100)
    assert few.verdict == "undecided"
    assert few.more_images
    times = 1 + few.more_images / 100
    assert judged_of(math.ceil(lost * times), round(100 * times)).verdict == "breaks"
    fewer = 1 + few.more_images / 300
    assert judged_of(math.floor(lost * fewer), round(100 * fewer)).verdict == "undecided"


def test_a_wider_margin_survives_more(stripes: tuple[Tensor, Tensor]) -> None:
    verdicts = []
    for margin in (5.0, 80.0):
        outcome = probe(subject([gradients()], *stripes, 2), "rotate", strengths=("rotate=45",), margin=margin)
        verdicts.append(by_name(outcome)["rotate"].verdict)
    assert verdicts == ["breaks", "invariant"]


def test_several_networks_on_the_same_images_are_no_more_images(stripes: tuple[Tensor, Tensor]) -> None:
    alone = by_name(probe(subject([gradients()], *stripes, 2), "blur"))["blur"].points
    five = by_name(probe(subject([gradients()] * 5, *stripes, 2), "blur"))["blur"].points
    for one, many in zip(alone, five, strict=True):
        assert many.lost == 5 * one.lost
        assert many.networks == [one.accuracy.value] * 5
        assert (many.low, many.high) == pytest.approx((one.low, one.high))
        assert (many.p, many.accuracy.low) == pytest.approx((one.p, one.accuracy.low))


def test_random_strengths_lie_in_their_range(stripes: tuple[Tensor, Tensor]) -> None:
    """A network that breaks at 90 degrees and not at 10: at random between, it loses some of its answers."""
    model = subject([gradients()], *stripes, 2)
    outcome = probe(model, "rotate", random=("rotate=-10..10", "rotate=85..95"), draws=4)
    found = by_name(outcome)
    mild, strong = found["rotate -10..10"], found["rotate 85..95"]
    assert mild.points[0].accuracy.count == 4 * 400
    assert mild.points[0].strength is None
    assert mild.points[0].accuracy.value > 0.9
    assert strong.points[0].accuracy.value < 0.1
    assert (mild.verdict, strong.verdict) == ("invariant", "breaks")
    again = by_name(probe(model, "rotate", random=("rotate=-10..10",), draws=4))
    assert again["rotate -10..10"].points[0].consistency == mild.points[0].consistency


def test_what_training_showed_is_named(stripes: tuple[Tensor, Tensor]) -> None:
    found = by_name(probe(subject([gradients()], *stripes, 2, "rotate=30"), "rotate", "hue", "scale"))
    assert [found[name].augmented for name in ("rotate", "hue", "scale")] == ["rotate", None, None]


def test_places_of_maps() -> None:
    """A unit's centre is the middle of its receptive field, here by hand for 5x5/2, pool 2/2, 5x5/2."""
    network = NetworkSettings(channels=(4, 4), kernel_size=(5,), stride=(2,), pool="max")
    model = build_convnet(network, 50, 3, (0.5,) * 3, (1.0,) * 3, Streams(0))
    places = {name: (place.first.tolist(), place.jump.tolist()) for name, place in places_of(model).items()}
    assert places["conv1"] == ([2, 2], [2, 2])
    assert places["pool1"] == ([3, 3], [4, 4])
    assert places["conv2"] == ([11, 11], [8, 8])
    with caught(model) as activations, torch.inference_mode():
        model(torch.zeros(1, 3, 50, 50))
    assert set(places) <= set(activations)


def test_shares_of_movement_are_those_of_the_definition(stripes: tuple[Tensor, Tensor]) -> None:
    """Invert: the output's distance over that between two images, both by force."""
    model = gradients()
    outcome = probe(subject([model], *stripes, 2), "invert", "gamma")
    found = {layer.layer: layer.moved for layer in by_name(outcome)["gamma"].points[0].layers}
    images = stripes[0]
    with torch.inference_mode():
        before = model(images).double()
        after = model(((images / 255) ** 0.4 * 255).round().to(torch.uint8)).double()
    rows = torch.from_numpy(np.random.default_rng(0).permuted(np.tile(np.arange(400), (200, 1)), axis=1))
    apart = torch.stack([(before - before[order]).square().sum(1).mean() for order in rows]).mean()
    moved = (after - before).square().sum(1).mean()
    assert found["output"] == pytest.approx(float((moved / apart).sqrt()), rel=0.02)

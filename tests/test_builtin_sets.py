"""The built-in sets: what they hold, that they are the same everywhere, and that no shortcut tells the classes."""

import hashlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from a2cli.drawn_sets import atelier, portraits
from a2cli.drawn_sets.drawing import DrawnSet

REAL_COUNTS = [20, 54, 63, 70, 40, 40, 37, 36, 28, 40, 23]


@pytest.fixture(scope="module")
def canvases(drawn: Callable[[str], DrawnSet]) -> DrawnSet:
    return drawn("atelier")


@pytest.fixture(scope="module")
def pictures(drawn: Callable[[str], DrawnSet]) -> DrawnSet:
    return drawn("portraits")


@pytest.mark.slow
def test_atelier_has_the_real_sets_counts(canvases: DrawnSet) -> None:
    assert canvases.images.shape == (451, 128, 128, 3)
    assert canvases.images.dtype == np.uint8
    assert list(Counter(canvases.labels.tolist()).values()) == REAL_COUNTS
    assert len(set(canvases.class_names)) == 11
    assert len(set(canvases.names)) == 451


@pytest.mark.slow
def test_portraits_has_forty_people(pictures: DrawnSet) -> None:
    counts = Counter(pictures.labels.tolist())
    assert pictures.images.shape == (sum(counts.values()), 64, 64, 3)
    assert len(counts) == len(set(pictures.class_names)) == 40
    assert 18 <= min(counts.values()) <= max(counts.values()) <= 32


@pytest.mark.parametrize(("module", "number"), [(atelier, 0), (atelier, 6), (portraits, 3)])
def test_a_picture_depends_on_its_generator_alone(module: object, number: int) -> None:
    def digest(seed: int) -> str:
        rng = np.random.default_rng([seed, number, 2])
        if module is atelier:
            image = atelier._paint(number, rng)
        else:
            image = portraits._picture(portraits._people(0)[number], rng)
        return hashlib.sha256(image.tobytes()).hexdigest()

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)


def _aspect(image: NDArray[np.uint8]) -> float:
    painted = image.astype(int).sum(axis=2) > 24
    return float(painted.any(axis=0).sum() / painted.any(axis=1).sum())


@pytest.mark.slow
def test_format_alone_does_not_tell_the_painter(canvases: DrawnSet) -> None:
    aspects = np.log([_aspect(image) for image in canvases.images])
    middles = np.array([aspects[canvases.labels == label].mean() for label in range(11)])
    nearest = np.abs(aspects[:, None] - middles).argmin(axis=1)
    assert (nearest == canvases.labels).mean() < 0.35
    assert aspects.std() > 0.2, "the formats hardly differ"


@pytest.mark.slow
def test_mean_colour_alone_does_not_tell_the_class(canvases: DrawnSet, pictures: DrawnSet) -> None:
    for drawn in (canvases, pictures):
        means = drawn.images.reshape(len(drawn.images), -1, 3).mean(axis=1)
        middles = np.stack([means[drawn.labels == label].mean(axis=0) for label in range(len(drawn.class_names))])
        nearest = ((means[:, None] - middles) ** 2).sum(axis=2).argmin(axis=1)
        assert (nearest == drawn.labels).mean() < 0.5


@pytest.mark.slow
def test_canvases_are_centred_on_black(canvases: DrawnSet) -> None:
    for image in canvases.images[::37]:
        painted = image.astype(int).sum(axis=2) > 24
        for side in (painted.any(axis=0), painted.any(axis=1)):
            first, last = np.flatnonzero(side)[[0, -1]]
            assert abs(first - (127 - last)) <= 4

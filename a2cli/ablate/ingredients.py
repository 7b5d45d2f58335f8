"""The ingredients of a training, and the trainings that are left once some of them are taken away."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from a2cli.ablate.settings import ABLATIONS, AnyAblation
from a2cli.reports.ablation_results import NOTHING, WHOLE
from a2cli.settings.declare import changed, flat
from a2cli.settings.kinds import AnyTraining
from a2cli.strict_json import to_json


@dataclass(frozen=True)
class Ingredient:
    """Part of a training: the values that stand there once it is taken away, and the items it has in lists."""

    name: str
    values: Mapping[str, Any]
    items: Mapping[str, tuple[Any, ...]]

    @property
    def changed(self) -> set[str]:
        """The settings that taking it away changes."""
        return self.values.keys() | self.items.keys()

    def taken_from(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a training's settings by name without this ingredient."""
        shorter = {name: tuple(one for one in values[name] if one not in gone) for name, gone in self.items.items()}
        return {**values, **self.values, **shorter}


def base_training(settings: AnyAblation) -> AnyTraining:
    """Return the training that the ingredients are taken from."""
    kind = next(kind for kind, ablation in ABLATIONS.items() if isinstance(settings, ablation))
    return kind(**{item.name: getattr(settings, item.name) for item in fields(kind)})


def remove_ingredients(settings: AnyTraining, gone: Iterable[Ingredient]) -> AnyTraining:
    """Return a training without some ingredients."""
    values = flat(settings)
    for ingredient in gone:
        values = ingredient.taken_from(values)
    left: AnyTraining = _with(settings, values)
    return left


def _with(settings: Any, values: Mapping[str, Any]) -> Any:
    """Return a settings object with these values by name, groups opened."""
    given: dict[str, Any] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        given[item.name] = _with(value, values) if is_dataclass(value) else values[item.name]
    return replace(settings, **given)


def name_of(kept: Iterable[str], ingredients: Sequence[Ingredient]) -> str:
    """Return what a combination is called, by what it has or lacks, whichever is shorter."""
    kept = set(kept)
    has = [one.name for one in ingredients if one.name in kept]
    lacks = [one.name for one in ingredients if one.name not in kept]
    if not lacks:
        return WHOLE
    if not has:
        return NOTHING
    return f"only {', '.join(has)}" if len(has) < len(lacks) else f"without {', '.join(lacks)}"


def trial_of(settings: AnyTraining, seed: int, device: str) -> AnyTraining:
    """Return the training of one trial."""
    return replace(settings, training=replace(settings.training, seed=seed, seeds=1, threads=1, device=device))


def folder_of(settings: AnyTraining) -> str:
    """Return a new trial's folder: its seed and a digest of its settings, whatever its combination is called."""
    digest = hashlib.sha256(to_json(changed(settings)).encode()).hexdigest()[:16]
    return f"seed{settings.training.seed}-{digest}"

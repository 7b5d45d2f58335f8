"""The ingredients of a training, and the trainings that are left once some of them are taken away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from a2cli.reports.ablation_results import NOTHING, WHOLE
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining
from a2cli.study.settings import with_values


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
        shorter = {name: tuple(item for item in values[name] if item not in gone) for name, gone in self.items.items()}
        return {**values, **self.values, **shorter}


def remove_ingredients(settings: AnyTraining, gone: Iterable[Ingredient]) -> AnyTraining:
    """Return a training without some ingredients."""
    values = flat(settings)
    for ingredient in gone:
        values = ingredient.taken_from(values)
    left: AnyTraining = with_values(settings, values)
    return left


def name_of(kept: Iterable[str], ingredients: Sequence[Ingredient]) -> str:
    """Return what a combination is called, by what it has or lacks, whichever is shorter."""
    kept = set(kept)
    has = [ingredient.name for ingredient in ingredients if ingredient.name in kept]
    lacks = [ingredient.name for ingredient in ingredients if ingredient.name not in kept]
    if not lacks:
        return WHOLE
    if not has:
        return NOTHING
    return f"only {', '.join(has)}" if len(has) < len(lacks) else f"without {', '.join(lacks)}"

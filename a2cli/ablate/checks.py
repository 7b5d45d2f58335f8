"""The ingredients that words name, settings of an ablation that cannot act, and what it would run."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, combinations
from typing import Any

from a2cli.ablate.ingredients import Ingredient, remove_ingredients
from a2cli.ablate.settings import AnyAblation
from a2cli.errors import SettingsError, naming, nearest
from a2cli.formats import counted
from a2cli.machine import cores
from a2cli.settings.conflicts import inactive_settings, warn_or_raise
from a2cli.settings.declare import declared, flat, shown
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.options import checked
from a2cli.settings.presets import Resolved
from a2cli.settings.transfer import FinetuneSettings
from a2cli.study.checks import check_study
from a2cli.study.settings import base_training
from a2cli.train.checks import check_training

# What decides on which images, or how often, is judged: without it nothing could be compared.
FIXED = {"data", "split", "val_fraction", "val_count", "test_fraction", "folds", "fold", "seed", "seeds", "threads",
         "test_curve", "device"}  # fmt: skip
MOST_FOR_ALL = 10


def ingredients_of(settings: AnyAblation) -> list[Ingredient]:
    """Return the ingredients that --without names; raises SettingsError for words that name none."""
    whole = base_training(settings)
    ingredients = [_ingredient(words, whole) for words in settings.ablation.without]
    if not ingredients:
        raise SettingsError(f"--without: name an ingredient at least, as --without {_example(whole)}")
    names = [ingredient.name for ingredient in ingredients]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SettingsError(f"--without: {twice[0]} comes twice")
    for first, second in combinations(ingredients, 2):
        both = (first.values.keys() & second.changed) | (second.values.keys() & first.changed)
        both |= {name for name, items in first.items.items() if set(items) & set(second.items.get(name, ()))}
        if both:
            raise SettingsError(f"--without: {first.name} and {second.name} both change {min(both)}")
    return ingredients


def _ingredient(words: str, whole: AnyTraining) -> Ingredient:
    settings = {item.name: item for item in declared(type(whole))}
    now, texts, items = flat(whole), dict[str, str](), dict[str, tuple[Any, ...]]()
    last = ""
    for word in words.split():
        flag, equals, value = word.partition("=")
        name = flag.removesuffix("-").replace("-", "_")
        if not equals and last:  # a value may have spaces in it
            texts[last] += f" {word}"
        elif not equals or not value:
            raise SettingsError(f"--without: expected setting=value, as {_example(whole)}, got {word!r}")
        elif name not in settings:
            raise SettingsError(f"--without {word}: no setting {name!r}{nearest(name, settings)}")
        elif name in FIXED:
            raise SettingsError(f"--without {word}: {name} is no ingredient")
        elif name in texts or (name in items and not flag.endswith("-")):
            raise SettingsError(f"--without {words!r}: sets {name} twice")
        elif flag.endswith("-"):
            items[name], last = (*items.get(name, ()), _item(word, value, name, now[name])), ""
        else:
            texts[name], last = value, name
    values = {name: checked(settings[name], text, f"--without {name}") for name, text in texts.items()}
    if same := [name for name, value in values.items() if value == now[name]]:
        raise SettingsError(
            f"--without {same[0]}={shown(values[same[0]])}: the whole has that already, so nothing is taken away"
        )
    names = [name.replace("_", " ") for name in values]
    names += [str(item).partition("=")[0] for gone in items.values() for item in gone]
    if not names:
        raise SettingsError(f"--without: expected setting=value, as {_example(whole)}, got nothing")
    ingredient = Ingredient(" + ".join(names), values, items)
    for name in items:  # a list that may not be empty, or too short
        checked(settings[name], ingredient.taken_from(now)[name], f"--without {words}")
    return ingredient


def _example(whole: AnyTraining) -> str:
    """Return an ingredient that can be taken away."""
    now, settings = flat(whole), {item.name: item for item in declared(type(whole))}
    for text in ("augment=none", "dropout=0", "hidden=none", "weight_decay=0"):
        name, _, value = text.partition("=")
        with suppress(SettingsError):
            if name in settings and checked(settings[name], value, "") != now[name]:
                return text
    return "optimizer=sgd" if now["optimizer"] != "sgd" else "optimizer=adam"


def _item(word: str, value: str, name: str, items: object) -> object:
    """Return the item of a list that a word names, whole or by what stands before its strength."""
    for item in items if isinstance(items, tuple) else ():
        if value in (str(item), str(item).partition("=")[0]):
            return item
    raise SettingsError(f"--without {word}: {name} is {shown(items)}, with no such item")


def check_ablation(resolved: Resolved[Any], ingredients: Sequence[Ingredient]) -> list[str]:
    """Return warnings on settings of `a2 ablate` that will have no or little effect.

    Raises SettingsError as `check_training` does, for the whole and for what is left of it: of all combinations, or
    without each ingredient, each two and all.
    """
    settings, count = resolved.settings, len(ingredients)
    check_study(resolved, "an ablation")
    if settings.ablation.design == "all" and count > MOST_FOR_ALL:
        raise SettingsError(
            f"--design all: {counted(count, 'ingredient')} have {1 << count:,} combinations; "
            f"name {MOST_FOR_ALL} at most, or use --design orders"
        )
    whole = base_training(settings)
    inactive = inactive_settings(flat(settings), type(settings))
    warnings = warn_or_raise(resolved, {name: why for name, why in inactive.items() if name not in flat(whole)})
    warnings += check_training(Resolved(whole, resolved.sources))
    idle = _idle(whole)
    for ingredient in ingredients:
        if ingredient.changed <= idle.keys() & _idle(remove_ingredients(whole, [ingredient])).keys():
            raise SettingsError(f"--without: {ingredient.name} does not act here ({idle[min(ingredient.changed)][1]})")
    # Of n ingredients all 2^n combinations are checked only where all are trained.
    sizes = range(1, count + 1) if settings.ablation.design == "all" else {1, min(2, count), count}
    for gone in chain.from_iterable(combinations(ingredients, size) for size in sizes):
        left = remove_ingredients(whole, gone)
        with naming(f"without {', '.join(ingredient.name for ingredient in gone)}"):
            check_training(Resolved(left, dict.fromkeys(flat(left), "ablation")))
    return warnings


def _idle(settings: AnyTraining) -> dict[str, tuple[Any, str]]:
    return inactive_settings(flat(settings), type(settings))


def plan_ablation(settings: AnyAblation, ingredients: Sequence[Ingredient], jobs: int = 0) -> list[str]:
    """Return what an ablation would run, line by line; `jobs` trials side by side, 0: one for each core."""
    ablation, count, lines = settings.ablation, len(ingredients), list[str]()
    for ingredient in ingredients:
        words = [f"{name} is {shown(value)}" for name, value in ingredient.values.items()]
        words += [f"{name} lacks {shown(gone)}" for name, gone in ingredient.items.items()]
        lines.append(f"Ingredient {ingredient.name}: taken away, {', '.join(words)}")
    # All, none and those that lack one are the same in every order.
    of_orders = f"at most {1 + count + (count > 1) + ablation.orders * max(0, count - 2)}"
    trials = {"one-out": str(1 + count), "orders": of_orders, "all": f"{1 << count:,}"}[ablation.design]
    epochs = "" if isinstance(settings, FinetuneSettings) else f", of {settings.training.epochs} epochs each"
    trials += f" with each of {settings.training.seeds} seeds{epochs}, {jobs or cores()} side by side"
    return [*lines, f"Trials: {trials}"]

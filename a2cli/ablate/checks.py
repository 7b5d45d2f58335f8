"""The ingredients that words name, settings of an ablation that cannot act, and what it would run."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from typing import Any

from a2cli.ablate.ingredients import Ingredient, remove_ingredients
from a2cli.ablate.settings import AnyAblation
from a2cli.errors import SettingsError, nearest
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
    found = [_ingredient(words, whole) for words in settings.ablation.without]
    if not found:
        raise SettingsError(f"--without: name an ingredient at least, as --without {_example(whole)}")
    if twice := [name for name, count in Counter(one.name for one in found).items() if count > 1]:
        raise SettingsError(f"--without: {twice[0]} comes twice")
    for one, other in combinations(found, 2):
        sets = (one.values.keys() & other.changed) | (other.values.keys() & one.changed)
        sets |= {name for name in one.items if set(one.items[name]) & set(other.items.get(name, ()))}
        if sets:
            raise SettingsError(f"--without: {one.name} and {other.name} both change {min(sets)}")
    return found


def _ingredient(words: str, whole: AnyTraining) -> Ingredient:
    known = {item.name: item for item in declared(type(whole))}
    now, texts, items = flat(whole), dict[str, str](), dict[str, tuple[Any, ...]]()
    last = ""
    for word in words.split():
        name, equals, value = word.partition("=")
        plain = name.removesuffix("-").replace("-", "_")
        if not equals and last:
            texts[last] += f" {word}"
        elif not equals or not value:
            raise SettingsError(f"--without: expected setting=value, as {_example(whole)}, got {word!r}")
        elif plain not in known:
            raise SettingsError(f"--without {word}: no setting {plain!r}{nearest(plain, known)}")
        elif plain in FIXED:
            raise SettingsError(f"--without {word}: {plain} is no ingredient")
        elif plain in texts or (plain in items and not name.endswith("-")):
            raise SettingsError(f"--without {words!r}: sets {plain} twice")
        elif name.endswith("-"):
            items[plain], last = (*items.get(plain, ()), _item(word, value, plain, now[plain])), ""
        else:
            texts[plain], last = value, plain
    values = {name: checked(known[name], text, f"--without {name}") for name, text in texts.items()}
    if same := [name for name, value in values.items() if value == now[name]]:
        raise SettingsError(
            f"--without {same[0]}={shown(values[same[0]])}: the whole has that already, so nothing is taken away"
        )
    names = [name.replace("_", " ") for name in values]
    names += [str(item).partition("=")[0] for gone in items.values() for item in gone]
    if not names:
        raise SettingsError(f"--without: expected setting=value, as {_example(whole)}, got nothing")
    found = Ingredient(" + ".join(names), values, items)
    for name in items:  # a list that may not be empty, or too short
        checked(known[name], found.taken_from(now)[name], f"--without {words}")
    return found


def _example(whole: AnyTraining) -> str:
    """Return an ingredient that can be taken away."""
    now = flat(whole)
    for text in ("augment=none", "dropout=0", "hidden=none", "weight_decay=0"):
        name, _, value = text.partition("=")
        item = next((item for item in declared(type(whole)) if item.name == name), None)
        with suppress(SettingsError):
            if item and checked(item, value, "") != now[name]:
                return text
    return "optimizer=sgd" if now["optimizer"] != "sgd" else "optimizer=adam"


def _item(word: str, value: str, name: str, has: object) -> object:
    """Return the item of a list that a word names, whole or by what stands before its strength."""
    for one in has if isinstance(has, tuple) else ():
        if value in (str(one), str(one).partition("=")[0]):
            return one
    raise SettingsError(f"--without {word}: {name} is {shown(has)}, with no such item")


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
    for one in ingredients:
        if one.changed <= _idle(whole).keys() & _idle(remove_ingredients(whole, [one])).keys():
            raise SettingsError(f"--without: {one.name} does not act here ({_idle(whole)[min(one.changed)][1]})")
    sizes = range(1, count + 1) if settings.ablation.design == "all" else {1, min(2, count), count}
    for size in sizes:
        for gone in combinations(ingredients, size):
            _check_without(whole, gone)
    return warnings


def _idle(settings: AnyTraining) -> dict[str, tuple[Any, str]]:
    return inactive_settings(flat(settings), type(settings))


def _check_without(whole: AnyTraining, gone: Sequence[Ingredient]) -> None:
    settings = remove_ingredients(whole, gone)
    try:
        check_training(Resolved(settings, dict.fromkeys(flat(settings), "ablation")))
    except SettingsError as error:
        raise SettingsError(f"without {', '.join(one.name for one in gone)}: {error}") from None


def plan_ablation(settings: AnyAblation, ingredients: Sequence[Ingredient], jobs: int = 0) -> list[str]:
    """Return what an ablation would run, line by line; `jobs` trials side by side, 0: one for each core."""
    ablation, count, seeds = settings.ablation, len(ingredients), settings.training.seeds
    lines = [f"Ingredient {one.name}: taken away, {_as_words(one)}" for one in ingredients]
    # All, none and those that lack one are the same in every order.
    of_orders = f"at most {1 + count + (count > 1) + ablation.orders * max(0, count - 2)}"
    trials = {"one-out": str(1 + count), "orders": of_orders, "all": f"{1 << count:,}"}[ablation.design]
    epochs = "" if isinstance(settings, FinetuneSettings) else f", of {settings.training.epochs} epochs each"
    trials += f" with each of {seeds} seeds{epochs}, {jobs or cores()} side by side"
    return [*lines, f"Trials: {trials}"]


def _as_words(one: Ingredient) -> str:
    words = [f"{name} is {shown(value)}" for name, value in one.values.items()]
    return ", ".join([*words, *(f"{name} lacks {shown(gone)}" for name, gone in one.items.items())])

"""The ingredients that words name, settings of an ablation that cannot act, and what it would run."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from a2cli.checks.common import idle, told
from a2cli.checks.training import check_training
from a2cli.errors import SettingsError, nearest
from a2cli.experiments.ingredients import Ingredient, whole_of, without
from a2cli.options import Resolved, checked, shown
from a2cli.settings import AnyAblation, AnyTraining, declared, flat

FIXED = {"seed", "seeds", "threads", "device", "folds", "fold"}
MOST_FOR_ALL = 10


def ingredients_of(settings: AnyAblation) -> list[Ingredient]:
    """Return the ingredients that --without names; raises SettingsError for words that name none."""
    whole = whole_of(settings)
    found = [_ingredient(words, whole) for words in settings.ablation.without]
    if not found:
        raise SettingsError("--without: name an ingredient at least, as --without shortcuts=off")
    if twice := [name for name, count in Counter(one.name for one in found).items() if count > 1]:
        raise SettingsError(f"--without: {twice[0]} comes twice")
    for one, other in combinations(found, 2):
        same = (one.values.keys() & other.values.keys()) or (one.values.keys() & other.items.keys())
        if same := same or (one.items.keys() & other.values.keys()):
            raise SettingsError(f"--without: {one.name} and {other.name} both set {min(same)}")
    return found


def _ingredient(words: str, whole: AnyTraining) -> Ingredient:
    known = {item.name: item for item in declared(type(whole))}
    now, texts, items = flat(whole), dict[str, str](), dict[str, str]()
    last = ""
    for word in words.split():
        name, equals, value = word.partition("=")
        plain = name.removesuffix("-").replace("-", "_")
        if not equals and last:
            texts[last] += f" {word}"
        elif not equals or not value:
            raise SettingsError(f"--without: expected setting=value, as shortcuts=off, got {word!r}")
        elif plain not in known:
            raise SettingsError(f"--without {word}: no setting {plain!r}{nearest(plain, known)}")
        elif plain in FIXED:
            raise SettingsError(f"--without {word}: {plain} is no ingredient")
        elif name.endswith("-"):
            has = now[plain] if isinstance(now[plain], tuple) else ()
            item = next((one for one in map(str, has) if value in (one, one.partition("=")[0])), None)
            if item is None:
                raise SettingsError(f"--without {word}: {plain} is {shown(now[plain])}, with no such item")
            items[plain], last = item, ""
        else:
            texts[plain], last = value, plain
    values = {name: checked(known[name], text, f"--without {name}") for name, text in texts.items()}
    if same := [name for name, value in values.items() if value == now[name]]:
        raise SettingsError(f"--without {same[0]}={shown(values[same[0]])}: it is that already")
    names = [*(name.replace("_", " ") for name in values), *(item.partition("=")[0] for item in items.values())]
    return Ingredient(" + ".join(names), values, items)


def check_ablation(resolved: Resolved[Any], ingredients: Sequence[Ingredient]) -> list[str]:
    """Return warnings on settings of `a2 ablate` that will have no or little effect.

    Raises SettingsError as `check_training` does, for the whole, and for it without each ingredient and without all.
    """
    settings = resolved.settings
    if settings.split.folds:
        raise SettingsError("--folds: an ablation is over --seeds, each with a split of its own")
    if resolved.by_flag("threads"):
        raise SettingsError("--threads: every trial has one thread; --jobs says how many run side by side")
    if settings.ablation.design == "all" and len(ingredients) > MOST_FOR_ALL:
        raise SettingsError(
            f"--design all: {len(ingredients)} ingredients have {1 << len(ingredients):,} combinations; "
            f"name {MOST_FOR_ALL} at most, or use --design orders"
        )
    whole = whole_of(settings)
    warnings = told(resolved, {name: why for name, why in idle(flat(settings), type(settings)).items()
                               if name not in flat(whole)})  # fmt: skip
    warnings += check_training(Resolved(whole, resolved.sources))
    for gone in ([one] for one in ingredients):
        _check_without(whole, gone)
    _check_without(whole, ingredients)
    return warnings


def _check_without(whole: AnyTraining, gone: Sequence[Ingredient]) -> None:
    settings = without(whole, gone)
    try:
        check_training(Resolved(settings, dict.fromkeys(flat(settings), "ablation")))
    except SettingsError as error:
        raise SettingsError(f"without {', '.join(one.name for one in gone)}: {error}") from None


def plan_ablation(settings: AnyAblation, ingredients: Sequence[Ingredient]) -> list[str]:
    """Return what an ablation would run, line by line."""
    ablation, count, seeds = settings.ablation, len(ingredients), settings.training.seeds
    lines = [f"Ingredient {one.name}: taken away, {_as_words(one)}" for one in ingredients]
    # All, none and those that lack one are the same in every order.
    of_orders = f"at most {1 + count + (count > 1) + ablation.orders * max(0, count - 2)}"
    trials = {"one-out": str(1 + count), "orders": of_orders, "all": f"{1 << count:,}"}[ablation.design]
    return [*lines, f"Trials: {trials} with each of {seeds} seeds, of {settings.training.epochs} epochs each"]


def _as_words(one: Ingredient) -> str:
    words = [f"{name} is {shown(value)}" for name, value in one.values.items()]
    return ", ".join([*words, *(f"{name} lacks {item}" for name, item in one.items.items())])

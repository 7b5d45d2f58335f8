"""Settings of a comparison that cannot act, and what it would run."""

from typing import Any

from a2cli.compare_optimizers.contenders import axes_of, contenders_of, rate_grid, trial_settings
from a2cli.compare_optimizers.settings import AnyComparison, ComparisonOptions
from a2cli.errors import SettingsError
from a2cli.formats import seconds_of
from a2cli.machine import cores
from a2cli.reports.study_results import called
from a2cli.settings.conflicts import inactive_settings, warn_or_raise
from a2cli.settings.declare import flat, shown
from a2cli.settings.presets import Resolved
from a2cli.study.checks import check_study, check_trial_options
from a2cli.train.checks import contradictions


def check_compare(resolved: Resolved[Any]) -> list[str]:
    """Return warnings on settings of `a2 compare-optimizers` that will have no or little effect, for any contender.

    Raises SettingsError as `check_training` does, and for a flag that acts for no contender.
    """
    settings, lists = resolved.settings, resolved.settings.comparison
    for name in axes_of(lists):
        if resolved.by_flag(name):
            flag = f"--{name.replace('_', '-')}"
            raise SettingsError(f"{flag}: the contenders have their own, by {flag}s")
    check_study(resolved, "a comparison")
    if lists.tuning == "grid" and resolved.by_flag("learning_rate"):
        raise SettingsError("--learning-rate: acts only with --tuning none or both; see --rate-range")
    if lists.rate_range and not (len(lists.rate_range) == 2 and lists.rate_range[0] < lists.rate_range[1]):
        raise SettingsError(f"--rate-range: expected the lowest and the highest rate, got {shown(lists.rate_range)}")
    idle, warnings = list[dict[str, tuple[Any, str]]](), dict[str, None]()
    for choice in contenders_of(settings):
        trial = trial_settings(settings, choice, settings.training.learning_rate, settings.training.seed, "cpu")
        idle.append(inactive_settings({**flat(settings), **flat(trial)}, type(settings)))
        warnings |= dict.fromkeys(contradictions(trial))
    idle_in_all = {name: why for name, why in idle[0].items() if all(name in inactive for inactive in idle)}
    decay = any(lists.weight_decays or [settings.training.weight_decay])
    twins = {"adam", "adamw"} <= set(lists.optimizers) and not decay
    same = ["adam and adamw are the same without a weight decay"] if twins else []
    return [*warn_or_raise(resolved, idle_in_all), *same, *warnings]


def check_comparison_options(chosen: ComparisonOptions) -> float | None:
    """Return --budget in seconds, if it was given; raises SettingsError for an option that could not act."""
    check_trial_options(chosen)
    if chosen.budget is not None and not chosen.plan:
        raise SettingsError("--budget: acts only with --plan")
    if chosen.budget is None:
        return None
    seconds = seconds_of(chosen.budget)
    if seconds is None:
        raise SettingsError(f"--budget: expected a time such as 20m, 90s or 1.5h, got {chosen.budget!r}")
    return seconds


def plan_compare(settings: AnyComparison, jobs: int = 0) -> list[str]:
    """Return what a comparison would run, line by line; `jobs` trials side by side, 0: one for each core."""
    lists, training = settings.comparison, settings.training
    choices = contenders_of(settings)
    lines, trials = [f"Contenders: {', '.join(called(choice.name) for choice in choices)}"], 0
    if lists.tuning != "none":
        rates = {called(choice.name): ", ".join(f"{rate:g}" for rate in rate_grid(choice, lists)) for choice in choices}
        lines += [f"Rates: {name} {grid}" for name, grid in rates.items()]
        trials = len(choices) * lists.rates * lists.tuning_seeds
    judged = len(choices) * training.seeds * (2 if lists.tuning == "both" else 1)
    lines.append(
        f"Trials: {trials} to tune, {judged} to judge, of {training.epochs} epochs each, "
        f"{jobs or cores()} side by side, on {settings.dataset.data}"
    )
    return lines

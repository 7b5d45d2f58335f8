"""What no study can do, whatever it compares."""

from typing import Any

from a2cli.errors import SettingsError
from a2cli.settings.presets import Resolved
from a2cli.settings.run_options import TrialOptions

REFUSED = ("folds", "test-curve", "threads")  # flags of the training that a study refuses


def check_study(resolved: Resolved[Any], a_study: str) -> None:
    """Raise SettingsError for settings of a training that `a_study`, as it is called, cannot have."""
    if resolved.settings.split.folds:
        raise SettingsError(f"--folds: {a_study} is over --seeds; leave it out")
    if resolved.settings.training.test_curve:
        raise SettingsError(f"--test-curve: {a_study} reads no test images")
    if resolved.by_flag("threads"):
        raise SettingsError("--threads: every trial has one thread; --jobs says how many run side by side")


def check_trial_options(chosen: TrialOptions) -> None:
    """Raise SettingsError for an option that could not act."""
    if chosen.cluster is not None and chosen.backend == "loky":
        raise SettingsError("--cluster: acts only with --backend dask or ray")
    others = {"--json": chosen.json, "--dry-run": chosen.dry_run, "--plan": getattr(chosen, "plan", False)}
    if chosen.best and (other := [flag for flag, given in others.items() if given]):
        raise SettingsError(f"--best: prints the best run's directory alone; leave out {other[0]}")

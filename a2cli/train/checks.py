"""Settings of a training on images that cannot act together, and what it would do."""

from typing import Any

from a2cli.errors import SettingsError
from a2cli.geometry import auto_threads, check_norm, check_weights, dropout_places, mlp_layers, stages, statistics_of
from a2cli.machine import cores, jobs_for
from a2cli.settings.conflicts import (
    check_folds,
    check_schedule,
    epochs_in_words,
    inactive_settings,
    threads_in_words,
    warn_or_raise,
)
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining, split_into_runs
from a2cli.settings.presets import Resolved
from a2cli.settings.training import ImageTraining, NetworkSettings, augmentations
from a2cli.settings.transfer import FinetuneSettings, TrainFeaturesSettings
from a2cli.transfer.checks import finetuning_contradictions, idle_in_stages, plan_features, plan_finetuning


def check_training(resolved: Resolved[Any]) -> list[str]:
    """Return warnings on settings of a training command that will have no or little effect.

    Raises SettingsError for those that contradict each other, and for a flag that could not act.
    """
    settings = resolved.settings
    without_effect = inactive_settings(flat(settings), type(settings))
    if isinstance(settings, FinetuneSettings):
        without_effect |= idle_in_stages(settings)
        warnings = finetuning_contradictions(resolved)
    elif isinstance(settings, TrainFeaturesSettings):
        check_folds(settings)
        warnings = check_schedule(settings)
    else:
        warnings = contradictions(settings)
    if settings.training.test_curve:
        warnings.append(
            "--test-curve: the test images are read after every epoch; what is chosen by them is not tested"
        )
    return [*warn_or_raise(resolved, without_effect), *warnings]


def contradictions(settings: ImageTraining) -> list[str]:
    """Return warnings on what can hardly act in a training on images; raises SettingsError for contradictions."""
    network, side, warnings = settings.network, settings.dataset.image_size, []
    if isinstance(network, NetworkSettings):
        if twice := [kind for i, kind in enumerate(network.statistics) if kind in network.statistics[:i]]:
            raise SettingsError(f"--statistics: {twice[0]} is named twice")
        maps = stages(network, side)
        check_weights(network, side)
        check_norm(network, side, settings.training.batch_size)
        dropout_places(network)
        field = maps[-1].field
        if field > side and not network.shortcuts:  # past which a unit sees by short ways as well as by long ones
            warnings = [f"{maps[-1].name} sees {field}x{field} pixels, more than the {side}x{side} image"]
    else:
        mlp_layers(network, side)
    augmentations(settings.dataset.augment)
    check_folds(settings)
    return [*warnings, *check_schedule(settings)]


def no_test(*, final: bool, began: bool) -> str:
    """Return the error of a training that is to read test images and has none, with a place for its data."""
    advice = "begin a new run with --test-fraction" if began else "hold some out with --test-fraction"
    return f"{'--final' if final else '--test-curve'}: {{}} has no test images; {advice}"


def plan_training(settings: AnyTraining, jobs: int = 0) -> list[str]:
    """Return what a training would do, line by line; `jobs` are those of several runs, 0 if it is left open."""
    last = [threads_in_words(settings.training.threads, auto_threads(settings))]
    if (runs := len(split_into_runs(settings))) > 1:
        last.append(f"Runs: {runs}, {_side_by_side(runs, jobs, settings.training.device)}")
    if isinstance(settings, FinetuneSettings):
        return [*plan_finetuning(settings), *last]
    if isinstance(settings, TrainFeaturesSettings):
        return [*plan_features(settings), *last]
    return [*_plan_on_images(settings), *last]


def _side_by_side(runs: int, jobs: int, device: str) -> str:
    """Return how many runs would be trained at the same time."""
    if jobs or device == "cpu":
        jobs = min(runs, jobs or jobs_for(runs, cores()))
        return f"{jobs} side by side" if jobs > 1 else "one after the other"
    if device == "auto":
        return f"{jobs_for(runs, cores())} side by side on a CPU, one after the other on a GPU"
    return "one after the other"


def _plan_on_images(settings: ImageTraining) -> list[str]:
    """Return the maps from the image to the answer, and the training."""
    side, training, network = settings.dataset.image_size, settings.training, settings.network
    if isinstance(network, NetworkSettings):
        maps = [
            f"{stage.name} {stage.channels}x{stage.size}x{stage.size} (sees {stage.field}x{stage.field})"
            for stage in stages(network, side)
        ]
        maps += [f"{network.global_pool} of maps"] * (network.global_pool != "none")
        if network.statistics:
            maps += [f"with {statistics_of(network, side)} statistics of the image: {', '.join(network.statistics)}"]
        places = dropout_places(network)
    else:
        maps, places = [], {name: rate for name, _, _, rate in mlp_layers(network, side)}
    layers = [f"image 3x{side}x{side}", *maps, *(f"hidden {units}" for units in network.hidden), "classes"]
    dropped = [f"{rate:g} after {name}" for name, rate in places.items() if rate]
    return [
        "Network: " + " -> ".join(layers),
        *([f"Dropout: {', '.join(dropped)}"] if dropped else []),
        f"Training: {epochs_in_words(training)}, on {settings.dataset.data}",
    ]

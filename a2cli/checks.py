"""Settings that cannot act together, found before anything is trained and without torch."""

import math
from collections.abc import Mapping
from typing import Any

from a2cli.errors import SettingsError
from a2cli.experiments.contenders import contenders_of, rate_grid, trial_settings
from a2cli.geometry import check_norm, check_weights, dropout_places, mlp_layers, stages
from a2cli.options import Resolved
from a2cli.settings import (
    AnyComparison,
    AnyTraining,
    ComparisonOptions,
    ExtractFeaturesSettings,
    NetworkSettings,
    ProbeInvarianceSettings,
    ReceptiveFieldSettings,
    augmentations,
    declared,
    flat,
    probes,
)


def check_training(resolved: Resolved[Any]) -> list[str]:
    """Return warnings on settings of `a2 train-cnn` or `a2 train-mlp` that will have no or little effect.

    Raises SettingsError for those that contradict each other, and for a flag that could not act.
    """
    settings = resolved.settings
    return [*_told(resolved, _idle(flat(settings), type(settings))), *_contradictions(settings)]


def _contradictions(settings: AnyTraining) -> list[str]:
    """Return warnings on what can hardly act in these settings; raises SettingsError where they contradict."""
    network, side, larger = settings.network, settings.dataset.image_size, []
    if isinstance(network, NetworkSettings):
        maps = stages(network, side)
        check_weights(network, side)
        check_norm(network, side, settings.training.batch_size)
        dropout_places(network)
        field = maps[-1].field
        larger = [f"{maps[-1].name} sees {field}x{field} pixels, more than the {side}x{side} image"] * (field > side)
    else:
        mlp_layers(network, side)
    augmentations(settings.dataset.augment)
    _check_folds(settings)
    return [*larger, *_past_the_end(settings)]


def _check_folds(settings: AnyTraining) -> None:
    split = settings.split
    if split.folds == 1:
        raise SettingsError("--folds: expected 2 parts at least, or 0 for none, got 1")
    if split.folds and settings.training.seeds > 1:
        raise SettingsError("--seeds: with --folds there is one run for each part; give one of the two")
    if split.fold is not None and not split.folds:
        raise SettingsError("--fold: acts only with --folds")
    if split.fold is not None and split.fold >= split.folds:
        raise SettingsError(f"--fold: expected one of --folds parts, below {split.folds}, got {split.fold}")


def check_receptive_field(settings: ReceptiveFieldSettings, flags: Mapping[str, Any], drawn: bool) -> None:
    """Raise SettingsError for a flag of `a2 receptive-field` that could not act; `drawn`: figures will be."""
    for name in ("images", "outputs", "weights"):
        if flags[name] is not None and not settings.effective.effective:
            raise SettingsError(f"--{name}: acts only with --effective")
    if flags["weights"] is not None and settings.stack.model is None:
        raise SettingsError("--weights: acts only with --model")
    if flags["data"] is not None and not drawn:
        raise SettingsError("--data: acts only with --effective or --figures")


def check_compare(resolved: Resolved[Any]) -> list[str]:
    """Return warnings on settings of `a2 compare-optimizers` that will have no or little effect, for any contender.

    Raises SettingsError as `check_training` does, and for a flag that acts for no contender.
    """
    settings, lists = resolved.settings, resolved.settings.comparison
    for name, given in (("optimizer", True), ("scheduler", lists.schedulers), ("batch_size", lists.batch_sizes),
                        ("weight_decay", lists.weight_decays), ("dropout", lists.dropouts)):  # fmt: skip
        if given and resolved.by_flag(name):
            raise SettingsError(f"--{name.replace('_', '-')}: the contenders have their own, by {_list_flag(name)}")
    if settings.split.folds:
        raise SettingsError("--folds: a comparison is over --seeds, each with a split of its own")
    if resolved.by_flag("threads"):
        raise SettingsError("--threads: every trial has one thread; --jobs says how many run side by side")
    if lists.tuning == "grid" and resolved.by_flag("learning_rate"):
        raise SettingsError("--learning-rate: acts only with --tuning none or both; see --rate-range")
    if lists.rate_range and not (len(lists.rate_range) == 2 and lists.rate_range[0] < lists.rate_range[1]):
        raise SettingsError(f"--rate-range: expected the lowest and the highest rate, got {_shown(lists.rate_range)}")
    idle: dict[str, tuple[Any, str]] | None = None
    warnings: dict[str, None] = {}
    for choice in contenders_of(settings):
        alone = trial_settings(settings, choice, settings.training.learning_rate, settings.training.seed, "cpu")
        found = _idle({**flat(settings), **flat(alone)}, type(settings))
        idle = found if idle is None else {name: why for name, why in idle.items() if name in found}
        warnings |= dict.fromkeys(_contradictions(alone))
    decay = any(lists.weight_decays or [settings.training.weight_decay])
    twins = {"adam", "adamw"} <= set(lists.optimizers) and not decay
    same = ["adam and adamw are the same without a weight decay"] if twins else []
    return [*_told(resolved, idle or {}), *same, *warnings]


def check_comparison_options(chosen: ComparisonOptions) -> float | None:
    """Return --budget in seconds, if it was given; raises SettingsError for an option that could not act."""
    if chosen.budget is not None and not chosen.plan:
        raise SettingsError("--budget: acts only with --plan")
    if chosen.cluster is not None and chosen.backend == "loky":
        raise SettingsError("--cluster: acts only with --backend dask or ray")
    if chosen.budget is None:
        return None
    seconds = seconds_of(chosen.budget)
    if seconds is None:
        raise SettingsError(f"--budget: expected a time such as 20m, 90s or 1.5h, got {chosen.budget!r}")
    return seconds


def seconds_of(text: str) -> float | None:
    """Return a time such as 90s, 20m or 1.5h in seconds; None for what is no time."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        value = float(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError):
        return None
    return value if 0 < value < math.inf else None


def _list_flag(name: str) -> str:
    return f"--{name.replace('_', '-')}s"


def _idle(values: Mapping[str, Any], settings: type) -> dict[str, tuple[Any, str]]:
    """Return the settings that another one switches off, with their usual value and the reason."""
    idle: dict[str, tuple[Any, str]] = {
        item.name: (item.default, f"acts only with --{item.acts_with[0]} {' or '.join(item.acts_with[1:])}")
        for item in declared(settings)
        if item.acts_with and values[item.acts_with[0]] not in item.acts_with[1:]
    }
    if "dropout_at" in values and not any(values["dropout"]):
        idle["dropout_at"] = ("all",), "acts only with --dropout above 0"
    if values["folds"]:
        idle["val_fraction"] = values["val_fraction"], "does not act beside --folds"
        idle["val_count"] = None, "does not act beside --folds"
    elif values["val_count"] is not None:
        idle["val_fraction"] = values["val_fraction"], "does not act beside --val-count"
    if values["scheduler"] != "plateau" and not values["early_stopping"] and not values["restore_best"]:
        idle["monitor"] = "val-loss", "acts only with --early-stopping, --restore-best or --scheduler plateau"
    return idle


def _told(resolved: Resolved[Any], idle: Mapping[str, tuple[Any, str]]) -> list[str]:
    """Return warnings on idle settings from a preset; raises SettingsError for one by flag."""
    values, warnings = flat(resolved.settings), []
    for name, (default, reason) in idle.items():
        if resolved.by_flag(name):
            raise SettingsError(f"--{name.replace('_', '-')}: {reason}")
        if resolved.sources[name] != "default" and values[name] != default:
            warnings.append(f"{name} {_shown(values[name])} ({resolved.sources[name]}) {reason}")
    return warnings


def _past_the_end(settings: AnyTraining) -> list[str]:
    """Find schedules that would act only after the last epoch, and contradictions in them."""
    training = settings.training
    if training.warmup_epochs >= training.epochs:
        raise SettingsError(f"--warmup-epochs: {training.warmup_epochs} of {training.epochs} leave no other epoch")
    if training.min_learning_rate > training.learning_rate:
        raise SettingsError(
            f"--min-learning-rate: {training.min_learning_rate:g} is above the learning rate {training.learning_rate:g}"
        )
    if list(training.milestones) != sorted(set(training.milestones)):
        raise SettingsError(f"--milestones: expected rising epochs, got {_shown(training.milestones)}")
    late = {
        "plateau": ("plateau_patience", training.plateau_patience + 1),
        "step": ("step_size", training.step_size),
        "multistep": ("milestones", training.milestones[-1]),
    }
    warnings = []
    if training.scheduler in late:
        name, epoch = late[training.scheduler]
        if epoch >= training.epochs:
            warnings.append(
                f"{name} {_shown(getattr(training, name))} reaches past the last of {training.epochs} epochs"
            )
    if training.early_stopping >= training.epochs:
        warnings.append(f"early_stopping {training.early_stopping} cannot act in {training.epochs} epochs")
    return warnings


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def plan_training(settings: AnyTraining) -> list[str]:
    """Return what a run would do, line by line: the maps from the image to the answer, and the training."""
    side, training, network = settings.dataset.image_size, settings.training, settings.network
    if isinstance(network, NetworkSettings):
        maps = [
            f"{stage.name} {stage.channels}x{stage.size}x{stage.size} (sees {stage.field}x{stage.field})"
            for stage in stages(network, side)
        ]
        places = dropout_places(network)
    else:
        maps, places = [], {name: rate for name, _, _, rate in mlp_layers(network, side)}
    layers = [f"image 3x{side}x{side}", *maps, *(f"hidden {units}" for units in network.hidden), "classes"]
    dropped = [f"{rate:g} after {name}" for name, rate in places.items() if rate]
    epochs = f"{training.epochs} epoch{'s' * (training.epochs > 1)}"
    seeds = f"{training.seeds} seeds from {training.seed}" if training.seeds > 1 else f"seed {training.seed}"
    return [
        "Network: " + " -> ".join(layers),
        *([f"Dropout: {', '.join(dropped)}"] if dropped else []),
        f"Training: {epochs} of {training.optimizer} at {training.learning_rate:g}, "
        f"batches of {training.batch_size}, scheduler {training.scheduler}, {seeds}, on {settings.dataset.data}",
    ]


def plan_compare(settings: AnyComparison) -> list[str]:
    """Return what a comparison would run, line by line."""
    lists, training = settings.comparison, settings.training
    choices = contenders_of(settings)
    lines = [f"Contenders: {', '.join(choice.name for choice in choices)}"]
    trials = 0
    if lists.tuning != "none":
        grids = [f"{choice.name} {', '.join(f'{rate:g}' for rate in rate_grid(choice, lists))}" for choice in choices]
        lines += [f"Rates: {grid}" for grid in grids]
        trials += len(choices) * lists.rates * lists.tuning_seeds
    judged = len(choices) * training.seeds * (2 if lists.tuning == "both" else 1)
    lines.append(
        f"Trials: {trials} to tune, {judged} to judge, of {training.epochs} epochs each, on {settings.dataset.data}"
    )
    return lines


def check_probe(resolved: Resolved[ProbeInvarianceSettings]) -> None:
    """Raise SettingsError for settings of `a2 probe-invariance` that cannot be used, or could not act."""
    probe = resolved.settings.probe
    if not probe.run:
        raise SettingsError("--run: expected the folder of a training run, got none")
    for flag, named in (("--run", probe.run), ("--changes", probe.changes)):
        if twice := [name for i, name in enumerate(named) if name in named[:i]]:
            raise SettingsError(f"{flag}: {twice[0]} is named twice")
    tried = probes(probe)
    if not tried:
        raise SettingsError("--changes: expected changes to try, or some by --random, got none")
    if resolved.by_flag("draws") and not probe.random:
        raise SettingsError("--draws: acts only with --random")
    if resolved.by_flag("border") and not any(one.name.startswith("translate") for one in tried):
        raise SettingsError("--border: acts only with translations among the changes")


def plan_probe(settings: ProbeInvarianceSettings) -> list[str]:
    """Return what a probe would try, line by line."""
    probe = settings.probe
    lines = [f"Runs: {', '.join(probe.run)}, on {probe.data or 'their own validation images'}"]
    for one in probes(probe):
        strengths = f" at {', '.join(f'{value:g}' for value in one.strengths)}" if not one.change.is_switch else ""
        drawn = f", drawn {probe.draws} times for each image" if one.drawn else ""
        lines.append(f"Change: {one.title}{drawn or strengths} ({one.change.unit})")
    return lines


def check_extraction(resolved: Resolved[ExtractFeaturesSettings]) -> None:
    """Raise SettingsError for settings of `a2 extract-features` that cannot act together."""
    features = resolved.settings.features
    _check_backbone(resolved)
    if resolved.by_flag("grid_pool") and not features.grid:
        raise SettingsError("--grid-pool: acts only with --grid above 0")
    if twice := [name for i, name in enumerate(features.layer) if name in features.layer[:i]]:
        raise SettingsError(f"--layer: {twice[0]} is named twice")


def _check_backbone(resolved: Resolved[Any]) -> None:
    for name in ("backbone", "weights", "partial"):
        if resolved.settings.backbone.run is not None and resolved.by_flag(name):
            raise SettingsError(f"--{name}: a --run is its own backbone, with its own weights")
    if resolved.by_flag("partial") and resolved.settings.backbone.weights == "none":
        raise SettingsError("--partial: acts only with weights from a file")


def plan_extraction(settings: ExtractFeaturesSettings, out: str) -> list[str]:
    """Return what an extraction would do, line by line."""
    chosen, backbone = settings.features, settings.backbone
    source = f"run {backbone.run}" if backbone.run else f"{backbone.backbone}, weights {backbone.weights}"
    pooled = f", pooled to {chosen.grid}x{chosen.grid} ({chosen.grid_pool})" if chosen.grid else ""
    return [f"Layers: {', '.join(chosen.layer)} of {source}{pooled}", f"Images: {settings.dataset.data}, into {out}"]

"""Settings that cannot act together, found before anything is trained and without torch."""

from collections.abc import Mapping
from typing import Any

from a2cli.errors import SettingsError
from a2cli.geometry import check_norm, check_weights, dropout_places, stages
from a2cli.options import Resolved
from a2cli.settings import ReceptiveFieldSettings, TrainCnnSettings, augmentations, declared, flat


def check_train_cnn(resolved: Resolved[TrainCnnSettings]) -> list[str]:
    """Return warnings on settings of `a2 train-cnn` that will have no or little effect.

    Raises SettingsError for those that contradict each other, and for a flag that could not act.
    """
    settings = resolved.settings
    maps = stages(settings.network, settings.dataset.image_size)
    check_weights(settings.network, settings.dataset.image_size)
    check_norm(settings.network, settings.dataset.image_size, settings.training.batch_size)
    dropout_places(settings.network)
    augmentations(settings.dataset.augment)
    warnings = _idle(resolved)
    field, side = maps[-1].field, settings.dataset.image_size
    if field > side:
        warnings.append(f"{maps[-1].name} sees {field}x{field} pixels, more than the {side}x{side} image")
    return [*warnings, *_past_the_end(settings)]


def check_receptive_field(settings: ReceptiveFieldSettings, flags: Mapping[str, Any], drawn: bool) -> None:
    """Raise SettingsError for a flag of `a2 receptive-field` that could not act; `drawn`: figures will be."""
    for name in ("images", "outputs", "weights"):
        if flags[name] is not None and not settings.effective.effective:
            raise SettingsError(f"--{name}: acts only with --effective")
    if flags["weights"] is not None and settings.stack.model is None:
        raise SettingsError("--weights: acts only with --model")
    if flags["data"] is not None and not drawn:
        raise SettingsError("--data: acts only with --effective or --figures")


def _idle(resolved: Resolved[TrainCnnSettings]) -> list[str]:
    """Find settings that another one switches off: by flag an error, from a preset a warning."""
    values = flat(resolved.settings)
    idle = [
        (item.name, item.default, f"acts only with --{item.acts_with[0]} {' or '.join(item.acts_with[1:])}")
        for item in declared(type(resolved.settings))
        if item.acts_with and values[item.acts_with[0]] not in item.acts_with[1:]
    ]
    if not any(values["dropout"]):
        idle.append(("dropout_at", ("all",), "acts only with --dropout above 0"))
    if values["val_count"] is not None:
        idle.append(("val_fraction", values["val_fraction"], "does not act beside --val-count"))
    if values["scheduler"] != "plateau" and not values["early_stopping"] and not values["restore_best"]:
        idle.append(("monitor", "val-loss", "acts only with --early-stopping, --restore-best or --scheduler plateau"))
    warnings = []
    for name, default, reason in idle:
        if resolved.by_flag(name):
            raise SettingsError(f"--{name.replace('_', '-')}: {reason}")
        if resolved.sources[name] != "default" and values[name] != default:
            warnings.append(f"{name} {_shown(values[name])} ({resolved.sources[name]}) {reason}")
    return warnings


def _past_the_end(settings: TrainCnnSettings) -> list[str]:
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


def plan_train_cnn(settings: TrainCnnSettings) -> list[str]:
    """Return what a run would do, line by line: the maps from the image to the answer, and the training."""
    side, training = settings.dataset.image_size, settings.training
    maps = [
        f"{stage.name} {stage.channels}x{stage.size}x{stage.size} (sees {stage.field}x{stage.field})"
        for stage in stages(settings.network, side)
    ]
    layers = [f"image 3x{side}x{side}", *maps, *(f"hidden {units}" for units in settings.network.hidden), "classes"]
    dropped = [f"{rate:g} after {name}" for name, rate in dropout_places(settings.network).items() if rate]
    epochs = f"{training.epochs} epoch{'s' * (training.epochs > 1)}"
    seeds = f"{training.seeds} seeds from {training.seed}" if training.seeds > 1 else f"seed {training.seed}"
    return [
        "Network: " + " -> ".join(layers),
        *([f"Dropout: {', '.join(dropped)}"] if dropped else []),
        f"Training: {epochs} of {training.optimizer} at {training.learning_rate:g}, "
        f"batches of {training.batch_size}, scheduler {training.scheduler}, {seeds}, on {settings.dataset.data}",
    ]

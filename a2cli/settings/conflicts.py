"""What all checks share: settings that another one switches off, folds, schedules past the last epoch."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from a2cli.errors import DataError, SettingsError
from a2cli.formats import counted
from a2cli.settings.declare import declared, flat, shown
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.presets import Resolved
from a2cli.settings.training import SplitSettings, TrainingSettings, is_drawn, split_flags

HOLDING_OUT = "--val-count, --val-fraction or --test-fraction"


def inactive_settings(values: Mapping[str, Any], settings: type) -> dict[str, tuple[Any, str]]:
    """Return the settings that another one switches off, with their usual value and the reason."""
    inactive: dict[str, tuple[Any, str]] = {}
    for item in declared(settings):
        other, *wanted = item.acts_with or [""]
        if other and not (values[other] in wanted if wanted else values[other]):
            having = " or ".join(wanted) or "above 0"
            inactive[item.name] = item.default, f"acts only with --{other.replace('_', '-')} {having}"
    if "dropout_at" in values and not any(values["dropout"]):
        inactive["dropout_at"] = ("all",), "acts only with --dropout above 0"
    if values["folds"]:
        inactive["val_fraction"] = values["val_fraction"], "does not act beside --folds"
        inactive["val_count"] = None, "does not act beside --folds"
    elif values["val_count"] is not None:
        inactive["val_fraction"] = values["val_fraction"], "does not act beside --val-count"
    if values["scheduler"] != "plateau" and not values["early_stopping"] and not values["restore_best"]:
        inactive["monitor"] = "val-loss", "acts only with --early-stopping, --restore-best or --scheduler plateau"
    return inactive


def warn_or_raise(resolved: Resolved[Any], without_effect: Mapping[str, tuple[Any, str]]) -> list[str]:
    """Return warnings on idle settings from a preset; raises SettingsError for one by flag."""
    values, warnings = flat(resolved.settings), []
    for name, (default, reason) in without_effect.items():
        if resolved.by_flag(name):
            raise SettingsError(f"--{name.replace('_', '-')}: {reason}")
        if resolved.sources[name] != "default" and values[name] != default:
            warnings.append(f"{name} {shown(values[name])} ({resolved.sources[name]}) {reason}")
    return warnings


def check_folds(settings: AnyTraining) -> None:
    """Raise SettingsError for folds that cannot be."""
    split = settings.split
    if split.folds == 1:
        raise SettingsError("--folds: expected 2 parts at least, or 0 for none, got 1")
    if split.folds and settings.training.seeds > 1:
        raise SettingsError("--seeds: with --folds there is one run for each part; give one of the two")
    if split.fold is not None and not split.folds:
        raise SettingsError("--fold: acts only with --folds")
    if split.fold is not None and split.fold >= split.folds:
        raise SettingsError(f"--fold: expected one of --folds parts, below {split.folds}, got {split.fold}")


def check_schedule(settings: AnyTraining) -> list[str]:
    """Find schedules that would act only after the last epoch, and contradictions in them."""
    training = settings.training
    if training.warmup_epochs >= training.epochs:
        raise SettingsError(f"--warmup-epochs: {training.warmup_epochs} of {training.epochs} leave no other epoch")
    if training.min_learning_rate > training.learning_rate:
        raise SettingsError(
            f"--min-learning-rate: {training.min_learning_rate:g} is above the learning rate {training.learning_rate:g}"
        )
    if list(training.milestones) != sorted(set(training.milestones)):
        raise SettingsError(f"--milestones: expected rising epochs, got {shown(training.milestones)}")
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
                f"{name} {shown(getattr(training, name))} reaches past the last of {training.epochs} epochs"
            )
    if training.early_stopping >= training.epochs:
        warnings.append(f"early_stopping {training.early_stopping} cannot act in {counted(training.epochs, 'epoch')}")
    return warnings


def threads_in_words(threads: int, auto: tuple[int, str]) -> str:
    """Return how many processor threads a training has, and why where auto chooses them."""
    return f"Threads: {threads}" if threads else f"Threads: {auto[0]}, chosen by auto: {auto[1]}"


def idle_in_split(split: SplitSettings, given: Collection[str]) -> list[str]:
    """Return warnings on settings of the split that do not act on data that came with these parts of one.

    Raises SettingsError for folds of data with a validation part.
    """
    idle, usual = [], SplitSettings()
    if "val" in given and split.folds:
        raise SettingsError("--folds: the data has a validation part of its own; leave it out")
    if "val" in given and (split.val_count or split.val_fraction != usual.val_fraction):
        idle.append("val_count" if split.val_count else "val_fraction")
    if "test" in given and split.test_fraction:
        idle.append("test_fraction")
    warnings = [f"{name} does not act: the data has that part of its own" for name in idle]
    if split.split != usual.split and not is_drawn(split.test_fraction, given):
        warnings.append(f"split {split.split} does not act: nothing is drawn, as the data has its own parts")
    return warnings


def cannot_hold_out(count: int, of: int) -> str:
    """Return the error for a part of so many images that none would be left to train on."""
    return f"cannot hold out {count} of {of} images; change {HOLDING_OUT}"


def most_held_out(split: SplitSettings, given: Collection[str], of: int) -> list[str]:
    """Warn where a number, as of a preset for more images, holds out most of them; raises DataError where all."""
    if "val" in given or split.folds or split.val_count is None or 2 * split.val_count <= of:
        return []
    if split.val_count >= of:
        raise DataError(cannot_hold_out(split.val_count, of))
    return [
        f"{split.val_count} of {of} images are held out for validation (val_count), {of - split.val_count} are left to "
        "train on; --val-fraction holds out a share instead"
    ]


def split_in_words(split: SplitSettings, given: Collection[str] | None = ()) -> str:
    """Return which images are held out, and how other commands hold out the same ones.

    given: the parts of a split that the data came with; None where that is not known yet.
    """
    own_parts = given or ()
    flags = split_flags(asdict(split), own_parts)
    same = f"other commands hold out the same with {flags}" if flags else "as every command does by default"
    own = [name for part, name in (("val", "validation"), ("test", "test")) if part in own_parts]
    parts = f"the data's own {' and '.join(own)} part{'s' * (len(own) > 1)}"
    if not is_drawn(split.test_fraction, own_parts):
        return f"Split: {parts}; nothing is drawn{f'; {same}' * bool(flags)}"
    held = counted(split.val_count, "image") if split.val_count else f"{100 * split.val_fraction:g}% of the images"
    if split.folds:
        held = f"part {split.fold} of {split.folds}" if split.fold is not None else f"each of {split.folds} parts"
    drawn = [f"{held} for validation"] * ("val" not in own_parts)
    if split.test_fraction and "test" not in own_parts:
        drawn.append(f"{100 * split.test_fraction:g}%{' of the images' * (not drawn)} for the test")
    how_drawn = f"{', '.join(drawn)}, drawn by the seed{'; ' if flags else ', '}{same}"
    if own:
        how_drawn = f"{parts}; of the other images {how_drawn.replace(' of the images', '')}"
    return f"Split: {how_drawn}{'; parts that the data has of its own are used instead' * (given is None)}"


def epochs_in_words(training: TrainingSettings) -> str:
    """Return how a network is trained."""
    epochs = f"{training.epochs} epoch{'s' * (training.epochs > 1)}"
    seeds = f"{counted(training.seeds, 'seed')} from {training.seed}" if training.seeds > 1 else f"seed {training.seed}"
    return (
        f"{epochs} of {training.optimizer} at {training.learning_rate:g}, batches of {training.batch_size}, "
        f"scheduler {training.scheduler}, {seeds}"
    )

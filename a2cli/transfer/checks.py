"""Settings of extract-features and of trainings on a backbone that cannot act, and what they would do."""

from dataclasses import replace
from typing import Any

from a2cli.errors import SettingsError
from a2cli.geometry import NO_TRAINING
from a2cli.settings.conflicts import check_folds, check_schedule, epochs_in_words, threads_in_words
from a2cli.settings.presets import Resolved
from a2cli.settings.training import augmentations
from a2cli.settings.transfer import (
    AUTO_LAYER,
    BackboneSettings,
    ExtractFeaturesSettings,
    FinetuneSettings,
    TrainFeaturesSettings,
    stages_of,
)


def check_extraction(resolved: Resolved[ExtractFeaturesSettings]) -> None:
    """Raise SettingsError for settings of `a2 extract-features` that cannot act together."""
    features = resolved.settings.features
    check_backbone(resolved)
    if resolved.by_flag("grid_pool") and not features.grid:
        raise SettingsError("--grid-pool: acts only with --grid above 0")
    if twice := [name for i, name in enumerate(features.layer) if name in features.layer[:i]]:
        raise SettingsError(f"--layer: {twice[0]} is named twice")


def check_backbone(resolved: Resolved[Any]) -> None:
    """Raise SettingsError for a backbone described twice."""
    named = [name for name in ("backbone", "weights", "partial") if resolved.by_flag(name)]
    if resolved.settings.backbone.run is not None and named:
        raise SettingsError(f"--{named[0]}: a --run is its own backbone, with its own weights")
    if resolved.by_flag("partial") and resolved.settings.backbone.weights == "none":
        raise SettingsError("--partial: acts only with weights from a file")


def plan_extraction(settings: ExtractFeaturesSettings, out: str) -> list[str]:
    """Return what an extraction would do, line by line."""
    chosen, backbone = settings.features, settings.backbone
    pooled = f", pooled to {chosen.grid}x{chosen.grid} ({chosen.grid_pool})" if chosen.grid else ""
    auto = f"{AUTO_LAYER} (conv4, or else the last before the classifier)"
    layers = ", ".join(auto if layer == AUTO_LAYER else layer for layer in chosen.layer)
    return [
        f"Layers: {layers} of {_named(backbone)}{pooled}",
        f"Images: {settings.dataset.data}, into {out}",
        threads_in_words(chosen.threads, NO_TRAINING),
    ]


def idle_in_stages(settings: FinetuneSettings) -> dict[str, tuple[Any, str]]:
    """Return the settings that the stages leave without effect, with their usual value and the reason."""
    idle: dict[str, tuple[Any, str]] = {}
    words, usual = settings.stages.stages.split(), FinetuneSettings()
    if all(":" in word for word in words):
        idle["epochs"] = usual.training.epochs, "does not act: each of --stages says how many"
    if all("@" in word for word in words):
        idle["learning_rate"] = usual.training.learning_rate, "does not act: each of --stages says its own"
    if all(stage.what == "head" for stage in stages_of(settings)):
        for name in ("layer_decay", "trunk_weight_decay"):
            idle[name] = getattr(usual.stages, name), "acts only with a stage that trains more than the head"
    return idle


def finetuning_contradictions(resolved: Resolved[FinetuneSettings]) -> list[str]:
    """Return warnings on what can hardly act in a fine-tuning; raises SettingsError for contradictions."""
    settings = resolved.settings
    check_backbone(resolved)
    check_folds(settings)
    if settings.training.test_curve:
        raise SettingsError("--test-curve: acts in train-cnn and train-mlp only; --final reads the test images once")
    notes = []
    for stage in stages_of(settings):
        training = replace(settings.training, epochs=stage.epochs, learning_rate=stage.learning_rate)
        notes += [f"stage {stage.what}: {note}" for note in check_schedule(replace(settings, training=training))]
    if augmentations(settings.stages.augment) and any(stage.what != "all" for stage in stages_of(settings)):
        notes.append("augment changes the images each epoch, so what is frozen is computed anew each time, not cached")
    return notes


def plan_features(settings: TrainFeaturesSettings) -> list[str]:
    """Return what a training on features would do, line by line."""
    features, head = settings.features, settings.network
    layers = " -> ".join([features.layer or "features", *(f"hidden {units}" for units in head.hidden), "classes"])
    probes = ["Probes: logistic regression and nearest neighbours on every layer of the file"] if features.probe else []
    return [f"Network: {layers}", f"Training: {epochs_in_words(settings.training)}, on {features.features}", *probes]


def plan_finetuning(settings: FinetuneSettings) -> list[str]:
    """Return what a fine-tuning would do, line by line."""
    stages, backbone = settings.stages, settings.backbone
    place = f"behind {stages.layer}" if stages.layer else "in place of the last linear layer that its weights reach"
    lines = [f"Network: {_named(backbone)}, a new head {place}"]
    for stage in stages_of(settings):
        epochs = f"{stage.epochs} epoch{'s' * (stage.epochs > 1)}"
        lines.append(f"Stage {stage.what}: {epochs} of {settings.training.optimizer} at {stage.learning_rate:g}")
    images = f"Images: {settings.dataset.data}, batches of {settings.training.batch_size}"
    return [*lines, images, "Whether there are such layers, weights and images is found out when it runs."]


def _named(backbone: BackboneSettings) -> str:
    return f"run {backbone.run}" if backbone.run else f"{backbone.backbone}, weights {backbone.weights}"

"""Every kind of training, and the single runs that one is made of."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from a2cli.settings.training import ImageTraining, TrainCnnSettings, TrainMlpSettings
from a2cli.settings.transfer import FinetuneSettings, TrainFeaturesSettings

AnyTraining = ImageTraining | TrainFeaturesSettings | FinetuneSettings
T = TypeVar("T", bound=AnyTraining)

TRAINING: dict[str, tuple[type[AnyTraining], ...]] = {
    "train-cnn": (TrainCnnSettings,),
    "train-mlp": (TrainMlpSettings, TrainFeaturesSettings),
    "finetune": (FinetuneSettings,),
}
if TYPE_CHECKING:
    TrainingName = str
else:
    TrainingName = Literal[tuple(TRAINING)]


def command_of(settings: AnyTraining) -> str:
    """Return the command whose settings these are."""
    return next(command for command, kinds in TRAINING.items() if isinstance(settings, kinds))


def split_into_runs(settings: T) -> dict[str, T]:
    """Return the single runs that a training is made of, by folder: its seeds, or its folds; of one run, itself."""
    training, split = settings.training, settings.split
    if training.seeds > 1:
        seeds = range(training.seed, training.seed + training.seeds)
        return {f"seeds/{n}": replace(settings, training=replace(training, seed=n, seeds=1)) for n in seeds}
    if split.folds and split.fold is None:
        return {f"folds/{n}": replace(settings, split=replace(split, fold=n)) for n in range(split.folds)}
    return {".": settings}


def augment_of(settings: AnyTraining) -> tuple[str, ...]:
    """Return the augmentations that a training's images get; features have none."""
    if isinstance(settings, TrainFeaturesSettings):
        return ()
    return settings.stages.augment if isinstance(settings, FinetuneSettings) else settings.dataset.augment

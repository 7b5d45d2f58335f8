"""The settings of `a2 ablate`."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Gt, Le

from a2cli.settings.declare import Count, setting
from a2cli.settings.kinds import AnyTraining, TrainingName
from a2cli.settings.training import TrainCnnSettings, TrainingSettings, TrainMlpSettings
from a2cli.settings.transfer import FinetuneSettings, TrainFeaturesSettings


@dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """Ablation (of the training that the settings below make; defaults are those of its command)"""

    trains: TrainingName = setting("train-cnn", "The command whose training it is; without it, that of the preset.")
    without: tuple[str, ...] = setting(
        (),
        "An ingredient, as the setting's value once it is removed: setting=value, as shortcuts=off; list-=item for "
        "one item of a list, as augment-=mixup; several, separated by spaces, are removed together. Repeatable.",
        short="-w",
        repeatable=True,
    )
    design: Literal["one-out", "orders", "all"] = setting(
        "one-out",
        "What is trained besides the whole. one-out: each ingredient removed alone; orders: also every step of "
        "removing them one after the other, in orders drawn for each seed; all: every combination.",
    )
    orders: Count = setting(
        2, "Orders for each seed; every second is the one before it backwards.", acts_with=("design", "orders")
    )
    margin: Annotated[float, Gt(0), Le(100)] = setting(
        1.0, "Largest difference in points of accuracy that still counts as no difference."
    )


@dataclass(frozen=True, kw_only=True)
class Ablating:
    """Comes before a training's own settings."""

    ablation: AblationSettings = AblationSettings()


@dataclass(frozen=True, kw_only=True)
class AblateCnnSettings(TrainCnnSettings, Ablating):
    """Everything that decides the result of `a2 ablate` on a training of train-cnn."""

    training: TrainingSettings = replace(TrainCnnSettings().training, seeds=5)


@dataclass(frozen=True, kw_only=True)
class AblateMlpSettings(TrainMlpSettings, Ablating):
    """Everything that decides the result of `a2 ablate` on a training of train-mlp."""

    ablation: AblationSettings = AblationSettings(trains="train-mlp")
    training: TrainingSettings = replace(TrainMlpSettings().training, seeds=5)


@dataclass(frozen=True, kw_only=True)
class AblateFeaturesSettings(TrainFeaturesSettings, Ablating):
    """Everything that decides the result of `a2 ablate` on a training on features."""

    ablation: AblationSettings = AblationSettings(trains="train-mlp")
    training: TrainingSettings = replace(TrainFeaturesSettings().training, seeds=5)


@dataclass(frozen=True, kw_only=True)
class AblateFinetuneSettings(FinetuneSettings, Ablating):
    """Everything that decides the result of `a2 ablate` on a fine-tuning."""

    ablation: AblationSettings = AblationSettings(trains="finetune")
    training: TrainingSettings = replace(FinetuneSettings().training, seeds=5)


AnyAblation = AblateCnnSettings | AblateMlpSettings | AblateFeaturesSettings | AblateFinetuneSettings
ABLATIONS: dict[type[AnyTraining], type[AnyAblation]] = {
    TrainCnnSettings: AblateCnnSettings,
    TrainMlpSettings: AblateMlpSettings,
    TrainFeaturesSettings: AblateFeaturesSettings,
    FinetuneSettings: AblateFinetuneSettings,
}

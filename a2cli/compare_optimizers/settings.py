"""The settings of `a2 compare-optimizers`."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from a2cli.settings.declare import Count, CountOrOff, Share, setting
from a2cli.settings.run_options import TrialOptions
from a2cli.settings.training import OptimizerName, SchedulerName, TrainCnnSettings, TrainingSettings, TrainMlpSettings

Rate = Annotated[float, Gt(0), Le(1000)]
NOT_SET = (("not set", ()),)  # a list that is not given; "none" is a scheduler's name


@dataclass(frozen=True, kw_only=True)
class ComparisonSettings:
    """Comparison (lists are crossed; without a list, the one value of the settings below)"""

    network: Literal["cnn", "mlp"] = setting("cnn", "What all of them train: train-cnn's network, or train-mlp's.")
    optimizers: Annotated[tuple[OptimizerName, ...], Len(1)] = setting(
        ("adam", "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adadelta", "adamw"), "Optimizers to compare."
    )
    schedulers: tuple[SchedulerName, ...] = setting((), "Schedulers to cross them with.", words=NOT_SET)
    batch_sizes: tuple[Count, ...] = setting((), "Batch sizes to cross them with.", words=NOT_SET)
    weight_decays: tuple[Annotated[float, Ge(0), Le(1)], ...] = setting(
        (), "Weight decays to cross them with.", words=NOT_SET
    )
    dropouts: tuple[Share, ...] = setting((), "Dropout rates to cross them with.", words=NOT_SET)
    tuning: Literal["grid", "none", "both"] = setting(
        "grid",
        "Each contender at the best of its learning rates, chosen on seeds of their own; all at the one "
        "--learning-rate, as the coursework did; or both, side by side.",
    )
    rates: Annotated[int, Ge(2), Le(50)] = setting(
        5, "Learning rates that tuning tries, log-spaced.", acts_with=("tuning", "grid", "both")
    )
    rate_range: tuple[Rate, ...] = setting(
        (),
        "Lowest and highest of them for all contenders. Without it a tenth to ten times the optimizer's usual rate.",
        words=NOT_SET,
        acts_with=("tuning", "grid", "both"),
    )
    extend: CountOrOff = setting(
        2, "Rates to add beyond the range while the best one is at its end.", acts_with=("tuning", "grid", "both")
    )
    tuning_seeds: Count = setting(
        2, "Seeds to tune on, none of them among the judged ones.", acts_with=("tuning", "grid", "both")
    )
    margin: Annotated[float, Gt(0), Le(100)] = setting(
        1.0, "Difference in points of accuracy within which two contenders are called equivalent."
    )
    target: Annotated[float, Gt(0), Le(1)] | None = setting(
        None,
        "Report the epochs and seconds needed to reach this validation accuracy; default 90% of the best contender's.",
    )


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions(TrialOptions):
    """Run"""

    plan: bool = setting(False, "Time one trial, and say what fits into --budget and what it could tell; run nothing.")
    budget: str | None = setting(None, "Time for --plan, as 20m, 90s or 1.5h.")


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """Comes before a training's own settings."""

    comparison: ComparisonSettings = ComparisonSettings()


@dataclass(frozen=True, kw_only=True)
class CompareSettings(TrainCnnSettings, Comparing):
    """Everything that decides the result of `a2 compare-optimizers`."""

    training: TrainingSettings = replace(TrainCnnSettings().training, seeds=5)


@dataclass(frozen=True, kw_only=True)
class CompareMlpSettings(TrainMlpSettings, Comparing):
    """Everything that decides the result of `a2 compare-optimizers --network mlp`."""

    comparison: ComparisonSettings = ComparisonSettings(network="mlp")
    training: TrainingSettings = replace(TrainMlpSettings().training, seeds=5)


AnyComparison = CompareSettings | CompareMlpSettings

"""Every setting, declared once: its type with bounds, its default, its sentence of help.

`options.py` makes the command-line flags from these dataclasses, pydantic checks values against them, and a run's
`config.yaml` is their `asdict`. A dataclass is one help panel; its docstring is the panel's title.
"""

from a2cli.settings.comparison import (
    AnyComparison,
    CompareMlpSettings,
    CompareSettings,
    ComparisonOptions,
    ComparisonSettings,
)
from a2cli.settings.declare import Declared, declared, declared_in, flat
from a2cli.settings.fields import EffectiveSettings, LookOptions, ReceptiveFieldSettings, StackSettings
from a2cli.settings.invariance import (
    CHANGES,
    Border,
    Change,
    ChangeName,
    Probe,
    ProbeInvarianceSettings,
    ProbeOptions,
    ProbeSettings,
    pixels,
    probes,
    real_margin,
)
from a2cli.settings.training import (
    AUGMENTATIONS,
    AnyTraining,
    DataSettings,
    MlpSettings,
    NetworkSettings,
    RunOptions,
    TrainCnnSettings,
    TrainingSettings,
    TrainMlpSettings,
    augmentations,
)

__all__ = [
    "AUGMENTATIONS",
    "CHANGES",
    "AnyComparison",
    "AnyTraining",
    "Border",
    "Change",
    "ChangeName",
    "CompareMlpSettings",
    "CompareSettings",
    "ComparisonOptions",
    "ComparisonSettings",
    "DataSettings",
    "Declared",
    "EffectiveSettings",
    "LookOptions",
    "MlpSettings",
    "NetworkSettings",
    "Probe",
    "ProbeInvarianceSettings",
    "ProbeOptions",
    "ProbeSettings",
    "ReceptiveFieldSettings",
    "RunOptions",
    "StackSettings",
    "TrainCnnSettings",
    "TrainMlpSettings",
    "TrainingSettings",
    "augmentations",
    "declared",
    "declared_in",
    "flat",
    "pixels",
    "probes",
    "real_margin",
]

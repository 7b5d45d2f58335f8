"""The best of several runs, and which run of several a command took."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BestRun:
    """The best run of a comparison, an ablation, or a training over several seeds or folds.

    `folder` and `config` are paths inside the folder of the run that it is part of. `accuracy` is the kept weights' on
    the run's own validation images; `name` is its contender's, its combination's, or which seed or fold it is; `reason`
    says by what it is the best.
    """

    name: str
    seed: int
    accuracy: float
    folder: str
    config: str
    reason: str


@dataclass(frozen=True)
class ChosenRun:
    """The run that was used in the place of one that was named, which has several, and why; else the same, and ''."""

    named: str
    folder: str
    reason: str

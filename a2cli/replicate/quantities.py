"""What claims measure of a training, and of a probe of its network."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from a2cli.reports.training_results import EpochLog, TrainingResult

EARLY = 10  # epochs

Measured = Callable[[TrainingResult, Sequence[EpochLog]], float]


def early_rise(logs: Sequence[EpochLog], of: Callable[[EpochLog], float]) -> float:
    """Return how much more a curve rises up to its tenth epoch than after it."""
    early = of(logs[min(EARLY, len(logs)) - 1])
    return (early - of(logs[0])) - (of(logs[-1]) - early)


# One entry a measure: its value of a trained network, whether it is in accuracies (in points when two are compared),
# and how many accuracies, each rounded to whole images, it is made of.
MEASURES: Mapping[str, tuple[Measured, bool, int]] = {
    "validation": (lambda result, logs: result.val.value, True, 1),
    "training": (lambda result, logs: result.train.value, True, 1),
    "gap": (lambda result, logs: result.train.value - result.val.value, True, 1),
    "highest-validation": (lambda result, logs: max(log.val_accuracy for log in logs), True, 1),
    "early-rise": (
        lambda result, logs: min(
            early_rise(logs, lambda log: log.train_accuracy), early_rise(logs, lambda log: log.val_accuracy)
        ),
        True,
        2,
    ),
    "epochs": (lambda result, logs: float(result.epochs), False, 0),
    "speed": (lambda result, logs: median(log.images_per_second for log in logs), False, 0),
}
# Other epochs whose weights could have been kept, as far as the history tells: their validation accuracy.
EPOCHS: Mapping[str, Callable[[Sequence[EpochLog]], float]] = {
    "the last epoch's weights": lambda logs: logs[-1].val_accuracy,
    "the best epoch's weights": lambda logs: max(log.val_accuracy for log in logs),
}


def value_at(results: Mapping[str, Any] | Sequence[Any], path: str) -> Any:
    """Return what stands at a path in a report's results, such as layers.1.field; raises KeyError where nothing does.

    A part of the path that is a name finds the entry of a list that is called so.
    """
    found: Any = results
    for part in path.split("."):
        if isinstance(found, list):
            entries = [item for item in found if isinstance(item, dict)]
            named = next((item for item in entries if part in map(item.get, ("name", "layer", "title"))), None)
            if named is None and not (part.isdigit() and int(part) < len(found)):
                raise KeyError(path)
            found = named if named is not None else found[int(part)]
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            raise KeyError(path)
    return found

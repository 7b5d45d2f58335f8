"""A report held to what was found again: a comparison's to its trials', a training's to what its weights get."""

from dataclasses import asdict
from math import isclose, isfinite
from typing import Any

from a2cli.reports.ablation_results import AblationResults
from a2cli.reports.study_results import ComparisonResults
from a2cli.reports.training_results import TrainingResult
from a2cli.runs.directory import Run
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining
from a2cli.storage import read_json
from a2cli.strict_json import plain
from a2cli.train.rechecked import ROUNDING_IMAGES, ROUNDING_LOSS
from a2cli.train.unlike import Difference, refuse, unlike
from a2cli.versions import upgraded

WORDS = {"folder", "config", "reason"}  # of a comparison, which other versions put otherwise


def check_results(run: Run, settings: Any, results: ComparisonResults | AblationResults) -> None:
    """Raise DataError where a comparison or ablation is finished and its report says otherwise than its trials do.

    `results` are what the trials say, none of which was run since. Of other settings the report is not held to them.
    """
    report = run.read_report()
    if report is None or report.status != "done" or not isinstance(report.results, type(results)):
        return
    config, file = plain(flat(settings)), run.folder / "report.json"
    if any(config.get(name) != value for name, value in report.config.items()):
        return
    stated = _by_seed(upgraded("report", read_json(file), file)["results"])
    found = unlike(stated, plain(asdict(results)), "results")
    by = f"the reports in {run.folder}/trials"
    refuse([Difference(file, *one, by) for one in found if not _is_wording(*one)])


def _is_wording(field: str, stated: object, derived: object) -> bool:
    """Return whether values may differ in their words between versions; a pair's verdict is the same word in all."""
    name = field.rpartition(".")[2]
    if name == "verdict":
        return " " in str(stated) and " " in str(derived)
    return name in WORDS


def _by_seed(values: Any) -> Any:
    """Return values of a report with all runs in the order of their seeds; earlier versions had them as they ended."""
    if isinstance(values, dict):
        return {key: _by_seed(value) for key, value in values.items()}
    if not isinstance(values, list):
        return values
    has_seeds = all(isinstance(one, dict) and isinstance(one.get("seed"), int) for one in values)
    return [_by_seed(one) for one in (sorted(values, key=lambda one: one["seed"]) if has_seeds else values)]


def check_measured(
    name: str, result: TrainingResult, settings: AnyTraining, right: int, count: int, loss: float
) -> tuple[str, str]:
    """Return how a report is refuted by what its network's weights get on the same images, or what to know; '' if not.

    `loss` is their mean cross entropy, which is compared where the report's is one as well.
    """
    coarse = 5 if settings.training.precision == "bf16" else 1
    said, got = f"{result.val.correct} of {result.val.count}", f"{right} of {count}"
    stated = f"{name}: the run's report says {said} validation images correct"
    changed = "the report or the weights were changed"
    if count != result.val.count or abs(right - result.val.correct) > coarse * max(1, ROUNDING_IMAGES * count):
        return f"{stated}, its weights get {got} on the same images: {changed}", ""
    if not isclose(result.val.value, right / count, abs_tol=coarse * max(1, ROUNDING_IMAGES * count) / count + 1e-9):
        return f"{stated} and an accuracy of {result.val.value:.3f}, its weights get {right / count:.3f}: {changed}", ""
    plain_loss = settings.training.loss == "cross-entropy" and not settings.training.label_smoothing
    near = coarse * ROUNDING_LOSS
    if plain_loss and isfinite(loss) and not isclose(result.val_loss, loss, rel_tol=near, abs_tol=near / 10):
        said, got = f"{result.val_loss:.4g}", f"{loss:.4g}"
        return f"{name}: the run's report says a validation loss of {said}, its weights get {got}: {changed}", ""
    if right != result.val.correct:
        return "", f"{stated}, its weights get {got} here: so little may be rounding on another machine or version"
    return "", ""

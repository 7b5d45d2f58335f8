"""What a report says of a backbone and of the stages on it, held to the network's card and to the settings."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from a2cli.errors import DataError
from a2cli.reports.report import Report
from a2cli.reports.training_results import TrainingResults
from a2cli.reports.transfer_results import OWN_HEAD, StageResult
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import FinetuneSettings, stages_of
from a2cli.storage import read_json
from a2cli.strict_json import plain
from a2cli.train.unlike import Difference, unlike
from a2cli.transfer.backbone import NOT_PRETRAINED


def in_backbone(folder: Path, report: Report, settings: AnyTraining) -> Iterator[Difference]:
    """Yield where a report has another backbone, or other weights of it, than the network's card or the settings."""
    if report.transfer is None:
        return
    file, stated = folder / "report.json", report.transfer.backbone
    if isinstance(settings, FinetuneSettings) and settings.backbone.run is None:
        chosen = settings.backbone
        derived: dict[str, object] = {"pretrained": chosen.weights != "none"}
        if chosen.weights == "none":
            derived |= {"weights": "none", "sha256": "", "random": []}
        yield from _other(file, stated, derived, f"config: --backbone {chosen.backbone} --weights {chosen.weights}")
    if not stated.pretrained and not any(NOT_PRETRAINED in one for one in report.warnings):
        yield Difference(file, "warnings", "without this one", NOT_PRETRAINED, "transfer.backbone.pretrained")
    path = folder / "model" / "model.json"
    try:
        trunk = read_json(path).get("trunk")
    except (DataError, FileNotFoundError):
        return  # whoever loads the network says so
    if isinstance(trunk, dict):
        of_card = {name: trunk[name] for name in asdict(stated) if name in trunk}
        yield from _other(file, stated, {**of_card, "pretrained": trunk.get("weights") != "none"}, str(path))


def in_stages_chosen(folder: Path, stages: list[StageResult], settings: AnyTraining) -> Iterator[Difference]:
    """Yield where a report has other stages than the settings: how many, of what, how long at most, at what rate."""
    if not isinstance(settings, FinetuneSettings):
        return
    file, wanted, by = folder / "report.json", stages_of(settings), "config: --stages"
    if len(stages) != len(wanted):
        yield Difference(file, "transfer.stages", len(stages), len(wanted), by)
    for i, (stage, chosen) in enumerate(zip(stages, wanted, strict=False)):
        at = f"transfer.stages[{i}]"
        for name, one, other in (
            ("stage", stage.stage, chosen.what),
            ("learning_rate", stage.learning_rate, chosen.learning_rate),
            ("epochs", stage.epochs, min(stage.epochs, chosen.epochs)),  # early stopping leaves some out
        ):
            yield from (Difference(file, *found, by) for found in unlike(one, other, f"{at}.{name}"))


def in_probes(folder: Path, report: Report) -> Iterator[Difference]:
    """Yield where the row of the run's own head among the probes is otherwise than its result."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    (result, *_), file = report.results.runs, folder / "report.json"
    for i, probe in enumerate(report.transfer.probes if report.transfer else []):
        for name in ("train", "val", "test") if probe.answer == OWN_HEAD else ():
            at = f"transfer.probes[{i}].{name}"
            for found in unlike(getattr(probe, name), getattr(result, name), at):
                yield Difference(file, *found, f"results.runs[0].{name}")


def _other(file: Path, stated: object, derived: dict[str, object], by: str) -> Iterator[Difference]:
    for found in unlike(plain({name: getattr(stated, name) for name in derived}), plain(derived), "transfer.backbone"):
        yield Difference(file, *found, by)

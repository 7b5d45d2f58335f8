"""What a report says of a backbone and of the stages on it, and what it has to be by other files and the settings."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from a2cli.models.cards import NOT_PRETRAINED
from a2cli.reports.report import Report
from a2cli.reports.training_results import EpochLog, TrainingResult, TrainingResults
from a2cli.reports.transfer_results import OWN_HEAD, StageResult, TransferResults
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import FinetuneSettings, stages_of
from a2cli.strict_json import plain
from a2cli.train.differences import Row
from a2cli.train.recheck_files import card_of


def in_transfer(
    folder: Path, report: Report, transfer: TransferResults, result: TrainingResult, settings: AnyTraining
) -> Iterator[Row]:
    """Yield the backbone by the settings and the network's card, the probe of the run's own head, and the stages."""
    stated, trunk = transfer.backbone, (card_of(folder) or {}).get("trunk")

    def backbone(derived: dict[str, object], by: str) -> Row:
        return "transfer.backbone", plain({name: getattr(stated, name) for name in derived}), plain(derived), by

    if isinstance(settings, FinetuneSettings) and settings.backbone.run is None:
        name, weights = settings.backbone.backbone, settings.backbone.weights
        drawn = {"weights": "none", "sha256": "", "random": []} if weights == "none" else {}
        by = f"config: --backbone {name} --weights {weights}"
        yield backbone({"pretrained": weights != "none", **drawn}, by)
    if not stated.pretrained and not any(NOT_PRETRAINED in warning for warning in report.warnings):
        yield "warnings", "without this one", NOT_PRETRAINED, "transfer.backbone.pretrained"
    if isinstance(trunk, dict):
        of_card = {name: trunk[name] for name in asdict(stated) if name in trunk}
        card = str(folder / "model" / "model.json")
        yield backbone({**of_card, "pretrained": trunk.get("weights") != "none" or bool(trunk.get("sha256"))}, card)
    for i, probe in enumerate(transfer.probes):
        for part in ("train", "val", "test") if probe.answer == OWN_HEAD else ():
            at = f"transfer.probes[{i}].{part}"
            yield at, getattr(probe, part), getattr(result, part), f"results.runs[0].{part}"
    if not isinstance(settings, FinetuneSettings):
        return
    chosen, by = stages_of(settings), "config: --stages"
    yield "transfer.stages", len(transfer.stages), len(chosen), by
    for i, (stage, setting) in enumerate(zip(transfer.stages, chosen, strict=False)):
        at = f"transfer.stages[{i}]"
        yield f"{at}.stage", stage.stage, setting.what, by
        yield f"{at}.learning_rate", stage.learning_rate, setting.learning_rate, by
        yield f"{at}.epochs", stage.epochs, min(stage.epochs, setting.epochs), by  # early stopping leaves some out


def in_stage(
    folder: Path,
    index: int,
    stages: Sequence[StageResult],
    report: Report,
    result: TrainingResult,
    history: Sequence[EpochLog],
) -> Iterator[Row]:
    """Yield what the whole run's report says of a stage and takes from the kept one, and what the stage's has."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    stage, own, by = stages[index], report.results.runs[0], str(folder / stages[index].folder / "report.json")
    for name in ("epochs", "train", "val", "val_loss"):
        yield f"transfer.stages[{index}].{name}", getattr(stage, name), getattr(own, name), by
    begin = sum(earlier.epochs for earlier in stages[:index])
    logs = [replace(log, epoch=log.epoch - begin) for log in history[begin : begin + stage.epochs]]
    yield f"stage {stage.stage}: epochs", logs, next(iter(report.history.values()), []), by
    for name in ("train", "val", "val_loss", "judged") if stage.kept else ():
        # The test is read with the whole's weights alone.
        if name != "judged" or result.judged.part == own.judged.part:
            yield f"results.runs[0].{name}", getattr(result, name), getattr(own, name), by

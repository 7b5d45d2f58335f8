"""What trainings on a backbone report besides: the backbone, stages and probes; over several seeds their spread."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

from a2cli.columns import Column
from a2cli.models.cards import TrunkCard
from a2cli.reports.training_results import Accuracy, Spread
from a2cli.reports.transfer_results import BackboneUsed, ProbeScore, StageResult, TransferResults
from a2cli.runs.directory import Run
from a2cli.statistics.intervals import spread_of_accuracies


def backbone_used(card: TrunkCard) -> BackboneUsed:
    """Return what a report says of a trunk."""
    return BackboneUsed(
        card.backbone, card.layer, card.node, card.weights, card.sha256, card.pretrained, list(card.random)
    )


def combined(results: Sequence[TransferResults], rounding: bool) -> TransferResults | None:
    """Return the spread of several runs' stages and probes, with or without `rounding`; None where they have none."""
    if not results:
        return None
    stages = [_stage_over(stages, rounding) for stages in zip(*(result.stages for result in results), strict=True)]
    probes = [_probe_over(scores, rounding) for scores in zip(*(result.probes for result in results), strict=True)]
    return TransferResults(results[0].backbone, stages, probes)


def _stage_over(stages: Sequence[StageResult], rounding: bool) -> StageResult:
    loss, kept = fmean(stage.val_loss for stage in stages), all(stage.kept for stage in stages)
    return replace(stages[0], **_spreads(stages, ["train", "val"], rounding), val_loss=loss, kept=kept, folder="")


def _probe_over(scores: Sequence[ProbeScore], rounding: bool) -> ProbeScore:
    tested = all(score.test for score in scores)
    settings = sorted({score.chosen for score in scores}, key=lambda text: float(text.split()[1]) if text else 0.0)
    chosen = settings[0] if len(settings) == 1 else f"{settings[0]} to {settings[-1].split()[1]}"  # C 0.01 to 1
    spreads = _spreads(scores, ["train", "val", "test"] if tested else ["train", "val"], rounding)
    return replace(scores[0], **{"test": None, **spreads}, chosen=chosen)


def _spreads(results: Sequence[StageResult | ProbeScore], parts: Sequence[str], rounding: bool) -> dict[str, Any]:
    return {part: spread_of_accuracies([getattr(result, part) for result in results], rounding) for part in parts}


PROBES: list[Column[tuple[ProbeScore, str, Accuracy | Spread]]] = [
    Column("layer", lambda row: row[0].layer),
    Column("answer", lambda row: row[0].answer),
    Column("chosen", lambda row: row[0].chosen),
    Column("part", lambda row: row[1]),
    Column("accuracy", lambda row: row[2].mean if isinstance(row[2], Spread) else row[2].value),
    Column("low", lambda row: row[2].low),
    Column("high", lambda row: row[2].high),
]


def draw_transfer(run: Run, results: TransferResults | None) -> None:
    """Write the figure of the probes, if there are any."""
    if results is None or not results.probes:
        return
    from a2cli.transfer.figures import probes

    rows = [(score, part, measured) for score in results.probes for part in ("train", "val", "test")
            if (measured := getattr(score, part))]  # fmt: skip
    run.save_figure("probes", partial(probes, results), PROBES, rows)

"""What trainings on a backbone report besides: the backbone, stages and probes; over several seeds their spread."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

from a2cli.columns import Column
from a2cli.models.zoo import TrunkCard
from a2cli.reports.training_results import Accuracy, Spread
from a2cli.reports.transfer_results import BackboneUsed, ProbeScore, StageResult, TransferResults
from a2cli.runs.directory import Run
from a2cli.statistics.intervals import spread_of_shares


def backbone_used(card: TrunkCard) -> BackboneUsed:
    """Return what a report says of a trunk."""
    return BackboneUsed(
        card.backbone, card.layer, card.node, card.weights, card.sha256, card.pretrained, list(card.random)
    )


def combined(found: Sequence[TransferResults]) -> TransferResults | None:
    """Return the spread of several runs' stages and probes; None where they have none."""
    if not found:
        return None
    stages = [_stage_over(same) for same in zip(*(one.stages for one in found), strict=True)]
    probes = [_probe_over(same) for same in zip(*(one.probes for one in found), strict=True)]
    return TransferResults(found[0].backbone, stages, probes)


def _stage_over(same: Sequence[StageResult]) -> StageResult:
    return replace(
        same[0],
        train=_over([one.train for one in same]),
        val=_over([one.val for one in same]),
        val_loss=fmean(one.val_loss for one in same),
        kept=all(one.kept for one in same),
        folder="",
    )


def _probe_over(same: Sequence[ProbeScore]) -> ProbeScore:
    tests = [one.test for one in same if one.test is not None]
    return replace(
        same[0],
        chosen=_range([one.chosen for one in same]),
        train=_over([one.train for one in same]),
        val=_over([one.val for one in same]),
        test=_over(tests) if len(tests) == len(same) else None,
    )


def _range(chosen: Sequence[str]) -> str:
    """Return what was chosen, as C 0.01 to 1."""
    ordered = sorted(set(chosen), key=lambda one: float(one.split()[1]) if one else 0.0)
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1].split()[1]}"


def _over(found: Sequence[Accuracy | Spread]) -> Spread:
    return spread_of_shares([one.value for one in found if isinstance(one, Accuracy)])


PROBES: list[Column[tuple[ProbeScore, str, Accuracy | Spread]]] = [
    Column("layer", lambda row: row[0].layer),
    Column("answer", lambda row: row[0].answer),
    Column("chosen", lambda row: row[0].chosen),
    Column("part", lambda row: row[1]),
    Column("accuracy", lambda row: row[2].mean if isinstance(row[2], Spread) else row[2].value),
    Column("low", lambda row: row[2].low),
    Column("high", lambda row: row[2].high),
]


def draw_transfer(run: Run, found: TransferResults | None) -> None:
    """Write the figure of the probes, if there are any."""
    if found is None or not found.probes:
        return
    from a2cli.transfer.figures import probes

    rows = [(one, part, measured) for one in found.probes for part in ("train", "val", "test")
            if (measured := getattr(one, part))]  # fmt: skip
    run.save_figure("probes", partial(probes, found), PROBES, rows)

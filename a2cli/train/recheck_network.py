"""A finished training's network held to its report, its settings and its data: its card, its sizes, what learned."""

from collections.abc import Iterator
from math import isclose
from pathlib import Path
from typing import Any

from torch import nn

from a2cli.models.cards import ModelCard
from a2cli.models.transfer import Transfer
from a2cli.reports.report import Report
from a2cli.reports.training_results import TrainingResults
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import FinetuneSettings, stages_of
from a2cli.train.differences import Difference, Row, compare
from a2cli.train.recheck import RESULT
from a2cli.transfer.finetune_stages import plan_of

CARD_ROUNDING = 1e-5


def in_network(
    folder: Path, report: Report, model: nn.Module, card: ModelCard, derived: ModelCard, settings: AnyTraining
) -> Iterator[Difference]:
    """Yield where a network and its card differ from the card that settings and data give, and from the report."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    yield from _in_card(folder / "model" / "model.json", card, derived)
    count = sum(p.numel() for p in model.parameters())
    rows: list[Row] = [(f"{RESULT}.parameters", report.results.runs[0].parameters, count, "model/")]
    if isinstance(model, Transfer) and isinstance(settings, FinetuneSettings) and report.transfer and card.trunk:
        rows += _in_stages(report, model, card.trunk.node, settings)
    yield from compare(folder / "report.json", rows)


def _in_stages(report: Report, model: Transfer, node: str, settings: FinetuneSettings) -> Iterator[Row]:
    """Yield which layers each stage learned and which were frozen, and how many weights each are."""
    head = sum(p.numel() for p in model.head.parameters())
    stages = report.transfer.stages if report.transfer else []
    for i, (stage, chosen) in enumerate(zip(stages, stages_of(settings), strict=False)):  # as many, as was compared
        plan, at = plan_of(chosen, model.trunk.body, node), f"transfer.stages[{i}]"
        yield f"{at}.learned", stage.learned, [*plan.learned, "head"], "model/"
        yield f"{at}.frozen", stage.frozen, [*plan.frozen], "model/"
        yield f"{at}.learned_parameters", stage.learned_parameters, sum(plan.learned.values()) + head, "model/"
        yield f"{at}.frozen_parameters", stage.frozen_parameters, sum(plan.frozen.values()), "model/"


def _in_card(file: Path, card: ModelCard, derived: ModelCard) -> Iterator[Difference]:
    """Yield where a network's card has other classes, or takes images otherwise, than the settings and data have it."""
    for name in ("class_names", "value_range"):  # classes in their order, as the network answers with their numbers
        if (value := getattr(card, name)) not in (None, getattr(derived, name)):  # None in earlier versions' cards
            yield Difference(file, name, value, getattr(derived, name), "the settings and the data")
    pairs: list[tuple[str, Any, Any]] = [("", card, derived)]
    if card.trunk and derived.trunk:
        pairs.append(("trunk.", card.trunk, derived.trunk))
        for name in ("backbone", "layer", "node", "sha256"):
            stated, wanted = getattr(card.trunk, name), getattr(derived.trunk, name)
            if stated != wanted:
                yield Difference(file, f"trunk.{name}", stated, wanted, "the settings and the data")
    for at, own, of_data in pairs:
        for name in ("mean", "std"):
            stated, wanted = list(getattr(own, name)), list(getattr(of_data, name))
            near = len(stated) == len(wanted) and all(
                isclose(a, b, rel_tol=CARD_ROUNDING) for a, b in zip(stated, wanted, strict=True)
            )
            if not near:
                yield Difference(file, f"{at}{name}", stated, wanted, "the settings and the data")

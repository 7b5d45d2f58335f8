"""A fine-tuning's stages: what each one learns, at which pace, on images or on what its frozen part answered."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor, fx, nn

from a2cli.errors import SettingsError
from a2cli.models.backbones import parameters_of, truncate
from a2cli.models.freezing import behind_cut, cut_before, layers_of, with_frozen
from a2cli.models.transfer import Transfer
from a2cli.reports.training_results import EpochLog, TrainingResult
from a2cli.reports.transfer_results import StageResult
from a2cli.settings.transfer import FinetuneSettings, Stage
from a2cli.training.loop import monitored
from a2cli.training.optimizers import ParamGroup


@dataclass(frozen=True)
class StagePlan:
    """One stage: the node behind which it learns (None: from the image on), the backbone's layers and their weights."""

    stage: Stage
    cut: str | None
    learned: Mapping[str, int]
    frozen: Mapping[str, int]

    @property
    def title(self) -> str:
        """What learns and what is frozen, in words."""
        learned = " to ".join(dict.fromkeys([*list(self.learned)[:1], "head"]))
        ends = " to ".join(dict.fromkeys([*list(self.frozen)[:1], *list(self.frozen)[-1:]]))
        frozen = f"{ends} ({sum(self.frozen.values()):,} weights)" if self.frozen else "nothing"
        return f"stage {self.stage.what}: learning {learned}; frozen {frozen}"


def plan_of(stage: Stage, body: fx.GraphModule, node: str) -> StagePlan:
    """Return what a stage learns of a trunk that ends at `node`; raises SettingsError for a layer that it has not."""
    whole = {"head": node, "all": None}
    cut = whole[stage.what] if stage.what in whole else cut_before(body, stage.what.removesuffix("+"))
    below = set(frozen_weights(body, cut))
    learned, frozen = dict[str, int](), dict[str, int]()
    for name, weights in layers_of(body):
        layers = frozen if weights.keys() <= below else learned
        layers[name] = sum(p.numel() for p in weights.values())
    return StagePlan(stage, cut, learned, frozen)


def frozen_weights(body: fx.GraphModule, cut: str | None) -> list[str]:
    """Return the names of the tensors that a trunk computes with up to a cut."""
    return parameters_of(truncate(body, [cut])) if cut else []


def learning_part(whole: Transfer, cut: str | None, *, cached: bool) -> nn.Module:
    """Return the part of a network that a stage runs: behind the cut if that is `cached`, else all of it.

    Its layers are the network's own; weights up to the cut take no gradient.
    """
    whole.requires_grad_(True)
    if cut is None:
        return whole
    return behind_cut(whole, cut, cached=True) if cached else with_frozen(whole, cut)


@torch.no_grad()
def check_batch_norms(part: nn.Module, image_size: int, plan: StagePlan) -> None:
    """Raise SettingsError for a batch norm that would learn from a single value, as a batch of one image leaves it.

    part: takes images (1, 3, image_size, image_size) uint8.
    """
    batch_norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
    part.train()  # which what is frozen ignores
    layers = {layer: name for name, layer in part.named_modules()}
    learning = [layer for layer in layers if isinstance(layer, batch_norm) and layer.training]
    part.eval()
    single: list[str] = []

    def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0][:, 0].numel() == 1:
            single.append(layers[norm].split("body.")[-1])

    with ExitStack() as hooks:
        for norm in learning:
            hooks.enter_context(norm.register_forward_pre_hook(look))
        part(torch.zeros(1, 3, image_size, image_size, dtype=torch.uint8))
    if single:
        raise SettingsError(
            f"--batch-size: stage {plan.stage.what} would train on a last batch of one image, of which {single[0]} "
            "has one value a channel, and a batch norm needs more; use another --batch-size"
        )


def paces_of(whole: Transfer, part: nn.Module, settings: FinetuneSettings) -> dict[str, ParamGroup]:
    """Return the pace of each of the trunk's weights, by its name in the part that learns.

    The rate falls from layer to layer downward (Howard & Ruder 2018, section 3.2), the head's being 1.
    """
    stages, decay = settings.stages, settings.stages.trunk_weight_decay
    decay = settings.training.weight_decay if decay is None else decay
    layers = [weights.values() for _, weights in layers_of(whole.trunk.body)]
    paces = {
        id(p): ParamGroup(stages.layer_decay**depth, decay)
        for depth, weights in enumerate(reversed(layers), start=1)
        for p in weights
    }
    return {name: paces[id(p)] for name, p in part.named_parameters() if id(p) in paces}


@dataclass(frozen=True)
class Staged:
    """A finished stage: what is said of it, its own result, its epochs."""

    result: StageResult
    training: TrainingResult
    logs: Sequence[EpochLog]


def best_stage(stages: Sequence[Staged], settings: FinetuneSettings) -> int:
    """Return the stage whose weights are kept: the best by the monitored metric, or the last."""
    if not settings.training.restore_best:
        return len(stages) - 1
    logs = [stage.logs[stage.training.kept_epoch - 1] for stage in stages]
    return min(range(len(stages)), key=lambda i: (monitored(logs[i], settings.training.monitor), i))


def counted_through(stages: Sequence[Staged]) -> list[list[EpochLog]]:
    """Return each stage's epochs, numbered from the first stage on."""
    starts = accumulate((len(stage.logs) for stage in stages), initial=0)
    numbered = zip(starts, stages, strict=False)  # one start more than stages
    return [[replace(log, epoch=start + log.epoch) for log in stage.logs] for start, stage in numbered]


def over_all_stages(stages: Sequence[Staged], kept: int) -> TrainingResult:
    """Return the kept stage's result as the whole run's: its epochs counted through all stages."""
    before = sum(len(stage.logs) for stage in stages[:kept])
    best, last = stages[kept].training, stages[-1].training
    return replace(
        best,
        epochs=sum(len(stage.logs) for stage in stages),
        kept_epoch=before + best.kept_epoch,
        best_epoch=before + best.best_epoch,
        stopped_early=last.stopped_early,
        last_train_accuracy=last.last_train_accuracy,
        last_val_accuracy=last.last_val_accuracy,
        folder=".",
    )

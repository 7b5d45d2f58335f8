"""A fine-tuning's stages: what each one learns, at which pace, on images or on what its frozen part answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, fx, nn

from a2cli.data.dataset import ImageSet
from a2cli.data.packing import Packed
from a2cli.data.splits import Rows
from a2cli.errors import SettingsError
from a2cli.models.backbones import parameters_of, truncate
from a2cli.models.freezing import behind_cut, cut_before, layers_of, with_frozen
from a2cli.models.transfer import Transfer
from a2cli.models.zoo import TrunkCard
from a2cli.progress import ProgressReporter
from a2cli.reports.training_results import EpochLog, TrainingResult
from a2cli.reports.transfer_results import StageResult
from a2cli.runs.directory import Run
from a2cli.settings.training import TrainingSettings
from a2cli.settings.transfer import FinetuneSettings, Stage
from a2cli.training.loop import monitored
from a2cli.training.optimizers import ParamGroup
from a2cli.transfer.activations import compute_activations


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
    cut = (
        {"head": node, "all": None}[stage.what] if stage.what in {"head", "all"} else cut_before(body, stage.what[:-1])
    )
    below = set(frozen_weights(body, cut))
    sizes = {name: (weights.keys() <= below, sum(p.numel() for p in weights.values()))
             for name, weights in layers_of(body)}  # fmt: skip
    learned = {name: size for name, (is_frozen, size) in sizes.items() if not is_frozen}
    return StagePlan(stage, cut, learned, {name: size for name, (is_frozen, size) in sizes.items() if is_frozen})


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
    part.train()
    norms: dict[nn.Module, str] = {
        norm: name.split("body.")[-1]
        for name, norm in part.named_modules()
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    }
    learning = [norm for norm in norms if norm.training]
    part.eval()
    single: list[str] = []

    def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0][:, 0].numel() == 1:
            single.append(norms[norm])

    hooks = [norm.register_forward_pre_hook(look) for norm in learning]
    try:
        part(torch.zeros(1, 3, image_size, image_size, dtype=torch.uint8))
    finally:
        for hook in hooks:
            hook.remove()
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
    paces: dict[int, ParamGroup] = {}
    for depth, (_, weights) in enumerate(reversed(list(layers_of(whole.trunk.body))), start=1):
        paces |= {id(p): ParamGroup(stages.layer_decay**depth, decay) for p in weights.values()}
    return {name: paces[id(p)] for name, p in part.named_parameters() if id(p) in paces}


def is_untouched(body: fx.GraphModule, pretrained: Mapping[str, Tensor], names: Sequence[str]) -> bool:
    """Return whether these weights still are what they were before any stage."""
    state = body.state_dict()
    return all(torch.equal(state[name].cpu(), pretrained[name].cpu()) for name in names)


def activations(
    trunk: TrunkCard,
    packed: Packed,
    network: Transfer,
    cut: str,
    parts: Sequence[Rows],
    training: TrainingSettings,
    reporter: ProgressReporter,
) -> list[ImageSet]:
    """Return what the network's frozen part answers to the images of each part, from the cache as far as there."""
    card = replace(trunk, node=cut, grid=trunk.grid if cut == trunk.node else 0)
    body, preprocess, rows = network.trunk.body, network.trunk.preprocess, np.concatenate(parts)
    size, precision, device = training.batch_size, training.precision, torch.device(training.device)
    # Training and validation share a store, whichever split was computed first: hence the whole batches.
    found, _ = compute_activations(
        body, preprocess, {cut: card}, packed.images, rows, size, precision, device, reporter, whole_batches=True
    )
    values, places = found[cut]
    labels, ends = packed.labels[rows], np.cumsum([len(part) for part in parts])[:-1]
    return [
        ImageSet(torch.from_numpy(values), torch.from_numpy(place), torch.from_numpy(label))
        for place, label in zip(np.split(places, ends), np.split(labels, ends), strict=True)
    ]


@dataclass(frozen=True)
class Staged:
    """A finished stage: what is said of it, its own result, its epochs."""

    result: StageResult
    training: TrainingResult
    logs: Sequence[EpochLog]


def load(network: Transfer, run: Run) -> None:
    """Take over the weights that a stage kept."""
    model, _ = run.load_model()
    network.load_state_dict(model.state_dict())


def kept_of(stages: Sequence[Staged], settings: FinetuneSettings) -> int:
    """Return the stage whose weights are kept: the best by the monitored metric, or the last."""
    if not settings.training.restore_best:
        return len(stages) - 1
    logs = [stage.logs[stage.training.kept_epoch - 1] for stage in stages]
    return min(range(len(stages)), key=lambda i: (monitored(logs[i], settings.training.monitor), i))


def counted_through(stages: Sequence[Staged]) -> list[list[EpochLog]]:
    """Return each stage's epochs, numbered from the first stage on."""
    found: list[list[EpochLog]] = []
    for stage in stages:
        before = sum(map(len, found))
        found.append([replace(log, epoch=before + log.epoch) for log in stage.logs])
    return found


def on_the_whole(stages: Sequence[Staged], kept: int) -> TrainingResult:
    """Return the kept stage's result as the whole run's: its epochs counted through all stages."""
    before, found = sum(len(stage.logs) for stage in stages[:kept]), stages[kept].training
    last = stages[-1].training
    return replace(
        found,
        epochs=sum(len(stage.logs) for stage in stages),
        kept_epoch=before + found.kept_epoch,
        best_epoch=before + found.best_epoch,
        stopped_early=last.stopped_early,
        last_train_accuracy=last.last_train_accuracy,
        last_val_accuracy=last.last_val_accuracy,
        folder=".",
    )

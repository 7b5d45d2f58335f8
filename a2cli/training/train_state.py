"""What a training run is made of, and its moving parts: what a checkpoint holds and a resumed run goes on from."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from a2cli.data.dataset import Augmented, ImageSet
from a2cli.data.packing import Packed
from a2cli.data.splits import Split
from a2cli.errors import DataError
from a2cli.models.cards import ModelCard
from a2cli.models.layers import first_layer
from a2cli.progress import ProgressReporter
from a2cli.reports.report import DataSummary
from a2cli.reports.training_results import EpochLog
from a2cli.runs.checkpoints import load_checkpoint, save_checkpoint
from a2cli.runs.directory import Run, other_weights
from a2cli.settings.declare import deciding, flat
from a2cli.settings.kinds import AnyTraining, command_of
from a2cli.settings.training import TrainingSettings
from a2cli.training.loop import monitored
from a2cli.training.optimizers import Average, Optimizer, ParamGroup
from a2cli.training.schedulers import Schedule


@dataclass(frozen=True)
class Learner:
    """The network that a run saves, and the part of it that learns; the rest is frozen, and only the part is run.

    `paces` are the weights, by their name in the part, that move otherwise than the rest.
    """

    whole: nn.Module
    part: nn.Module
    paces: Mapping[str, ParamGroup] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSpec:
    """What one training run is made of: the network's card, the images and their split, the settings.

    `settings` are the run's, `training` what this training of them has.
    `learner` makes the network; `train`, `val` and `test` are what its learning part takes, images or activations.
    `epochs_before` are those of stages before this one.
    """

    title: str
    settings: AnyTraining
    card: ModelCard
    training: TrainingSettings
    packed: Packed
    split: Split
    train: Augmented
    val: ImageSet
    test: ImageSet
    summary: DataSummary
    warnings: Sequence[str]
    learner: Callable[[], Learner]
    epochs_before: int = 0

    @property
    def device(self) -> torch.device:
        """The device that was settled before any run of the training began."""
        return torch.device(self.training.device)

    @property
    def command(self) -> str:
        return command_of(self.settings)

    @property
    def config(self) -> dict[str, Any]:
        return flat(self.settings)


def identity_of(settings: AnyTraining, fingerprint: str) -> str:
    """Return what a checkpoint must agree in with the run that goes on from it: all settings, and the data."""
    decides = [deciding(settings), fingerprint]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


class TrainState:
    """A training run's moving parts, which a checkpoint holds: network, average, optimizer, schedule, the past.

    `evaluated` is the network that is validated and saved: the averaged one where there is one, else the trained one.
    """

    def __init__(self, job: RunSpec, device: torch.device) -> None:
        self.job, learner = job, job.learner()
        self.whole, self.model = learner.whole.to(device), learner.part.to(device)
        training = job.training
        self.optimizer = Optimizer(
            self.model, training.optimizer, training.weight_decay, training.momentum, learner.paces
        )
        self.average = Average(self.model, training.average_weights) if training.average_weights else None
        self.evaluated = self.average.model if self.average else self.model
        self.schedule = Schedule(job.training)
        self.identity = identity_of(job.settings, job.summary.fingerprint)
        self.backbone = job.card.trunk.sha256 if job.card.trunk else ""
        self.history: list[EpochLog] = []
        self.best_weights: dict[str, Tensor] = {}

    @property
    def best_epoch(self) -> int:
        """The first epoch with the best value of the monitored metric."""
        return min(self.history, key=lambda log: (monitored(log, self.job.training.monitor), log.epoch)).epoch

    @property
    def stopped_early(self) -> bool:
        patience = self.job.training.early_stopping
        return bool(patience and self.history and len(self.history) - self.best_epoch >= patience)

    @property
    def finished(self) -> bool:
        return self.stopped_early or len(self.history) == self.job.training.epochs

    @property
    def kept_epoch(self) -> int:
        return self.best_epoch if self.job.training.restore_best else len(self.history)

    @property
    def first_layer(self) -> nn.Conv2d | nn.Linear | None:
        """The layer that sees the image, if it learns."""
        layer = first_layer(self.whole)
        learning = {id(p) for p in self.model.parameters() if p.requires_grad}
        return layer if any(id(p) in learning for p in layer.parameters()) else None

    def record(self, log: EpochLog) -> None:
        self.history.append(log)
        if self.best_epoch == log.epoch:
            self.best_weights = {name: tensor.clone() for name, tensor in self.evaluated.state_dict().items()}

    def save(self, run: Run) -> None:
        # The best weights so far are in each, so that any checkpoint is whole alone.
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state, "best": self.best_weights}
        if self.average:
            parts["average"] = self.average.model.state_dict()
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        state = {
            "run": self.identity,
            "backbone": self.backbone,
            "steps": self.optimizer.steps,
            "schedule": self.schedule.state,
            "history": [asdict(log) for log in self.history],
        }
        save_checkpoint(run.folder / "checkpoints", len(self.history), tensors, state)

    def restore(self, run: Run, reporter: ProgressReporter) -> None:
        """Go back to the newest whole checkpoint, if any; raises DataError where it belongs to other settings."""
        checkpoint = load_checkpoint(run.folder / "checkpoints")
        if checkpoint is None:
            return
        tensors, state, damaged = checkpoint
        for warning in damaged:
            reporter.warn(f"{warning}; going on from epoch {state.get('epoch')}")
        try:
            if state["run"] != self.identity:
                raise DataError(f"{run.folder}/checkpoints: of a run with other settings or data; start the run anew")
            if (began := state.get("backbone", self.backbone)) != self.backbone:  # earlier versions kept none
                raise other_weights(run.folder / "checkpoints", began, self.backbone)
            parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "best": {}, "average": {}}
            for name, tensor in tensors.items():
                part, _, inner = name.partition("/")
                parts[part][inner] = tensor
            self.model.load_state_dict(parts["model"])
            if self.average:
                self.average.model.load_state_dict(parts["average"])
            for name, tensor in self.optimizer.state.items():
                tensor.copy_(parts["optimizer"][name])
            self.best_weights = parts["best"]
            self.optimizer.steps = int(state["steps"])
            schedule = state["schedule"].items()  # where null is an infinity, which JSON has none of
            self.schedule.state = {name: float("inf") if value is None else value for name, value in schedule}
            self.history = [EpochLog(**row) for row in state["history"]]
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:80]
            raise DataError(f"{run.folder}/checkpoints: not of this network ({reason}); start the run anew") from None

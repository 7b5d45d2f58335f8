"""One network trained on one split, from its first step or from where it was stopped, with its results and figures."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from a2cli.analysis.statistics import wilson
from a2cli.data.dataset import Augmented, ImageSet
from a2cli.errors import DataError, DivergedError
from a2cli.experiments.training_figures import draw_run
from a2cli.experiments.verdicts import training_verdict
from a2cli.models.layers import first_layer
from a2cli.models.zoo import ModelCard
from a2cli.report import DataSummary, Report, Watcher
from a2cli.results.training import ClassScore, EpochLog, Mistake, TrainingResult, TrainingResults
from a2cli.runs import Run
from a2cli.runtime import Streams, environment
from a2cli.settings import TrainingSettings
from a2cli.training.averaging import Average
from a2cli.training.loop import Evaluation, evaluate, fit, monitored
from a2cli.training.optimizers import Optimizer, Pace
from a2cli.training.schedulers import Schedule

CHECKPOINT_SECONDS = 1.0
MOST_WRONG = 16


@dataclass(frozen=True)
class Learner:
    """The network that a run saves, and the part of it that learns; the rest is frozen, and only the part is run.

    `paces` are the weights, by their name in the part, that move otherwise than the rest.
    """

    whole: nn.Module
    part: nn.Module
    paces: Mapping[str, Pace] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What one training run is made of: the network's card, the split images with their file names, the settings.

    `learner` makes the network; `train`, `val` and `test` are what its learning part takes, images or activations.
    `held_out` are the validation images' numbers in the data set; `pictures` (M, H, W, 3) uint8 are all images, where
    there are any to show. `epochs_before` are those of stages before this one.
    """

    title: str
    command: str
    config: dict[str, Any]
    card: ModelCard
    training: TrainingSettings
    train: Augmented
    val: ImageSet
    test: ImageSet
    names: Sequence[str]
    held_out: NDArray[np.int64]
    pictures: NDArray[np.uint8] | None
    summary: DataSummary
    warnings: Sequence[str]
    learner: Callable[[], Learner]
    epochs_before: int = 0


class Progress:
    """A training run's moving parts, which a checkpoint holds: network, average, optimizer, schedule, the past.

    `judged` is what is validated and kept: the average where there is one, else the network itself.
    """

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job, learner = job, job.learner()
        self.whole, self.model = learner.whole.to(device), learner.part.to(device)
        training = job.training
        self.optimizer = Optimizer(
            self.model, training.optimizer, training.weight_decay, training.momentum, learner.paces
        )
        self.average = Average(self.model, training.average_weights) if training.average_weights else None
        self.judged = self.average.model if self.average else self.model
        self.schedule = Schedule(job.training)
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
            self.best_weights = {name: tensor.clone() for name, tensor in self.judged.state_dict().items()}

    @property
    def _identity(self) -> str:
        """What a checkpoint must agree in with the run that goes on from it: all settings, and the data."""
        decides = [self.job.config, self.job.summary.fingerprint]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def save(self, run: Run) -> None:
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state, "best": self.best_weights}
        if self.average:
            parts["average"] = self.average.model.state_dict()
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        state = {
            "run": self._identity,
            "steps": self.optimizer.steps,
            "schedule": self.schedule.state,
            "history": [asdict(log) for log in self.history],
        }
        run.save_checkpoint(len(self.history), tensors, state)

    def restore(self, run: Run, watch: Watcher) -> None:
        """Go back to the newest whole checkpoint, if any; raises DataError where it belongs to other settings."""
        found = run.load_checkpoint()
        if found is None:
            return
        tensors, state, passed = found
        for warning in passed:
            watch.warn(f"{warning}; going on from epoch {state.get('epoch')}")
        try:
            if state["run"] != self._identity:
                raise DataError(f"{run.folder}/checkpoints: of a run with other settings or data; start the run anew")
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
            self.schedule.state = {
                name: float("inf") if value is None else value for name, value in state["schedule"].items()
            }
            self.history = [EpochLog(**row) for row in state["history"]]
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:80]
            raise DataError(f"{run.folder}/checkpoints: not of this network ({reason}); start the run anew") from None


def run_trial(
    job: Job, run: Run, device: torch.device, watch: Watcher, *, final: bool = False, figures: bool = True
) -> Report:
    """Train until done, from the newest checkpoint if the folder has one, and return the report written there.

    A run that is already done is returned as it stands, unless `final` asks for its test. Raises DataError where the
    folder holds a run on other data or of other settings, and DivergedError.
    """
    previous = run.previous_report(job.config, job.summary.fingerprint)
    if previous is not None and previous.status == "done" and not final:
        return previous
    with under_way(run, job.command, job.config, job.summary, job.warnings, device, final=final) as report:
        return _run(job, run, device, watch, report, final, figures)


@contextmanager
def under_way(
    run: Run,
    command: str,
    config: dict[str, Any],
    summary: DataSummary,
    warnings: Sequence[str],
    device: torch.device,
    *,
    final: bool,
) -> Iterator[Report]:
    """Write the report of a run that is under way, and into it how it ended, if it did not end well.

    With `final`, the test images count as read from now on.
    """
    previous = run.read_report()
    report = Report(
        command=command,
        config=config,
        environment=environment(device),
        status="running",
        created=previous.created if previous else datetime.now(UTC).isoformat(timespec="seconds"),
        data=summary,
        warnings=list(warnings),
        test_reads=(previous.test_reads if previous else 0) + final,
    )
    run.write_report(report)
    try:
        yield report
    except (KeyboardInterrupt, SystemExit):
        run.write_report(replace(report, status="interrupted"))
        raise
    except DivergedError as error:
        run.write_report(replace(report, status="diverged", warnings=[*report.warnings, str(error)]))
        raise


def _run(
    job: Job, run: Run, device: torch.device, watch: Watcher, report: Report, final: bool, figures: bool
) -> Report:
    began = time.perf_counter()
    progress = Progress(job, device)
    progress.restore(run, watch)
    run.start_metrics(progress.history)
    watch.start(job.title, job.training.epochs, len(progress.history))
    if not progress.finished:
        _train(progress, run, device, watch, job.test if final else None)
    trained = time.perf_counter()
    watch.phase("evaluating")
    progress.model.load_state_dict(progress.best_weights if job.training.restore_best else progress.judged.state_dict())
    run.save_model(job.card, progress.whole)
    val = evaluate(progress.model, job.val, job.training, device)
    test = evaluate(progress.model, job.test, job.training, device) if final else None
    result = _result(progress, val, test, device)
    if figures:
        watch.phase("drawing figures")
        history = {str(job.training.seed): progress.history}
        draw_run(run, job.card.class_names, history, result, job.names, job.pictures)
    drawn = time.perf_counter()
    report = replace(
        report,
        status="done",
        results=TrainingResults([result], None, None, None, None, training_verdict([result], job.training.monitor)),
        history={str(job.training.seed): progress.history},
        artifacts=run.artifacts(),
        seconds={"training": trained - began, "evaluating and drawing": drawn - trained},
    )
    run.write_report(report)
    return report


def _train(progress: Progress, run: Run, device: torch.device, watch: Watcher, test: ImageSet | None) -> None:
    job = progress.job
    streams = Streams(job.training.seed, job.epochs_before)
    saved, film = time.perf_counter(), progress.first_layer
    epochs = fit(
        progress.model,
        job.train,
        job.val,
        job.training,
        progress.optimizer,
        progress.schedule,
        streams,
        device,
        watch,
        first_epoch=len(progress.history),
        test=test,
        average=progress.average,
    )
    for log in epochs:
        progress.record(log)
        run.append_metrics(log)
        if film and log.epoch.bit_count() == 1:  # after 1, 2, 4, 8, ... epochs, as weights move most at first
            run.save_frame(log.epoch, {"weight": film.weight.detach().half()})
        watch.epoch(log)
        if progress.stopped_early:
            break
        if time.perf_counter() - saved > CHECKPOINT_SECONDS:
            progress.save(run)
            saved = time.perf_counter()
    progress.save(run)


def _result(progress: Progress, val: Evaluation, test: Evaluation | None, device: torch.device) -> TrainingResult:
    job, names = progress.job, progress.job.card.class_names
    train = evaluate(progress.model, job.train.data, job.training, device)
    confusion = torch.bincount(val.labels * len(names) + val.answers, minlength=len(names) ** 2).view(len(names), -1)
    largest = int(torch.bincount(job.train.data.labels, minlength=len(names)).argmax())
    return TrainingResult(
        seed=job.training.seed,
        parameters=sum(p.numel() for p in progress.whole.parameters()),
        epochs=len(progress.history),
        kept_epoch=progress.kept_epoch,
        best_epoch=progress.best_epoch,
        stopped_early=progress.stopped_early,
        train=wilson(train.correct, len(train.labels)),
        val=wilson(val.correct, len(val.labels)),
        val_loss=val.loss,
        last_train_accuracy=progress.history[-1].train_accuracy,
        last_val_accuracy=progress.history[-1].val_accuracy,
        majority=wilson(int((val.labels == largest).sum()), len(val.labels)),
        test=wilson(test.correct, len(test.labels)) if test else None,
        classes=[
            ClassScore(name, int(row.sum()), int(row[i]))
            for i, (name, row) in enumerate(zip(names, confusion, strict=True))
        ],
        confusion=confusion.tolist(),
        most_wrong=[_mistake(job, val, i) for i in _most_wrong(val)],
        folder=".",
    )


def _most_wrong(val: Evaluation) -> list[int]:
    """Return the images answered wrongly, the most confident answers first."""
    wrong = (val.answers != val.labels).nonzero().flatten()
    confidence = val.probabilities.amax(dim=1)[wrong]
    return [int(i) for i in wrong[confidence.argsort(descending=True, stable=True)][:MOST_WRONG]]


def _mistake(job: Job, val: Evaluation, i: int) -> Mistake:
    names, answer = job.card.class_names, int(val.answers[i])
    name = job.names[int(job.held_out[i])]
    return Mistake(name, names[int(val.labels[i])], names[answer], float(val.probabilities[i, answer]))

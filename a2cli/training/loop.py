"""The one training loop of the project, and the one evaluation.

B images a batch, C channels, H x W pixels, K classes.
"""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from a2cli.data.dataset import Augmented, ImageSet
from a2cli.errors import DivergedError
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.training_results import EpochLog
from a2cli.settings.training import TrainingSettings
from a2cli.training.optimizers import Average, Optimizer
from a2cli.training.schedulers import Schedule

EVALUATION_BATCH, LARGE_EVALUATION_BATCH = 256, 32
LARGE_IMAGE = 3 * 96 * 96  # values of an image from which on fewer go at a time, as their maps take memory


def loss_of(logits: Tensor, labels: Tensor, settings: TrainingSettings) -> Tensor:
    """Return the cross entropy; `double-softmax` takes softmax outputs for logits, as the coursework's code has it."""
    if settings.loss == "double-softmax":
        logits = logits.softmax(dim=1)
    return F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)


@dataclass(frozen=True)
class Evaluation:
    """A network's answers to a set of images: `probabilities` (N, K), `labels` (N,), the mean loss."""

    probabilities: Tensor
    labels: Tensor
    loss: float

    @property
    def answers(self) -> Tensor:
        return self.probabilities.argmax(dim=1)

    @property
    def correct(self) -> int:
        return int((self.answers == self.labels).sum())

    @property
    def accuracy(self) -> float:
        return self.correct / len(self.labels)


def fit(
    model: nn.Module,
    train: Augmented,
    val: ImageSet,
    settings: TrainingSettings,
    optimizer: Optimizer,
    schedule: Schedule,
    streams: Streams,
    device: torch.device,
    reporter: ProgressReporter,
    first_epoch: int = 0,
    test: ImageSet | None = None,
    average: Average | None = None,
) -> Iterator[EpochLog]:
    """Train the network, yielding after each epoch; whoever iterates may stop, and owns everything else.

    Where there is a `test`, its accuracy is taken down as well; nothing acts on it. With an `average` of the weights,
    that is what is validated.
    Raises DivergedError at the first step whose loss is not a finite number.
    """
    steps = -(-len(train) // settings.batch_size)
    judged = average.model if average else model
    for epoch in range(first_epoch, settings.epochs):
        began, rate = time.perf_counter(), schedule.learning_rate(epoch)
        total_loss, answers, truths = 0.0, [], []
        model.train()
        torch.manual_seed(streams.derive("dropout", epoch))  # the one seed that `nn.Dropout` draws by
        batches = train.batches(settings.batch_size, streams, epoch)
        for step, (images, labels) in enumerate(reporter.batches(batches, steps)):
            images, labels = images.to(device), labels.to(device)
            with precise(settings.precision, device):
                logits = model(images).float()
            loss = loss_of(logits, labels, settings)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step(rate)
            if average:
                average.update(optimizer.steps)
            value = loss.item()
            if not math.isfinite(value):
                raise _diverged(value, f"step {step + 1} of {steps} in epoch {epoch + 1}", rate)
            total_loss += value * len(labels)
            answers.append(logits.detach().argmax(dim=1))
            # Mixed images have a share of each class as their label; the larger one counts.
            truths.append(labels if labels.dim() == 1 else labels.argmax(dim=1))
        seconds = time.perf_counter() - began
        result = evaluate(judged, val, settings, device)
        if not math.isfinite(result.loss):
            raise _diverged(result.loss, f"the validation of epoch {epoch + 1}", rate)
        log = EpochLog(
            epoch=epoch + 1,
            learning_rate=rate,
            train_loss=total_loss / len(train),
            train_accuracy=int((torch.cat(answers) == torch.cat(truths)).sum()) / len(train),
            val_loss=result.loss,
            val_accuracy=result.accuracy,
            images_per_second=len(train) / seconds,
            test_accuracy=evaluate(judged, test, settings, device).accuracy if test else None,
        )
        schedule.observe(epoch, monitored(log, settings.monitor))
        yield log


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: ImageSet,
    settings: TrainingSettings,
    device: torch.device,
    reporter: ProgressReporter | None = None,
) -> Evaluation:
    """Return the network's answers to every image, in order, with dropout and batch statistics switched off."""
    model.eval()
    size = EVALUATION_BATCH if data.images[0].numel() < LARGE_IMAGE else LARGE_EVALUATION_BATCH
    batches = (reporter or NullReporter()).batches(data.batches(size), -(-len(data) // size))
    logits = torch.cat([logits_of(model, images, settings.precision, device) for images, _ in batches])
    loss = loss_of(logits, data.labels, settings).item()
    return Evaluation(logits.softmax(dim=1), data.labels, loss)


def logits_of(model: nn.Module, images: Tensor, precision: str, device: torch.device) -> Tensor:
    """Return the network's logits (B, K) float32 for images (B, C, H, W), wherever it computes."""
    with precise(precision, device):
        logits: Tensor = model(images.to(device))
    return logits.float().cpu()


def _diverged(loss: float, where: str, rate: float) -> DivergedError:
    return DivergedError(
        f"training diverged: the loss is {loss} at {where}, learning rate {rate:g}; try a smaller learning rate"
    )


def monitored(log: EpochLog, monitor: str) -> float:
    """Return the metric that early stopping, plateau and the best epoch go by; smaller is better."""
    return {"val-loss": log.val_loss, "val-accuracy": -log.val_accuracy, "train-loss": log.train_loss}[monitor]


def precise(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return the arithmetic that `--precision` names, as a context to compute in."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()

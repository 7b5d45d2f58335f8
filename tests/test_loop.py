"""The one loop: against a plain torch loop, the same bits twice, streams that do not touch, losses, early stopping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from a2cli.data.dataset import Augmented, ImageSet
from a2cli.errors import DivergedError
from a2cli.models.convnet import build_convnet
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import Report
from a2cli.reports.training_results import EpochLog
from a2cli.runs.directory import Run
from a2cli.settings.presets import build
from a2cli.settings.training import NetworkSettings, TrainCnnSettings, TrainingSettings
from a2cli.train.run import train_network
from a2cli.training.loop import evaluate, fit, loss_of
from a2cli.training.optimizers import Average, Optimizer
from a2cli.training.schedulers import Schedule

CPU = torch.device("cpu")
SMALL = NetworkSettings(channels=(6, 6), kernel_size=(3,), hidden=(16,))


def some_images(count: int = 40, seed: int = 0, noise: int = 120) -> ImageSet:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    pixels = rng.integers(0, noise, (count, 16, 16, 3)) + (255 - noise) // 3 * labels[:, None, None, None]
    images = torch.from_numpy(pixels.astype(np.uint8))
    return ImageSet(images, torch.arange(count), torch.from_numpy(labels))


def network(settings: NetworkSettings = SMALL, seed: int = 0) -> nn.Sequential:
    return build_convnet(settings, 16, 4, (0.5,) * 3, (0.25,) * 3, Streams(seed))


def train(
    model: nn.Module,
    data: ImageSet,
    seed: int = 0,
    strengths: dict[str, float] | None = None,
    **settings: Any,
) -> list[EpochLog]:
    torch.set_num_threads(1)
    chosen = TrainingSettings(**{"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, **settings})
    optimizer = Optimizer(model, chosen.optimizer, chosen.weight_decay, chosen.momentum)
    logs = fit(
        model, Augmented(data, strengths or {}), data, chosen, optimizer, Schedule(chosen), Streams(seed), CPU,
        NullReporter(),
    )  # fmt: skip
    return list(logs)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_equals_a_plain_torch_loop() -> None:
    data, ours, theirs = some_images(), network(), network()
    logs = train(ours, data)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    for epoch in range(3):
        total = 0.0
        order = torch.randperm(len(data), generator=Streams(0).torch("order", epoch))
        for rows in order.split(8):
            images = data.images[rows].permute(0, 3, 1, 2).float() / 255
            loss = F.cross_entropy(theirs(images), data.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        assert logs[epoch].train_loss == pytest.approx(total / len(data), rel=1e-4)
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=2e-3, atol=2e-4)


def test_the_average_is_torchs() -> None:
    """Against `torch.optim.swa_utils`, batch statistics as well; and the mean is what is validated."""
    model, data = network(NetworkSettings(channels=(4,), norm="batch")), some_images()
    chosen = TrainingSettings(epochs=3, batch_size=8, learning_rate=1e-2)
    optimizer, step = Optimizer(model, chosen.optimizer), Optimizer.step
    average = Average(model, 0.5)
    kept = AveragedModel(model, avg_fn=lambda mean, w, t: mean + (w - mean) * (1 - min(0.5, t / (t + 10))),
                         use_buffers=True)  # fmt: skip
    kept.n_averaged.fill_(1)  # or torch's would forget the start at its first step

    class Stepping(Optimizer):
        def step(self, learning_rate: float) -> None:
            step(self, learning_rate)
            kept.update_parameters(model)

    optimizer.__class__ = Stepping
    logs = fit(model, Augmented(data, {}), data, chosen, optimizer, Schedule(chosen), Streams(0), CPU, NullReporter(),
               average=average)  # fmt: skip
    last = list(logs)[-1]
    for name, tensor in kept.module.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(average.model.state_dict()[name], tensor)
    assert not torch.allclose(weights(average.model), weights(model))
    assert last.val_loss == evaluate(average.model, data, chosen, CPU).loss != evaluate(model, data, chosen, CPU).loss


@pytest.mark.parametrize("restore_best", [False, True])
def test_what_is_kept_is_the_average(restore_best: bool, data_file: Path, tmp_path: Path) -> None:
    report = whole_run(data_file, tmp_path / "run", restore_best=restore_best, average_weights=0.9)
    assert report.results
    found, history = report.results.runs[0], report.history["0"]
    assert found.val_loss == pytest.approx(history[found.kept_epoch - 1].val_loss, rel=1e-5)
    plain = whole_run(data_file, tmp_path / "plain", restore_best=restore_best).history["0"]
    assert [log.train_loss for log in plain] == [log.train_loss for log in history], "the training itself is the same"
    assert plain[-1].val_loss != history[-1].val_loss


def test_accuracy_on_mixed_images_is_by_the_larger_part() -> None:
    data = some_images(8, noise=250)
    logs = train(network(), data, strengths={"mixup": 1.0}, epochs=150)
    assert logs[-1].train_accuracy > 0.6
    assert 0.2 < logs[-1].train_loss < logs[0].train_loss, "targets are mixed, so none can be met for certain"


def test_one_batch_can_be_learned_by_heart() -> None:
    data = some_images(8, noise=250)
    logs = train(network(), data, epochs=150)
    assert logs[-1].train_loss < 0.01
    assert logs[-1].train_accuracy == 1.0


@pytest.mark.parametrize("network_settings", [SMALL, NetworkSettings(channels=(4,), norm="batch", dropout=(0.3,))])
def test_same_seed_same_bits(network_settings: NetworkSettings) -> None:
    def run(seed: int) -> tuple[Tensor, list[float]]:
        model = network(network_settings, seed)
        logs = train(model, some_images(), seed=seed, strengths={"flip": 0.5, "rotate": 10.0})
        return weights(model), [log.val_loss for log in logs]

    (first, losses), (second, again), (other, _) = run(0), run(0), run(1)
    assert torch.equal(first, second)
    assert losses == again
    assert not torch.equal(first, other)


@pytest.mark.parametrize("changed", ["augment", "dropout", "epochs"])
def test_streams_do_not_touch_each_other(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn for the order does not move when another stream is drawn from as well."""
    seen: list[list[int]] = []

    class Spy(NullReporter):
        def batches(self, batches: Any, count: int) -> Any:
            for images, labels in batches:
                seen.append(labels.tolist())
                yield images, labels

    def labels_of(settings: NetworkSettings, strengths: dict[str, float], epochs: int) -> list[list[int]]:
        seen.clear()
        chosen = TrainingSettings(epochs=epochs, batch_size=8)
        model = network(settings)
        data, optimizer = some_images(), Optimizer(model, "sgd")
        list(fit(model, Augmented(data, strengths), data, chosen, optimizer, Schedule(chosen), Streams(0), CPU, Spy()))
        return seen[:10]

    plain = labels_of(SMALL, {}, 2)
    dropping = NetworkSettings(channels=(6, 6), kernel_size=(3,), hidden=(16,), dropout=(0.5,))
    other = {
        "augment": (SMALL, {"flip": 0.5, "color-jitter": 0.4}, 2),
        "dropout": (dropping, {}, 2),
        "epochs": (SMALL, {}, 5),
    }[changed]
    assert labels_of(*other) == plain
    assert torch.equal(weights(network(dropping)), weights(network(SMALL)))


def test_losses_by_hand() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]]), torch.tensor([0, 1])
    log_p = logits.log_softmax(1)
    expected = -(log_p[0, 0] + log_p[1, 1]) / 2
    torch.testing.assert_close(loss_of(logits, labels, TrainingSettings(loss="cross-entropy")), expected)
    twice = logits.softmax(1).log_softmax(1)
    double = loss_of(logits, labels, TrainingSettings(loss="double-softmax"))
    torch.testing.assert_close(double, -(twice[0, 0] + twice[1, 1]) / 2)
    smoothed = 0.9 * expected + 0.1 * -log_p.mean()
    torch.testing.assert_close(loss_of(logits, labels, TrainingSettings(label_smoothing=0.1)), smoothed)


def test_evaluate_by_hand() -> None:
    data = some_images(50)
    settings = NetworkSettings(channels=(6, 6), kernel_size=(3,), hidden=(16,), dropout=(0.5,), norm="batch")
    model = network(settings)
    found = evaluate(model, data, TrainingSettings(), CPU)
    with torch.no_grad():
        logits = model.eval()(data.images.permute(0, 3, 1, 2))
    torch.testing.assert_close(found.probabilities, logits.softmax(1))
    assert found.accuracy == sum((logits.argmax(1) == data.labels).tolist()) / 50
    assert found.loss == pytest.approx(F.cross_entropy(logits, data.labels).item())


def test_divergence_stops_at_the_step() -> None:
    with pytest.raises(DivergedError, match=r"at step \d of 5 in epoch 1, learning rate 1e\+30") as stopped:
        train(network(), some_images(), optimizer="sgd", learning_rate=1e30)
    assert stopped.value.exit_status == 4


def test_bf16_is_close_and_not_the_same() -> None:
    full, half = train(network(), some_images(), epochs=1), train(network(), some_images(), epochs=1, precision="bf16")
    assert half[0].train_loss == pytest.approx(full[0].train_loss, rel=0.05)
    assert half[0].train_loss != full[0].train_loss


# The whole run


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    images = some_images(120, noise=250)
    np.savez(
        tmp_path / "set.npz", images=images.images.numpy(), labels=np.random.default_rng(0).permutation(images.labels)
    )
    return tmp_path / "set.npz"


def whole_run(data: Path, folder: Path, **changed: Any) -> Report:
    values = {"data": str(data), "image_size": 16, "channels": (8,), "kernel_size": (3,), "threads": 1, "device": "cpu"}
    values |= {"epochs": 12, "learning_rate": 0.01} | changed
    folder.mkdir()
    return train_network(build(TrainCnnSettings, values), Run(folder), NullReporter())


@pytest.mark.parametrize("monitor", ["val-loss", "val-accuracy", "train-loss"])
def test_early_stopping_and_the_best_weights(monitor: str, data_file: Path, tmp_path: Path) -> None:
    """Labels are random, so validation gets worse while training gets better."""
    report = whole_run(data_file, tmp_path / "run", early_stopping=3, monitor=monitor, epochs=40, learning_rate=0.02,
                       restore_best=True)  # fmt: skip
    assert report.results
    result, history = report.results.runs[0], report.history["0"]
    metric = [
        {"val-loss": r.val_loss, "val-accuracy": -r.val_accuracy, "train-loss": r.train_loss}[monitor] for r in history
    ]
    assert result.best_epoch == metric.index(min(metric)) + 1
    assert result.stopped_early == (len(history) < 40)
    assert monitor == "train-loss" or len(history) == result.best_epoch + 3
    assert result.val_loss == pytest.approx(history[result.best_epoch - 1].val_loss, rel=1e-5), "not the best weights"


def test_the_last_weights_by_default(data_file: Path, tmp_path: Path) -> None:
    report = whole_run(data_file, tmp_path / "run")
    assert report.results
    assert report.results.runs[0].val_loss == pytest.approx(report.history["0"][-1].val_loss, rel=1e-5)
    assert report.results.runs[0].kept_epoch == 12

"""Learning rates over the epochs; epochs count from 0, and rates change only between epochs."""

import math

from a2cli.settings.training import TrainingSettings


class Schedule:
    """The learning rate of each epoch; `plateau` alone remembers something, the metric's best and the epochs since."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.state: dict[str, float] = {"rate": settings.learning_rate, "best": math.inf, "waited": 0}

    def learning_rate(self, epoch: int) -> float:
        """Return the rate of an epoch: the scheduler's, times (epoch + 1) / warmup during the warmup."""
        warmup = self.settings.warmup_epochs
        if epoch < warmup:
            return self.settings.learning_rate * (epoch + 1) / warmup
        return self._scheduled(epoch - warmup)

    def _scheduled(self, epoch: int) -> float:
        settings, top = self.settings, self.settings.learning_rate
        if settings.scheduler == "plateau":
            return self.state["rate"]
        if settings.scheduler == "step":
            return top * settings.gamma ** (epoch // settings.step_size)
        if settings.scheduler == "multistep":
            return top * settings.gamma ** sum(epoch >= milestone for milestone in settings.milestones)
        if settings.scheduler == "cosine":  # Loshchilov & Hutter 2017, equation 5, one period
            low, period = settings.min_learning_rate, settings.epochs - settings.warmup_epochs
            return low + (top - low) * (1 + math.cos(math.pi * epoch / period)) / 2
        return top

    def observe(self, epoch: int, metric: float) -> None:
        """Take note of an epoch's metric (smaller is better): plateau lowers the rate when it has waited too long.

        As torch's ReduceLROnPlateau: an improvement is a metric below the best by more than 0.01%.
        """
        state, settings = self.state, self.settings
        if settings.scheduler != "plateau" or epoch < settings.warmup_epochs:
            return
        improved = metric < (state["best"] * (1 - 1e-4) if state["best"] >= 0 else state["best"] * (1 + 1e-4))
        state["best"] = metric if improved else state["best"]
        state["waited"] = 0 if improved else state["waited"] + 1
        if state["waited"] > settings.plateau_patience:
            state["rate"] = max(state["rate"] * settings.plateau_factor, settings.min_learning_rate)
            state["waited"] = 0

"""What a training run's figures say, in words."""

from collections.abc import Sequence

from a2cli.results.training import Accuracy, Spread, TrainingResult


def training_verdict(
    runs: Sequence[TrainingResult],
    monitor: str,
    val: Spread | None = None,
    train: Spread | None = None,
    test: Spread | None = None,
) -> str:
    """Return a verdict on training runs of one setting, with their spreads from two runs on.

    It says what was measured (`monitor` chose the best epoch), whether that beats always answering the largest class,
    and how far training is ahead.
    """
    only = runs[0]
    found: Accuracy | Spread = val or only.val
    majority = max(run.majority.value for run in runs)
    better = "better than" if found.low > majority else "not shown to be better than"
    where = "" if val else f" after epoch {only.kept_epoch} of {only.epochs}"
    if where and only.kept_epoch == only.best_epoch < only.epochs:
        where += f", the best by {monitor},"
    sentences = [
        f"Validation accuracy {_measured(found)}{where}: {better} always answering the largest class ({majority:.3f})."
    ]
    gap = _value(train or only.train) - _value(found)
    sentences.append(
        f"Training accuracy is {_value(train or only.train):.3f}, "
        + (f"{100 * gap:.0f} points higher." if gap >= 0.005 else "no higher.")
    )
    if all(run.best_epoch == run.epochs for run in runs):
        sentences.append("The last epoch was the best: more --epochs may gain.")
    if final := test or only.test:
        sentences.append(f"Accuracy on the sealed test images: {_measured(final)}.")
    if val is None:
        sentences.append("One run is no result: --seeds 5 gives the spread over seeds.")
    return " ".join(sentences)


def _value(found: Accuracy | Spread) -> float:
    return found.mean if isinstance(found, Spread) else found.value


def _measured(found: Accuracy | Spread) -> str:
    interval = f"[{found.low:.3f}, {found.high:.3f}]"
    if isinstance(found, Spread):
        return f"{found.mean:.3f} ± {found.deviation:.3f} over {found.n} seeds {interval}"
    return f"{found.value:.3f} {interval} on {found.count} images"

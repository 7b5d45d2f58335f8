"""What a training run's figures say, in words."""

from collections.abc import Sequence

from a2cli.report import Spread, TrainingResult

OVERFITTING_GAP = 0.1


def training_verdict(runs: Sequence[TrainingResult], val: Spread | None, train: Spread | None) -> str:
    """Return a verdict on training runs of one setting: what was measured, against the largest class, overfitting."""
    majority = max(run.majority.value for run in runs)
    if val is None or train is None:
        only = runs[0]
        low, train_value, val_value = only.val.low, only.train.value, only.val.value
        measured = (
            f"Validation accuracy {only.val.value:.3f} [{only.val.low:.3f}, {only.val.high:.3f}] "
            f"on {only.val.count} images after epoch {only.kept_epoch} of {only.epochs}"
        )
    else:
        low, train_value, val_value = val.low, train.mean, val.mean
        measured = f"Validation accuracy {val.mean:.3f} ± {val.deviation:.3f} over {val.n} seeds"
        measured += f" [{val.low:.3f}, {val.high:.3f}]"
    better = "better than" if low > majority else "not shown to be better than"
    sentences = [f"{measured}: {better} always answering the largest class ({majority:.3f})."]
    gap = train_value - val_value
    if gap > OVERFITTING_GAP:
        sentences.append(f"It overfits: training accuracy is {train_value:.3f}, {100 * gap:.0f} points higher.")
    elif train_value < 0.9:
        sentences.append(f"It hardly overfits (training accuracy {train_value:.3f}): longer training may still gain.")
    if val is None:
        sentences.append("One run is no result: --seeds 5 gives the spread over seeds.")
    return " ".join(sentences)

"""What a training run found, in words."""

import itertools
import math
import statistics
from collections.abc import Sequence

from a2cli.formats import BRACKETS, counted, in_points, interval, mean_and_deviation
from a2cli.reports.report import DataSummary
from a2cli.reports.training_results import Accuracy, EpochLog, Spread, TrainingResult, repeated_by
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import FinetuneSettings

LEAST_RISE = 0.005  # of accuracy, from one fifth of the epochs to the next


def training_verdict(
    runs: Sequence[TrainingResult],
    histories: Sequence[Sequence[EpochLog]],
    monitor: str,
    val: Spread | None = None,
    train: Spread | None = None,
    test: Spread | None = None,
    settings: AnyTraining | None = None,
    data: DataSummary | None = None,
) -> str:
    """Return a verdict on training runs of one setting and their epochs, with their spreads from two runs on.

    What it advises can be done with `settings`; `data` is what all runs were on. It says what was measured (`monitor`
    chose the best epoch), whether that beats always answering the largest class, how far training is ahead, whether
    validation accuracy was higher after the last epoch than after the kept one, and whether it was still rising at the
    end.
    """
    only, what = runs[0], repeated_by(runs)
    in_stages = isinstance(settings, FinetuneSettings)  # each of which has a rate of its own
    found: Accuracy | Spread = val or only.val
    majority = max(run.majority.value for run in runs)
    better = "better than" if found.low > majority else "not shown to be better than"
    where = "" if val else f" after epoch {only.kept_epoch} of {only.epochs}"
    if where and only.kept_epoch == only.best_epoch < only.epochs:
        where += f", the best by {monitor}"
    sentences = [
        f"Validation accuracy {measured(found, what)}{where}: {better} always answering the largest class "
        f"({majority:.3f})."
    ]
    gap = _value(train or only.train) - _value(found)
    sentences.append(
        f"Training accuracy is {_value(train or only.train):.3f}, "
        + (f"{in_points(gap, '.0f')} higher." if gap >= 0.005 else "no higher.")
    )
    last = statistics.mean(run.last_val_accuracy for run in runs)
    if last > _value(found) and any(run.kept_epoch < run.epochs for run in runs):
        kept = f"--monitor {monitor} kept {'others' if val else 'another'}"
        sentences.append(f"Validation accuracy was higher after the last epoch, {last:.3f}; {kept}.")
    if _value(found) < 1 and still_rising(histories):
        more = "more epochs in --stages" if in_stages else "more --epochs"
        sentences.append(f"Validation accuracy was still rising at the end: {more} may gain.")
    if not in_stages and (idle := epochs_without_rate(histories)):
        stops = settings is not None and settings.training.scheduler in {"plateau", "cosine"}
        least = "; --min-learning-rate sets where it stops falling" if stops else ""
        sentences.append(
            f"The learning rate fell below a thousandth of its largest value, so the last {idle} of {only.epochs} "
            f"epochs hardly moved the weights{least}."
        )
    if final := test or only.test:
        sentences.append(f"Accuracy on the sealed test images: {measured(final, what)}.")
    if val and data:
        sentences += on_same_images(data, what, tested=test is not None)
    if val is None:
        is_fold = settings is not None and settings.split.fold is not None
        more = (
            "--folds without --fold gives the spread over folds" if is_fold else "--seeds 5 gives the spread over seeds"
        )
        sentences.append(f"One run is no result: {more}.")
    return " ".join(sentences)


def on_same_images(data: DataSummary, what: str = "seeds", *, tested: bool = False) -> list[str]:
    """Return the sentence that says which images all seeds or folds are judged on alike, and what follows; or none.

    Those are the parts of a split that the data came with, and of folds the test images, which are not drawn anew.
    """
    parts = [counted(data.val, "validation image")] * ("val" in data.given)
    parts += [counted(data.test, "test image")] * (tested and ("test" in data.given or what == "folds"))
    if not parts:
        return []
    interval = "the interval of accuracy on them is" if len(parts) == 1 else "the intervals are"
    same = f"All {what} are judged on the same {' and '.join(parts)}"
    return [f"{same}, so {interval} over trainings alone, not over images."]


def still_rising(histories: Sequence[Sequence[EpochLog]]) -> bool:
    """Return whether validation accuracy rose from the last fifth but one of the epochs to the last fifth.

    It did where the means of the two differ by half a point and by twice the difference's standard error, as the
    scatter within each fifth has it, and it still rose within the last one. Of several runs, the mean curve counts, as
    far as all go. A fifth is of 3 epochs at least, so from 6 epochs on.
    """
    epochs = min(map(len, histories))
    curve = [statistics.mean(logs[i].val_accuracy for logs in histories) for i in range(epochs)]
    part = max(3, epochs // 5)
    if epochs < 2 * part:
        return False
    before, end = curve[-2 * part : -part], curve[-part:]
    error = math.sqrt((statistics.variance(before) + statistics.variance(end)) / part)
    rose = statistics.mean(end) - statistics.mean(before) >= max(LEAST_RISE, 2 * error)
    return rose and statistics.mean(end[-(part // 2) :]) > statistics.mean(end[: part // 2])


def epochs_without_rate(histories: Sequence[Sequence[EpochLog]]) -> int:
    """Return at how many epochs at the end the learning rate was below a thousandth of its largest value.

    0 where that is less than a tenth of them, as at the end of a cosine. Of several runs, the fewest.
    """
    idle = []
    for logs in histories:
        largest = max(log.learning_rate for log in logs)
        is_low = [1000 * log.learning_rate < largest for log in reversed(logs)]
        low = len(list(itertools.takewhile(bool, is_low)))
        idle.append(low if 10 * low >= len(logs) else 0)
    return min(idle)


def _value(found: Accuracy | Spread) -> float:
    return found.mean if isinstance(found, Spread) else found.value


def measured(found: Accuracy | Spread, what: str = "seeds") -> str:
    """Return an accuracy, or a mean of several, with its interval and what it is of."""
    if isinstance(found, Spread):
        return f"{mean_and_deviation(found)} over {found.n} {what} {interval(found, form=BRACKETS)}"
    return f"{found.value:.3f} {interval(found, form=BRACKETS)} on {counted(found.count, 'image')}"

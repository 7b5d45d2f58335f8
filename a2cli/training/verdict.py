"""What a training run found, in words."""

import itertools
import math
import statistics
from collections.abc import Sequence

from a2cli.formats import BRACKETS, counted, in_points, interval, mean_and_deviation
from a2cli.reports.report import DataSummary
from a2cli.reports.training_results import Accuracy, EpochLog, Spread, TrainingResult, repeated_by, without_knowledge
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import FinetuneSettings

LEAST_RISE = 0.005  # of accuracy, from one fifth of the epochs to the next


def training_verdict(
    runs: Sequence[TrainingResult],
    histories: Sequence[Sequence[EpochLog]],
    settings: AnyTraining,
    val: Spread | None = None,
    train: Spread | None = None,
    test: Spread | None = None,
    data: DataSummary | None = None,
) -> str:
    """Return a verdict on training runs of one setting and their epochs, with their spreads from two runs on.

    What it advises can be done with `settings`; `data` is what all runs were on. It says what was measured (--monitor
    chose the best epoch), whether that beats what knows nothing of an image, how far training is ahead, whether
    validation accuracy was higher after the last epoch than after the kept one, and whether it was still rising at the
    end.
    """
    first, repeated, monitor = runs[0], repeated_by(runs), settings.training.monitor
    in_stages = isinstance(settings, FinetuneSettings)  # each of which has a rate of its own
    validation, training = val or first.val, _value(train or first.train)
    least, knows_nothing = without_knowledge(max(run.majority.value for run in runs), len(first.judged.classes))
    better = "better than" if validation.low > least else "not shown to be better than"
    where = "" if val else f" after epoch {first.kept_epoch} of {first.epochs}"
    if where and first.kept_epoch == first.best_epoch < first.epochs:
        where += f", the best by {monitor}"
    gap = training - _value(validation)
    sentences = [
        f"Validation accuracy {measured(validation, repeated)}{where}: {better} {knows_nothing} ({least:.3f}).",
        f"Training accuracy is {training:.3f}, "
        + (f"{in_points(gap, '.0f')} higher." if gap >= 0.005 else "no higher."),
    ]
    last = statistics.mean(run.last_val_accuracy for run in runs)
    if last > _value(validation) and any(run.kept_epoch < run.epochs for run in runs):
        kept = f"--monitor {monitor} kept {'others' if val else 'another'}"
        sentences.append(f"Validation accuracy was higher after the last epoch, {last:.3f}; {kept}.")
    if _value(validation) < 1 and still_rising(histories):
        more = "more epochs in --stages" if in_stages else "more --epochs"
        sentences.append(f"Validation accuracy was still rising at the end: a new run with {more} may gain.")
    if not in_stages and (idle := epochs_without_rate(histories)):
        stops = settings.training.scheduler in {"plateau", "cosine"}
        floor = "; --min-learning-rate sets where it stops falling" if stops else ""
        sentences.append(
            f"The learning rate fell below a thousandth of its largest value, so the last {idle} of {first.epochs} "
            f"epochs hardly moved the weights{floor}."
        )
    tested = sum(run.test is not None for run in runs)
    if 0 < tested < len(runs):
        sentences.append(
            f"Only {tested} of {counted(len(runs), 'run')} read the sealed test images: --final reads them."
        )
    elif sealed := test or first.test:
        sentences.append(f"Accuracy on the sealed test images: {measured(sealed, repeated)}.")
    if val and data:
        sentences += on_same_images(data, repeated, tested=test is not None)
    if val is None:
        folds, seeds = "--folds without --fold gives the spread over folds", "--seeds 5 gives the spread over seeds"
        sentences.append(f"One run is no result: {seeds if settings.split.fold is None else folds}.")
    return " ".join(sentences)


def on_same_images(data: DataSummary, what: str = "seeds", *, tested: bool = False) -> list[str]:
    """Return the sentence that says which images all seeds or folds are judged on alike, and what follows; or none.

    Those are the parts of a split that the data came with, and of folds the test images, which are not drawn anew.
    """
    parts = [counted(data.val, "validation image")] * ("val" in data.given)
    parts += [counted(data.test, "test image")] * (tested and ("test" in data.given or what == "folds"))
    intervals = "the interval of accuracy on them is" if len(parts) == 1 else "the intervals are"
    same = f"All {what} are judged on the same {' and '.join(parts)}"
    return [f"{same}, so {intervals} over trainings alone, not over images."] if parts else []


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


def _value(accuracy: Accuracy | Spread) -> float:
    return accuracy.mean if isinstance(accuracy, Spread) else accuracy.value


def measured(accuracy: Accuracy | Spread, what: str = "seeds") -> str:
    """Return an accuracy, or a mean of several, with its interval and what it is of."""
    if isinstance(accuracy, Spread):
        return f"{mean_and_deviation(accuracy)} over {accuracy.n} {what} {interval(accuracy, form=BRACKETS)}"
    return f"{accuracy.value:.3f} {interval(accuracy, form=BRACKETS)} on {counted(accuracy.count, 'image')}"

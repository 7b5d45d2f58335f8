"""What the figures of a training run, a comparison, an ablation or a probe say, in words."""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from a2cli.formats import BRACKETS, counted, in_points, interval, mean_and_deviation, points, points_interval
from a2cli.results.ablation import AblationResults
from a2cli.results.comparison import Contender, PairVerdict
from a2cli.results.invariance import ChangeResult
from a2cli.results.training import Accuracy, EpochLog, Spread, TrainingResult, repeated_by
from a2cli.results.weights import Look, ViewedNetwork
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
) -> str:
    """Return a verdict on training runs of one setting and their epochs, with their spreads from two runs on.

    What it advises can be done with `settings`. It says what was measured (`monitor` chose the best epoch), whether
    that beats always answering the largest class, how far training is ahead, whether validation accuracy was higher
    after the last epoch than after the kept one, and whether it was still rising at the end.
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
        f"Validation accuracy {_measured(found, what)}{where}: {better} always answering the largest class "
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
        sentences.append(f"Accuracy on the sealed test images: {_measured(final, what)}.")
    if val is None:
        is_fold = settings is not None and settings.split.fold is not None
        more = (
            "--folds without --fold gives the spread over folds" if is_fold else "--seeds 5 gives the spread over seeds"
        )
        sentences.append(f"One run is no result: {more}.")
    return " ".join(sentences)


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


def _measured(found: Accuracy | Spread, what: str = "seeds") -> str:
    if isinstance(found, Spread):
        return f"{mean_and_deviation(found)} over {found.n} {what} {interval(found, form=BRACKETS)}"
    return f"{found.value:.3f} {interval(found, form=BRACKETS)} on {counted(found.count, 'image')}"


def comparison_verdict(
    tuning: str,
    contenders: Sequence[Contender],
    against_best: Mapping[str, PairVerdict],
    margin: float,
    learning_rate: float,
) -> str:
    """Return what a comparison says of the first contender, which has the highest mean, and what to know of the others.

    `against_best` holds the verdicts on the first against each other one.
    """
    how = "Each at its tuned learning rate" if tuning == "grid" else f"All at learning rate {learning_rate:g}"
    best = contenders[0]
    if best.accuracy is None:
        return f"{how}: fewer than two seeds are done, which is no comparison; --seeds 5 makes it one."
    mean = f"{mean_and_deviation(best.accuracy)} over {counted(best.accuracy.n, 'seed')}"
    equal = [one.name for one in contenders[1:] if one.accuracy and math.isclose(one.accuracy.mean, best.accuracy.mean)]
    also = f"; {', '.join(equal)} {'have' if len(equal) > 1 else 'has'} the same" if equal else ""
    sentences = [f"{how}, {best.name} has the highest mean accuracy, {mean}{also}."]
    decided = {"better": "better than", "equivalent": f"equivalent (within {in_points(margin)}) to"}
    said = []
    for verdict, phrase in decided.items():
        names = [name for name, pair in against_best.items() if pair.verdict == verdict]
        if names:
            said.append(f"{phrase} {', '.join(names)}")
    open_ = {name: pair for name, pair in against_best.items() if pair.verdict == "undecided"}
    if said:
        sentences.append(f"It is {'; '.join(said)}.")
    if open_:
        sentences.append(f"Undecided against {', '.join(open_)}{_more_seeds(open_.values())}.")
    if edges := [one.name for one in contenders if one.at_edge]:
        sentences.append(f"Best rate still at the end of its range: {', '.join(edges)}; see --rate-range, --extend.")
    for what in ("diverged", "failed"):
        if count := sum(getattr(one, what) for one in contenders):
            some = ", ".join(f"{one.name} {getattr(one, what)}" for one in contenders if getattr(one, what))
            sentences.append(f"{count} run{'s' * (count > 1)} {what} ({some}).")
    return " ".join(sentences)


def ablation_verdict(found: AblationResults) -> str:
    """Return what an ablation says: how the whole does, which ingredient brings most, and what is open."""
    whole, nothing = found.combinations[0].accuracy, found.combinations[-1]
    runs = [run for one in found.combinations for run in one.runs]
    counts = {status: sum(run.status == status for run in runs) for status in ("diverged", "failed")}
    bad = [f"{count} of {len(runs)} runs {status}." for status, count in counts.items() if count]
    bad += [f"The first that failed: {run.reason}." for run in runs if run.status == "failed"][:1]
    if whole is None:
        more = "" if len(found.seeds) > 1 else "; --seeds 5 makes it one"
        return " ".join([f"Fewer than two seeds of the whole are done, which is no comparison{more}.", *bad])
    sentences = [f"With all ingredients accuracy is {_measured(whole)}"]
    sentences[0] += f", with none {nothing.accuracy.mean:.3f}." if not nothing.kept and nothing.accuracy else "."
    ways = {"one-out": "taken away alone", "orders": "on average over orders", "all": "on average over all orders"}
    by_name = {one.name: one.average if found.design != "one-out" else one.alone for one in found.ingredients}
    known = {name: pair for name, pair in by_name.items() if pair}
    helping = [(name, pair) for name, pair in known.items() if pair.verdict == "better"]
    if helping:
        (name, most), *_ = helping
        sentences.append(
            f"Of those shown to help {ways[found.design]}, {name} brings most: {points(most.difference)} points "
            f"{points_interval(most, BRACKETS)}."
        )
    elif known:
        sentences.append(f"None is shown to help {ways[found.design]}.")
    words = {"better": "Help", "worse": "Hurt", "equivalent": f"No difference (within {in_points(found.margin)})"}
    for verdict, word in words.items():
        if names := [name for name, pair in known.items() if pair.verdict == verdict]:
            sentences.append(f"{word}: {', '.join(names)}.")
    if open_ := {name: pair for name, pair in known.items() if pair.verdict == "undecided"}:
        sentences.append(f"Undecided: {', '.join(open_)}{_more_seeds(open_.values())}.")
    return " ".join([*sentences, *bad])


def _more_seeds(undecided: Iterable[PairVerdict]) -> str:
    more = [pair.more_seeds for pair in undecided if pair.more_seeds is not None]
    return f"; {_range(more)} more seed{'s' * (max(more) > 1)} would decide" if more else ""


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"


def invariance_verdict(
    name: str,
    changes: Sequence[ChangeResult],
    unchanged: Accuracy,
    majority: Accuracy,
    margin: float,
    images: int,
    networks: int,
) -> str:
    """Return a verdict on what a run's networks survive: what is shown to, what breaks them, what is open."""
    measured = f"{unchanged.value:.3f} {interval(unchanged, form=BRACKETS)} on {counted(images, 'image')}"
    measured += f" by {counted(networks, 'network')}" if networks > 1 else ""
    if unchanged.low <= majority.value:
        return (
            f"{name}: accuracy {measured} is not shown to be better than always answering the largest "
            f"class ({majority.value:.3f}), so nothing is said of what it survives."
        )
    kinds: dict[str, list[str]] = {"invariant": [], "breaks": [], "undecided": []}
    for one in changes:
        at = f" at {' and '.join(f'{value:g}' for value in one.breaks_at)}" if one.breaks_at else ""
        kinds[one.verdict].append(one.title + at)
    words = {"invariant": f"Survives within {in_points(margin)}", "breaks": "Breaks under", "undecided": "Undecided"}
    said = [f"{words[kind]}: {', '.join(names)}." for kind, names in kinds.items() if names]
    return " ".join([f"{name}: accuracy {measured} unchanged.", *said])


NOT_FOUND = "no difference was found, which does not mean that nothing was learned"


def weights_verdict(networks: Sequence[ViewedNetwork], looks: Sequence[Look]) -> str:
    """Return what was found of each network's weights, and of the maps of what they look at."""
    said = []
    for one in networks:
        if one.layers:
            learned = [layer.layer for layer in one.layers if layer.verdict == "learned"]
            others = [layer.layer for layer in one.layers if layer.verdict != "learned"]
            words = [f"learned: {', '.join(learned)}"] * bool(learned)
            words += [f"like its initialisation: {', '.join(others)} ({NOT_FOUND})"] * bool(others)
            said.append(f"{one.name}: {'; '.join(words)}.")
    for look in looks:
        empty = [one.method for one in look.maps if one.says_nothing]
        if empty:
            said.append(f"{look.image} by {look.network}: maps of random weights look the same by {', '.join(empty)}.")
    return " ".join(said)

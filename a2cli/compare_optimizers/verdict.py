"""What a comparison found, in words."""

import math
from collections.abc import Iterable, Mapping, Sequence

from a2cli.formats import counted, in_points, mean_and_deviation
from a2cli.reports.study_results import Contender, PairVerdict, called


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
    equal = [
        called(one.name)
        for one in contenders[1:]
        if one.accuracy and math.isclose(one.accuracy.mean, best.accuracy.mean)
    ]
    also = f"; {', '.join(equal)} {'have' if len(equal) > 1 else 'has'} the same" if equal else ""
    sentences = [f"{how}, {called(best.name)} has the highest mean accuracy, {mean}{also}."]
    decided = {"better": "better than", "equivalent": f"equivalent (within {in_points(margin)}) to"}
    said = []
    for verdict, phrase in decided.items():
        names = [called(name) for name, pair in against_best.items() if pair.verdict == verdict]
        if names:
            said.append(f"{phrase} {', '.join(names)}")
    open_ = {name: pair for name, pair in against_best.items() if pair.verdict == "undecided"}
    if said:
        sentences.append(f"It is {'; '.join(said)}.")
    if open_:
        sentences.append(f"Undecided against {', '.join(map(called, open_))}{more_seeds(open_.values())}.")
    if edges := [called(one.name) for one in contenders if one.at_edge]:
        sentences.append(f"Best rate still at the end of its range: {', '.join(edges)}; see --rate-range, --extend.")
    for what in ("diverged", "failed"):
        if count := sum(getattr(one, what) for one in contenders):
            some = ", ".join(f"{called(one.name)} {getattr(one, what)}" for one in contenders if getattr(one, what))
            sentences.append(f"{count} run{'s' * (count > 1)} {what} ({some}).")
    return " ".join(sentences)


def more_seeds(undecided: Iterable[PairVerdict]) -> str:
    """Return how many more seeds would decide these pairs, as the end of a sentence; empty where it is not known."""
    more = [pair.more_seeds for pair in undecided if pair.more_seeds is not None]
    return f"; {_range(more)} more seed{'s' * (max(more) > 1)} would decide" if more else ""


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"

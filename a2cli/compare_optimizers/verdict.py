"""What a comparison found, in words."""

import math
from collections.abc import Mapping, Sequence

from a2cli.formats import counted, in_points, mean_and_deviation
from a2cli.reports.study_results import Contender, PairVerdict, called
from a2cli.study.verdict import ended_badly, undecided


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
        called(contender.name)
        for contender in contenders[1:]
        if contender.accuracy and math.isclose(contender.accuracy.mean, best.accuracy.mean)
    ]
    also = f"; {', '.join(equal)} {'have' if len(equal) > 1 else 'has'} the same" if equal else ""
    sentences = [f"{how}, {called(best.name)} has the highest mean accuracy, {mean}{also}."]
    pairs = {called(name): pair for name, pair in against_best.items()}
    decided = {"better": "better than", "equivalent": f"equivalent (within {in_points(margin)}) to"}
    phrases = []
    for verdict, phrase in decided.items():
        if names := [name for name, pair in pairs.items() if pair.verdict == verdict]:
            phrases.append(f"{phrase} {', '.join(names)}")
    if phrases:
        sentences.append(f"It is {'; '.join(phrases)}.")
    sentences += undecided("Undecided against", pairs)
    if at_edge := [called(contender.name) for contender in contenders if contender.at_edge]:
        sentences.append(f"Best rate still at the end of its range: {', '.join(at_edge)}; see --rate-range, --extend.")
    judged = [(called(one.name), run) for one in contenders for run in one.runs]
    tuned = [(f"{called(one.name)} at {rate.learning_rate:g}", run) for one in contenders for rate in one.tuning
             for run in rate.runs]  # fmt: skip
    return " ".join([*sentences, *ended_badly("", judged), *ended_badly("In tuning ", tuned)])

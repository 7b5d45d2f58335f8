"""What an ablation found, in words."""

from a2cli.compare_optimizers.verdict import more_seeds
from a2cli.formats import BRACKETS, in_points, points, points_interval
from a2cli.reports.ablation_results import AblationResults
from a2cli.training.verdict import measured


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
    sentences = [f"With all ingredients accuracy is {measured(whole)}"]
    sentences[0] += f", without any {nothing.accuracy.mean:.3f}." if not nothing.kept and nothing.accuracy else "."
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
        sentences.append(f"No ingredient is shown to help {ways[found.design]}.")
    words = {"better": "Help", "worse": "Hurt", "equivalent": f"No difference (within {in_points(found.margin)})"}
    for verdict, word in words.items():
        if names := [name for name, pair in known.items() if pair.verdict == verdict]:
            sentences.append(f"{word}: {', '.join(names)}.")
    if open_ := {name: pair for name, pair in known.items() if pair.verdict == "undecided"}:
        sentences.append(f"Undecided: {', '.join(open_)}{more_seeds(open_.values())}.")
    return " ".join([*sentences, *bad])

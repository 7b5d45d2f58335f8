"""What an ablation found, in words."""

from a2cli.formats import BRACKETS, in_points, points, points_interval
from a2cli.reports.ablation_results import AblationResults
from a2cli.reports.study_results import Verdict
from a2cli.study.verdict import ended_badly, undecided
from a2cli.training.verdict import measured

WAYS = {"one-out": "taken away alone", "orders": "on average over orders", "all": "on average over all orders"}
# What the verdict on having an ingredient means, in the order of the figure's legend.
WORDS: dict[Verdict, str] = {
    "better": "helps", "equivalent": "no difference", "undecided": "undecided", "worse": "hurts",
}  # fmt: skip


def ablation_verdict(results: AblationResults) -> str:
    """Return what an ablation says: how the whole does, which ingredient brings most, and what is open."""
    whole, nothing = results.combinations[0].accuracy, results.combinations[-1]
    bad = list(ended_badly("", [(one.name, run) for one in results.combinations for run in one.runs]))
    if whole is None:
        more = "" if len(results.seeds) > 1 else "; --seeds 5 makes it one"
        return " ".join([f"Fewer than two seeds of the whole are done, which is no comparison{more}.", *bad])
    sentences = [f"With all ingredients accuracy is {measured(whole)}"]
    sentences[0] += f", without any {nothing.accuracy.mean:.3f}." if not nothing.kept and nothing.accuracy else "."
    decisive = {ingredient.name: ingredient.decisive(results.design) for ingredient in results.ingredients}
    pairs = {name: pair for name, pair in decisive.items() if pair}
    if helping := [name for name, pair in pairs.items() if pair.verdict == "better"]:
        most = pairs[helping[0]]
        gain = f"{points(most.difference)} points {points_interval(most, BRACKETS)}"
        sentences.append(f"Of those shown to help {WAYS[results.design]}, {helping[0]} brings most: {gain}.")
    elif pairs:
        sentences.append(f"No ingredient is shown to help {WAYS[results.design]}.")
    words = {"better": "Help", "worse": "Hurt", "equivalent": f"No difference (within {in_points(results.margin)})"}
    for verdict, word in words.items():
        if names := [name for name, pair in pairs.items() if pair.verdict == verdict]:
            sentences.append(f"{word}: {', '.join(names)}.")
    return " ".join([*sentences, *undecided("Undecided:", pairs), *bad])

"""What all studies say of pairs that their seeds leave undecided."""

from collections.abc import Mapping

from a2cli.reports.study_results import PairVerdict


def undecided(beginning: str, pairs: Mapping[str, PairVerdict]) -> list[str]:
    """Return a sentence on the undecided among pairs, by name: how many more seeds would decide; [] if none is."""
    open_pairs = {name: pair for name, pair in pairs.items() if pair.verdict == "undecided"}
    if not open_pairs:
        return []
    sentence = f"{beginning} {', '.join(open_pairs)}"
    if more := [pair.more_seeds for pair in open_pairs.values() if pair.more_seeds is not None]:
        fewest, most = min(more), max(more)
        counts = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
        sentence += f"; {counts} more seed{'s' * (most > 1)} would decide"
    return [f"{sentence}."]

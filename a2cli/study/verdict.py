"""What all studies say of pairs that their seeds leave undecided, and of runs without a result."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from a2cli.formats import counted
from a2cli.reports.study_results import PairVerdict, TrialOutcome


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


def ended_badly(where: str, runs: Sequence[tuple[str, TrialOutcome]]) -> Iterator[str]:
    """Say how many runs, each by what it is a run of, diverged or failed, and why the first of them did."""
    for end in ("diverged", "failed"):
        if counts := Counter(name for name, run in runs if run.status == end):
            each = "; ".join(f"{name}: {count}" for name, count in counts.items())
            yield f"{where}{counted(counts.total(), 'run')} {end} ({each})."
            reason = next(run.reason for _, run in runs if run.status == end)
            yield f"The first: {reason.removeprefix('training diverged: ')}."

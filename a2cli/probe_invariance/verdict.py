"""What a probe found, in words."""

from collections.abc import Sequence

from a2cli.formats import BRACKETS, counted, in_points, interval
from a2cli.probe_invariance.results import ChangeResult
from a2cli.reports.training_results import Accuracy


def invariance_verdict(
    name: str,
    changes: Sequence[ChangeResult],
    unchanged: Accuracy,
    without: tuple[float, str],
    margin: float,
    images: int,
    networks: int,
) -> str:
    """Return a verdict on what a run's networks survive: what is shown to, what breaks them, what is open.

    `without` is the accuracy of what knows nothing of an image, and what that is.
    """
    measured = f"{unchanged.value:.3f} {interval(unchanged, form=BRACKETS)} on {counted(images, 'image')}"
    measured += f" by {counted(networks, 'network')}" if networks > 1 else ""
    least, knows_nothing = without
    if unchanged.low <= least:
        return (
            f"{name}: accuracy {measured} is not shown on these images to be better than {knows_nothing} "
            f"({least:.3f}), so nothing is said of what it survives."
        )
    kinds: dict[str, list[str]] = {"invariant": [], "breaks": [], "undecided": []}
    for change in changes:
        at = f" at {' and '.join(f'{value:g}' for value in change.breaks_at)}" if change.breaks_at else ""
        kinds[change.verdict].append(change.title + at)
    words = {"invariant": f"Survives within {in_points(margin)}", "breaks": "Breaks under", "undecided": "Undecided"}
    sentences = [f"{words[kind]}: {', '.join(names)}." for kind, names in kinds.items() if names]
    return " ".join([f"{name}: accuracy {measured} unchanged.", *sentences])

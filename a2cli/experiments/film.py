"""How a first layer's weights changed over a training, from what its checkpoints kept."""

from pathlib import Path

from torch import Tensor

from a2cli.experiments.viewed import Viewed
from a2cli.results.training import TrainingResults
from a2cli.results.weights import Frame
from a2cli.runs import Run


def film_of(viewed: Viewed) -> list[tuple[Frame, Tensor]]:
    """Return the first layer's weights over the epochs: as drawn, those kept on the way, and the network's own.

    A fine-tuning's epochs are counted through its stages. Raises DataError for a damaged file.
    """
    if not viewed.folder:
        return []
    found = {0: viewed.began[viewed.first].cpu()} if viewed.first in viewed.began else {}
    before = 0
    for run in _parts(Run.open(viewed.folder)):
        found |= {before + epoch: kept["weight"].float() for epoch, kept in run.load_frames().items()}
        report = run.read_report()
        if report is not None and isinstance(report.results, TrainingResults):
            before += report.results.runs[0].epochs
    report = Run.open(viewed.folder).read_report()
    if report is not None and isinstance(report.results, TrainingResults) and any(found):
        found[report.results.runs[0].kept_epoch] = viewed.layers[viewed.first].weight.cpu()
    frames = dict(sorted(found.items()))
    first = next(iter(frames.values()), None)
    return [
        (Frame(epoch, float((weight - first).norm() / first.norm())), weight)
        for epoch, weight in frames.items()
        if first is not None
    ]


def _parts(run: Run) -> list[Run]:
    """Return the runs that a training is made of: a fine-tuning's stages, in order, or itself."""
    stages = sorted(Path(run.folder).glob("stages/*"), key=lambda path: int(path.name.partition("-")[0]))
    return [Run.open(stage) for stage in stages] or [run]

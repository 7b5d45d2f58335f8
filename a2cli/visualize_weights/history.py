"""How a first layer's weights changed over a training, from what the run kept."""

from pathlib import Path

import torch
from torch import Tensor

from a2cli.models.layers import first_layer
from a2cli.reports.training_results import TrainingResult, TrainingResults
from a2cli.runs.checkpoints import load_frames
from a2cli.runs.directory import Run
from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.results import Frame


def film_of(viewed: InspectedNetwork) -> list[tuple[Frame, Tensor]]:
    """Return the first layer's weights over the epochs: as drawn, those kept on the way, and the network's own.

    A fine-tuning's epochs are counted through its stages. Raises DataError for a damaged file.
    """
    if not viewed.folder:
        return []
    found = {0: viewed.began[viewed.first].cpu()} if viewed.first in viewed.began else {}
    before = 0
    for run in _parts(Run.open(viewed.folder)):
        frames = {before + epoch: kept["weight"].float() for epoch, kept in load_frames(run.folder / "film").items()}
        before += _training(run).epochs
        if not frames and run.folder != Path(viewed.folder):  # a stage that froze it
            frames[before] = first_layer(run.load_model()[0]).weight.detach()
        found |= frames
    if found:
        found[_training(Run.open(viewed.folder)).kept_epoch] = viewed.layers[viewed.first].weight.cpu()
    first = found[min(found)] if found else torch.zeros(())
    return [
        (Frame(epoch, float((weight - first).norm() / first.norm())), weight) for epoch, weight in sorted(found.items())
    ]


def _training(run: Run) -> TrainingResult:
    report = run.read_report()
    assert report is not None and isinstance(report.results, TrainingResults), "a finished training"
    return report.results.runs[0]


def _parts(run: Run) -> list[Run]:
    """Return the runs that a training is made of: a fine-tuning's stages, in order, or itself."""
    stages = sorted(Path(run.folder).glob("stages/*"), key=lambda path: int(path.name.partition("-")[0]))
    return [Run.open(stage) for stage in stages] or [run]

"""The networks that are probed, each with the images that it is probed on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from a2cli.data.dataset import ImageSet
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_of
from a2cli.errors import FROM_WHERE_IT_BEGAN, DataError, MissingDataError, nearest
from a2cli.models.cards import ModelCard
from a2cli.probe_invariance.changes import padding
from a2cli.progress import ProgressReporter
from a2cli.reports.best import not_finished
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.training_results import TrainingResult, TrainingResults
from a2cli.runs.directory import Run
from a2cli.settings.kinds import AnyTraining, split_into_runs
from a2cli.settings.transfer import TrainFeaturesSettings
from a2cli.train.recheck_files import metrics_gone
from a2cli.training.data_notes import data_summary
from a2cli.transfer.backbone import is_grey

CHUNK = 256
Margin = Callable[[int], int]


@dataclass(frozen=True)
class TrainingRun:
    """The directory of a training run as it was named, and its settings; several networks are in seeds/N or folds/N."""

    folder: str
    settings: AnyTraining

    def title(self, others: Sequence["TrainingRun"]) -> str:
        """Return the end of the folder's path that tells it from the others."""
        parts = Path(self.folder).parts
        for end in (parts[-1:], parts[-3:]):  # runs/NAME, or runs/NAME/seeds/N or folds/N
            if not end[0].isdigit() and sum(Path(run.folder).parts[-len(end) :] == end for run in others) == 1:
                return "/".join(end)
        return self.folder

    @property
    def networks(self) -> dict[Path, AnyTraining]:
        """Return each network's folder, and the settings it was trained with."""
        return {Path(self.folder) / inner: alone for inner, alone in split_into_runs(self.settings).items()}

    def images(self, report: Report) -> tuple[str, bool]:
        """Return the data set that it was trained on, and whether damaged files were left out."""
        if isinstance(self.settings, TrainFeaturesSettings):
            assert report.data is not None, "a finished report has its data"
            return report.data.source, bool(report.data.skipped)
        return self.settings.dataset.data, self.settings.dataset.skip_damaged


@dataclass(frozen=True)
class Network:
    """A trained network, the images it is probed on (with a margin around), and what it got there in training.

    `largest` is the number of the class with the most training images; `result` is None where it is probed on other
    images, or on more of each.
    """

    folder: str
    model: nn.Module
    card: ModelCard
    images: ImageSet
    largest: int
    result: TrainingResult | None
    weights_sha256: str


@dataclass(frozen=True)
class ProbeTarget:
    """A run's networks, and the data that their images are out of; labels are numbers in the networks' classes.

    `data` is what the run's report says of it, or a summary of other images.
    """

    name: str
    trained: TrainingRun
    networks: Sequence[Network]
    source: str
    fingerprint: str
    data: DataSummary
    names: Sequence[str]
    classes: tuple[str, ...]
    is_grey: bool
    is_padded: bool
    notes: Sequence[str]


def find_target(
    trained: TrainingRun,
    name: str,
    data: str | None,
    margin_of: Margin,
    device: torch.device,
    reporter: ProgressReporter,
) -> ProbeTarget:
    """Return a run's networks on their own validation images, or all on all images of `data`, if these are others.

    `margin_of` gives the pixels to read around an image of this side. Raises DataError where the run is not
    finished or damaged, its images are gone or changed, or `data` has classes that the networks do not know.
    """
    networks: list[Network] = []
    packed: Packed | None = None
    for folder, alone in trained.networks.items():
        run = Run.open(folder)
        report = run.read_report()
        if (
            report is None
            or report.status != "done"
            or not isinstance(report.results, TrainingResults)
            or not report.data
        ):
            raise not_finished("--run", str(folder), report)
        model, card = run.load_model()
        if packed is None:
            margin = margin_of(card.image_size)
            packed, wide = _packed(trained, report, card, data, margin, reporter)
            # Of features the fingerprint is the images' and the backbone's.
            is_own = packed.fingerprint == report.data.fingerprint.partition("/")[0]
        rows = np.arange(len(packed.labels))
        if is_own:
            rows = _held_out(packed, alone, report.data, trained.folder)
        labels = _known(packed, card, trained.folder)[rows]
        images = ImageSet(torch.from_numpy(wide.images), torch.from_numpy(rows), torch.from_numpy(labels))
        same = is_own and not margin
        result = report.results.runs[0]
        # Earlier versions did not store it; as parts are stratified it is the largest of all, but for ties.
        largest = result.judged.largest_class or max(report.data.classes, key=report.data.classes.__getitem__)
        networks.append(
            Network(
                folder=folder.as_posix(),
                model=model.to(device),
                card=card,
                images=images,
                largest=card.class_names.index(largest),
                result=result if same else None,
                weights_sha256=result.weights_sha256,
            )
        )
    assert packed is not None and report is not None and report.data is not None, "a run has a network"
    reporter.warn_all(metrics_gone(trained.networks))
    if data is not None and is_own:
        reporter.warn(f"--data {data}: has the images that {name} was trained on, so those held out serve")
    notes = [] if is_own else list(packed.warnings)  # of its own images the training's report says it
    if not is_own and not _is_there(own := trained.images(report)[0]):
        found = f"is not the set that {name} was trained on, and {own} is not there"
        notes.append(f"--data {data}: {found}; all its images serve, though some may have been trained on")
    reporter.warn_all(notes)
    source = data or trained.images(report)[0]
    used = np.unique(np.concatenate([network.images.rows.numpy() for network in networks]))
    return ProbeTarget(
        name=name,
        trained=trained,
        networks=networks,
        source=source,
        fingerprint=packed.fingerprint,
        data=report.data if is_own else data_summary(packed, source, len(packed.labels), 0, 0),
        names=packed.names,
        classes=networks[0].card.class_names,
        is_grey=all(is_grey(packed.images[row]) for row in used),
        is_padded=any(
            bool(padding(torch.from_numpy(packed.images[used[first : first + CHUNK]]).permute(0, 3, 1, 2)).any())
            for first in range(0, len(used), CHUNK)
        ),
        notes=notes,
    )


def _packed(
    trained: TrainingRun, report: Report, card: ModelCard, data: str | None, margin: int, reporter: ProgressReporter
) -> tuple[Packed, Packed]:
    """Return the images at the networks' size, and with the margin around."""
    assert report.data is not None, "a finished report has its data"
    fingerprint = report.data.fingerprint.partition("/")[0]
    trained_on, skip_damaged = trained.images(report)
    try:
        source = find_source(data or trained_on, reporter)
    except DataError as error:
        if data is not None:
            raise
        reason = str(error).removeprefix("--data").lstrip(": ")
        relative = isinstance(error, MissingDataError) and not Path(error.data).is_absolute()
        where = f"{FROM_WHERE_IT_BEGAN}, or " * relative
        raise DataError(
            f"--run {trained.folder}: its images are not there ({reason}); {where}name some by --data"
        ) from None
    value_range = None if data is None else card.value_range  # its own images give the same once more
    packed, wide = (
        pack(source, card.image_size + 2 * more, card.fit, skip_damaged, reporter, value_range, may_skip=False)
        for more in (0, margin)
    )
    if data is None and packed.fingerprint != fingerprint:
        raise DataError(
            f"--run {trained.folder}: its images in {source.label} have changed since (fingerprint {fingerprint[:12]} "
            f"then, {packed.fingerprint[:12]} now); name images by --data"
        )
    return packed, wide


def _held_out(packed: Packed, settings: AnyTraining, data: DataSummary, run: str) -> NDArray[np.int64]:
    """Return the validation images; raises DataError where the same images are in other parts than in training."""
    split = split_of(packed, settings)
    then, now = (data.train, data.val, data.test), (len(split.train), len(split.val), len(split.test))
    if now != then:
        parts = ("{} for training, {} for validation, {} for the test".format(*counts) for counts in (then, now))
        raise DataError(f"--run {run}: its images lie in other parts of a split ({' then, '.join(parts)} now)")
    return split.val


def _is_there(data: str) -> bool:
    try:
        find_source(data)
    except DataError:
        return False
    return True


def _known(packed: Packed, card: ModelCard, run: str) -> NDArray[np.int64]:
    """Return the labels as numbers in the network's classes; raises DataError for a class that it does not know."""
    for name in packed.class_names:
        if name not in card.class_names:
            raise DataError(
                f"--data: its class {name!r} is not among the {len(card.class_names)} that {run} tells apart"
                f"{nearest(name, card.class_names)}"
            )
    numbers = np.array([card.class_names.index(name) for name in packed.class_names])
    labels: NDArray[np.int64] = numbers[packed.labels]
    return labels

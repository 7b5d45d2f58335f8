"""Trainings on images alone: what `a2 train-cnn` and `a2 train-mlp` begin with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from a2cli.data.dataset import Augmented, ImageSet, normalization
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.data.splits import Split, split_of
from a2cli.errors import naming
from a2cli.geometry import check_norm
from a2cli.models.cards import ModelCard
from a2cli.models.zoo import build_network
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import DataSummary, Report
from a2cli.runs.directory import Run
from a2cli.settings.conflicts import idle_in_split, most_held_out
from a2cli.settings.kinds import AnyTraining, split_into_runs
from a2cli.settings.training import ImageTraining, NetworkSettings, augmentations, is_drawn
from a2cli.training.data_notes import (
    MOST_LISTED,
    data_summary,
    given_parts,
    identical_notes,
    near_pairs,
    notes_on_parts,
)
from a2cli.training.train_state import Learner, RunSpec
from a2cli.training.trial import run_trial


@dataclass(frozen=True)
class Images:
    """The images that a training on images alone begins with."""

    packed: Packed
    source: str
    warnings: Sequence[str]
    weights_sha256: str = ""

    @classmethod
    def find(cls, settings: ImageTraining, warnings: Sequence[str], reporter: ProgressReporter) -> "Images":
        """Return the packed images; raises DataError."""
        dataset, source = settings.dataset, find_source(settings.dataset.data, reporter)
        packed = pack(source, dataset.image_size, dataset.fit, dataset.skip_damaged, reporter)
        return cls(packed, source.label, [*warnings, *notes_on(packed, settings)])

    def check(self, alone: ImageTraining) -> Split:
        """Return a run's split; raises DataError where there is none, SettingsError for a norm over a single value."""
        split, batch_size = split_of(self.packed, alone), alone.training.batch_size
        if isinstance(alone.network, NetworkSettings):
            check_norm(alone.network, alone.dataset.image_size, len(split.train) % batch_size or batch_size)
        return split

    def expected(self, alone: ImageTraining) -> tuple[ModelCard, DataSummary]:
        """Return the card of the network that a run saves, and what its report says of the data."""
        job = make_job(alone, self)
        return job.card, job.summary

    def train(
        self, alone: ImageTraining, run: Run, reporter: ProgressReporter, *, final: bool, figures: bool
    ) -> Report:
        """Train one run in its folder, and return the report written there."""
        return run_trial(make_job(alone, self), run, reporter, final=final, figures=figures)


def make_job(settings: ImageTraining, images: Images) -> RunSpec:
    """Split the images by the seed and describe the network; raises as `Images.check` does."""
    dataset, packed, split = settings.dataset, images.packed, images.check(settings)
    train = ImageSet.of(packed, split.train)
    mean, std = normalization(dataset.normalize, train)
    network = "convnet" if isinstance(settings.network, NetworkSettings) else "mlp"
    card = ModelCard(network, settings.network, packed.class_names, dataset.image_size, dataset.fit, mean, std,
                     value_range=packed.value_range)  # fmt: skip

    def learner() -> Learner:
        model = build_network(card, Streams(settings.training.seed))
        return Learner(model, model)

    return RunSpec(
        title=title_of(settings),
        settings=settings,
        card=card,
        training=settings.training,
        packed=packed,
        split=split,
        train=Augmented(train, augmentations(dataset.augment), len(packed.class_names)),
        val=ImageSet.of(packed, split.val),
        test=ImageSet.of(packed, split.test),
        summary=summary_of(packed, split, images.source),
        warnings=images.warnings,
        learner=learner,
    )


def title_of(settings: AnyTraining) -> str:
    """Return what tells a run from the others of a training."""
    fold = settings.split.fold
    return f"seed {settings.training.seed}" if fold is None else f"fold {fold}"


def summary_of(packed: Packed, split: Split, source: str) -> DataSummary:
    """Return what a report says of the data and a run's split."""
    summary = data_summary(packed, source, len(split.train), len(split.val), len(split.test))
    near = near_pairs(packed, split.parts(len(packed.labels)))
    return replace(summary, near_duplicates=near[:MOST_LISTED], near_duplicate_pairs=len(near))


def notes_on(packed: Packed, settings: AnyTraining) -> list[str]:
    """Say how the images were read, which are (nearly) identical, and which settings of the split do not act.

    Raises SettingsError for folds of data that came with its own validation part, and DataError as `split_of` does.
    """
    split, alone_in, given = settings.split, list(split_into_runs(settings).values()), given_parts(packed)
    of_given = idle_in_split(split, given)
    alike = identical_notes(packed, split.duplicates)
    apart = len(alone_in) > 1 and is_drawn(split.test_fraction, given)
    splits = dict[str, Split]()
    for alone in alone_in if apart else alone_in[:1]:
        title = title_of(alone) if apart else ""
        with naming(title):
            splits[title] = split_of(packed, alone)
    drawn = next(iter(splits.values()))
    most = [] if split.train_per_class else most_held_out(split, given, len(drawn.train) + len(drawn.val))
    near, few = notes_on_parts(packed, splits)
    own = f"; these are the parts of {title_of(alone_in[0])}, the others have their own" if apart else ""
    return [*packed.warnings, *alike, *(f"{note}{own}" for note in near), *of_given, *most, *few]

"""`a2 train-cnn` and `a2 train-mlp`: a network on images, trained on one seed or several."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from a2cli.analysis.statistics import spread
from a2cli.data.dataset import Augmented, ImageSet, normalization
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_rows
from a2cli.errors import SettingsError
from a2cli.experiments.trial import Job, draw_training, run_trial
from a2cli.experiments.verdicts import training_verdict
from a2cli.geometry import check_norm
from a2cli.models.zoo import ModelCard
from a2cli.report import DataSummary, Report, Watcher
from a2cli.results.training import TrainingResults
from a2cli.runs import Run
from a2cli.runtime import Streams, cores, environment, set_up
from a2cli.settings import AnyTraining, NetworkSettings, SplitSettings, augmentations, flat, repeats


def architecture(settings: AnyTraining) -> tuple[str, str]:
    """Return the network's name in the zoo, and the command that trains it."""
    return ("convnet", "train-cnn") if isinstance(settings.network, NetworkSettings) else ("mlp", "train-mlp")


def train_network(
    settings: AnyTraining,
    run: Run,
    watch: Watcher,
    *,
    final: bool = False,
    warnings: Sequence[str] = (),
    figures: bool = True,
) -> Report:
    """Train in a run's folder, new or interrupted, until it is done, and return the report written there.

    With `final`, the sealed test images are read once at the end; `warnings` go into the report. Raises SettingsError,
    DataError and DivergedError.
    """
    with run.locked():
        device = set_up(settings.training.device, settings.training.threads)
        # What was left to the machine is settled here, so that the run's config repeats the run elsewhere.
        training = replace(settings.training, device=str(device), threads=torch.get_num_threads())
        settings = replace(settings, training=training)
        dataset = settings.dataset
        source = find_source(dataset.data)
        packed = pack(source, dataset.image_size, dataset.fit, dataset.skip_damaged, cores(), watch)
        notes = [*warnings, *_left_out(packed), *_idle_fractions(packed, settings.split)]
        for note in notes:
            watch.warn(note)
        job = make_job(settings, packed, source.label, notes)
        if final and not len(job.test):
            raise SettingsError(f"--final: {source.label} has no test images; hold some out with --test-fraction")
        if not (run.folder / "config.yaml").exists():  # all that can be wrong beforehand was checked: the run begins
            run.write_config(architecture(settings)[1], flat(settings))
        previous = run.previous_report(flat(settings), packed.fingerprint)
        if previous and previous.status == "done" and not final:
            watch.warn("this run was finished before; nothing is left to train")
        if len(repeats(settings)) == 1:
            return run_trial(job, run, device, watch, final=final, figures=figures)
        return _several(settings, packed, source.label, notes, run, device, watch, final)


def _left_out(packed: Packed) -> list[str]:
    count = len(packed.skipped)
    return [f"{count} damaged file{'s' * (count > 1)} left out, as {packed.skipped[0]}"] if count else []


def _idle_fractions(packed: Packed, split: SplitSettings) -> list[str]:
    """Find settings of the split that do not act because the data came with that part."""
    idle = []
    if "val" in packed.splits and split.folds:
        raise SettingsError("--folds: the data has a validation part of its own")
    if "val" in packed.splits and (split.val_count or split.val_fraction != SplitSettings().val_fraction):
        idle.append("val_count" if split.val_count else "val_fraction")
    if "test" in packed.splits and split.test_fraction:
        idle.append("test_fraction")
    return [f"{name} does not act: the data has that part of its own" for name in idle]


def make_job(settings: AnyTraining, packed: Packed, source: str, warnings: Sequence[str]) -> Job:
    """Split the images by the seed and describe the network.

    Raises DataError where they cannot be split, SettingsError for a norm that would be over a single value.
    """
    dataset = settings.dataset
    split = split_rows(packed, settings.split, Streams(settings.training.seed).numpy("split"))
    batch_size = settings.training.batch_size
    if isinstance(settings.network, NetworkSettings):
        check_norm(settings.network, dataset.image_size, len(split.train) % batch_size or batch_size)
    train = ImageSet.of(packed, split.train)
    mean, std = normalization(dataset.normalize, train)
    counts, (network, command) = Counter(packed.labels.tolist()), architecture(settings)
    return Job(
        command=command,
        config=flat(settings),
        card=ModelCard(network, settings.network, packed.class_names, dataset.image_size, dataset.fit, mean, std),
        training=settings.training,
        train=Augmented(train, augmentations(dataset.augment)),
        val=ImageSet.of(packed, split.val),
        test=ImageSet.of(packed, split.test),
        names=packed.names,
        summary=DataSummary(
            source=source,
            classes={name: counts[i] for i, name in enumerate(packed.class_names)},
            train=len(split.train),
            val=len(split.val),
            test=len(split.test),
            skipped=list(packed.skipped),
            fingerprint=packed.fingerprint,
        ),
        warnings=warnings,
    )


def _several(
    settings: AnyTraining,
    packed: Packed,
    source: str,
    warnings: Sequence[str],
    run: Run,
    device: torch.device,
    watch: Watcher,
    final: bool,
) -> Report:
    """Train every seed or fold as a run of its own inside this one, then report on all; those already done are kept."""
    began, created = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    reports, alone_in = [], repeats(settings)
    for folder, alone in alone_in.items():
        child = run.child(folder)
        child.write_config(architecture(alone)[1], flat(alone))
        reports.append(run_trial(make_job(alone, packed, source, warnings), child, device, watch, final=final))
    runs = [
        replace(r.results.runs[0], folder=f)
        for r, f in zip(reports, alone_in, strict=True)
        if isinstance(r.results, TrainingResults)
    ]
    train, val = spread([r.train.value for r in runs]), spread([r.val.value for r in runs])
    last_val = spread([r.last_val_accuracy for r in runs])
    tests = [r.test.value for r in runs if r.test]
    test = spread(tests) if len(tests) == len(runs) else None
    verdict = training_verdict(runs, settings.training.monitor, val, train, test)
    history = {Path(folder).name: logs for folder, report in zip(alone_in, reports, strict=True)
               for logs in report.history.values()}  # fmt: skip
    watch.phase("drawing figures")
    draw_training(run, history, runs)
    report = Report(
        command=architecture(settings)[1],
        config=flat(settings),
        environment=environment(device),
        status="done",
        created=created,
        data=reports[0].data,
        results=TrainingResults(runs, train, val, last_val, test, verdict),
        history=history,
        warnings=list(warnings),
        artifacts=run.artifacts(),
        seconds={"all runs": time.perf_counter() - began},
        test_reads=max(report.test_reads for report in reports),
    )
    run.write_report(report)
    return report

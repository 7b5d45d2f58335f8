"""`a2 probe-invariance`: which changes of the image trained networks survive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from a2cli.errors import SettingsError
from a2cli.models.cards import NOT_PRETRAINED
from a2cli.probe_invariance.invariance import Answers, compared, falls_by_image, judged_changes, strength_point
from a2cli.probe_invariance.predict_changed import AnyPerturbation, Perturbation, Probed, Translation, probe_network
from a2cli.probe_invariance.results import InvarianceResults, LayerMovement, ProbedRun, RunComparison, by_reason
from a2cli.probe_invariance.settings import Probe, ProbeInvarianceSettings, ProbeSettings, pixels, probes, real_margin
from a2cli.probe_invariance.targets import ProbeTarget, TrainingRun, find_target
from a2cli.probe_invariance.verdict import invariance_verdict
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import Report, new_report
from a2cli.reports.training_results import without_knowledge
from a2cli.runs.directory import Run
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.kinds import augment_of
from a2cli.settings.training import augmentations
from a2cli.statistics.intervals import wilson
from a2cli.train.remeasure import check_measured

COMMAND = "probe-invariance"
GRID = 7  # translations along each side of the map


@dataclass(frozen=True)
class Outcome:
    """A run's networks' answers, all together: unchanged, and after each change."""

    subject: ProbeTarget
    before: Answers
    after: Mapping[Probe, Sequence[tuple[Answers, Answers]]]  # by strength, each paired with the unchanged
    refuted: Sequence[str]  # what their reports say otherwise
    result: ProbedRun


def probe_invariance(
    settings: ProbeInvarianceSettings,
    runs: Sequence[TrainingRun],
    run: Run,
    reporter: ProgressReporter,
    *,
    warnings: Sequence[str] = (),
    figures: bool = True,
) -> Report:
    """Probe the networks of training runs, and return the report written into the run directory with its figures.

    Raises SettingsError where nothing is left to try, and DataError for runs and images that cannot be used.
    """
    with run.locked(reporter):
        probe = settings.probe
        device = set_up(probe.device, probe.threads)
        probe = replace(probe, device=str(device), threads=torch.get_num_threads())
        settings = replace(settings, probe=probe)
        margin_of = partial(real_margin, probe)
        subjects = [find_target(each, each.title(runs), probe.data, margin_of, device, reporter) for each in runs]
        for subject in subjects:
            for names, reason in by_reason(_skipped(subject, probe)):
                reporter.warn(f"skipped: {', '.join(names)}, as {reason}")
        trunks = [network.card.trunk for subject in subjects for network in subject.networks]
        notes = [] if all(trunk is None or trunk.pretrained for trunk in trunks) else [NOT_PRETRAINED]
        run.stamp = "".join(notes)
        reporter.warn_all(notes)
        parts = reporter.parts([subject.name for subject in subjects], by_batches=True)
        outcomes = [probe_subject(subject, probe, device, reporter) for subject, _ in zip(subjects, parts, strict=True)]
        pairs = list(combinations(outcomes, 2))
        apart = [note for pair in pairs if (note := _apart(*pair))]
        reporter.warn_all(apart)
        results = InvarianceResults(
            margin=probe.margin / 100,
            border=probe.border,
            runs=[outcome.result for outcome in outcomes],
            comparisons=[row for pair in pairs if not _apart(*pair) for row in _compared(*pair, probe.margin / 100)],
            verdict=" ".join(outcome.result.verdict for outcome in outcomes),
            refuted=[sentence for outcome in outcomes for sentence in outcome.refuted],
        )
        run.write_config(COMMAND, flat(settings))
        report = new_report(
            COMMAND,
            flat(settings),
            environment(device),
            results=results,
            warnings=[
                *warnings,
                *notes,
                *(note for subject in subjects for note in subject.notes),
                *apart,
                *results.refuted,
            ],
        )

        def draw() -> None:
            from a2cli.probe_invariance import draw as invariance_figures

            invariance_figures.draw(run, results, subjects, probe)

        return run.finish(report, reporter, draw if figures else None)


def _skipped(subject: ProbeTarget, settings: ProbeSettings) -> dict[str, str]:
    """Return the changes that make no sense for a run's images, and why."""
    reasons: dict[str, str] = {}
    for probe in probes(settings):
        if probe.change.needs == "colour" and subject.is_grey:
            reasons[probe.name] = f"all images of {subject.source} are grey"
        if probe.change.needs == "bars" and not subject.is_padded:
            reasons[probe.name] = f"no image of {subject.source} has black bars"
    return reasons


def settings_of(wanted: Sequence[Probe], settings: ProbeSettings, side: int) -> list[AnyPerturbation]:
    """Return every setting to try: each change at each strength or draw, and the map over translations."""
    perturbations: list[AnyPerturbation] = []
    for probe in wanted:
        perturbations += [Perturbation(probe, strength) for strength in probe.strengths]
        perturbations += [Perturbation(probe, None, draw) for draw in range(settings.draws if probe.drawn else 0)]
    if shares := [abs(s) for probe in wanted if probe.name.startswith("translate") for s in probe.strengths]:
        steps = dict.fromkeys(round((2 * i / (GRID - 1) - 1) * pixels(max(shares), side)) for i in range(GRID))
        perturbations += [Translation(right, down) for down in steps for right in steps]
    return perturbations


def probe_subject(
    subject: ProbeTarget, settings: ProbeSettings, device: torch.device, reporter: ProgressReporter
) -> Outcome:
    """Return what a run's networks answer to every change; raises SettingsError where none makes sense here."""
    skipped = _skipped(subject, settings)
    wanted = [probe for probe in probes(settings) if probe.name not in skipped]
    if not wanted:
        raise SettingsError(f"--changes: none is left for {subject.source}: {next(iter(skipped.values()))}")
    streams, training = Streams(settings.seed), subject.trained.settings
    side = subject.networks[0].card.image_size
    keys = settings_of(wanted, settings, side)
    if margin := real_margin(settings, side):
        reporter.warn(
            f"{subject.name}: --border real cuts {margin} of {side + 2 * margin} pixels off each side of every image, "
            "of the unchanged as well, so their accuracy is not the run's own"
        )
    probed, refuted = [], list[str]()
    numbers = [f"network {number + 1}" for number in range(len(subject.networks))]
    for number, _ in enumerate(reporter.parts(numbers, by_batches=True)):
        network = subject.networks[number]
        reporter.phase(f"probing {subject.name}", "probing")
        probed.append(
            probe_network(network, number, keys, settings.border, margin, streams, training.training.precision, device,
                          reporter, layers=settings.layers)
        )  # fmt: skip
        if network.result:
            before, name = probed[-1].before, subject.name
            with np.errstate(divide="ignore"):
                loss = float(-np.log(before.probabilities.astype(float)).mean())
            name += f", {Path(network.result.folder).name}" * (network.result.folder != ".")
            counts = int(before.right.sum()), len(network.images)
            wrong, note = check_measured(name, network.result, training, *counts, loss)
            refuted += [wrong] * bool(wrong)
            if wrong or note:
                reporter.warn(wrong or note)
    before = _together([network.before for network in probed])
    after = {probe: [(_together([before] * (len(answers) // len(before))), answers)  # once for each draw
                   for answers in _by_strength(probe, keys, probed)] for probe in wanted}  # fmt: skip
    return Outcome(subject, before, after, refuted, _result(subject, settings, before, after, probed, skipped, keys))


def _by_strength(probe: Probe, keys: Sequence[AnyPerturbation], networks: Sequence[Probed]) -> list[Answers]:
    """Return the answers of all networks at each of a change's strengths; of draws all in one."""
    own = [key for key in keys if isinstance(key, Perturbation) and key.probe == probe]
    if probe.drawn:
        return [_together([network.after[key] for key in own for network in networks])]
    return [_together([network.after[key] for network in networks]) for key in own]


def _together(parts: Sequence[Answers]) -> Answers:
    return Answers(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("images", "networks", "truths", "answers", "probabilities"))
    )  # fmt: skip


def _result(
    subject: ProbeTarget,
    settings: ProbeSettings,
    before: Answers,
    after: Mapping[Probe, Sequence[tuple[Answers, Answers]]],
    networks: Sequence[Probed],
    skipped: dict[str, str],
    keys: Sequence[AnyPerturbation],
) -> ProbedRun:
    classes, margin = len(subject.classes), settings.margin / 100
    probed = []
    for probe, pairs in after.items():
        strengths: Sequence[float | None] = probe.strengths or (None,)
        probed.append(
            (probe, [strength_point(first, second, None if probe.change.is_switch else strength, classes, len(after),
                                    _moved(networks, probe, strength))
                     for strength, (first, second) in zip(strengths, pairs, strict=True)])
        )  # fmt: skip
    counts = np.bincount(before.truths, minlength=classes).tolist()
    baseline = sum(int((network.images.labels == network.largest).sum()) for network in subject.networks)
    majority = wilson(baseline, sum(counts), size=before.size)
    trained = list(augmentations(augment_of(subject.trained.settings)))
    least = without_knowledge(majority.value, classes)
    changes = judged_changes(probed, before, margin, trained, counts=before.accuracy.low > least[0])
    side = subject.networks[0].card.image_size
    shifts = [key for key in keys if isinstance(key, Translation)]
    return ProbedRun(
        name=subject.name,
        folder=subject.trained.folder,
        source=subject.source,
        fingerprint=subject.fingerprint,
        networks=len(networks),
        images=len(np.unique(before.images)),
        counts=dict(zip(subject.classes, counts, strict=True)),
        unchanged=before.accuracy,
        majority=majority,
        by_network=before.by_network(),
        by_class=before.by_class(classes),
        augmentations=trained,
        changes=changes,
        skipped=skipped,
        translations=[
            (key.right / side, key.down / side, _together([each.after[key] for each in networks]).accuracy.value)
            for key in shifts
        ],
        verdict=invariance_verdict(
            subject.name, changes, before.accuracy, least, margin, len(np.unique(before.images)), len(networks)
        ),
        data=subject.data,
        weights_sha256={network.folder: network.weights_sha256 for network in subject.networks},
    )


def _moved(networks: Sequence[Probed], probe: Probe, strength: float | None) -> list[LayerMovement]:
    """Return the mean of the networks' movements, layer by layer."""
    by_network = [network.layers[probe, strength] for network in networks if (probe, strength) in network.layers]
    means = []
    for name in [layer.layer for layer in by_network[0]] if by_network else []:
        same = [layer for layers in by_network for layer in layers if layer.layer == name]
        off = [layer.off_course for layer in same if layer.off_course is not None]
        means.append(LayerMovement(name, fmean(layer.moved for layer in same), fmean(off) if off else None))
    return means


def _apart(first: Outcome, second: Outcome) -> str:
    """Return why two runs cannot be compared image by image; nothing where they can."""
    names = f"{first.result.name} and {second.result.name} are not compared"
    if first.subject.fingerprint != second.subject.fingerprint:
        return f"{names}: their images are not the same, or not of the same size"
    if len(np.intersect1d(first.before.images, second.before.images)) < 2:
        return f"{names}: no two images were held out from both"
    return ""


def _compared(first: Outcome, second: Outcome, margin: float) -> list[RunComparison]:
    """Compare two runs under each change, on the images that both were probed on."""
    shared = [probe for probe in first.after if probe in second.after]
    counts = first.result.has_something_to_lose and second.result.has_something_to_lose
    rows = [
        compared(probe.title, first.result.name, second.result.name,
                 (falls_by_image(first.after[probe]), falls_by_image(second.after[probe])), margin, len(shared))
        for probe in shared
    ]  # fmt: skip
    return rows if counts else [replace(row, verdict="undecided") for row in rows]

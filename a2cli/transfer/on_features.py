"""`a2 train-mlp --features`: a head trained on the features of a file, and the standard answers beside it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from a2cli.data.dataset import Augmented, ImageSet
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.data.splits import Split, split_of
from a2cli.errors import DataError, SettingsError, nearest
from a2cli.models.backbones import nodes_of
from a2cli.models.cards import NOT_PRETRAINED, ModelCard, TrunkCard
from a2cli.models.inplace import is_overwritten
from a2cli.models.pretrained import INPUT_TRANSFORMING, Undrawn
from a2cli.models.transfer import build_head
from a2cli.models.zoo import untrained_backbone
from a2cli.progress import ProgressReporter
from a2cli.random_streams import Streams
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.training_results import TrainingResult, TrainingResults
from a2cli.reports.transfer_results import OWN_HEAD, ProbeScore, TransferResults
from a2cli.runs.directory import Run
from a2cli.settings.training import TrainMlpSettings
from a2cli.settings.transfer import TrainFeaturesSettings
from a2cli.statistics.intervals import wilson
from a2cli.training.images import Images, make_job, notes_on, summary_of, title_of
from a2cli.training.train_state import Learner, RunSpec
from a2cli.training.trial import run_trial
from a2cli.transfer.backbone import card_on, network_on, seen_before
from a2cli.transfer.feature_file import PIXELS, FeatureFile, read_features
from a2cli.transfer.probes import Part, standard_answers
from a2cli.transfer.summary import backbone_used, draw_transfer

PROBE_BYTES = 8 << 30  # of one layer, which scikit-learn takes whole, and copies


@dataclass(frozen=True)
class Features:
    """A features file, one layer of which a head is trained on."""

    file: FeatureFile
    layer: str
    packed: Packed
    warnings: Sequence[str]
    weights_sha256: str = ""  # that of the backbone's is in the fingerprint

    @classmethod
    def find(cls, settings: TrainFeaturesSettings, warnings: Sequence[str], reporter: ProgressReporter) -> "Features":
        """Return the file's features; raises DataError, and SettingsError for a layer that it does not have."""
        chosen = settings.features
        assert chosen.features is not None, "it was asked for"
        file = read_features(chosen.features, reporter)
        trunks = file.about.trunks
        layer = next(iter(trunks)) if chosen.layer is None else chosen.layer
        if layer not in file.layers:
            some = ", ".join(file.layers)
            raise SettingsError(f"--layer: {file.path} has no layer {layer!r}{nearest(layer, file.layers)} ({some})")
        if layer not in trunks:
            some = ", ".join(trunks)
            raise SettingsError(f"--layer {layer}: is there for --probe to compare with; learn from one of {some}")
        card, count = trunks[layer], len(trunks)
        choice = f", the first of {count} layers in it; --layer names another" if count > 1 and not chosen.layer else ""
        reporter.phase(f"learning from {layer}{choice}", "reading features")
        if chosen.data is not None:
            _check_images(file, chosen.data, card, reporter)
        # The same images by another layer or other weights are other data to resume on.
        identity = hashlib.sha256(json.dumps([card.identity(), file.about.precision]).encode()).hexdigest()
        packed = replace(file.packed(layer), fingerprint=f"{file.about.fingerprint}/{identity}")
        notes = [*warnings, *([] if card.pretrained else [NOT_PRETRAINED]), *_of_earlier(file, layer)]
        for name in file.layers if chosen.probe else [layer]:
            file.check_finite(name)
        notes += [f"these weights of the backbone are random: {', '.join(card.random)}"] if card.random else []
        notes += seen_before(frozenset(file.about.learned_from), packed, settings)
        return cls(file, layer, packed, [*notes, *notes_on(packed, settings)])

    @property
    def source(self) -> str:
        return self.file.about.source

    @property
    def card(self) -> TrunkCard:
        return self.file.about.trunks[self.layer]

    def check(self, alone: TrainFeaturesSettings) -> Split:
        """Return a run's split; raises DataError where there is none, SettingsError for a head that does not fit."""
        build_head(alone.network, self.packed.images.shape[1:], len(self.packed.class_names), Streams(0))
        for layer, values in self.file.layers.items() if alone.features.probe else ():
            if (size := values.nbytes) > PROBE_BYTES:
                raise SettingsError(f"--probe: {layer} takes {size >> 30} GB of memory; extract it pooled, by --grid")
        return split_of(self.packed, alone)

    def expected(self, alone: TrainFeaturesSettings) -> tuple[ModelCard, DataSummary]:
        """Return the card of the network that a run saves, and what its report says of the data."""
        job = self._job(alone)
        return job.card, job.summary

    def train(
        self, alone: TrainFeaturesSettings, run: Run, reporter: ProgressReporter, *, final: bool, figures: bool
    ) -> Report:
        """Train a head in a run directory, with the probes asked for, and return the report written there."""
        run.stamp = "" if self.card.pretrained else NOT_PRETRAINED
        report = run_trial(self._job(alone), run, reporter, final=final, figures=figures, more=True)  # its probes
        if report.status == "done":
            return report
        probes = self._probes(alone, run, _only_result(report), reporter) if alone.features.probe else []
        report = replace(report, status="done", transfer=TransferResults(backbone_used(self.card), [], probes))
        return run.finish(report, reporter, partial(draw_transfer, run, report.transfer) if probes else None)

    def _job(self, alone: TrainFeaturesSettings) -> RunSpec:
        packed, split, trunk = self.packed, self.check(alone), self.card
        card = card_on(trunk, alone.network, packed)

        def learner() -> Learner:
            source = f"--features {self.file.path}"
            weights = {name: torch.from_numpy(values) for name, values in self.file.weights.items()}
            whole = network_on(card, alone.training.seed, weights, source)
            return Learner(whole, whole.head)

        return RunSpec(
            title=title_of(alone),
            settings=alone,
            card=card,
            training=alone.training,
            packed=packed,
            split=split,
            train=Augmented(ImageSet.of(packed, split.train), {}),
            val=ImageSet.of(packed, split.val),
            test=ImageSet.of(packed, split.test),
            summary=summary_of(packed, split, self.source),
            warnings=self.warnings,
            learner=learner,
        )

    def _probes(
        self, alone: TrainFeaturesSettings, run: Run, trained: TrainingResult, reporter: ProgressReporter
    ) -> list[ProbeScore]:
        """Return how well each layer of the file serves, by the head just trained and by the standard answers."""
        split, scores, final = split_of(self.packed, alone), list[ProbeScore](), trained.test is not None
        for layer in reporter.parts([*self.file.layers]):
            reporter.phase("probing", "probing")
            if layer == self.layer:
                scores.append(ProbeScore(layer, OWN_HEAD, "", trained.train, trained.val, trained.test))
            if layer == PIXELS:
                scores.append(self._mlp(alone, run, reporter, final=final))
                reporter.phase("probing", "probing", brief=True)
            values, labels = self.file.layers[layer], self.packed.labels
            held = (split.train, split.val, *([split.test] if final else []))
            parts = [Part(values[rows].reshape(len(rows), -1), labels[rows]) for rows in held]
            reporter.step("standard answers")
            for answer in standard_answers(parts[0], parts[1], parts[2:]):
                shares = [wilson(right, len(part.labels)) for right, part in zip(answer.correct, parts, strict=True)]
                test = shares[2] if final else None
                scores.append(ProbeScore(layer, answer.name, answer.chosen, shares[0], shares[1], test))
        return scores

    def _mlp(self, alone: TrainFeaturesSettings, run: Run, reporter: ProgressReporter, *, final: bool) -> ProbeScore:
        """Return what section 2.1's MLP makes of the pixels, trained in a folder of its own."""
        usual, pixels = TrainMlpSettings(), self.file.packed(PIXELS)
        own = alone.training
        training = replace(usual.training, seed=own.seed, device=own.device, threads=own.threads)
        dataset = replace(usual.dataset, data=self.source, normalize="imagenet")
        settings = replace(usual, dataset=dataset, split=alone.split, training=training)
        # The file has k / 255 as float32, which rounds back to the byte k.
        bytes_ = (255 * pixels.images).round().astype(np.uint8).transpose(0, 2, 3, 1)
        job = make_job(settings, Images(replace(pixels, images=np.ascontiguousarray(bytes_)), self.source, ()))
        child = run.child(PIXELS, reporter)
        child.write_config(job.command, job.config)
        result = _only_result(run_trial(job, child, reporter, final=final, figures=False))
        hidden = ", ".join(map(str, usual.network.hidden))
        return ProbeScore(PIXELS, f"MLP, {hidden} hidden units", "", result.train, result.val, result.test)


def _only_result(report: Report) -> TrainingResult:
    assert isinstance(report.results, TrainingResults), "it was trained"
    return report.results.runs[0]


def _of_earlier(file: FeatureFile, layer: str) -> list[str]:
    """Return what may be wrong with a layer that an earlier version extracted; raises DataError where it surely is."""
    card, flag, advice, notes = file.about.trunks[layer], f"--features {file.path}", "extract it again", list[str]()
    if card.network is not None:  # ours, not torchvision's
        return notes
    if card.pretrained and card.backbone in INPUT_TRANSFORMING and not card.transform_input:
        notes.append(
            f"{flag}: extracted by an earlier a2 without transform_input, which {card.backbone}'s weights expect; "
            f"{advice}"
        )
    if file.about.layers_apart:
        return notes
    with Undrawn():
        graph = untrained_backbone(card)
    nodes = nodes_of(graph)
    if is_overwritten(graph, nodes[card.node]):
        order = list(nodes)
        note = f"{flag}: an earlier a2 let the ReLU in place behind {layer} overwrite it"
        if any(order.index(trunk.node) > order.index(card.node) for trunk in file.about.trunks.values()):
            raise DataError(f"{note}; {advice}")
        notes.append(f"{note} where it was asked for together with later layers; {advice}")
    return notes


def _check_images(file: FeatureFile, data: str, card: TrunkCard, reporter: ProgressReporter) -> None:
    """Raise DataError where a features file is not of these images with these labels."""
    about, source = file.about, find_source(data, reporter)
    skip = bool(about.skipped)
    packed = pack(source, card.image_size, card.fit, skip, reporter, about.value_range, may_skip=False)
    if packed.fingerprint != about.fingerprint:
        ours, theirs = packed.fingerprint[:12], about.fingerprint[:12]
        raise DataError(
            f"--features {file.path}: is of other images or labels than --data {data} (fingerprint {theirs}, "
            f"{ours}); it was made of {about.source}; extract it again"
        )

"""`a2 finetune`: a pretrained network with a new head, trained in stages, each a run of its own in stages/N-WHAT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from a2cli.data.dataset import Augmented, ImageSet
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.data.splits import Split, split_of
from a2cli.errors import DataError
from a2cli.models.cards import NOT_PRETRAINED, ModelCard, TrunkCard
from a2cli.models.transfer import Transfer
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.training_results import TrainingResult, TrainingResults
from a2cli.reports.transfer_results import StageResult, TransferResults
from a2cli.runs.directory import Run
from a2cli.settings.declare import flat
from a2cli.settings.training import augmentations
from a2cli.settings.transfer import FinetuneSettings, stages_of
from a2cli.training.draw import draw_near_duplicates, draw_run
from a2cli.training.images import notes_on, summary_of, title_of
from a2cli.training.loop import evaluate
from a2cli.training.train_state import Learner, RunSpec
from a2cli.training.trial import judged_on, run_trial, under_way
from a2cli.training.verdict import training_verdict
from a2cli.transfer.activations import compute_activations
from a2cli.transfer.backbone import (
    card_on,
    find_backbone,
    network_on,
    place_of_head,
    random_in_words,
    seen_before,
    warn_grayscale,
)
from a2cli.transfer.finetune_stages import (
    Staged,
    StagePlan,
    best_stage,
    check_batch_norms,
    counted_through,
    frozen_weights,
    learning_part,
    over_all_stages,
    paces_of,
    plan_of,
)
from a2cli.transfer.summary import backbone_used


@dataclass(frozen=True)
class Finetuning:
    """A backbone with its weights up to where the head is put, and the images that it is tuned on."""

    trunk: TrunkCard
    pretrained: Mapping[str, Tensor]
    packed: Packed
    source: str
    warnings: Sequence[str]

    @classmethod
    def find(cls, settings: FinetuneSettings, warnings: Sequence[str], reporter: ProgressReporter) -> "Finetuning":
        """Return the backbone and the images that the settings name; raises SettingsError, DataError."""
        dataset, head, partial = settings.dataset, settings.network, settings.backbone.partial
        backbone = find_backbone(settings.backbone, dataset, reporter)
        layer, moved = settings.stages.layer, list[str]()
        if not layer:
            layer, moved = place_of_head(backbone, partial=partial)
        trunk = backbone.trunk(layer, before_relu=False, grid=head.head_grid, grid_pool=head.head_pool)
        # Nobody is told here: the notes below are among the run's warnings, which are shown once.
        (trunk,) = backbone.filled([trunk], NullReporter(), partial=partial)
        source = find_source(dataset.data, reporter)
        size, fit, skip = trunk.image_size, trunk.fit, dataset.skip_damaged
        packed = pack(source, size, fit, skip, reporter, backbone.value_range)
        notes = [*warnings, *notes_on(packed, settings)]
        notes += seen_before(frozenset(backbone.learned_from(packed)), packed, settings)
        notes += backbone.notes if trunk.pretrained else [NOT_PRETRAINED]
        notes += [random_in_words(backbone.model, trunk.random)] if trunk.random else []
        notes += [*moved, *warn_grayscale(packed, source.label, NullReporter())]
        return cls(trunk, backbone.graph.state_dict(), packed, source.label, notes)

    @property
    def weights_sha256(self) -> str:
        return self.trunk.sha256

    def check(self, alone: FinetuneSettings) -> Split:
        """Return a run's split; raises DataError where there is none.

        Raises SettingsError for stages or a head that do not fit, and for a batch norm over a single value.
        """
        network, split = self._network(alone), split_of(self.packed, alone)
        plans = [plan_of(stage, network.trunk.body, self.trunk.node) for stage in stages_of(alone)]
        if len(split.train) % alone.training.batch_size == 1 or alone.training.batch_size == 1:
            for plan in plans:
                check_batch_norms(learning_part(network, plan.cut, cached=False), self.trunk.image_size, plan)
        return split

    def expected(self, alone: FinetuneSettings) -> tuple[ModelCard, DataSummary]:
        """Return the card of the network that a run saves, and what its report says of the data."""
        return self._card(alone), summary_of(self.packed, split_of(self.packed, alone), self.source)

    def train(
        self, alone: FinetuneSettings, run: Run, reporter: ProgressReporter, *, final: bool, figures: bool
    ) -> Report:
        """Train all stages in a run directory, and return the report written there; the best stage's weights are kept.

        Each stage begins with the weights that the one before kept.
        """
        if (trunk := self._trunk_of(run)) != self.trunk:
            return replace(self, trunk=trunk).train(alone, run, reporter, final=final, figures=figures)
        run.stamp = "" if self.trunk.pretrained else NOT_PRETRAINED
        packed, (card, summary) = self.packed, self.expected(alone)
        previous = run.previous_report(alone, summary.fingerprint, self.weights_sha256)
        if previous is not None and previous.status == "done" and not final:
            return previous
        with under_way(run, alone, summary, self.warnings, final=final) as report:
            network, chosen = self._network(alone), stages_of(alone)
            parts = reporter.parts([stage.what for stage in chosen], [stage.epochs for stage in chosen])
            stages = [self._stage(alone, number, network, run, reporter) for number, _ in enumerate(parts)]
            kept = best_stage(stages, alone)
            network.load_state_dict(run.child(stages[kept].result.folder).load_model()[0].state_dict())
            weights, own = run.save_model(card, network)
            result = replace(over_all_stages(stages, kept), weights_sha256=weights, card_sha256=own)
            if final:
                run.write_report(report)  # which counts the reading, should it be interrupted
                result = self._tested(result, alone, network, reporter)
            epochs = counted_through(stages)
            history = {str(result.seed): [log for logs in epochs for log in logs]}
            run.start_metrics(history[str(result.seed)])
            verdict = training_verdict([result], list(history.values()), alone)
            stage_results = [replace(stage.result, kept=i == kept) for i, stage in enumerate(stages)]
            report = replace(
                report,
                status="done",
                results=TrainingResults([result], None, None, None, None, verdict),
                transfer=TransferResults(backbone_used(self.trunk), stage_results, []),
                history=history,
            )

            def draw() -> None:
                firsts = {logs[0].epoch: stage.result.stage for logs, stage in zip(epochs, stages, strict=True)}
                draw_run(run, packed, history, result, firsts)
                draw_near_duplicates(run, summary.near_duplicates, packed)

            return run.finish(report, reporter, draw if figures else None)

    def _trunk_of(self, run: Run) -> TrunkCard:
        """Return the trunk as a run began with it: one of an earlier version goes on without `transform_input`."""
        if not self.trunk.transform_input:
            return self.trunk
        trunks = [Run.open(model.parent).load_model()[1].trunk for model in run.folder.glob("stages/*/model")]
        return replace(self.trunk, transform_input=all(trunk is None or trunk.transform_input for trunk in trunks))

    def _tested(
        self, result: TrainingResult, alone: FinetuneSettings, network: Transfer, reporter: ProgressReporter
    ) -> TrainingResult:
        """Return the result with the test's: its accuracy, on all of its images and without those seen before."""
        reporter.phase("reading the sealed test images", "evaluating")
        split, device = split_of(self.packed, alone), torch.device(alone.training.device)
        evaluation = evaluate(network, ImageSet.of(self.packed, split.test), alone.training, device, reporter)
        accuracy, test_alone, judged = judged_on(self.packed, split, "test", evaluation)
        return replace(result, test=accuracy, test_without_duplicates=test_alone, judged=judged)

    def _card(self, alone: FinetuneSettings) -> ModelCard:
        head = replace(alone.network, head_grid=0)  # the trunk pools, so that its activations are cached pooled
        return card_on(self.trunk, head, self.packed)

    def _network(self, alone: FinetuneSettings) -> Transfer:
        """Return the network before its first stage: pretrained, under a head with starting weights."""
        return network_on(self._card(alone), alone.training.seed, self.pretrained, self.trunk.weights)

    def _stage(
        self, alone: FinetuneSettings, number: int, network: Transfer, run: Run, reporter: ProgressReporter
    ) -> Staged:
        """Train one stage in its folder, if that was not done before, and leave its weights in the network."""
        stages, body = stages_of(alone), network.trunk.body
        plan = plan_of(stages[number], body, self.trunk.node)
        # Its settings are the stages up to it, so that its folder is a run of its own, to resume and to use.
        upto = " ".join(map(str, stages[: number + 1]))
        config = replace(alone, stages=replace(alone.stages, stages=upto))
        child = run.child(f"stages/{number + 1}-{plan.stage.what}", reporter)
        child.write_config("finetune", flat(config))
        # After a stage that changed it, what the frozen part answers is of this run alone, and not kept.
        cached = bool(plan.cut and alone.stages.cache and not alone.stages.augment) and all(
            torch.equal(body.state_dict()[name].cpu(), self.pretrained[name].cpu())
            for name in frozen_weights(body, plan.cut)
        )
        report = child.previous_report(config, self.packed.fingerprint)
        if report is None or report.status != "done":
            whole = run.read_report()
            if whole and whole.status == "done":  # training again would test other weights than the report's
                raise DataError(
                    f"{child.folder}: a finished stage's report, which --final needs, is gone; put it back, or begin a "
                    "new run with --final"
                )
            report = run_trial(self._job(config, plan, network, reporter, cached), child, reporter, figures=False)
        network.load_state_dict(child.load_model()[0].state_dict())
        assert isinstance(report.results, TrainingResults), "a finished training has results"
        result, logs = report.results.runs[0], next(iter(report.history.values()))
        head = sum(p.numel() for p in network.head.parameters())
        stage_result = StageResult(
            stage=plan.stage.what,
            epochs=len(logs),
            learning_rate=plan.stage.learning_rate,
            learned=[*plan.learned, "head"],
            frozen=list(plan.frozen),
            learned_parameters=sum(plan.learned.values()) + head,
            frozen_parameters=sum(plan.frozen.values()),
            cached=cached,
            train=result.train,
            val=result.val,
            val_loss=result.val_loss,
            kept=False,
            folder=child.folder.relative_to(run.folder).as_posix(),
        )
        return Staged(stage_result, result, logs)

    def _job(
        self, config: FinetuneSettings, plan: StagePlan, network: Transfer, reporter: ProgressReporter, cached: bool
    ) -> RunSpec:
        packed, split, training = self.packed, split_of(self.packed, config), config.training
        card, summary = self.expected(config)
        if cached and plan.cut:
            trunk, cut, parts = network.trunk, plan.cut, (split.train, split.val)
            of_cut = replace(self.trunk, node=cut, grid=self.trunk.grid if cut == self.trunk.node else 0)
            rows, device = np.concatenate(parts), torch.device(training.device)
            stored, _ = compute_activations(
                trunk.body, trunk.preprocess, {cut: of_cut}, packed.images, rows, training, device, reporter,
                plan.title, whole_batches=True,
            )  # fmt: skip
            values, places = stored[cut]
            train, val = (
                ImageSet(torch.from_numpy(values), torch.from_numpy(part), torch.from_numpy(packed.labels[part_rows]))
                for part, part_rows in zip(np.split(places, [len(split.train)]), parts, strict=True)
            )
        else:
            reporter.phase(plan.title)
            train, val = ImageSet.of(packed, split.train), ImageSet.of(packed, split.val)

        def learner() -> Learner:
            part = learning_part(network, plan.cut, cached=cached)
            return Learner(network, part, paces_of(network, part, config))

        return RunSpec(
            title=f"{title_of(config)}, {plan.stage.what}",
            settings=config,
            card=card,
            training=replace(training, epochs=plan.stage.epochs, learning_rate=plan.stage.learning_rate),
            packed=packed,
            split=split,
            train=Augmented(train, augmentations(config.stages.augment), len(packed.class_names)),
            val=val,
            test=ImageSet.of(packed, split.test[:0]),  # the run reads it, once, after its last stage
            summary=summary,
            warnings=self.warnings,
            learner=learner,
            epochs_before=sum(stage.epochs for stage in stages_of(config)[:-1]),  # no stage meets a draw again
        )

"""`a2 replicate`: a report's claims redone in one run directory, with more seeds where they decide."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from a2cli.data.listing import relocated
from a2cli.errors import DataError, SettingsError, naming
from a2cli.formats import counted
from a2cli.progress import ProgressReporter
from a2cli.replicate.checks import COMMAND, chosen_claims
from a2cli.replicate.claims import LEDGER_FILE, STATED, ClaimLedger, ledger_path
from a2cli.replicate.decisions import LOOKS
from a2cli.replicate.evidence import Evidence, Inputs
from a2cli.replicate.evidence_runs import EvidenceRuns, feature_file, named_before
from a2cli.replicate.judging import Finding, epochs_of, judge
from a2cli.replicate.question import Question
from a2cli.replicate.results import ReplicationResults
from a2cli.replicate.schedule import budget_of, next_claims, work_of
from a2cli.replicate.settings import ReplicateSettings
from a2cli.replicate.summary import results_of, stated
from a2cli.reports.report import DataSummary, Report, new_report
from a2cli.runs.directory import Run
from a2cli.runtime import environment, set_up
from a2cli.settings.declare import flat
from a2cli.settings.kinds import AnyTraining
from a2cli.storage import yaml_with_digest
from a2cli.strict_json import plain
from a2cli.study.ledger import data_of
from a2cli.study.settings import trial_of
from a2cli.train.differences import as_stored, compare, refuse
from a2cli.train.run import TrainingTask, task_for
from a2cli.train.workers import Workers
from a2cli.training.images import summary_of
from a2cli.training.trial import ended_early

# What a resumed run holds its report to; words are other versions' own.
HELD = ("verdict", "seeds", "estimates")
MEASURED = ("seeds", "failed", "training", "training_deviation", "validation", "validation_deviation")


def replicate(
    settings: ReplicateSettings,
    ledger: ClaimLedger,
    run: Run,
    workers: Workers,
    reporter: ProgressReporter,
    warnings: Sequence[str] = (),
) -> Report:
    """Run in a folder, new or left early, what a ledger's claims rest on, and return the report written there.

    Raises SettingsError and DataError for what no run could do; what a single run ends with is in the results.
    """
    with run.locked(reporter):
        run.read_report()  # one that was edited is refused rather than written over
        chosen = settings.claims
        device = set_up(chosen.device, 1)
        evidence = Evidence(ledger, Inputs.of(ledger, chosen), str(device))
        replication = Replication(settings, evidence, run, workers, reporter)
        if not (run.folder / LEDGER_FILE).exists():
            run.write(LEDGER_FILE, yaml_with_digest(ledger_path(chosen.ledger or "").read_bytes()))
        run.write_config(COMMAND, flat(settings))
        begun = new_report(COMMAND, flat(settings), environment(torch.device(device)), status="running")
        try:
            with relocated(replication.moved), ended_early(run, begun):
                replication.extract()
                results = replication.results()
        finally:
            workers.close()
        _check(run, flat(settings), results, reporter, ran=replication.runs.ran)
        report = new_report(
            COMMAND,
            flat(settings),
            environment(torch.device(device)),
            results=results,
            warnings=[*warnings, *replication.warnings],
        )
        from a2cli.replicate.draw import draw

        with ended_early(run, report):
            return run.finish(report, reporter, partial(draw, run, results))


def _check(
    run: Run, config: dict[str, Any], results: ReplicationResults, reporter: ProgressReporter, *, ran: bool
) -> None:
    """Raise DataError where a replication is finished and its report says otherwise than its runs do.

    Says so where none ran and they agree. Of another budget or other claims it is not held to them. Where trainings
    `ran` since, as they were gone or there was time for more, it is held to what has as many seeds as before.
    """
    report, file = run.read_report(), run.folder / "report.json"
    if report is None or report.status != "done" or plain(report.config) != plain(config):
        return
    stated, derived = (
        {
            "claims": {f"{claim['id']}, {one['world']}": {name: one[name] for name in HELD}
                       for claim in found["claims"] for one in claim["judged"]},
            "runs": {f"{one['run']}, {one['world']}": {name: one[name] for name in MEASURED}
                     for one in found.get("runs", ())},
        }
        for found in (as_stored(file)["results"], plain(asdict(results)))
    )  # fmt: skip
    if not stated["runs"]:
        del derived["runs"]  # a report from before it had them
    if ran:
        for part, found in derived.items():
            same = {name for name, one in found.items() if stated[part].get(name, {}).get("seeds") == one["seeds"]}
            derived[part], stated[part] = ({name: values[name] for name in found if name in same}
                                           for values in (found, stated[part]))  # fmt: skip
    refuse(list(compare(file, [(part, stated[part], derived[part], f"the runs in {run.folder}") for part in derived])))
    if not ran:
        reporter.warn("this run was finished before, and agrees with its runs, which were not measured again")


class Replication:
    """All questions of a replication, and the runs that answer them."""

    def __init__(
        self, settings: ReplicateSettings, evidence: Evidence, run: Run, workers: Workers, reporter: ProgressReporter
    ) -> None:
        self.settings, self.ledger, self.run, self.reporter = settings.claims, evidence.ledger, run, reporter
        self.warnings: list[str] = []
        features = {entry.features for entry in self.ledger.runs.values() if entry.features}
        folder = run.folder.resolve()  # a trial is known by its settings, however this folder was named
        files = {name: folder / feature_file(name) for name in features}
        named = {name: named_before(run.folder, file) for name, file in files.items()}
        self.evidence = replace(evidence, features=named)
        self.moved = {named[name]: str(file) for name, file in files.items()}
        self.questions = [
            Question(claim, world, self.evidence.not_attempted(claim))
            for claim in chosen_claims(self.ledger, self.settings.only)
            for world in self.ledger.worlds
            if not claim.worlds or world in claim.worlds
        ]
        attempted = [(one.claim, one.world) for one in self.questions if not one.missing]
        self.runs = EvidenceRuns(self.evidence, run.folder, self.evidence.trainings(attempted), workers, reporter)
        self.data: dict[str, DataSummary] = {}
        self._check([name for name, _ in self.runs.trainings if not self.ledger.runs[name].features])
        self._pass_over_numbers()

    def extract(self) -> None:
        """Write the files of features that trainings take, and check these trainings; raises as `_check` does."""
        on_features = [name for name, _ in self.runs.trainings if self.ledger.runs[name].features]
        for name in dict.fromkeys(self.ledger.runs[name].features for name in on_features):
            self.runs.extract(name)
        self._check(on_features)

    def _check(self, names: Sequence[str]) -> None:
        """Raise SettingsError or DataError for what would stop a run's trainings, before the first one begins."""
        self.reporter.phase("checking the runs' settings on the data", "checking", brief=True)
        task: TrainingTask | None = None
        before: AnyTraining | None = None
        trainings = [(name, training) for (name, _), training in self.runs.trainings.items() if name in names]
        known = len(self.warnings)
        for name, training in self.reporter.batches(trainings, len(trainings)):
            trial = trial_of(training, self.settings.seed, self.evidence.device)
            with naming(f"run {name}"):
                entry = self.ledger.runs[name]
                try:
                    if before is None or replace(trial, training=before.training) != before:
                        task, before = task_for(trial, (), self.reporter), trial
                        made_from = task.packed.fingerprint, task.weights_sha256
                        self.runs.ledgers[type(trial)].made_from[data_of(trial)] = made_from
                    assert task is not None, "made for the first"
                    split = task.check(trial)
                except (DataError, SettingsError) as error:  # whose advice is of flags that this command does not have
                    if "; change --" not in str(error):
                        raise
                    reason = str(error).partition("; change --")[0]
                    said = f"{reason}, as the ledger has it; name other data by --{entry.input}"
                    raise type(error)(said) from None
                if entry.input not in self.data and not entry.features:
                    self.data[entry.input] = summary_of(task.packed, split, task.source)
                    notes = [note.partition("; --val-fraction")[0] for note in task.warnings]
                    self.warnings += [note for note in notes if note not in self.warnings]
        self.reporter.warn_all(self.warnings[known:])

    def _pass_over_numbers(self) -> None:
        """Attempt nothing that the report printed as a number of its own data, where these are others."""
        for one in self.questions:
            if one.claim.printed is None or one.missing:
                continue
            entry = self.ledger.runs[self.evidence.of(one.claim.run)]
            of, data = self.ledger.inputs[entry.input], self.data.get(entry.input)
            if data and of.images and (sum(data.classes.values()), len(data.classes)) != (of.images, of.classes):
                one.missing = (
                    f"a number of other data: {of.about} ({of.images:,} images, {of.classes} classes), not "
                    f"{Path(data.source).name} ({sum(data.classes.values()):,}, {len(data.classes)}); --{entry.input}"
                )

    # Rounds

    def results(self) -> ReplicationResults:
        """Run all rounds that the budget allows, those done before included, and return what the claims came to."""
        is_new = not (self.run.folder / "trials").is_dir()
        for one in self.questions:
            if not one.missing and one.claim.kind in STATED:
                one.found = stated(one, self.runs, self.settings.seed)
        budget_seconds, budget_trainings = budget_of(self.settings.budget)
        while open_questions := [one for one in self.questions if one.is_open]:
            trainings, seconds = self.runs.spent
            if budget_seconds is not None and seconds / self.runs.workers.jobs >= budget_seconds:
                break
            if budget_trainings is not None and trainings >= budget_trainings:
                break
            chosen = next_claims(open_questions, self._cost, lambda one: self._lacking(one, one.look + 1))
            if self.settings.budget and is_new and not any(one.look for one in self.questions):
                first = len({key for one in chosen for key in self._lacking(one, one.look + 1)})
                self.reporter.phase(
                    f"--budget {self.settings.budget} ends between looks; the first takes {counted(first, 'training')}"
                )
            for one in chosen:
                one.look += 1
            decided = sum(not one.is_open and one.finding is not None for one in self.questions)
            title = f"{counted(len(open_questions), 'verdict')} open, {decided} decided"
            wanted = [((name, one.world), seed) for one in chosen for name in one.claim.runs
                      for seed in one.seeds(self.settings.seed, one.look)]  # fmt: skip
            self.runs.run(title, wanted)
            for one in chosen:
                one.finding = self._judge(one)
        return results_of(self.settings, self.questions, self.runs, self.data)

    def _lacking(self, one: Question, look: int) -> set[Any]:
        return self.runs.lacking([(name, one.world) for name in one.claim.runs], one.seeds(self.settings.seed, look))

    def _cost(self, one: Question) -> float | None:
        """Return the work that deciding a claim would take, as far as its seeds so far tell; None: it would not."""
        look = one.look + 1
        if one.finding is not None and one.finding.estimates:
            needed = one.finding.to_decide
            if needed is None or needed > LOOKS[-1]:
                return None
            look = next(i for i, seeds in enumerate(LOOKS) if seeds >= needed)
        pairs = [self.runs.training_of(name, one.world) for name in one.claim.runs]
        return len(self._lacking(one, look)) * fmean(work_of(self.runs.trainings[pair]) for pair in pairs)

    def _judge(self, one: Question) -> Finding:
        claim, seeds = one.claim, one.seeds(self.settings.seed, one.look)
        values_of = {choice: partial(self.runs.values, claim, one.world, seeds, choice)
                     for choice in ("", *epochs_of(claim))}  # fmt: skip
        data = self.data.get(self.ledger.runs[self.evidence.of(claim.run)].input)
        return judge(claim, self.ledger, len(LOOKS), 1 / data.val if data else 0.0, values_of)

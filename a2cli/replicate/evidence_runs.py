"""Running what claims rest on: trainings and probes side by side, other commands one after the other."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from a2cli import storage
from a2cli.errors import A2Error, DataError, SettingsError
from a2cli.probe_invariance.results import InvarianceResults
from a2cli.probe_invariance.run import probe_invariance
from a2cli.probe_invariance.settings import ProbeInvarianceSettings
from a2cli.probe_invariance.targets import TrainingRun
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.replicate.claims import TRAININGS, Claim
from a2cli.replicate.evidence import Evidence, shared, words_of
from a2cli.replicate.quantities import EPOCHS, MEASURES
from a2cli.reports.report import Report, read_report
from a2cli.reports.training_results import TrainingResults
from a2cli.runs.directory import Run
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.presets import resolve
from a2cli.strict_json import plain
from a2cli.study.ledger import Ledger, TrialKey
from a2cli.study.settings import trial_of
from a2cli.train.workers import Workers

PREDICTIONS = "predictions.json"
HELD_OUT = "held-out"  # the image of a command: one that its network was not trained on
Pair = tuple[str, str]  # a run and the world that it is in


@dataclass
class EvidenceRuns:
    """The trainings of a replication by run, world and seed, and the probes of their networks."""

    evidence: Evidence
    folder: Path
    trainings: Mapping[Pair, AnyTraining]
    workers: Workers
    reporter: ProgressReporter
    ledgers: dict[type, Ledger] = field(default_factory=dict, init=False)
    probed: dict[tuple[Pair, int], InvarianceResults | None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.first = shared(self.trainings)
        for kind in dict.fromkeys(type(settings) for settings in self.trainings.values()):
            name = kind.__name__.removesuffix("Settings").lower()
            self.ledgers[kind] = Ledger(
                self.folder / "trials" / name, self.workers, self.reporter, "{contender}-seed{seed}-{digest:.8}"
            )

    def settings(self, pair: Pair, seed: int) -> AnyTraining:
        return trial_of(self.trainings[pair], seed, self.evidence.device)

    def _ledger(self, pair: Pair) -> Ledger:
        return self.ledgers[type(self.trainings[pair])]

    def _key(self, pair: Pair, seed: int) -> TrialKey:
        run, world = self.first[pair]
        return TrialKey(f"{run} {world}", self.trainings[pair].training.learning_rate, seed)

    def training_of(self, name: str, world: str) -> Pair:
        """Return the training that a run is of, in a world."""
        return self.evidence.of(name), world

    def lacking(self, names: Iterable[Pair], seeds: Iterable[int]) -> set[TrialKey]:
        """Return the trainings that runs still lack on these seeds; what has the same settings counts once."""
        pairs = {self.training_of(*name) for name in names}
        keys = {(pair, self._key(pair, seed)) for pair in pairs if pair[0] for seed in seeds}
        return {key for pair, key in keys if key not in self._ledger(pair).ended}

    @property
    def ran(self) -> bool:
        """Whether a training was run in this session."""
        return any(ledger.ran for ledger in self.ledgers.values())

    @property
    def spent(self) -> tuple[int, float]:
        """How many trainings ended, and the seconds that they took together."""
        ended = [one for ledger in self.ledgers.values() for one in ledger.ended.values()]
        return len(ended), sum(one.report.seconds.get("all", 0.0) for one in ended if one.report)

    def run(self, title: str, wanted: Iterable[tuple[Pair, int]]) -> None:
        """Run the trainings, and the probes of their networks, that runs lack on seeds."""
        wanted = list(dict.fromkeys(wanted))
        by_kind: dict[type, dict[TrialKey, AnyTraining]] = {kind: {} for kind in self.ledgers}
        for name, seed in wanted:
            pair = self.training_of(*name)
            if pair[0]:
                by_kind[type(self.trainings[pair])][self._key(pair, seed)] = self.settings(pair, seed)
        for kind, trials in by_kind.items():
            if trials:
                self.ledgers[kind].run(title, trials)
        self._probe([(name, seed) for name, seed in wanted
                     if self.evidence.ledger.runs[name[0]].command == "probe-invariance"])  # fmt: skip

    def trial(self, pair: Pair, seed: int) -> tuple[Path, Report | None]:
        """Return the folder and the report of a training; none where it is not done."""
        ledger, key = self._ledger(pair), self._key(pair, seed)
        ended = ledger.ended.get(key)
        report = ended.report if ended and ended.status == "done" else None
        return ledger.folder / (ended.name if ended else ""), report

    def accuracies(self, pair: Pair) -> tuple[list[tuple[float, float]], int]:
        """Return the training and validation accuracy of each of a run's trainings, and how many have no network."""
        ledger, contender = self._ledger(pair), self._key(pair, 0).contender
        ended = [one for key, one in sorted(ledger.ended.items()) if key.contender == contender]
        results = [one.report.results.runs[0] for one in ended if one.status == "done" and one.report
                   and isinstance(one.report.results, TrainingResults)]  # fmt: skip
        return [(one.train.value, one.val.value) for one in results], len(ended) - len(results)

    # Probes

    def _probe(self, wanted: Iterable[tuple[Pair, int]]) -> None:
        calls, names = [], {}
        for (name, world), seed in wanted:
            folder, report = self.trial(self.training_of(name, world), seed)
            out = self.folder / "probes" / f"{name}-{folder.name}"
            if report is None or ((name, world), seed) in self.probed:
                continue
            flags = {"layers": False, **self.evidence.ledger.runs[name].flags}
            calls.append((str(out), str(folder), self.settings(self.training_of(name, world), seed), flags))
            names[str(out)] = (name, world), seed
        if not calls:
            return
        self.reporter.phase(f"probing {len(calls)} networks", "probing")
        try:
            with self.workers.results(_probe_one, calls) as results:
                for done, found in self.reporter.batches(results, len(calls)):
                    self.probed[names[done]] = found
        except BrokenProcessPool:
            raise SettingsError(
                "--jobs: a process that probed was killed, most likely for lack of memory; go on by --resume, with "
                "fewer --jobs"
            ) from None

    # Values

    def values(self, claim: Claim, world: str, seeds: Iterable[int], choice: str, name: str) -> dict[int, float]:
        """Return a claim's measure of one run by seed; seeds that have none, as they diverged or failed, are left out.

        `choice` is one of EPOCHS, for another epoch's weights, or ''.
        """
        found = {}
        for seed in seeds:
            if self.evidence.ledger.runs[name].command == "probe-invariance":
                value = self._fall(claim, self.probed.get(((name, world), seed)))
            else:
                value = self._measured(claim, (name, world), seed, choice)
            if value is not None:
                found[seed] = value
        return found

    def _measured(self, claim: Claim, pair: Pair, seed: int, choice: str) -> float | None:
        _, report = self.trial(pair, seed)
        if report is None or not isinstance(report.results, TrainingResults):
            return self._ledger(pair).accuracy(self._key(pair, seed)) if claim.measure == "validation" else None
        logs = report.history[str(seed)]
        return EPOCHS[choice](logs) if choice else MEASURES[claim.measure][0](report.results.runs[0], logs)

    @staticmethod
    def _fall(claim: Claim, results: InvarianceResults | None) -> float | None:
        changes = results.runs[0].changes if results else []
        point = next((one.points[0] for one in changes if one.title == claim.change), None)
        if point is None:
            return None
        return point.difference if claim.measure == "fall" else point.accuracy.value

    # Other commands

    def stated(self, name: str, world: str, seed: int) -> tuple[Path, dict[str, Any] | None, str]:
        """Run a command once, and return its folder, the results of its report and why there are none, if so."""
        entry = self.evidence.ledger.runs[name]
        if entry.command in TRAININGS:
            folder, report = self.trial((name, world), seed)
            return folder, _plain(report), "" if report else "the training ended without a network"
        of = f"-{world.replace(' ', '-')}-seed{seed}" if entry.of else ""
        out, flags = self.folder / "evidence" / f"{name}{of}", dict(entry.flags)
        if (stored := _stored(out)) is not None:
            return out, stored, ""
        if entry.of:
            trained, report = self.trial((entry.of, world), seed)
            if report is None:
                return out, None, f"{entry.of} ended without a network"
            flags["run"] = str(trained)
        self.reporter.phase(f"running a2 {entry.command} for {name}", "other commands")
        shutil.rmtree(out, ignore_errors=True)
        storage.make_folder(out.parent)
        if flags.get("image") == HELD_OUT or entry.command == "predict":
            flags["image"] = str(_save_image(Path(flags["run"]), out.with_suffix(".png")))
        if entry.command == "predict":
            storage.make_folder(out)
            words = [*words_of(entry, {"run": flags["run"]})[1:], flags["image"], "--json"]
        else:
            words = [*words_of(entry, flags)[1:], "--quiet", "--out", str(out)]
        done = subprocess.run([sys.executable, "-m", "a2cli", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            return out, None, (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        if entry.command == "predict":
            storage.write(out / PREDICTIONS, done.stdout.encode())
        return out, _stored(out), ""

    def extract(self, name: str) -> None:
        """Run extract-features for a run of the ledger, unless its file is there.

        Raises DataError with what the command says where it fails.
        """
        entry, out = self.evidence.ledger.runs[name], self.folder / feature_file(name)
        if not out.exists():
            self.reporter.phase(f"extracting features for {name}", "extracting")
            storage.make_folder(out.parent)
            flags = {**entry.flags, "data": self.evidence.inputs.found[entry.input]}
            if entry.weights:
                flags["weights"] = self.evidence.inputs.found["weights"]
            words = [*words_of(entry, flags)[1:], "--quiet", "--out", str(out)]
            done = subprocess.run([sys.executable, "-m", "a2cli", *words], capture_output=True, text=True, check=False)
            if done.returncode:
                raise DataError(f"run {name}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")


def feature_file(name: str) -> str:
    """Return where in a run directory the features of a run are."""
    return f"evidence/{name}.safetensors"


def named_before(folder: Path, file: Path) -> str:
    """Return what the trainings in a run directory call a file of features, which is where it lay when they began.

    A training is known by its settings, and the directory may have been moved since.
    """
    reports = [read_report(path.parent) for path in sorted(folder.glob("trials/trainfeatures/*/report.json"))]
    names = Counter(name for report in reports if report and isinstance(name := report.config.get("features"), str)
                    and re.split(r"[/\\]", name)[-2:] == [*file.parts[-2:]])  # fmt: skip
    return names.most_common(1)[0][0] if names else str(file)


def _probe_one(out: str, folder: str, trained: AnyTraining, flags: Mapping[str, Any]) -> tuple[str, Any]:
    """Probe one training's network, in a worker; return the results, or None where it cannot be probed."""
    done = read_report(Path(out)) if Path(out).is_dir() else None
    if done and done.status == "done":
        return out, done.results
    shutil.rmtree(out, ignore_errors=True)
    given = {"changes": "none", "threads": 1, "device": trained.training.device, **flags, "run": [folder]}
    settings = resolve(ProbeInvarianceSettings, "probe-invariance", (), given).settings
    try:
        run = Run.create("probe-invariance", out)
        report = probe_invariance(settings, [TrainingRun(folder, trained)], run, NullReporter(), figures=False)
    except A2Error:
        return out, None
    return out, report.results


def _save_image(run: Path, path: Path) -> Path:
    """Write the first image that a training held out for validation, at its network's size."""
    from PIL import Image

    from a2cli.command_line.arguments import training_of
    from a2cli.data.splits import split_of
    from a2cli.train.run import task_for

    settings = training_of("--run", str(run))
    packed = task_for(settings, (), NullReporter()).packed
    Image.fromarray(packed.images[split_of(packed, settings).val[0]]).save(path)
    return path


def _stored(out: Path) -> dict[str, Any] | None:
    """Return the results of a command that is done, as JSON; None where it is not."""
    if (out / PREDICTIONS).exists():
        return storage.read_json(out / PREDICTIONS)
    report = read_report(out) if out.is_dir() else None
    return _plain(report) if report and report.status == "done" else None


def _plain(report: Report | None) -> dict[str, Any] | None:
    return plain(asdict(report.results)) if report and report.results else None

"""A finished run held to its data and its weights: the data summed up again, the saved network measured again.

Measuring takes one forward pass over the validation images, and over the test images where the report says that they
were read. That is no new reading of the test: nothing is found but what is in the report already, nothing is chosen by
it, and `test_reads` stays as it is.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isclose, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from a2cli.data.dataset import ImageSet
from a2cli.data.packing import Packed
from a2cli.data.splits import Split
from a2cli.models.cards import ModelCard
from a2cli.models.transfer import Transfer
from a2cli.progress import ProgressReporter
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.training_results import Accuracy, JudgedPart, TrainingResult, TrainingResults
from a2cli.runs.directory import Run
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import TrainFeaturesSettings
from a2cli.statistics.intervals import wilson
from a2cli.strict_json import plain
from a2cli.train.differences import Difference, Row, as_stored, compare, numbers, refuse, shown
from a2cli.train.recheck import RESULT, ROUNDING_IMAGES, ROUNDING_LOSS
from a2cli.train.recheck_network import in_network
from a2cli.training.by_class import judged_part
from a2cli.training.loop import Evaluation, evaluate
from a2cli.training.trial import largest_class, without_duplicates

# What the data's fingerprint (pixels and labels) does not settle: a file that was put beside the images since.
BESIDE = {"passed_over", "skipped", "unused"}
ROUNDING_PROBABILITY = 0.01
SIMILAR = 1e-4  # of near duplicates, whose similarity other machines round otherwise
NOT_MEASURED = "{}: not there, so the results in report.json are not measured again"
ROUNDED = "{}: {} is {}, the weights get {} here: so little may be rounding on another machine or version"


@dataclass(frozen=True)
class JudgedOn:
    """What a run's results are of, found again: the data and its split, the network's card, the data's summary."""

    packed: Packed
    split: Split
    card: ModelCard
    summary: DataSummary

    def name(self, image: str) -> str:
        """Return what of an image's name stays as it was: a manifest's begins by where that lies, which may change."""
        return image.rpartition("/")[2] if self.summary.source.lower().endswith(".csv") else image


def check_again(run: Run, settings: AnyTraining, on: JudgedOn, reporter: ProgressReporter) -> bool:
    """Return whether a finished run's network is there, and was measured again.

    Raises DataError where its report says otherwise than its data are, or its weights get on it; warns of what may be
    otherwise without an edit. A fine-tuning's stages are measured as well.
    """
    report = run.read_report()
    if report is None or not isinstance(report.results, TrainingResults):
        return False
    beside = BESIDE | ({"source"} if isinstance(settings, TrainFeaturesSettings) else set())
    file = run.folder / "report.json"
    for difference in _in_data(file, on):
        if difference.field.split(".")[1].partition("[")[0] not in beside:
            refuse([difference])
        reporter.warn(str(difference))
    measured = _measure(run, report, settings, on, reporter)
    for stage in report.transfer.stages if report.transfer else []:
        child = Run(run.folder / stage.folder)
        if (own := child.read_report()) and own.status == "done":
            _measure(child, own, settings, on, reporter)
    return measured


def _in_data(file: Path, on: JudgedOn) -> Iterator[Difference]:
    """Yield where what a report says of the data differs from the data; fields that it lacks are not compared."""
    data, by = as_stored(file).get("data") or {}, "the data"
    for name, derived in plain(asdict(on.summary)).items():
        stated = data.get(name, derived)
        if name == "source":  # its folder may have moved
            stated, derived = (
                str(source).replace("\\", "/").rstrip("/").rpartition("/")[2] for source in (stated, derived)
            )
        elif name == "scaling":  # in words
            stated, derived = numbers(stated), numbers(derived)
        elif name in {"identical", "constant", "near_duplicates"}:
            stated, derived = _named(stated, on), _named(derived, on)
        if name == "near_duplicates" and len(stated) == len(derived):
            stated = [_but_for_rounding(pair, own) for pair, own in zip(stated, derived, strict=True)]
        if isinstance(stated, dict) and stated.keys() != derived.keys():
            yield Difference(file, f"data.{name}", stated, derived, by)
        else:
            yield from compare(file, [(f"data.{name}", stated, derived, by)])


def _but_for_rounding(pair: dict[str, Any], derived: dict[str, Any]) -> dict[str, Any]:
    near = isclose(pair["similarity"], derived["similarity"], abs_tol=SIMILAR)
    return {**pair, "similarity": derived["similarity"]} if near else pair


def _named(value: Any, on: JudgedOn) -> Any:
    if isinstance(value, list):
        return [_named(inner, on) for inner in value]
    if isinstance(value, dict):
        return {key: _named(inner, on) for key, inner in value.items()}
    return on.name(value) if isinstance(value, str) else value


def _measure(run: Run, report: Report, settings: AnyTraining, on: JudgedOn, reporter: ProgressReporter) -> bool:
    """Measure a run's saved network again, return whether it is there; raises DataError where its report differs."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    file, result = run.folder / "report.json", report.results.runs[0]
    for name in ("model.json", "model.safetensors"):
        if not (path := run.folder / "model" / name).exists():
            reporter.warn(NOT_MEASURED.format(path))
            return False
    model, card = run.load_model()
    refuse([*in_network(run.folder, report, model, card, on.card, settings)])
    device = torch.device(settings.training.device)
    learned: nn.Module = model.to(device)
    if isinstance(settings, TrainFeaturesSettings):
        assert isinstance(model, Transfer), "a head on a trunk"
        learned = model.head  # the data are what the trunk answered
    parts = {"val": on.split.val, **({"test": on.split.test} if result.test else {})}
    evaluations = {part: evaluate(learned, ImageSet.of(on.packed, rows), settings.training, device, reporter)
                   for part, rows in parts.items() if len(rows)}  # fmt: skip
    again = _Again(result, as_stored(file)["results"]["runs"][0], evaluations, on, _rounding(settings))
    refuse([*compare(file, again.rows())])
    for part, evaluation in evaluations.items():
        stated, count = getattr(result, part).correct, len(evaluation.labels)
        if stated != evaluation.correct:
            fractions = f"{stated} of {count}", f"{evaluation.correct} of {count}"
            reporter.warn(ROUNDED.format(file, f"{RESULT}.{part}", *fractions))
    return True


def _rounding(settings: AnyTraining) -> int:
    """Return how much more than fp32 a training's arithmetic rounds."""
    return 5 if settings.training.precision == "bf16" else 1


def _near(count: int, rounding: int) -> float:
    """Return how many of so many images may be answered otherwise on another machine."""
    return rounding * max(1, ROUNDING_IMAGES * count)


@dataclass(frozen=True)
class _Again:
    """A run's result, as it is and as report.json has it, and what its network answers now, by part of the data."""

    result: TrainingResult
    stored: Mapping[str, Any]
    evaluations: Mapping[str, Evaluation]
    on: JudgedOn
    rounding: int

    def rows(self) -> Iterator[Row]:
        """Yield each field that differs by more than rounding, as it is and as the weights have it."""
        for field, stated, measured in self._differing():
            yield f"{RESULT}.{field}", stated, measured, "its weights on the same images"

    def _differing(self) -> Iterator[tuple[str, object, object]]:
        result, on, val = self.result, self.on, self.evaluations["val"]
        largest = largest_class(torch.from_numpy(on.packed.labels[on.split.train]), len(on.packed.class_names))
        repeated = dict(zip(("val", "test"), on.split.repeated(on.packed.groups), strict=True))
        if result.test and "test" not in self.evaluations:
            yield "test", shown(result.test), None
        for part, evaluation in self.evaluations.items():
            accuracies: dict[str, Accuracy | None] = {part: wilson(evaluation.correct, len(evaluation.labels))}
            if (name := f"{part}_without_duplicates") in self.stored:
                accuracies[name] = without_duplicates(evaluation, repeated[part])
            for field, accuracy in accuracies.items():
                yield from self._accuracy(field, getattr(result, field), accuracy)
        near = self.rounding * ROUNDING_LOSS
        if not isclose(result.val_loss, val.loss, rel_tol=near, abs_tol=near / 10):
            yield "val_loss", result.val_loss, val.loss
        yield "majority.correct", result.majority.correct, int((val.labels == largest).sum())
        part = result.judged.part
        if part in self.evaluations:
            rows: NDArray[np.int64] = getattr(on.split, part)
            images = [on.packed.names[row] for row in rows]
            again = judged_part(part, self.evaluations[part], largest, on.packed.class_names, images)
            for field, stated, measured in [*self._judged(result.judged, again), *self._mistakes(part, rows)]:
                yield f"judged.{field}", stated, measured

    def _accuracy(
        self, field: str, stated: Accuracy | None, measured: Accuracy | None
    ) -> Iterator[tuple[str, object, object]]:
        near = _near(measured.count, self.rounding) if measured else 0
        if (
            not (stated and measured and stated.count == measured.count)
            or abs(stated.correct - measured.correct) > near
        ):
            yield field, _fraction(stated), _fraction(measured)

    def _judged(self, stated: JudgedPart, measured: JudgedPart) -> Iterator[tuple[str, object, object]]:
        """Yield where the results by class differ; what earlier versions did not store is not compared."""
        if stated.largest_class is not None:
            yield "largest_class", stated.largest_class, measured.largest_class
        yield "majority.correct", stated.majority.correct, measured.majority.correct
        for scores in zip(stated.classes, measured.classes, strict=False):
            names_and_counts = [f"{score.name}: {score.count}" for score in scores]
            if names_and_counts[0] != names_and_counts[1]:
                yield "classes", names_and_counts[0], names_and_counts[1]
                return
        count = sum(score.count for score in measured.classes)
        near = _near(count, self.rounding)
        names = [score.name for score in measured.classes]
        cells = [(abs(a - b), f"{truth} as {answer}", a, b)
                 for truth, *rows in zip(names, stated.matrix, measured.matrix, strict=False)
                 for answer, a, b in zip(names, *rows, strict=False)]  # fmt: skip
        if sum(cell[0] for cell in cells) / 2 > near:  # an image that is answered otherwise is in two cells
            _, where, a, b = max(cells, key=lambda cell: cell[0])
            yield f"confusion: {where}", a, b
        if stated.top5 and measured.top5:
            yield from self._accuracy("top5", stated.top5, measured.top5)
        if stated.calibration and stated.calibration_error is not None and measured.calibration_error is not None:
            means = [sum(bin_.confidence * bin_.count for bin_ in bins) / count
                     for bins in (stated.calibration, measured.calibration)]  # fmt: skip
            if abs(means[0] - means[1]) > self.rounding * ROUNDING_PROBABILITY:
                yield "calibration: mean confidence", means[0], means[1]
            # An image on the edge of a bin moves to the next one.
            if abs(stated.calibration_error - measured.calibration_error) > 2 * near / count:
                yield "calibration_error", stated.calibration_error, measured.calibration_error

    def _mistakes(self, part: str, rows: NDArray[np.int64]) -> Iterator[tuple[str, object, object]]:
        """Yield a mistake that names no image of that part, another truth, or an answer that is not so probable."""
        packed, evaluation = self.on.packed, self.evaluations[part]
        places = defaultdict[str, list[int]](list)  # file names alone may be shared
        for place, row in enumerate(rows.tolist()):
            places[self.on.name(packed.names[row])].append(place)
        for i, mistake in enumerate(self.result.judged.most_wrong):
            own = places[self.on.name(mistake.image)]
            truths = [packed.class_names[int(evaluation.labels[place])] for place in own]
            if mistake.truth not in truths or mistake.answer not in packed.class_names:
                yield f"most_wrong[{i}]", f"{mistake.image}, {mistake.truth}", ", ".join(truths) or "no such image"
                continue
            answer = packed.class_names.index(mistake.answer)
            probable = [float(evaluation.probabilities[place, answer]) for place in own]
            if all(abs(value - mistake.probability) > self.rounding * ROUNDING_PROBABILITY for value in probable):
                yield f"most_wrong[{i}].probability", mistake.probability, probable[0]


def _fraction(accuracy: Accuracy | None) -> str | None:
    return f"{accuracy.correct} of {accuracy.count}" if accuracy else None


def check_measured(
    name: str, result: TrainingResult, settings: AnyTraining, right: int, count: int, loss: float
) -> tuple[str, str]:
    """Return how a report is refuted by what its network's weights get on the same images, or what to know; '' if not.

    `loss` is their mean cross entropy, which is compared where the report's is one as well.
    """
    val, rounding = result.val, _rounding(settings)
    stated = f"{name}: the run's report says {val.correct} of {val.count} validation images correct"
    got, changed = f"{right} of {count}", "the report or the weights were changed"
    if count != val.count or abs(right - val.correct) > _near(count, rounding):
        return f"{stated}, its weights get {got} on the same images: {changed}", ""
    if not isclose(val.value, right / count, abs_tol=_near(count, rounding) / count + 1e-9):
        return f"{stated} and an accuracy of {val.value:.3f}, its weights get {right / count:.3f}: {changed}", ""
    plain_loss = settings.training.loss == "cross-entropy" and not settings.training.label_smoothing
    near = rounding * ROUNDING_LOSS
    if plain_loss and isfinite(loss) and not isclose(result.val_loss, loss, rel_tol=near, abs_tol=near / 10):
        losses = f"{result.val_loss:.4g}, its weights get {loss:.4g}"
        return f"{name}: the run's report says a validation loss of {losses}: {changed}", ""
    if right != val.correct:
        return "", f"{stated}, its weights get {got} here: so little may be rounding on another machine or version"
    return "", ""

"""A finished run held to its data and its weights: the data summed up again, the saved network measured again.

Measuring takes one forward pass over the validation images, and over the test images where the report says that they
were read. That is no new reading of the test: nothing is found but what is in the report already, nothing is chosen by
it, and `test_reads` stays as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isclose
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from a2cli.data.dataset import ImageSet
from a2cli.data.packing import Packed
from a2cli.data.splits import Split
from a2cli.models.transfer import Transfer
from a2cli.models.zoo import ModelCard
from a2cli.progress import ProgressReporter
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.training_results import Accuracy, JudgedPart, TrainingResult, TrainingResults
from a2cli.runs.directory import Run
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import TrainFeaturesSettings
from a2cli.storage import read_json
from a2cli.strict_json import plain
from a2cli.train.rechecked import ROUNDING_IMAGES, ROUNDING_LOSS
from a2cli.train.unlike import Difference, numbers, refuse, shown, unlike
from a2cli.training.loop import Evaluation, evaluate
from a2cli.training.trial import judged, largest_class, without_duplicates
from a2cli.versions import upgraded

# What the data's fingerprint (pixels and labels) does not settle: a file that was put beside the images since.
BESIDE = {"passed_over", "skipped", "unused"}
ROUNDING_PROBABILITY = 0.01
SIMILAR = 1e-4  # of near duplicates, whose similarity other machines round otherwise
CARD_ROUNDING = 1e-5
NOT_MEASURED = "{}: not there, so the results in report.json are not measured again"
ROUNDED = "{}: {} is {}, the weights get {} here: so little may be rounding on another machine or version"


@dataclass(frozen=True)
class JudgedOn:
    """What a run's results are of, found again: the data and its split, the network's card, the data's summary."""

    packed: Packed
    split: Split
    card: ModelCard
    summary: DataSummary

    @property
    def by_file_name(self) -> bool:
        """Whether images' names may begin otherwise than they did: a manifest's are relative to where it lies."""
        return self.summary.source.lower().endswith(".csv")

    def name(self, image: str) -> str:
        return image.rpartition("/")[2] if self.by_file_name else image


def check_again(run: Run, settings: AnyTraining, on: JudgedOn, reporter: ProgressReporter) -> None:
    """Raise DataError where a finished run's report says otherwise than its data are, or its weights get on it.

    Warns of what may be otherwise without an edit. A fine-tuning's stages are measured as well.
    """
    report = run.read_report()
    if report is None or not isinstance(report.results, TrainingResults):
        return
    file = run.folder / "report.json"
    raw = upgraded("report", read_json(file), file)
    beside = BESIDE | ({"source"} if isinstance(settings, TrainFeaturesSettings) else set())
    for one in _in_data(file, raw.get("data") or {}, on):
        if one.field.split(".")[1].partition("[")[0] not in beside:
            refuse([one])
        reporter.warn(str(one))
    _measure(run, report, raw, settings, on, reporter)
    for stage in report.transfer.stages if report.transfer else []:
        child = Run(run.folder / stage.folder)
        if (own := child.read_report()) and own.status == "done":
            path = child.folder / "report.json"
            _measure(child, own, upgraded("report", read_json(path), path), settings, on, reporter)


def _in_data(file: Path, stated: Mapping[str, Any], on: JudgedOn) -> Iterator[Difference]:
    """Yield where what a report says of the data differs from the data; fields that it lacks are not compared."""
    by = "the data"
    for name, derived in plain(asdict(on.summary)).items():
        one = stated.get(name, derived)
        if name == "source":  # its folder may have moved
            one, derived = (str(value).replace("\\", "/").rstrip("/").rpartition("/")[2] for value in (one, derived))
        elif name == "scaling":  # in words
            one, derived = numbers(one), numbers(derived)
        elif name in {"identical", "constant", "near_duplicates"} and on.by_file_name:
            one, derived = _by_file_name(one), _by_file_name(derived)
        if name == "near_duplicates" and len(one) == len(derived):
            one = [_like(pair, other) for pair, other in zip(one, derived, strict=True)]
        if isinstance(one, dict) and isinstance(derived, dict) and one.keys() != derived.keys():
            yield Difference(file, f"data.{name}", one, derived, by)
            continue
        for found in unlike(one, derived, f"data.{name}"):
            yield Difference(file, *found, by)


def _like(pair: Any, other: Any) -> Any:
    """Return a pair of near duplicates, with the similarity of the other one where it is the same but for rounding."""
    near = isclose(pair["similarity"], other["similarity"], abs_tol=SIMILAR)
    return {**pair, "similarity": other["similarity"]} if near else pair


def _by_file_name(value: Any) -> Any:
    if isinstance(value, list):
        return [_by_file_name(one) for one in value]
    if isinstance(value, dict):
        return {key: _by_file_name(one) for key, one in value.items()}
    return value.rpartition("/")[2] if isinstance(value, str) else value


def _measure(
    run: Run, report: Report, raw: Mapping[str, Any], settings: AnyTraining, on: JudgedOn, reporter: ProgressReporter
) -> None:
    """Measure a run's saved network again; raises DataError where its report says otherwise."""
    assert isinstance(report.results, TrainingResults), "its caller looked"
    file, result = run.folder / "report.json", report.results.runs[0]
    for name in ("model.json", "model.safetensors"):
        if not (path := run.folder / "model" / name).exists():
            reporter.warn(NOT_MEASURED.format(path))
            return
    model, card = run.load_model()
    refuse([*_in_card(run.folder / "model" / "model.json", card, on.card)])
    count = sum(p.numel() for p in model.parameters())
    refuse([Difference(file, "results.runs[0].parameters", result.parameters, count, "model/")]
           if count != result.parameters else [])  # fmt: skip
    device = torch.device(settings.training.device)
    part: nn.Module = model.to(device)
    if isinstance(settings, TrainFeaturesSettings):
        assert isinstance(model, Transfer), "a head on a trunk"
        part = model.head  # the data are what the trunk answered
    parts = {"val": on.split.val, **({"test": on.split.test} if result.test else {})}
    found = {name: evaluate(part, ImageSet.of(on.packed, rows), settings.training, device, reporter)
             for name, rows in parts.items() if len(rows)}  # fmt: skip
    (of_result, *_) = raw["results"]["runs"]
    again = _Again(result, of_result, found, on, 5 if settings.training.precision == "bf16" else 1)
    refuse([Difference(file, *one, "its weights on the same images") for one in again.differences()])
    for name, one in found.items():
        stated: Accuracy = getattr(result, name)
        if stated.correct != one.correct:
            got = (f"{right} of {len(one.labels)}" for right in (stated.correct, one.correct))
            reporter.warn(ROUNDED.format(file, f"results.runs[0].{name}", *got))


def _in_card(file: Path, card: ModelCard, derived: ModelCard) -> Iterator[Difference]:
    """Yield where the card of a network normalises images otherwise than the run's settings and data have it."""
    pairs: list[tuple[str, Any, Any]] = [("", card, derived)]
    if card.trunk and derived.trunk:
        pairs.append(("trunk.", card.trunk, derived.trunk))
    for at, one, other in pairs:
        for name in ("mean", "std"):
            values = getattr(one, name), getattr(other, name)
            same = len(values[0]) == len(values[1])
            if not (same and all(isclose(a, b, rel_tol=CARD_ROUNDING) for a, b in zip(*values, strict=True))):
                yield Difference(file, f"{at}{name}", list(values[0]), list(values[1]), "the settings and the data")


@dataclass(frozen=True)
class _Again:
    """A run's result, as it is and as report.json has it, and what its network answers now, by part of the data."""

    result: TrainingResult
    stored: Mapping[str, Any]
    found: Mapping[str, Evaluation]
    on: JudgedOn
    coarse: int  # how much more than fp32 its arithmetic rounds

    def near(self, count: int) -> float:
        """Return how many of so many images may be answered otherwise on another machine."""
        return self.coarse * max(1, ROUNDING_IMAGES * count)

    def differences(self) -> Iterator[tuple[str, object, object]]:
        """Yield each field that differs by more than rounding, as it is and as it is found."""
        at, result, classes = "results.runs[0]", self.result, self.on.packed.class_names
        largest = largest_class(torch.from_numpy(self.on.packed.labels[self.on.split.train]), len(classes))
        repeated = dict(zip(("val", "test"), self.on.split.repeated(self.on.packed.groups), strict=True))
        if result.test and "test" not in self.found:
            yield f"{at}.test", shown(result.test), None
        for part, one in self.found.items():
            yield from self._accuracy(f"{at}.{part}", getattr(result, part), len(one.labels), one.correct)
            if (name := f"{part}_without_duplicates") in self.stored:
                left = without_duplicates(one, repeated[part])
                stated: Accuracy | None = getattr(result, name)
                if stated is None or left is None:
                    if stated != left:
                        yield f"{at}.{name}", _in_words(stated), _in_words(left)
                else:
                    yield from self._accuracy(f"{at}.{name}", stated, left.count, left.correct)
        val, rate = self.found["val"], self.coarse * ROUNDING_LOSS
        if not isclose(result.val_loss, val.loss, rel_tol=rate, abs_tol=rate / 10):
            yield f"{at}.val_loss", result.val_loss, val.loss
        always = int((val.labels == largest).sum())
        if result.majority.correct != always:
            yield f"{at}.majority.correct", result.majority.correct, always
        part = result.judged.part
        if part in self.found:
            rows = {"val": self.on.split.val, "test": self.on.split.test}[part]
            names = self.on.packed.names
            yield from self._judged(judged(part, self.found[part], rows, classes, names, largest), part)

    def _accuracy(self, at: str, stated: Accuracy, count: int, right: int) -> Iterator[tuple[str, object, object]]:
        if stated.count != count or abs(stated.correct - right) > self.near(count):
            yield at, f"{stated.correct} of {stated.count}", f"{right} of {count}"

    def _judged(self, now: JudgedPart, part: Literal["val", "test"]) -> Iterator[tuple[str, object, object]]:
        """Yield where the results by class differ; what earlier versions did not store is not compared."""
        at, stated = "results.runs[0].judged", self.result.judged
        if stated.largest_class not in {None, now.largest_class}:
            yield f"{at}.largest_class", stated.largest_class, now.largest_class
        if stated.majority.correct != now.majority.correct:
            yield f"{at}.majority.correct", stated.majority.correct, now.majority.correct
        for one, other in zip(stated.classes, now.classes, strict=False):
            if (one.name, one.count) != (other.name, other.count):
                yield f"{at}.classes", f"{one.name}: {one.count}", f"{other.name}: {other.count}"
                return
        count = len(self.found[part].labels)
        names = [one.name for one in now.classes]
        cells = [(abs(a - b), f"{truth} as {answer}", a, b)
                 for truth, *rows in zip(names, stated.matrix, now.matrix, strict=False)
                 for answer, a, b in zip(names, *rows, strict=False)]  # fmt: skip
        if sum(cell[0] for cell in cells) / 2 > self.near(count):
            _, where, a, b = max(cells, key=lambda cell: cell[0])
            yield f"{at}.confusion: {where}", a, b
        if stated.top5 and now.top5:
            yield from self._accuracy(f"{at}.top5", stated.top5, now.top5.count, now.top5.correct)
        if stated.calibration and stated.calibration_error is not None and now.calibration_error is not None:
            sure, now_sure = (sum(one.confidence * one.count for one in bins) / count
                              for bins in (stated.calibration, now.calibration))  # fmt: skip
            if abs(sure - now_sure) > self.coarse * ROUNDING_PROBABILITY:
                yield f"{at}.calibration: mean confidence", sure, now_sure
            # An image on the edge of a bin moves to the next one.
            if abs(stated.calibration_error - now.calibration_error) > 2 * self.near(count) / count:
                yield f"{at}.calibration_error", stated.calibration_error, now.calibration_error
        yield from self._mistakes(part)

    def _mistakes(self, part: Literal["val", "test"]) -> Iterator[tuple[str, object, object]]:
        """Yield a mistake that names no image of that part, another truth, or an answer that is not so probable."""
        packed, one, at = self.on.packed, self.found[part], "results.runs[0].judged.most_wrong"
        rows = {"val": self.on.split.val, "test": self.on.split.test}[part].tolist()
        places: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            places.setdefault(self.on.name(packed.names[row]), []).append(place)
        for i, mistake in enumerate(self.result.judged.most_wrong):
            own = places.get(self.on.name(mistake.image), [])
            truths = [packed.class_names[int(one.labels[place])] for place in own]
            if mistake.truth not in truths or mistake.answer not in packed.class_names:
                yield f"{at}[{i}]", f"{mistake.image}, {mistake.truth}", ", ".join(truths) or "no such image"
                continue
            answer = packed.class_names.index(mistake.answer)
            probable = [float(one.probabilities[place, answer]) for place in own]
            if all(abs(value - mistake.probability) > self.coarse * ROUNDING_PROBABILITY for value in probable):
                yield f"{at}[{i}].probability", mistake.probability, probable[0]


def _in_words(found: Accuracy | None) -> str | None:
    return f"{found.correct} of {found.count}" if found else None

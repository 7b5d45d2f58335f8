"""Results by class: scikit-learn's numbers, of the part that is judged, beside baselines of the same images."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, TINY, draw_classes
from PIL import Image
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.progress import NullReporter
from a2cli.reports.training_results import JudgedPart
from a2cli.settings.training import SplitSettings, TrainCnnSettings
from a2cli.strict_json import to_json
from a2cli.training.by_class import balanced_accuracy, calibration_bins, class_score, judged_part
from a2cli.training.data_notes import few_note
from a2cli.training.images import notes_on
from a2cli.training.loop import Evaluation

KNOWN = pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:y_pred contains")


def answered(classes: int, images: int, seed: int = 0, absent: int = 0) -> tuple[JudgedPart, Any, Any]:
    """Return results of random probabilities, and what they are of; the last `absent` classes have no image."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - absent, images)
    logits = rng.normal(0, 1.5, (images, classes))
    logits[np.arange(images), labels] += rng.normal(1.5, 1, images)
    probabilities = torch.from_numpy(logits).softmax(dim=1)
    names = [f"class {i}" for i in range(classes)]
    files = [f"{i}.png" for i in range(images)]
    evaluation = Evaluation(probabilities, torch.from_numpy(labels), 0.0)
    return judged_part("val", evaluation, 1, names, files), probabilities.numpy(), labels


@KNOWN
@pytest.mark.parametrize(("classes", "images", "absent"), [(2, 30, 0), (7, 12, 2), (25, 400, 3), (136, 300, 0)])
def test_the_measures_are_scikit_learns(classes: int, images: int, absent: int) -> None:
    judged, probabilities, labels = answered(classes, images, absent=absent)
    answers, every = probabilities.argmax(axis=1), range(classes)
    assert judged.matrix == confusion_matrix(labels, answers, labels=every).tolist()
    of_each = precision_recall_fscore_support(labels, answers, labels=every, zero_division=0)
    for one, precision, recall, f1, count in zip(judged.classes, *of_each, strict=True):
        assert (one.precision or 0, one.recall or 0, one.f1 or 0) == pytest.approx((precision, recall, f1))
        assert (one.count, one.recall is None) == (count, count == 0)
        assert (one.precision is None) == (one.answered == 0)
    assert judged.balanced_accuracy and judged.macro_f1 is not None
    assert judged.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, answers))
    assert judged.macro_f1 == pytest.approx(f1_score(labels, answers, average="macro"))
    if classes < 20:
        assert judged.top5 is None
    else:
        assert judged.top5
        assert judged.top5.value == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5, labels=every))
    assert judged.majority.correct == (labels == 1).sum()
    assert judged.largest_class == "class 1"


def test_the_calibration_error_is_of_scikit_learns_bins() -> None:
    judged, probabilities, labels = answered(7, 300)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    shares, means = calibration_curve(right, confidence, n_bins=15)
    assert [one.accuracy for one in judged.calibration] == pytest.approx(shares)
    assert [one.confidence for one in judged.calibration] == pytest.approx(means)
    counts = [one.count for one in judged.calibration]
    assert sum(counts) == 300
    assert judged.calibration_error == pytest.approx((np.abs(shares - means) * counts).sum() / 300)


def test_bins_hold_their_upper_end() -> None:
    """(Guo et al. 2017, equation 2); a sure answer is in the last bin, and wrong ones count as such."""
    confidence = torch.tensor([0.2, 0.6, 1.0, 1.0], dtype=torch.float64)
    bins = calibration_bins(confidence, torch.tensor([True, False, True, False]))
    ends = [(round(15 * one.low), round(15 * one.high), one.count) for one in bins]
    assert ends == [(2, 3, 1), (8, 9, 1), (14, 15, 2)]
    assert [one.accuracy for one in bins] == [1, 0, 0.5]


def test_the_interval_of_the_balanced_accuracy_covers_it() -> None:
    """In at least 93% of samples, where the recalls of four unequal classes are known; it stays within [0, 1]."""
    rng, recalls, counts = np.random.default_rng(0), np.array([0.95, 0.8, 0.4, 0.6]), np.array([8, 40, 15, 100])
    covered = 0
    for _ in range(2000):
        scores = [class_score("", n, n, int(k)) for n, k in zip(counts, rng.binomial(counts, recalls), strict=True)]
        found = balanced_accuracy(scores)
        covered += found.low <= recalls.mean() <= found.high
    assert 0.93 * 2000 <= covered <= 0.975 * 2000
    perfect = balanced_accuracy([class_score("", 5, 5, 5)] * 3)
    assert perfect.value == perfect.high == 1 and 0.6 < perfect.low < 0.9


def test_the_worst_mistakes_come_first() -> None:
    judged, probabilities, labels = answered(5, 200)
    wrong = probabilities.argmax(axis=1) != labels
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    assert [one.image for one in judged.most_wrong] == [f"{i}.png" for i in order if wrong[i]][:16]
    first = int(judged.most_wrong[0].image.removesuffix(".png"))
    assert judged.most_wrong[0].truth == f"class {labels[first]}"
    assert judged.most_wrong[0].answer == f"class {probabilities[first].argmax()}"


def test_a_thousand_classes_are_no_large_report() -> None:
    judged, *_ = answered(1000, 5000)
    assert len(to_json(judged)) < 1_000_000


def test_classes_of_few_images_are_named() -> None:
    names, counts = ["ada", "bea", "cleo", "dana"], [7, 0, 4, 5]
    labels = np.repeat(np.arange(4), counts)
    assert few_note("test", labels, names).startswith("test: no image of bea and fewer than 5 images of cleo (4), so ")
    assert few_note("test", np.repeat(labels, 5), names).startswith("test: no image of bea, so ")
    assert few_note("test", np.repeat([0, 1, 2, 3], 5), names) == ""
    many = few_note("validation", np.arange(9), [*"abcdefghi"])
    assert "a (1), b (1), c (1), d (1), e (1) and 4 more classes" in many


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Data with a split of its own: the largest class in training is the smallest in the test."""
    root, rng = tmp_path / "set", np.random.default_rng(0)
    for part, sizes in (("train", (12, 6, 6)), ("val", (2, 6, 6)), ("test", (1, 3, 5))):
        for label, (name, size) in enumerate(zip(("ada", "bea", "cleo"), sizes, strict=True)):
            (root / part / name).mkdir(parents=True)
            for i in range(size):
                pixels = rng.integers(0, 150, (10, 10, 3)) + 50 * label
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("count", "flags", "said", "others"),
    [
        (19, {"folds": 4}, "validation of fold 1: fewer than 5 images of bea (4)", ""),
        (18, {"folds": 4}, "validation of fold 0: fewer than 5 images of bea (4)", "; 2 of 4 folds have such classes"),
        (18, {"folds": 4, "fold": 0}, "validation: fewer than 5 images of bea (4)", ""),
        (18, {"folds": 2, "test_fraction": 0.1}, "test: fewer than 5 images of ada (2), bea (2)", ""),
    ],
)
def test_the_fold_with_few_images_of_a_class_is_named(
    count: int, flags: dict[str, Any], said: str, others: str, tmp_path: Path
) -> None:
    draw_classes(tmp_path / "set", count=26)
    for i in range(count, 26):
        (tmp_path / f"set/bea/{i}.png").unlink()
    packed = pack(find_source(str(tmp_path / "set")), 8, "squash", False, NullReporter())
    *_, note = notes_on(packed, TrainCnnSettings(split=SplitSettings(**flags)))
    assert note == f"{said}, so next to nothing is known of how well these are recognised{others}"


def result_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "report.json").read_text())["results"]["runs"][0]
    return found


def test_the_part_that_is_judged(uneven: Path, a2: A2) -> None:
    """Validation, and the test once that is read; baselines are of the same images, and answer training's largest."""
    ended = a2("train-cnn", "--data", uneven, *TINY, "--out", "run")
    assert "validation: fewer than 5 images of ada (2), so" in ended.err
    assert "test: fewer than 5 images of ada (1), bea (3), so" in ended.err
    judged = result_of(ended.done())["judged"]
    assert (judged["part"], judged["largest_class"]) == ("val", "ada")
    assert (judged["majority"]["correct"], judged["majority"]["count"]) == (2, 14)
    shown = a2("train-cnn", "--resume", "run", "--final")
    result = result_of(Path("run"))
    assert (result["majority"]["correct"], result["majority"]["count"]) == (2, 14)
    assert result["judged"]["part"] == "test"
    assert (result["judged"]["majority"]["correct"], result["judged"]["majority"]["count"]) == (1, 9)
    assert [one["count"] for one in result["judged"]["classes"]] == [1, 3, 5]
    rows = [line.split() for line in shown.out.splitlines()]
    baselines = [row for row in rows if row[:4] == ["always", "the", "largest", "class"]]
    assert [row[4:8] for row in baselines] == [["2", "of", "14", "0.143"], ["1", "of", "9", "0.111"]]
    for one in result["judged"]["classes"]:
        values = ["-" if one[name] is None else f"{one[name]:.3f}" for name in ("precision", "recall", "f1")]
        assert [one["name"], str(one["count"]), *values] in rows
    balanced = result["judged"]["balanced_accuracy"]
    (row,) = [row for row in rows if row[:2] == ["balanced", "accuracy"]]
    assert row[2:] == ["3", "of", "3", "classes", f"{balanced['value']:.3f}",
                       f"{balanced['low']:.3f}", "to", f"{balanced['high']:.3f}"]  # fmt: skip
    title = Path("run/figures/confusion.csv").read_text().splitlines()[0]
    assert title == "truth,ada,bea,cleo"


def test_a_class_that_the_test_lacks(uneven: Path, a2: A2) -> None:
    """It is warned of by name, and left out of the balanced accuracy."""
    shutil.rmtree(uneven / "test/ada")
    assert "test: no image of ada and fewer than 5 images of bea (3)" in a2("data", "check", uneven).err
    ended = a2("train-cnn", "--data", uneven, *TINY[:-1], "--final", "--out", "run")
    assert "warning: test: no image of ada and fewer than 5 images of bea (3), so next to nothing" in ended.err
    judged = result_of(Path("run"))["judged"]
    ada, bea, cleo = judged["classes"]
    assert (ada["count"], ada["recall"], bea["count"], cleo["count"]) == (0, None, 3, 5)
    assert judged["balanced_accuracy"]["value"] == pytest.approx((bea["recall"] + cleo["recall"]) / 2)
    assert "balanced accuracy          2 of 3 classes" in ended.out


def test_every_command_has_the_same_baseline(uneven: Path, a2: A2) -> None:
    trained = result_of(a2("train-cnn", "--data", uneven, *TINY, "--out", "run").done())
    a2("probe-invariance", "--run", "run", "--changes", "invert", "--threads", "1", "--quiet", "--out", "probe").done()
    (probed,) = json.loads(Path("probe/report.json").read_text())["results"]["runs"]
    assert probed["majority"] == trained["majority"]
    assert max(probed["counts"].values()) != trained["majority"]["correct"], "the test could not tell the two apart"


def test_seeds_have_the_spread_of_each_measure(uneven: Path, a2: A2) -> None:
    ended = a2("train-cnn", "--data", uneven, *TINY[:-1], "--seeds", "2", "--jobs", "1", "--out", "run")
    results = json.loads(Path("run/report.json").read_text())["results"]
    for name, words in (("macro_f1", "macro F1"), ("calibration_error", "calibration error")):
        values = [run["judged"][name] for run in results["runs"]]
        found = results["judged"][name]
        assert (found["mean"], found["n"]) == (pytest.approx(np.mean(values)), 2)
        (line,) = [line for line in ended.out.splitlines() if line.startswith(f"   {words}  ")]
        assert f"{found['mean']:.3f} ± {found['deviation']:.3f}" in line
    means = [run["judged"]["balanced_accuracy"]["value"] for run in results["runs"]]
    assert results["judged"]["balanced_accuracy"]["mean"] == pytest.approx(np.mean(means))

"""Draws every figure from made-up results, with few and many of everything, to look at.

python tests/contact_sheet.py FOLDER [WORD...]     # FOLDER/*.png and FOLDER/sheet-N.png; cases whose name has a word

`test_figures.py` holds the same figures to what can be measured.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from a2cli.ablate import figures as ablation
from a2cli.compare_optimizers import figures as comparison
from a2cli.predict import figures as predictions
from a2cli.probe_invariance import figures as invariance
from a2cli.probe_invariance import heat_maps
from a2cli.probe_invariance.results import ChangeResult, LayerMovement, Mean, ProbedRun, StrengthPoint
from a2cli.probe_invariance.settings import ProbeSettings, probes
from a2cli.receptive_field import figures as receptive_field
from a2cli.receptive_field.results import EffectiveField, LayerField, MapCone, UnitField
from a2cli.replicate import figures as claim_figures
from a2cli.replicate.results import ClaimResult, Estimate, ReplicationResults
from a2cli.reports.ablation_results import AblationResults, Contribution
from a2cli.reports.data_results import NearDuplicate
from a2cli.reports.predictions import Answer, Prediction, Predictions
from a2cli.reports.study_results import Contender, PairVerdict, RatePoint, Table, TrialOutcome, Verdict
from a2cli.reports.training_results import Accuracy, EpochLog, JudgedPart, Mistake, Spread, TrainingResult
from a2cli.reports.transfer_results import BackboneUsed, ProbeScore, TransferResults
from a2cli.runs.figure_files import captioned, rendered
from a2cli.training import figures as training
from a2cli.training import image_figures as training_images
from a2cli.training.by_class import judged_part
from a2cli.training.loop import Evaluation
from a2cli.transfer import figures as transfer
from a2cli.visualize_weights import figures as weights
from a2cli.visualize_weights import image_figures
from a2cli.visualize_weights.results import Frame, LayerWeights, Learning, Look, Map, Measure, Patch, UnitView
from a2cli.visualize_weights.saliency import MapPair

RNG = np.random.default_rng(0)
NAMES: dict[str, Callable[[int], str]] = {
    "": lambda i: f"class_{i}",
    ", long names": lambda i: f"{i:04d}" + "Wm_abcdefghijklmnopqrstuvwxyz_ABCDEFGH"[: 36 - i % 3],
    ", wide names": lambda i: f"{i} " + "Ꙭ㍿画廊の肖像" * 6,
}
RUN = "train-cnn-20261126-141628-4f2a-with-a-long-name-that-goes-on"
LAYERS = tuple(f"layer{i // 6}.{i % 6}.{kind}" for i in range(50) for kind in ("conv1", "bn1", "downsample.0"))
IMAGE = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided")
Kind = Literal["untrained", "trained"]


def named(count: int, kind: str = "") -> list[str]:
    return [NAMES[kind](i) for i in range(count)]


def accuracy(value: float, count: int = 90) -> Accuracy:
    return Accuracy(round(value * count), count, value, max(0, value - 0.08), min(1, value + 0.08))


def pictures(count: int, side: int = 32, *, grey: bool = False) -> NDArray[np.uint8]:
    across = np.linspace(0, 1, side)
    if not count:
        return np.zeros((0, side, side, 3), dtype=np.uint8)
    waves = [np.add.outer(across * RNG.uniform(-9, 9), across * RNG.uniform(-9, 9)) for _ in range(count)]
    colors = np.stack([np.sin(np.stack([wave + 2 * i * (not grey) for i in range(3)], -1)) for wave in waves])
    return (127 + 127 * colors).astype(np.uint8)


# Training


def history(epochs: int, seeds: int, *, test: bool = False, decay: float = 0.0) -> dict[str, list[EpochLog]]:
    def log(epoch: int) -> EpochLog:
        done = epoch / max(2, epochs)
        noise = RNG.normal(0, 0.02, 4)
        rate = 1e-3 * 10 ** (-decay * done)
        return EpochLog(epoch, rate, 2.4 * np.exp(-3 * done) + 0.1 + noise[0] ** 2, min(1, 0.2 + 0.8 * done),
                        2.4 * np.exp(-2 * done) + 0.5 * done + noise[1], 0.2 + 0.5 * done**0.5 + noise[2], 1000.0,
                        0.2 + 0.4 * done**0.5 + noise[3] if test else None)  # fmt: skip

    return {str(seed): [log(epoch) for epoch in range(1, epochs + 1)] for seed in range(seeds)}


def result(kept: int) -> TrainingResult:
    half = accuracy(0.6)
    return TrainingResult(0, 10_000, kept, kept, kept, False, half, half, 1.0, 0.9, 0.6, accuracy(0.1), None,
                          JudgedPart("val", accuracy(0.1), [], {}, []), "")  # fmt: skip


def judged(part: Literal["val", "test"], classes: int, names: str, images: int = 400) -> JudgedPart:
    """Return what a network with probabilities between right and random did on so many images of many classes."""
    labels = torch.from_numpy(RNG.integers(0, classes, images))
    logits = torch.from_numpy(RNG.normal(0, 1, (images, classes)))
    logits[torch.arange(images), labels] += torch.from_numpy(RNG.normal(2, 2, images))
    return judged_part(part, Evaluation(logits.softmax(dim=1), labels, 0.0), 0, named(classes, names), [""] * images)


def curves(epochs: int, seeds: int, stages: Sequence[int] = (), *, test: bool = False) -> Figure:
    names = {first: "head" if i == 0 else "features.10 and above" for i, first in enumerate(stages)}
    return training.learning_curves(history(epochs, seeds, test=test), [result(epochs * 2 // 3 or 1)] * seeds, names)


def confusion(classes: int, names: str) -> Figure:
    matrix = np.diag(RNG.integers(0, 40, classes)) + RNG.integers(0, 3, (classes, classes)) * (classes < 500)
    matrix[RNG.integers(0, classes, 400), RNG.integers(0, classes, 400)] += 5
    return training.confusion(matrix, named(classes, names), "val")


def most_wrong(count: int, names: str, grey: bool) -> Figure:
    some = named(40, names)
    wrong = [Mistake(f"{some[i]}/{i}.png", some[i], some[-i - 1], 0.99 - i / 50) for i in range(count)]
    return training_images.most_wrong(pictures(count, grey=grey), wrong, "test")


def class_scores(part: Literal["val", "test"], classes: int, names: str, images: int) -> Figure:
    return training.class_scores(judged(part, classes, names, images))


def reliability(part: Literal["val", "test"], classes: int, images: int) -> Figure:
    return training.reliability(judged(part, classes, "", images))


# Comparisons and ablations


def table(count: int, seeds: int, names: str, rates: int = 7) -> Table:
    def runs(rate: float, value: float, of: int) -> list[TrialOutcome]:
        return [TrialOutcome(seed, rate, "done", "", float(value + RNG.normal(0, 0.02)), 0.9, 20, 9.0, "")
                for seed in range(of)]  # fmt: skip

    short = ("adam", "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adamw", "lion")
    called = [short[i] if i < 8 and not names else NAMES[names](i) for i in range(count)]
    contenders = []
    for i, name in enumerate(called):
        tuning = [RatePoint(10 ** (-4 + k / 2), 0.5, runs(10 ** (-4 + k / 2), 0.7 - (k - i % 5) ** 2 / 40, 3))
                  for k in range(rates)]  # fmt: skip
        contenders.append(Contender(name, {}, 10 ** (-4 + i % 5 / 2), None, None, False, tuning, runs(1e-3, 0.7, seeds),
                                    Spread(0.7, 0.02, 0.6, 0.8, seeds), 0, None, None, 0, 0))  # fmt: skip
    pairs = [PairVerdict(a, b, seeds, (0.2, -0.2, 0.01, 0.1)[(i + k) % 4], -0.1, 0.2, VERDICTS[(i + k) % 4], None)
             for i, a in enumerate(called) for k, b in enumerate(called) if k > i]  # fmt: skip
    return Table("grid", contenders, pairs, "")


def contender_curves(count: int, seeds: int, epochs: int, over: str, names: str) -> Figure:
    of = {one.name: {int(seed): [(log, log.epoch * (1 + i / 9)) for log in logs]
                     for seed, logs in history(epochs, seeds).items()}
          for i, one in enumerate(table(count, 3, names).contenders)}  # fmt: skip
    kept = {name: (max(1.0, epochs * 2 / 3), 2.0 * epochs, 0.6) for name in of}
    return comparison.curves(of, kept, over)


def contributions(count: int, seeds: int, names: str, average: bool) -> Figure:
    def pair(i: int) -> PairVerdict:
        verdict, half = VERDICTS[i % 4], 0.2 / seeds
        middle = (0.15, -0.15, 0.0, 0.05)[i % 4]
        return PairVerdict("whole", "less", seeds, middle, middle - half, middle + half, verdict, 3)

    called = [NAMES[names](i) if names else f"setting_{i}=off" for i in range(count)]
    parts = [Contribution(name, {}, pair(i), pair(i + 1) if average else None) for i, name in enumerate(called)]
    return ablation.contributions(AblationResults("train-cnn", "all", 0.02, list(range(seeds)), parts, [], ""))


# Probing


def claims(count: int, worlds: int, names: str) -> Figure:
    """A section of a ledger: claims on the report's and other losses, decided either way and not."""
    worded, kinds = named(worlds, names), ("supported", "contradicted", "undecided")

    def one(i: int, world: int) -> Estimate:
        mean = 0.3 * (RNG.random() - 0.5)
        return Estimate(f"{named(count, names)[i]} against pooling", 24, mean, 0.05, mean - 0.05, mean + 0.05,
                        kinds[(i + world) % 3])  # type: ignore[arg-type]  # fmt: skip

    rows = [
        claim_figures.Row(
            ClaimResult(f"1.4-{i}", "1.4", "", "higher", "validation", "points", None, 0.0, 0.05, 1.0, []),
            one(i, 0).what, {world: one(i, place) for place, world in enumerate(worded)},
        )
        for i in range(count)
    ]  # fmt: skip
    results = ReplicationResults("", "", {world: {} for world in worded}, {}, [], [6], 0.05, 0, 0.0, [], "")
    return claim_figures.forest(results, "1.4  Dropout, schedulers, optimizers", rows)


def probed(number: int, classes: int, names: str, layers: int = 6, *, grey: bool = False) -> ProbedRun:
    def point(strength: float | None, far: float) -> StrengthPoint:
        movement = [LayerMovement(name, 1.1 * far * (i + 1) / layers, far * i / layers if i < layers - 1 else None)
                    for i, name in enumerate(("normalize", *LAYERS)[:layers])]  # fmt: skip
        right = [int(9 * (1 - far) + i % 2) for i in range(classes)]
        return StrengthPoint(strength, accuracy(0.8 - 0.6 * far - number / 50), -far, 0, 0, 1, 1, 0.1, 0.1,
                             accuracy(1 - 0.7 * far), Mean(0, 0, 0), right, [], movement)  # fmt: skip

    changes = []
    for k, one in enumerate(probes(ProbeSettings(run=("run",), random=("rotate=-30..30",)))):
        if grey and one.change.needs == "colour":
            continue
        identity = one.change.identity
        ends = max((abs(s - (identity or 0)) for s in one.strengths), default=1.0)
        far = {s: abs(s - (identity if identity is not None else 95)) / max(ends, 1e-9) for s in one.strengths}
        plain = one.drawn or one.change.is_switch
        points = [point(None, 0.5)] if plain else [point(s, min(1, far[s])) for s in one.strengths]
        verdict = ("invariant", "breaks", "undecided")[k % 3]
        changes.append(ChangeResult(one.name, one.title, one.change.unit, identity, one.drawn, points, verdict, [], [],
                                    None, None, 0.5))  # fmt: skip
    grid = [(x / 10, y / 10, 0.8 - (abs(x) + abs(y)) / 10) for x in range(-3, 4) for y in range(-3, 4)]
    counts = dict.fromkeys(named(classes, names), 10) | {NAMES[names](1): 0}
    name, unchanged = RUN if number == 0 else f"{RUN}-{number}", accuracy(0.8 - number / 50)
    return ProbedRun(name, "runs/x", "atelier", "ab12", 1, 90, counts, unchanged, accuracy(0.1), [0.8], [8] * classes,
                     [], changes, {}, grid, "")  # fmt: skip


def runs(count: int, classes: int = 11, names: str = "", layers: int = 6) -> list[ProbedRun]:
    return [probed(i, classes, names, layers, grey=i % 2 == 1) for i in range(count)]


def sheet(names: str, grey: bool) -> Figure:
    rows = []
    for i, one in enumerate(probes(ProbeSettings(run=("run",), random=("brightness=0.5..1.5",)))):
        title = "-0.12, 0.31" if one.name == "translate" else "0.25"
        answer = f"{named(9, names)[i % 9]} 100%"
        tiles = [invariance.Tile(image, title, answer, k % 2 == 0)
                 for k, image in enumerate(pictures(max(1, len(one.strengths)), grey=grey))]  # fmt: skip
        if not one.change.is_switch:
            rows.append((one.title, tiles))
    switches = ("unchanged", "flip-horizontal", "flip-vertical", "grayscale", "invert", "mean-padding", "only-padding")
    plain = [invariance.Tile(image, name, "b 9%", True)
             for name, image in zip(switches, pictures(7, grey=grey), strict=True)]  # fmt: skip
    return invariance.sheet(f"{RUN}: {named(2, names)[1]}", [("", plain), *rows])


# Weights


def views(count: int, classes: int, names: str, patches: int = 9) -> list[UnitView]:
    called = named(classes, names)
    some = [Patch(f"{i}.png", called[i % min(3, classes)], 1.0, (3, 12), (-2, 8)) for i in range(patches)]
    return [UnitView("conv1", 37 * i, 0.5, RNG.normal(0, 1, classes).tolist(), some, 1.0) for i in range(count)]


def banks(count: int, units: int, classes: int = 11, names: str = "", side: int = 5) -> list[weights.Bank]:
    return [weights.Bank(f"{RUN}-{i}", RNG.normal(0, 1, (units, 3, side, side)).astype(np.float32),
                         views(units, classes, names), named(classes, names)) for i in range(count)]  # fmt: skip


def patches(units: int, classes: int, names: str, ascent: bool, cut: int = 9) -> Figure:
    some = np.stack([pictures(cut, 12) for _ in range(units)]) if cut else np.zeros((units, 0, 12, 12, 3), np.uint8)
    drawn = pictures(units, 24).transpose(0, 3, 1, 2) / np.float32(255) if ascent else None
    of = views(units, classes, names)
    return image_figures.patches(LAYERS[2], RUN, of, some, drawn, named(classes, names)[1])


def evidence(layers: int) -> Figure:
    verdicts: tuple[Learning, Learning] = ("like its initialisation", "learned")
    of = [LayerWeights(name, 8, 9, [], 0, [], 0, None, [Measure("x", 1, 1, 1, 1)], verdicts[i % 2])
          for i, name in enumerate(LAYERS[:layers])]  # fmt: skip
    values = np.linspace(3, 0.5, 24, dtype=np.float32)
    one = np.ones(1, np.float32)
    spectra_of = {one.layer: (values, values * 0.8, values * 0.9) for one in of} | {LAYERS[1]: (one, one, one)}
    return weights.evidence(RUN, of, spectra_of)


def film(frames: int, units: int) -> Figure:
    of = [(Frame(2**i if i else 0, i / 7), RNG.normal(0, 0.1 + i, (units, 3, 5, 5)).astype(np.float32))
          for i in range(frames)]  # fmt: skip
    return weights.film(of, RUN, range(units))


def look(maps: int, names: str, grey: bool) -> Figure:
    said = ("gradient", "gradient-input", "integrated-gradients", "grad-cam", "guided-backprop", "occlusion",
            "smooth-grad", "deconvolution", "lime", "kernel-shap")  # fmt: skip
    alike = ((0.2, 0.1, 0.3), (0.7, 0.6, 0.8), None)
    maps_of = [MapPair(Map(said[i], alike[i % 3], 3, i % 3 == 1, None, None), i % 2 == 1,
                             RNG.normal(0, 1, (32, 32)), RNG.normal(0, 1, (32, 32))) for i in range(maps)]  # fmt: skip
    named_ = named(9, names)
    one = Look(RUN, f"{named_[0]}/{named_[1]}.png", named_[0], 0.93, named_[2], [pair.result for pair in maps_of], {})
    return image_figures.looks(one, pictures(1, grey=grey)[0], maps_of)


# Fields


def layer_fields(count: int) -> list[LayerField]:
    return [LayerField(name, "conv", (3, 3), (1, 1), None, None, None, (32, 32), (2 * i + 1, 2 * i + 1 + i % 2),
                       None, None, None, None, None, None, False, "global" if i > 0.9 * count > 9 else "derived")
            for i, name in enumerate(LAYERS[:count])]  # fmt: skip


def maps(count: int, image: bool) -> Figure:
    sides = [max(1, 32 >> i // 2) for i in range(count)]
    cone = [MapCone("image" if i == 0 else LAYERS[i], (side, side), (0, 0), (1, 1), [(0, side // 2)], [(0, side // 3)])
            for i, side in enumerate(sides)]  # fmt: skip
    return receptive_field.maps(cone, IMAGE if image else None)


def effective_of(name: str, kind: Kind) -> EffectiveField:
    held = {"50": 100, "90": 400, "99": 800}
    return EffectiveField(name, (4, 4), kind, 9, 9, 1024, held, {}, (2, 2), 0.0)


def depth(count: int) -> Figure:
    layers = layer_fields(count)
    kinds: tuple[Kind, Kind] = ("untrained", "trained")
    found = [effective_of(one.name, kind) for one in layers[::3] for kind in kinds]
    return receptive_field.depth(layers, found, 32)


def unit_field(name: str, i: int) -> UnitField:
    low, high = max(0, 15 - i), min(31, 16 + i)
    return UnitField(name, (4, 4), (15 - i, 16 + i), (15 - i, 16 + i), (low, high), (low, high), [(low, high)],
                     [(low, high)], (2 * i + 2) ** 2)  # fmt: skip


def boxes(count: int, grey: bool) -> Figure:
    units = [unit_field(name, i) for i, name in enumerate(LAYERS[:count])]
    mask = np.zeros((32, 32), dtype=bool)
    mask[4:28, 4:28] = True
    return receptive_field.boxes(pictures(1, grey=grey)[0], units, mask)


def effective(kinds: Sequence[Kind]) -> Figure:
    at = np.arange(32) - 15.5
    spreads = {kind: np.exp(-np.add.outer(at**2, at**2) / (30 + 40 * i)) for i, kind in enumerate(kinds)}
    spreads = {kind: spread / spread.sum() for kind, spread in spreads.items()}
    return receptive_field.effective(
        LAYERS[5], spreads, [effective_of(LAYERS[5], kind) for kind in kinds], unit_field("x", 12)
    )


# Transfer, data, predictions


def layer_probes(layers: int) -> Figure:
    answers = ("this run's head", "logistic regression", "nearest neighbours", "linear svm")
    names = ["pixels", *LAYERS[: layers - 1]]
    scores = [ProbeScore(random + name, answer, "C 1", accuracy(0.9), accuracy(0.3 + 0.4 * i / layers + k / 30), None)
              for i, name in enumerate(names) for k, answer in enumerate(answers) for random in ("", "random-")
              if not (k == 0 and i < layers - 1)]  # fmt: skip
    return transfer.probes(
        TransferResults(BackboneUsed("efficientnet_v2_s", "fc", "fc", "x", "ab12", True, []), [], scores)
    )


def duplicates(count: int, names: str, grey: bool) -> Figure:
    called = named(9, names)
    pairs = [NearDuplicate(f"train/{called[i % 9]}/{called[i % 9]}-{i}.png", f"{called[-1]}/{i}.png", 0.987, "train",
                           "validation", i % 2 == 0) for i in range(count)]  # fmt: skip
    return training_images.near_duplicates(pictures(2 * count, grey=grey).reshape(count, 2, 32, 32, 3), pairs)


def predicted(count: int, names: str, grey: bool) -> Figure:
    called = named(9, names)
    found = [Prediction(f"folder/{called[i % 9]}.png", called[-1 - i % 9], 0.5, [Answer(called[0], 0.1)])
             for i in range(count)]  # fmt: skip
    images = [image[: 32 - 4 * (i % 3)] for i, image in enumerate(pictures(count, grey=grey))]
    warnings = ["NOT PRETRAINED: the backbone's weights are random, so nothing here is worth anything " * 2]
    return predictions.contact_sheet(Predictions(RUN, [RUN], "mean of 5 networks' probabilities", called, 32, "pad",
                                                 True, found, [], warnings, None), images)  # fmt: skip


LONG, WIDE = ", long names", ", wide names"


def learning_rate(epochs: int, seeds: int, decades: float) -> Figure:
    return training.learning_rate(history(epochs, seeds, decay=decades))


def rates(count: int, names: str, of: int = 7) -> Figure:
    return comparison.rates(table(count, 3, names, of))


def verdicts(count: int, names: str) -> Figure:
    return comparison.verdicts(table(count, 3, names), 0.02)


def probe_curves(count: int) -> Figure:
    return invariance.curves(runs(count), 0.02)


def translations(count: int) -> Figure:
    return heat_maps.translations(runs(count))


def movements(count: int, layers: int) -> Figure:
    return heat_maps.layers(runs(count, layers=layers))


def recognised(count: int, classes: int, names: str) -> Figure:
    return heat_maps.classes(runs(count, classes, names))


def filters(count: int, units: int, side: int) -> Figure:
    return weights.filters(banks(count, units, side=side))


def units(count: int, of: int, classes: int, names: str) -> Figure:
    return weights.units(banks(count, of, classes, names, 32), NAMES[names](0) if count > 1 else None)


def places(units: int, names: str) -> Figure:
    images = {f"{i}.png": image for i, image in enumerate(pictures(9))}
    return image_figures.places(LAYERS[2], RUN, views(units, 9, names), images)


def cases(words: str, draw: Callable[..., Figure], *variants: tuple[object, ...]) -> dict[str, Callable[[], Figure]]:
    return {words.format(*variant): partial(draw, *variant) for variant in variants}


EPOCHS = [(epochs, seeds) for epochs in (1, 30, 500) for seeds in (1, 20)]
CLASSES = [(count, kind) for count in (2, 11, 40, 136, 1000) for kind in NAMES]
CASES: dict[str, Callable[[], Figure]] = {
    **cases("curves, {} epochs, {} seeds", curves, *EPOCHS),
    **cases("curves, {} epochs, {} seeds, stages at {}", curves, (30, 1, (1, 11, 21)), (3, 1, (1, 2, 3)),
            (500, 1, (1, 2, 3, 200))),
    "curves, test": partial(curves, 30, 1, test=True),
    "curves, stages, 20 seeds, test": partial(curves, 500, 20, (1, 101), test=True),
    **cases("learning rate, {} epochs, {} seeds, {} decades", learning_rate,
            (1, 1, 0), (500, 1, 0), (30, 20, 1.1), (500, 1, 3), (30, 1, 0.5), (30, 1, 12)),
    **cases("confusion, {} classes{}", confusion, *CLASSES),
    **cases("classes, {} of {}{}, {} images", class_scores, *(("val", *one, 400) for one in CLASSES),
            ("test", 11, "", 20)),
    **cases("reliability, {} of {} classes, {} images", reliability,
            ("val", 2, 3), ("test", 11, 90), ("val", 40, 50_000)),
    **cases("most wrong, {}{}, grey {}", most_wrong, (0, "", False), (3, LONG, True), (16, "", False),
            (16, WIDE, False)),
    **cases("contenders, {}, {} seeds, {} epochs over {}{}", contender_curves, (2, 1, 1, "epoch", ""),
            (8, 3, 30, "epoch", ""), (8, 20, 30, "seconds", ""), (40, 3, 30, "epoch", LONG),
            (3, 3, 500, "seconds", WIDE)),
    **cases("rates, {} contenders{}", rates, (2, ""), (8, ""), (40, LONG)),
    **cases("rates, {} contenders{}, {} rate", rates, (2, WIDE, 1)),
    **cases("verdicts, {} contenders{}", verdicts, (2, ""), (4, ""), (8, LONG), (12, ""), (20, ""), (40, WIDE)),
    **cases("claims, {} in {} worlds{}", claims, (1, 1, ""), (3, 2, ""), (24, 2, LONG), (24, 1, WIDE)),
    **cases("contributions, {} of {} seeds{}, average {}", contributions, (1, 2, "", True), (5, 2, "", True),
            (6, 20, LONG, True), (60, 5, WIDE, True), (4, 1, "", False)),
    **cases("probe curves, {} runs", probe_curves, (1,), (2,), (20,)),
    **cases("translations, {} runs", translations, (1,), (2,), (20,)),
    **cases("movements, {} runs of {} layers", movements, (1, 2), (1, 6), (2, 150), (20, 6)),
    **cases("recognised, {} runs of {} classes{}", recognised, (1, 2, ""), (1, 11, LONG), (2, 40, ""),
            (20, 136, WIDE), (1, 1000, "")),
    **cases("changes{}, grey {}", sheet, ("", False), (LONG, True), (WIDE, True)),
    **cases("filters, {} of {}, {} pixels", filters, (1, 1, 3), (1, 8, 5), (1, 64, 11), (2, 128, 7), (1, 256, 3),
            (6, 16, 3), (20, 12, 5)),
    **cases("units, {} of {}, {} classes{}", units, (1, 1, 2, ""), (1, 8, 11, LONG), (1, 60, 1000, ""),
            (3, 6, 136, WIDE), (20, 6, 11, "")),
    **cases("patches, {} units, {} classes{}, ascent {}", patches, (1, 2, "", True), (8, 11, LONG, False),
            (60, 1000, WIDE, True)),
    "patches, ascent alone": partial(patches, 5, 11, "", True, 0),
    **cases("images of {} units{}", places, (1, ""), (60, LONG)),
    **cases("film, {} frames of {}", film, (1, 1), (6, 8), (11, 16), (30, 16)),
    **cases("evidence, {} layers", evidence, (1,), (2,), (7,), (150,)),
    **cases("look, {} maps{}, grey {}", look, (1, "", False), (5, LONG, True), (10, WIDE, True)),
    **cases("maps, {}, image {}", maps, (2, True), (4, False), (8, True), (40, True)),
    **cases("depth, {} layers", depth, (1,), (4,), (40,), (150,)),
    **cases("boxes, {}, grey {}", boxes, (1, False), (3, True), (14, False)),
    **cases("effective, {}", effective, (("untrained",),), (("untrained", "trained"),)),
    **cases("layer probes, {}", layer_probes, (2,), (6,), (21,), (150,)),
    **cases("duplicates, {}{}, grey {}", duplicates, (1, "", False), (2, WIDE, True), (12, LONG, False)),
    **cases("predictions, {}{}, grey {}", predicted, (1, "", False), (2, WIDE, True), (25, LONG, False),
            (100, "", False)),
}  # fmt: skip


def main(folder: Path, words: Sequence[str]) -> None:
    """Write each case's figure, and pages of them beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {name: draw for name, draw in CASES.items() if not words or any(word in name for word in words)}
    page, tile = Image.new("RGB", (2000, 2000), "white"), 490
    for number, (name, draw) in enumerate(chosen.items()):
        path = folder / f"{name.replace(', ', '-').replace(' ', '_')}.png"
        figure = draw()
        path.write_bytes(rendered(figure, "png", captioned(figure, f"run {RUN} · data atelier")))
        with Image.open(path) as image:
            print(f"{image.width}x{image.height} {path.name}")
            small = image.convert("RGB")
            small.thumbnail((tile, tile - 14))
        place = number % 16 % 4 * 500, number % 16 // 4 * 500
        page.paste(small, (place[0], place[1] + 14))
        ImageDraw.Draw(page).text(place, name, fill="black")
        if number % 16 == 15 or number == len(chosen) - 1:
            page.save(folder / f"sheet-{number // 16 + 1}.png")
            page = Image.new("RGB", (2000, 2000), "white")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

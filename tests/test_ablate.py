"""`a2 ablate`: what is taken away, what is trained, and that the figures are the trials' own."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from conftest import A2, draw_classes, hold_to_schema, real_weights

from a2cli.ablate.checks import ingredients_of
from a2cli.ablate.console import show_ablation
from a2cli.ablate.ingredients import name_of, remove_ingredients
from a2cli.ablate.settings import AblateCnnSettings, AblationSettings
from a2cli.ablate.verdict import ablation_verdict
from a2cli.reports.ablation_results import AblationResults, Combination, Contribution
from a2cli.reports.best import best_run
from a2cli.reports.best_results import BestRun
from a2cli.reports.report import Report, report_from
from a2cli.reports.study_results import PairVerdict, TrialOutcome, TrialStatus, Verdict
from a2cli.settings.declare import flat
from a2cli.settings.training import DataSettings, NetworkSettings, TrainCnnSettings, TrainingSettings
from a2cli.settings.transfer import BackboneSettings, FinetuneSettings, StageSettings
from a2cli.statistics.intervals import spread
from a2cli.study.ledger import data_of
from a2cli.study.settings import base_training

SMALL = "--data set --image-size 8 --channels 2 --kernel-size 3 --hidden none --device cpu --epochs 2 --jobs 1 --quiet"
SMALL += " --norm batch --augment flip,crop=0.7 --label-smoothing 0.1"
THREE = ["-w", "norm=none", "-w", "augment-=crop", "-w", "label_smoothing=0 batch_size=4"]


@pytest.fixture
def ablate(a2: A2, tmp_path: Path) -> A2:
    draw_classes(tmp_path / "set", count=10)
    return lambda *flags: a2("ablate", *SMALL.split(), *flags)


def results(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text())
    hold_to_schema(report)
    return dict(report["results"])


def trials(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/model/model.safetensors")}


def worths(found: dict[str, Any], folder: Path) -> dict[tuple[frozenset[str], int], float]:
    """Return each combination's accuracy with each seed, out of the trials' own reports."""
    known = {}
    for one in found["combinations"]:
        for run in one["runs"]:
            report = json.loads((folder / run["folder"] / "report.json").read_text())
            known[frozenset(one["kept"]), run["seed"]] = report["results"]["runs"][0]["val"]["value"]
    return known


def test_what_is_taken_away() -> None:
    settings = AblateCnnSettings(
        ablation=AblationSettings(without=("augment-=crop", "scheduler=none warmup_epochs=0", "statistics-=colors")),
        dataset=DataSettings(augment=("flip", "crop=0.7")),
        network=NetworkSettings(statistics=("texture", "colors")),
        training=TrainingSettings(scheduler="cosine", warmup_epochs=3),
    )
    crop, schedule, colors = ingredients_of(settings)
    assert [crop.name, schedule.name, colors.name] == ["crop", "scheduler + warmup epochs", "colors"]
    whole = base_training(settings)
    assert type(whole) is TrainCnnSettings
    changed = {
        name: value
        for name, value in flat(remove_ingredients(whole, [crop, schedule, colors])).items()
        if value != flat(whole)[name]
    }
    assert changed == {"augment": ("flip",), "scheduler": "none", "warmup_epochs": 0, "statistics": ("texture",)}
    three = [crop, schedule, colors]
    assert name_of({"crop", "colors", schedule.name}, three) == "all"
    assert name_of({"crop", "colors"}, three) == "without scheduler + warmup epochs"
    assert name_of({"crop"}, three) == "only crop"
    assert name_of((), three) == "none"


def test_items_of_lists_are_taken_away_as_they_are() -> None:
    network = NetworkSettings(channels=(4, 8, 8), hidden=(64, 32))
    words = ("hidden-=64", "channels-=8", "augment-=flip augment-=crop")
    dataset = DataSettings(augment=("flip", "crop=0.7", "rotate"))
    settings = AblateCnnSettings(ablation=AblationSettings(without=words), dataset=dataset, network=network)
    ingredients = ingredients_of(settings)
    assert [one.name for one in ingredients] == ["64", "8", "flip + crop"]
    left = remove_ingredients(base_training(settings), ingredients)
    assert isinstance(left, TrainCnnSettings)
    assert (left.network.hidden, left.network.channels, left.dataset.augment) == ((32,), (4,), ("rotate",))


def test_all_combinations(ablate: A2) -> None:
    folder = ablate(*THREE, "--design", "all", "--seeds", "2", "--out", "out").done()
    found = results(folder)
    names = [one["name"] for one in found["ingredients"]]
    assert sorted(names) == ["crop", "label smoothing + batch size", "norm"]
    known = worths(found, folder)
    assert len(known) == 8 * 2 == len(trials(folder))
    kept_of = [frozenset(n for n, has in zip(names, mask, strict=True) if has) for mask in product([0, 1], repeat=3)]
    assert {kept for kept, _ in known} == set(kept_of)
    weights = {0: 1 / 3, 1: 1 / 6, 2: 1 / 3}  # of the combinations of the two others, by how many they are
    for one in found["ingredients"]:
        name, own = one["name"], frozenset([one["name"]])
        alone = fmean(known[frozenset(names), seed] - known[frozenset(names) - own, seed] for seed in (0, 1))
        assert one["alone"]["difference"] == pytest.approx(alone)
        average = fmean(
            sum(weights[len(k)] * (known[k | own, seed] - known[k, seed]) for k in kept_of if name not in k)
            for seed in (0, 1)
        )
        assert one["average"]["difference"] == pytest.approx(average)
    brought = [one["average"]["difference"] for one in found["ingredients"]]
    assert brought == sorted(brought, reverse=True)
    assert sum(brought) == pytest.approx(
        fmean(known[frozenset(names), seed] - known[frozenset(), seed] for seed in (0, 1))
    )
    assert (folder / "figures/contributions.png").exists()
    assert (folder / "figures/contributions.csv").read_text().count("\n") == 1 + 2 * 3


def test_orders_share_runs_and_a_resumed_one_lacks_nothing(ablate: A2, a2: A2) -> None:
    folder = ablate(*THREE, "--seeds", "2", "--out", "out").done()
    found, before = results(folder), trials(folder)
    assert len(before) == (1 + 3) * 2
    assert all(one["average"] is None and one["alone"] for one in found["ingredients"])
    more = ["--design", "orders", "--orders", "2", "--seeds", "3"]
    assert a2("ablate", "--resume", "out", "--jobs", "1", "--quiet", *more).done() == folder
    after, grown = trials(folder), results(folder)
    assert before.items() <= after.items(), "none was run again"
    # An order and its reverse meet all, none, and two combinations each; those that lack one ingredient are there.
    assert len(after) == 3 * (1 + 1 + 3 + 2)
    known = worths(grown, folder)
    whole = frozenset(one["name"] for one in grown["ingredients"])
    gained = fmean(known[whole, seed] - known[frozenset(), seed] for seed in range(3))
    assert sum(one["average"]["difference"] for one in grown["ingredients"]) == pytest.approx(gained)
    assert {one["alone"]["seeds"] for one in grown["ingredients"]} == {3}
    assert ablate(*THREE, *more, "--out", "fresh").done() != folder
    assert results(folder.parent / "fresh")["ingredients"] == grown["ingredients"]


def test_a_further_ingredient_needs_only_its_own_trials(ablate: A2, a2: A2, tmp_path: Path) -> None:
    folder = ablate(*THREE[:4], "--design", "all", "--seeds", "2", "--out", "out").done()
    before = trials(folder)
    a2("ablate", "--resume", "out", "--jobs", "1", "--quiet", *THREE[4:]).done()
    assert len(results(folder)["ingredients"]) == 3
    assert before.items() <= trials(folder).items()
    assert len(trials(folder)) == 2 * len(before)
    cnn = a2("train-cnn", "-p", next(iter(before)).parents[1] / "config.yaml", "--quiet").done()
    a2("ablate", "--resume", cnn).refused(2, "is of 'a2 train-cnn'", "-p")


def test_a_trial_is_train_cnn_alone(ablate: A2, a2: A2) -> None:
    folder = ablate("-w", "augment=none", "--seeds", "2", "--out", "out").done()
    for path in trials(folder):
        alone = a2("train-cnn", "-p", path.parents[1] / "config.yaml", "--quiet").done()
        assert (alone / "model/model.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_fine_tuning(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=6, side=64)
    weights = real_weights("alexnet_features.safetensors")
    (tmp_path / "tune.yaml").write_text(
        f"command: finetune\nweights: {weights}\ndata: set\nlayer: pool2\nhead_grid: 1\nimage_size: 64\nfit: squash\n"
        "stages: head:2@0.01\nbatch_size: 4\nval_fraction: 0.3\ntest_fraction: 0.0\n"
    )
    folder = a2("ablate", "-p", "tune.yaml", "-w", "dropout=0", "--seeds", "2", "--jobs", "1", "--quiet").done()
    found = results(folder)
    assert found["trains"] == "finetune"
    assert [one["name"] for one in found["combinations"]] == ["all", "none"]
    assert a2("ablate", "--resume", folder, "--jobs", "1", "--quiet").done("agrees with its trials") == folder


def test_images_are_those_of_a_backbone() -> None:
    """Its weights say to which size they are scaled."""
    random = FinetuneSettings(backbone=BackboneSettings(weights="none"))
    assert data_of(random) == data_of(replace(random, stages=StageSettings(stages="all")))
    assert data_of(random) != data_of(FinetuneSettings())


REFUSED = {
    "": ("--without", "an ingredient at least"),
    "-w norm": ("expected setting=value", "'norm'"),
    "-w nrom=none": ("'nrom'", "did you mean 'norm'?"),
    "-w norm=btch": ("--without norm", "did you mean 'batch'?"),
    "-w norm=batch": ("--without norm=batch", "already"),
    "-w augment-=mixup": ("augment is flip,crop=0.7", "no such item"),
    "-w norm-=batch": ("no such item",),
    "-w seed=3": ("seed is no ingredient",),
    "-w norm=none -w norm=group": ("norm comes twice",),
    "-w augment=none -w augment-=crop": ("both change augment",),
    "-w augment-=crop -w label_smoothing=0+augment-=crop": ("both change augment",),
    "-w norm=none+norm=group": ("sets norm twice",),
    "-w augment=flip+augment-=crop": ("sets augment twice",),
    "-w channels-=2": ("channels", "at least 1 item"),
    "-w momentum=0.5": ("momentum does not act here", "--optimizer momentum or nesterov"),
    "-w val_count=3": ("val_count is no ingredient",),
    "-w kernel_size=5 -w stride=4 -w image_size=7 -w channels=3,3 --design all": ("without", "conv2"),
    "-w kernel_size=99": ("without kernel size", "conv1"),
    "-w norm=none --orders 3": ("--orders", "--design orders"),
    "-w norm=none --threads 2": ("--threads", "--jobs"),
    "-w norm=none --folds 2": ("--folds",),
    "-w norm=none --cluster x": ("--cluster",),
    "-w norm=none --layer conv3": ("--layer", "train-cnn has no such setting"),
    "-w norm=none --trains mlp": ("--trains", "finetune"),
}


@pytest.mark.parametrize("flags", REFUSED)
def test_flags_that_cannot_be_used(flags: str, ablate: A2, tmp_path: Path) -> None:
    ablate(*(word.replace("+", " ") for word in flags.split())).refused(2, *REFUSED[flags])
    assert not (tmp_path / "runs").exists()


def test_too_many_combinations(ablate: A2) -> None:
    settings = (
        "batch_size=3 epochs=1 kernel_size=2 stride=1 padding=1 optimizer=sgd learning_rate=0.1 hidden=3 norm=none"
    )
    words = [word for name in [*settings.split(), "label_smoothing=0", "augment=none"] for word in ("-w", name)]
    ablate(*words, "--design", "all").refused(2, "2,048 combinations", "--design orders")


def test_a_dry_run_says_what_would_be_trained(ablate: A2, tmp_path: Path) -> None:
    ended = ablate(*THREE, "--design", "orders", "--dry-run")
    assert ended.status == 0
    assert "Ingredient crop: taken away, augment lacks crop=0.7" in ended.out
    assert "Trials: at most 7 with each of 5 seeds" in ended.out
    assert not (tmp_path / "runs").exists()


def test_no_combination_is_called_none(ablate: A2, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in tables, verdict, progress or what is best; its name in the report stays."""
    flags = ["-w", "norm=none", "-w", "label_smoothing=0", "--design", "all", "--seeds", "2"]
    ended = ablate(*flags[:-2], "--seeds", "2", "--out", "out")
    assert ended.status == 0
    shown = ablate("--resume", "out")
    assert shown.err.count("warning: this run was finished before, and agrees with its trials, which were not ") == 1
    found = results(Path("out"))
    assert [one["name"] for one in found["combinations"]][-1] == "none"
    assert ", without any 0." in found["verdict"] and "none" not in found["verdict"].lower()
    assert "none" not in found["best"]["reason"] and shown.status == 0
    report = report_from(json.loads(Path("out/report.json").read_text()))
    show_ablation(report, Path("out"))
    printed = capsys.readouterr().out
    assert "without any ingredient" in printed and " none " not in printed.replace("(none)", "")
    nothing = next(one for one in report.results.combinations if not one.kept)
    assert best_run(replace(report.results, combinations=[nothing])).reason.startswith(
        "the training without any ingredient has the highest"
    )


def contribution(name: str, difference: float, half: float, verdict: Verdict) -> Contribution:
    pair = PairVerdict("all", f"without {name}", 4, difference, difference - half, difference + half, verdict, None)
    return Contribution(name, {}, pair, None)


def outcomes(*statuses: TrialStatus) -> list[TrialOutcome]:
    return [
        TrialOutcome(seed, 0.1, status, "no memory", 0.5 if status == "done" else None, None, None, None, "")
        for seed, status in enumerate(statuses)
    ]


def test_the_words_name_what_is_shown_to_help() -> None:
    whole = Combination("all", ["a", "b"], outcomes("done", "done"), spread([0.5, 0.6]))
    ingredients = [contribution("a", 0.04, 0.1, "undecided"), contribution("b", 0.03, 0.01, "better")]
    found = AblationResults("train-cnn", "one-out", 0.01, [0, 1], ingredients, [whole], "")
    said = ablation_verdict(found)
    assert "Of those shown to help taken away alone, b brings most: +3.0 points [+2.0, +4.0]." in said
    assert "Undecided: a." in said
    said = ablation_verdict(replace(found, ingredients=ingredients[:1]))
    assert "No ingredient is shown to help taken away alone." in said


def test_the_words_say_what_failed() -> None:
    whole = Combination("all", ["a"], outcomes("failed", "done", "diverged"), None)
    said = ablation_verdict(AblationResults("train-cnn", "one-out", 0.01, [0, 1, 2], [], [whole], ""))
    assert "no comparison." in said and "--seeds" not in said
    assert said.endswith("1 run diverged (all: 1). The first: no memory. 1 run failed (all: 1). The first: no memory.")


def test_the_table_has_all_without_each_none_and_the_best(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With what stands in an ingredient's place; combinations in between only in the report, but for the best."""

    def combination(name: str, kept: str, *accuracies: float) -> Combination:
        return Combination(name, kept.split(), outcomes("done", "done"), spread(accuracies))

    settings: dict[str, dict[str, Any]] = {
        "optimizer": {"optimizer": "sgd", "learning_rate": 0.1},
        "crop": {"augment": "without crop"},
        "norm": {"norm": "none"},
        "bias": {"bias": False},
    }
    ingredients = [
        replace(contribution(name, 0.1, 0.05, "better"), settings=values) for name, values in settings.items()
    ]
    names = " ".join(settings)
    made = [
        combination("all", names, 0.8, 0.9),
        combination("without optimizer", "crop norm bias", 0.5, 0.6),
        combination("without crop", "optimizer norm bias", 0.7, 0.8),
        combination("without norm + bias", "optimizer crop", 0.6, 0.6),
        combination("only optimizer", "optimizer", 0.9, 0.9),
        combination("none", "", 0.2, 0.3),
    ]
    best = BestRun("only optimizer", 0, 0.9, "trials/x", "trials/x/config.yaml", "")
    results = AblationResults("train-cnn", "orders", 0.01, [0, 1], ingredients, made, "", best)
    show_ablation(Report("ablate", flat(TrainCnnSettings()), {}, "done", "", results=results), tmp_path)
    table = capsys.readouterr().out.partition("trained with")[2].partition("Best run")[0]
    rows = [" ".join(line.split()) for line in table.splitlines()[2:] if line.strip()]
    assert [re.split(r" 0\.\d{3} ±", row)[0] for row in rows] == [
        "all ingredients", "without optimizer (sgd, 0.1)", "without crop", "only optimizer", "without any ingredient",
    ]  # fmt: skip
    assert rows[1].endswith("0.550 ± 0.071 0.00 to 1.00")

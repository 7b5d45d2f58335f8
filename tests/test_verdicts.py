"""Verdicts in words, for what was measured."""

from dataclasses import replace

from a2cli.analysis.statistics import spread, wilson
from a2cli.experiments.verdicts import training_verdict
from a2cli.results.training import TrainingResult
from a2cli.settings import FinetuneSettings, SplitSettings, TrainCnnSettings

RESULT = TrainingResult(
    seed=0,
    parameters=9,
    epochs=20,
    kept_epoch=12,
    best_epoch=12,
    stopped_early=False,
    train=wilson(90, 100),
    val=wilson(40, 50),
    val_loss=1.0,
    last_train_accuracy=0.9,
    last_val_accuracy=0.78,
    majority=wilson(10, 50),
    test=None,
    classes=[],
    confusion=[],
    most_wrong=[],
    folder=".",
)


def test_of_one_run() -> None:
    said = training_verdict([RESULT], "val-loss")
    assert said.startswith(
        "Validation accuracy 0.800 [0.670, 0.888] on 50 images after epoch 12 of 20, the best by val-loss"
    )
    assert "better than always answering the largest class (0.200)" in said
    assert "Training accuracy is 0.900, 10 points higher." in said
    assert "One run is no result" in said
    assert "more --epochs" not in said
    assert "sealed" not in said


def test_what_chance_could_have_done_is_not_called_better() -> None:
    said = training_verdict([replace(RESULT, val=wilson(14, 50))], "val-loss")
    assert "not shown to be better than always answering the largest class" in said


def test_unfinished_learning_is_named() -> None:
    last = replace(RESULT, kept_epoch=20, best_epoch=20, train=wilson(38, 50))
    said = training_verdict([last], "val-loss")
    assert "after epoch 20 of 20: " in said
    assert "The last epoch was the best: more --epochs may gain." in said
    assert "Training accuracy is 0.760, no higher." in said
    perfect = training_verdict([replace(last, val=wilson(50, 50))], "val-loss")
    assert "may gain" not in perfect


def test_advice_is_what_the_settings_take() -> None:
    last = replace(RESULT, kept_epoch=20, best_epoch=20)
    assert "more --epochs may gain" in training_verdict([last], "val-loss", settings=TrainCnnSettings())
    assert "more epochs in --stages may gain" in training_verdict([last], "val-loss", settings=FinetuneSettings())
    fold = TrainCnnSettings(split=SplitSettings(folds=3, fold=0))
    assert "no result: --folds without --fold gives" in training_verdict([RESULT], "val-loss", settings=fold)


def test_of_several_seeds_with_the_test() -> None:
    runs = [replace(RESULT, val=wilson(n, 50), test=wilson(n - 5, 50)) for n in (35, 40, 45)]
    val, train, test = (spread([getattr(run, part).value for run in runs]) for part in ("val", "train", "test"))
    said = training_verdict(runs, "val-loss", val, train, test)
    assert said.startswith("Validation accuracy 0.800 ± 0.100 over 3 seeds [0.552, 1.000]: better")
    assert "Accuracy on the sealed test images: 0.700 ± 0.100 over 3 seeds" in said
    assert "One run" not in said

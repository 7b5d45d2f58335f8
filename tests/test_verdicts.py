"""Verdicts in words, for what was measured."""

from dataclasses import replace

import pytest

from a2cli.reports.training_results import ClassScore, EpochLog, JudgedPart, TrainingResult
from a2cli.settings.training import SplitSettings, TrainCnnSettings, TrainMlpSettings
from a2cli.settings.transfer import FinetuneSettings
from a2cli.statistics.intervals import spread_of_shares, wilson
from a2cli.training.verdict import epochs_without_rate, still_rising, training_verdict

CLASSES = [ClassScore(name, 10, 8) for name in "abcde"]
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
    judged=JudgedPart("val", wilson(10, 50), CLASSES, {}, []),
    folder=".",
)


def epochs(*accuracies: float) -> list[EpochLog]:
    return [EpochLog(i + 1, 0.1, 1.0, 0.5, 1.0, accuracy, 10.0) for i, accuracy in enumerate(accuracies)]


CHOSEN = TrainCnnSettings()  # its best epoch is by val-loss
LEVEL = [epochs(*[0.78, 0.8] * 10)]


def test_of_one_run() -> None:
    said = training_verdict([RESULT], LEVEL, CHOSEN)
    assert said.startswith(
        "Validation accuracy 0.800 [0.670, 0.888] on 50 images after epoch 12 of 20, the best by val-loss"
    )
    assert "better than always answering the largest class (0.200)" in said
    assert "Training accuracy is 0.900, 10 points higher." in said
    assert "One run is no result" in said
    assert "more --epochs" not in said
    assert "sealed" not in said


def test_what_chance_could_have_done_is_not_called_better() -> None:
    said = training_verdict([replace(RESULT, val=wilson(14, 50))], LEVEL, CHOSEN)
    assert "not shown to be better than always answering the largest class" in said


def test_where_the_largest_class_of_training_is_rare_chance_is_the_bar() -> None:
    rare = replace(RESULT, majority=wilson(1, 50), val=wilson(12, 50))  # 0.143 to 0.374, of five classes
    said = training_verdict([rare], LEVEL, CHOSEN)
    assert "not shown to be better than chance, 1 of 5 classes (0.200)" in said
    assert "better than chance, 1 of 5 classes (0.200)" in training_verdict(
        [replace(rare, val=RESULT.val)], LEVEL, CHOSEN
    )


def test_unfinished_learning_is_named() -> None:
    last = replace(RESULT, kept_epoch=20, best_epoch=20, train=wilson(38, 50))
    rising = [epochs(*[0.3 + 0.02 * i for i in range(20)])]
    said = training_verdict([last], rising, CHOSEN)
    assert "after epoch 20 of 20: " in said
    assert "Validation accuracy was still rising at the end: a new run with more --epochs may gain." in said
    assert "Training accuracy is 0.760, no higher." in said
    perfect = replace(last, val=wilson(50, 50), last_val_accuracy=1.0)
    assert "may gain" not in training_verdict([perfect], rising, CHOSEN)


def test_advice_is_what_the_settings_take() -> None:
    rising = [epochs(*[0.3 + 0.02 * i for i in range(20)])]
    assert "more --epochs may gain" in training_verdict([RESULT], rising, CHOSEN)
    staged = training_verdict([RESULT], rising, FinetuneSettings())
    assert "more epochs in --stages may gain" in staged
    fold = TrainCnnSettings(split=SplitSettings(folds=3, fold=0))
    said = training_verdict([RESULT], LEVEL, fold)
    assert "no result: --folds without --fold gives" in said


@pytest.mark.parametrize(
    ("accuracies", "rising"),
    [
        ([0.5] * 20, False),
        ([0.02 * i for i in range(20)], True),
        ([0.5 + 0.0005 * i for i in range(20)], False),  # a fifth of a point
        ([0.5, 0.7] * 8 + [0.5, 0.7, 0.7, 0.7], False),  # higher at the end, but not beyond its scatter
        ([0.02 * i for i in range(10)] + [0.2] * 10, False),
        ([0.1, 0.2, 0.3, 0.4, 0.5], False),  # too few to tell
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], True),
        ([0.75, 0.875, 0.917, 0.958, 0.958, 0.958], False),  # it had risen, and does no more
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], False),
    ],
)
def test_rising_at_the_end(accuracies: list[float], rising: bool) -> None:
    assert still_rising([epochs(*accuracies)]) is rising
    assert still_rising([epochs(*accuracies), epochs(*accuracies)]) is rising


def test_a_last_epoch_that_was_better_than_the_kept_one_is_named() -> None:
    better = replace(RESULT, last_val_accuracy=0.86)
    said = training_verdict([better], LEVEL, CHOSEN)
    assert "Validation accuracy was higher after the last epoch, 0.860; --monitor val-loss kept another." in said
    assert "after the last epoch" not in training_verdict([RESULT], LEVEL, CHOSEN)
    runs = [replace(better, val=wilson(n, 50)) for n in (38, 40, 42)]
    several = training_verdict(runs, LEVEL * 3, CHOSEN, *(spread_of_shares([0.76, 0.8, 0.84]),) * 2)
    assert "was higher after the last epoch, 0.860; --monitor val-loss kept others." in several


def test_of_several_seeds_with_the_test() -> None:
    runs = [replace(RESULT, val=wilson(n, 50), test=wilson(n - 5, 50)) for n in (35, 40, 45)]
    val, train, test = (
        spread_of_shares([getattr(run, part).value for run in runs]) for part in ("val", "train", "test")
    )
    said = training_verdict(runs, LEVEL * 3, CHOSEN, val, train, test)
    assert said.startswith("Validation accuracy 0.800 ± 0.100 over 3 seeds [0.552, 1.000]: better")
    assert "Accuracy on the sealed test images: 0.700 ± 0.100 over 3 seeds" in said
    assert "One run" not in said


def with_rates(*rates: float) -> list[list[EpochLog]]:
    return [[replace(log, learning_rate=rate) for log, rate in zip(epochs(*[0.8] * len(rates)), rates, strict=True)]]


def test_of_a_rate_that_fell_to_nothing() -> None:
    """It is said from a tenth of the epochs on, with the flag that stops it where the scheduler has one."""
    fallen = with_rates(*[1e-3] * 10, *[1e-5] * 4, *[9e-7] * 6)
    plateau = TrainMlpSettings()
    said = training_verdict([RESULT], fallen, plateau)
    assert (
        "below a thousandth of its largest value, so the last 6 of 20 epochs hardly moved the weights; --min-l" in said
    )
    stepped = replace(plateau, training=replace(plateau.training, scheduler="step"))
    assert "hardly moved the weights. " in training_verdict([RESULT], fallen, stepped)
    for rates in ([1e-3] * 10 + [1e-6] * 10, [1e-3] * 19 + [1e-9], [1e-9] * 10 + [1e-3] * 10):
        assert "hardly moved" not in training_verdict([RESULT], with_rates(*rates), plateau)
    assert epochs_without_rate([*fallen, *with_rates(*[1e-3] * 15, *[1e-9] * 5)]) == 5

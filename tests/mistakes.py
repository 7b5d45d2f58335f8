"""Mistakes in what people see, made one after the other in a copy of the code: the tests have to find each.

    python tests/mistakes.py [WORDS ...]

With words only the mistakes whose titles have one of them. Prints a line for each, and exits with 1 where one was not
found, or where the code no longer has the lines that it changes. Run by hand: it takes some minutes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mistake(NamedTuple):
    title: str
    file: str
    right: str
    wrong: str
    tests: str = "test_golden.py"


MISTAKES = [
    # What is printed
    Mistake("train-cnn: accuracy and interval swapped", "train/console.py",
            '{share.count}", f"{share.value:.3f}", interval(share)',
            '{share.count}", interval(share), f"{share.value:.3f}"'),
    Mistake("train-cnn: training and validation swapped", "train/console.py",
            '{"training": result.train}', '{"training": result.val}'),
    Mistake("train-cnn: the last epoch's accuracy is the kept one's", "train/console.py",
            '("validation, last epoch", results.last_val)', '("validation, last epoch", results.val)'),
    Mistake("the deviation is the mean", "formats.py", "± {spread.deviation:", "± {spread.mean:"),
    Mistake("low and high of an accuracy swapped", "formats.py",
            '(f"{max(0.0, bounds.low):.{digits}f}", f"{min(1.0, bounds.high):.{digits}f}")',
            '(f"{min(1.0, bounds.high):.{digits}f}", f"{max(0.0, bounds.low):.{digits}f}")'),
    Mistake("train-cnn: recall under precision", "reports/training_results.py",
            "text=lambda row: _or_dash(row.precision)", "text=lambda row: _or_dash(row.recall)"),
    Mistake("train-cnn: truth and answer swapped in the mistakes", "train/console.py",
            '{truth} as {answer} ({n}', '{answer} as {truth} ({n}'),
    Mistake("train-cnn: chance is of one class more", "train/console.py",
            "{1 / classes:.3f}", "{1 / (classes + 1):.3f}"),
    Mistake("finetune: frozen under weights", "transfer/console.py",
            'Column("weights", lambda stage: stage.learned_parameters',
            'Column("weights", lambda stage: stage.frozen_parameters'),
    Mistake("finetune: validation under training", "transfer/console.py",
            'Column("training", text=lambda stage: _short(stage.train))',
            'Column("training", text=lambda stage: _short(stage.val))'),
    Mistake("probes: layer and answer swapped", "transfer/console.py",
            'Column("layer", lambda score: score.layer),\n    Column("answer", lambda score: score.answer),',
            'Column("layer", lambda score: score.answer),\n    Column("answer", lambda score: score.layer),'),
    Mistake("extract-features: the layer under node", "transfer/console.py", 'Column("node", lambda layer: layer.node)',
            'Column("node", lambda layer: layer.name)'),
    Mistake("compare-optimizers: the rate under accuracy", "reports/study_results.py", "mean_of, text=accuracy_text)",
            'mean_of, text=lambda one: f"{one.learning_rate:g}")'),
    Mistake("compare-optimizers: the matrix is transposed", "compare_optimizers/console.py",
            "MARKS[against[column].verdict] if column in against",
            "MARKS[table.against(column)[row].verdict] if column in against"),
    Mistake("low and high of a difference swapped", "formats.py", "points(bounds.low), points(bounds.high)",
            "points(bounds.high), points(bounds.low)"),
    Mistake("ablate: on average under taken away alone", "ablate/console.py",
            'Column("taken away alone", text=lambda row: _points(row.alone))',
            'Column("taken away alone", text=lambda row: _points(row.average or row.alone))'),
    Mistake("shares instead of points", "formats.py", "{100 * share:+z.1f}", "{share:+z.1f}"),
    Mistake("probe-invariance: the best strength instead of the worst", "probe_invariance/console.py",
            "return min(change.points", "return max(change.points"),
    Mistake("probe-invariance: accuracy under same", "probe_invariance/console.py",
            'Column("same", lambda row: _worst(row).consistency.value',
            'Column("same", lambda row: _worst(row).accuracy.value'),
    Mistake("visualize-weights: same under dead", "visualize_weights/console.py",
            '{len(one.dead)} ({one.dead_random})', '{len(one.duplicates)} ({one.duplicates_random})'),
    Mistake("visualize-weights: random and trained swapped", "visualize_weights/console.py",
            "{found.value:.2f} ({found.random:.2f})", "{found.random:.2f} ({found.value:.2f})"),
    Mistake("visualize-weights: the least under the mean", "visualize_weights/console.py", "one.alike and one.alike[0]",
            "one.alike and one.alike[1]"),
    Mistake("receptive-field: rows and columns swapped", "receptive_field/console.py",
            'return first if first == second else f"{first}x{second}"',
            'return first if first == second else f"{second}x{first}"'),
    Mistake("predict: the next answer's probability is the first's", "predict/console.py",
            "{other.probability:.3f} {other.name}", "{prediction.probability:.3f} {other.name}"),
    Mistake("data check: damaged and single-valued swapped", "check_data/console.py",
            '("damaged", _listed(check.damaged))', '("damaged", _listed(check.single_valued))'),
    # Figures
    Mistake("curves: training and validation swapped", "training/figures.py",
            '[[getattr(log, f"{part}_{quantity}")',
            '[[getattr(log, f"{dict(train="val", val="train")[part]}_{quantity}")'),
    Mistake("curves: loss under accuracy's title", "training/figures.py",
            'plain(loss_axes, "", y="loss, mean over images")', 'plain(loss_axes, "", y="accuracy")'),
    Mistake("curves: the epoch before the kept one is marked", "training/figures.py",
            "kept = results[0].kept_epoch", "kept = results[0].kept_epoch - 1"),
    Mistake("curves: the largest class of the first run, not the largest", "training/figures.py",
            "majority = max(result.majority.value for result in results)", "majority = results[0].train.value"),
    Mistake("classes: precision is recall", "training/figures.py", "(value := getattr(score, name)) is not None",
            "(value := score.recall) is not None"),
    Mistake("confusion: transposed", "training/draw.py", "plots.confusion, np.array(matrix),",
            "plots.confusion, np.array(matrix).T,"),
    Mistake("reliability: accuracy and confidence swapped", "training/figures.py",
            "confidences = [bin_.confidence for bin_ in judged.calibration]",
            "confidences = [bin_.accuracy for bin_ in judged.calibration]"),
    Mistake("comparison's curves: training accuracy under validation's title", "compare_optimizers/figures.py",
            "[[log.val_accuracy for log, _ in logs[:shared]]", "[[log.train_accuracy for log, _ in logs[:shared]]"),
    Mistake("comparison's curves: seconds instead of epochs", "compare_optimizers/figures.py",
            'places = seconds if over == "seconds"', 'places = seconds if over == "epoch"'),
    Mistake("rates: the lowest run instead of the mean", "compare_optimizers/figures.py",
            "[fmean(values) for _, values in points]", "[min(values) for _, values in points]"),
    Mistake("verdicts: row and column swapped", "compare_optimizers/figures.py",
            "axes.text(column, row, f", "axes.text(row, column, f"),
    Mistake("contributions: the sign is turned", "ablate/figures.py", "axes.plot(100 * pair.difference,",
            "axes.plot(-100 * pair.difference,"),
    Mistake("probes: validation under the test's title", "transfer/figures.py",
            "_scores_of(scores, answer, random), part, aside", '_scores_of(scores, answer, random), "val", aside'),
    Mistake("depth: rows drawn as columns", "receptive_field/figures.py", "axes.plot(derived, fields[:, axis], style",
            "axes.plot(derived, fields[:, 1 - axis], style"),
    # CSV files
    Mistake("comparison's curves.csv: validation under training", "compare_optimizers/draw.py",
            'log.train_accuracy, log.val_accuracy,', 'log.val_accuracy, log.train_accuracy,'),
    Mistake("probe's curves.csv: gained under lost", "probe_invariance/draw.py",
            'lost="point.lost"', 'lost="point.gained"'),
    Mistake("probe's translations.csv: right and down swapped", "probe_invariance/draw.py",
            '"run", "right", "down", "accuracy"', '"run", "down", "right", "accuracy"'),
    Mistake("verdicts.csv: low and high swapped", "reports/study_results.py",
            "    low: float\n    high: float\n    verdict: Verdict",
            "    high: float\n    low: float\n    verdict: Verdict"),
    Mistake("probes.csv: high under low", "transfer/summary.py", 'Column("low", lambda row: row[2].low)',
            'Column("low", lambda row: row[2].high)'),
    Mistake("evidence.csv: least and largest swapped", "visualize_weights/draw.py", '"least_drawn", "largest_drawn"',
            '"largest_drawn", "least_drawn"'),
    # What they are made from
    Mistake("grayscale is no change of colour", "probe_invariance/settings.py",
            '_switch("grayscale", needs="colour")', '_switch("grayscale")', "test_probe_invariance.py"),
    Mistake("early stopping waits an epoch longer", "training/train_state.py", "self.best_epoch >= patience",
            "self.best_epoch > patience", "test_loop.py test_resume.py test_final.py test_cli.py"),
    Mistake("a bar of one pixel is padding, its neighbour not", "probe_invariance/changes.py",
            "first + (first > 0).int(), last - (last < side - 1).int()",
            "first + (first > 1).int(), last - (last < side - 2).int()", "test_changes.py"),
    Mistake("of equal answers the last class is given", "predict/run.py",
            "values, classes = probabilities.sort(dim=1, descending=True, stable=True)",
            "values, classes = (one.flip(1) for one in probabilities.sort(dim=1, stable=True))", "test_predict.py"),
    Mistake("of rates of equal accuracy the one with the higher loss is chosen", "compare_optimizers/run.py",
            "-fmean(losses) if losses", "fmean(losses) if losses",
            "test_compare_optimizers.py test_comparisons.py"),
]  # fmt: skip


def found_by_tests(mistake: Mistake, copy: Path) -> bool:
    """Make the mistake in the copy, run its tests, and take it back; raises ValueError where the lines are gone."""
    path = copy / "a2cli" / mistake.file
    code = path.read_text()
    if code.count(mistake.right) < 1:
        raise ValueError("the code has changed")
    path.write_text(code.replace(mistake.right, mistake.wrong, 1))
    try:
        tests = [f"tests/{name}" for name in mistake.tests.split()]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--numprocesses", "0", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode == 1
    finally:
        path.write_text(code)


def main(words: list[str]) -> int:
    bad = 0
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "main"
        ignored = shutil.ignore_patterns(".*", "__pycache__", "old_runs")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for mistake in MISTAKES:
            if words and not any(word in mistake.title for word in words):
                continue
            try:
                said = "found" if found_by_tests(mistake, copy) else "NOT FOUND"
            except ValueError as error:
                said = f"NOT TRIED: {error}"
            bad += said != "found"
            sys.stdout.write(f"{said:10} {mistake.title}\n")
            sys.stdout.flush()
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

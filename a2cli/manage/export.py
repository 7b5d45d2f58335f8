"""Runs for other tools: one row a run for a gradebook or a notebook, and event files for TensorBoard."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from a2cli.errors import DataError
from a2cli.manage.console import RUNS, csv_text
from a2cli.manage.summaries import RunSummary, distinct_names
from a2cli.reports.report import Report, read_report
from a2cli.reports.training_results import EpochLog, Spread, TrainingResults
from a2cli.settings.declare import shown

SCALARS = {
    "loss/train": "train_loss",
    "loss/validation": "val_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/validation": "val_accuracy",
    "accuracy/test": "test_accuracy",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}


def table_of_runs(runs: Sequence[RunSummary]) -> str:
    """Return a CSV table with a row a run: what `a2 runs list --csv` has of it, of trainings more, and every setting.

    A setting has the column `config.NAME`; it is empty for a run of a command that does not have it.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    results = [_results(None if run.problem else read_report(Path(run.folder))) for run in runs]
    measured = list(dict.fromkeys(name for found in results for name in found))
    columns = [column for column in RUNS if column.value and column.name not in ("age", "differs", "problem")]
    rows: list[Sequence[object]] = [
        [*(column.name for column in columns), *measured, *(f"config.{name}" for name in names)]
    ]
    for run, found in zip(runs, results, strict=True):
        cells = [column.value(run) for column in columns if column.value]
        settings = [shown(run.settings[name]) if name in run.settings else None for name in names]
        rows.append([*cells, *(found.get(name) for name in measured), *settings])
    return csv_text(rows)


def _results(report: Report | None) -> dict[str, object]:
    """Return what a row has besides: the data's fingerprint and counts, of a training what it measured."""
    found: dict[str, object] = {"a2": report.environment.get("a2") if report else None}
    if report and report.data:
        data = report.data
        found |= {"fingerprint": data.fingerprint, "classes": len(data.classes), "train_images": data.train}
        found |= {"val_images": data.val, "test_images": data.test}
    if report and isinstance(results := report.results, TrainingResults):
        train = results.train or results.runs[0].train
        found |= {"train_accuracy": train.mean if isinstance(train, Spread) else train.value}
        found |= {"val_deviation": results.val.deviation if results.val else None}
        epochs = sum(run.epochs for run in results.runs) / len(results.runs)
        found |= {"epochs": int(epochs) if epochs.is_integer() else epochs}
        found |= {"parameters": results.runs[0].parameters, "test_reads": report.test_reads}
    verdict = getattr(report.results, "verdict", None) if report else None
    return {**found, "verdict": verdict}


def write_events(folders: Sequence[Path], out: Path) -> int:
    """Write the epochs of trainings as TensorBoard's event files, and return of how many trainings there are some.

    A training's are in `out`/RUN, of several seeds or folds in `out`/RUN/seed-3; where two runs have the same name, RUN
    is each one's path. Raises OSError, and before anything is written DataError for a folder that has such files.
    """
    from tensorboard.summary import Writer

    trainings = dict[Path, tuple[Report, Sequence[EpochLog]]]()
    for folder, name in zip(folders, _paths_inside(folders), strict=True):
        if report := read_report(folder):
            several = len(report.history) > 1
            trainings |= {out / name / f"seed-{seed}" if several else out / name: (report, logs)
                          for seed, logs in report.history.items() if logs}  # fmt: skip
    for place in trainings:
        if any(place.glob("events.*")):
            raise DataError(
                f"--tensorboard: {place} already has event files, and TensorBoard would join them; name another folder"
            )
    for place, (report, logs) in trainings.items():
        writer = Writer(str(place))
        for tag, field in SCALARS.items():
            for log, at in zip(logs, _times(report, logs), strict=True):
                if (value := getattr(log, field)) is not None:
                    writer.add_scalar(tag, value, step=log.epoch, wall_time=at)
        writer.close()
    return len(trainings)


def _paths_inside(folders: Sequence[Path]) -> list[str]:
    """Return for each run a path of its own, which stays inside the folder that it is put in."""
    paths = dict[str, str]()
    for name in distinct_names(folders):
        path = Path(name).resolve() if ".." in Path(name).parts else Path(name)
        inside = str(path.relative_to(path.anchor))
        while inside.casefold() in paths:  # as of a/run and /a/run
            inside += "-2"
        paths[inside.casefold()] = inside
    return list(paths.values())


def _times(report: Report, logs: Sequence[EpochLog]) -> list[float]:
    """Return a time for each epoch: they end with the report's, each as long as its training images took."""
    images = report.data.train if report.data else 0
    lengths = [images / log.images_per_second if log.images_per_second else 0.0 for log in logs]
    end = datetime.fromisoformat(report.created).timestamp()
    return [end - sum(lengths[i + 1 :]) for i in range(len(logs))]

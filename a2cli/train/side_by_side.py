"""Runs of one training side by side, each in a process and a folder of its own, and how far they are."""

import csv
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from a2cli.errors import SettingsError
from a2cli.progress import ProgressReporter, RunProgress
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.transfer import FinetuneSettings, stages_of
from a2cli.train.workers import Workers
from a2cli.training.images import title_of

SECONDS_BETWEEN_LOOKS = 0.5


def train_side_by_side(
    train: Callable[..., tuple[str, list[str]]],
    calls: Sequence[tuple[Any, ...]],
    runs: Mapping[str, AnyTraining],
    folder: Path,
    jobs: int,
    reporter: ProgressReporter,
) -> None:
    """Call `train` with these arguments, `jobs` at a time, each in a process; it returns a run's name and warnings.

    `runs` are the settings by the names of the runs inside the folder. The first error of a run ends all; what they
    were doing is in their folders. Raises it, and SettingsError where a process was killed.
    """
    workers, ended = Workers(jobs), set[str]()

    def look() -> None:
        reporter.runs([run_progress(folder / name, alone, name in ended) for name, alone in runs.items()])

    try:
        with followed(look), workers.results(train, calls) as results:
            for needed in ("a2cli.figures", "a2cli.training.image_figures"):
                import_module(needed)  # while this process waits: it draws the figures of all runs
            for name, warnings in results:
                ended.add(name)
                for text in warnings:
                    reporter.warn(f"{title_of(runs[name])}: {text}")
    except BrokenProcessPool:
        left = ", ".join(title_of(runs[name]) for name in runs if name not in ended)
        raise SettingsError(
            f"--jobs {jobs}: a process was killed, most likely for lack of memory, of one of: {left}; "
            "go on by --resume, with fewer --jobs"
        ) from None
    finally:
        workers.close()


@contextmanager
def followed(look: Callable[[], None]) -> Iterator[None]:
    """Look how far runs are now and then until this ends, and once more at the end."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            look()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
        look()
    finally:
        stop.set()
        thread.join()


def run_progress(folder: Path, settings: AnyTraining, ended: bool) -> RunProgress:
    """Return how far the run in a folder is, by its metrics.csv."""
    files, total = [folder / "metrics.csv"], settings.training.epochs
    if isinstance(settings, FinetuneSettings):
        total = sum(stage.epochs for stage in stages_of(settings))
        if not files[0].exists():  # written once all stages are done
            files = sorted(folder.glob("stages/*/metrics.csv"))
    rows: list[dict[str, str]] = []
    for file in files:
        with suppress(OSError):  # no epoch has ended
            whole_lines = file.read_text("utf-8").rpartition("\n")[0]
            rows += csv.DictReader(whole_lines.splitlines())
    accuracy = float(rows[-1]["val_accuracy"]) if rows else None
    return RunProgress(title_of(settings), total if ended else len(rows), total, accuracy, ended)

"""Progress for people, on standard error."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from a2cli.console.base import clock, note, people, show_traceback, table_of
from a2cli.report import RunProgress
from a2cli.results.training import EpochLog
from a2cli.text import printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.progress import Progress, TaskID
    from rich.table import Table

T = TypeVar("T")
LIVE_SECONDS = 0.1
PLAIN_LINES = 10


class Show:
    """Looks on while an experiment runs: a live line in a terminal, now and then a plain one in a pipe or in CI."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = people()
        self.quiet = quiet
        self.live = (
            self.console.is_terminal and not self.console.is_dumb_terminal and not os.environ.get("CI") and not quiet
        )
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.table: Live | None = None
        self.title, self.epochs, self.done = "", 0, 0
        self.round, self.round_began, self.round_done = "", 0.0, 0
        self.several, self.tenths = False, 0  # whether runs side by side are shown, and the share of them last told

    def __enter__(self) -> "Show":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def phase(self, text: str) -> None:
        self.close()
        if self.live:
            self._open(text, "")
        elif not self.quiet:
            note(text)

    def warn(self, text: str, because: BaseException | None = None) -> None:
        self.console.print("warning:", text, style="yellow", soft_wrap=True)
        if because is not None and "--debug" in sys.argv:
            show_traceback(because)

    def start(self, title: str, epochs: int, done: int) -> None:
        self.close()
        self.title, self.epochs, self.done = title, epochs, done
        if self.live:
            self._open(title, f"{done}/{epochs}", total=epochs, done=done)
        elif not self.quiet and done:
            note(f"{title}: going on after epoch {done} of {epochs}")

    def epoch(self, log: EpochLog) -> None:
        self.done = log.epoch
        line = (
            f"{log.epoch}/{self.epochs} loss {log.train_loss:.3f} train {log.train_accuracy:.3f} "
            f"val {log.val_accuracy:.3f} lr {log.learning_rate:.0e} {log.images_per_second:.0f}/s"
        )
        if self.progress and self.task is not None:
            self.progress.update(self.task, completed=log.epoch, line=line)
        elif not self.quiet and (log.epoch % max(1, self.epochs // PLAIN_LINES) == 0 or log.epoch == self.epochs):
            note(f"{self.title}: epoch {line}")

    def batches(self, batches: Iterable[T], count: int) -> Iterable[T]:
        if not self.progress or self.task is None:
            yield from batches
            return
        if not self.epochs:
            self.progress.update(self.task, total=count)
        shown = time.monotonic()
        for number, batch in enumerate(batches):
            yield batch
            if time.monotonic() - shown > LIVE_SECONDS:
                share = self.done + (number + 1) / count if self.epochs else number + 1
                self.progress.update(self.task, completed=share)
                shown = time.monotonic()

    def runs(self, runs: Sequence[RunProgress]) -> None:
        done, total = sum(one.done for one in runs), sum(one.epochs for one in runs)
        ended = sum(one.ended for one in runs)
        under_way = [one for one in runs if one.done and not one.ended]
        each = ", ".join(f"{one.title} {one.done}/{one.epochs} val {one.accuracy:.3f}" for one in under_way)
        line = f"{ended} of {len(runs)} done" + (f"; {each}" if each else "")
        if self.live:
            if self.progress is None or not self.several:
                self.close()
                self.several = True
                self._open(f"{len(runs)} runs", line, total=total, done=done)
            elif self.task is not None:
                self.progress.update(self.task, completed=done, line=line)
        elif not self.quiet and done * PLAIN_LINES // total > self.tenths:
            self.tenths = done * PLAIN_LINES // total
            note(f"{len(runs)} runs: epoch {done}/{total}, {line}")

    def standing(self, title: str, done: int, total: int, rows: Sequence[Sequence[str]]) -> None:
        if title != self.round:
            self.close()
            self.round, self.round_began, self.round_done = title, time.monotonic(), done
        ran = done - self.round_done
        left = (time.monotonic() - self.round_began) / ran * (total - done) if ran else None
        ahead = f"{title}: {done} of {total} trials" + (f", {clock(left)} left" if left else "")
        if self.live:
            from rich.live import Live

            if self.table is None:
                self.table = Live(console=self.console, refresh_per_second=4, transient=True)
                self.table.start()
            self.table.update(_standing(ahead, rows))
        elif not self.quiet and total and (done == total or done % max(1, total // PLAIN_LINES) == 0):
            best = max(rows, key=lambda row: row[2])
            note(f"{ahead}; {best[0]} ahead, {best[2]}" if best[2] else ahead)

    def _open(self, title: str, line: str, total: float | None = None, done: int = 0) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None if total is None else 8),
            TextColumn("{task.fields[line]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self.console,
            refresh_per_second=4,
            transient=True,
        )
        self.progress.start()
        self.task = self.progress.add_task(printable(title), total=total, completed=done, line=line)

    def close(self) -> None:
        if self.progress:
            self.progress.stop()
        if self.table:
            self.table.stop()
        self.table, self.several = None, False
        self.progress, self.task, self.epochs, self.done = None, None, 0, 0


def _standing(title: str, rows: Sequence[Sequence[str]]) -> "Table":
    table = table_of("contender", "trials", "mean accuracy")
    table.title, table.title_justify = title, "left"
    for row in sorted(rows, key=lambda row: row[2], reverse=True):
        table.add_row(*row)
    return table


class Transfer:
    """Looks on while something is downloaded."""

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        console = people()
        live = console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=not live,
        )
        self.task = self.bar.add_task(printable(title), total=None)

    def __enter__(self) -> "Transfer":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        self.bar.console.print(text, soft_wrap=True)

    def progress(self, done: int, total: int | None) -> None:
        self.bar.update(self.task, completed=done, total=total)

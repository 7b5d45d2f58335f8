"""Progress for people, on standard error: what is being done, how far it is and how long it will take."""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from a2cli.console.activity import Activity, Part
from a2cli.console.base import clock, note, people, show_traceback, table_of
from a2cli.formats import counted
from a2cli.progress import ProgressReporter, RunProgress
from a2cli.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

    from a2cli.reports.training_results import EpochLog

T = TypeVar("T")
PLAIN_SECONDS = 20.0  # between lines in a pipe, at the most
PLAIN_LINES = 10  # of a training or a round of trials, in a pipe
BAR = 8
SHORTEST = 20  # columns of a title, or there is no bar


class ConsoleReporter(ProgressReporter):
    """Looks on while an experiment runs: a live line in a terminal, now and then a plain one in a pipe or in CI.

    With `quiet` there is only the live line, and only where standard output goes elsewhere, as in
    `run=$(a2 train-cnn --quiet)`.
    """

    def __init__(self, quiet: bool = False) -> None:
        super().__init__()
        self.console = people()
        terminal = self.console.is_terminal and not self.console.is_dumb_terminal and not os.environ.get("CI")
        self.is_live = terminal and not (quiet and sys.stdout.isatty())
        self.is_plain = not terminal and not quiet
        self.live: Live | None = None
        self.now = Activity()
        self.whole: list[Part] = []
        self.whole_began: tuple[float, float] | None = None  # when work on the whole began, and the share done then
        self.table: Sequence[Sequence[str]] = ()
        self.said, self.told = time.monotonic(), -1  # when the last plain line was printed, and how far it was
        self.ended = threading.Event()

    def __enter__(self) -> "ConsoleReporter":
        if self.is_plain:
            with suppress(RuntimeError):  # no memory for a thread
                threading.Thread(target=self._keep_saying, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.close()

    def close(self) -> None:
        """Take the live line away."""
        if self.live:
            self.live.stop()
        self.live, self.now, self.table = None, Activity(), ()

    # What is told

    def phase(self, text: str, spent_on: str = "preparing", *, brief: bool = False) -> None:
        self.clock.turn(spent_on)
        self._begin(Activity(text))
        if not brief:
            self._say(self._title())

    def step(self, text: str) -> None:
        self._begin(Activity(self.now.title, text))

    def at(self, done: float, total: float | None, unit: str = "") -> None:
        self.now.done, self.now.total = done, total
        if unit:
            self.now.counted = f"{done:,.1f}{f' of {total:,.1f}' if total else ''} {unit}"

    def batches(self, batches: Iterable[T], count: int) -> Iterable[T]:
        now = self.now
        if now.is_training:
            epochs = now.done
            for number, batch in enumerate(batches, start=1):
                yield batch
                self._advance(epochs + number / count)
            return
        now.began, now.began_with, now.total = time.monotonic(), 0.0, count or None
        part = self.whole[-1] if self.whole and self.whole[-1].by_batches else None
        if part and self.whole_began is None:
            self.whole_began = now.began, self._share()
        for number, batch in enumerate(batches, start=1):
            yield batch
            now.done = number
            if part and count:
                part.done = number / count

    def parts(self, names: Sequence[str], lengths: Sequence[float] = (), *, by_batches: bool = False) -> Iterator[str]:
        lengths = lengths or [1.0] * len(names)
        before, total = 0.0, sum(lengths)
        if not self.whole:
            self.whole_began = None
        for number, (name, length) in enumerate(zip(names, lengths, strict=True), start=1):
            part = Part(name, number, len(names), before, length, total, by_batches)
            self.whole.append(part)
            try:
                yield name
            finally:
                self.whole.remove(part)
            before += length
            if self.whole:  # this whole is itself a part
                self.whole[-1].done = before / total if total else 1.0

    def warn(self, text: str, because: BaseException | None = None) -> None:
        self.console.print("warning:", text, style="yellow", soft_wrap=True)
        if because is not None and "--debug" in sys.argv:
            show_traceback(because)

    def say(self, text: str) -> None:
        """Print a line, in a terminal above the live one."""
        self.console.print(text, soft_wrap=True)
        self.said = time.monotonic()

    def start(self, title: str, epochs: int, done: int) -> None:
        self.clock.turn("training")
        counted = f"{done}/{epochs}"
        self._begin(Activity(title, "", done, epochs, counted, is_training=True, began_with=done))
        self._advance(done)
        if self.whole_began is None and self.whole:
            self.whole_began = time.monotonic(), self._share()
        if done:
            self._say(f"{self._title()}: going on after epoch {done} of {epochs}")

    def epoch(self, log: "EpochLog") -> None:
        now, epochs = self.now, int(self.now.total or 0)
        self._advance(log.epoch)
        now.counted = f"{log.epoch}/{epochs}"
        now.details = (
            f"val {log.val_accuracy:.3f}",
            f"loss {log.train_loss:.3f}",
            f"train {log.train_accuracy:.3f}",
            f"lr {log.learning_rate:.0e}",
            f"{log.images_per_second:.0f}/s",
        )
        if log.epoch % max(1, epochs // PLAIN_LINES) == 0 or log.epoch == epochs:
            self._say(self._plain())

    def runs(self, runs: Sequence[RunProgress]) -> None:
        self.clock.turn("training")
        done, total = sum(run.done for run in runs), sum(run.epochs for run in runs)
        now = self._going_on(counted(len(runs), "run"), done)
        now.done, now.total, now.counted = done, total, f"epoch {done}/{total}"
        under_way = [run for run in runs if run.done and not run.ended]
        now.details = [
            f"{sum(run.ended for run in runs)} of {len(runs)} done",
            *(f"{run.title} {run.done}/{run.epochs} val {run.accuracy:.3f}" for run in under_way),
        ]
        if done and done * PLAIN_LINES // total > self.told:
            self.told = done * PLAIN_LINES // total
            self._say(self._plain())

    def leaderboard(
        self, title: str, done: int, total: int, rows: Sequence[Sequence[str]], later: int = 0, under_way: float = 0.0
    ) -> None:
        self.clock.turn("training")
        now = self._going_on(title, done + under_way)
        now.done, now.total, now.later, now.counted = done + under_way, total, later, f"{done} of {total} trials"
        self.table, best = rows, max(rows, key=lambda row: row[2], default=("", "", ""))
        now.details = [f"{best[0]} ahead, {best[2]}"] if best[2] else []
        if done > self.told and (done == total or done % max(1, total // PLAIN_LINES) == 0):
            self.told = done
            self._say(self._plain())

    # How it is shown

    def _begin(self, activity: Activity) -> None:
        self.now, self.table, self.told = activity, (), -1
        if self.is_live and self.live is None:
            from rich.live import Live

            self.live = Live(console=self.console, get_renderable=self._shown, transient=True, redirect_stdout=False)
            self.live.start(refresh=True)
        elif self.live:
            self.live.refresh()  # before something that may let no other thread run

    def _going_on(self, title: str, done: float) -> Activity:
        """Return the activity of this title, begun now if it is not under way."""
        if self.now.title != title:
            self._begin(Activity(title, began_with=done))
        return self.now

    def _advance(self, epochs: float) -> None:
        """Take down how many epochs of a training are done."""
        self.now.done = epochs
        if self.whole and self.now.total:
            self.whole[-1].done = epochs / self.now.total

    def _share(self) -> float:
        """Return the share of the whole that is done, with parts within parts."""
        share = 0.0
        for part in reversed(self.whole):
            share = (part.before + part.length * max(share, part.done)) / (part.total or 1.0)
        return share

    def _say(self, line: str) -> None:
        if self.is_plain:
            note(line)
            self.said = time.monotonic()

    def _keep_saying(self) -> None:
        """Print where things stand whenever nothing was printed for a while."""
        while not self.ended.wait(max(0.01, self.said + PLAIN_SECONDS - time.monotonic())):
            if time.monotonic() < self.said + PLAIN_SECONDS:
                continue
            if self.now.title:
                self._say(self._plain())
            self.said = time.monotonic()

    def _title(self) -> str:
        """Return what goes on, with the seed, fold or stage that it is of."""
        title = f"{self.now.title}: {self.now.step}" if self.now.step else self.now.title
        parts = ", ".join(f"{part.name} ({part.number} of {part.count})" for part in self.whole if part.count > 1)
        if parts:
            return parts if self.now.is_training else f"{parts}: {title}"
        return title

    def _time(self) -> str:
        """Return how long it will take, all parts together where it is one of several; else how long it has taken."""
        if self.now.total and self.now.done >= self.now.total and not self.now.later:
            return ""
        left, all_of_it, share = self.now.left(), bool(self.now.later), self._share()
        by_batches = any(part.by_batches for part in self.whole)
        if self.whole and self.whole_began and (self.now.is_training or left is None or by_batches):
            began, before = self.whole_began
            if before < share < 1:
                left, all_of_it = (time.monotonic() - began) / (share - before) * (1 - share), True
        if left is None:
            return f"{clock(time.monotonic() - self.now.began)} so far"
        of_several = all_of_it and (self.now.later or any(part.count > 1 for part in self.whole))
        return f"{clock(left)} left{' in all' * bool(of_several)}"

    def _plain(self) -> str:
        status = [self.now.how_far(), *self.now.details, self._time()]
        status[0] = f"epoch {status[0]}" if self.now.is_training else status[0]
        return f"{self._title()}: {', '.join(filter(None, status))}"

    def _shown(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        line = Text(self._line(self.console.width), no_wrap=True, overflow="crop")
        return Group(line, _leaderboard(self.table)) if self.table else line

    def _line(self, width: int) -> str:
        """Return the live line, cut to so many columns: details go first, then the title's end."""
        from rich.cells import cell_len, set_cell_size

        now, title = self.now, printable(self._title())
        if not title:
            return ""
        filled = round(BAR * min(1.0, now.done / now.total)) if now.total else 0
        full, empty, cut = "━╌…" if self.console.encoding.startswith("utf") else "#-~"
        bar = [full * filled + empty * (BAR - filled)] if now.total else []
        shown, end = [*bar, *filter(None, [now.how_far()])], self._time()
        if bar and width - cell_len(" ".join(["", *shown, end])) < min(SHORTEST, cell_len(title)):
            shown = shown[1:]
        room = max(2, width - cell_len(" ".join(["", *shown, end])))
        if cell_len(title) > room:
            title = set_cell_size(title, room - 1) + cut
        for detail in map(printable, now.details):
            if cell_len(" ".join([title, *shown, detail, end])) > width:
                break
            shown.append(detail)
        return " ".join(filter(None, [title, *shown, end]))


def _leaderboard(rows: Sequence[Sequence[str]]) -> "Table":
    best_first = sorted(rows, key=lambda row: row[2], reverse=True)
    table = table_of("contender", "trials", "mean accuracy", rows=best_first)
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    return table

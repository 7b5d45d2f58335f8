"""Progress as people see it: in a terminal of 80 columns, in a pipe, with --quiet, of a whole that has parts."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, IMAGES, LABELS, TINY, apart_from_few
from rich.cells import cell_len
from rich.console import Console

from a2cli.console import progress
from a2cli.console.activity import Activity
from a2cli.console.progress import ConsoleReporter
from a2cli.data import packer
from a2cli.data.download_progress import told_to
from a2cli.drawn_sets.drawing import draw_set
from a2cli.progress import Clock, RunProgress
from a2cli.reports.training_results import EpochLog

LOG = EpochLog(1, 1e-3, 1.25, 0.5, 1.5, 0.625, 1234.0)
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still but when it is told to go on by so many seconds."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def go_on(seconds: float) -> None:
        now[0] += seconds

    return go_on


def train(
    show: ConsoleReporter, title: str, epochs: int, upto: int, passes: Callable[[float], None], seconds: float
) -> None:
    show.start(title, epochs, 0)
    for epoch in range(1, upto + 1):
        passes(seconds)
        show.epoch(replace(LOG, epoch=epoch))


# How long it will take


def test_seeds_say_which_of_how_many_and_the_time_left_of_all(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    seeds = iter(show.parts(["seed 3", "seed 4", "seed 5"]))
    train(show, next(seeds), 10, 10, passes, 1.0)
    show.phase("drawing figures")
    passes(5.0)
    train(show, next(seeds), 10, 5, passes, 1.0)
    known = "val 0.625, loss 1.250, train 0.500, lr 1e-03, 1234/s"
    assert show._plain() == f"seed 4 (2 of 3): epoch 5/10, {known}, 0:20 left in all", "15 epochs took 20 seconds"
    assert show._line(80) == "seed 4 (2 of 3) ━━━━╌╌╌╌ 5/10 val 0.625 loss 1.250 train 0.500 0:20 left in all"
    show.phase("evaluating")
    assert show._line(80) == "seed 4 (2 of 3): evaluating 0:20 left in all"
    assert [*show.batches(iter("ab"), 4)] == ["a", "b"]
    passes(3.0)
    assert show._line(80) == "seed 4 (2 of 3): evaluating ━━━━╌╌╌╌ 50% 0:03 left"


def test_stages_of_seeds_count_by_their_epochs(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    seeds = iter(show.parts(["seed 0", "seed 1"]))
    next(seeds)
    stages = iter(show.parts(["head", "all"], [1, 3]))
    next(stages)
    train(show, "seed 0, head", 1, 1, passes, 4.0)
    next(stages)
    train(show, "seed 0, all", 3, 1, passes, 4.0)
    assert show._plain().startswith("seed 0 (1 of 2), all (2 of 2): epoch 1/3, ")
    assert show._plain().endswith(" 0:24 left in all"), "2 of 8 epochs took 8 seconds"


def test_a_single_run_says_its_own_time(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    show.start("seed 0", 50, 10)
    passes(20.0)
    show.epoch(replace(LOG, epoch=20))
    assert show._line(100) == "seed 0 ━━━╌╌╌╌╌ 20/50 val 0.625 loss 1.250 train 0.500 lr 1e-03 1234/s 1:00 left"
    assert [*show.batches(iter("ab"), 2)] == ["a", "b"]
    assert show.now.done == 21, "within an epoch"


def test_networks_probed_count_by_their_batches(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    runs = iter(show.parts(["a", "b"], by_batches=True))
    next(runs)
    show.phase("probing a")
    for _ in show.batches(range(4), 4):
        passes(1.0)
    next(runs)
    show.phase("probing b")
    for number in show.batches(range(4), 4):
        passes(1.0)
        if number == 2:
            assert show._plain() == "b (2 of 2): probing b: 50%, 0:02 left in all", "6 of 8 took 7 seconds"


def test_runs_side_by_side(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    show.phase("3 runs, 2 side by side")
    show.runs([RunProgress(f"seed {i}", 0, 50, None, False) for i in range(3)])
    assert show._line(80) == "3 runs ╌╌╌╌╌╌╌╌ epoch 0/150 0 of 3 done 0:00 so far"
    passes(30.0)
    show.runs([RunProgress("seed 0", 50, 50, 0.5, True), RunProgress("seed 1", 25, 50, 0.25, False),
               RunProgress("seed 2", 0, 50, None, False)])  # fmt: skip
    assert show._line(80) == "3 runs ━━━━╌╌╌╌ epoch 75/150 1 of 3 done seed 1 25/50 val 0.250 0:30 left"


ROWS = [("adam with a very long name " * 4, "1/4", "0.500"), ("sgd", "1/4", "0.400")]


def test_trials_say_the_time_left_of_all_rounds(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    show.leaderboard("tuning", 2, 10, [], later=4)
    passes(60.0)
    show.leaderboard("tuning", 4, 10, ROWS[1:], later=4, under_way=0.5)
    assert show._line(80) == "tuning ━━━━╌╌╌╌ 4 of 10 trials sgd ahead, 0.400 3:48 left in all", "9.5 of 2.5 a minute"
    assert show._plain() == "tuning: 4 of 10 trials, sgd ahead, 0.400, 3:48 left in all"


# In 80 columns


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("title", ["seed 0", "packing " + "a/long/path/" * 12, "包装" * 60])
def test_a_line_never_breaks(title: str, width: int, passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    show.phase(title)
    assert cell_len(show._line(width)) <= width
    show.now.done, show.now.total = 3, 7
    passes(100.0)
    assert cell_len(show._line(width)) <= width
    assert show._line(width).endswith(" 43% 2:13 left")
    for part in show.parts([title, "other"]):
        train(show, part, 500, 7, passes, 1000.0)
        assert cell_len(show._line(width)) <= width
        assert show._line(width).endswith(" left in all")
        break


def test_a_comparisons_table_keeps_its_lines(passes: Callable[[float], None]) -> None:
    show = ConsoleReporter()
    show.leaderboard("judging, tuned", 1, 8, ROWS)
    drawn = io.StringIO()
    Console(file=drawn, width=80, force_terminal=True).print(show._shown())
    lines = [SEQUENCE.sub("", line) for line in drawn.getvalue().splitlines()]
    assert all(cell_len(line) <= 80 for line in lines)
    assert lines[0].startswith("judging, tuned ━╌╌╌╌╌╌╌ 1 of 8 trials")
    assert len([line for line in lines if line.strip()]) == 5, "one line, a head with its rule, a line for each"


def terminal(command: list[str], cwd: Path, *, captured: bool) -> tuple[str, str]:
    """Run a command with standard error, or both, on a terminal of 80 columns; return what both got."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "COLUMNS", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "a2cli", *command],
        stdin=inside,
        stdout=subprocess.PIPE if captured else inside,
        stderr=inside,
        cwd=cwd,
        env={**env, "TERM": "xterm-256color"},
    )
    os.close(inside)
    shown = b""
    try:
        while part := os.read(outside, 65536):
            shown += part
    except OSError:  # the other end is closed
        pass
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    return (out or b"").decode(), shown.decode()


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS)
    return tmp_path


def test_what_captures_the_folder_leaves_progress_on_the_terminal(numbers: Path) -> None:
    """As in `run=$(a2 train-cnn --quiet)`."""
    command = ["train-cnn", *TINY, "--seeds", "2", "--jobs", "1", "--data", "set.npz", "--out", "run"]
    out, shown = terminal(command, numbers, captured=True)
    assert out == "run\n"
    for words in ("loading PyTorch 0:0", "packing set.npz at 8x8 pixels (once)", "seed 1 (2 of 2) ",
                  "drawing figures: "):  # fmt: skip
        assert words in shown
    assert "\x1b[1A" not in shown.partition("\x1b[?25h")[0], "a line that broke is taken back by going up"
    lines = apart_from_few(re.sub(r"\r+", "\n", SEQUENCE.sub("", shown)))
    assert max(map(cell_len, lines)) <= 80
    assert SEQUENCE.sub("", shown.rpartition("\x1b[2K")[2]).strip() == "", "nothing is left on the terminal"


def test_quiet_on_a_terminal_shows_the_folder_alone(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "CI": ""}.items():
        monkeypatch.setenv(name, value)
    for quiet, on_terminal, is_live in ((True, True, False), (True, False, True), (False, True, True)):
        monkeypatch.setattr(sys.stdout, "isatty", lambda on_terminal=on_terminal: on_terminal)
        with ConsoleReporter(quiet) as show:
            show.phase("packing")
            assert (show.is_live, show.is_plain) == (is_live, False)
        assert bool(capsys.readouterr().err) == is_live


# In a pipe


def test_a_pipe_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.03)
    with ConsoleReporter() as show:
        show.phase("packing set (once)")
        for number in show.batches(range(4), 4):
            time.sleep(0.1 if number == 2 else 0)
        show.phase("loading PyTorch", brief=True)
        time.sleep(0.1)
        show.now = Activity()
        time.sleep(0.1)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "packing set (once)"
    assert {"packing set (once): 50%, 0:00 left", "loading PyTorch: 0:00 so far"} <= {*others}
    assert len(others) >= 4
    assert progress.PLAIN_SECONDS < 1
    monkeypatch.undo()
    assert progress.PLAIN_SECONDS <= 30


def test_packing_in_a_pipe(monkeypatch: pytest.MonkeyPatch, data: Path, a2: A2) -> None:
    square = packer.square_of

    def slow(*arguments: Any) -> Any:
        time.sleep(0.06)
        return square(*arguments)

    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.03)
    monkeypatch.setattr(packer, "CHUNK", 1)
    monkeypatch.setattr(packer, "square_of", slow)
    lines = a2("data", "check", data).err.splitlines()
    shares = [
        int(found[1]) for line in lines if (found := re.fullmatch(r"packing .* \(once\): (\d+)%, 0:00 left", line))
    ]
    assert len(shares) > 1
    assert shares == sorted(shares)


def test_quiet_in_a_pipe_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.01)
    with ConsoleReporter(quiet=True) as show:
        show.phase("packing")
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


# What tells how far it is


def test_drawn_sets_and_downloads(tmp_path: Path) -> None:
    show = ConsoleReporter()
    show.phase("packing")

    def draw(label: int, rng: np.random.Generator) -> Any:
        from PIL import Image

        return Image.new("RGB", (4, 4))

    draw_set([("a", 2), ("b", 1)], 0, draw, show)
    assert (show.now.done, show.now.total) == (3, 3)
    (tmp_path / "there").write_bytes(bytes(2_500_000))
    show.phase("fetching")
    with told_to(show, torch.hub):
        torch.hub.download_url_to_file((tmp_path / "there").as_uri(), str(tmp_path / "here"))
    assert show.now.counted == "2.5 of 2.5 MB"
    assert torch.hub.tqdm.__name__ == "tqdm"


# Where the time goes


def test_the_parts_of_the_time_make_up_the_whole(passes: Callable[[float], None]) -> None:
    clock = Clock()
    passes(2.0)
    clock.turn("training")
    passes(5.0)
    before = clock.seconds()
    clock.turn("drawing")
    passes(1.0)
    clock.turn("training")
    passes(4.0)
    assert before == {"starting": 2.0, "training": 5.0, "all": 7.0}
    assert clock.seconds() == {"starting": 2.0, "training": 9.0, "drawing": 1.0, "all": 12.0}
    assert clock.seconds(before) == {"training": 4.0, "drawing": 1.0, "all": 5.0}, "of a run within"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("train-cnn --seeds 5 --jobs 2", "Runs: 5, 2 side by side"),
        ("train-cnn --seeds 5 --device cpu", "Runs: 5, 3 side by side"),
        ("train-mlp --folds 2 --jobs 1", "Runs: 2, one after the other"),
        ("train-cnn --seeds 2", "Runs: 2, 2 side by side on a CPU, one after the other on a GPU"),
        ("ablate -w hidden=4 --seeds 2", "Trials: 2 with each of 2 seeds, of 50 epochs each, 2 side by side"),
        ("compare-optimizers --jobs 3", "3 side by side"),
    ],
)
def test_a_dry_run_says_how_many_run_side_by_side(flags: str, words: str, a2: A2,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    for package in ("train", "ablate", "compare_optimizers"):
        monkeypatch.setattr(f"a2cli.{package}.checks.cores", lambda: 2)
    ended = a2(*flags.split(), "--dry-run")
    assert words in " ".join(ended.out.split()), ended

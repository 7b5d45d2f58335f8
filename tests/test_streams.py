"""Streams that are closed or full, and signals at any moment: nothing is lost, and the exit status says it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import TINY, contents, once

pytest.importorskip("fcntl", reason="these streams and signals are POSIX's")
A2_COMMAND = [sys.executable, "-m", "a2cli"]
TRAIN = ["train-cnn", *TINY[:-1], "--data", "set", "--out", "run"]


def in_shell(
    tmp_path: Path, arguments: Sequence[str], streams: str, command: Sequence[str] = A2_COMMAND
) -> subprocess.CompletedProcess[str]:
    """Run `a2` with its streams as a shell redirects them."""
    line = f"{shlex.join([*command, *once(arguments)])} {streams}"
    return subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120)


def without_a_reader(
    tmp_path: Path, arguments: Sequence[str], command: Sequence[str] = A2_COMMAND, *, errors_too: bool = False
) -> tuple[int, str]:
    """Run `a2 ... | head -0`, or with `2>&1`, and return its exit status and standard error."""
    reader, writer = os.pipe()
    os.close(reader)
    errors = writer if errors_too else subprocess.PIPE
    done = subprocess.run(
        [*command, *once(arguments)], cwd=tmp_path, stdout=writer, stderr=errors, text=True, timeout=120
    )
    os.close(writer)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "presets", "presets best", "train-cnn -h", "data get --help", "train-cnn --dry-run",
     "train-cnn --dry-run --json", "receptive-field"],
)  # fmt: skip
def test_results_that_nobody_reads(command: str, tmp_path: Path) -> None:
    assert without_a_reader(tmp_path, command.split()) == (141, "")


def done_and_whole(run: Path) -> bool:
    report = json.loads((run / "report.json").read_text())
    return report["status"] == "done" and all((run / name).is_file() for name in report["artifacts"])


def test_a_closed_pipe_stops_no_training(data: Path, tmp_path: Path, forked: Path) -> None:
    """As `a2 train-cnn ... 2>&1 | head -1` does."""
    command, image = [str(forked / "a2")], str(data / "ada/0.png")
    assert without_a_reader(tmp_path, TRAIN, command, errors_too=True) == (141, "")
    assert done_and_whole(tmp_path / "run")
    assert without_a_reader(tmp_path, ["predict", "--run", "run", image], command) == (141, "")
    status, _ = without_a_reader(tmp_path, ["predict", "--run", "run", image, "none.png"], command)
    assert status == 3, "an error comes first"


@pytest.mark.parametrize(("streams", "status"), [("<&- >&- 2>&-", 141), ("2>/dev/full", 0)])
def test_streams_without_an_end_stop_no_training(
    streams: str, status: int, data: Path, tmp_path: Path, forked: Path
) -> None:
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    before = contents(data)
    assert in_shell(tmp_path, TRAIN, streams, [str(forked / "a2")]).returncode == status
    assert done_and_whole(tmp_path / "run")
    assert contents(data) == before, "a file that was opened took the place of a closed stream"


@pytest.mark.parametrize(
    ("command", "streams", "status"),
    [("presets", ">&-", 141), ("presets", "2>&-", 0), ("presets", "<&-", 0), ("presets nosuch", "2>&- >&-", 2)],
)
def test_streams_that_are_closed_from_the_start(command: str, streams: str, status: int, tmp_path: Path) -> None:
    ended = in_shell(tmp_path, command.split(), streams)
    assert (ended.returncode, ended.stderr) == (status, "")


def started(tmp_path: Path, command: Sequence[str] = A2_COMMAND) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*command, *once([*TRAIN, "--epochs", "100000"])], cwd=tmp_path,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, preexec_fn=heard,
    )  # fmt: skip


def heard() -> None:
    """Have signals do what they do in a shell, however the tests were started: nohup has SIGHUP ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def interrupted(tmp_path: Path, after: float, number: int) -> tuple[int, str]:
    """Send a signal so many seconds after the start, and return the exit status and standard error."""
    process = started(tmp_path)
    time.sleep(after)
    process.send_signal(number)
    try:
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()  # one that goes on would disturb the tests that follow
    return process.returncode, errors


@pytest.mark.parametrize("after", [0.2, 0.5, 1.0])
def test_ctrl_c_while_it_starts(after: float, data: Path, tmp_path: Path) -> None:
    status, errors = interrupted(tmp_path, after, signal.SIGINT)
    assert status == 130
    assert not [
        line
        for line in errors.splitlines()
        if not line.startswith(("loading", "packing", "warning", "interrupted; go"))
    ]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_while_it_starts(number: int, status: int, data: Path, tmp_path: Path) -> None:
    assert interrupted(tmp_path, 0.4, number)[0] == status


def test_ctrl_c_while_torch_is_loaded_waits_for_it() -> None:
    pressed_within = """
import os, signal, sys
from a2cli import main
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._C":  # compiled; an exception raised in it aborts the process
            os.kill(os.getpid(), signal.SIGINT)
def load():
    sys.meta_path.insert(0, Press())
    try:
        import torch
    except KeyboardInterrupt:
        sys.stderr.write("raised while loading")
        raise
    signal.sigtimedwait([], 10)
main.run_command = load
main.main()
"""
    ended = subprocess.run([sys.executable, "-c", pressed_within], timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_an_interrupt_while_a_library_tries_an_import_is_not_lost(tmp_path: Path) -> None:
    """One with a bare `except:`, as where something optional is imported."""
    (tmp_path / "optional.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    interrupted_within = """
import sys, time
from a2cli import main
def load():
    try:
        import optional
    except:
        pass
    time.sleep(1)
    sys.stderr.write("went on")
main.run_command = load
main.main()
"""
    command = [sys.executable, "-c", interrupted_within]
    ended = subprocess.run(command, cwd=tmp_path, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (143, "")


def test_ctrl_c_pressed_again_as_it_ends_leaves_the_status() -> None:
    interrupted_at_its_end = """
import atexit, os, signal
from a2cli import main
main.run_command = lambda: os.kill(os.getpid(), signal.SIGINT)
atexit.register(os.kill, os.getpid(), signal.SIGINT)
main.main()
"""
    assert subprocess.run([sys.executable, "-c", interrupted_at_its_end], timeout=60).returncode == 130


def test_ctrl_c_twice_while_it_trains(data: Path, tmp_path: Path, forked: Path) -> None:
    process = started(tmp_path, [str(forked / "a2")])
    while not list((tmp_path / "run").glob("metrics.csv")):
        assert process.poll() is None
        time.sleep(0.05)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert process.communicate(timeout=60)[1].splitlines()[-1].startswith("interrupted; go on with: a2 train-cnn")
    assert process.returncode == 130
    assert json.loads((tmp_path / "run/report.json").read_text())["status"] == "interrupted"

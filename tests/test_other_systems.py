"""What differs on Windows and macOS, as far as that can be tried without them: their calls are imitated."""

import errno
import io
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import A2, TINY, draw_classes

from a2cli import main, storage
from a2cli.command_line import arguments as common
from a2cli.console import streams
from a2cli.data.sources import find_source
from a2cli.progress import NullReporter


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_read_is_replaced_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.json").write_text("old")
    whole, tries = Path.replace, []

    def replace(source: Path, target: Path) -> Path:
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(target))
        return whole(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(storage.time, "sleep", lambda _: None)
    storage.write(tmp_path / "report.json", b"new")
    assert ((tmp_path / "report.json").read_text(), len(tries)) == ("new", 3)
    monkeypatch.setattr(storage, "WINDOWS_TRIES", 0)
    tries.clear()
    with pytest.raises(PermissionError):
        storage.write(tmp_path / "report.json", b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.usefixtures("windows")
def test_locks_are_those_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[int, int, int]] = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        if held:
            raise PermissionError(errno.EACCES, "Permission denied")
        held.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))

    monkeypatch.setattr(storage, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2), raising=False)
    with (tmp_path / "file").open("a+b") as file:
        file.write(b"something")
        assert storage.lock(file, wait=False)
        assert (held, file.tell()) == ([(0, 2, 1)], 9)
        with pytest.raises(BlockingIOError):
            storage.lock(file, wait=False)
        monkeypatch.setattr(storage.time, "sleep", lambda _: held.clear())
        assert storage.lock(file, wait=True)


def test_how_to_go_on_is_quoted_as_the_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert common._quoted("runs/my run") == "'runs/my run'"
    monkeypatch.setattr(sys, "platform", "win32")
    assert common._quoted(r"runs\train-cnn-1") == r"runs\train-cnn-1"
    assert common._quoted(r"runs\my run") == r'"runs\my run"'


def test_a_pipe_that_is_not_unicode_takes_every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "cp1252")
    with monkeypatch.context() as patch:  # closed before anything makes a path
        patch.setattr(sys, "stdout", stream)
        patch.setattr(os, "name", "nt")
        streams.open_streams()
    stream.write("█ café\n")
    stream.flush()
    assert written.getvalue() == "\\u2588 café\n".encode("cp1252")


def test_an_interrupt_is_sent_again_without_ending_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    timers = SimpleNamespace(Timer=lambda _, send, arguments: SimpleNamespace(start=lambda: send(*arguments)))
    monkeypatch.setattr(main, "threading", timers)
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("this ends a process on Windows"))
    monkeypatch.setattr(sys, "platform", "win32")
    interrupts = main.Interrupts()
    interrupts.status = 130
    interrupts._unraisable(SimpleNamespace(exc_value=KeyboardInterrupt()))
    assert sent == [signal.SIGINT]


def test_images_have_the_same_names_on_each_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = find_source(str(draw_classes(tmp_path / "set", count=2)))
    assert source.items(NullReporter()).names == ["ada/0.png", "ada/1.png", "bea/0.png", "bea/1.png"]

    def other_drive(path: str, _: object) -> str:
        raise ValueError(f"path is on mount 'D:', start on mount 'C:': {path}")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    assert find_source(str(tmp_path / "set")).items(NullReporter()).names[0] == (tmp_path / "set/ada/0.png").as_posix()


def test_folders_without_numbers_are_not_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_classes(tmp_path / "set", count=2)
    stat = Path.stat

    def numberless(path: Path, **options: bool) -> os.stat_result:
        mode, _, _, *others = stat(path, **options)
        return os.stat_result((mode, 0, 0, *others))

    monkeypatch.setattr(Path, "stat", numberless)
    assert len(find_source(str(tmp_path / "set")).items(NullReporter()).labels) == 4


def test_without_affinity_all_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from a2cli.machine import cores

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # macOS, Windows
    assert cores() == os.cpu_count()


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("The operator 'aten::unique' is not currently implemented for the MPS device."),
        TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."),
    ],
)
def test_what_apples_gpus_cannot_compute(error: Exception, data: Path, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("a2cli.train.run.set_up", lacking)
    a2("train-cnn", *TINY, "--data", "set").refused(2, "--device mps cannot compute this (", "; use --device cpu")

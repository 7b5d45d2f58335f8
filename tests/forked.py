"""`a2` without its start-up: copies of a process that has loaded torch and all of a2cli, and computed nothing.

`python forked.py SOCKET` is that process; it ends with its standard input. `client` is the `a2` that `started` makes:
it hands over its arguments, environment, folder, ignored signals and open standard streams, passes signals on
and ends as its copy does; where it is killed, so is the copy. What is tested is the copy: `main()` from its beginning,
on the client's streams. It draws a third of the built-in sets. Linux only.
"""

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST = 1 << 20  # bytes of arguments and environment


@contextmanager
def started(folder: Path) -> Iterator[Path]:
    """Put an `a2` that starts at once into a folder, for as long as this lasts; without Linux, the installed one."""
    import subprocess
    import tempfile

    if sys.platform != "linux":
        (folder / "a2").symlink_to(Path(sys.executable).with_name("a2"))
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="a2-") as short:  # a socket's path has at most 107 characters
        address = f"{short}/socket"
        lines = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport forked\n"
        (folder / "a2").write_text(f"#!{sys.executable} -IS\n{lines}forked.client({address!r})\n")
        (folder / "a2").chmod(0o700)
        one = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a copy has no other threads
        command, pipe = [sys.executable, __file__, address], subprocess.PIPE
        with subprocess.Popen(command, env=one, stdin=pipe, stdout=pipe, start_new_session=True) as server:
            assert server.stdout and server.stdout.readline() == b"ready\n"
            yield folder
            server.communicate(timeout=60)  # its input ends, and with it the server


def client(address: str) -> None:
    """Have a copy run `a2` with this process's arguments, and end as it ends."""
    opened = [number for number in (0, 1, 2) if _is_open(number)]
    for _ in range(len(opened), 3):
        os.open(os.devnull, os.O_RDWR)  # so that the socket is none of them
    ignored = [number for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN]
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(address)
    own = [int(number) for number in ignored], opened, os.umask(0), os.getpid()
    asked = [sys.argv, dict(os.environ), os.getcwd(), *own]
    socket.send_fds(server, [json.dumps(asked).encode()], opened)
    pid = int(server.recv(100))
    for number in {*PASSED_ON} - {*ignored}:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    for number in opened:  # only the copy holds its pipes open now
        os.close(number)
    status = int(server.recv(100) or 1)
    if status < 0:
        with suppress(OSError):  # SIGKILL has nothing else
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def serve(address: str) -> None:
    """Answer clients until standard input ends."""
    _load()
    assert len(os.listdir("/proc/self/task")) == 1, "a copy would lack this process's other threads"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(64)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([0, listener], [], [])
        if 0 in ready:
            os._exit(0)
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            _attend(connection)
        connection.close()
        while _ended(-1):
            pass


def _load() -> None:
    import gc
    import pkgutil
    from importlib import import_module

    gc.disable()
    for found in pkgutil.walk_packages(import_module("a2cli").__path__, "a2cli."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    for name in ("torchvision", "sklearn.linear_model", "joblib", "typer", "rich.live", "PIL.PngImagePlugin"):
        import_module(name)
    for name in ("atelier", "portraits"):
        module = import_module(f"a2cli.drawn_sets.{name}")
        module.draw_set = partial(_draw_a_third, module.draw_set)
    gc.freeze()
    gc.enable()


def _draw_a_third(draw_set: Any, classes: list[tuple[str, int]], *more: Any) -> Any:
    """Draw a third of each class, and ten images at least: a random split leaves fewer out of the training."""
    return draw_set([(name, max(10, count // 3)) for name, count in classes], *more)


def _ended(pid: int) -> int:
    try:
        return os.waitpid(pid, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def _attend(connection: socket.socket) -> None:
    """Fork the copy for one client, and tell it how that ended."""
    message, descriptors, _, _ = socket.recv_fds(connection, MOST, 3)
    pid = os.fork()
    if not pid:
        connection.close()
        _run(json.loads(message), descriptors)
    for descriptor in [0, 1, 2, *descriptors]:
        os.close(descriptor)
    connection.send(str(pid).encode())
    ready, _, _ = select.select([connection, os.pidfd_open(pid)], [], [])
    if connection in ready:  # the client is gone
        os.kill(pid, signal.SIGKILL)
        os._exit(0)
    connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def _run(asked: list, descriptors: list[int]) -> None:
    """Become the client, and run `a2`."""
    arguments, environment, folder, ignored, opened, umask, pid = asked
    import multiprocessing.process
    import multiprocessing.util
    import types

    _be_named(f"a2-{pid}")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.umask(umask)
    sys.argv = arguments
    multiprocessing.process.ORIGINAL_DIR = folder
    sys.modules["__main__"] = types.ModuleType("__main__")
    for number in PASSED_ON:
        own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in ignored else own)
    for number in (0, 1, 2):
        os.close(number)
    for number, descriptor in zip(opened, descriptors, strict=True):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        if descriptor not in opened:
            os.close(descriptor)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        setattr(sys, name, open(number, mode, closefd=False) if number in opened else None)  # noqa: SIM115
    spawn = multiprocessing.util.spawnv_passfds
    multiprocessing.util.spawnv_passfds = lambda path, words, kept: _spawned(spawn, path, words, kept)

    from a2cli.main import main

    main()


def _be_named(name: str) -> None:
    """Have `ps -o comm` show this process by a name of at most 15 letters."""
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def _spawned(spawn: Any, path: bytes, words: list[str], kept: list[int]) -> int:
    """Start multiprocessing's server of processes as a copy as well; anything else as it is."""
    if "multiprocessing.forkserver" not in words[-1]:
        return spawn(path, words, kept)
    if pid := os.fork():
        return pid
    _be_named("forkserver")
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with suppress(OSError):  # that of the listing itself
                os.close(int(name))
    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        exec(words[-1], {})
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])

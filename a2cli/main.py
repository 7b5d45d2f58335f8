"""One run of `a2`, from its arguments to its exit status: an error is one line.

What takes time to import is imported inside functions, so that Ctrl-C and closed streams are seen to before anything.
"""

import atexit
import gc
import os
import signal
import sys
import textwrap
import threading
import time
import warnings
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from a2cli.text import printable

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

LONGEST_IMPORT_SECONDS = 10.0
DOUBLE_PRESS_SECONDS = 0.5


def main() -> None:
    """Run `a2` and end with its exit status."""
    interrupts = Interrupts()
    interrupts.handle()
    status = 1
    try:
        from a2cli.console import streams

        streams.open_streams()
        # Importing torch makes 200,000 objects and no garbage; search them twice, not 300 times.
        gc.set_threshold(100_000)
        status = run_command()
        if streams.nobody_reads_results():
            status = status or 141
    except BaseException:  # an interrupt, or what a library that was interrupted while being imported made of it
        if not interrupts.status:
            raise
    status = interrupts.status or status
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # Everything is safe, and the second half of a double press must not change the exit status.
        signal.signal(signal.SIGINT, signal.SIG_IGN if interrupts.status else signal.SIG_DFL)
    atexit._run_exitfuncs()  # temporary folders are removed
    os._exit(status)  # all is written and flushed; taking torch and torchvision down would take up to a second


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP: raised as exceptions, and the exit status to end with, whatever becomes of those."""

    def __init__(self) -> None:
        self.status, self.last, self.first = 0, 0.0, 0.0

    def handle(self) -> None:
        """Handle them from now on, but for those that are ignored, as nohup and a shell's & have it."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        sys.unraisablehook = self._unraisable

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # Where a module is loaded, torch's C++ aborts the process where an exception reaches it, and what a library
        # tries to import under a bare `except:` loses it.
        self.first = self.first or time.monotonic()
        if _is_loading_torch() or (_is_importing(frame) and time.monotonic() - self.first < LONGEST_IMPORT_SECONDS):
            _send_again(number)
            return
        now = time.monotonic()
        if self.status and now - self.last < DOUBLE_PRESS_SECONDS:
            return  # pressed twice: let what the first one began, such as writing the report, come to its end
        self.status, self.last = 128 + number, now
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(self.status)

    def _unraisable(self, unraisable: "UnraisableHookArgs") -> None:
        """Send a signal again whose exception was raised where none can leave, such as in an object's finalizer."""
        if self.status and isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit):
            self.last = 0.0
            _send_again(self.status - 128)
        elif not isinstance(unraisable.exc_value, MemoryError):  # which the next line of code meets again, and says
            sys.__unraisablehook__(unraisable)


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether this frame, or one that called it, is that of the import system."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_loading_torch() -> bool:
    return getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False)


def _send_again(number: int) -> None:
    """Send this process a signal in a moment."""
    send = signal.raise_signal if sys.platform == "win32" else partial(os.kill, os.getpid())
    again = threading.Timer(0.01, send, (number,))  # Windows' os.kill ends the process at once
    again.daemon = True
    again.start()


class _RoomForTorch:
    """Finds no module; where torch is looked for first and there is no room for it, it raises MemoryError."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "torch":
            from a2cli.machine import has_room_for_torch, memory_limit

            if memory_limit() is not None and not has_room_for_torch():
                raise MemoryError


def run_command() -> int:
    """Run the command that the arguments name, and return its exit status; an error is one line."""
    if _RoomForTorch not in sys.meta_path:
        sys.meta_path.insert(0, _RoomForTorch)
    # torch's; that numpy is missing is said in one line
    warnings.filterwarnings("ignore", "Failed to initialize NumPy")
    try:
        return _run_command()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        status, message = explained(error)
        try:
            from a2cli.console import base as console

            if "--debug" in sys.argv:
                console.show_traceback(error)
            console.error(message)
        except (ImportError, MemoryError):  # what it needs is not installed, or there is no memory to load it
            sys.stderr.write(f"error: {printable(message)}\n")
        return status


def _run_command() -> int:
    from a2cli.commands import COMMANDS, GROUPS
    from a2cli.console import base as console
    from a2cli.errors import SettingsError
    from a2cli.settings.flag_names import hyphenated

    words = sys.argv[1:]
    lists = bool(words) and f"{words[0]} list" in COMMANDS  # `a2 runs` lists them
    if lists and " ".join(map(hyphenated, words[:2])) not in COMMANDS and words[1:2] not in (["-h"], ["--help"]):
        words.insert(1, "list")
    named = [hyphenated(word) for word in words[:2]]
    command = next((name for name in (" ".join(named), " ".join(named[:1])) if name in COMMANDS), "")
    if command and {"-h", "--help"} & {*words}:  # before the parser, which takes as long to load as all else
        from a2cli.app.help import help_of

        console.out(help_of(command))
        return 0

    import typer
    from typer.exceptions import TyperException

    from a2cli.app.app import app

    try:
        status = app(words, standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except typer.Abort:
        return 130
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # `a2` or `a2 data` alone
            console.note(*message.split("\n"))
            return SettingsError.exit_status
        if command and message.startswith("No such option"):
            from a2cli.app.unknown_flags import no_such_option

            message = no_such_option(command, str(getattr(error, "option_name", "")), words)
        group = named[0] if named[0] in GROUPS else ""
        page = " ".join(("a2", command or group)).rstrip()
        raise SettingsError(f"{message.rstrip('.')}; see '{page} --help'") from error


def _beginning(error: Exception) -> str:
    return " ".join(str(error).split())[:100]


def _smaller() -> str:
    """Return what takes less memory, by the flags that the command has."""
    table = sys.modules.get("a2cli.commands")  # there may be no memory to load it
    command = table.COMMANDS.get(sys.argv[1]) if table and sys.argv[1:] else None
    try:
        items = command.declared() if command else []
    except (ImportError, MemoryError):
        items = []
    flags = [item.flag for item in items if item.name in {"batch_size", "image_size"}]
    return f"a smaller {', '.join(flags)} or network" if flags else "a smaller network or fewer images"


def _no_memory() -> str:
    """Say that there is no memory, and what to do; what does not fit within a limit may be torch itself."""
    from a2cli.machine import memory_limit

    if (limit := memory_limit()) is None:
        return f"not enough memory; use {_smaller()}"
    is_loaded = "torch" in sys.modules and not _is_loading_torch()
    otherwise = f", or use {_smaller()}" if is_loaded else ""
    return f"not enough memory within the {limit / 1e6:,.0f} MB that 'ulimit -v' allows; raise it{otherwise}"


def explained(error: Exception) -> tuple[int, str]:
    """Return the exit status that an error leads to, and its line."""
    from a2cli.errors import A2Error, DataError, SettingsError, is_memory, is_missing_on_mps, not_installed

    if isinstance(error, A2Error):
        return error.exit_status, str(error)
    if is_memory(error):
        return SettingsError.exit_status, _no_memory()
    if isinstance(error, OSError):
        return DataError.exit_status, f"{error.filename or 'output'}: {error.strerror or error}"
    if is_missing_on_mps(error):
        return SettingsError.exit_status, f"--device mps cannot compute this ({_beginning(error)}); use --device cpu"
    if missing := not_installed(error):
        return SettingsError.exit_status, missing
    said = textwrap.shorten(str(error), 300, placeholder=" ...")  # torch's can be pages long
    return 1, f"a bug in a2, please report it: {type(error).__name__}: {said} (--debug shows where)"

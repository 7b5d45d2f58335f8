"""The standard streams of `a2`, whatever they are connected to: messages and results never stop what is under way.

A message that cannot be written (standard error closed, its disk full) is dropped. Results that nobody reads (standard
output closed) are dropped as well; that they were is asked at the end, for the exit status. Standard output that is
full raises OSError.
"""

import io
import os
import sys
from typing import Any


class _Messages(io.FileIO):
    """Standard error, which drops what cannot be written."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content) or 0
        except OSError:
            return len(content)


class _Results(io.FileIO):
    """Standard output, which drops what nobody reads; anything else that goes wrong it raises once."""

    nobody_reads = has_failed = False

    def write(self, content: Any, /) -> int:
        if self.has_failed:  # else Python would try again at exit, and end with a status of its own
            return len(content)
        try:
            return super().write(content) or 0
        except BrokenPipeError:
            self.nobody_reads = self.has_failed = True
            return len(content)
        except OSError:
            self.has_failed = True
            raise


def open_streams() -> None:
    """Make standard output and standard error as above; those closed from the start are opened onto nothing."""
    encodings = [stream.encoding if stream else "utf-8" for stream in (sys.stdout, sys.stderr)]
    _open_closed_descriptors()
    if os.name != "posix":  # on Windows a console is no file, and a pipe is seldom UTF-8
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return
    # A folder's name need not be text in the terminal's encoding; a pipe gets its bytes as they are.
    errors = "surrogateescape" if encodings[0].lower() == "utf-8" else "backslashreplace"
    results = io.BufferedWriter(_Results(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(results, encodings[0], errors, line_buffering=results.isatty())
    messages = io.BufferedWriter(_Messages(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(messages, encodings[1], "backslashreplace", line_buffering=True)


def _open_closed_descriptors() -> None:
    """Open each closed standard descriptor, which the next file opened would otherwise be given: output with no reader.

    Input and messages are opened onto nothing.
    """
    closed = []
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if 1 in closed:
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(reader)
        os.close(writer)


def nobody_reads_results() -> bool:
    """Return whether results were dropped, as standard output is closed."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Results) and raw.nobody_reads

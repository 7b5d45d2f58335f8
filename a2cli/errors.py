"""What can go wrong through no bug of ours, and the exit status each ends with.

An error's message is one line: what was expected, what was got, in which file or flag, and what to do next.
"""

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

FROM_WHERE_IT_BEGAN = "a run keeps its path as it was given, relative to the folder where the run began: go there"


# How libraries say that there is no memory, some of them while they are being imported.
NO_MEMORY = (
    "allocate memory",
    "out of memory",
    "bad_alloc",
    "failed to map segment",
    "cannot map zero-fill pages",
    "can't start new thread",
    "thread creation failed",
    "resource temporarily unavailable",
)


class A2Error(Exception):
    """A mistake the user can mend; shown as one line, never as a traceback."""

    exit_status = 1


class SettingsError(A2Error):
    """A flag, preset or combination of settings that cannot be used."""

    exit_status = 2


class DataError(A2Error):
    """Data, weights or a run's folder that cannot be used."""

    exit_status = 3


class MissingDataError(DataError):
    """A data set that is not where it is looked for, with what it was named by."""

    def __init__(self, message: str, data: str) -> None:
        super().__init__(message)
        self.data = data


class DivergedError(A2Error):
    """Training produced a loss that is not a finite number."""

    exit_status = 4


class RefutedError(A2Error):
    """A check that was asked for came out false."""

    exit_status = 5


def nearest(word: str, words: Iterable[str]) -> str:
    """Return '; did you mean …?' for the word most like this one, or nothing."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def is_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one that led to it, is that there is no memory."""
    while error is not None:
        words = str(error).lower()
        if isinstance(error, MemoryError) or any(one in words for one in NO_MEMORY):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Say in an error what it is of, such as one of several seeds; nothing if `what` is empty."""
    try:
        yield
    except A2Error as error:
        if what:
            error.args = (f"{what}: {error}", *error.args[1:])
        raise

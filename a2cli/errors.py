"""What can go wrong through no bug of ours, and the exit status each ends with.

An error's message is one line: what was expected, what was got, in which file or flag, and what to do next.
"""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from a2cli.text import printable

FROM_WHERE_IT_BEGAN = "a run keeps its path as it was given, relative to the folder where the run began: go there"
SAY_WHERE = "say where it lies now with {}"

INSTALLED_AS = {"PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit-learn", "annotated_types": "annotated-types"}
NOT_ON_MPS = ("not currently implemented for the MPS", "doesn't support float64", "not supported on MPS")
MOST_NAMES = 10_000  # of a folder that are looked through for one like a name that is not there

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
    """Data, weights or a run directory that cannot be used."""

    exit_status = 3


class MissingDataError(DataError):
    """What a run is made from and is not where it is looked for, with the flag and the name that it was named by."""

    def __init__(self, message: str, data: str, flag: str = "--data") -> None:
        super().__init__(message)
        self.data, self.flag = data, flag


class DivergedError(A2Error):
    """Training produced a loss that is not a finite number."""

    exit_status = 4


class RefutedError(A2Error):
    """A check that was asked for came out false."""

    exit_status = 5


def nearest(word: str, words: Iterable[str]) -> str:
    """Return '; did you mean …?' for the word most like this one, or nothing."""
    by_small = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), by_small, n=1)
    return f"; did you mean {by_small[close[0]]!r}?" if close else ""


def no_file(path: str, expected: str) -> str:
    """Return why a path is not the file that was expected: it is a folder, or not there."""
    try:
        is_folder = Path(path).is_dir()
    except OSError:
        is_folder = False
    return f"is a folder; expected {expected}" if is_folder else missing(path)


def missing(path: str) -> str:
    """Return 'does not exist' for a path, with the path that is there and nearest to it; or why it cannot be seen."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        near = _path_like(Path(path))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    else:
        return "is a link that leads nowhere"
    return f"does not exist{f'; did you mean {printable(str(near))!r}?' if near else ''}"


def _path_like(path: Path) -> Path | None:
    """Return the path that is there and whose names are most like those of one that is not."""
    nearby = Path(path.anchor)
    for name in path.relative_to(path.anchor).parts:
        if not os.path.lexists(nearby / name):
            try:
                with os.scandir(nearby) as entries:
                    names = {entry.name.lower(): entry.name for entry in islice(entries, MOST_NAMES)}
            except OSError:
                return None
            beginning = [small for small in names if small.startswith(name.lower())]
            close = difflib.get_close_matches(name.lower(), names, n=1) or beginning * (len(beginning) == 1)
            if not close:
                return None
            nearby /= names[close[0]]
        else:
            nearby /= name
    return nearby if nearby != path and os.path.lexists(nearby) else None


def is_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one that led to it, is that there is no memory."""
    while error is not None:
        words = str(error).lower()
        if isinstance(error, MemoryError) or any(phrase in words for phrase in NO_MEMORY):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        error = error.__cause__ or error.__context__
    return False


def is_missing_on_mps(error: BaseException) -> bool:
    """Return whether an error is that Apple's GPUs cannot compute something, as torch says it."""
    lacks = isinstance(error, NotImplementedError | TypeError | RuntimeError)
    return lacks and "MPS" in str(error) and any(words in str(error) for words in NOT_ON_MPS)


def not_installed(error: Exception) -> str:
    """Return how to install what an error says is missing, where it is a package that is not ours; else ''."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package in {"", "a2cli"}:
        return ""
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return f"{package} is not installed; install it with: pip install {INSTALLED_AS.get(package, package)}"
    return f"{package} cannot be loaded ({error}); install it again, or see --debug"


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Say in an error what it is of, such as one of several seeds; nothing if `what` is empty."""
    try:
        yield
    except A2Error as error:
        if what:
            error.args = (f"{what}: {error}", *error.args[1:])
        raise

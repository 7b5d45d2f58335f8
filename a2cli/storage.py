"""How everything is stored: written whole and on disk for good, and with a SHA-256 that is checked before it is used.

JSON holds the SHA-256 of its other values, YAML that of the lines above the last one, which is a comment.
"""

import errno
import hashlib
import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from a2cli.errors import DataError, missing
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.strict_json import to_json
from a2cli.text import printable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DIGEST_KEY = "sha256"
LOCK = ".lock"
TEMPORARY = ".writing-"
MOST_JSON = 256 << 20  # bytes; a report of a thousand runs has some ten millions
UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}  # as file systems of clusters answer
MOST_COMMAND = 1000  # bytes of a config's first line, which names the command
WINDOWS_TRIES = 20  # at replacing a file that is being read, over two seconds
YAML_DIGEST = b" sha256: "
HASHED_BYTES = 1 << 20  # of a large file at a time


# Writing


@contextmanager
def durable(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` at the end, on disk for good; if anything fails, nothing changes.

    Its permissions are those that the umask leaves. Raises OSError.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _replace(temporary: Path, path: Path) -> None:
    """Give a file another's name and place; raises OSError."""
    for _ in range(WINDOWS_TRIES if sys.platform == "win32" else 0):  # where no file is replaced while it is read
        with suppress(PermissionError):
            temporary.replace(path)
            return
        time.sleep(0.1)
    temporary.replace(path)


def hashed(path: Path, reporter: ProgressReporter | None = None) -> "hashlib._Hash":
    """Return the SHA-256 of a file so far, for more to be added; raises OSError, and DataError for no file.

    It is read as a file, as a failed read of mapped memory ends the process.
    """
    check_regular(path)
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        pieces = -(-os.fstat(file.fileno()).st_size // HASHED_BYTES)
        for piece in (reporter or NullReporter()).batches(iter(lambda: file.read(HASHED_BYTES), b""), pieces):
            digest.update(piece)
    return digest


def write(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it, whole or not at all; raises OSError."""
    make_folder(path.parent)
    with durable(path) as file:
        file.write(content)


def check_absent(flag: str, path: str, *, overwrite: bool) -> None:
    """Raise DataError where the file that a flag names is there already, and not to be overwritten; a folder never is.

    Raises DataError as well where there is no folder to write it in.
    """
    target = Path(path)
    if target.is_dir():
        raise DataError(f"{flag} {path}: is a folder; name a file")
    if not target.parent.is_dir():
        raise DataError(f"{flag} {path}: cannot be written (there is no folder {target.parent})")
    if not os.access(target.parent, os.W_OK):
        raise DataError(f"{flag} {path}: cannot be written (Permission denied)")
    if os.path.lexists(target) and not overwrite:
        raise DataError(f"{flag} {path}: already there; name another file, or use --overwrite")


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it, and return those that were not there, itself first; raises OSError."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        sync_folder(path.parent)
    return made


def sync_folder(folder: Path) -> None:
    """Put a folder's list of files on disk, without which a new name may be lost; raises OSError."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder may be written and not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def lock_file(folder: Path, mode: str) -> IO[Any]:
    """Open the file by which a folder is held; raises OSError, and DataError for a pipe in its place."""
    path = folder / LOCK
    if path.exists() and not path.is_dir():
        check_regular(path)
    return path.open(mode)


def lock(file: IO[Any], *, wait: bool) -> bool:
    """Hold a lock on an open file until it is closed, and return whether that can be done on its file system.

    Raises BlockingIOError where another process holds it, unless `wait`, and OSError.
    """
    if sys.platform == "win32":
        return _lock_on_windows(file, wait=wait)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    return True


def _lock_on_windows(file: IO[Any], *, wait: bool) -> bool:
    """Lock a file's first byte, which need not be there."""
    if sys.platform == "win32":
        position = file.seek(0, os.SEEK_CUR)
        while True:
            file.seek(0)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except PermissionError as error:
                if not wait:
                    raise BlockingIOError(error.errno, error.strerror) from None
                time.sleep(0.1)
            else:
                file.seek(position)
                return True
    return False


def never_began(folder: Path) -> bool:
    """Return whether a folder is that of a run stopped before it began: it holds unfinished files at the most."""

    def refuse(error: OSError) -> None:
        raise error  # os.walk would pass over what may not be read

    try:
        for root, folders, names in os.walk(folder, onerror=refuse):
            foreign = [name for name in names if name != LOCK and not name.startswith(TEMPORARY)]
            if foreign or any((Path(root) / name).is_symlink() for name in folders):
                return False
    except OSError:
        return False
    return folder.is_dir()


def no_run(path: Path) -> str:
    """Return why a path is not a run directory, and which one could be meant."""
    if not os.path.lexists(path):
        inside = Path("runs") / path
        return f"does not exist; did you mean {printable(str(inside))!r}?" if is_run(inside) else missing(str(path))
    if above := next((folder for folder in path.parents if is_run(folder)), None):
        return f"is inside a run directory; name that, {printable(str(above))}"
    try:
        if is_broken_link(path):
            return missing(str(path))
        if not path.is_dir():
            return "is a file; expected a run directory"
        configs = [*path.glob("*/config.yaml"), *path.glob("runs/*/config.yaml")]
        if runs := sorted(configs, key=lambda config: config.stat().st_mtime):
            done = [config.parent for config in runs if _is_done(config.parent)]
            newest = f"newest finished one, {done[-1]}" if done else f"newest, {runs[-1].parent}"
            return f"holds runs; name one of them, such as the {printable(newest)}"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "not a run directory (it has no config.yaml)"


def is_broken_link(path: Path) -> bool:
    """Return whether a path is a link to nothing."""
    with suppress(PermissionError):  # where it leads may not be looked at
        return path.is_symlink() and not path.exists()
    return False


def _is_done(run: Path) -> bool:
    """Return whether a run's report says that it is finished."""
    try:
        return read_json(run / "report.json").get("status") == "done"
    except (OSError, DataError):
        return False


def is_run(folder: Path, command: str = "") -> bool:
    """Return whether a folder is a run's, of this command if one is named, as far as anyone may see."""
    config = folder / "config.yaml"
    try:
        if not command or not config.is_file():  # a pipe is none, and would be read for ever
            return config.is_file()
        with config.open("rb") as file:
            return file.readline(MOST_COMMAND).rstrip() == f"command: {command}".encode()
    except OSError:
        return False


# Checking


def digest_of(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of values as JSON, the same for values that were read from JSON."""
    return hashlib.sha256(to_json(dict(values)).encode()).hexdigest()


def with_digest(values: Mapping[str, Any], key: str = DIGEST_KEY) -> dict[str, Any]:
    """Return values with their own SHA-256 under `key`."""
    others = {name: value for name, value in values.items() if name != key}
    return {**others, key: digest_of(others)}


def without_digest(values: Mapping[str, Any], path: Path, key: str = DIGEST_KEY) -> dict[str, Any]:
    """Return values without their SHA-256 under `key`; raises DataError where it is missing or of other values."""
    others = {name: value for name, value in values.items() if name != key}
    try:
        digest = digest_of(others)
    except RecursionError:
        raise DataError(f"{path}: damaged (values within values, too deep)") from None
    if values.get(key) != digest:
        raise DataError(f"{path}: damaged or edited (its SHA-256 is not the one written in it)")
    return others


def check_regular(path: Path) -> int:
    """Return a file's size; raises OSError, and DataError for a pipe or a device, reading which might never end."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise DataError(f"{path}: damaged (not a regular file)")
    return about.st_size


def read_json(path: Path) -> dict[str, Any]:
    """Return the values of a JSON file; raises OSError, and DataError where it holds no JSON object or is too large."""
    if check_regular(path) > MOST_JSON:  # reading at most so many bytes would make room for all of them first
        raise DataError(f"{path}: damaged (larger than {MOST_JSON:,} bytes)")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged (not JSON: {' '.join(str(error).split())[:80]})") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: damaged (expected a JSON object, got {type(values).__name__})")
    return values


def yaml_with_digest(content: bytes) -> bytes:
    """Return YAML with a last line, a comment, that has the SHA-256 of the others."""
    return content + b"#" + YAML_DIGEST + hashlib.sha256(content).hexdigest().encode() + b"\n"


def yaml_was_edited(content: bytes) -> bool:
    """Return whether YAML that has a SHA-256 is not as it was written."""
    lines, marker, digest = content.rpartition(YAML_DIGEST)
    whole = lines.endswith(b"\n#") and digest.strip() == hashlib.sha256(lines[:-1]).hexdigest().encode()
    return bool(marker) and not whole

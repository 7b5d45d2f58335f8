"""The real paintings: fetched on request from public archives, each file held to its SHA-256 before it is written.

An archive is not trusted: it decides neither where a file goes nor what is in it, so any source will do, and several
can be combined. What is on its way lies in `DESTINATION.download/`, beside the destination.
"""

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import IO

from a2cli.errors import DataError
from a2cli.storage import lock, write

ATTEMPTS = 3  # a source that is cut off this often gives way to the next
SLOWEST = 1000  # bytes a second; below it, an archive of 30 MB would take eight hours
MAX_ARCHIVE = 200_000_000  # bytes; an endless answer ends here
MAX_UNPACKED = 500_000_000  # bytes; so does a gzip bomb
MAX_MEMBERS = 100_000  # tarfile remembers every header it has met
MAX_PAINTING = 5_000_000  # bytes; the largest real one has 118,435

Files = Mapping[str, str]  # "canaletto/0072.png" -> SHA-256 in hex
Report = Callable[[str], None]
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Source:
    """A tar.gz archive, and the folder below its single top folder that holds the class folders."""

    url: str
    folder: str

    @property
    def name(self) -> str:
        """The host and the repository: short enough for an error line that names several."""
        return self.url.partition("://")[2].partition("/tar.gz/")[0]


@dataclass(frozen=True)
class GetResult:
    """How many paintings were fetched into the folder, how many were there before, and the URL that completed them."""

    folder: Path
    fetched: int
    already: int
    source: str | None


PAINTINGS: tuple[Source, ...] = tuple(
    Source(f"https://codeload.github.com/{archive}", folder)
    for archive, folder in (
        ("tzerchyuan/6.867_HW3/tar.gz/9017cd904aa5e5d1c45933a2226cc2e12d7077fd", "hw3_resources/art_data/artists"),
        ("1michaelsun7/6.867-HW3/tar.gz/e85eba28ee16377b817cf024075c2991845072a7", "hw3_code/art_data/artists"),
        ("liandrea4/6.867-hw3/tar.gz/73e5dfac50dd7a9405ba8e49a5496fc75730d3e9", "code/art_data/artists"),
        ("budmonde/mit6867hw/tar.gz/9ae4486e3eebdcd541c2d22c27d3260de26e2ca1", "hw3/art_data/artists"),
    )
)


class _FailedError(Exception):
    """A source cannot be used, and why, in a few words."""


class _CutOffError(_FailedError):
    """The archive did not come whole, and may with another try."""


def expected_paintings() -> dict[str, str]:
    """The 451 files of the real set: "canaletto/0072.png" -> SHA-256 in hex."""
    listing = resources.files("a2cli.data").joinpath("paintings.sha256").read_text("ascii")
    return {path: digest for digest, path in map(str.split, listing.splitlines())}


def get_paintings(
    destination: Path,
    sources: Sequence[Source] = PAINTINGS,
    *,
    expected: Files | None = None,
    report: Report = lambda message: None,
    progress: Progress = lambda so_far, total: None,
    timeout: float = 30.0,
) -> GetResult:
    """Complete the expected files in `destination`, asking the sources in turn for what is still missing.

    `progress` gets an archive's bytes so far and in all, where the server says; `timeout`: seconds without an answer.
    Raises DataError when no source is left or the disk refuses; what was verified until then stays.
    """
    expected = expected_paintings() if expected is None else expected
    folder = destination.resolve()  # "." and links get a name, and a place beside them
    downloads = folder.parent / f"{folder.name}.download"
    missing = _missing(folder, expected)
    already = len(expected) - len(missing)
    used, reasons = None, []
    if replaced := sum((folder / path).exists() for path in missing):
        report(f"{replaced} files in {destination} are not the expected paintings and will be replaced")
    for source in sources:
        if not missing:
            break
        used = source.url
        report(f"fetching {len(missing)} of {len(expected)} paintings from {source.name}")
        try:
            _fetch(source, folder, downloads, missing, report, progress, timeout)
            reason = "some paintings are not in its archive, or with other bytes"
        except _FailedError as error:
            reason = str(error)
        except OSError as error:  # the network's own have become _FailedError, so this one is the disk's
            raise DataError(
                f"cannot write the paintings to {error.filename or destination}: {error.strerror or error}; "
                "put that right or choose another folder, then run the same command again"
            ) from error
        missing = _missing(folder, expected)
        if missing:
            reasons.append(f"{source.name}: {reason}")
            report(reasons[-1])
    if missing:
        with contextlib.suppress(OSError):  # not empty, or never made
            downloads.rmdir()
        unfinished = f", unfinished archives in {downloads}" if downloads.exists() else ""
        raise DataError(
            f"no source could complete the paintings ({'; '.join(reasons)}); {len(expected) - len(missing)} of "
            f"{len(expected)} are in {destination}{unfinished}; run the same command again to go on from there"
        )
    shutil.rmtree(downloads, ignore_errors=True)
    return GetResult(destination, len(expected) - already, already, used)


def _missing(folder: Path, expected: Files) -> dict[str, str]:
    def is_right(path: Path, digest: str) -> bool:
        with contextlib.suppress(OSError):  # what cannot be read is replaced
            return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
        return False

    return {path: digest for path, digest in expected.items() if not is_right(folder / path, digest)}


def _fetch(
    source: Source, folder: Path, downloads: Path, missing: Files, report: Report, progress: Progress, timeout: float
) -> None:
    """Write what one source has of the missing files; raises _FailedError when its archive cannot be had or read."""
    with contextlib.suppress(FileNotFoundError):
        os.scandir(folder).close()  # a file in its place, or a closed door, shows before anything is fetched
    name = hashlib.sha256(source.url.encode()).hexdigest()[:16]
    with _open_part(downloads / f"{name}.tar.gz.part") as part:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                joined = _download(source.url, part, progress, timeout)
                _extract(part, source.folder, folder, missing, joined)
                part.truncate(0)  # it gave what it had
                return
            except _CutOffError as error:
                if attempt == ATTEMPTS:
                    raise
                report(f"{source.name}: {error}; trying again")


@contextlib.contextmanager
def _open_part(path: Path) -> Iterator[IO[bytes]]:
    """The file an archive is collected in, kept unless empty; or a passing one, where another run is writing to it.

    On a file system without locks two may spoil each other's archive, though never a painting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as part, tempfile.TemporaryFile(dir=path.parent) as passing:
        try:
            lock(part, wait=False)
        except BlockingIOError:
            yield passing
            return
        try:
            yield part
        finally:
            if not part.seek(0, os.SEEK_END):
                path.unlink(missing_ok=True)


def _download(url: str, part: IO[bytes], progress: Progress, timeout: float) -> bool:
    """Complete `part` from where it ends, and tell whether it was joined from pieces; raises _FailedError."""
    so_far = part.seek(0, os.SEEK_END)
    headers = {"User-Agent": "a2cli"} | ({"Range": f"bytes={so_far}-"} if so_far else {})
    try:
        response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:
            raise _FailedError(f"HTTP {error.code}") from error
        if error.headers.get("Content-Range") == f"bytes */{so_far}":
            return True  # it had come whole
        part.truncate(0)
        raise _CutOffError("its archive has changed") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _FailedError(_reason(error)) from error
    with response:
        joined = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {so_far}-")
        if not joined:  # codeload, for one, may send the whole again
            part.truncate(0)
            so_far = 0
            if response.status != 200:
                raise _CutOffError(f"sent another part than the one asked for (HTTP {response.status})")
        total = None if response.length is None else so_far + response.length
        for chunk in _chunks(response, timeout):
            so_far += len(chunk)
            if max(so_far, total or 0) > MAX_ARCHIVE:
                part.truncate(0)
                raise _FailedError(f"its archive is larger than {MAX_ARCHIVE:,} bytes")
            part.write(chunk)
            progress(so_far, total)
    if total is not None and so_far < total:
        raise _CutOffError(f"cut off at {so_far:,} of {total:,} bytes")
    return joined


def _chunks(response: HTTPResponse, timeout: float) -> Iterator[bytes]:
    since, received = time.monotonic(), 0
    while True:
        try:
            chunk = response.read1(65536)  # `read` would wait for all of it, however slowly it trickles
        except TimeoutError as error:
            raise _FailedError(_reason(error)) from error
        except (OSError, HTTPException):
            return  # what is missing shows in the length, or in the archive
        if not chunk:
            return
        yield chunk
        received += len(chunk)
        if time.monotonic() - since >= timeout:
            if received < SLOWEST * timeout:
                raise _FailedError(f"slower than {SLOWEST:,} bytes a second")
            since, received = time.monotonic(), 0


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)  # urllib wraps the socket's error
    return " ".join(str(getattr(cause, "strerror", None) or cause).split())[:120]


def _extract(part: IO[bytes], inside: str, folder: Path, missing: Files, joined: bool) -> None:
    """Write those of the missing files whose bytes are right; raises _FailedError where the archive cannot be read."""
    wanted = {_key(*path.split("/")): path for path in missing}
    with contextlib.closing(_regular_files(part, inside, joined)) as files:
        for key, content in files:
            if key in wanted and hashlib.sha256(content).hexdigest() == missing[wanted[key]]:
                write(folder / wanted.pop(key), content)  # a path of ours, never the archive's
            if not wanted:
                return


def _key(class_name: str, file_name: str) -> tuple[str, str]:
    """The same for "j. m. w. turner" and "jmw_turner"."""
    return re.sub(r"[^a-z0-9]", "", class_name.lower()), file_name


def _regular_files(part: IO[bytes], inside: str, joined: bool) -> Generator[tuple[tuple[str, str], bytes], None, None]:
    pattern = re.compile(rf"(?!\.\.?/)[^/]+/{re.escape(inside)}/([^/]+)/([^/]+)")
    part.seek(0)
    try:
        with _Unzipped(fileobj=part, mode="rb") as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as archive:
            for member in islice(archive, MAX_MEMBERS):
                if member.offset_data + member.size > MAX_UNPACKED:
                    raise tarfile.ReadError("too large")  # tarfile would go on skipping for ages past the stream's end
                match = pattern.fullmatch(member.name)
                if not match or not member.isreg() or member.size > MAX_PAINTING:
                    continue  # links, devices and folders among them
                if file := archive.extractfile(member):
                    yield _key(*match.groups()), file.read()
            while unzipped.read(65536):
                pass  # tarfile takes a damaged header for the end; gzip's own checksum does not
    except EOFError as error:
        raise _CutOffError("its archive ends too early") from error
    except Exception as error:  # tarfile meets malformed headers with ValueError, RecursionError and more
        if getattr(error, "errno", None):  # the disk's; the archive may be whole
            raise _FailedError(_reason(error)) from error
        part.truncate(0)
        # Pieces that do not fit are worth a fresh start; in one piece it would be the same again.
        raise (_CutOffError if joined else _FailedError)("what it sent is not a tar.gz archive") from error


class _Unzipped(gzip.GzipFile):
    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if self.tell() > MAX_UNPACKED:
            raise tarfile.ReadError("too large")
        return content

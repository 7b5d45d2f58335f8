"""`get_paintings` against a web server that misbehaves on purpose, and archives that try to lead it astray."""

import errno
import gzip
import hashlib
import io
import os
import random
import re
import socket
import stat
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from a2cli.data import download
from a2cli.data.download import PAINTINGS, Source, expected_paintings, get_paintings
from a2cli.errors import DataError

FOLDER = "homework/art.data/artists"
TOP = f"repository-0a1b2c/{FOLDER}"
_random = random.Random(0)
FILES = {  # of bytes that do not compress, so that half an archive lacks some of them
    f"{painter}/{number:04}.png": _random.randbytes(20_000)
    for painter, number in [
        ("canaletto", 72),
        ("canaletto", 550),
        ("claude_monet", 1),
        ("jmw_turner", 3),
        ("jmw_turner", 9),
    ]
}
EXPECTED = {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}


def regular(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def tar_gz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def archive_of(files: dict[str, bytes]) -> bytes:
    """An archive laid out as codeload's: the folders, something else, and the files."""
    folders = [
        special(f"{TOP}/{painter}", tarfile.DIRTYPE) for painter in sorted({path.split("/")[0] for path in files})
    ]
    return tar_gz(
        *folders,
        regular("repository-0a1b2c/README.md", b"# 6.867"),
        *(regular(f"{TOP}/{path}", files[path]) for path in files),
    )


WHOLE = archive_of(FILES)


@dataclass
class Web:
    """A server on loopback: each path has answers, used in turn and the last for good; it notes what was asked."""

    port: int = 0
    answers: dict[str, list[Callable[[BaseHTTPRequestHandler], None]]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def source(self, name: str, *answers: Callable[[BaseHTTPRequestHandler], None]) -> Source:
        self.answers[f"/{name}"] = list(answers)
        return Source(f"http://127.0.0.1:{self.port}/{name}", FOLDER)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("no_proxy", "*")
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers["Range"]))
            answers = state.answers.get(self.path, [status(404)])
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up is what some tests are about

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        state.over.set()
        server.shutdown()
        thread.join()


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: handler.send_error(code)


def send(
    body: bytes, *, claimed: int | None = None, ranges: bool = False, length: bool = True
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with the body, cut off if more is claimed; with ranges, only with what was asked for."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        start = (
            int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if handler.headers["Range"] and ranges
            else 0
        )
        if start and start >= len(body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(body)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if length:
            handler.send_header("Content-Length", str((claimed or len(body)) - start))
        handler.end_headers()
        handler.wfile.write(body[start:])

    return answer


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; links and the like are in it under their names, with what they are."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else b"not a file"
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def test_the_real_set_is_451_files_in_11_classes_from_four_archives() -> None:
    paintings = expected_paintings()
    assert len(paintings) == 451
    assert len({path.split("/")[0] for path in paintings}) == 11
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in paintings.values())
    assert paintings["canaletto/0072.png"] == "92a7812a44ea924e206133b4d905a4abc9c392c1b838713a249e85a37cbe4684"
    assert [source.name for source in PAINTINGS] == [
        "codeload.github.com/tzerchyuan/6.867_HW3",
        "codeload.github.com/1michaelsun7/6.867-HW3",
        "codeload.github.com/liandrea4/6.867-hw3",
        "codeload.github.com/budmonde/mit6867hw",
    ]


def test_all_files_come_from_one_archive(web: Web, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    source = web.source("good", send(WHOLE))
    result = get_paintings(
        tmp_path / "a" / "paintings", [source], expected=EXPECTED, progress=lambda *step: steps.append(step)
    )
    assert (result.folder, result.fetched, result.already, result.source) == (
        tmp_path / "a" / "paintings",
        5,
        0,
        source.url,
    )
    assert tree(tmp_path) == {f"a/paintings/{path}": content for path, content in FILES.items()}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["paintings"], "the download folder is gone"
    assert steps == sorted(steps)
    assert steps[-1] == (len(WHOLE), len(WHOLE))


def test_what_is_complete_asks_for_nothing(web: Web, tmp_path: Path) -> None:
    source = web.source("good", send(WHOLE))
    get_paintings(tmp_path / "paintings", [source], expected=EXPECTED)
    web.requests.clear()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = get_paintings(tmp_path / "paintings", [source], expected=EXPECTED)
    assert (result.fetched, result.already, result.source) == (0, 5, None)
    assert web.requests == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_only_what_is_missing_or_wrong_is_written_and_the_rest_left_alone(web: Web, tmp_path: Path) -> None:
    folder = tmp_path / "paintings"
    get_paintings(folder, [web.source("good", send(WHOLE))], expected=EXPECTED)
    (folder / "canaletto/0072.png").write_bytes(b"other bytes")
    (folder / "jmw_turner/0003.png").unlink()
    (folder / "jmw_turner/mine.png").write_bytes(b"mine")
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"outside")
    (folder / "jmw_turner/0009.png").unlink()
    (folder / "jmw_turner/0009.png").symlink_to(outside)
    untouched = (folder / "claude_monet/0001.png").stat()
    result = get_paintings(folder, [web.source("good", send(WHOLE))], expected=EXPECTED)
    assert (result.fetched, result.already) == (3, 2)
    assert tree(folder) == FILES | {"jmw_turner/mine.png": b"mine"}
    assert outside.read_bytes() == b"outside", "a link is replaced, not followed"
    assert (folder / "claude_monet/0001.png").stat().st_ino == untouched.st_ino


def test_class_folders_may_be_spelt_differently(web: Web, tmp_path: Path) -> None:
    names = {"jmw_turner": "j. m. w. turner", "claude_monet": "Claude Monet", "canaletto": "canaletto"}
    renamed = {f"{names[path.split('/')[0]]}/{path.split('/')[1]}": content for path, content in FILES.items()}
    get_paintings(tmp_path / "paintings", [web.source("good", send(archive_of(renamed)))], expected=EXPECTED)
    assert tree(tmp_path / "paintings") == FILES


@pytest.mark.parametrize("code", [404, 403, 500, 503])
def test_an_http_error_gives_way_to_the_next_source(web: Web, tmp_path: Path, code: int) -> None:
    messages: list[str] = []
    bad, good = web.source("bad", status(code)), web.source("good", send(WHOLE))
    result = get_paintings(tmp_path / "paintings", [bad, good], expected=EXPECTED, report=messages.append)
    assert result.source == good.url
    assert [path for path, _ in web.requests] == ["/bad", "/good"]
    assert f"{bad.name}: HTTP {code}" in messages


def test_a_refused_connection_gives_way_to_the_next_source(web: Web, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and never listening: nobody else can answer there meanwhile
        taken.bind(("127.0.0.1", 0))
        refused = Source(f"http://127.0.0.1:{taken.getsockname()[1]}/closed", FOLDER)
        messages: list[str] = []
        result = get_paintings(
            tmp_path / "p", [refused, web.source("good", send(WHOLE))], expected=EXPECTED, report=messages.append
        )
    assert result.fetched == 5
    assert f"{refused.name}: {os.strerror(errno.ECONNREFUSED)}" in messages


def test_a_cut_off_download_goes_on_where_it_ended(web: Web, tmp_path: Path) -> None:
    half = len(WHOLE) // 2
    source = web.source("cut", send(WHOLE[:half], claimed=len(WHOLE)), send(WHOLE, ranges=True))
    steps: list[tuple[int, int | None]] = []
    result = get_paintings(tmp_path / "p", [source], expected=EXPECTED, progress=lambda *step: steps.append(step))
    assert web.requests == [("/cut", None), ("/cut", f"bytes={half}-")]
    assert tree(result.folder) == FILES
    assert steps == sorted(steps), "no byte was fetched twice"
    assert steps[-1] == (len(WHOLE), len(WHOLE))


def test_a_server_that_ignores_ranges_starts_over(web: Web, tmp_path: Path) -> None:
    source = web.source("cut", send(WHOLE[: len(WHOLE) // 2], claimed=len(WHOLE)), send(WHOLE))
    get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert [wanted is not None for _, wanted in web.requests] == [False, True]
    assert tree(tmp_path / "p") == FILES


def test_a_server_that_sends_another_range_is_asked_for_the_whole(web: Web, tmp_path: Path) -> None:
    def another_range(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(WHOLE) - 1}/{len(WHOLE)}")
        handler.send_header("Content-Length", str(len(WHOLE) - 7))
        handler.end_headers()
        handler.wfile.write(WHOLE[7:])

    messages: list[str] = []
    source = web.source("odd", send(WHOLE[:1000], claimed=len(WHOLE)), another_range, send(WHOLE))
    get_paintings(tmp_path / "p", [source], expected=EXPECTED, report=messages.append)
    assert f"{source.name}: sent another part than the one asked for (HTTP 206); trying again" in messages
    assert web.requests == [("/odd", None), ("/odd", "bytes=1000-"), ("/odd", None)]
    assert tree(tmp_path / "p") == FILES


def test_without_a_length_a_cut_shows_in_the_archive_and_what_came_is_kept(web: Web, tmp_path: Path) -> None:
    source = web.source("cut", send(WHOLE[: len(WHOLE) // 2], length=False), status(404))
    with pytest.raises(DataError, match="HTTP 404"):
        get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    kept = tree(tmp_path / "p")
    assert 0 < len(kept) < 5
    assert kept.items() <= FILES.items()
    assert web.requests[1] == ("/cut", f"bytes={len(WHOLE) // 2}-")
    (part,) = (tmp_path / "p.download").iterdir()
    assert part.read_bytes() == WHOLE[: len(WHOLE) // 2]


def test_chunked_answers_as_codeload_sends_them(web: Web, tmp_path: Path) -> None:
    def chunked(until: int) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for start in range(0, until, 10_000):
                piece = WHOLE[start : start + 10_000]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if until >= len(WHOLE):
                handler.wfile.write(b"0\r\n\r\n")

        return answer

    steps: list[tuple[int, int | None]] = []
    source = web.source("chunked", chunked(50_000), chunked(len(WHOLE)))
    get_paintings(tmp_path / "p", [source], expected=EXPECTED, progress=lambda *step: steps.append(step))
    assert web.requests == [("/chunked", None), ("/chunked", "bytes=50000-")]
    assert tree(tmp_path / "p") == FILES
    assert steps[-1] == (len(WHOLE), None)


def test_damage_behind_the_last_painting_does_no_harm(web: Web, tmp_path: Path) -> None:
    source = web.source("cut", send(WHOLE[:-8], length=False))
    assert get_paintings(tmp_path / "p", [source], expected=EXPECTED).fetched == 5
    assert len(web.requests) == 1


def test_a_source_that_is_always_cut_off_is_tried_three_times(web: Web, tmp_path: Path) -> None:
    cut = web.source("cut", send(WHOLE[:1000], claimed=len(WHOLE)))
    result = get_paintings(tmp_path / "p", [cut, web.source("good", send(WHOLE))], expected=EXPECTED)
    assert [path for path, _ in web.requests] == ["/cut", "/cut", "/cut", "/good"]
    assert tree(tmp_path) == {f"p/{path}": content for path, content in FILES.items()}, "the part is gone, too"
    assert result.fetched == 5


def test_pieces_that_do_not_fit_are_fetched_afresh(web: Web, tmp_path: Path) -> None:
    other = random.Random(1).randbytes(len(WHOLE))  # as where a server compresses anew, differently
    source = web.source(
        "new", send(WHOLE[:50_000], claimed=len(WHOLE)), send(other, ranges=True), send(WHOLE, ranges=True)
    )
    get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert [wanted for _, wanted in web.requests] == [None, "bytes=50000-", None]
    assert tree(tmp_path / "p") == FILES


def test_interrupted_then_resumed(web: Web, tmp_path: Path) -> None:
    def interrupt(so_far: int, total: int | None) -> None:
        if so_far > 50_000:
            raise KeyboardInterrupt

    source = web.source("good", send(WHOLE, ranges=True))
    with pytest.raises(KeyboardInterrupt):
        get_paintings(tmp_path / "p", [source], expected=EXPECTED, progress=interrupt)
    (part,) = (tmp_path / "p.download").iterdir()
    came = part.stat().st_size
    assert part.name.endswith(".tar.gz.part")
    assert part.read_bytes() == WHOLE[:came]
    assert came > 50_000
    get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert web.requests == [("/good", None), ("/good", f"bytes={came}-")]
    assert tree(tmp_path) == {f"p/{path}": content for path, content in FILES.items()}


def test_the_part_lies_beside_the_folder_even_if_that_is_where_one_stands(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(so_far: int, total: int | None) -> None:
        raise KeyboardInterrupt

    (tmp_path / "p").mkdir()
    monkeypatch.chdir(tmp_path / "p")
    source = web.source("good", send(WHOLE))
    with pytest.raises(KeyboardInterrupt):
        get_paintings(Path(), [source], expected=EXPECTED, progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "p.download"]
    assert get_paintings(Path(), [source], expected=EXPECTED).folder == Path()
    assert tree(tmp_path) == {f"p/{path}": content for path, content in FILES.items()}


def test_interrupted_while_unpacking_then_resumed(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    source = web.source("good", send(WHOLE, ranges=True))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", interrupt)
        get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert tree(tmp_path / "p") == {}, "nothing half written"
    get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert web.requests[1:] == [("/good", f"bytes={len(WHOLE)}-")], "answered with 416: it had come whole"
    assert tree(tmp_path) == {f"p/{path}": content for path, content in FILES.items()}


def test_a_part_longer_than_the_archive_is_begun_anew(web: Web, tmp_path: Path) -> None:
    longer = WHOLE + b"more"
    source = web.source("shrunk", send(longer, claimed=len(longer) + 1), send(WHOLE, ranges=True))
    get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert [wanted for _, wanted in web.requests] == [None, f"bytes={len(longer)}-", None]
    assert tree(tmp_path / "p") == FILES


def test_wrong_bytes_are_never_written_and_come_from_the_next_source(web: Web, tmp_path: Path) -> None:
    wrong = FILES | {"canaletto/0550.png": FILES["canaletto/0550.png"][:-1] + b"?"}
    without = {path: content for path, content in FILES.items() if not path.startswith("jmw")}
    first = web.source("first", send(archive_of(wrong)))
    second = web.source("second", send(archive_of(without)))
    with pytest.raises(DataError, match="4 of 5"):
        get_paintings(tmp_path / "p", [first], expected=EXPECTED)
    assert tree(tmp_path) == {f"p/{path}": FILES[path] for path in FILES if path != "canaletto/0550.png"}
    result = get_paintings(tmp_path / "p", [first, second], expected=EXPECTED)
    assert (result.fetched, result.already, result.source) == (1, 4, second.url)
    assert tree(tmp_path) == {f"p/{path}": content for path, content in FILES.items()}


@pytest.mark.parametrize("headers_first", [False, True])
def test_a_silent_server_gives_way_after_the_timeout(web: Web, tmp_path: Path, headers_first: bool) -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        if headers_first:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(WHOLE)))
            handler.end_headers()
            handler.wfile.write(WHOLE[:100])
        web.over.wait(5)

    source, good = web.source("silent", silent), web.source("good", send(WHOLE))
    messages: list[str] = []
    began = time.monotonic()
    get_paintings(tmp_path / "p", [source, good], expected=EXPECTED, timeout=0.1, report=messages.append)
    assert time.monotonic() - began < 2
    assert f"{source.name}: timed out" in messages
    assert tree(tmp_path / "p") == FILES


def test_a_trickle_gives_way_after_the_timeout(web: Web, tmp_path: Path) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for byte in WHOLE[:250]:
            handler.wfile.write(bytes([byte]))
            if web.over.wait(0.02):
                break

    source, good = web.source("slow", trickle), web.source("good", send(WHOLE))
    messages: list[str] = []
    began = time.monotonic()
    get_paintings(tmp_path / "p", [source, good], expected=EXPECTED, timeout=0.1, report=messages.append)
    assert time.monotonic() - began < 2
    assert f"{source.name}: slower than 1,000 bytes a second" in messages


@pytest.mark.parametrize("claim", [True, False])
def test_an_endless_answer_ends(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: bool) -> None:
    monkeypatch.setattr(download, "MAX_ARCHIVE", 2 * len(WHOLE))
    steps: list[int] = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if claim:
            handler.send_header("Content-Length", "999999999999")
        handler.end_headers()
        while not web.over.is_set():
            handler.wfile.write(WHOLE)

    source = web.source("endless", endless)
    with pytest.raises(DataError, match="larger than"):
        get_paintings(tmp_path / "p", [source], expected=EXPECTED, progress=lambda so_far, _: steps.append(so_far))
    assert steps == [] if claim else steps[-1] <= 2 * len(WHOLE)
    assert list(tmp_path.iterdir()) == [], "nothing of it is kept"


OUTSIDERS = [
    "../canaletto/0072.png",
    f"../{FOLDER}/canaletto/0072.png",
    f"{TOP}/../canaletto/0072.png",
    f"{TOP}/canaletto/../../../../../../escaped.png",
    f"{TOP}/../../../../../escaped/0072.png",
    f"{TOP}/canaletto/deeper/0072.png",
    f"{TOP}/canaletto/..",
    f"{TOP}/0072.png",
    f"/{FOLDER}/canaletto/0072.png",
    "//canaletto/0072.png",
    f"{TOP}/canaletto\\0072.png",
    f"elsewhere/{TOP}/canaletto/0072.png",
    f"repository-0a1b2c/{FOLDER.replace('.', '_')}/canaletto/0072.png",
    f"{TOP}/a stranger/0072.png",
    f"{TOP}/canaletto/stranger.png",
]


@pytest.mark.parametrize("name", OUTSIDERS)
def test_only_files_in_their_place_are_taken(web: Web, tmp_path: Path, name: str) -> None:
    """Even with the right bytes: only TOP/folder/CLASS/NAME counts."""
    absolute = f"{tmp_path}/absolute.png"
    content = FILES["canaletto/0072.png"]
    body = tar_gz(
        regular(name, content),
        regular(absolute, content),
        regular(f"{TOP}/canaletto/0550.png", FILES["canaletto/0550.png"]),
    )
    with pytest.raises(DataError):
        get_paintings(tmp_path / "deep/er/p", [web.source("astray", send(body))], expected=EXPECTED)
    assert tree(tmp_path) == {"deep/er/p/canaletto/0550.png": FILES["canaletto/0550.png"]}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
@pytest.mark.parametrize("target", ["0550.png", "/etc/hostname", f"{TOP}/canaletto/0550.png"])
def test_links_devices_and_folders_are_never_written(web: Web, tmp_path: Path, kind: bytes, target: str) -> None:
    """A hard link to a file of the right bytes, too: all that counts are regular files."""
    expected = EXPECTED | {"canaletto/0072.png": EXPECTED["canaletto/0550.png"]}
    members = [
        regular(f"{TOP}/canaletto/0550.png", FILES["canaletto/0550.png"]),
        special(f"{TOP}/canaletto/0072.png", kind, target),
        special(f"{TOP}/claude_monet", tarfile.SYMTYPE, str(tmp_path / "outside")),
        regular(f"{TOP}/claude_monet/0001.png", FILES["claude_monet/0001.png"]),
    ]
    (tmp_path / "outside").mkdir()
    with pytest.raises(DataError, match="2 of 5"):
        get_paintings(tmp_path / "p", [web.source("links", send(tar_gz(*members)))], expected=expected)
    assert tree(tmp_path) == {f"p/{path}": FILES[path] for path in ("canaletto/0550.png", "claude_monet/0001.png")}


def test_a_member_that_claims_to_be_huge_ends_at_once(web: Web, tmp_path: Path) -> None:
    """Past the end of a stream, tarfile would skip 2^50 bytes in steps of 10,240."""
    huge = tarfile.TarInfo(f"{TOP}/canaletto/0072.png")
    huge.size = 1 << 50
    body = gzip.compress(huge.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    began = time.monotonic()
    with pytest.raises(DataError, match=r"not a tar\.gz archive"):
        get_paintings(tmp_path / "p", [web.source("huge", send(body))], expected=EXPECTED)
    assert time.monotonic() - began < 1


def test_a_member_larger_than_any_painting_is_not_read(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = web.source("good", send(WHOLE))
    monkeypatch.setattr(download, "MAX_PAINTING", 19_999)
    with pytest.raises(DataError, match="0 of 5"):
        get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    monkeypatch.setattr(download, "MAX_PAINTING", 20_000)
    assert get_paintings(tmp_path / "p", [source], expected=EXPECTED).fetched == 5


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_gzip_bomb_is_left_in_time(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes) -> None:
    """Also in the header of a long name, which tarfile would read into memory before it shows a member."""
    zeros, content = regular("repository-0a1b2c/zeros", bytes(20_000_000))
    zeros.type = kind
    good = [regular(f"{TOP}/{path}", FILES[path]) for path in FILES]
    source = web.source("bomb", send(tar_gz((zeros, content), regular("repository-0a1b2c/README.md", b""), *good)))
    monkeypatch.setattr(download, "MAX_UNPACKED", 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"not a tar\.gz archive\); 0 of 5"):
            get_paintings(tmp_path / "p", [source], expected=EXPECTED)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(download, "MAX_UNPACKED", 30_000_000)
    assert get_paintings(tmp_path / "p", [source], expected=EXPECTED).fetched == 5


def test_an_archive_of_endless_members_is_left_in_time(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_MEMBERS", 3)
    crowd = tar_gz(
        *(regular(f"repository-0a1b2c/{n}", b"") for n in range(3)),
        regular(f"{TOP}/canaletto/0072.png", FILES["canaletto/0072.png"]),
    )
    with pytest.raises(DataError, match="0 of 5"):
        get_paintings(tmp_path / "p", [web.source("crowd", send(crowd))], expected=EXPECTED)


def negative_size() -> bytes:
    """A header of size -512 in tar's base-256 numbers, on which some versions of tarfile went round in circles."""
    header = bytearray(tarfile.TarInfo("repository-0a1b2c/back").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return gzip.compress(bytes(header) * 3)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"<!DOCTYPE html><title>Sign in</title>", "not a tar.gz archive", id="html"),
        pytest.param(b"", "not a tar.gz archive", id="empty"),
        pytest.param(gzip.compress(b"<!DOCTYPE html>" * 100), "not a tar.gz archive", id="zipped html"),
        pytest.param(WHOLE[:5000] + bytes(200) + WHOLE[5200:], "not a tar.gz archive", id="damaged"),
        pytest.param(negative_size(), "not in its archive", id="negative size"),
    ],
)
def test_what_is_no_archive_gives_way_at_once_and_is_not_kept(
    web: Web, tmp_path: Path, body: bytes, reason: str
) -> None:
    source, good = web.source("bad", send(body)), web.source("good", send(WHOLE))
    messages: list[str] = []
    with pytest.raises(DataError, match=re.escape(reason)):
        get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert not (tmp_path / "p.download").exists()
    get_paintings(tmp_path / "p", [source, good], expected=EXPECTED, report=messages.append)
    assert [path for path, _ in web.requests] == ["/bad", "/bad", "/good"]
    assert tree(tmp_path / "p") == FILES


def test_when_all_sources_fail_one_line_names_each_and_what_was_kept(web: Web, tmp_path: Path) -> None:
    sources = [
        web.source("gone", status(404)),
        web.source("page", send(b"<html>\nno\n</html>")),
        web.source("some", send(archive_of({"canaletto/0072.png": FILES["canaletto/0072.png"]}))),
        web.source("short", send(WHOLE[:1000], claimed=len(WHOLE))),
    ]
    with pytest.raises(DataError) as caught:
        get_paintings(tmp_path / "p", sources, expected=EXPECTED)
    message = str(caught.value)
    assert caught.value.exit_status == 3
    assert "\n" not in message
    for source, reason in zip(
        sources, ["HTTP 404", "not a tar.gz", "not in its archive", "cut off at 1,000"], strict=True
    ):
        _, _, after = message.partition(f"{source.name}: ")
        assert reason in after.partition(";")[0]
    assert f"1 of 5 are in {tmp_path / 'p'}, unfinished archives in {tmp_path / 'p.download'}" in message
    assert "run the same command again" in message
    assert len(list((tmp_path / "p.download").iterdir())) == 1, "only the part that can be resumed is left"


def test_a_destination_that_is_a_file_is_named_before_anything_is_fetched(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for destination in (tmp_path / "file", tmp_path / "file" / "paintings"):
        with pytest.raises(DataError) as caught:
            get_paintings(destination, [web.source("good", send(WHOLE))], expected=EXPECTED)
        assert str(tmp_path / "file") in str(caught.value)
        assert "\n" not in str(caught.value)
    assert web.requests == []
    assert tree(tmp_path) == {"file": b"mine"}


def test_a_full_disk_is_one_line_and_leaves_no_halves(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(handle: int) -> None:
        calls.extend([1] * stat.S_ISREG(os.fstat(handle).st_mode))
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    source = web.source("good", send(WHOLE))
    with pytest.raises(DataError) as caught:
        get_paintings(tmp_path / "p", [source, source], expected=EXPECTED)
    assert f"{tmp_path / 'p'}: {os.strerror(errno.ENOSPC)}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(web.requests) == 1, "another source would not help"
    assert sorted(tree(tmp_path / "p")) == sorted(FILES)[:2]


def test_a_disk_that_fills_up_while_fetching_is_one_line_and_what_came_is_kept(web: Web, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    source = web.source("good", send(WHOLE, ranges=True))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(DataError) as caught:
            get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"{tmp_path / 'p'}: {os.strerror(errno.EFBIG)}" in str(caught.value)
    (part,) = (tmp_path / "p.download").iterdir()
    came = part.stat().st_size
    assert part.read_bytes() == WHOLE[:came]
    get_paintings(tmp_path / "p", [source], expected=EXPECTED)
    assert web.requests == [("/good", None), ("/good", f"bytes={came}-")]


def test_a_folder_without_write_permission_is_named(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, *_: object, **__: object) -> None:  # chmod would not stop root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(DataError) as caught:
        get_paintings(tmp_path / "p", [web.source("good", send(WHOLE))], expected=EXPECTED)
    assert f"{tmp_path / 'p.download'}: {os.strerror(errno.EACCES)}" in str(caught.value)
    assert web.requests == []


def test_two_runs_at_once_do_not_mix_their_downloads(web: Web, tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=5)

    def in_step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(WHOLE)))
        handler.end_headers()
        for start in range(0, len(WHOLE), 20_000):
            both.wait()
            handler.wfile.write(WHOLE[start : start + 20_000])

    source = web.source("good", in_step, in_step, status(404))
    results: list[int] = []

    def run() -> None:
        results.append(get_paintings(tmp_path / "p", [source], expected=EXPECTED).fetched)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [5, 5]
    assert tree(tmp_path) == {f"p/{path}": content for path, content in FILES.items()}

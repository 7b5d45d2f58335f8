"""Full disks, permissions, memory, other processes: one line, the right exit status, nothing half written."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    A2,
    IMAGES,
    LABELS,
    LINES,
    TINY,
    apart_from_few,
    contents,
    draw_classes,
    edit,
    nothing_left,
    text_file,
)

from a2cli.errors import DataError
from a2cli.progress import NullReporter
from a2cli.runs.directory import Run

fcntl = pytest.importorskip("fcntl", reason="these locks, permissions and limits are POSIX's")
NOBODY = 65534


# Full disks, permissions, other processes


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow larger, as on a full disk; Python ignores the signal, and gets an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("size", [0, 1000, 1920])
def test_a_full_disk_while_packing(size: int, mine: bool, data: Path, train: A2, tmp_path: Path) -> None:
    if mine:
        (tmp_path / "out").mkdir()
    with room_for(size):  # ten images of 8x8 take 1,920 bytes, their index more
        ended = train("--data", "set", "--image-size", "8", "--out", "out")
    if size < 1920:
        ended.refused(3, "cache ", "A2_CACHE_DIR")
        assert list((tmp_path / "cache/packed").iterdir()) == []
    assert (tmp_path / "out").exists() == (mine or ended.status == 0 or (tmp_path / "out/config.yaml").exists())
    if mine and size < 1920:
        assert list((tmp_path / "out").iterdir()) == []


WRITTEN = ["config.yaml", "checkpoints/*.json", "checkpoints/*.safetensors", "model/model.json", "report.json"]


@pytest.mark.parametrize("name", ["", *WRITTEN])
def test_a_full_disk_while_running(name: str, data: Path, train: A2, a2: A2, tmp_path: Path) -> None:
    whole = train("--data", "set", "--epochs", "3").done()
    # Times are written in it, and are not as long in every run.
    varies = 100 if name in {"report.json", "checkpoints/*.json"} else 1
    size = next(whole.glob(name)).stat().st_size - varies if name else 0
    with room_for(size):
        train("--data", "set", "--epochs", "3", "--out", "out").refused(3, "out", "cannot be written")
    out = tmp_path / "out"
    assert not list(tmp_path.rglob(".writing-*"))
    assert out.exists() == (out / "config.yaml").exists() == (size >= (whole / "config.yaml").stat().st_size)
    if out.exists():
        a2("train-cnn", "--resume", "out", "--quiet").done()
        assert (out / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_standard_output_that_is_full() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "a2cli", "presets"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 3
    assert done.stderr.splitlines()[0].startswith("error: output: No space left")
    assert "Traceback" not in done.stderr


@pytest.fixture
def bound(train: A2, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a data set, in which permissions bind this process: it gives up root's rights for the time."""
    folder = Path(tempfile.mkdtemp())
    draw_classes(folder / "set")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("A2_CACHE_DIR", str(folder / "cache"))
    train("--data", "set").done()  # everything is imported, whatever the other user may read
    shutil.rmtree(folder / "runs")
    root = os.geteuid() == 0
    if root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


FORBIDDEN: dict[str, tuple[str, int, str, tuple[str, ...]]] = {
    "image": ("set/ada/0.png", 0, "--data set", ("ada/0.png: Permission denied", "--skip-damaged")),
    "class": ("set/ada", 0, "--data set", ("set/ada", "cannot be read (Permission denied)")),
    "folder in a class": ("set/ada/more", 0, "--data set", ("set/ada/more", "cannot be read (Permission denied)")),
    "data": ("set", 0, "--data set", ("--data set: cannot be read (Permission denied)",)),
    "manifest": ("set.csv", 0, "--data set.csv", ("--data set.csv: cannot be read (Permission denied)",)),
    "arrays": ("set.npz", 0, "--data set.npz", ("set.npz", "Permission denied")),
    "cache": ("cache", 0o500, "--data set --image-size 9", ("cache/packed", "Permission denied", "A2_CACHE_DIR")),
    "place for runs": (".", 0o500, "--data set", ("runs", "cannot make the run directory (Perm", "--out")),
    "the run": ("mine", 0o500, "--data set --out mine", ("mine/.lock", "cannot be written (Permission denied)")),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_what_permissions_forbid(kind: str, bound: Path, train: A2) -> None:
    name, mode, flags, words = FORBIDDEN[kind]
    (bound / "set/ada/more").mkdir()
    shutil.copy(bound / "set/ada/0.png", bound / "set/ada/more")
    (bound / "mine").mkdir()
    text_file(bound / "set.csv", "\n".join(["path,label", *LINES]))
    np.savez(bound / "set.npz", images=IMAGES, labels=LABELS)
    if kind == "cache":
        shutil.rmtree(bound / "cache/packed")
    kept, names = (bound / name).stat().st_mode, sorted(bound.iterdir())
    (bound / name).chmod(mode)
    try:
        train(*flags.split()).refused(3, *words)
    finally:
        (bound / name).chmod(kept)
    assert sorted(bound.iterdir()) == names
    assert list((bound / "mine").iterdir()) == []


def test_permissions_on_presets_and_runs(bound: Path, train: A2, a2: A2) -> None:
    preset = text_file(bound / "mine.yaml", "epochs: 3")
    preset.chmod(0)
    a2("train-cnn", "--preset", "mine.yaml", "--dry-run").refused(2, "mine.yaml: cannot be read (Permission denied)")
    run = train("--data", "set", "--out", "run").done()
    edit(run / "report.json", '"done"', '"running"')
    run.chmod(0o500)
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run", "cannot be written (Permission denied)")
    run.chmod(0)
    a2("train-cnn", "--resume", "run", "--quiet").refused(3, "--resume run: not a run directory")
    a2("train-cnn", "--preset", "run/config.yaml", "--dry-run").refused(2, "--preset run/config.yaml: ")


def test_an_image_that_may_not_be_read_is_left_out_on_request(bound: Path, train: A2) -> None:
    (bound / "set/ada/0.png").chmod(0)
    train("--data", "set", "--skip-damaged").done("1 damaged file left out, as ada/0.png: Permission denied")


def test_two_runs_in_one_folder(data: Path, run: Path, train: A2, a2: A2) -> None:
    with open(run / ".lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        before = contents(run)
        a2("train-cnn", "--resume", "run", "--quiet").refused(3, "run: another process is running in this folder")
        train("--data", "set", "--out", "run").refused(3, "--out run: already there and not empty")
        assert contents(run) == before
    a2("train-cnn", "--resume", "run", "--quiet").done()


def test_a_second_run_does_not_take_the_firsts_lock_away(tmp_path: Path) -> None:
    first, second = (Run.create("train-cnn", str(tmp_path / "mine")) for _ in range(2))  # both found it empty
    with first.locked(NullReporter()):
        with pytest.raises(DataError, match="another process is running"), second.locked(NullReporter()):
            pass
        second.discard()
        assert (tmp_path / "mine/.lock").exists(), "a third could come in"


def test_a_run_that_cannot_begin_leaves_what_was_there(train: A2, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    train("--data", "nosuch", "--out", "mine").refused(3, "'nosuch'")
    assert list((tmp_path / "mine").iterdir()) == []
    train("--data", "nosuch", "--out", "mine/a/b").refused(3, "'nosuch'")
    assert list((tmp_path / "mine").iterdir()) == []
    train("--data", "nosuch").refused(3, "'nosuch'")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("file", ("--out file: is a file; name another folder\n",)),
        ("full", ("--out full: already there and not empty; name another folder\n",)),
        ("file/inside", ("file/inside: cannot make the run directory",)),
        ("dangling", ("dangling: cannot make the run directory",)),
        ("x" * 300, ("cannot make the run directory (File name too long)",)),
        ("", ("--out", "already there")),
    ],
)
def test_out_where_no_run_can_be(out: str, words: tuple[str, ...], data: Path, train: A2, tmp_path: Path) -> None:
    text_file(tmp_path / "file")
    text_file(tmp_path / "full/notes.txt")
    (tmp_path / "dangling").symlink_to("nowhere")
    train("--data", "set", "--out", out).refused(3, *words)
    assert (tmp_path / "full/notes.txt").read_text() == "nothing"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling", "file", "full", "set"]


# While it trains


def test_divergence(data: Path, train: A2, tmp_path: Path) -> None:
    flags = "--optimizer sgd --learning-rate 1000 --activation elu --hidden 8,8 --batch-size 1 --epochs 9 --out run"
    ended = train("--data", "set", *flags.split())
    ended.refused(
        4, "training diverged: the loss is ", " of 8 in epoch 1, learning rate 1000", "try a smaller learning rate"
    )
    assert len((tmp_path / "run/metrics.csv").read_text().splitlines()) == 1, "no epoch was finished"
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["status"] == "diverged"
    assert report["results"] is None


def test_too_little_memory(data: Path, train: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("a2cli.training.images.build_network", full)
    train("--data", "set").refused(2, "not enough memory", "--batch-size")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        ImportError("libopenblas.so: cannot allocate memory in static TLS block"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError("libgomp: Thread creation failed: Resource temporarily unavailable"),
    ],
    ids=str,
)
def test_every_form_of_too_little_memory(error: Exception, a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        try:
            raise error
        except Exception as cause:
            raise ImportError("numpy: the C extensions failed to load", name="numpy") from cause

    monkeypatch.setattr("a2cli.app.presets.preset_names", full)
    ended = a2("presets")
    line = "error: not enough memory; use a smaller network or fewer images\n"
    assert (ended.status, ended.out, ended.err) == (2, "", line)


def test_too_little_memory_within_a_limit(data: Path, train: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("a2cli.training.images.build_network", full)
    monkeypatch.setattr("a2cli.machine.memory_limit", lambda: 4_000_000_000)
    train("--data", "set").refused(2, "within the 4,000 MB that 'ulimit -v' allows; raise it, or use a smaller --image")


@pytest.mark.parametrize("megabytes", [80, 300, 3100, 3300])
def test_too_little_memory_to_begin(megabytes: int, tmp_path: Path) -> None:
    """Python starts, and the libraries cannot be loaded: no smaller network would help."""
    limit = f"ulimit -v {megabytes * 1024} && exec {sys.executable} -m a2cli train-cnn --data atelier"
    done = subprocess.run(["sh", "-c", limit], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    line = f"error: not enough memory within the {megabytes * 1.048576:,.0f} MB that 'ulimit -v' allows; raise it\n"
    assert (done.returncode, done.stdout, done.stderr.removeprefix("loading PyTorch\n")) == (2, "", line)
    assert list(tmp_path.iterdir()) == []


WITHOUT = """
import sys
class Missing:
    package = sys.argv.pop(1)
    def find_spec(self, name, *_):
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(name=self.package)
sys.meta_path.insert(0, Missing())
from a2cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("torch", "error: torch is not installed; install it with: pip install torch\n"),
        ("typer", "error: typer is not installed; install it with: pip install typer\n"),
        ("rich", "error: rich is not installed; install it with: pip install rich\n"),
        ("yaml", "error: yaml is not installed; install it with: pip install pyyaml\n"),
        ("numpy", "error: numpy is not installed; install it with: pip install numpy\n"),
        ("PIL", "error: PIL is not installed; install it with: pip install pillow\n"),
        ("annotated_types", "error: annotated_types is not installed; install it with: pip install annotated-types\n"),
    ],
)
def test_a_package_that_is_not_installed(missing: str, line: str, data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, missing, "train-cnn", *TINY, "-p", "1.4-dropout", "--data", "set"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_figures_are_left_out_without_matplotlib(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "matplotlib", "train-cnn", *TINY, "--data", "set", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    line = "matplotlib is not installed; install it with: pip install matplotlib"
    assert (done.returncode, done.stdout) == (0, "out\n")
    assert apart_from_few(done.stderr) == [f"warning: figures could not be drawn ({line})"]


HOMELESS = """
import pwd, sys
def unknown(*_):
    raise KeyError("uid not found")
pwd.getpwuid = pwd.getpwnam = unknown
from a2cli.main import main
main()
"""


@pytest.mark.parametrize("home", [None, "/dev/null"])
def test_a_user_without_a_home(home: str | None, data: Path, tmp_path: Path) -> None:
    """Nothing is said but where to keep what has no place, nothing is left in the temporary folder or in this one."""
    (tmp_path / "temporary").mkdir()
    own = {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "A2_CACHE_DIR", "A2_DATA_DIR"}
    env = {name: value for name, value in os.environ.items() if name not in own}
    env |= {"TMPDIR": str(tmp_path / "temporary"), **({} if home is None else {"HOME": home})}

    def a2(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", HOMELESS, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env | more, capture_output=True, text=True, timeout=120)

    names = {path.name for path in tmp_path.iterdir()}
    train = ["train-cnn", *TINY, "--data", "set", "--out", "out"]
    refused = a2(*train)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (3, "", 1), refused.stderr
    assert "set A2_CACHE_DIR to" in refused.stderr
    done = a2(*train, A2_CACHE_DIR="cache")
    assert (done.returncode, done.stdout, apart_from_few(done.stderr)) == (0, "out\n", [])
    assert (tmp_path / "cache/matplotlib").is_dir()
    sheet = a2("predict", "--run", "out", "set/ada/0.png", "--picture", "sheet.png", "--quiet")
    assert (sheet.returncode, sheet.stdout.count("\n"), sheet.stderr) == (0, 1, "")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == names | {"cache", "out", "sheet.png"}


def test_debug_shows_the_traceback(train: A2) -> None:
    ended = train("--data", "nosuch", "--debug")
    first, *_, last = ended.err.splitlines()
    assert (ended.status, first, last[:13]) == (3, "Traceback (most recent call last):", "error: --data")


def test_the_same_from_outside(data: Path, tmp_path: Path) -> None:
    (data / "ada/0.png").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "a2cli", "train-cnn", *TINY, "--data", "set"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == ("error: --data set: ada/0.png: an empty file; mend or remove it, or use --skip-damaged\n")
    assert nothing_left(tmp_path)


def test_matplotlibs_own_folder_is_not_writable(data: Path, tmp_path: Path) -> None:
    """Left to itself, it says so in two lines and leaves a folder in the temporary one."""
    (tmp_path / "temporary").mkdir()
    env = os.environ | {"MPLCONFIGDIR": "/dev/null/none", "TMPDIR": str(tmp_path / "temporary")}
    command = [sys.executable, "-m", "a2cli", "train-cnn", *TINY, "--data", "set", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, apart_from_few(done.stderr)) == (0, [])
    assert (tmp_path / "cache/matplotlib").is_dir() and not list((tmp_path / "temporary").iterdir())

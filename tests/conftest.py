"""What the tests share: folders of their own, the real data where it is, and the command run in this process."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is loaded; each pytest-xdist worker has a core

import numpy as np
import pytest
from forked import started
from jsonschema import Draft202012Validator
from PIL import Image
from torch import nn

from a2cli import main
from a2cli.commands import COMMANDS
from a2cli.drawn_sets.atelier import draw_atelier
from a2cli.drawn_sets.drawing import DrawnSet
from a2cli.drawn_sets.portraits import draw_portraits
from a2cli.models.cards import ModelCard
from a2cli.models.files import OWN_DIGEST
from a2cli.predict import run as predict
from a2cli.progress import NullReporter
from a2cli.runs import directory as runs
from a2cli.runs.directory import Run
from a2cli.settings.presets import resolve
from a2cli.settings.training import TrainCnnSettings
from a2cli.storage import DIGEST_KEY, with_digest, yaml_with_digest
from a2cli.train.run import train_network
from a2cli.training import trial

ROOT = Path(__file__).parents[1]
RENDERED = predict.rendered  # imported here, as it keeps what it finds in `runs` then
PIXEL = io.BytesIO()
Image.new("RGB", (1, 1), "white").save(PIXEL, "png")
PNG = PIXEL.getvalue()
TINY = ["--image-size", "8", "--channels", "2", "--kernel-size", "3", "--hidden", "none"]
TINY += ["--epochs", "1", "--threads", "1", "--device", "cpu", "--quiet"]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache and data out of the tests, and the tests out of them."""
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("A2_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an `a2` that starts at once, for where the start is not what is tested (`forked.py`)."""
    with started(tmp_path_factory.mktemp("forked")) as folder:
        yield folder


@pytest.fixture(autouse=True, scope="session")
def unrendered() -> Iterator[None]:
    """Make every figure, but turn none into pixels: that takes most of a small command's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "rendered", lambda *_: PNG)
        yield


@pytest.fixture(autouse=True, scope="session")
def unsynced() -> Iterator[None]:
    """Leave out the wait for the disk after each file, which only a power failure would tell from this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def rendered(unrendered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn figures into pixels, for tests of the files themselves."""
    monkeypatch.setattr(runs, "rendered", RENDERED)


def _real(name: str) -> Path:
    path = ROOT / "../shared" / name
    if not path.exists():
        reason = f"{path} is not on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def real_weights(name: str) -> Path:
    """Return a file of pretrained weights; skips the test where it is not there."""
    return _real(f"weights/{name}")


@pytest.fixture
def paintings() -> Path:
    return _real("data/paintings")


@pytest.fixture
def faces() -> Path:
    return _real("data/faces-orl")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, and what it printed."""

    status: int
    out: str
    err: str

    def refused(self, status: int, *words: str) -> None:
        """Hold an error to the promise: the status, one line that has these words, and nothing else printed."""
        assert (self.status, self.out) == (status, ""), self
        lines = apart_from_few(self.err)
        assert len(lines) == 1 and lines[0].startswith("error: "), self.err
        for word in words:
            assert word in lines[0] + "\n"

    def done(self, *warnings: str) -> Path:
        """Hold a success to it, with these words in as many warnings, and return the run directory.

        Tiny sets have classes of few images, which is said each time, and tested once (`test_by_class.py`).
        """
        assert self.status == 0, self.err
        lines = apart_from_few(self.err)
        assert len(lines) == len(warnings), self.err
        assert all(line.startswith("warning: ") and word in line for line, word in zip(lines, warnings, strict=True))
        return Path(self.out.rstrip("\n"))


@cache
def _schema() -> Draft202012Validator:
    schema = json.loads((ROOT / "docs/report.schema.json").read_text())
    Draft202012Validator.check_schema(schema)  # takes half a second
    return Draft202012Validator(schema)


def hold_to_schema(report: object) -> None:
    """Hold a report to the documented schema."""
    _schema().validate(report)


def apart_from_few(errors: str) -> list[str]:
    """Return the lines without those that warn of classes with few images."""
    return [line for line in errors.splitlines() if "how well these are recognised" not in line]


A2 = Callable[..., Ended]
REPEATED = {item.flag for command in COMMANDS.values() for item in command.declared() if item.repeatable}


def once(arguments: Sequence[object]) -> list[str]:
    """Return a command line without values that a later one of the same flag replaces, as of TINY; a2 refuses both."""
    words = list(map(str, arguments))
    for i in range(len(words) - 2, -1, -1):
        again = words[i] in words[i + 1 :] and words[i].startswith("--") and words[i] not in REPEATED
        if again and not words[i + 1].startswith("-"):
            del words[i : i + 2]
    return words


@pytest.fixture
def a2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> A2:
    """Run `a2` in this process, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["a2", *once(arguments)])
        capsys.readouterr()
        status = main.run_command()
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def train(a2: A2, monkeypatch: pytest.MonkeyPatch) -> A2:
    """Run a tiny `a2 train-cnn --quiet`, without its figures."""
    monkeypatch.setattr("a2cli.training.trial.draw_run", lambda *_: None)
    return lambda *arguments: a2("train-cnn", *TINY, *arguments)


def nothing_left(folder: Path) -> bool:
    """Return whether a failed command left neither a run nor half a cache entry."""
    return not (folder / "runs").exists() and not any((folder / "cache").glob("packed/*"))


def draw_classes(root: Path, classes: Sequence[str] = ("ada", "bea"), count: int = 5, side: int = 10) -> Path:
    """Write a folder of noisy images that differ by class in their brightness."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 100, (side, side, 3)) + 150 * label // len(classes)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DrawnSet]:
    """Draw a whole built-in set, by its name, once for all of pytest-xdist's workers."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    @cache
    def draw(name: str) -> DrawnSet:
        path = shared / f"{name}.npz"
        if not path.exists():
            found = {"atelier": draw_atelier, "portraits": draw_portraits}[name]()
            np.savez(folder / f"{name}-writing.npz", **vars(found))
            (folder / f"{name}-writing.npz").rename(path)
        kept = np.load(path)
        names = (tuple(kept[part].tolist()) for part in ("class_names", "names"))
        return DrawnSet(kept["images"], kept["labels"], *names)

    return draw


LINES = [f"set/{name}/{i}.png,{name}" for name in ("ada", "bea") for i in range(5)]
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(10) % 2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs on ../set with all of its checkpoints, as if it had been stopped at the last moment."""
    place = tmp_path_factory.mktemp("original")
    data = draw_classes(place / "set")
    flags = dict(zip((flag[2:].replace("-", "_") for flag in TINY[:-1:2]), TINY[1:-1:2], strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(trial, "draw_run", lambda *_: None)
        settings = resolve(TrainCnnSettings, "train-cnn", [], {**flags, "data": str(data), "epochs": "3"}).settings
        train_network(settings, Run.create("train-cnn", str(place / "run")), NullReporter())
    report = json.loads((place / "run/report.json").read_text())
    (place / "run/report.json").write_text(json.dumps(with_digest({**report, "status": "running"})))
    return place / "run"


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "run")


# What does damage


def text_file(path: Path, text: str = "nothing") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file; what has a SHA-256 of its own gets the new one, as if a2 had written it so."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    sign(path)


def sign(path: Path) -> None:
    """Write the right SHA-256 into a report, a network's card or a config that was changed."""
    if path.name == "config.yaml":
        text, hashed, _ = path.read_text().partition("# sha256: ")
        path.write_bytes(yaml_with_digest(text.encode()) if hashed else text.encode())
    elif path.name in {"report.json", "model.json"}:
        key = DIGEST_KEY if path.name == "report.json" else OWN_DIGEST
        values = json.loads(path.read_text())
        kept = {} if key == DIGEST_KEY else {DIGEST_KEY: values.pop(DIGEST_KEY)}
        path.write_text(json.dumps({**with_digest(values, key), **kept}, indent=1) + "\n")


def keep_network(run: Run, card: ModelCard, model: nn.Module) -> None:
    """Put a network into a finished run in place of its own, as if it had trained that one."""
    (weights, own), path = run.save_model(card, model), run.folder / "report.json"
    values = json.loads(path.read_text())
    values["results"]["runs"][0].update(weights_sha256=weights, card_sha256=own)
    path.write_text(json.dumps(values))
    sign(path)


def flip(path: Path, at: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)

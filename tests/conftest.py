"""What the tests share: folders of their own, the real data where it is, and the command run in this process."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from a2cli import main

ROOT = Path(__file__).parents[1]
TINY = ["--image-size", "8", "--channels", "2", "--kernel-size", "3", "--hidden", "none"]
TINY += ["--epochs", "1", "--threads", "1", "--device", "cpu", "--quiet"]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache and data out of the tests, and the tests out of them."""
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("A2_DATA_DIR", str(tmp_path / "data"))


def _real(name: str) -> Path:
    folder = ROOT / "../shared/data" / name
    if not folder.is_dir():
        reason = f"{folder} is not on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def paintings() -> Path:
    return _real("paintings")


@pytest.fixture
def faces() -> Path:
    return _real("faces-orl")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, and what it printed."""

    status: int
    out: str
    err: str

    def refused(self, status: int, *words: str) -> None:
        """Hold an error to the promise: the status, one line that has these words, and nothing else printed."""
        assert (self.status, self.out) == (status, ""), self
        assert self.err.startswith("error: "), self.err
        assert self.err.count("\n") == 1, self.err
        for word in words:
            assert word in self.err

    def done(self, *warnings: str) -> Path:
        """Hold a success to it, with these words in as many warnings, and return the run's folder."""
        assert self.status == 0, self.err
        lines = self.err.splitlines()
        assert len(lines) == len(warnings), self.err
        assert all(line.startswith("warning: ") and word in line for line, word in zip(lines, warnings, strict=True))
        return Path(self.out.rstrip("\n"))


A2 = Callable[..., Ended]


@pytest.fixture
def a2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> A2:
    """Run `a2` in this process, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["a2", *map(str, arguments)])
        capsys.readouterr()
        status = main.run_command()
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def train(a2: A2, monkeypatch: pytest.MonkeyPatch) -> A2:
    """Run a tiny `a2 train-cnn --quiet`, without its figures."""
    monkeypatch.setattr("a2cli.experiments.trial._draw", lambda *_: None)
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

"""Everything that is stored: any bit flipped in it is noticed before use or repaired, and what is read is bounded."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, draw_classes

from a2cli import main, options
from a2cli.analysis.feature_file import read_features
from a2cli.cli.common import training_of
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.errors import DataError
from a2cli.experiments.extract_features import extract_features
from a2cli.report import Nobody, to_json
from a2cli.results.transfer import FeatureResults
from a2cli.runs import Run
from a2cli.settings import ExtractFeaturesSettings
from a2cli.training.checkpoints import load_checkpoint

fcntl = pytest.importorskip("fcntl", reason="these locks and permissions are POSIX's")
FLIPS = 300
EXTRACT = ["extract-features", "--data", "set", "--layer", "conv1", "--threads", "1", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its checkpoints and film, a features file, a cache."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr("a2cli.experiments.trial.draw_run", lambda *_: None)
        draw_classes(place / "set")
        for command in (
            ["train-cnn", *TINY, "--data", "set", "--epochs", "2", "--out", "run"],
            [*EXTRACT, "--run", "run", "--out", "features.safetensors"],
        ):
            patch.setattr(sys, "argv", ["a2", *command])
            assert main.run_command() == 0
    return place


# Bits


class Ears(Nobody):
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warn(self, text: str, because: BaseException | None = None) -> None:
        self.heard.append(text)


def as_bytes(value: Any) -> bytes:
    """Return what was read, so that it can be compared."""
    if isinstance(value, torch.Tensor):
        return repr((value.shape, value.dtype)).encode() + value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return b"".join(str(key).encode() + as_bytes(inner) for key, inner in value.items())
    return repr(value).encode()


def model(place: Path, _: Ears) -> bytes:
    network, card = Run(place / "run").load_model()
    return as_bytes([card]) + as_bytes(dict(network.state_dict()))


def checkpoint(place: Path, ears: Ears) -> bytes:
    found = load_checkpoint(place / "run/checkpoints")
    assert found is not None
    ears.heard += found[2]
    return as_bytes(found[0]) + as_bytes(found[1])


def report(place: Path, _: Ears) -> bytes:
    return to_json(Run(place / "run").read_report()).encode()


def config(place: Path, _: Ears) -> bytes:
    return as_bytes(training_of("--run", str(place / "run")))


def film(place: Path, _: Ears) -> bytes:
    return as_bytes(Run(place / "run").load_frames())


def features(place: Path, _: Ears, name: str = "features.safetensors") -> bytes:
    found = read_features(str(place / name))
    return as_bytes([found.about]) + as_bytes({**found.layers, **found.weights, "labels": found.labels})


def packed(place: Path, ears: Ears) -> bytes:
    found = pack(find_source("set"), 8, "squash", False, 1, ears)
    return found.images.tobytes() + as_bytes([found.labels.tolist(), list(found.names), found.fingerprint])


def activations(place: Path, ears: Ears) -> bytes:
    flags = {flag[2:].replace("-", "_"): value for flag, value in zip(EXTRACT[1:-1:2], EXTRACT[2::2], strict=True)}
    flags |= {"run": str(place / "run"), "data": "set"}
    settings = options.resolve(ExtractFeaturesSettings, "extract-features", [], flags).settings
    report = extract_features(settings, str(place / "again.safetensors"), ears, overwrite=True)
    assert isinstance(report.results, FeatureResults)
    ears.heard += ["computed again"] * (report.results.computed > 0)
    return features(place, ears, "again.safetensors")


READERS: dict[str, Callable[[Path, Ears], bytes]] = {
    "run/model/model.safetensors": model,
    "run/model/model.json": model,
    "run/checkpoints/*.safetensors": checkpoint,
    "run/checkpoints/*.json": checkpoint,
    "run/report.json": report,
    "run/config.yaml": config,
    "run/film/*.safetensors": film,
    "run/film/*.json": film,
    "features.safetensors": features,
    "cache/packed/*/*": packed,
    "cache/activations/*/rows.f32": activations,
    "cache/activations/*/digests": activations,
}


def test_any_flipped_bit_is_noticed_or_repaired(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it changes nothing that is read, as a letter of a comment. A word is said of what is repaired."""
    monkeypatch.setenv("A2_CACHE_DIR", str(made / "cache"))
    monkeypatch.chdir(made)
    draw, silent, refused, repaired = random.Random(17), [], 0, 0
    whole = {reader: reader(made, Ears()) for reader in READERS.values()}
    for i in range(FLIPS):
        pattern = [*READERS][i % len(READERS)]
        reader, path = READERS[pattern], draw.choice(sorted(made.glob(pattern)))
        beside = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
        content = beside[path]
        bit = draw.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        ears = Ears()
        try:
            found = reader(made, ears)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            repaired += bool(ears.heard)
            older = reader is checkpoint and ears.heard  # which gave way to the one before
            if found != whole[reader] and not older:
                silent.append(f"{path.name}: bit {bit}")
        for file, content in beside.items():
            file.write_bytes(content)
    assert not silent
    assert refused > FLIPS // 2
    assert repaired > FLIPS // 5

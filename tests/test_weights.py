"""Weights from elsewhere: taken whole and by name, never by running code, and said plainly where they cannot be."""

import hashlib
import io
import os
import pickle
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import A2, draw_classes
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from a2cli.analysis.feature_file import read_features
from a2cli.errors import A2Error, DataError, SettingsError
from a2cli.models.weights import Weights, fill, find_weights, read_weights

FAST = ["--backbone", "squeezenet1_1", "--layer", "features.4", "--image-size", "64"]
FAST += ["--threads", "1", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="session")
def state() -> dict[str, Tensor]:
    """The features of a SqueezeNet with weights that no seed of ours gives."""
    torch.manual_seed(7)
    return {name: value for name, value in models.squeezenet1_1().state_dict().items() if "features" in name}


@pytest.fixture
def files(state: dict[str, Tensor], tmp_path: Path) -> Path:
    draw_classes(tmp_path / "set", side=70)
    save_file(state, tmp_path / "whole.safetensors")
    torch.save(state, tmp_path / "whole.pth")
    return tmp_path


def features(path: str) -> Tensor:
    return read_features(path).layers["features.4"]


def test_a_pth_is_as_good_as_a_safetensors(a2: A2, files: Path, state: dict[str, Tensor]) -> None:
    torch.save({"state_dict": state, "epoch": 3}, files / "checkpoint.pth")
    torch.save(state, files / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("whole.safetensors", "whole.pth", "checkpoint.pth", "old.pth"):
        a2("extract-features", "--data", "set", "--weights", name, "--out", f"{name}.safetensors", *FAST).done()
        found = read_features(f"{name}.safetensors")
        assert torch.equal(found.layers["features.4"], features("whole.safetensors.safetensors"))
        card = found.about.trunks["features.4"]
        assert (card.weights, card.sha256) == (name, hashlib.sha256((files / name).read_bytes()).hexdigest())
        assert all(torch.equal(state[key], value) for key, value in found.weights.items())
    random = a2("extract-features", "--data", "set", "--weights", "none", *FAST)
    random.done("NOT PRETRAINED")
    assert not torch.equal(features("features.safetensors"), features("whole.pth.safetensors"))


class Trap:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("how", ["zip", "old", "pickle"])
def test_code_is_refused_and_never_run(a2: A2, files: Path, state: dict[str, Tensor], how: str) -> None:
    trap = {**state, "extra": Trap(files / "ran")}
    if how == "pickle":
        (files / "evil.pth").write_bytes(pickle.dumps(trap["extra"]))
    else:
        torch.save(trap, files / "evil.pth", _use_new_zipfile_serialization=how == "zip")
    ended = a2("extract-features", "--data", "set", "--weights", "evil.pth", *FAST)
    ended.refused(3, "--weights evil.pth: not a file of plain tensors (it would run code, and is refused)")
    assert not (files / "ran").exists()
    assert not (files / "features.safetensors").exists()
    pickle.loads(pickle.dumps(trap["extra"]))  # the trap is one
    assert (files / "ran").exists()


@pytest.mark.parametrize("name", ["whole.safetensors", "whole.pth"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_file_cut_short(a2: A2, files: Path, name: str, share: float) -> None:
    content = (files / name).read_bytes()
    (files / name).write_bytes(content[: int(share * len(content))])
    a2("extract-features", "--data", "set", "--weights", name, *FAST).refused(3, f"--weights {name}: not a file of")
    assert not (files / "features.safetensors").exists()


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_noise_is_never_a_bug(tmp_path: Path, state: dict[str, Tensor], ending: str) -> None:
    few = {name: value for name, value in state.items() if name.startswith("features.0")}
    path = tmp_path / f"w{ending}"
    save_file(few, path) if ending == ".safetensors" else torch.save(few, path)
    generator, content = torch.Generator().manual_seed(0), path.read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        for at in torch.randint(len(content), (4,), generator=generator).tolist():
            damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        try:
            assert all(isinstance(value, Tensor) for _, one in read_weights(str(path)) for value in one.values())
        except A2Error as error:
            assert str(error).startswith(f"--weights {path}: not a file of")
            assert "\n" not in str(error)


@pytest.mark.parametrize("value", [3, [torch.zeros(1)], {"a": 1}, {"state_dict": {"a": "b"}}])
def test_what_is_no_weights(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "w.pth")
    with pytest.raises(DataError, match="expected tensors by name, got"):
        read_weights(str(tmp_path / "w.pth"))


def test_another_networks_weights(a2: A2, files: Path, state: dict[str, Tensor]) -> None:
    flags = ["--data", "set", "--weights", "whole.safetensors", *FAST[2:]]
    ended = a2("extract-features", "--backbone", "alexnet", *flags)
    ended.refused(3, "weights of another network (no place for features.10.expand1x1.bias", "and ")
    save_file({**state, "features.0.weight": torch.zeros(96, 3, 7, 7)}, files / "wide.safetensors")
    ended = a2("extract-features", "--data", "set", "--weights", "wide.safetensors", *FAST)
    ended.refused(3, "weights of another network (features.0.weight is (96, 3, 7, 7), expected (64, 3, 3, 3))")


def test_partial(a2: A2, files: Path, state: dict[str, Tensor]) -> None:
    part = {name: value for name, value in state.items() if not name.startswith("features.4.squeeze")}
    save_file(part, files / "part.safetensors")
    flags = ["extract-features", "--data", "set", "--weights", "part.safetensors", *FAST]
    lack = "features.4.squeeze.bias, features.4.squeeze.weight"
    a2(*flags).refused(
        3, f"--weights part.safetensors: lacks {lack}; a lower --layer needs fewer; --partial draws them"
    )
    a2(*flags, "--partial").done(f"--partial: these weights are random: {lack}")
    assert read_features("features.safetensors").about.trunks["features.4"].random == tuple(lack.split(", "))
    below = [*flags[:5], "--backbone", "squeezenet1_1", "--layer", "features.3", *FAST[4:]]
    a2(*below).done()  # what is missing is not needed there
    a2(*flags, "--partial", "--weights", "none").refused(2, "--partial: acts only with weights from a file")


def test_fill_lists_what_stays_random(state: dict[str, Tensor]) -> None:
    model = models.squeezenet1_1()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    missing = fill(model, Weights(state, "file", ""), before, partial=True)
    assert missing == ["classifier.1.bias", "classifier.1.weight"]
    after = model.state_dict()
    assert all(torch.equal(after[name], state.get(name, before[name])) for name in after)


class Server:
    """Stands in for the network: gives these bytes, or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hub: Path, content: bytes | None) -> None:
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
        monkeypatch.setattr("torch.hub.urlopen", self.open)
        self.content, self.hub, self.asked = content, hub, list[str]()

    def open(self, request: Any, *_: object) -> Any:
        self.asked.append(request.full_url)
        if self.content is None:
            raise urllib.error.URLError("Name or service not known")
        opened = io.BytesIO(self.content)
        opened.info = Message  # type: ignore[attr-defined]
        return opened


URL = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"


def test_without_network(a2: A2, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, files / "hub", None)
    ended = a2("extract-features", "--data", "set", *FAST)
    ended.refused(3, f"--weights: {URL} cannot be fetched", "not known", f"put that file into {files}/hub/checkpoints")
    assert server.asked == [URL]
    assert not (files / "features.safetensors").exists()


def test_a_download_is_checked(a2: A2, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, files / "hub", (files / "whole.pth").read_bytes())
    ended = a2("extract-features", "--data", "set", *FAST)
    ended.refused(3, "cannot be fetched (invalid hash value")
    assert not list((files / "hub/checkpoints").iterdir())


def test_what_was_downloaded_before_is_checked(a2: A2, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, files / "hub", None)
    (files / "hub/checkpoints").mkdir(parents=True)
    file = files / "hub/checkpoints" / Path(URL).name
    file.write_bytes((files / "whole.pth").read_bytes())
    a2("extract-features", "--data", "set", *FAST).refused(3, f"{file} is damaged (SHA-256", "expected b8a52dc0")
    monkeypatch.setattr("a2cli.models.weights._beginning", lambda _: "")
    a2("extract-features", "--data", "set", *FAST).done()
    card = read_features("features.safetensors").about.trunks["features.4"]
    assert card.weights == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert card.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not server.asked


def test_names_that_mean_nothing() -> None:
    with pytest.raises(SettingsError, match="expected imagenet, IMAGENET1K_V1, a file, or none, got 'imagnet'; did"):
        find_weights("alexnet", "imagnet")
    with pytest.raises(DataError, match=r"--weights nothing\.pth: no such file"):
        find_weights("alexnet", "nothing.pth")

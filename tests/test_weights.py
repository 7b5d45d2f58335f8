"""Weights from elsewhere: taken whole and by name, never by running code, and said plainly where they cannot be."""

import hashlib
import io
import os
import pickle
import tarfile
import urllib.error
import zipfile
from email.message import Message
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, Ended, draw_classes
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from a2cli.errors import A2Error, DataError, SettingsError
from a2cli.models.weights import Weights, fill, find_weights, read_weights
from a2cli.transfer.feature_file import read_features

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
        assert np.array_equal(found.layers["features.4"], features("whole.safetensors.safetensors"))
        card = found.about.trunks["features.4"]
        assert (card.weights, card.sha256) == (name, hashlib.sha256((files / name).read_bytes()).hexdigest())
        assert all(np.array_equal(state[key], value) for key, value in found.weights.items())
    random = a2("extract-features", "--data", "set", "--weights", "none", *FAST)
    random.done("NOT PRETRAINED")
    assert not np.array_equal(features("features.safetensors"), features("whole.pth.safetensors"))


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
    count = 16 * 128 + 16
    a2(*flags).refused(
        3,
        f"--weights part.safetensors: lacks {lack}; a lower --layer needs fewer; --partial begins these {count:,} "
        "weights at random",
    )
    a2(*flags, "--partial").done(f"--partial: {count:,} weights begin at random: {lack}")
    assert read_features("features.safetensors").about.trunks["features.4"].random == tuple(lack.split(", "))
    below = [*flags[:5], "--backbone", "squeezenet1_1", "--layer", "features.3", *FAST[4:]]
    a2(*below, "--overwrite").done()  # what is missing is not needed there
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
    with pytest.raises(DataError, match=r"--weights nothing\.pth: does not exist"):
        find_weights("alexnet", "nothing.pth")


# What one's own training scripts save


def extracted(a2: A2, name: str, *flags: str) -> tuple[Ended, Tensor]:
    """Return how a file of weights was taken, and the features with it."""
    flags = (*FAST, *flags, "--out", "f.safetensors", "--overwrite")
    ended = a2("extract-features", "--data", "set", "--weights", name, *flags)
    if ended.status:
        return ended, torch.empty(0)
    return ended, read_features("f.safetensors").layers["features.4"]


def whole_state() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return dict(models.squeezenet1_1().state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "backbone.", "module._orig_mod.net.", "1."])
def test_prefixes_of_wrappers(a2: A2, files: Path, state: dict[str, Tensor], prefix: str) -> None:
    torch.save({f"{prefix}{name}": value for name, value in whole_state().items()}, files / "own.pth")
    ended, found = extracted(a2, "own.pth")
    ended.done("removed from names")
    assert np.array_equal(found, extracted(a2, "whole.pth")[1])
    report = a2("extract-features", "--data", "set", "--weights", "own.pth", *FAST, "--out", "g.safetensors", "--json")
    assert "removed from names" in report.out


def test_a_wrapper_within_the_names(a2: A2, files: Path) -> None:
    """As of torch.compile of a part, or FSDP."""
    own = {name.replace("features.4.", "features.4._orig_mod."): value for name, value in whole_state().items()}
    torch.save(own, files / "own.pth")
    ended, found = extracted(a2, "own.pth")
    ended.done("'_orig_mod.' and the like removed from names")
    assert np.array_equal(found, extracted(a2, "whole.pth")[1])


@pytest.mark.parametrize("key", ["model", "model_state_dict", "state_dict", "net", "ema", "whatever"])
def test_checkpoints_that_hold_more(a2: A2, files: Path, key: str) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 3, "best": torch.tensor(0.5), key: whole_state(), "optimizer": optimizer}, files / "own.pth")
    ended, found = extracted(a2, "own.pth")
    ended.done()
    assert np.array_equal(found, extracted(a2, "whole.pth")[1])


@pytest.mark.parametrize("order", [*permutations(("model", "model_ema")), *permutations(("params", "params_ema"))])
def test_two_copies_of_the_weights(a2: A2, files: Path, order: tuple[str, str]) -> None:
    """The trained ones are taken, and it is said that there are averaged ones: of torchvision's own script, as here."""
    own = whole_state()
    mean = {"n_averaged": torch.tensor(3), **{f"module.{name}": value / 2 for name, value in own.items()}}
    torch.save({key: mean if "ema" in key else own for key in order}, files / "own.pth")
    ended, found = extracted(a2, "own.pth")
    ended.done("taken from '{}', not from {}".format(*sorted(order)))
    assert np.array_equal(found, extracted(a2, "whole.pth")[1])


def test_averaged_weights_alone(a2: A2, files: Path) -> None:
    mean = {"n_averaged": torch.tensor(3), **{f"module.{name}": value for name, value in whole_state().items()}}
    torch.save(mean, files / "own.pth")
    ended, found = extracted(a2, "own.pth")
    ended.done("'module.' removed from names; not read, as outside 'module.': n_averaged")
    assert np.array_equal(found, extracted(a2, "whole.pth")[1])


def test_a_head_of_another_size(a2: A2, files: Path) -> None:
    own = {**whole_state(), "classifier.1.weight": torch.zeros(5, 512, 1, 1), "classifier.1.bias": torch.zeros(5)}
    torch.save(own, files / "own.pth")
    ended, found = extracted(a2, "own.pth")
    ended.done(
        "left out, as this network has no place for them or another shape: classifier.1.weight, classifier.1.bias"
    )
    assert np.array_equal(found, extracted(a2, "whole.pth")[1])
    needed = extracted(a2, "own.pth", "--layer", "classifier.1")[0]
    needed.refused(3, "its head is of another size (classifier.1.weight is (5, 512, 1, 1), expected (1000, 512, 1, 1))")


def test_a_head_of_another_form(a2: A2, files: Path) -> None:
    own = {name.replace("classifier.1.", "classifier.1.2."): value for name, value in whole_state().items()}
    torch.save({**own, "classifier.4.weight": torch.zeros(3)}, files / "own.pth")
    extracted(a2, "own.pth")[0].done("left out")
    extracted(a2, "own.pth", "--layer", "classifier.1")[0].refused(3)


def test_another_network_stays_another(a2: A2, files: Path) -> None:
    """Under a prefix as well, and where all that is needed has its place."""
    deeper = {**whole_state(), "features.13.squeeze.weight": torch.zeros(2)}
    for own in (deeper, {f"module.{name}": value for name, value in deeper.items()}):
        torch.save(own, files / "own.pth")
        extracted(a2, "own.pth")[0].refused(3, "weights of another network (no place for features.13.squeeze.weight)")
    for network in (models.resnet18(), models.squeezenet1_0()):
        torch.save({"model": network.state_dict()}, files / "own.pth")
        extracted(a2, "own.pth")[0].refused(3, "weights of another network (")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_and_it_is_said(a2: A2, files: Path, kind: torch.dtype) -> None:
    own = {name: value.to(kind) for name, value in whole_state().items()}
    torch.save(own, files / "own.pth")
    save_file({name: value.to(kind).float() for name, value in own.items()}, files / "same.safetensors")
    ended, found = extracted(a2, "own.pth")
    ended.done(f"converted from {str(kind).removeprefix('torch.')} to float32")
    assert np.array_equal(found, extracted(a2, "same.safetensors")[1])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_nan_and_infinity_are_refused(a2: A2, files: Path, value: float) -> None:
    own = whole_state()
    own["features.3.squeeze.weight"][2, 3] = value
    save_file(own, files / "own.safetensors")
    torch.save({"model": {f"module.{name}": one.half() for name, one in own.items()}}, files / "own.pth")
    words = "of 1,024 values of features.3.squeeze.weight are NaN or infinite: the file is damaged"
    for name in ("own.safetensors", "own.pth"):
        extracted(a2, name)[0].refused(3, f"--weights {name}: 1 {words}")
    draw = ["--data", "set", "--backbone", "squeezenet1_1", "--weights", "own.pth", "--image-size", "64", "--quiet"]
    tune = ["--layer", "features.4", "--head-grid", "1", "--stages", "head:1", "--threads", "1"]
    a2("finetune", *draw, *tune).refused(3, words)
    field = ["--model", "squeezenet1_1", "--image-size", "64", "--data", "set", "--effective", "--images", "1"]
    ended = a2("receptive-field", *field, "--weights", "own.pth")
    assert (ended.status, ended.err.splitlines()[-1][:6]) == (3, "error:") and words in ended.err
    look = ["--backbone", "squeezenet1_1", "--weights", "own.pth", "--show", "filters", "--quiet"]
    a2("visualize-weights", *look).refused(3, words)


def test_activations_that_overflow_are_not_kept(a2: A2, files: Path) -> None:
    own = {name: value * 1e20 for name, value in whole_state().items()}
    save_file(own, files / "own.safetensors")
    ended = extracted(a2, "own.safetensors")[0]
    ended.refused(3, "squeezenet1_1: activations of features.4 are NaN or infinite (own.safetensors)")
    assert not Path("f.safetensors").exists()


def zipped(path: Path, **files: bytes) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.read_bytes()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 4983\n"
PAGE = b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>Sign in to continue</body></html>"
NOT_WEIGHTS = {
    "a git-lfs pointer; 'git lfs pull' fetches the file itself": POINTER,
    "a web page (HTML), as servers send instead of a file; download it again": PAGE,
    "a web page (HTML), ": b"<html>" + b" " * 70,
    "an XML document (<?xml version": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    'JSON text ({"error": "Repository not found"})': b'{"error": "Repository not found"}',
    "it is empty (0 bytes); get it again": b"",
}


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("words", NOT_WEIGHTS)
def test_what_was_saved_instead_of_weights(a2: A2, files: Path, words: str, ending: str) -> None:
    (files / f"own{ending}").write_bytes(NOT_WEIGHTS[words])
    extracted(a2, f"own{ending}")[0].refused(3, f"--weights own{ending}: not a file of weights: ", words)


def test_archives_that_are_no_checkpoint(a2: A2, files: Path) -> None:
    zipped(files / "own.pth", **{"model.safetensors": b"x", "readme\x1b[2J": b"y"})
    ended = extracted(a2, "own.pth")[0]
    ended.refused(3, "a zip archive of 'model.safetensors', 'readme\\x1b[2J'; unpack it and name the file inside")
    with pytest.warns(FutureWarning):
        torch.jit.script(torch.nn.Linear(2, 2)).save(files / "own.pth")
    extracted(a2, "own.pth")[0].refused(3, "a TorchScript program; save model.state_dict() alone")


@pytest.mark.parametrize("name", ["whole.safetensors", "whole.pth"])
def test_a_download_cut_short_is_said_to_be(a2: A2, files: Path, name: str) -> None:
    content = (files / name).read_bytes()
    (files / name).write_bytes(content[:-1000])
    extracted(a2, name)[0].refused(3, f"--weights {name}: not a file of weights: cut short", "download it again")


def test_the_ending_matters_not(a2: A2, files: Path) -> None:
    expected = extracted(a2, "whole.pth")[1]
    (files / "pth.safetensors").write_bytes((files / "whole.pth").read_bytes())
    (files / "tensors.pth").write_bytes((files / "whole.safetensors").read_bytes())
    for name in ("pth.safetensors", "tensors.pth"):
        ended, found = extracted(a2, name)
        ended.done()
        assert np.array_equal(found, expected)


def test_a_whole_model_and_the_oldest_format(a2: A2, files: Path) -> None:
    torch.save(models.squeezenet1_1(), files / "own.pth")
    ended = extracted(a2, "own.pth")[0]
    ended.refused(3, "it holds torchvision.models.squeezenet.SqueezeNet: save model.state_dict() alone")
    with tarfile.open(files / "own.pth", "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            content = tarfile.TarInfo(name)
            archive.addfile(content, io.BytesIO())
    extracted(a2, "own.pth")[0].refused(3, "--weights own.pth: not a file of")

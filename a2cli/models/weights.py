"""Weights that come from elsewhere: torchvision's download, .safetensors, .pth; reading them never runs code."""

import hashlib
import pickle
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from a2cli.errors import DataError, SettingsError, nearest
from a2cli.report import Nobody, Watcher

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Weights:
    """Weights by name, where they are from, and the SHA-256 of the file; `tensors` is None for random ones."""

    tensors: Tensors | None
    source: str
    sha256: str

    @property
    def pretrained(self) -> bool:
        return self.tensors is not None


def find_weights(name: str, weights: str, watch: Watcher | None = None) -> Weights:
    """Return the weights of one of torchvision's networks that `--weights` names.

    `imagenet` or one of torchvision's own names are downloaded, or are in its cache; `none` are random ones; anything
    else is a file. Raises DataError, SettingsError.
    """
    if weights == "none":
        return Weights(None, "none", "")
    known = torchvision_weights(name)
    by_name = {"imagenet": known.DEFAULT, **{one.name.lower(): one for one in known}}
    if weights.lower() in by_name and not Path(weights).exists():
        return _downloaded(by_name[weights.lower()], watch or Nobody())
    if not Path(weights).is_file() and not Path(weights).suffix:
        choices = f"imagenet, {', '.join(one.name for one in known)}, a file, or none"
        raise SettingsError(f"--weights: expected {choices}, got {weights!r}{nearest(weights.lower(), by_name)}")
    return Weights(read_weights(weights), weights, _digest(Path(weights)))


def torchvision_weights(name: str) -> Any:
    """Return torchvision's enumeration of a network's pretrained weights."""
    from torchvision.models import get_model_weights

    return get_model_weights(name)


def _downloaded(found: Any, watch: Watcher) -> Weights:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / Path(found.url).name
    try:
        if not file.is_file():
            watch.phase(f"fetching {found.url} into {folder} (once)")
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(found.url, str(file), _beginning(file), progress=False)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash a RuntimeError
        reason = " ".join(str(error).split())[:80]
        raise DataError(
            f"--weights: {found.url} cannot be fetched ({reason}); put that file into {folder}, or name one you have"
        ) from None
    digest = _digest(file)
    if not digest.startswith(_beginning(file)):
        raise DataError(f"--weights: {file} is damaged (SHA-256 {digest[:8]}, expected {_beginning(file)}); remove it")
    return Weights(read_weights(str(file)), f"{type(found).__name__}.{found.name}", digest)


def _beginning(file: Path) -> str:
    """Return how a file's SHA-256 begins, which torchvision's names end in: alexnet-owt-7be5be79.pth."""
    return file.stem.rpartition("-")[2]


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_weights(path: str) -> Tensors:
    """Return the tensors of a .safetensors or .pth file; raises DataError, and refuses a pickle that would run code."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise DataError(f"--weights {path}: no such file")
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # on pickles that torch did not write
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = "Unsupported" in str(error) or "weights_only" in str(error).lower()
        why = "it would run code, and is refused" if refused and _is_pickle(path) else "damaged"
        raise DataError(f"--weights {path}: not a file of plain tensors ({why})") from None
    except (SafetensorError, OSError, ValueError, EOFError, RuntimeError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise DataError(f"--weights {path}: not a file of weights ({reason})") from None
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(f"--weights {path}: expected tensors by name, got {type(found).__name__}")
    return {str(key): value for key, value in found.items()}


def _is_pickle(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(2) in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def fill(model: nn.Module, weights: Weights, needed: Iterable[str], *, partial: bool) -> list[str]:
    """Load weights into a network of torchvision's, and return the names of those that stay random.

    What the file has besides is passed over only where the network has a place for it. Raises DataError for another
    network's weights, and, unless `partial`, where one of those `needed` is missing.
    """
    if weights.tensors is None:
        return sorted(needed)
    where, state = f"--weights {weights.source}", model.state_dict()
    if strange := [name for name in weights.tensors if name not in state]:
        raise DataError(f"{where}: weights of another network (no place for {_few(strange)})")
    for name, tensor in weights.tensors.items():
        if tensor.shape != state[name].shape:
            expected, got = tuple(state[name].shape), tuple(tensor.shape)
            raise DataError(f"{where}: weights of another network ({name} is {got}, expected {expected})")
    missing = sorted(set(needed) - set(weights.tensors))
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing and not partial:
        raise DataError(f"{where}: lacks {_few(missing)}; a lower --layer needs fewer; --partial draws them")
    model.load_state_dict(weights.tensors, strict=False)
    return missing


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"

"""Weights that come from elsewhere: torchvision's download, .safetensors, .pth; reading them never runs code."""

import math
import pickle
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from a2cli.data.download_progress import told_to
from a2cli.data.listing import MOVED
from a2cli.errors import DataError, MissingDataError, SettingsError, nearest, no_file
from a2cli.models.state_dict import NO_PLACE, UNTRACKED, Tensors, few, fitted, in_head, state_dicts
from a2cli.models.unreadable import is_safetensors, what_it_is, why_refused
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.storage import hashed
from a2cli.user_folders import cache_folder


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights: its state dicts by the key they lie under, where it is from, and its SHA-256.

    `state_dicts` is empty for random weights; `published` where torchvision's own download was asked for.
    """

    state_dicts: Sequence[tuple[str, Tensors]]
    source: str
    sha256: str
    published: bool = False


@dataclass(frozen=True)
class Weights:
    """Weights for one network, where they are from, and the SHA-256 of the file; `tensors` is None for random ones.

    `misfits` are the file's names that the network has no place for, or another shape, with what is wrong; `notes` say
    what was renamed, converted or left out.
    """

    tensors: Tensors | None
    source: str
    sha256: str
    misfits: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def pretrained(self) -> bool:
        return self.tensors is not None


def find_weights(name: str, weights: str, reporter: ProgressReporter | None = None) -> WeightsFile:
    """Return the weights of one of torchvision's networks that `--weights` names.

    `imagenet` or one of torchvision's own names are downloaded, or are in its cache; `none` are random ones; anything
    else is a file. Raises DataError, SettingsError.
    """
    if weights == "none":
        return WeightsFile((), "none", "")
    reporter = reporter or NullReporter()
    published = torchvision_weights(name)
    by_name = {"imagenet": published.DEFAULT, **{entry.name.lower(): entry for entry in published}}
    if weights.lower() in by_name and not Path(weights).exists():
        return _downloaded(by_name[weights.lower()], reporter)
    if not Path(weights).exists() and not Path(weights).suffix and Path(weights).name == weights:
        choices = f"imagenet, {', '.join(entry.name for entry in published)}, a file, or none"
        raise SettingsError(f"--weights: expected {choices}, got {weights!r}{nearest(weights.lower(), by_name)}")
    path = MOVED.get(weights, weights)
    return WeightsFile(read_weights(path), weights, _digest(Path(path), reporter))


def fit(model: nn.Module, file: WeightsFile) -> Weights:
    """Return a file's weights under the names of one of torchvision's networks; raises DataError for NaN in them."""
    if not file.state_dicts:
        return Weights(None, file.source, file.sha256)
    tensors, misfits, notes = fitted(model, file.state_dicts, f"--weights {file.source}")
    # torchvision changes its own old names as well
    return Weights(tensors, file.source, file.sha256, misfits, () if file.published else notes)


def patches_side(file: WeightsFile) -> int | None:
    """Return the side of the images that a vision transformer's weights were trained for; None for other networks'."""
    for _, tensors in file.state_dicts:
        places = next((t for name, t in tensors.items() if name.endswith("encoder.pos_embedding")), None)
        patches = next((t for name, t in tensors.items() if name.endswith("conv_proj.weight")), None)
        if places is not None and patches is not None and places.dim() == 3 and patches.dim() == 4:
            return math.isqrt(max(0, places.shape[1] - 1)) * patches.shape[-1]
    return None


def torchvision_weights(name: str) -> Any:
    """Return torchvision's enumeration of a network's pretrained weights."""
    from torchvision.models import get_model_weights

    return get_model_weights(name)


def _downloaded(entry: Any, reporter: ProgressReporter) -> WeightsFile:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not folder.is_absolute():  # torch's "~" of a user without a home
        folder = cache_folder() / "checkpoints"
    file = folder / Path(entry.url).name
    try:
        if not file.is_file():
            reporter.phase(f"fetching {entry.url} into {folder} (once)", "downloading")
            folder.mkdir(parents=True, exist_ok=True)
            with told_to(reporter, torch.hub):
                torch.hub.download_url_to_file(entry.url, str(file), _beginning(file))
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash a RuntimeError
        reason = " ".join(str(error).split())[:80]
        raise DataError(
            f"--weights: {entry.url} cannot be fetched ({reason}); put that file into {folder}, or name one you have; "
            "TORCH_HOME moves that folder"
        ) from None
    digest = _digest(file, reporter)
    if not digest.startswith(_beginning(file)):
        raise DataError(f"--weights: {file} is damaged (SHA-256 {digest[:8]}, expected {_beginning(file)}); remove it")
    return WeightsFile(read_weights(str(file)), f"{type(entry).__name__}.{entry.name}", digest, published=True)


def _beginning(file: Path) -> str:
    """Return how a file's SHA-256 begins, which torchvision's names end in: alexnet-owt-7be5be79.pth."""
    return file.stem.rpartition("-")[2]


def _digest(file: Path, reporter: ProgressReporter) -> str:
    reporter.phase(f"reading {file}", "reading weights", brief=True)
    return hashed(file, reporter).hexdigest()


def read_weights(path: str) -> list[tuple[str, Tensors]]:
    """Return the state dicts of a .safetensors or .pth file, and the keys they lie under, "" for the file itself.

    Raises DataError for a file that holds none, and refuses a pickle that would run code.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise MissingDataError(f"--weights {path}: {no_file(path, 'a file of weights')}", path, "--weights")
    try:
        content: Any
        if is_safetensors(path):
            content = load_file(path)
        else:
            # Warnings are on pickles that torch did not write. Of a path torch would go by its ending.
            with warnings.catch_warnings(action="ignore"), Path(path).open("rb") as file:
                content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"--weights {path}: {what_it_is(path) or why_refused(path, str(error))}") from None
    except (SafetensorError, OSError, ValueError, EOFError, RuntimeError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise DataError(f"--weights {path}: {what_it_is(path) or f'not a file of weights ({reason})'}") from None
    dicts = list(state_dicts(content))
    if not dicts:
        raise DataError(f"--weights {path}: expected tensors by name, got {type(content).__name__}")
    return dicts


def fill(model: nn.Module, weights: Weights, needed: Iterable[str], *, partial: bool) -> list[str]:
    """Load weights into a network of torchvision's, and return the names of those that stay random.

    What the file has besides is passed over only where the network has a place for it, or where it belongs to a head
    that none of those `needed` is part of. Raises DataError for another network's weights, and, unless `partial`, where
    one of those needed is missing.
    """
    if weights.tensors is None:
        return sorted(needed)
    where, state = f"--weights {weights.source}", model.state_dict()
    wanted = {*needed} & {*state}
    strange = [name for name in weights.misfits if not in_head(model, name, wanted)]
    if strange and all(in_head(model, name, ()) for name in strange):
        shape = f"{strange[0]} is {weights.misfits[strange[0]]}"
        raise DataError(f"{where}: its head is of another size ({shape}); name a --layer below the head")
    if unknown := [name for name in strange if weights.misfits[name] == NO_PLACE]:
        raise DataError(f"{where}: weights of another network (no place for {few(unknown)})")
    if strange:
        raise DataError(f"{where}: weights of another network ({strange[0]} is {weights.misfits[strange[0]]})")
    missing = sorted(wanted - weights.tensors.keys())
    missing = [name for name in missing if not name.endswith(UNTRACKED)]
    if missing and not partial:
        count = sum(state[name].numel() for name in missing)
        raise DataError(
            f"{where}: lacks {few(missing)}; a lower --layer needs fewer; --partial begins these {count:,} weights "
            "at random"
        )
    with torch.no_grad():
        for name, tensor in weights.tensors.items():  # load_state_dict of an MNASNet asks for its file's version
            state[name].copy_(tensor)
    return missing

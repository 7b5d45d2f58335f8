"""A network in two files: its weights as safetensors, and beside them JSON with the SHA-256 of both.

Nothing is ever pickled, so loading a foreign file runs no code; and nothing is built larger than its weights.
"""

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from a2cli.data.decode import is_fit
from a2cli.errors import DataError, SettingsError
from a2cli.geometry import least_weights
from a2cli.models.cards import ModelCard, TrunkCard
from a2cli.models.zoo import BUILDERS, TRANSFER, build_network
from a2cli.random_streams import Streams
from a2cli.settings.training import MlpSettings, NetworkSettings
from a2cli.settings.transfer import HeadSettings
from a2cli.storage import DIGEST_KEY, check_regular, read_json, with_digest, without_digest, write
from a2cli.strict_json import to_json
from a2cli.versions import VERSION_KEY, Kind, newest, upgraded, version_of

OWN_DIGEST = "state_sha256"
CARD_KEYS = frozenset(item.name for item in fields(ModelCard))
NETWORKS = {"convnet": NetworkSettings, "mlp": MlpSettings, TRANSFER: HeadSettings}
LARGEST_SIDE = 4096  # pixels


def save_tensors(kind: Kind, stem: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """Write STEM.safetensors, then STEM.json: what is said of the tensors, its SHA-256, and theirs; return theirs."""
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    write(stem.with_suffix(".safetensors"), content)
    digest = hashlib.sha256(content).hexdigest()
    hashed = with_digest({**about, VERSION_KEY: newest(kind)}, OWN_DIGEST)
    write(stem.with_suffix(".json"), to_json({**hashed, DIGEST_KEY: digest}).encode())
    return digest


def load_tensors(kind: Kind, stem: Path, unhashed: Collection[str] = ()) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors that `save_tensors` wrote, and what is said of them, as this version says it.

    JSON with no other keys than those in `unhashed` is of an earlier version, which gave it no SHA-256 of its own.
    Raises DataError where the files are missing, damaged, not a2's or a newer version's.
    """
    path, weights = stem.with_suffix(".json"), stem.with_suffix(".safetensors")
    try:
        about = read_json(path)
        version_of(kind, about, path)  # before anything else, as a newer one may be hashed otherwise
        expected = about.pop(DIGEST_KEY, None)
        if not about or not about.keys() <= {*unhashed}:
            about = without_digest(about, path, OWN_DIGEST)
        check_regular(weights)
        content = weights.read_bytes()
        if expected != hashlib.sha256(content).hexdigest():
            raise DataError(f"{weights}: damaged (its SHA-256 is not the one in {path.name})")
        return load(content), upgraded(kind, about, path)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: not there") from None
    except SafetensorError as error:
        raise DataError(f"{weights}: damaged (not safetensors: {' '.join(str(error).split())[:80]})") from None


def save_model(folder: Path, card: ModelCard, model: nn.Module) -> str:
    """Write model.safetensors and, as model.json, the card to rebuild the network by; return the weights' SHA-256."""
    return save_tensors("model card", folder / "model", dict(model.state_dict()), asdict(card))


def load_model(folder: Path) -> tuple[nn.Module, ModelCard]:
    """Return the network with its weights, and its card.

    Raises DataError where the files are missing, damaged or not a network of ours.
    """
    from pydantic import TypeAdapter, ValidationError

    path = folder / "model.json"
    tensors, described = load_tensors("model card", folder / "model", CARD_KEYS)
    try:
        card = TypeAdapter(ModelCard).validate_python(described)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: not a network's card ({where}: {first['msg']})") from None
    try:
        _check_card(card, tensors)
        model = build_network(card, Streams(0))
    except SettingsError as error:
        raise DataError(f"{path}: not a network's card ({error})") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise DataError(
                f"{folder}: {name} holds NaN or infinite values, so the network is of no use; train it anew"
            )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DataError(f"{folder}: the weights do not fit the network ({reason})") from None
    return model.eval(), card


def _check_card(card: ModelCard, tensors: Mapping[str, Tensor]) -> None:
    """Raise SettingsError for a card of no network, or of one that is larger than its weights, before it is built."""
    if card.architecture not in (BUILDERS if card.trunk is None else {TRANSFER}):
        raise SettingsError(f"unknown architecture {card.architecture!r}")
    if not isinstance(card.network, NETWORKS[card.architecture]):
        raise SettingsError(f"network: not the settings of architecture {card.architecture}")
    if not card.class_names:
        raise SettingsError("class_names: expected the names of its classes, got none")
    _check_preprocessing(card)
    if card.trunk is not None:
        _check_preprocessing(card.trunk)
    layers, weights = least_weights(card.network, card.image_size, len(card.class_names))
    values = sum(tensor.numel() for tensor in tensors.values())
    if layers > len(tensors) or weights > values:
        raise SettingsError(
            f"a network of at least {layers:,} layers with {weights:,} weights, where model.safetensors has {values:,}"
        )
    if len({*card.class_names}) < len(card.class_names):
        raise SettingsError("class_names: expected each name once")
    low, high = card.value_range or (0, 0)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise SettingsError(f"value_range: expected the values that become 0 and 255, got {[low, high]}")


def _check_preprocessing(card: ModelCard | TrunkCard) -> None:
    if not 1 <= card.image_size <= LARGEST_SIDE:
        raise SettingsError(f"image_size: expected 1 to {LARGEST_SIDE} pixels, got {card.image_size}")
    if not is_fit(card.fit):
        raise SettingsError(f"fit: expected squash, crop, pad or center-SIZE, got {card.fit!r}")
    for name, values in (("mean", card.mean), ("std", card.std)):
        if len(values) != 3 or not all(map(math.isfinite, values)) or (name == "std" and min(values) <= 0):
            raise SettingsError(f"{name}: expected a number for each of 3 channels, got {list(values)}")

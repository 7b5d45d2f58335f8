"""A state dict from elsewhere brought to a network's names: of old versions, of wrappers, of training scripts."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from a2cli.errors import DataError

Tensors = dict[str, Tensor]
PREFERRED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights")
AVERAGED = ("ema", "averag", "swa")  # in the names of second copies of the weights
DEPTH = 3
# What wrappers put into the names: torch.compile, activation checkpoints, FSDP.
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
# Names that torchvision's files still have and its networks no longer do.
OLD_NAMES = (
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)"), r"\1"),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_2\."), r"\1.3."),
)
NO_PLACE = "no place for it"
UNTRACKED = "num_batches_tracked"  # of a batch norm, which counts with it and computes without


def state_dicts(content: Any, where: str = "", depth: int = DEPTH) -> Iterator[tuple[str, Tensors]]:
    """Yield the tensors by name in what a file holds, with the key they lie under: those most likely meant first."""
    if not isinstance(content, Mapping) or not depth:
        return
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield where, tensors
    keys = [key for key, value in content.items() if isinstance(key, str) and isinstance(value, Mapping)]
    order = {name: i for i, name in enumerate(PREFERRED)}
    for key in sorted(
        keys, key=lambda one: (any(word in one.lower() for word in AVERAGED), order.get(one, len(order)))
    ):
        yield from state_dicts(content[key], f"{where}.{key}" if where else key, depth - 1)


def fitted(
    model: nn.Module, candidates: Iterable[tuple[str, Tensors]], where: str
) -> tuple[Tensors, dict[str, str], list[str]]:
    """Return the one of a file's state dicts that fits a network best, the first among equals, under its names.

    In float32; then what is wrong with each name that has no place, or another shape; then what was changed to fit.
    Raises DataError for values that are no weights: NaN, infinity, complex or quantized numbers.
    """
    state = model.state_dict()
    choices = [(key, *renamed(tensors, state)) for key, tensors in candidates]
    shapes = {name: value.shape for name, value in state.items()}
    counts = [sum(shapes.get(name) == value.shape for name, value in tensors.items()) for _, tensors, _ in choices]
    best = max(range(len(choices)), key=lambda i: (counts[i], len(choices[i][1]), -i))
    key, tensors, notes = choices[best]
    if others := [
        equal for (equal, _, _), count in zip(choices, counts, strict=True) if equal != key and count == counts[best]
    ]:
        notes = [f"taken from {key!r}, not from {few(others)}", *notes]
    misfits = {name: _misfit(name, value, state) for name, value in tensors.items()}
    misfits = {name: reason for name, reason in misfits.items() if reason}
    fitting = {name: value for name, value in tensors.items() if name not in misfits}
    for name, value in fitting.items():
        _check_values(name, value, where)
    kinds = {str(value.dtype).removeprefix("torch.") for value in fitting.values() if value.is_floating_point()}
    if other := sorted(kinds - {"float32"}):
        notes.append(f"converted from {' and '.join(other)} to float32")
    whole = {name: value.float() if value.is_floating_point() else value for name, value in fitting.items()}
    return whole, misfits, notes


def renamed(tensors: Tensors, state: Tensors) -> tuple[Tensors, list[str]]:
    """Return tensors by the network's names as far as it has them, and what was done to their own names."""
    renamed = {name: ".".join(part for part in name.split(".") if part not in WRAPPERS) for name in tensors}
    notes = ["'_orig_mod.' and the like removed from names"] if any(a != b for a, b in renamed.items()) else []
    modern = {name: _modern(new) for name, new in renamed.items()}
    if changed := [name for name, new in modern.items() if new != renamed[name]]:
        notes.append(f"{len(changed)} old names changed, as {changed[0]} to {modern[changed[0]]}")
    prefix = _prefix(list(modern.values()), state)
    if not prefix:
        return {new: tensors[name] for name, new in modern.items()}, notes
    notes.append(f"{prefix!r} removed from names")
    if outside := [name for name, new in modern.items() if not new.startswith(prefix)]:
        notes.append(f"not read, as outside {prefix!r}: {few(outside)}")
    inside = {name: new for name, new in modern.items() if new.startswith(prefix)}
    return {new.removeprefix(prefix): tensors[name] for name, new in inside.items()}, notes


def _modern(name: str) -> str:
    for pattern, new in OLD_NAMES:
        name = pattern.sub(new, name)
    return name


def _prefix(names: Sequence[str], state: Tensors) -> str:
    """Return what stands before the network's names in these: the most frequent, if all or it have it alike."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join([*parts[:i], ""]) for i in range(len(parts)) if ".".join(parts[i:]) in state)
    if not counts:
        return ""
    prefix = max(counts, key=lambda candidate: (counts[candidate], -len(candidate)))
    everywhere = all(name.startswith(prefix) for name in names)
    return prefix if everywhere or counts[prefix] > sum(not name.endswith(UNTRACKED) for name in state) / 2 else ""


def _misfit(name: str, value: Tensor, state: Tensors) -> str:
    if name not in state:
        return NO_PLACE
    if value.shape != state[name].shape:
        return f"{tuple(value.shape)}, expected {tuple(state[name].shape)}"
    return ""


def _check_values(name: str, value: Tensor, where: str) -> None:
    """Raise DataError for a tensor that cannot be a network's weights."""
    if value.is_meta or value.layout is not torch.strided or value.is_quantized or value.is_complex():
        kind = "no values" if value.is_meta else f"{value.dtype} values".removeprefix("torch.")
        raise DataError(f"{where}: {name} holds {kind}, expected floating-point numbers; save the weights as float32")
    if value.is_floating_point() and not bool((finite := value.isfinite()).all()):
        count = value.numel() - int(finite.sum())
        raise DataError(
            f"{where}: {count:,} of {value.numel():,} values of {name} are NaN or infinite: the file is damaged, or "
            "the training that wrote it diverged; take an earlier checkpoint, or get the file again"
        )


def heads_of(model: nn.Module) -> set[str]:
    """Return the layers that give one output for each class: the network's last, and those of auxiliary classifiers."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    classes = list(layers.values())[-1].weight.shape[0]
    return {name for name, module in layers.items() if module.weight.shape[0] == classes}


def in_head(model: nn.Module, name: str, needed: Collection[str]) -> bool:
    """Return whether a name belongs to a head, or to what was put in its place, of which nothing is needed."""
    for head in heads_of(model):
        for place in (f"{head}.", f"{head.partition('.')[0]}."):
            if name.startswith(place) and not any(weight.startswith(place) for weight in needed):
                return True
    return False


def few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"

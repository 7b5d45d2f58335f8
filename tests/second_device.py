"""A device other than the CPU, imitated there: as on a GPU, tensors on it do not combine with those that are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("lazy")  # a kind that torch knows on every machine, and does nothing with by itself
ATEN = torch.ops.aten
BETWEEN = {ATEN._to_copy.default, ATEN.copy_.default}  # operations that may take tensors of both
INDEXING = {ATEN.index.Tensor, ATEN.index_put.default, ATEN.index_put_.default, ATEN._index_put_impl_.default}


class Elsewhere(Tensor):
    """A tensor that says it is on the device; `inner` has its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Elsewhere":
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=DEVICE
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the inner tensors; raises what torch does where tensors of both devices meet."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there = {id(one.inner): one for one in tensors if isinstance(one, Elsewhere)}
    here = [one for one in tensors if not isinstance(one, Elsewhere) and one.dim()]
    if there and here and func not in BETWEEN | INDEXING:
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {here[0].shape} of the CPU")
    wanted = kwargs.get("device")
    inner = {**kwargs, "device": torch.device("cpu")} if wanted is not None else kwargs
    found = func(*tree_map_only(Elsewhere, lambda one: one.inner, args), **tree_map_only(Elsewhere, _inner, inner))
    if wanted != DEVICE and (wanted is not None or not there):
        return found
    return tree_map_only(Tensor, lambda one: there[id(one)] if id(one) in there else Elsewhere(one), found)


def _inner(one: Elsewhere) -> Tensor:
    return one.inner


class _Made(TorchDispatchMode):
    """Makes on the device what is asked for there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = tree_leaves((args, kwargs))
        if any(isinstance(one, Elsewhere) or one == DEVICE for one in leaves if isinstance(one, Tensor | torch.device)):
            return _compute(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


class _Python(TorchFunctionMode):
    """What torch does outside its dispatcher: tensors from lists and to lists, and none of the device's to numpy."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == DEVICE:
            return func(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        if args and isinstance(args[0], Elsewhere):
            if func is Tensor.tolist:
                return args[0].inner.tolist()
            if func in (Tensor.numpy, Tensor.__array__):
                raise TypeError("can't convert a tensor of the device to numpy; use Tensor.cpu() first")
        return func(*args, **kwargs)


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Have torch know the device while this lasts."""
    with _Made(), _Python():
        yield DEVICE

"""Checkpoints: all that is needed to go on after an epoch, in files whose SHA-256 is checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from a2cli.errors import DataError
from a2cli.models.files import load_tensors, save_tensors
from a2cli.versions import NewerVersionError

KEPT_CHECKPOINTS = 2  # so that one is whole where the newest was cut off or damaged
NAME = f"epoch-{'[0-9]' * 8}"


def save_checkpoint(folder: Path, epoch: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write epoch-NNNN, and keep the newest two."""
    save_tensors("checkpoint", folder / f"epoch-{epoch:08d}", tensors, {**state, "epoch": epoch})
    for path in sorted(folder.glob(f"{NAME}.json"))[:-KEPT_CHECKPOINTS]:
        path.unlink()
        path.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
    """Return the newest whole checkpoint's tensors and state, and warnings on those passed over; None without any.

    Raises DataError where there are some and none is whole.
    """
    damaged: list[str] = []
    for path in sorted(folder.glob(f"{NAME}.json"), reverse=True):
        try:
            return *load_tensors("checkpoint", path.with_suffix("")), damaged
        except NewerVersionError:  # not damaged: an older checkpoint in its place would throw epochs away
            raise
        except DataError as error:
            damaged.append(str(error))
    if damaged:
        raise DataError(f"{damaged[0]}; no older checkpoint is whole: start the run anew")
    return None


def save_frame(folder: Path, epoch: int, tensors: Mapping[str, Tensor]) -> None:
    """Write epoch-NNNN: a layer's weights after an epoch, for a film of the training."""
    save_tensors("film", folder / f"epoch-{epoch:08d}", tensors, {"epoch": epoch})


def load_frames(folder: Path) -> dict[int, dict[str, Tensor]]:
    """Return the weights kept for a film, by epoch, in order; raises DataError for a damaged one."""
    stems = [path.with_suffix("") for path in sorted(folder.glob(f"{NAME}.json"))]
    return {int(stem.name[-8:]): load_tensors("film", stem, {"epoch"})[0] for stem in stems}

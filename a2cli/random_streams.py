"""A run's random streams. Torch is imported where one of its own is asked for."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Streams:
    """One seed's separate random streams, each a function of (seed, name, epoch) alone.

    So a draw from one stream moves no other, and a run resumed at epoch k draws what an unbroken one would. Epochs are
    counted on from `epochs_before`, so that a later stage of a training does not meet the same draws again.
    """

    seed: int
    epochs_before: int = 0

    def derive(self, name: str, epoch: int = 0) -> int:
        """Return the 63-bit seed of one stream at one epoch."""
        digest = hashlib.blake2b(f"{self.seed}/{name}/{self.epochs_before + epoch}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def torch(self, name: str, epoch: int = 0) -> "torch.Generator":
        import torch

        return torch.Generator().manual_seed(self.derive(name, epoch))

    def numpy(self, name: str, epoch: int = 0) -> np.random.Generator:
        return np.random.default_rng(self.derive(name, epoch))

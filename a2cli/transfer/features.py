"""The activations of a network's layers for many images, a batch at a time, kept in stores of the user's cache."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from a2cli.errors import DataError, SettingsError
from a2cli.formats import counted
from a2cli.models.backbones import digest_of, parameters_of, truncate
from a2cli.models.fast_pooling import speed_up
from a2cli.models.inplace import any_in_place
from a2cli.models.transfer import GridPooling
from a2cli.models.zoo import TrunkCard
from a2cli.progress import ProgressReporter
from a2cli.training.loop import precise
from a2cli.transfer.activations import Store, digests_of

Rows = NDArray[np.int64]
Answers = Mapping[str, Tensor]
BLANKS = 2  # with one image, what is the same for all images would look like one image's features


class ActivationCache:
    """The activations of several layers of one network, computed for each image once and for all."""

    def __init__(
        self,
        graph: fx.GraphModule,
        preprocess: nn.Module,
        cards: Mapping[str, TrunkCard],
        arithmetic: Sequence[object],
        *,
        whole_batches: bool = False,
    ) -> None:
        """Stores are found by the weights themselves, so it matters not where they came from.

        `arithmetic` is what else decides the bits: precision, device, threads, images a forward.
        """
        self.cards, self.whole_batches = cards, whole_batches
        self.arithmetic = [*arithmetic, *(["whole batches"] if whole_batches else [])]
        self.body, self.preprocess = truncate(graph, [card.node for card in cards.values()]).eval(), preprocess.eval()
        self.poolings = {name: GridPooling(card.grid, card.grid_pool) for name, card in cards.items()}
        shapes = self._shapes(next(iter(cards.values())))
        self.stores = {name: Store(self._recipe(graph, card), shapes[name]) for name, card in cards.items()}

    @torch.inference_mode()
    def _shapes(self, card: TrunkCard) -> dict[str, Sequence[int]]:
        """Return the shape of one image's activations by layer, from a forward of blank ones; raises SettingsError."""
        side = card.image_size
        try:
            found = self.body(self.preprocess(torch.zeros(BLANKS, 3, side, side, dtype=torch.uint8)))
        except (RuntimeError, AssertionError) as error:  # maps shrunk to nothing, or a network that takes one size only
            reason = " ".join(str(error).split())[:100]
            raise SettingsError(f"--image-size: {card.backbone} cannot take {side}x{side} images ({reason})") from None
        for name, card in self.cards.items():
            values = found[card.node]
            if not isinstance(values, Tensor) or values.dim() < 2 or len(values) != BLANKS:
                raise SettingsError(f"--layer: {name} is a step of {card.backbone} that gives no features of an image")
            if card.grid and values.dim() == 4 and values.shape[1] == values.shape[2] != values.shape[3]:
                shape = "x".join(map(str, values.shape[1:]))
                raise SettingsError(f"--grid: {name} of {card.backbone} has its channels last ({shape}); use --grid 0")
        return {name: self.poolings[name](found[card.node]).shape[1:] for name, card in self.cards.items()}

    def _recipe(self, graph: fx.GraphModule, card: TrunkCard) -> str:
        state, names = graph.state_dict(), parameters_of(truncate(graph, [card.node]))
        weights = digest_of({name: state[name] for name in names})
        network = None if card.network is None else asdict(card.network)  # what no weights show, as the activation
        recipe = [card.backbone, network, card.node, weights, card.grid, card.grid_pool, card.mean, card.std]
        recipe += ["transform_input"] if card.transform_input else []
        recipe += ["in-place steps apart"] if any_in_place(graph) else []  # which overwrote rows that are still there
        processor = [torch.backends.cpu.get_cpu_capability()]
        return json.dumps([str(torch.__version__), *processor, *recipe, *self.arithmetic])

    @torch.inference_mode()
    def answers(self, images: Tensor) -> dict[str, Tensor]:
        """Return each layer's activations (B, ...) for images (B, 3, H, W) uint8."""
        return self._answers(self.body, images)

    def _answers(self, body: nn.Module, images: Tensor) -> dict[str, Tensor]:
        found = body(self.preprocess(images))
        return {name: self.poolings[name](found[card.node]) for name, card in self.cards.items()}

    def _check(self, name: str, rows: NDArray[np.float32], precision: str) -> None:
        """Raise DataError for activations that are NaN or infinite, before they are kept."""
        if not np.isfinite(rows).all():
            card = self.cards[name]
            advice = "use --precision fp32" if precision != "fp32" else "its weights cannot be used"
            raise DataError(f"{card.backbone}: activations of {name} are NaN or infinite ({card.weights}); {advice}")

    def compute(
        self,
        images: NDArray[np.uint8],
        rows: Rows,
        batch_size: int,
        precision: str,
        device: torch.device,
        reporter: ProgressReporter,
    ) -> tuple[dict[str, tuple[NDArray[np.float32], Rows]], int]:
        """Return each layer's store as an array, and the place in it of each row's image; and how many were computed.

        images: (M, H, W, 3) uint8. A batch that lacks some rows is computed whole: oneDNN's kernels, and so the last
        bits, depend on how many images there are in a forward. Where splits share a store, the last batch is filled
        up as well (`whole_batches`), so that no bits depend on which came first. Raises DataError where the cache
        cannot be written.
        """
        digests = digests_of(images, rows)
        with ExitStack() as held:
            for name in sorted(self.stores, key=lambda one: str(self.stores[one].folder)):  # one order: no deadlock
                held.enter_context(self.stores[name].open())
            damaged = sum(store.forget_damaged(digests) for store in self.stores.values())
            if damaged:
                kept_in = next(iter(self.stores.values())).folder.parent
                were = counted(damaged, "row of activations was", "rows of activations were")
                reporter.warn(f"{were} damaged in {kept_in}, and computed again")
            lacking = {name: set(store.missing(digests).tolist()) for name, store in self.stores.items()}
            wanted = set().union(*lacking.values())
            body = speed_up(self.body).to(device)
            starts = sorted({row // batch_size * batch_size for row in wanted})
            for start in reporter.batches(starts, len(starts)):
                batch = range(start, min(start + batch_size, len(rows)))
                taken = rows[batch.start : batch.stop]
                taken = np.resize(taken, batch_size) if self.whole_batches else taken
                pixels = torch.from_numpy(images[taken]).permute(0, 3, 1, 2)
                with torch.inference_mode(), precise(precision, device):
                    found = self._answers(body, pixels.to(device))
                for name, values in found.items():
                    new = [i for i, row in enumerate(batch) if row in lacking[name]]
                    kept = values.float().cpu()[new].numpy()
                    self._check(name, kept, precision)
                    self.stores[name].add([digests[batch[i]] for i in new], kept)
            for store in self.stores.values():
                store.flush()
            places = {name: store.places(digests) for name, store in self.stores.items()}
            return {name: (self.stores[name].values(), found) for name, found in places.items()}, len(wanted)

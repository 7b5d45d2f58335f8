"""What a frozen network answers to images, computed a batch at a time and kept on disk by the images' own content.

One store is a folder of the user's cache for one recipe: network, weights, layer, pooling, arithmetic. Rows are only
ever added, each beside the SHA-256 of the pixels it came from and its own: asked again they are there, a changed image
or a damaged row alone is computed again, and what an interrupted pass had added stays.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from a2cli.data.duplicates import digest_of
from a2cli.errors import DataError, SettingsError
from a2cli.formats import counted
from a2cli.models.backbones import digest_of as weights_digest
from a2cli.models.backbones import parameters_of, truncate
from a2cli.models.cards import TrunkCard
from a2cli.models.fast_pooling import speed_up
from a2cli.models.inplace import any_in_place
from a2cli.models.transfer import GridPooling
from a2cli.progress import ProgressReporter
from a2cli.settings.training import TrainingSettings
from a2cli.settings.transfer import FeatureSettings
from a2cli.storage import LOCK, lock, make_folder
from a2cli.training.loop import precise
from a2cli.user_folders import cache_folder, mark_used

FORMAT = 2  # of a store's files; the first had no SHA-256 of the rows
DIGEST = 32
RECORD = 2 * DIGEST  # of an image's pixels, then of that and its row
FLUSH_SECONDS = 1.0
BLANKS = 2  # with one image, what is the same for all images would look like one image's features
Values = NDArray[np.float32]
Rows = NDArray[np.int64]


class Store:
    """The rows of one recipe, (M, *shape) float32, in the order in which they were added."""

    def __init__(self, recipe: str, shape: Sequence[int]) -> None:
        name = hashlib.sha256(json.dumps([FORMAT, recipe, list(shape)]).encode()).hexdigest()[:32]
        self.folder = cache_folder() / "activations" / name
        self.shape = tuple(shape)
        self.row_bytes = 4 * int(np.prod(self.shape))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the store, so that no other process adds rows meanwhile; waits while one does. Raises DataError.

        On a file system without locks rows of two processes may get mixed, which their SHA-256 shows.
        """
        try:
            make_folder(self.folder)
            with (self.folder / LOCK).open("w") as held, (self.folder / "rows.f32").open("ab") as self._rows:
                lock(held, wait=True)
                with (self.folder / "digests").open("ab") as self._digests:
                    self._read()
                    try:
                        yield
                    finally:
                        self.flush()
        except OSError as error:
            raise DataError(
                f"cache {error.filename or self.folder}: {error.strerror}; set A2_CACHE_DIR to another folder"
            ) from None

    def _read(self) -> None:
        """Take note of the whole rows, and cut off what a killed process left half written."""
        content = (self.folder / "digests").read_bytes()
        count = min(len(content) // RECORD, (self.folder / "rows.f32").stat().st_size // self.row_bytes)
        self._digests.truncate(count * RECORD)
        self._rows.truncate(count * self.row_bytes)
        self._records = [content[i * RECORD : (i + 1) * RECORD] for i in range(count)]
        self._places = {record[:DIGEST]: i for i, record in enumerate(self._records)}
        self._flushed, self._flushed_at = count, time.monotonic()

    def forget_damaged(self, digests: Sequence[bytes]) -> int:
        """Forget these images' rows that are not as they were added, so that they are missing, and return how many."""
        places = {digest: self._places[digest] for digest in digests if digest in self._places}
        if not places:  # an empty file cannot be mapped
            return 0
        rows = self.values()
        damaged = [digest for digest, i in places.items() if _record_of(digest, rows[i]) != self._records[i]]
        for digest in damaged:
            del self._places[digest]
        return len(damaged)

    def missing(self, digests: Sequence[bytes]) -> list[int]:
        """Return which of these images have no row yet, each content once, by its first image."""
        first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        return sorted(i for digest, i in first.items() if digest not in self._places)

    def add(self, digests: Sequence[bytes], rows: Values) -> None:
        """Add a row (B, *shape) for each image; on disk for good at the next flush, once a second."""
        if not digests:
            return
        self._rows.write(np.ascontiguousarray(rows).data)
        for digest, row in zip(digests, rows, strict=True):
            self._places[digest] = len(self._records)
            self._records.append(_record_of(digest, row))
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put rows on disk, then their digests: what has a digest is whole."""
        for file, content in ((self._rows, b""), (self._digests, b"".join(self._records[self._flushed :]))):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._flushed, self._flushed_at = len(self._records), time.monotonic()

    def places(self, digests: Sequence[bytes]) -> Rows:
        """Return the number of each image's row."""
        return np.array([self._places[digest] for digest in digests], dtype=np.int64)

    def values(self) -> Values:
        """Return all rows (M, *shape) float32, mapped from disk."""
        path = self.folder / "rows.f32"
        shape = (path.stat().st_size // self.row_bytes, *self.shape)
        # Copied where it is written, as torch warns of arrays that cannot be.
        return np.memmap(path, dtype=np.float32, mode="c", shape=shape)


def _record_of(digest: bytes, row: Values) -> bytes:
    """Return an image's SHA-256 and that of both it and its row, so that a row is not taken for another image's."""
    return digest + hashlib.sha256(digest + row.tobytes()).digest()


def compute_activations(
    graph: fx.GraphModule,
    preprocess: nn.Module,
    cards: Mapping[str, TrunkCard],
    images: NDArray[np.uint8],
    rows: Rows,
    settings: FeatureSettings | TrainingSettings,
    device: torch.device,
    reporter: ProgressReporter,
    title: str,
    *,
    whole_batches: bool = False,
) -> tuple[dict[str, tuple[Values, Rows]], int]:
    """Return each layer's store as an array, and the place in it of each row's image; and how many were computed.

    images: (M, H, W, 3) uint8. With `whole_batches` the last one is filled up, so that where splits share a store no
    bits depend on which came first. Raises SettingsError for layers and sizes of images that give no features,
    DataError for features that are not finite, and where the cache cannot be written.
    """
    batch_size, precision = settings.batch_size, settings.precision
    body = truncate(graph, [card.node for card in cards.values()]).eval()
    shapes = _shapes(body, preprocess.eval(), cards)
    arithmetic = [precision, device.type, torch.get_num_threads(), batch_size, *["whole batches"] * whole_batches]
    stores = {name: Store(_recipe(graph, card, arithmetic), shapes[name]) for name, card in cards.items()}
    by_folder = {store.folder: store for store in stores.values()}
    stores = {name: by_folder[store.folder] for name, store in stores.items()}  # a layer may have two names
    reporter.phase(title, "computing features")
    body = speed_up(body).to(device)
    digests = [digest_of(images[row]) for row in rows]
    with ExitStack() as stack:
        for folder in sorted(by_folder):  # one order: no deadlock
            stack.enter_context(by_folder[folder].open())
        for name, store in stores.items():
            mark_used(store.folder, f"{name} of {cards[name].backbone}, {cards[name].weights}")
        damaged = sum(store.forget_damaged(digests) for store in by_folder.values())
        if damaged:
            were = counted(damaged, "row of activations was", "rows of activations were")
            reporter.warn(f"{were} damaged in {cache_folder() / 'activations'}, and computed again")
        missing = set().union(*(store.missing(digests) for store in by_folder.values()))
        # A batch that lacks some rows is computed whole: oneDNN's kernels, and so the last bits, depend on how many
        # images there are in a forward.
        starts = sorted({row // batch_size * batch_size for row in missing})
        for start in reporter.batches(starts, len(starts)):
            batch, taken = digests[start : start + batch_size], rows[start : start + batch_size]
            pixels = torch.from_numpy(images[np.resize(taken, batch_size) if whole_batches else taken])
            with torch.inference_mode(), precise(precision, device):
                features = _pooled(body(preprocess(pixels.permute(0, 3, 1, 2).to(device))), cards)
            for name, values in features.items():
                new = stores[name].missing(batch)
                new_rows = values.float().cpu()[new].numpy()
                if not np.isfinite(new_rows).all():
                    card = cards[name]
                    advice = "its weights cannot be used" if precision == "fp32" else "use --precision fp32"
                    raise DataError(
                        f"{card.backbone}: activations of {name} are NaN or infinite ({card.weights}); {advice}"
                    )
                stores[name].add([batch[i] for i in new], new_rows)
        for store in by_folder.values():
            store.flush()
        return {name: (store.values(), store.places(digests)) for name, store in stores.items()}, len(missing)


def _pooled(answers: Mapping[str, Tensor], cards: Mapping[str, TrunkCard]) -> dict[str, Tensor]:
    return {name: GridPooling(card.grid, card.grid_pool)(answers[card.node]) for name, card in cards.items()}


@torch.inference_mode()
def _shapes(body: nn.Module, preprocess: nn.Module, cards: Mapping[str, TrunkCard]) -> dict[str, Sequence[int]]:
    """Return the shape of one image's activations by layer, from a forward of blank ones; raises SettingsError."""
    first = next(iter(cards.values()))
    side, blanks = first.image_size, torch.zeros(BLANKS, 3, first.image_size, first.image_size, dtype=torch.uint8)
    try:
        answers = body(preprocess(blanks))
    except (RuntimeError, AssertionError) as error:  # maps shrunk to nothing, or a network that takes one size only
        reason = " ".join(str(error).split())[:100]
        raise SettingsError(f"--image-size: {first.backbone} cannot take {side}x{side} images ({reason})") from None
    for name, card in cards.items():
        values = answers[card.node]
        if not isinstance(values, Tensor) or values.dim() < 2 or len(values) != BLANKS:
            raise SettingsError(f"--layer: {name} is a step of {card.backbone} that gives no features of an image")
        if card.grid and values.dim() == 4 and values.shape[1] == values.shape[2] != values.shape[3]:
            shape = "x".join(map(str, values.shape[1:]))
            raise SettingsError(f"--grid: {name} of {card.backbone} has its channels last ({shape}); use --grid 0")
    return {name: values.shape[1:] for name, values in _pooled(answers, cards).items()}


def _recipe(graph: fx.GraphModule, card: TrunkCard, arithmetic: Sequence[object]) -> str:
    """Return all that decides the bits of a row; by the weights themselves, so it matters not where they came from."""
    state, names = graph.state_dict(), parameters_of(truncate(graph, [card.node]))
    weights = weights_digest({name: state[name] for name in names})
    network = None if card.network is None else asdict(card.network)  # what no weights show, as the activation
    recipe = [card.backbone, network, card.node, weights, card.grid, card.grid_pool, card.mean, card.std]
    recipe += ["transform_input"] if card.transform_input else []
    recipe += ["in-place steps apart"] if any_in_place(graph) else []  # which overwrote rows that are still there
    processor = torch.backends.cpu.get_cpu_capability()  # by which oneDNN chooses its kernels, and so the last bits
    return json.dumps([str(torch.__version__), processor, *recipe, *arithmetic])

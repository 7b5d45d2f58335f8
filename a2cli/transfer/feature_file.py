"""A features file: the activations of some layers for all images of a data set, and all that says where they are from.

A safetensors file. Tensors: each layer's features under its name, (N, C, H, W) or (N, D) float32; `labels` (N,) int64;
the backbone's weights, as far as the last layer, under `backbone/`. The metadata's `a2` is `About` as JSON; `sha256` is
of the whole file with 64 zeros in its place, and missing in files of earlier versions.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a2cli.data.duplicates import digest_of, groups_from, groups_of
from a2cli.data.listing import MOVED
from a2cli.data.packing import Packed
from a2cli.errors import DataError, MissingDataError, no_file
from a2cli.models.cards import TrunkCard
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.storage import DIGEST_KEY, durable
from a2cli.text import sent_instead
from a2cli.versions import VERSION_KEY, newest, upgraded

BACKBONE = "backbone/"
RANDOM, PIXELS = "random-", "pixels"  # layers to compare with: before a layer's name, and the images themselves
CHUNK_BYTES = 16 << 20
NO_DIGEST = b"0" * 64
KINDS: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "F32",
    np.dtype(np.int64): "I64",
    np.dtype(np.int32): "I32",
    np.dtype(np.uint8): "U8",
}
DTYPES = {name: dtype for dtype, name in KINDS.items()}


@dataclass(frozen=True)
class About:
    """Where features are from: the data, the images' order, and of each layer the trunk that computes it.

    `trunks` has no entry for the pixels; `random` names the layers of the network with random weights; `identical` are
    the rows of each group of identical images (None in files made before they were looked for); `value_range` is
    `ModelCard`'s, `near` `Packed`'s; `layers_apart` says that no later step in place could change a layer, as it could
    in files from before it. `learned_from` are the rows that the backbone, a run's network, was trained on, and
    `weights_sha256` is that of its weights' file.
    """

    source: str
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    splits: tuple[str, ...]
    skipped: tuple[str, ...]
    fingerprint: str
    trunks: dict[str, TrunkCard]
    random: tuple[str, ...]
    precision: str
    batch_size: int
    identical: tuple[tuple[int, ...], ...] | None = None
    value_range: tuple[float, float] | None = None
    near: tuple[tuple[int, int, float], ...] = ()
    layers_apart: bool = False
    learned_from: tuple[int, ...] = ()
    weights_sha256: str = ""


@dataclass(frozen=True)
class FeatureFile:
    """A features file that was read, without torch: all arrays are mapped from disk, `layers` by name."""

    path: str
    about: About
    layers: Mapping[str, NDArray[Any]]
    labels: NDArray[np.int64]
    weights: Mapping[str, NDArray[Any]]

    def packed(self, layer: str) -> Packed:
        """Return one layer's features as a data set."""
        about, values, alike = self.about, self.layers[layer], self.about.identical
        groups = groups_of(map(digest_of, values)) if alike is None else groups_from(alike, len(values))
        return Packed(
            images=values,
            labels=self.labels,
            names=about.names,
            splits=about.splits,
            class_names=about.class_names,
            skipped=about.skipped,
            fingerprint=f"{about.fingerprint}/{layer}",
            groups=groups,
            value_range=about.value_range,
            near=about.near,
        )

    def check_finite(self, name: str) -> None:
        """Raise DataError for a layer whose activations are NaN or infinite for some images."""
        values = self.layers[name]
        if not all(np.isfinite(chunk).all() for chunk in chunks_of(values, range(len(values)))):
            raise DataError(
                f"--features {self.path}: {name} holds NaN or infinite activations, as of damaged weights or of an "
                "overflow; extract it again"
            )


Source = tuple[tuple[int, ...], np.dtype[Any], Iterable[NDArray[Any]]]


def write_features(
    path: str,
    about: About,
    layers: Mapping[str, Source],
    labels: NDArray[np.int64],
    weights: Mapping[str, NDArray[Any]],
    reporter: ProgressReporter | None = None,
) -> None:
    """Write a features file whole or not at all, a chunk at a time; each layer is (shape, dtype, its chunks)."""
    # By hand, as safetensors' own writer takes whole tensors, and these need not fit into memory.
    arrays = {f"{BACKBONE}{name}": values for name, values in weights.items()}
    arrays["labels"] = labels
    parts: dict[str, Source] = {**layers, **{name: (a.shape, a.dtype, [a]) for name, a in arrays.items()}}
    # The widest first, so that each is aligned; and the layers in the order in which they were asked for.
    parts = dict(sorted(parts.items(), key=lambda part: -part[1][1].itemsize))
    header: dict[str, Any] = {
        "__metadata__": {
            "format": "pt",
            "a2": json.dumps({**asdict(about), VERSION_KEY: newest("features file")}),
            DIGEST_KEY: NO_DIGEST.decode(),
        }
    }
    end = 0
    for name, (shape, dtype, _) in parts.items():
        begin, end = end, end + int(np.prod(shape)) * dtype.itemsize
        header[name] = {"dtype": KINDS[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors are mapped from disk, and have to be aligned
    beginning = struct.pack("<Q", len(text)) + text
    digest = hashlib.sha256(beginning)
    with durable(Path(path)) as file, ThreadPoolExecutor(1) as hashing:  # while the next chunk is gathered and written
        file.write(beginning)
        hashed: Future[None] | None = None
        written = 0
        for _, dtype, chunks in parts.values():
            for chunk in chunks:
                values = np.ascontiguousarray(chunk, dtype=dtype).reshape(-1).data
                if hashed is not None:
                    hashed.result()  # so that no more than two chunks are in memory
                hashed = hashing.submit(digest.update, values)
                file.write(values)
                written += values.nbytes
                (reporter or NullReporter()).at(written, end)
        hashing.shutdown()
        file.seek(beginning.index(_field(NO_DIGEST)))
        file.write(_field(digest.hexdigest().encode()))


def _field(digest: bytes) -> bytes:
    """Return the metadata's entry as it stands in the header; in the JSON within it quotes are escaped."""
    return f'"{DIGEST_KEY}": "'.encode() + digest + b'"'


def _check_digest(path: str, digest: str, reporter: ProgressReporter) -> None:
    """Raise ValueError where a file's SHA-256 is not the one that its metadata have."""
    with Path(path).open("rb") as file:  # read, not mapped: a failed read of mapped memory ends the process
        length = file.read(8)
        header = file.read(int.from_bytes(length, "little"))
        if _field(digest.encode()) not in header:
            raise ValueError("its SHA-256 is not where it was written")
        hashed = hashlib.sha256(length + header.replace(_field(digest.encode()), _field(NO_DIGEST), 1))
        chunks = -(-(Path(path).stat().st_size - file.tell()) // CHUNK_BYTES)
        for chunk in reporter.batches(iter(lambda: file.read(CHUNK_BYTES), b""), chunks):
            hashed.update(chunk)
    if hashed.hexdigest() != digest:
        raise ValueError("its SHA-256 is not the one written in it")


def chunks_of(values: NDArray[Any], places: Sequence[int] | NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Yield rows in the order of `places`, some at a time."""
    count = max(1, CHUNK_BYTES // max(1, values[:1].nbytes))
    for start in range(0, len(places), count):
        yield values[np.asarray(places[start : start + count])]


def _mapped(path: str, parts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file; `parts` are its slices in the order of their places in the file."""
    # Written to, a copy changes and not the file; safetensors' own arrays are copies in memory from the beginning.
    whole = np.memmap(path, np.uint8, "c").view(np.ndarray)
    begin, arrays = 8 + int(whole[:8].view("<u8")[0]), {}
    for name, part in parts.items():
        dtype, shape = DTYPES[part.get_dtype()], part.get_shape()
        end = begin + math.prod(shape) * dtype.itemsize
        arrays[name] = whole[begin:end].view(dtype).reshape(shape)
        begin = end
    return arrays


def read_features(path: str, reporter: ProgressReporter | None = None) -> FeatureFile:
    """Return a features file; raises DataError where it is missing, cut short, or none of a2's."""
    from pydantic import TypeAdapter, ValidationError
    from safetensors import SafetensorError, safe_open

    path = MOVED.get(path, path)
    if not Path(path).is_file():
        reason = no_file(path, "a features file")
        raise MissingDataError(
            f"--features {path}: {reason} ('a2 extract-features' makes such files)", path, "--features"
        )
    reporter = reporter or NullReporter()
    reporter.phase(f"reading {path}", "reading features", brief=True)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            text = metadata.get("a2")
            if text is None:
                raise DataError(f"--features {path}: not a features file of a2's (its metadata has no 'a2')")
            if metadata.keys() - {"format", "a2"}:  # those of earlier versions have no SHA-256
                _check_digest(path, metadata.get(DIGEST_KEY, ""), reporter)
            arrays = _mapped(path, {name: file.get_slice(name) for name in file.offset_keys()})
        values = upgraded("features file", dict(json.loads(text)), f"--features {path}")
        about = TypeAdapter(About).validate_python(values)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        if other := sent_instead(path):
            raise DataError(f"--features {path}: not a features file: {other}") from None
        reason = " ".join(str(error).split())[:80]
        raise DataError(f"--features {path}: damaged or not a features file ({reason}); extract it again") from None
    labels, count = arrays.pop("labels", np.zeros(0, np.int64)), len(about.names)
    weights = {name.removeprefix(BACKBONE): arrays.pop(name) for name in list(arrays) if name.startswith(BACKBONE)}
    is_whole = labels.shape == (count,) and len(about.splits) == count > 0 and arrays
    of_one_length = all(len(values) == count for values in arrays.values())
    if not is_whole or not of_one_length or not about.trunks.keys() <= arrays.keys():
        raise DataError(f"--features {path}: damaged (its parts are not of one length); extract it again")
    if labels.min() < 0 or labels.max() >= len(about.class_names):
        raise DataError(f"--features {path}: damaged (labels that are no class); extract it again")
    return FeatureFile(path, about, arrays, labels, weights)

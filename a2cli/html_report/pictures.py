"""The pictures on a page: PNG files as they are, but the largest as WebP, encoded side by side."""

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup
from PIL import Image, WebPImagePlugin  # noqa: F401 - named, or Pillow loads all its formats to find this one

from a2cli import storage
from a2cli.errors import DataError
from a2cli.machine import cores

# Encoding takes most of a page's time: only the largest pictures are encoded again, until those of a run have so many
# bytes at most. 1,000,000 of them as text are 1.33 MB of a page.
MOST_BYTES, MOST_BYTES_OF_REPLICATION = 850_000, 4_500_000
KEPT_BY_WEBP = 0.4  # of a picture's bytes, about: figures of paintings, of faces and of curves kept 0.13 to 0.41
# Photographs have more than 5,000 colours, or as PNG more than 2 bits a pixel (grey ones); encoded without losses they
# take 0.4 s and up to five times the bytes. Drawn lines, bars and cells are as small without losses as with them.
MOST_DRAWN_COLORS, MOST_DRAWN_BYTES = 5000, 0.25
LOSSLESS = {"lossless": True, "quality": 0, "method": 1}  # slower ones make files hardly smaller
LOSSY = {"quality": 70, "method": 0}  # slower ones make files a sixth smaller
MOST_WIDTH = 1440  # pixels of one with losses, as much as a page shows of it on a wide screen
MOST_REPEATED = 3  # seeds or folds whose own figures are shown: those of twenty would be 8 MB
SAMPLES, IN_CHARTS = "samples", {"curves", "learning-rate"}


@dataclass(frozen=True)
class Picture:
    """A picture as a data URL, and whether it is as exact as its file."""

    url: Markup  # ours: to look for what is to be escaped in megabytes takes a tenth of a page's time
    exact: bool


def encode_ahead(folder: Path) -> None:
    """Begin to encode a run's pictures on other cores, while this one loads what reads and shows its report."""
    found = [*folder.glob("figures/*.png"), *folder.glob("*/*/figures/*.png")]
    names, _ = shown_of([path.relative_to(folder) for path in found])
    for content in _largest([_content(folder / name) for name in names], _most_bytes(folder)):
        _encoding(content)


def pictures_of(folder: Path, names: Sequence[Path]) -> dict[Path, Picture | None]:
    """Return a run's PNG files, None for one that is damaged."""
    return dict(zip(names, pictures([folder / name for name in names], _most_bytes(folder)), strict=True))


def pictures(files: Sequence[Path | bytes], most_bytes: int = MOST_BYTES) -> list[Picture | None]:
    """Return PNG files as data URLs, None for one that is damaged: the largest as WebP until all have `most_bytes`."""
    contents = [_content(file) for file in files]
    encoded = {content: _encoding(content) for content in _largest(contents, most_bytes)}
    return [
        None if one is None else encoded[one].result() if one in encoded else Picture(_url("png", one), exact=True)
        for one in contents
    ]


def shown_of(names: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Return the figures that a page shows, in order, and which of several seeds or folds are left out."""
    names = sorted(names, key=lambda name: (len(name.parts), name.parent, name.stem != "curves", name))
    # Each seed has the same samples, and its curves are lines of the charts for all seeds.
    own = {name.stem for name in names if len(name.parts) == 2}
    samples = [name for name in names if name.stem == SAMPLES]
    names = [name for name in names if name not in samples[1:]]
    names = [name for name in names if len(name.parts) == 2 or name.stem not in own & IN_CHARTS]
    several = list(dict.fromkeys(name.parts[:2] for name in names if name.parts[0] in ("seeds", "folds")))
    left_out = ["/".join(one) for one in several[MOST_REPEATED:]]
    said = [f"those of {', '.join(left_out)} (a2 report of one of these folders shows them)"] if left_out else []
    return [name for name in names if "/".join(name.parts[:2]) not in left_out], said


def _most_bytes(folder: Path) -> int:
    return MOST_BYTES_OF_REPLICATION if storage.is_run(folder, "replicate") else MOST_BYTES


def _largest(contents: Iterable[bytes | None], most_bytes: int) -> list[bytes]:
    """Return which pictures are to be encoded, so that all of them have about so many bytes at most."""
    there = [content for content in contents if content]
    left, largest = sum(map(len, there)), list[bytes]()
    for content in sorted(there, key=len, reverse=True):
        if left > most_bytes:
            left -= round((1 - KEPT_BY_WEBP) * len(content))
            largest.append(content)
    return largest


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())  # Pillow encodes side by side


@cache
def _encoding(png: bytes) -> Future[Picture]:
    return _pool().submit(_as_webp, png)


def _content(file: Path | bytes) -> bytes | None:
    try:
        if isinstance(file, Path):
            storage.check_regular(file)
        content = file if isinstance(file, bytes) else file.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, DataError, Image.DecompressionBombError):
        return None
    return content


def _as_webp(png: bytes) -> Picture:
    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        colored = image.convert("RGB")
        is_drawn = colored.getcolors(MOST_DRAWN_COLORS) is not None
        exact = is_drawn and len(png) <= MOST_DRAWN_BYTES * image.width * image.height
        if exact:
            image.save(content, "webp", **LOSSLESS)
        else:
            if image.width > MOST_WIDTH:
                height = round(image.height * MOST_WIDTH / image.width)
                colored = colored.resize((MOST_WIDTH, height), Image.Resampling.HAMMING)
            colored.save(content, "webp", **LOSSY)
    return Picture(_url("webp", content.getvalue()), exact)


def _url(kind: str, content: bytes) -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(content).decode()}")

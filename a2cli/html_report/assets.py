"""The page's own scripts and styles, and the pictures in it; whatever it shows is in the one file."""

import base64
import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup
from PIL import Image, WebPImagePlugin  # noqa: F401 - named, or Pillow loads all its formats to find this one

from a2cli.machine import cores

# Encoding takes most of a page's time: only the largest pictures are encoded again, until those of a run have so many
# bytes at most. 1,000,000 of them as text are 1.33 MB of a page.
MOST_BYTES, MOST_BYTES_OF_REPLICATION = 850_000, 4_500_000
KEPT_BY_WEBP = 0.4  # of a picture's bytes, about: figures of paintings, of faces and of curves kept 0.13 to 0.41
# Photographs have more than 5,000 colours, or as PNG more than 2 bits a pixel (grey ones); encoded without losses they
# take 0.4 s and up to five times the bytes. Drawn lines, bars and cells are as small without losses as with them.
MOST_DRAWN_COLORS, MOST_DRAWN_BYTES = 5000, 0.25
LOSSLESS = {"lossless": True, "quality": 0, "method": 1}  # slower ones make files hardly smaller
LOSSY = {"quality": 70, "method": 2}


@dataclass(frozen=True)
class Picture:
    """A picture as a data URL, and whether it is as exact as its file."""

    url: Markup  # ours: to look for what is to be escaped in megabytes takes a tenth of a page's time
    exact: bool


@cache
def asset(name: str) -> Markup:
    """Return a file of this package as it is, to stand between tags."""
    return Markup((files("a2cli.html_report") / name).read_text("utf-8"))  # ours: there is nothing to escape


def source_of(script: str) -> str:
    """Return how a Content-Security-Policy names an inline script, by its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def pictures(files: Sequence[Path | bytes], most_bytes: int = MOST_BYTES) -> list[Picture | None]:
    """Return PNG files as data URLs, None for one that is damaged: the largest as WebP until all have `most_bytes`."""
    contents = [_content(file) for file in files]
    left, encoded = sum(len(content or b"") for content in contents), list[bytes]()
    for content in sorted(filter(None, contents), key=len, reverse=True):
        if left > most_bytes:
            left -= round((1 - KEPT_BY_WEBP) * len(content))
            encoded.append(content)
    with ThreadPoolExecutor(cores()) as pool:  # Pillow encodes side by side
        as_webp = dict(zip(encoded, pool.map(_as_webp, encoded), strict=True))
    return [as_webp.get(one) or Picture(_url("png", one), exact=True) if one else None for one in contents]


def _content(file: Path | bytes) -> bytes | None:
    try:
        content = file if isinstance(file, bytes) else file.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return content


def _as_webp(png: bytes) -> Picture:
    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        is_drawn = image.convert("RGB").getcolors(MOST_DRAWN_COLORS) is not None
        exact = is_drawn and len(png) <= MOST_DRAWN_BYTES * image.width * image.height
        image.save(content, "webp", **(LOSSLESS if exact else LOSSY))
    return Picture(_url("webp", content.getvalue()), exact)


def _url(kind: str, content: bytes) -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(content).decode()}")

"""The page's own scripts and styles, and the pictures in it; whatever it shows is in the one file."""

import base64
import hashlib
import io
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

from markupsafe import Markup
from PIL import Image

from a2cli.errors import DataError

MOST_LOSSLESS = 300_000  # bytes of a picture; larger ones are photographs, which take a fifth with loss
LOSSLESS = {"lossless": True, "quality": 25, "method": 2}
LOSSY = {"quality": 90, "method": 2}


@cache
def asset(name: str) -> Markup:
    """Return a file of this package as it is, to stand between tags."""
    return Markup((files("a2cli.html_report") / name).read_text("utf-8"))  # ours: there is nothing to escape


def source_of(script: str) -> str:
    """Return how a Content-Security-Policy names an inline script, by its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def picture(file: Path | BinaryIO) -> tuple[str, bool]:
    """Return a PNG file as a data URL of WebP, which is half as large, and whether it is as exact as the file.

    Raises DataError for a file that is damaged.
    """
    try:
        with Image.open(file, formats=["PNG"]) as image:
            content, exact = _webp(image, LOSSLESS), True
            if len(content) > MOST_LOSSLESS:
                content, exact = _webp(image, LOSSY), False
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: damaged ({error})") from None
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}", exact


def _webp(image: Image.Image, how: dict[str, int]) -> bytes:
    content = io.BytesIO()
    image.save(content, "webp", **how)
    return content.getvalue()

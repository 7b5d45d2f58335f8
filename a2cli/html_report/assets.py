"""The page's own scripts and styles."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from markupsafe import Markup


@cache
def asset(name: str) -> Markup:
    """Return a file of this package as it is, to stand between tags."""
    return Markup((files("a2cli.html_report") / name).read_text("utf-8"))  # ours: there is nothing to escape


def source_of(script: str) -> str:
    """Return how a Content-Security-Policy names an inline script, by its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"

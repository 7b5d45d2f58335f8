"""Text from outside (class names, paths, tensor names, other libraries' messages), so that it is shown as text."""

import re
import shlex
from pathlib import Path

# Control characters (C0, DEL, C1), Unicode's Bidi_Control characters, which reorder a line, and line separators.
# Beside them surrogates: bytes of a file's name that are not text, or halves of a character.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str | bytes) -> str:
    """Return a text on one line, what would steer a terminal or cannot be encoded as an escape such as \\x1b."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return _UNPRINTABLE.sub(_escaped, text)


def shell_word(text: str) -> str:
    """Return a text as it is written on a command line, in quotes where a shell would take it apart."""
    shown = printable(text)
    return shown if re.fullmatch(r"[\w@%+=:,./-]+", shown) else shlex.quote(shown)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as Python keeps one that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters: of a longer one the beginning and the end."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def sent_instead(path: str | Path) -> str:
    """Say what a file is that hosts send in place of the one meant, and what to do; "" where it is neither."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    except OSError:  # what could not be read is said already
        return ""
    if text.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer; 'git lfs pull' fetches the file itself"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML), as servers send instead of a file; download it again"
    return ""

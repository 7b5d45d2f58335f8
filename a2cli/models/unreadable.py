"""Files that cannot be read as weights: what they are instead, and what to do."""

import json
import re
import zipfile
from pathlib import Path

from a2cli.models.state_dict import few
from a2cli.text import sent_instead

MOST_HEADER = 100_000_000  # bytes, safetensors' own limit
META = "__metadata__"


def is_safetensors(path: str) -> bool:
    """Return whether a file begins as a .safetensors does, whatever its name: a length, then a JSON object."""
    with Path(path).open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" if not start.startswith((b"PK", b"\x80")) else False


def why_refused(path: str, reason: str) -> str:
    """Say why torch does not read a pickle without running code."""
    if "tar" in reason and "legacy" in reason:
        return "not a file of plain tensors (PyTorch's format before 0.1.10, which cannot be read safely); save it anew"
    refused = "Unsupported" in reason or "weights_only" in reason.lower()
    if not refused or not _is_pickle(path):
        return "not a file of plain tensors (damaged); get it again"
    kind = re.search(r"GLOBAL ([\w.]+)", reason)
    holds = f"; it holds {kind[1]}" if kind else ""
    return f"not a file of plain tensors (it would run code, and is refused){holds}: save model.state_dict() alone"


def _is_pickle(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(2) in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def what_it_is(path: str) -> str:
    """Say of a file that cannot be read as weights what it is and what to do, "" where that is not known."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        start = file.read(4096)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not size:
        return "not a file of weights: it is empty (0 bytes); get it again"
    if other := sent_instead(path):
        return f"not a file of weights: {other}"
    if text.startswith((b"<?xml", b"<error", b"<!doctype")):
        return f"not a file of weights: an XML document ({_printed(start)}); download it again"
    if text.startswith((b"{", b"[")) and min(start) >= 9:
        return f"not a file of weights: JSON text ({_printed(start)}); download it again"
    if start.startswith(b"PK"):
        return _what_archive(path)
    if is_safetensors(path) and (whole := _promised(path)) > size:
        return f"not a file of weights: cut short ({size:,} of {whole:,} bytes); download it again"
    return ""


def _promised(path: str) -> int:
    """Return how many bytes a .safetensors file's header says there are; 0 where it says nothing."""
    with Path(path).open("rb") as file:
        end = 8 + int.from_bytes(file.read(8), "little")
        if end > MOST_HEADER:
            return 0
        header = file.read(end - 8)
    try:
        offsets = [
            end,
            *(end + tensor["data_offsets"][1] for name, tensor in json.loads(header).items() if name != META),
        ]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return end
    return max((offset for offset in offsets if isinstance(offset, int)), default=end)


def _what_archive(path: str) -> str:
    """Say what is wrong with a file that begins as a zip archive does, as torch.save's files are."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        size = f"{Path(path).stat().st_size:,} bytes"
        return (
            f"not a file of weights: cut short or damaged (a zip archive of {size}, without its end); download it again"
        )
    if any(name.endswith("constants.pkl") for name in names):
        return "not a file of plain tensors: a TorchScript program; save model.state_dict() alone"
    if not any(name.endswith("data.pkl") for name in names):
        held = few([ascii(name) for name in names]) or "nothing"
        return f"not a file of weights: a zip archive of {held}; unpack it and name the file inside"
    return ""


def _printed(start: bytes) -> str:
    """Return the beginning of a text in one line without control characters."""
    line = " ".join(start.decode("utf-8", "replace").split())
    return "".join(char if char.isprintable() else "?" for char in line)[:60]

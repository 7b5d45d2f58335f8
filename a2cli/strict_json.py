"""Strict JSON: no NaN, no infinity, no bytes that are not text."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def to_json(value: Any) -> str:
    """Return a dataclass or plain value as strict JSON in UTF-8: a number that is not finite becomes null."""
    values = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return json.dumps(_finite(values), indent=1, allow_nan=False) + "\n"


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they are once written as JSON and read again."""
    read: dict[str, Any] = json.loads(to_json(dict(values)))
    return read


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):  # bytes of a file's name that are no text, which JSON in UTF-8 cannot hold
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_finite(str(key)): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value

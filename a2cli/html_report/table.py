"""A table on a page."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of cells, with their heads; `left_out` are rows that there is no room for."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int = 0

"""A table on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of cells, with their heads; `left_out` are rows that there is no room for."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int = 0


def pairs(left: str, right: str, values: Mapping[str, object]) -> Table | None:
    """Return names and values in two columns, None where there are none."""
    return Table([left, right], [[name, str(value)] for name, value in values.items()]) if values else None

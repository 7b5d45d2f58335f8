"""A table's columns, each declared once: what is printed, the CSV files and the docs' tables are made of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column of a table with a row for each R: its name in a CSV and a row's value there; how it is printed.

    Without `value` it is not in the CSV. It is printed under `title`, else its name; `text` makes a row's cell,
    else `form` formats the value, and None is an empty cell.
    """

    name: str
    value: Callable[[R], Any] | None = None
    form: str = ""
    text: Callable[[R], Any] | None = None
    title: str | None = None
    printed: bool = True

    @property
    def head(self) -> str:
        return self.name if self.title is None else self.title

    def cell(self, row: R) -> Any:
        """Return what is printed of a row, a string or what Rich can render."""
        if self.text:
            return self.text(row)
        value = self.value(row) if self.value else None
        return "" if value is None else format(value, self.form)


def fields_of(kind: type) -> list[Column[Any]]:
    """Return a column for each field of a dataclass."""
    return [Column(item.name, attrgetter(item.name)) for item in fields(kind)]


def named(**places: str) -> list[Column[Any]]:
    """Return columns by name, each with the attribute of a row that it shows, as `point.accuracy.low`."""
    return [Column(name, attrgetter(place)) for name, place in places.items()]


def placed(*names: str) -> list[Column[Any]]:
    """Return a column for each place of rows that are sequences."""
    return [Column(name, itemgetter(place)) for place, name in enumerate(names)]


def of(part: Callable[[Any], R], columns: Sequence[Column[R]]) -> list[Column[Any]]:
    """Return what columns have in a CSV for rows that hold theirs as a part."""

    def through(value: Callable[[R], Any]) -> Callable[[Any], Any]:
        return lambda row: value(part(row))

    return [Column(column.name, through(column.value)) for column in columns if column.value]


def in_csv(columns: Sequence[Column[R]], rows: Iterable[R]) -> tuple[list[str], list[list[Any]]]:
    """Return the names and rows of a CSV file."""
    in_file = [(column.name, column.value) for column in columns if column.value]
    return [name for name, _ in in_file], [[value(row) for _, value in in_file] for row in rows]


def in_print(columns: Sequence[Column[R]], rows: Iterable[R]) -> tuple[list[str], list[list[Any]]]:
    """Return the titles and rows of a printed table."""
    printed = [column for column in columns if column.printed]
    return [column.head for column in printed], [[column.cell(row) for column in printed] for row in rows]


def in_markdown(columns: Sequence[Column[R]], rows: Iterable[R]) -> list[str]:
    """Return the lines of a table in Markdown, as it is printed."""
    heads, cells = in_print(columns, rows)
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(f"| {' | '.join(row)} |" for row in cells)]

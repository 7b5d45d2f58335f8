"""What `a2 data check` found, as printed."""

import math
from collections.abc import Mapping, Sequence

from a2cli.console.base import results_console, table_of
from a2cli.formats import counted
from a2cli.reports.data_results import DataCheck, NearDuplicate

MOST_CLASSES, MOST_NAMED = 40, 5
PARTS = {"train": "training", "val": "validation", "test": "test", "": "images"}


def show_data_check(check: DataCheck) -> None:
    """Print the classes with their counts, split by split, then what was looked for with what was found."""
    console = results_console()
    console.print(f"{check.source}: {counted(check.images, 'image')} of {len(check.classes)} classes", soft_wrap=True)
    parts = [part for part in PARTS if any(part in counts for counts in check.classes.values())]
    table = table_of("class", *(PARTS[part] for part in parts))
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for name, counts in list(check.classes.items())[:MOST_CLASSES]:
        table.add_row(name, *(str(counts.get(part, 0)) for part in parts))
    if (more := len(check.classes) - MOST_CLASSES) > 0:
        table.add_row(f"({more} more classes)", *[""] * len(parts))
    totals = [sum(counts.get(part, 0) for counts in check.classes.values()) for part in parts]
    table.add_row("all", *map(str, totals), style="bold")
    console.print(table)
    table = table_of("", "found")
    table.columns[0].no_wrap, table.columns[1].overflow = True, "fold"
    table.add_row("sizes", _sizes(check.sizes))
    table.add_row("compared at", f"{check.image_size}x{check.image_size} pixels (--image-size)")
    table.add_row("modes", _counts(check.modes) + (f"; {check.scaling}" if check.scaling else ""))
    table.add_row("passed over", _counts(check.passed_over))
    table.add_row("not used", ", ".join(check.unused) or "none")
    table.add_row("damaged", _listed(check.damaged))
    table.add_row("of one single value", _listed(check.single_valued))
    table.add_row("identical", _listed([" = ".join(names) for names in check.identical]))
    table.add_row("nearly identical", _listed([_pair(pair) for pair in check.near_duplicates]))
    console.print(table)
    errors = f"{counted(len(check.wrong), 'error')} below" if check.wrong else "No errors"
    warnings = f"; {counted(len(check.warnings), 'warning')} above" if check.warnings else ""
    console.print(f"{errors}{warnings}." if check.wrong or warnings else "Nothing is wrong.")


def _sizes(counts: Mapping[str, int]) -> str:
    """Return the sizes, of many the smallest and the largest by their pixels."""
    if len(counts) <= MOST_NAMED:
        return _counts(counts)
    by_pixels = sorted(counts, key=lambda size: math.prod(map(int, size.split("x"))))
    return f"{by_pixels[0]} to {by_pixels[-1]}, {len(counts)} different ones"


def _pair(pair: NearDuplicate) -> str:
    parts = f", {pair.first_part} and {pair.second_part}" if pair.in_two_parts else ""
    return f"{pair.first} and {pair.second} ({pair.similarity:.3f}{parts})"


def _counts(counts: Mapping[str, int]) -> str:
    return _listed([f"{name} ({count})" for name, count in counts.items()], ", ", "")


def _listed(names: Sequence[str], separator: str = "; ", before_more: str = "and ") -> str:
    more = len(names) - MOST_NAMED
    return separator.join([*names[:MOST_NAMED], *[f"{before_more}{more} more"] * (more > 0)]) or "none"

"""What networks answer to images, as printed."""

from functools import partial

from a2cli.console.base import results_console, table_of
from a2cli.formats import counted
from a2cli.reports.predictions import Predictions


def show_predictions(found: Predictions) -> None:
    """Print how the answers came about, then a table of them."""
    from rich.console import Group

    console = results_console()
    say = partial(console.print, sep="\n")
    say(f"{found.run}, {counted(len(found.classes), 'class', 'classes')}: {found.method}", *found.warnings)
    several = any(one.next for one in found.predictions)
    table = table_of("image", "answer", "probability", *["next"] * several)
    table.padding = (0, 1, 0, 0)
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    table.columns[2].no_wrap, table.columns[2].justify = True, "right"
    for one in found.predictions:
        after = Group(*(f"{other.probability:.3f} {other.name}" for other in one.next))
        table.add_row(one.image, one.answer, f"{one.probability:.3f}", *[after] * several)
    console.print(table)
    if found.picture:
        console.print(f"Picture: {found.picture}", soft_wrap=True)

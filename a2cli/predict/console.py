"""What networks answer to images, as printed."""

import os
from collections.abc import Sequence
from pathlib import Path

from a2cli.console.base import results_console, table_of
from a2cli.formats import counted
from a2cli.reports.predictions import Predictions


def show_predictions(results: Predictions) -> None:
    """Print how the answers came about, then a table of them."""
    from rich.console import Group

    console, classes = results_console(), counted(len(results.classes), "class", "classes")
    console.print(f"{results.run}, {classes}: {results.method}", *results.warnings, sep="\n")
    has_next = any(prediction.next for prediction in results.predictions)
    table = table_of("image", "answer", "probability", *["next"] * has_next)
    table.padding = (0, 1, 0, 0)
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    table.columns[2].no_wrap, table.columns[2].justify = True, "right"
    folder = _common_folder([prediction.image for prediction in results.predictions], console.width // 2)
    if folder:
        console.print(f"Images in {folder}:", soft_wrap=True)
    for prediction in results.predictions:
        name = os.path.relpath(prediction.image, folder) if folder else prediction.image
        after = Group(*(f"{other.probability:.3f} {other.name}" for other in prediction.next))
        table.add_row(name, prediction.answer, f"{prediction.probability:.3f}", *[after] * has_next)
    console.print(table)
    if results.picture:
        console.print(f"Picture: {results.picture}", soft_wrap=True)


def _common_folder(images: Sequence[str], most: int) -> str:
    """Return the folder that all images are in, to be said once, where their paths have more characters than that."""
    folders = [str(Path(image).parent) for image in images]
    if max(map(len, images), default=0) <= most or len({Path(image).anchor for image in images}) > 1:
        return ""
    return os.path.commonpath(folders)

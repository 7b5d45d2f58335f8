"""What units see, as printed: a table, a drawing, sentences."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.console.base import add_layers, results_console, say_where, table_of
from a2cli.formats import counted, in_percent
from a2cli.receptive_field.results import EffectiveField, FieldResults, MapCone
from a2cli.reports.report import Report

if TYPE_CHECKING:
    from rich.table import Table


def show_fields(report: Report, folder: Path | None) -> None:
    """Print what each layer's units see: the derivation, a table, a drawing, and what was asked of a unit or pixel."""
    results = report.results
    assert isinstance(results, FieldResults), "a look at fields has those"
    console = results_console()
    say = partial(console.print, sep="\n")
    say(*results.derivation)
    has_image = results.image_size is not None
    table = table_of("map", "k", "s", "p", "d", "size", "field", "jump", "centre", *["image", "padded"] * has_image)
    rows = []
    for layer in results.layers:
        pairs = layer.kernel_size, layer.stride, layer.padding, layer.dilation
        windows = [_by(*pair) if pair else "" for pair in pairs]
        cells = [_by(*(layer.size or layer.size_formula or ("", ""))), layer.status, "", ""]
        if layer.field and not layer.jump:
            cells[1] = f"{_by(*layer.field)} measured"
        elif layer.field and layer.jump and layer.centre:
            marks = "!" * bool(layer.beyond_image) + "?" * layer.misaligned
            cells[1:] = [_by(*layer.field) + marks, _by(*layer.jump), _by(*layer.centre)]
        shares = []
        if layer.size and layer.share is not None and layer.padded_units is not None:
            shares = [in_percent(layer.share), in_percent(layer.padded_units / (layer.size[0] * layer.size[1]))]
        rows.append([layer.name, *windows, *cells, *(shares or [""] * 2 * has_image)])
    add_layers(table, rows, console.width)
    console.print(table)
    if has_image:
        say("image: the field's share of it; padded: the share of units that see padding.")
    if any(layer.beyond_image for layer in results.layers):
        say("!: larger than the image.")
    if any(layer.misaligned for layer in results.layers):
        say("?: joins branches whose fields have different centres.")
    if results.cone:
        say("", *_drawn(results.cone))
    if unit := results.unit:
        inside = [f"{ends[0]} to {ends[1]}" if ends else "none" for ends in (unit.clipped_rows, unit.clipped_columns)]
        say(
            "",
            f"Unit {unit.unit[0]},{unit.unit[1]} of {unit.layer}: rows {unit.rows[0]} to {unit.rows[1]}, "
            f"columns {unit.columns[0]} to {unit.columns[1]}; in the image rows {inside[0]}, columns {inside[1]}; "
            f"{counted(unit.pixels, 'pixel')}.",
        )
    for i, row in enumerate(results.pixel):
        where = "no unit"
        if row.rows and row.columns:
            (top, bottom), (left, right) = row.rows, row.columns
            many = f"{counted(row.units, 'unit')}, rows {top} to {bottom}, columns {left} to {right}"
            where = f"unit {top},{left}" if row.units == 1 else many
        say(*[""] * (i == 0), f"The pixel is seen in {row.layer} by {where}.")
    if results.effective:
        console.print(_effective(results.effective, console.width))
    say("", results.verdict)
    if folder:
        say_where(console, report, folder)


def _effective(fields: Sequence[EffectiveField], width: int) -> "Table":
    table = table_of("unit", "weights", "pixels", *(f"{share}% in" for share in ("50", "90", "99")), "deviation")
    rows = []
    for field in fields:
        row, column = field.unit
        cells = ["no gradient", "", "", ""]
        if field.shares and field.deviation:
            cells = [*map(in_percent, field.shares.values()), ""]
            cells[-1] = _by(*(float(f"{value:.3g}") for value in field.deviation))
        rows.append([f"{field.layer},{row},{column}", field.weights, str(field.pixels), *cells])
    add_layers(table, rows, width)
    return table


def _by(rows: object, columns: object) -> str:
    """Return a pair of rows and columns, once if they agree."""
    first, second = (f"{value:g}" if isinstance(value, float) else str(value) for value in (rows, columns))
    return first if first == second else f"{first}x{second}"


def _drawn(cone: Sequence[MapCone], width: int = 78) -> list[str]:
    """Return a line for each map, over the image's columns: what the unit at the cone's tip sees is solid."""
    pixels, words = cone[0].size[1], min(24, max(len(maps.name) for maps in cone))
    per_character = -(-pixels // (width - words))
    lines = []
    for maps in reversed(cone):
        line = [" "] * -(-pixels // per_character)
        for unit in range(maps.size[1]):
            place = int((maps.centre[1] + unit * maps.jump[1] + 0.5) // per_character)
            lit = any(first <= unit <= last for first, last in maps.columns)
            if 0 <= place < len(line) and line[place] != "█":
                line[place] = "█" if lit else "·"
        lines.append(f"{maps.name[-words:]:>{words}}  {''.join(line)}".rstrip())
    return lines

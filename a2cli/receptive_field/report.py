"""Builds the report of `a2 receptive-field` on layers, units and pixels."""

from collections.abc import Mapping, Sequence

from a2cli.errors import SettingsError, nearest
from a2cli.receptive_field.fields import Layer, View, runs
from a2cli.receptive_field.results import (
    PART,
    FieldResults,
    LayerField,
    MapCone,
    Pair,
    PixelUnits,
    Status,
    UnitField,
)

Views = tuple[View, View]
Bits = tuple[int, ...]
Measured = Mapping[str, tuple[Bits, Bits]]


def status_of(view: Views | None, is_global: bool, measured: tuple[Bits, Bits] | None) -> Status:
    """Compare the derived receptive field with the measured one, where there is one."""
    if view is None and not is_global:
        return "measured only"
    if measured is None:
        return "global" if view is None else "derived"
    if view is None:
        alike = all(len(set(axis)) == 1 and axis[0] for axis in measured)  # a border that no window reaches is not seen
        return "global" if alike else PART
    rows, columns = view
    nothing = not (any(rows.seen) and any(columns.seen))  # along one axis padding alone: no pixel reaches any unit
    expected = tuple(tuple(0 if nothing else bits for bits in axis.seen) for axis in view)
    return "derived = measured" if measured == expected else PART


def field_of(view: Views) -> Pair:
    return view[0].field, view[1].field


def layer_field(
    layer: Layer,
    view: Views | None,
    size: Pair | None,
    image_size: int | None,
    status: Status,
    formula: tuple[str, str] | None = None,
    misaligned: bool = False,
) -> LayerField:
    """Return a layer's row of the table."""
    share = padded = beyond = None
    if image_size and view:
        field = field_of(view)
        share = min(field[0], image_size) * min(field[1], image_size) / image_size**2
        whole = [sum(axis.whole(unit) for unit in range(len(axis.seen))) for axis in view]
        padded = len(view[0].seen) * len(view[1].seen) - whole[0] * whole[1]
        beyond = max(field) > image_size
    return LayerField(
        name=layer.name,
        word=layer.word,
        kernel_size=(layer.rows.kernel, layer.columns.kernel),
        stride=(layer.rows.stride, layer.columns.stride),
        padding=(layer.rows.padding, layer.columns.padding),
        dilation=(layer.rows.dilation, layer.columns.dilation),
        size_formula=formula,
        size=size,
        field=field_of(view) if view else None,
        pixels=view[0].offsets.bit_count() * view[1].offsets.bit_count() if view else None,
        jump=(view[0].jump, view[1].jump) if view else None,
        centre=(view[0].centre, view[1].centre) if view else None,
        share=share,
        padded_units=padded,
        beyond_image=beyond,
        misaligned=misaligned,
        status=status,
    )


def field_results(
    fields: list[LayerField],
    views: Sequence[Views | None],
    last_sees: dict[str, Pair],
    image_size: int | None,
    unit: str | None,
    pixel: str | None,
) -> FieldResults:
    """Return all that follows from the layers' fields; raises SettingsError for a unit or pixel that is not there."""
    return FieldResults(
        image_size=image_size,
        layers=fields,
        last_sees=last_sees,
        middle=middle_units(fields, views),
        unit=unit_field(unit, fields, views) if unit else None,
        pixel=pixel_units(pixel, fields, views, image_size) if pixel else [],
        derivation=[],
        cone=[],
        effective=[],
        verdict=verdict(fields, last_sees, image_size),
    )


def unit_field(text: str, fields: Sequence[LayerField], views: Sequence[Views | None]) -> UnitField:
    """Return what one unit sees, named as LAYER,ROW,COLUMN; raises SettingsError where there is none such."""
    name, _, place = text.partition(",")
    names = [layer.name for layer in fields]
    if name not in names and name.strip("-").isdecimal():
        raise SettingsError(f"--unit: expected LAYER,ROW,COLUMN, as {names[-1]},3,3, got {text!r}")
    if name not in names:
        raise SettingsError(f"--unit: expected a layer out of {', '.join(names)}, got {name!r}{nearest(name, names)}")
    layer, view = fields[names.index(name)], views[names.index(name)]
    if layer.size is None:
        raise SettingsError("--unit: needs --image-size")
    place_of = _place("--unit", place, layer.size, f"units of {name}")
    if view is None:
        raise SettingsError(f"--unit: {name} is {layer.status}: no field was derived")
    return _unit(name, place_of, view)


def middle_units(fields: Sequence[LayerField], views: Sequence[Views | None]) -> list[UnitField]:
    """Return what the middle unit of each derived layer sees; none while the image's size is unknown."""
    return [
        _unit(layer.name, (layer.size[0] // 2, layer.size[1] // 2), view)
        for layer, view in zip(fields, views, strict=True)
        if view and layer.size
    ]


def _unit(name: str, unit: Pair, view: Views) -> UnitField:
    (rows, columns), (row, column) = view, unit
    return UnitField(
        layer=name,
        unit=unit,
        rows=rows.box(row),
        columns=columns.box(column),
        clipped_rows=rows.clipped(row),
        clipped_columns=columns.clipped(column),
        seen_rows=runs(rows.seen[row]),
        seen_columns=runs(columns.seen[column]),
        pixels=rows.seen[row].bit_count() * columns.seen[column].bit_count(),
    )


def map_cone(name: str, of_image: Views, seen_by: Views, unit: Pair) -> MapCone:
    """Return a map as drawn: where its units lie in the image, and which of them the unit further on sees."""
    (above, below), (rows, columns) = of_image, seen_by
    return MapCone(
        name=name,
        size=(len(above.seen), len(below.seen)),
        centre=(above.centre, below.centre),
        jump=(above.jump, below.jump),
        rows=runs(rows.seen[unit[0]]),
        columns=runs(columns.seen[unit[1]]),
    )


def pixel_units(
    text: str, fields: Sequence[LayerField], views: Sequence[Views | None], image_size: int | None
) -> list[PixelUnits]:
    """Return which units of each layer see a pixel, named as ROW,COLUMN; layers without a derivation are left out."""
    if not image_size:
        raise SettingsError("--pixel: needs --image-size")
    place = _place("--pixel", text, (image_size, image_size), "pixels of the image")
    units = []
    for layer, view in zip(fields, views, strict=True):
        if view:
            rows, columns = (axis.units_seeing(at) for axis, at in zip(view, place, strict=True))
            ends = [(seeing[0], seeing[-1]) if seeing else None for seeing in (rows, columns)]
            units.append(PixelUnits(layer.name, ends[0], ends[1], len(rows) * len(columns)))
    return units


def _place(flag: str, text: str, size: Pair, what: str) -> Pair:
    try:
        row, column = (int(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(f"{flag}: expected {'LAYER,' * (flag == '--unit')}ROW,COLUMN, got {text!r}") from None
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise SettingsError(f"{flag}: {row},{column} is outside the {size[0]}x{size[1]} {what}; they count from 0")
    return row, column


def _seen(layers: Sequence[LayerField], axis: int) -> int:
    """Return how many units along an axis one unit sees through these layers; dilation leaves some out."""
    seen = {0}
    for layer in reversed(layers):
        if layer.kernel_size and layer.stride and layer.dilation:
            steps = [layer.dilation[axis] * k for k in range(layer.kernel_size[axis])]
            seen = {at * layer.stride[axis] + step for at in seen for step in steps}
    return len(seen)


def verdict(fields: Sequence[LayerField], sees: Mapping[str, Pair], image_size: int | None) -> str:
    """Return in words what the last map's units see, and what the proof said."""
    last = next((layer for layer in reversed(fields) if layer.field), fields[-1])
    upto, parts = fields[: fields.index(last) + 1], []
    names = [layer.name for layer in upto]
    for of, (rows, columns) in sees.items():
        if of == "image":
            gaps = last.pixels is not None and last.pixels < rows * columns
        else:
            after = upto[names.index(of) + 1 :]
            gaps = _seen(after, 0) < rows or _seen(after, 1) < columns
        parts.append(f"{'some of ' * gaps}{rows}x{columns} {'pixels' if of == 'image' else f'of {of}'}")
    sentences = [f"One unit of {last.name} sees {', '.join(reversed(parts))}."] if last.field else []
    if last.beyond_image:
        sentences.append(f"That is more than the whole image of {image_size}x{image_size}.")
    statuses = [layer.status for layer in fields]
    if "global" in statuses:
        first = fields[statuses.index("global")].name
        sentences.append(f"From {first} on units see the whole image: it, or something before it, looks at whole maps.")
    if PART in statuses:
        where = fields[statuses.index(PART)].name
        sentences.append(f"Refuted: at {where} the network sees something else than was derived.")
    elif count := statuses.count("derived = measured"):
        sentences.append(
            f"Proven: NaN from each row and column of the image reaches just the units derived, in {count} "
            f"map{'s' * (count > 1)}."
        )
    if count := statuses.count("measured only"):
        sentences.append(f"For {count} map{'s' * (count > 1)} there is no derivation.")
    return " ".join(sentences)

"""What `a2 receptive-field` found: of layers, units and pixels."""

from dataclasses import dataclass
from typing import Literal

Pair = tuple[int, int]
Status = Literal["derived", "derived = measured", "derived and measured part", "global", "measured only"]
PART: Status = "derived and measured part"


@dataclass(frozen=True)
class LayerField:
    """One layer: its window, the map it leaves, and what a unit of that sees; pairs are rows and columns, in pixels.

    What depends on the image's size is null where that is not given: `size`, `share` of the image that a field would
    cover, `padded_units` (how many units see padding), `beyond_image` (the field is larger than the image). Where every
    unit sees the whole image (global) or nothing could be derived (measured only), there is no jump and centre, and a
    field only of a network that cannot be traced: the widest measured. `misaligned` marks what comes after branches
    whose fields have different centres. Formulas in A are for stacks.
    """

    name: str
    word: str
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    size_formula: tuple[str, str] | None
    size: Pair | None
    field: Pair | None
    pixels: int | None
    jump: Pair | None
    centre: tuple[float, float] | None
    share: float | None
    padded_units: int | None
    beyond_image: bool | None
    misaligned: bool
    status: Status


@dataclass(frozen=True)
class UnitField:
    """One unit: its field in closed form, and what of it lies in the image; ends included, null where nothing does.

    `pixels` counts the pixels it really sees: dilation leaves holes, padding takes the rest.
    """

    layer: str
    unit: Pair
    rows: Pair
    columns: Pair
    clipped_rows: Pair | None
    clipped_columns: Pair | None
    pixels: int


@dataclass(frozen=True)
class PixelUnits:
    """The units of one layer that see a pixel: rows and columns, from the first to the last, and how many in all."""

    layer: str
    rows: Pair | None
    columns: Pair | None
    units: int


@dataclass(frozen=True)
class MapCone:
    """A map's units along a row, for drawing: the first one's centre and their distance in pixels, how many there are,
    and the first and last of those that the last map's middle unit sees."""

    name: str
    centre: float
    jump: int
    units: int
    lit: Pair | None


@dataclass(frozen=True)
class FieldResults:
    """What `a2 receptive-field` found: every layer, the last map's units in each map before, one unit, one pixel."""

    image_size: int | None
    layers: list[LayerField]
    last_sees: dict[str, Pair]
    unit: UnitField | None
    pixel: list[PixelUnits]
    derivation: list[str]
    cone: list[MapCone]
    verdict: str

    @property
    def refuted(self) -> bool:
        return any(layer.status == PART for layer in self.layers)

"""What `a2 receptive-field` found: of layers, units and pixels."""

from dataclasses import dataclass
from typing import Literal

Pair = tuple[int, int]
Status = Literal["derived", "derived = measured", "derived and measured part", "global", "measured only"]
PART: Status = "derived and measured part"


@dataclass(frozen=True)
class LayerField:
    """One layer: its window, the map it leaves, and what a unit of that sees; pairs are rows and columns, in pixels.

    Adaptive pooling, attention and norms over the whole map have no window, and attention leaves no map.
    What depends on the image's size is null where that is not given: `size`, `share` of the image that a field would
    cover, `padded_units` (how many units see padding), `beyond_image` (the field is larger than the image). Where every
    unit sees the whole image (global) or nothing could be derived (measured only), there is no jump and centre, and a
    field only of a network that cannot be traced: the widest measured. `misaligned` marks what comes after branches
    whose fields have different centres. Formulas in A are for stacks.
    """

    name: str
    word: str
    kernel_size: Pair | None
    stride: Pair | None
    padding: Pair | None
    dilation: Pair | None
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

    `seen_rows` and `seen_columns` are the rows and columns it really sees, as runs from first to last: dilation leaves
    holes, padding takes the rest. `pixels` counts their crossings.
    """

    layer: str
    unit: Pair
    rows: Pair
    columns: Pair
    clipped_rows: Pair | None
    clipped_columns: Pair | None
    seen_rows: list[Pair]
    seen_columns: list[Pair]
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
    """A map, for drawing: its size, the first unit's centre and the units' distance in pixels, and which rows and
    columns of its units, as runs from first to last, the unit at the cone's tip sees; pairs are rows and columns."""

    name: str
    size: Pair
    centre: tuple[float, float]
    jump: Pair
    rows: list[Pair]
    columns: list[Pair]


@dataclass(frozen=True)
class EffectiveField:
    """How a unit's gradient spreads over the pixels (Luo et al. 2016), averaged over images and output channels.

    `holding` says how many pixels, the strongest first, hold 50, 90 and 99% of it, `shares` which share that is of
    the `pixels` that the unit sees; `deviation` is in pixels, along rows and columns. `outside` is the share of the
    gradient outside the derived field, which must be 0. Null where no gradient arrived, or no field was derived.
    """

    layer: str
    unit: Pair
    weights: Literal["untrained", "trained"]
    images: int
    outputs: int
    pixels: int
    holding: dict[str, int] | None
    shares: dict[str, float] | None
    deviation: tuple[float, float] | None
    outside: float | None


@dataclass(frozen=True)
class FieldResults:
    """What `a2 receptive-field` found: every layer, the last map's units in each map before, one unit, one pixel.

    `middle` has the middle unit of each layer whose field was derived; `cone` the maps from the image to the unit
    asked for, or the last map's middle one. `source` is the data whose images were drawn on and averaged over, "" where
    none were.
    """

    image_size: int | None
    layers: list[LayerField]
    last_sees: dict[str, Pair]
    middle: list[UnitField]
    unit: UnitField | None
    pixel: list[PixelUnits]
    derivation: list[str]
    cone: list[MapCone]
    effective: list[EffectiveField]
    verdict: str
    source: str = ""

    @property
    def sources(self) -> list[str]:
        """The data whose images were used, if any were."""
        return [self.source] if self.source else []

    @property
    def refuted(self) -> bool:
        return any(layer.status == PART for layer in self.layers) or any(field.outside for field in self.effective)

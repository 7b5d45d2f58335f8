"""What a unit sees of the image: sizes, fields and exact supports of a stack of layers, in integers, without torch.

Rows and columns are independent, so everything is said of one axis. A set of pixels is an integer's bits: bit p is
pixel p. So dilation's holes are kept, a layer is a few shifts, and a union is an `or`.

Legend, as in Araujo, Norris & Sim 2019: kernel k, stride s, padding p, dilation d; field r, jump j (the distance in
pixels between the fields of neighbouring units), start (the first unit's first pixel, negative in the padding).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from a2cli.errors import SettingsError, nearest
from a2cli.geometry import stages
from a2cli.settings.training import NetworkSettings

POINTWISE = ("relu", "leaky-relu", "elu", "gelu", "silu", "tanh", "norm", "dropout")
NUMBERS = r"\d+(?:x\d+)?"
WORD = re.compile(
    rf"(?:(?P<name>[^=\s]+)=)?(?P<kind>[a-z-]+)(?P<kernel>{NUMBERS})?(?P<rest>(?:[spd]{NUMBERS})*)(?P<ceil>ceil)?"
)
MOST_LAYERS, MOST_KERNEL = 200, 4096


@dataclass(frozen=True)
class Window:
    """A layer's window along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def extent(self) -> int:
        """The units that the window reaches over, those between its dilated taps included."""
        return self.dilation * (self.kernel - 1) + 1

    def size_after(self, size: int) -> int:
        """Return how many units it leaves of a map of `size`; 0 where it does not fit.

        floor((size + 2 p - extent) / s) + 1 (Dumoulin & Visin 2016, relationship 15); in ceil mode rounded up, but no
        window begins past the map and its first padding, as torch has it.
        """
        room = size + 2 * self.padding - self.extent
        count = (room + (self.stride - 1 if self.ceil else 0)) // self.stride + 1
        if self.ceil and (count - 1) * self.stride >= size + self.padding:
            count -= 1
        return max(0, count)


@dataclass(frozen=True)
class View:
    """What the units of a map see along one axis of the image.

    In closed form, unit i sees the pixels start + i jump + b, for each bit b of `offsets`. `seen[i]` is what of that
    lies within the image and reaches the unit through maps that have no units in their padding; it is empty while the
    image's size is unknown.
    """

    jump: int
    start: int
    offsets: int
    seen: tuple[int, ...]

    @classmethod
    def of_image(cls, size: int | None) -> "View":
        return cls(1, 0, 1, tuple(1 << pixel for pixel in range(size or 0)))

    @property
    def field(self) -> int:
        return self.offsets.bit_length()

    @property
    def centre(self) -> float:
        """The centre of the first unit's field, where pixel p spans p - 1/2 to p + 1/2."""
        return self.start + (self.field - 1) / 2

    def through(self, window: Window) -> "View":
        """Return what the units see that the window leaves: r += (k - 1) d j, start -= p j, j *= s."""
        offsets = 0
        for tap in range(window.kernel):
            offsets |= self.offsets << tap * window.dilation * self.jump
        size = len(self.seen)
        seen = []
        for unit in range(window.size_after(size) if size else 0):
            bits = 0
            for tap in range(window.kernel):
                below = unit * window.stride - window.padding + tap * window.dilation
                if 0 <= below < size:
                    bits |= self.seen[below]
            seen.append(bits)
        return View(self.jump * window.stride, self.start - window.padding * self.jump, offsets, tuple(seen))

    def joined(self, other: "View") -> "View | None":
        """Return what units see that join this map's with another's, place by place; None where they do not match."""
        if self.jump != other.jump or len(self.seen) != len(other.seen):
            return None
        start = min(self.start, other.start)
        offsets = self.offsets << self.start - start | other.offsets << other.start - start
        seen = tuple(mine | theirs for mine, theirs in zip(self.seen, other.seen, strict=True))
        return View(self.jump, start, offsets, seen)

    def box(self, unit: int) -> tuple[int, int]:
        """Return the first and last pixel in closed form; either may lie outside the image."""
        first = self.start + unit * self.jump
        return first, first + self.field - 1

    def clipped(self, unit: int) -> tuple[int, int] | None:
        """Return the first and last pixel that the unit really sees, None where it sees padding alone."""
        bits = self.seen[unit]
        return ((bits & -bits).bit_length() - 1, bits.bit_length() - 1) if bits else None

    def units_seeing(self, pixel: int) -> list[int]:
        return [unit for unit, bits in enumerate(self.seen) if bits >> pixel & 1]

    def whole(self, unit: int) -> bool:
        """Return whether nothing of the unit's field is lost in padding."""
        return self.seen[unit].bit_count() == self.offsets.bit_count()


def runs(bits: int) -> list[tuple[int, int]]:
    """Return a set's runs of neighbours, each by its first and last."""
    spans, place = [], 0
    while bits:
        skipped = (bits & -bits).bit_length() - 1
        bits >>= skipped
        length = (~bits & bits + 1).bit_length() - 1
        spans.append((place + skipped, place + skipped + length - 1))
        bits >>= length
        place += skipped + length
    return spans


@dataclass(frozen=True)
class Layer:
    """A convolution or pooling by the name of the map it leaves, with its windows over rows and columns."""

    name: str
    word: str
    rows: Window
    columns: Window


def parse_layers(text: str) -> list[Layer]:
    """Read words such as `conv5s2p1d2`, `conv3x7`, `pool2`, `stem=conv7s2p3`, `relu`, between spaces or commas.

    A convolution's stride is 1 unless said, a pooling's its kernel, as in torch; `ceil` at the end rounds sizes up.
    Activations, norms and dropout are taken and change nothing. Maps without a name are Z1, Z2, ...
    Raises SettingsError.
    """
    layers: list[Layer] = []
    for word in text.replace(",", " ").split():
        match = WORD.fullmatch(word)
        kind = match["kind"] if match else re.sub(r"[^a-z-].*", "", word.rpartition("=")[2])
        if kind not in ("conv", "pool", *POINTWISE):
            raise SettingsError(f"--layers: {word!r} is no layer{nearest(kind, ('conv', 'pool', *POINTWISE))}")
        if match is None or (kind in POINTWISE) == bool(match["kernel"]):
            raise SettingsError(f"--layers: expected words like conv5s2p1d2, conv3x7, pool2s2 or relu, got {word!r}")
        if kind not in POINTWISE:
            layers.append(_layer(word, match, len(layers)))
    if not layers or len(layers) > MOST_LAYERS:
        raise SettingsError(f"--layers: expected 1 to {MOST_LAYERS} convolutions and poolings, got {len(layers)}")
    names = [layer.name for layer in layers]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SettingsError(f"--layers: two maps are called {twice[0]!r}")
    return layers


def _layer(word: str, match: re.Match[str], before: int) -> Layer:
    kernel = _pair(match["kernel"])
    given = {key: _pair(value) for key, value in re.findall(rf"([spd])({NUMBERS})", match["rest"])}
    if len(given) < len(re.findall("[spd]", match["rest"])):
        raise SettingsError(f"--layers: {word!r} says stride, padding or dilation twice")
    stride = given.get("s", kernel if match["kind"] == "pool" else (1, 1))
    padding, dilation = given.get("p", (0, 0)), given.get("d", (1, 1))
    if min(*kernel, *stride, *dilation) < 1 or max(*kernel, *stride, *padding, *dilation) > MOST_KERNEL:
        raise SettingsError(f"--layers: {word!r} has a kernel, stride or dilation below 1, or one above {MOST_KERNEL}")
    if match["kind"] == "pool" and any(2 * pad > side for pad, side in zip(padding, kernel, strict=True)):
        raise SettingsError(f"--layers: {word!r} pads by more than half its kernel, which a pooling cannot")
    rows, columns = (
        Window(kernel[axis], stride[axis], padding[axis], dilation[axis], match["ceil"] is not None) for axis in (0, 1)
    )
    return Layer(match["name"] or f"Z{before + 1}", word.rpartition("=")[2], rows, columns)


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition("x")
    return int(first), int(second or first)


def layers_of(network: NetworkSettings, image_size: int) -> list[Layer]:
    """Return the ConvNet's convolutions and poolings; raises SettingsError as `geometry.stages` does."""
    layers = []
    for stage in stages(network, image_size):
        window = Window(stage.kernel_size, stage.stride, stage.padding)
        word = f"{stage.name.rstrip('0123456789')}{window.kernel}s{window.stride}p{window.padding}"
        layers.append(Layer(stage.name, word, window, window))
    return layers


def views(layers: Sequence[Layer], image_size: int | None) -> list[tuple[View, View]]:
    """Return what the units of each layer's map see, over rows and columns.

    Raises SettingsError where a map shrinks to nothing, with the sizes up to there.
    """
    pair = View.of_image(image_size), View.of_image(image_size)
    pairs: list[tuple[View, View]] = []
    for layer in layers:
        after = pair[0].through(layer.rows), pair[1].through(layer.columns)
        if image_size and not (after[0].seen and after[1].seen):
            sizes = [f"image {_size(image_size, image_size)}"]
            sizes += [f"{layer_before.name} {_size(*(len(view.seen) for view in views))}"
                      for layer_before, views in zip(layers, pairs, strict=False)]  # fmt: skip
            raise SettingsError(
                f"the map shrinks to nothing at {layer.name}: {layer.word} does not fit: "
                f"{' -> '.join(sizes)} -> {layer.name} nothing; use a larger --image-size"
            )
        pair = after
        pairs.append(pair)
    return pairs


def _size(rows: float, columns: float) -> str:
    return f"{rows:g}" if rows == columns else f"{rows:g}x{columns:g}"


def size_formula(view: View, windows: Iterable[Window]) -> str:
    """Return a map's size for an image of A pixels per side: that of one window of the whole field, jump and padding.

    floor((floor(x / a) + b) / c) = floor((x + a b) / (a c)) for whole numbers, so the floors of all layers are one.
    In ceil mode there is no such form.
    """
    if any(window.ceil for window in windows):
        return "no closed form"
    less = view.field + 2 * view.start  # start is minus the whole padding
    if view.jump == 1:
        return _minus("A", less - 1)
    return f"floor(({_minus('A', less)})/{view.jump}) + 1"


def _minus(name: str, less: int) -> str:
    return name if less == 0 else f"{name} - {less}" if less > 0 else f"{name} + {-less}"

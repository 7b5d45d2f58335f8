"""One image file -> one upright RGB image, H x W pixels, or the reason why not."""

import re
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

MAX_PIXELS = 100_000_000
MAX_SIDE = 100_000  # Pillow keeps a pointer for each row, so many short rows take more memory than their pixels
MAX_BYTES = 1 << 30
HEADER_BYTES = 1 << 16
MAX_COMMENTS = 1000
# Not EPS, which Pillow would hand to Ghostscript to run.
FORMATS = ("PNG", "JPEG", "PPM", "BMP", "DIB", "GIF", "TIFF", "WEBP", "AVIF")
NOT_READ = {  # how other files begin that are named like images, and what to do with them
    rb".{4}ftyp(hei[cfmsx]|hev[cx]|mif1|msf1)": "a HEIC photo; convert it to JPEG or PNG",
    rb"version https://git-lfs": "a Git LFS pointer, not the image; fetch it with 'git lfs pull'",
    rb"\s*<(!doctype|html|\?xml)": "a web page or XML, not an image",
}
STANDARD_WHITES = (1, 255, 1023, 4095, 16383, 65535)  # of values as shares, and with 8, 10, 12, 14 and 16 bits
Image.MAX_IMAGE_PIXELS = None  # Pillow warns, which threads cannot catch apart; `read_image` checks every header itself
ValueRange = tuple[float, float]

FITS = re.compile(r"squash|crop|pad|center-[1-9]\d{0,3}(-(bilinear|bicubic))?")


class DamagedImageError(Exception):
    """A file that is not an image that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """An upright image, RGB, or the values (H, W) or (H, W, 3) of one with more than 8 bits.

    `mode` is Pillow's name for how it was stored, or an array's type; `size` its width and height, upright.
    """

    pixels: "Image.Image | NDArray[Any]"
    mode: str
    size: tuple[int, int]

    @property
    def is_deep(self) -> bool:
        """Whether the image has more than 8 bits."""
        return not isinstance(self.pixels, Image.Image)

    @property
    def extremes(self) -> ValueRange | None:
        """The lowest and the highest value of an image with more than 8 bits, else None."""
        return None if isinstance(self.pixels, Image.Image) else (float(self.pixels.min()), float(self.pixels.max()))

    @property
    def is_constant(self) -> bool:
        """Whether all pixels are the same."""
        if not isinstance(self.pixels, Image.Image):
            return bool((self.pixels == self.pixels[0, 0]).all())
        return self.pixels.getcolors(1) is not None  # which stops at the second colour

    def rgb(self, value_range: ValueRange | None = None) -> Image.Image:
        """Return the image with 8 bits a channel.

        More than 8 bits are scaled so that `value_range` becomes 0 to 255, and cut off outside of it; without one, 16
        bits are taken as such. Raises DamagedImageError for other values without one.
        """
        if isinstance(self.pixels, Image.Image):
            return self.pixels
        if value_range is None:
            low, high = self.extremes or (0, 0)
            if self.pixels.dtype.kind == "f" or low < 0 or high > 65535:
                raise DamagedImageError(
                    f"values from {low:g} to {high:g} ({self.mode}), where the network was trained on images of 8 "
                    "bits, so how to scale them is unknown; convert it to 8 bits"
                )
            value_range = (0, 65535)
        low, high = value_range
        # 256 shades of equal width: 16 bits become their upper 8, as Pillow reads colours of 16 bits.
        scaled = (self.pixels.astype(np.float64) - low) * (256 / (high - low) if high > low else 0)
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")


def value_range_of(low: float, high: float) -> ValueRange:
    """Return the values that become 0 and 255 in a data set whose values reach from `low` to `high`.

    A standard range (0 to 1, or to the largest value of 8, 10, 12, 14 or 16 bits) of which they fill more than a
    quarter, or else from the lowest to the highest value.
    """
    for white in STANDARD_WHITES:
        if low >= 0 and white / 4 < high <= white:
            return 0, white
    return low, high


def read_image(file: str | bytes) -> Decoded:
    """Return the image in a file, upright by its EXIF orientation; of an animation the first frame.

    `file` is its path, or its content. Transparent parts are laid over white. Raises DamagedImageError.
    """
    try:
        _check_content(file)
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DamagedImageError(f"{width}x{height} pixels, more than {MAX_PIXELS:,} (save it smaller)")
            if max(width, height) > MAX_SIDE:
                raise DamagedImageError(f"{width}x{height} pixels, a side of more than {MAX_SIDE:,} (save it smaller)")
            mode = _stored_mode(image)
            if not isinstance(image.info.get("xmp", b""), bytes | str):
                del image.info["xmp"]  # a TIFF's of a wrong type: Pillow searches it for the orientation as it loads
            image.load()
            return _upright(image, mode)
    except DamagedImageError:
        raise
    except UnidentifiedImageError:
        raise DamagedImageError(_what_else(file)) from None
    except FileNotFoundError:
        raise DamagedImageError("no such file, or a link that leads nowhere") from None
    except OSError as error:
        raise DamagedImageError(error.strerror or str(error) or "cannot be read") from None
    except Exception as error:  # on damaged files Pillow's readers raise whatever their parsing stumbles over
        raise DamagedImageError(f"damaged ({' '.join(str(error).split())[:80] or type(error).__name__})") from None


def _check_content(file: str | bytes) -> None:
    """Raise DamagedImageError for what Pillow would take far too long or too much memory to read, and OSError."""
    size = len(file) if isinstance(file, bytes) else Path(file).stat().st_size
    if not size:
        raise DamagedImageError("an empty file")
    if size > MAX_BYTES:
        raise DamagedImageError(f"{size:,} bytes, more than {MAX_BYTES:,}")
    if size <= HEADER_BYTES:
        return
    with _opened(file) as stream:
        head = stream.read(HEADER_BYTES)
        if not re.match(rb"P[1-7fFy]", head):
            return
        uncommented = re.sub(rb"#[^\n\r]*", b"", head)  # Pillow reads a header's comments byte by byte
        if not re.match(rb"P.\d*\s+\S+\s+\S+\s", uncommented):
            raise DamagedImageError(f"no width and height in its first {HEADER_BYTES:,} bytes")
        blocks = chain([head], iter(lambda: stream.read(1 << 20), b""))
        # In plain text (P1 to P3) each comment makes Pillow copy all that is read.
        if head[1:2] in b"123" and sum(block.count(b"#") for block in blocks) > MAX_COMMENTS:
            raise DamagedImageError(f"more than {MAX_COMMENTS:,} comments")


def _opened(file: str | bytes) -> BinaryIO:
    return BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb")


def _what_else(file: str | bytes) -> str:
    with suppress(OSError), _opened(file) as stream:
        head = stream.read(HEADER_BYTES)
        for beginning, reason in NOT_READ.items():
            if re.match(beginning, head, re.DOTALL | re.IGNORECASE):
                return reason
    return "not an image"


def _stored_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name for how pixels are stored: of colours of 16 bits, of which it reads 8, as RGB;16B."""
    stored: Any = image.tile[0].args if image.tile else ""
    raw = stored[0] if isinstance(stored, tuple) and stored else stored
    return raw if isinstance(raw, str) and is_cut_to_8_bits(raw) else image.mode


def is_cut_to_8_bits(mode: str) -> bool:
    """Return whether an image of this mode has 16 bits a channel, of which the upper 8 are read."""
    return ";16" in mode and not mode.startswith("I")


def _upright(image: Image.Image, mode: str) -> Decoded:
    with suppress(Exception):  # on tags of a wrong type Pillow raises whatever it stumbles over; the pixels are whole
        ImageOps.exif_transpose(image, in_place=True)  # not in place it copies even an image that is upright
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F" and not np.isfinite(values).all():
            raise DamagedImageError("holds values that are not finite numbers")
        return Decoded(values, mode, image.size)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return Decoded(image if image.mode == "RGB" else image.convert("RGB"), mode, image.size)


def is_fit(text: str) -> bool:
    """Return whether `to_square` knows this way to fit an image into a square."""
    return FITS.fullmatch(text) is not None


def to_square(image: Image.Image, size: int, fit: str) -> NDArray[np.uint8]:
    """Return an RGB image as (size, size, 3) uint8, by area-weighted bilinear resizing.

    `fit`: squash both sides, crop the longer side to the centre, pad the shorter one with black, or as torchvision's
    pretrained networks want it: center-256 makes the shorter side 256 pixels, of which the centre is taken.
    """
    shape = (size, size)
    if fit.startswith("center-"):
        return _center(image, size, *fit.split("-")[1:])
    if fit == "crop":
        image = ImageOps.fit(image, shape, Image.Resampling.BILINEAR)
    elif fit == "pad":
        image = ImageOps.pad(image, shape, Image.Resampling.BILINEAR)
    elif image.size != shape:
        image = image.resize(shape, Image.Resampling.BILINEAR)
    return np.asarray(image)


def _center(image: Image.Image, size: int, shorter: str, filter_name: str = "bilinear") -> NDArray[np.uint8]:
    """As torchvision's Resize and CenterCrop on a PIL image."""
    least, target = min(image.size), int(shorter)
    width, height = (int(target * side / least) for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling[filter_name.upper()])
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))

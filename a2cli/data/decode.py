"""One image file -> one upright RGB image, or the reason why not."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 100_000_000
FORMATS = ("PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP")  # not EPS, which Pillow would hand to Ghostscript to run
Image.MAX_IMAGE_PIXELS = None  # Pillow warns, which threads cannot catch apart; `decode` checks every header itself


class DamagedImageError(Exception):
    """A file that is not an image that can be used; the message says why."""


def decode(file: str | bytes) -> Image.Image:
    """Return the image in a file as RGB, upright by its EXIF orientation; of an animation the first frame.

    `file` is its path, or its content.

    16-bit grey is scaled to 8 bits; transparent parts are laid over white. Raises DamagedImageError.
    """
    try:
        if not (len(file) if isinstance(file, bytes) else Path(file).stat().st_size):
            raise DamagedImageError("an empty file")
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DamagedImageError(f"{width}x{height} pixels, more than {MAX_PIXELS:,}")
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image))
    except DamagedImageError:
        raise
    except UnidentifiedImageError:
        raise DamagedImageError("not an image") from None
    except FileNotFoundError:
        raise DamagedImageError("no such file, or a link that leads nowhere") from None
    except OSError as error:
        raise DamagedImageError(error.strerror or str(error) or "cannot be read") from None
    except Exception as error:  # on damaged files Pillow's readers raise whatever their parsing stumbles over
        raise DamagedImageError(f"damaged ({' '.join(str(error).split())[:80] or type(error).__name__})") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        return Image.fromarray((grey >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return image.convert("RGB")


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

"""Image files that are damaged, hostile or odd: each is refused in one line, or read right."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, draw_classes, nothing_left
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from a2cli.data.decode import DamagedImageError, read_image, to_square

Pixels = NDArray[np.uint8]
NOISE: Pixels = np.random.default_rng(7).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, inflated: int, text: int = 0) -> bytes:
    """Return a grey PNG whose header claims a size and whose data inflates to so many zeros, with text if asked."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    words = chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(text))) if text else b""
    data = chunk(b"IDAT", zlib.compress(bytes(inflated)))
    return b"\x89PNG\r\n\x1a\n" + header + words + data + chunk(b"IEND", b"")


GOOD_PNG = encoded(Image.fromarray(NOISE), "PNG")
GOOD_JPEG = encoded(Image.fromarray(NOISE), "JPEG")
DAMAGED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("x.png", lambda: b"", "an empty file"),
    "truncated PNG": ("x.png", lambda: GOOD_PNG[:-60], "truncated"),
    "truncated JPEG": ("x.jpg", lambda: GOOD_JPEG[:-60], "truncated"),
    "first bytes of a PNG": ("x.png", lambda: GOOD_PNG[:10], "not an image"),
    "flipped PNG": ("x.png", lambda: GOOD_PNG[:50] + bytes([GOOD_PNG[50] ^ 1]) + GOOD_PNG[51:], "x.png: "),
    "HTML": ("x.jpg", lambda: b"<!doctype html><title>404</title>", "a web page or XML, not an image"),
    "no pixels": ("x.png", lambda: png(0, 0, 0), "not an image"),
    "65,000 a side": ("x.png", lambda: png(65_000, 65_000, 9), "65000x65000 pixels"),
    "bomb": (
        "x.png",
        lambda: png(20_000, 6_000, 20_001 * 6_000),
        "20000x6000 pixels, more than 100,000,000 (save it smaller)",
    ),
    "text bomb": ("x.png", lambda: png(8, 8, 72, text=100_000_000), "Decompressed data too large"),
    "thin": (
        "x.png",
        lambda: png(1, 300_000, 2 * 300_000),
        "1x300000 pixels, a side of more than 100,000 (save it smaller)",
    ),
    "comment": (
        "x.ppm",
        lambda: b"P6\n#" + b"x" * 70_000 + b"\n1 1\n255\n" + bytes(3),
        "no width and height in its first",
    ),
    "comments": ("x.ppm", lambda: b"P3\n1 1\n255\n" + b"#\n" * 40_000 + b"1 1 1", "more than 1,000 comments"),
    "HEIC": ("x.jpg", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo; convert"),
    "LFS pointer": ("x.png", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "PostScript": (
        "x.jpg",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "not an image",
    ),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set")


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_or_left_out(kind: str, data: Path, train: A2, tmp_path: Path) -> None:
    name, content, reason = DAMAGED[kind]
    (data / "ada" / name).write_bytes(content())
    train("--data", "set").refused(3, "--data set", f"ada/{name}", reason, "--skip-damaged")
    assert nothing_left(tmp_path)
    run = train("--data", "set", "--skip-damaged").done(f"1 damaged file left out, as ada/{name}")
    found = json.loads((run / "report.json").read_text())["data"]
    assert found["classes"] == {"ada": 5, "bea": 5}
    assert len(found["skipped"]) == 1
    assert found["skipped"][0].startswith(f"ada/{name}: ")


def test_all_damaged_files_are_counted(data: Path, train: A2) -> None:
    for name in ("a.png", "b.jpg", "c.gif"):
        (data / "bea" / name).write_bytes(b"")
    train("--data", "set").refused(3, "bea/a.png", "and 2 more")
    for path in (data / "bea").iterdir():
        path.write_bytes(b"")
    train("--data", "set", "--skip-damaged").refused(3, "no usable image of class 'bea'")


@pytest.mark.parametrize("make", ["link", "fifo", "folder of that name"])
def test_what_is_no_file(make: str, data: Path, train: A2) -> None:
    path = data / "ada" / "x.png"
    if make == "link":
        path.symlink_to("nowhere.png")
        train("--data", "set").refused(3, "ada/x.png: no such file, or a link that leads nowhere")
    elif make == "fifo":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes on this system")
        os.mkfifo(path)  # opening it would wait for ever
        train("--data", "set").refused(3, "ada/x.png: an empty file")
    else:
        path.mkdir()
        train("--data", "set").done()


@pytest.mark.parametrize("kind", ["paintings", "faces"])
def test_a_real_image_cut_short(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    whole = next(path for path in sorted(request.getfixturevalue(kind).glob("*/*")) if path.suffix in {".png", ".pgm"})
    cut = tmp_path / whole.name
    cut.write_bytes(whole.read_bytes()[:-1000])
    assert read_image(str(whole)).rgb().mode == "RGB"
    with pytest.raises(DamagedImageError):
        read_image(str(cut)).rgb()


# Odd but good


def decoded(content: bytes, tmp_path: Path) -> Pixels:
    (tmp_path / "x").write_bytes(content)
    return np.asarray(read_image(str(tmp_path / "x")).rgb())


@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 255, 0), (0, 255, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0,) * 4, (255,) * 3),
    ],
)
def test_cmyk(ink: tuple[int, ...], colour: tuple[int, ...], tmp_path: Path) -> None:
    found = decoded(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95), tmp_path)
    assert np.abs(found.astype(int) - colour).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
def test_16_bit_grey_is_scaled(kind: str, tmp_path: Path) -> None:
    wanted = np.arange(256, dtype=np.uint8).reshape(16, 16)
    fine = wanted.astype(np.uint16) * 257  # 8 bits spread over 16: 255 becomes 65,535
    found = decoded(encoded(Image.fromarray(fine), kind), tmp_path)
    assert found.shape == (16, 16, 3)
    assert (found == wanted[..., None]).all()


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "L").convert("P")
    palette.putpalette([200, 0, 0, 0, 0, 0, 10, 20, 30])
    found = decoded(encoded(palette, "PNG", transparency=bytes([0, 128, 255])), tmp_path)
    assert found.tolist() == [[[255] * 3, [127] * 3, [10, 20, 30]]]
    for mode, clear in (("RGBA", (9, 9, 9, 0)), ("LA", (9, 0))):
        assert (decoded(encoded(Image.new(mode, (2, 2), clear), "PNG"), tmp_path) == 255).all(), mode


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {  # EXIF 2.3, tag 0x0112: what the first row and column are
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_exif_rotation(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = np.asarray(Image.fromarray(NOISE).resize((48, 32), Image.Resampling.BICUBIC))
    found = decoded(encoded(Image.fromarray(smooth), kind, exif=exif, lossless=True, quality=95), tmp_path)
    wanted = UPRIGHT[orientation](smooth)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= (40 if kind == "JPEG" else 0)


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF data that says orientation 6, with these entries: tag, type, count and value of four bytes."""
    lines = sorted([(0x0112, 3, 1, b"\6\0\0\0"), *entries])
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in lines)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(lines)) + packed + bytes(4)


WRONG_TAGS = {
    "negative width": (0x0100, 9, 1, struct.pack("<i", -5)),
    "text for a number": (0x0102, 2, 4, b"abc\0"),
    "not a number": (0x011A, 11, 1, struct.pack("<f", float("nan"))),
}


@pytest.mark.parametrize("tag", WRONG_TAGS)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_tags_of_a_wrong_type_are_no_damage(kind: str, tag: str, tmp_path: Path) -> None:
    """The image is turned all the same."""
    pixels = np.repeat(np.repeat(NOISE[:2, :3], 16, axis=0), 16, axis=1)
    found = decoded(encoded(Image.fromarray(pixels), kind, exif=exif(WRONG_TAGS[tag]), lossless=True), tmp_path)
    assert found.shape == (48, 32, 3)
    assert kind == "JPEG" or (found == np.rot90(pixels, -1)).all()


def test_xmp_of_a_wrong_type_is_no_damage(tmp_path: Path) -> None:
    pixels = np.repeat(np.repeat(NOISE[:2, :3], 16, axis=0), 16, axis=1)
    tags = ImageFileDirectory_v2()
    tags.tagtype[700] = TiffTags.LONG  # XMP, which is text
    tags[0x0112], tags[700] = 6, 5  # turned by a quarter
    assert (decoded(encoded(Image.fromarray(pixels), "TIFF", tiffinfo=tags), tmp_path) == np.rot90(pixels, -1)).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animations_first_frame(kind: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    found = decoded(encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True), tmp_path)
    assert (found == [255, 0, 0]).all()


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(2000, 1), (1, 2000), (1, 1)])
def test_extreme_shapes(size: tuple[int, int], fit: str, tmp_path: Path) -> None:
    assert to_square(Image.new("RGB", size), 8, fit).shape == (8, 8, 3)


def test_odd_metadata_is_passed_over_in_silence(data: Path, train: A2) -> None:
    broken = b"Exif\0\0II*\0\x08\0\0\0\x05\0"  # five entries that are not there: Pillow warns, and reads the pixels
    (data / "ada" / "x.jpg").write_bytes(encoded(Image.fromarray(NOISE), "JPEG", exif=broken))
    train("--data", "set").done()


# Names


def rename(path: Path, name: bytes) -> Path:
    try:
        return path.rename(os.fsencode(path.parent).decode() + "/" + os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in strings(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def test_names_that_are_not_utf_8(data: Path, train: A2) -> None:
    (data / "ada" / "0.png").write_bytes(b"")
    rename(data / "ada" / "0.png", b"\xfe.png")
    rename(data / "ada", b"ad\xff")
    root = rename(data, b"s\xe9t")
    run = train("--data", root, "--skip-damaged").done("\\xfe.png: an empty file")
    written = json.loads((run / "report.json").read_bytes().decode("utf-8"))
    assert set(written["data"]["classes"]) == {"ad\\xff", "bea"}
    assert written["data"]["skipped"] == ["ad\\xff/\\xfe.png: an empty file"]
    for text in strings(written):
        text.encode("utf-8")  # a lone surrogate is in no UTF-8
    again = train("--preset", run / "config.yaml", "--out", "again").done("\\xfe.png")
    assert (again / "model/model.safetensors").read_bytes() == (run / "model/model.safetensors").read_bytes()


def test_a_name_with_line_breaks_stays_on_one_line(data: Path, train: A2) -> None:
    (data / "ada" / "0.png").write_bytes(b"")
    rename(data / "ada" / "0.png", b"a\nb\r\x1b[31m.png")
    train("--data", "set").refused(3, r"ada/a\x0ab\x0d\x1b[31m.png")


def test_a_folders_name_that_is_not_utf_8_is_shown_escaped(tmp_path: Path) -> None:
    name = b"s\xe9t"
    done = subprocess.run(
        [sys.executable, "-m", "a2cli", "train-cnn", "--data", name, "--dry-run"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"s\xe9t" in done.stdout


def test_a_text_chunk_that_pillow_takes_is_no_reason(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 10_000, zip=True)
    assert (decoded(encoded(Image.fromarray(NOISE), "PNG", pnginfo=info), tmp_path) == NOISE).all()

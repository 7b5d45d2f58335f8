"""Images of more than 8 bits: one scaling for the whole data set, the same for new images; single-valued ones."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, LABELS, draw_classes
from numpy.typing import NDArray
from PIL import Image
from test_bad_images import chunk

from a2cli.data.decode import read_image, value_range_of
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.progress import NullReporter

SHARES = np.random.default_rng(0).integers(0, 256, (10, 8, 8)) / 255  # as uint8 images divided by 255
SHARES[:, 0, 0] = 1
SHARES[3], SHARES[3, 4, 4] = 0, 128 / 255  # an image that does not reach the brightest value


def packed(path: Path) -> Packed:
    return pack(find_source(str(path)), 8, "squash", False, NullReporter())


def write(root: Path, images: NDArray[Any], mode: str | None = None) -> Path:
    for i, values in enumerate(images):
        (root / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(values, mode).save(root / f"class{i % 2}" / f"{i}.tif")
    return root


SCALED: dict[str, tuple[NDArray[Any], str]] = {
    "shares": (SHARES.astype(np.float32), "0 to 1"),
    "8 bits in a float": ((SHARES * 255).astype(np.float32), "0 to 255"),
    "8 bits in 32": ((SHARES * 255).astype(np.int32), "0 to 255"),
    "10 bits in 16": ((SHARES * 255).astype(np.uint16) * 4, "0 to 1023"),
    "12 bits in 16": ((SHARES * 255).astype(np.uint16) * 16, "0 to 4095"),
    "14 bits in 16": ((SHARES * 255).astype(np.uint16) * 64, "0 to 16383"),
    "16 bits": ((SHARES * 255).astype(np.uint16) * 257, "0 to 65535"),
    "16 bits in a float": ((SHARES * 255).astype(np.float32) * 257, "0 to 65535"),
    "its own range": ((SHARES * 255).round().astype(np.int32) * 1000 - 300, "-300 to 254700"),
    "negative floats": ((SHARES * 510 - 255).astype(np.float32), "-255 to 255"),
}


@pytest.mark.parametrize("kind", SCALED)
@pytest.mark.parametrize("source", ["files", "arrays"])
def test_values_are_scaled_by_one_rule(kind: str, source: str, tmp_path: Path) -> None:
    """To the grey levels that went in, for all images alike, whatever the brightest in each is."""
    values, words = SCALED[kind]
    if source == "files":
        found = packed(write(tmp_path / "set", values))
        order = [int(Path(name).stem) for name in found.names]
    else:
        np.savez(tmp_path / "set.npz", images=values, labels=LABELS)
        found, order = packed(tmp_path / "set.npz"), list(range(10))
    difference = np.abs(found.images[..., 0] - 255 * SHARES[order]).max()
    assert difference < (1.1 if kind == "negative floats" else 0.1)
    assert found.deep == 10
    assert words in found.scaling


def test_a_standard_range_or_the_values_own() -> None:
    assert value_range_of(0, 0.9) == (0, 1)
    assert value_range_of(0.2, 200) == (0, 255)
    assert value_range_of(0, 300) == (0, 1023)
    assert value_range_of(0, 0.1) == (0, 0.1)  # reflectances: of 0 to 1 they would fill a tenth
    assert value_range_of(-1, 1) == (-1, 1)
    assert value_range_of(250, 66_000) == (250, 66_000)


@pytest.mark.parametrize("kind", ["f01", "i32", "f16"])
def test_bright_and_dark_are_told_apart(kind: str, train: A2, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shares = np.clip(np.where(np.arange(24) % 2, 0.8, 0.2)[:, None, None] + rng.normal(0, 0.05, (24, 24, 24)), 0, 1)
    scale = {"f01": (1, np.float32), "i32": (255, np.int32), "f16": (65535, np.float32)}[kind]
    write(tmp_path / "set", (shares * scale[0]).astype(scale[1]))
    run = train("--data", "set", "--epochs", "15", "--learning-rate", "1e-2").done(
        "24 of 24 images have more than 8 bits"
    )
    report = json.loads((run / "report.json").read_text())
    assert report["results"]["runs"][0]["val"]["value"] == 1
    assert report["data"]["scaling"].startswith("24 of 24 images have more than 8 bits")
    assert report["data"]["scaling"] in report["warnings"]


# New images


def test_new_images_are_scaled_as_those_trained_on(a2: A2, train: A2, tmp_path: Path) -> None:
    """A dark image of 12 bits stays dark, though nothing in it shows how many bits were used."""
    values = (SHARES * 255).astype(np.uint16) * 16
    write(tmp_path / "set", values)
    run = train("--data", "set", "--activation", "elu").done("0 to 4095")
    assert json.loads((run / "model/model.json").read_text())["value_range"] == [0, 4095]
    dark = values[4] // 8
    Image.fromarray(dark).save(tmp_path / "dark.tif")
    Image.fromarray((dark >> 4).astype(np.uint8)).save(tmp_path / "same.png")
    Image.fromarray((dark >> 8).astype(np.uint8)).save(tmp_path / "as-16-bits.png")
    ended = a2("predict", "--run", run, "dark.tif", "same.png", "as-16-bits.png", "--json", "--threads", "1")
    first, second, other = [one["probability"] for one in json.loads(ended.out)["predictions"]]
    assert (ended.status, ended.err) == (0, "")
    assert first == pytest.approx(second, abs=1e-6)
    assert abs(first - other) > 1e-4, "the network tells them apart"
    write(tmp_path / "other", values // 8)
    found = pack(find_source(str(tmp_path / "other")), 8, "squash", False, NullReporter(), (0, 4095))
    assert found.images.max() == values.max() // 8 >> 4
    a2("probe-invariance", "--run", run, "--data", "other", "--changes", "blur", "--threads", "1", "--out", "probe")
    warnings = json.loads((tmp_path / "probe/report.json").read_text())["warnings"]
    assert any("0 to 4095 became 0 to 255" in warning for warning in warnings)


def test_deep_images_for_a_network_of_8_bits(a2: A2, train: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set")
    run = train("--data", "set").done()
    Image.fromarray((SHARES[0] * 65535).astype(np.uint16)).save(tmp_path / "16.png")
    Image.fromarray(SHARES[0].astype(np.float32)).save(tmp_path / "float.tif")
    ended = a2("predict", "--run", run, "16.png", "float.tif", "--json", "--threads", "1")
    assert ended.status == 3
    assert "warning: 1 of 16 bits, 0 to 65535 taken as black to white" in ended.err
    assert "float.tif: values from 0 to 1 (F), where the network was trained on images of 8 bits" in ended.err
    assert [one["image"] for one in json.loads(ended.out)["predictions"]] == ["16.png"]


def test_values_that_are_not_numbers_are_damage(tmp_path: Path, train: A2) -> None:
    values = SHARES.astype(np.float32)
    values[2, 3, 3] = np.nan
    write(tmp_path / "set", values)
    train("--data", "set").refused(3, "class0/2.tif: holds values that are not finite numbers")
    run = train("--data", "set", "--skip-damaged", "--split", "random").done("9 of 9 images", "1 damaged file left out")
    assert json.loads((run / "report.json").read_text())["data"]["train"] == 7


# Single values


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_images_of_one_single_value_are_named(fit: str, tmp_path: Path, train: A2) -> None:
    draw_classes(tmp_path / "set")
    Image.new("RGB", (12, 8), (10, 20, 30)).save(tmp_path / "set/ada/blank.png")
    Image.new("L", (12, 8), 7).save(tmp_path / "set/bea/x.png")
    run = train("--data", "set", "--fit", fit).done("2 images of one single value, as ada/blank.png")
    found = json.loads((run / "report.json").read_text())["data"]
    assert found["constant"] == ["ada/blank.png", "bea/x.png"]


def test_a_set_of_single_valued_images_alone(train: A2, tmp_path: Path) -> None:
    for label, name in enumerate(("ada", "bea")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (12, 12), (20 * i, 5, 100 * label)).save(tmp_path / f"set/{name}/{i}.png")
    train("--data", "set").done("12 images of one single value")


def test_modes_and_sizes_are_kept(tmp_path: Path) -> None:
    draw_classes(tmp_path / "set")
    Image.new("L", (12, 8), 7).save(tmp_path / "set/ada/a.png")
    Image.fromarray(SHARES[0].astype(np.float32)).save(tmp_path / "set/ada/b.tif")
    found = packed(tmp_path / "set")
    sizes = dict(zip(found.names, found.sizes, strict=True))
    modes = dict(zip(found.names, found.modes, strict=True))
    assert (sizes["ada/a.png"], modes["ada/a.png"]) == ((12, 8), "L")
    assert (sizes["ada/b.tif"], modes["ada/b.tif"]) == ((8, 8), "F")
    assert (sizes["bea/0.png"], modes["bea/0.png"], found.deep) == ((10, 10), "RGB", 1)
    again = packed(tmp_path / "set")  # from the cache
    assert (again.sizes, again.modes, again.value_range) == (found.sizes, found.modes, (0, 1))


def test_without_a_range_only_16_bits_are_taken(tmp_path: Path) -> None:
    Image.fromarray((SHARES[0] * 65535).astype(np.uint16)).save(tmp_path / "x.png")
    image = read_image(str(tmp_path / "x.png"))
    assert np.array_equal(np.asarray(image.rgb())[..., 0], (SHARES[0] * 65535).astype(int) >> 8)
    assert image.extremes == (0, 65535)


def test_colours_of_16_bits_are_said_to_be_cut(tmp_path: Path, train: A2) -> None:
    draw_classes(tmp_path / "set")
    rows = np.random.default_rng(0).integers(0, 1 << 16, (4, 5, 3)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    (tmp_path / "set/ada/x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert np.array_equal(np.asarray(read_image(str(tmp_path / "set/ada/x.png")).rgb()), rows >> 8)
    train("--data", "set").done("1 colour image of 16 bits a channel, of which the upper 8 are read")

"""PNG, JPEG and TIFF: every kind of pixel keeps its values."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6)
COLOUR = np.arange(90, dtype=np.uint8).reshape(5, 6, 3)


def png(path: Path, data: np.ndarray, **options) -> Path:
    Image.fromarray(data).save(path, **options)
    return path


@pytest.mark.parametrize(
    "data",
    [GREY, COLOUR, GREY.astype(np.uint16) * 2000, np.dstack([COLOUR, GREY])],
    ids=["grey", "colour", "grey16", "alpha"],
)
def test_png_keeps_its_values(tmp_path: Path, data: np.ndarray) -> None:
    scan = read_one(png(tmp_path / "a.png", data))
    assert scan.data.dtype == data.dtype
    np.testing.assert_array_equal(scan.data, data)
    assert scan.grid.unit == "px"
    assert scan.grid.spacing == (1.0, 1.0)
    assert scan.has_channels == (data.ndim == 3)
    assert (scan.warnings, scan.modality) == ((), "")


def test_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    opaque = np.full((5, 6), 255, np.uint8)
    scan = read_one(png(tmp_path / "a.png", np.dstack([COLOUR, opaque])))
    np.testing.assert_array_equal(scan.data, COLOUR)
    image = Image.fromarray(GREY).convert("LA")
    image.save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_one(tmp_path / "b.png").data, GREY)


def test_one_bit_gives_0_and_1(tmp_path: Path) -> None:
    mask = GREY % 3 == 0
    scan = read_one(png(tmp_path / "a.png", mask))
    assert scan.data.dtype == np.uint8
    np.testing.assert_array_equal(scan.data, mask)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_are_not_stretched(tmp_path: Path, bits: int) -> None:
    values = GREY % 2**bits
    per_byte = 8 // bits
    rows = np.pad(values, ((0, 0), (0, -6 % per_byte))).reshape(5, -1, per_byte)
    shifts = np.arange(per_byte)[::-1] * bits
    packed = (rows << shifts).sum(axis=-1).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(kind: bytes, body: bytes) -> bytes:
        total = zlib.crc32(kind + body).to_bytes(4)
        return len(body).to_bytes(4) + kind + body + total

    head = (6).to_bytes(4) + (5).to_bytes(4) + bytes([bits, 0, 0, 0, 0])
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(read_one(tmp_path / "a.png").data, values)


def test_16_bit_colour_keeps_its_lower_byte(tmp_path: Path) -> None:
    data = COLOUR.astype(np.uint16) * 701 + 3
    image = SimpleITK.GetImageFromArray(data, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.png"))
    np.testing.assert_array_equal(read_one(tmp_path / "a.png").data, data)


def test_palette_is_colour_to_see_and_index_to_label(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 3, mode=None).convert("P")
    image.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    image.putdata((GREY % 3).ravel().tolist())
    image.save(tmp_path / "a.png")
    scan = read_one(tmp_path / "a.png")
    assert scan.has_channels
    assert scan.data[0, 1].tolist() == [200, 10, 10]
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").data, GREY % 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".jpeg"])
def test_exif_turn_is_told_not_done(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = png(tmp_path / f"a{suffix}", COLOUR, exif=exif)
    scan = read_one(path)
    assert scan.data.shape == (5, 6, 3)
    assert "EXIF orientation 6" in scan.warnings[0]


def test_cmyk_is_told(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    scan = read_one(tmp_path / "a.jpg")
    assert scan.channels == 3
    assert "CMYK" in scan.warnings[0]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_damaged_images(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 70, 3)).astype("u1")
    raw = png(tmp_path / f"whole{suffix}", noise).read_bytes()
    for share in (0.0, 0.02, 0.3, 0.6, 0.95):
        path = tmp_path / f"part{suffix}"
        path.write_bytes(raw[: int(share * len(raw))])
        with pytest.raises(InputError, match=r"^part\.") as told:
            read_one(path)
        assert "\n" not in str(told.value)
    path.write_bytes(b"nothing of the kind" * 50)
    with pytest.raises(InputError, match=r"^part\."):
        read_one(path)
    assert capfd.readouterr() == ("", "")


# -- TIFF ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "shape", "time", "channels"),
    [
        ("YX", (5, 6), False, False),
        ("ZYX", (3, 5, 6), False, False),
        ("TYX", (3, 5, 6), True, False),
        ("TZYX", (2, 3, 5, 6), True, False),
        ("CYX", (2, 5, 6), False, True),
        ("TZCYX", (2, 3, 4, 5, 6), True, True),
        ("ZYXS", (4, 5, 6, 3), False, True),
    ],
)
@pytest.mark.parametrize("flavour", ["imagej", "plain"])
def test_tiff_axes(
    tmp_path: Path,
    axes: str,
    shape: tuple[int, ...],
    time: bool,
    channels: bool,
    flavour: str,
) -> None:
    data = np.arange(np.prod(shape)).reshape(shape).astype("u2")
    if axes.endswith("S"):
        data = data.astype("u1")
    options = {"photometric": "rgb"} if axes.endswith("S") else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        data,
        imagej=flavour == "imagej",
        metadata={"axes": axes},
        **({"photometric": "minisblack"} | options),
    )
    scan = read_one(tmp_path / "a.tif")
    assert (scan.has_time, scan.has_channels) == (time, channels)
    expected = np.moveaxis(data, axes.index("C"), -1) if "C" in axes else data
    np.testing.assert_array_equal(scan.data, expected)
    assert scan.grid.unit == "px"


def test_imagej_size_and_time(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((2, 3, 5, 6), "u2"),
        imagej=True,
        resolution=(1 / 0.5, 1 / 0.25),
        metadata={"axes": "TZYX", "unit": "um", "spacing": 2.0, "finterval": 0.04},
    )
    scan = read_one(tmp_path / "a.tif")
    assert scan.grid.unit == "mm"
    assert scan.grid.spacing == pytest.approx((2e-3, 0.25e-3, 0.5e-3))
    assert scan.frame_ms == pytest.approx(40.0)


def test_ome_size(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((3, 5, 6), "u2"),
        ome=True,
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": 500.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.25,
            "PhysicalSizeZ": 2.0,
        },
    )
    scan = read_one(tmp_path / "a.ome.tif")
    assert scan.grid.spacing == pytest.approx((2e-3, 0.25e-3, 0.5e-3))


def test_dpi_says_nothing_of_the_tissue(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(300, 300), resolutionunit=2)
    assert read_one(tmp_path / "a.tif").grid.unit == "px"


def test_size_without_depth_is_told(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((3, 5, 6), "u2"),
        imagej=True,
        resolution=(2, 2),
        metadata={"axes": "ZYX", "unit": "um"},
    )
    scan = read_one(tmp_path / "a.tif")
    assert scan.grid.unit == "px"
    assert "some axes only" in scan.warnings[0]


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("data", [GREY, COLOUR], ids=["grey", "colour"])
def test_compressed_tiff(tmp_path: Path, data: np.ndarray, packing: str) -> None:
    Image.fromarray(data).save(tmp_path / "a.tif", compression=packing)
    scan = read_one(tmp_path / "a.tif")
    np.testing.assert_array_equal(scan.data, data)
    assert scan.grid.unit == "px"


def test_one_bit_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY > 9)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif").data, GREY > 9)


# -- real files ----------------------------------------------------------------------


def test_real_photographs(data_dir: Path) -> None:
    fundus = read_one(data_dir / "retina_chasedb1/images/Image_01L.jpg")
    assert fundus.data.shape == (960, 999, 3)
    assert "colour" in fundus.facts()
    nerve = read_one(data_dir / "us_nerve_usgra/images/0140.png")
    assert nerve.data.dtype == np.uint8
    smear = read_labels(data_dir / "wbc_smear/labels/151.png")
    assert set(np.unique(smear.data)) <= {0, 128, 255}


def test_real_instances_are_16_bit(data_dir: Path) -> None:
    path = sorted((data_dir / "nuclei_dsb2018/labels").glob("*.png"))[0]
    labels = read_labels(path)
    np.testing.assert_array_equal(labels.data, np.array(Image.open(path)))
    assert labels.data.dtype == np.uint16

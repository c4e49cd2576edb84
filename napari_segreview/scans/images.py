"""PNG, JPEG and TIFF.

Values are kept as the file stores them: a 1-bit image gives 0 and 1, a 4-bit one
0..15; nothing is stretched to 8 bits, nothing is rotated.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import Grid
from napari_segreview.core.scan import Scan
from napari_segreview.scans.itk import load, simple_itk
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

Pixels = npt.NDArray[Any]

ORIENTATION = 0x0112  # EXIF
STRETCHED = {2: 85, 4: 17}  # Pillow spreads 2- and 4-bit grey over 0..255
AS_THEY_ARE = ("L", "I", "I;16", "I;16B", "F", "RGB", "RGBA", "LA", "1")
GREY, PALETTE = 0, 3  # PNG colour types


def read(path: Path) -> Scan:
    """Read a PNG or JPEG: grey (y, x) or colour (y, x, c), in pixels.

    Alpha is kept only where it says something, that is unless all is opaque.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    notes: list[str] = []
    data = _plain(_open(path, notes), path, notes)
    if data.ndim == 3 and data.shape[-1] in (2, 4):
        data = _without_idle_alpha(data)
    return _scan(path, data, notes)


def read_indices(path: Path) -> Scan:
    """The same, but a palette image gives its index values: for label images."""
    notes: list[str] = []
    image = _open(path, notes)
    if image.mode == "P":
        return _scan(path, np.array(image), notes)
    return read(path)


def _scan(path: Path, data: Pixels, notes: list[str]) -> Scan:
    return Scan(
        data=data,
        grid=Grid.from_spacing(data.shape[:2], (1.0, 1.0), "px"),
        name=path.stem,
        has_channels=data.ndim == 3,
        source=path,
        warnings=tuple(notes),
    )


def _open(path: Path, notes: list[str]) -> Image:
    """The image, loaded, with what is worth a note."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if getattr(image, "n_frames", 1) > 1 and image.format == "PNG":
                    notes.append("only the first frame of this animation was read")
                turned = image.getexif().get(ORIENTATION, 1)
                image.load()
    except UnidentifiedImageError as error:
        raise InputError("the file is damaged or of another format") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"the image cannot be read ({error})") from error
    if turned not in (0, 1):
        notes.append(
            f"the camera stored this photograph turned (EXIF orientation {turned}); it "
            "is shown as stored"
        )
    return image


def _plain(image: Image, path: Path, notes: list[str]) -> Pixels:
    """Pixels in the values of the file; palettes expanded to colours."""
    depth, kind = _png_depth(path)
    if depth == 16 and kind not in (GREY, PALETTE):
        return _deep_colour(path)  # Pillow would drop the lower 8 bits
    if image.mode == "P":
        clear = "transparency" in image.info
        return np.array(image.convert("RGBA" if clear else "RGB"))
    if image.mode not in AS_THEY_ARE:
        notes.append(f"{image.mode} colours were converted to RGB")
        image = image.convert("RGB")
    data = np.array(image)
    if image.mode == "1":
        return data.astype(np.uint8)
    if kind == GREY and depth in STRETCHED:
        return data // np.uint8(STRETCHED[depth])
    if data.dtype.byteorder == ">":
        return data.astype(data.dtype.newbyteorder("="))
    return data


def _png_depth(path: Path) -> tuple[int, int]:
    """Bits per sample and colour type of a PNG, (0, -1) of anything else."""
    with path.open("rb") as file:
        head = file.read(26)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return 0, -1
    return head[24], head[25]


def _deep_colour(path: Path) -> Pixels:
    data: Pixels = simple_itk().GetArrayFromImage(load(path))
    return data


def _without_idle_alpha(data: Pixels) -> Pixels:
    """Drop the last channel if it is opaque all over."""
    if (data[..., -1] < np.iinfo(data.dtype).max).any():
        return data
    return data[..., 0] if data.shape[-1] == 2 else data[..., :-1]

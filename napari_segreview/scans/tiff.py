"""TIFF: single pages, stacks, ImageJ's and OME's axes and sizes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import Grid, Unit
from napari_segreview.core.scan import Scan
from napari_segreview.scans.itk import load, simple_itk
from napari_segreview.scans.quiet import quiet
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tifffile import TiffFile

Pixels = npt.NDArray[Any]

# Unit names as ImageJ and OME write them → mm
TO_MM: Mapping[str, float] = {
    "nm": 1e-6,
    "nanometer": 1e-6,
    "um": 1e-3,
    "µm": 1e-3,  # micro sign
    "μm": 1e-3,  # Greek mu
    "\\u00B5m": 1e-3,  # as ImageJ escapes it
    "micron": 1e-3,
    "microns": 1e-3,
    "micrometer": 1e-3,
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "m": 1000.0,
}
ROLES = {"T": "t", "Z": "z", "I": "z", "Q": "z", "Y": "y", "X": "x", "C": "c", "S": "c"}
ORDER = "tzyxc"
# what tifffile raises on damaged files
DAMAGED = (
    OSError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Pages:
    """Pixels with one letter of `ORDER` per axis, and the sizes the file gives.

    `steps` holds mm by axis letter; `frame_ms` the time between frames, if known.
    """

    data: Pixels
    axes: str
    steps: Mapping[str, float]
    frame_ms: float | None = None
    warnings: tuple[str, ...] = ()


def read(path: Path) -> Scan:
    """Read a TIFF as (t?, z?, y, x, c?), expanding palettes.

    Lengths are in mm where ImageJ or OME metadata give a size for every axis, else
    in pixels: a plain resolution tag speaks of paper.

    Raises
    ------
    InputError
        If the file is damaged or has axes other than t, z, y, x and one of colour.
    """
    return _scan(path, _pages(path, expand=True))


def read_indices(path: Path) -> Scan:
    """The same, but a palette image gives its index values: for label images."""
    return _scan(path, _pages(path, expand=False))


def _scan(path: Path, pages: Pages) -> Scan:
    order = [letter for letter in ORDER if letter in pages.axes]
    data = pages.data.transpose([pages.axes.index(letter) for letter in order])
    space = [letter for letter in order if letter in "zyx"]
    notes = list(pages.warnings)
    unit: Unit = "mm" if all(letter in pages.steps for letter in space) else "px"
    if unit == "px" and pages.steps:
        notes.append("the file gives a size for some axes only; lengths are in pixels")
    steps = tuple(pages.steps[s] if unit == "mm" else 1.0 for s in space)
    shape = tuple(data.shape[order.index(letter)] for letter in space)
    if data.dtype == bool:
        data = data.astype(np.uint8)
    return Scan(
        data=data,
        grid=Grid.from_spacing(shape, steps, unit),
        name=path.stem,
        has_time="t" in order,
        has_channels="c" in order,
        frame_ms=pages.frame_ms if "t" in order else None,
        source=path,
        warnings=tuple(notes),
    )


def _pages(path: Path, expand: bool) -> Pages:
    import tifffile

    try:
        with quiet(), tifffile.TiffFile(path) as file:
            return _first_series(file, expand)
    except InputError:
        raise
    except (tifffile.TiffFileError, *DAMAGED) as error:
        if "imagecodecs" in str(error):
            return _by_itk(path)
        raise InputError(f"the TIFF is damaged ({error}); copy it again") from error


def _first_series(file: TiffFile, expand: bool) -> Pages:
    series = file.series[0]
    data, letters = series.asarray(), str(series.axes)
    page = series.keyframe
    if data.size != np.prod(series.shape):
        raise InputError("the TIFF is truncated; copy it again")
    notes = []
    if len(file.series) > 1:
        notes.append(f"the first of {len(file.series)} images in this TIFF was read")
    if page.photometric == 0:
        notes.append("this TIFF stores black as its largest value; values are kept")
    if expand and page.photometric == 3 and page.colormap is not None:
        data = np.moveaxis(np.asarray(page.colormap)[:, data], 0, -1)
        letters += "S"
        if not (page.colormap % 257).any():  # 8-bit colours widened to 16
            data = (data // 257).astype(np.uint8)
    data, axes = _roles(data, letters)
    steps, frame_ms = _ome(file) if file.is_ome else _imagej(file)
    return Pages(data, axes, steps, frame_ms, tuple(notes))


def _roles(data: Pixels, letters: str) -> tuple[Pixels, str]:
    """Drop axes of length 1 that say nothing; name the rest."""
    idle = tuple(
        i for i, c in enumerate(letters) if data.shape[i] == 1 and c not in "YX"
    )
    data = data.squeeze(idle)
    kept = [c for i, c in enumerate(letters) if i not in idle]
    axes = "".join(ROLES.get(c, "?") for c in kept)
    if "?" in axes or len(set(axes)) < len(axes):
        raise InputError(
            f"a TIFF with the axes {''.join(kept)}; wanted at most time, z, y, x and "
            "one of colour: split it first"
        )
    return data, axes


def _imagej(file: TiffFile) -> tuple[dict[str, float], float | None]:
    """Voxel size in mm and frame time of ImageJ's metadata; empty without a unit."""
    meta = file.imagej_metadata or {}
    seconds = meta.get("finterval")
    frame_ms = float(seconds) * 1000 if seconds else None
    to_mm = TO_MM.get(str(meta.get("unit", "")).strip())
    if to_mm is None:
        return {}, frame_ms
    steps = {}
    for letter, tag in (("x", "XResolution"), ("y", "YResolution")):
        if tag in file.pages.first.tags:
            per_unit, base = file.pages.first.tags[tag].value
            if per_unit and base:
                steps[letter] = to_mm * base / per_unit
    if meta.get("spacing"):
        steps["z"] = to_mm * abs(float(meta["spacing"]))
    return steps, frame_ms


def _ome(file: TiffFile) -> tuple[dict[str, float], float | None]:
    """Voxel size in mm and frame time of OME-XML; µm is OME's default unit."""
    root = ElementTree.fromstring(file.ome_metadata or "<none/>")
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return {}, None
    steps = {}
    for letter in "XYZ":
        length = pixels.get(f"PhysicalSize{letter}")
        to_mm = TO_MM.get(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
        if length and to_mm:
            steps[letter.lower()] = float(length) * to_mm
    step, unit = pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")
    to_ms = {"s": 1000.0, "ms": 1.0}.get(unit)
    return steps, float(step) * to_ms if step and to_ms else None


def _by_itk(path: Path) -> Pages:
    """LZW and JPEG pages, which tifffile reads only with a further package."""
    image = load(path)
    axes = "zyx"[-image.GetDimension() :]
    if image.GetNumberOfComponentsPerPixel() > 1:
        axes += "c"
    return Pages(simple_itk().GetArrayFromImage(image), axes, {})

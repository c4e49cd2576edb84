"""What a volume's raw header says and ITK keeps to itself.

ITK repairs a voxel size of zero or NaN to 1 mm without a word, and fills up the
missing end of a truncated NIfTI with zeros. Both would put wrong numbers on the
screen, so the few bytes that matter are read here, before ITK sees the file.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from napari_segreview.core.geometry import Affine, Unit

CHUNK = 1 << 22
TEXT_LIMIT = 1 << 20  # a text header is shorter than this
TO_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # NIfTI unit code → mm
TO_MS = {8: 1000.0, 16: 1.0, 24: 0.001}
OTHER_LENGTHS = {"nm", "um", "µm", "micron", "microns", "cm", "m", "inch", "in"}
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ELEMENT_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG": 8,
    "MET_ULONG": 8,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}


@dataclass(frozen=True, slots=True)
class Header:
    """Facts of a raw header.

    Attributes
    ----------
    unit : {"mm", "px"}
        "px" if the header gives no voxel size.
    frame_ms : float or None
        Time between frames.
    affines : mapping of str to (4, 4) array
        Voxel (i, j, k) → patient mm, LPS, by each of the header's own statements.
    warnings : tuple of str
    """

    unit: Unit = "mm"
    frame_ms: float | None = None
    affines: Mapping[str, Affine] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


# -- NIfTI ---------------------------------------------------------------------------


def nifti(path: Path) -> Header:
    """Check a NIfTI-1 file; `path` ends in .nii or .nii.gz.

    Raises
    ------
    InputError
        If it is empty, truncated, damaged, NIfTI-2 or states a voxel size ≤ 0 or NaN.
    """
    raw, size = _start_and_size(path, 352)
    if len(raw) < 348:
        raise InputError(f"the file ends after {len(raw)} bytes; {AGAIN}")
    order = next((o for o in "<>" if struct.unpack(o + "i", raw[:4])[0] == 348), "")
    if not order:
        if 540 in (struct.unpack("<i", raw[:4])[0], struct.unpack(">i", raw[:4])[0]):
            raise InputError("NIfTI-2 cannot be read; save it as NIfTI-1")
        raise InputError("this is no NIfTI file, whatever its name says")

    def at(offset: int, form: str) -> tuple[float, ...]:
        return struct.unpack_from(order + form, raw, offset)

    dim = [int(side) for side in at(40, "8h")]
    sides = dim[1 : 1 + dim[0]] if 1 <= dim[0] <= 7 else []
    if not sides or min(sides) < 1:
        raise InputError(f"the header gives an impossible size {dim}; {AGAIN}")
    needed = int(at(108, "f")[0]) + math.prod(sides) * int(at(72, "h")[0]) // 8
    if size < needed:
        raise InputError(f"the file is truncated: {size} of {needed} bytes; {AGAIN}")
    pixdim = at(76, "8f")
    _check_spacing(pixdim[1 : 1 + min(dim[0], 3)])
    units = raw[123]
    step = TO_MS.get(units & 0x38, math.nan) * pixdim[4]
    affines = _nifti_affines(at, pixdim, TO_MM.get(units & 7, 1.0))
    return Header(
        frame_ms=step if dim[0] > 3 and math.isfinite(step) and step > 0 else None,
        affines=affines,
        warnings=() if affines else (NO_ORIENTATION,),
    )


AGAIN = "copy or export it again"
NO_ORIENTATION = (
    "the header gives no position and no orientation: left and right are not known"
)


def _nifti_affines(
    at: Callable[[int, str], tuple[float, ...]],
    pixdim: tuple[float, ...],
    to_mm: float,
) -> Mapping[str, Affine]:
    """The sform and the qform, as far as the header has them, in LPS mm."""
    qform_code, sform_code = at(252, "2h")
    found = {}
    scale = np.diag([to_mm, to_mm, to_mm, 1.0])
    if sform_code > 0:
        rows = np.reshape(at(280, "12f"), (3, 4))
        found["sform"] = TO_LPS @ scale @ np.vstack([rows, [0, 0, 0, 1]])
    if qform_code > 0:
        b, c, d, *offset = at(256, "6f")
        a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
        flip = -1.0 if pixdim[0] < 0 else 1.0
        affine = np.eye(4)
        affine[:3, :3] = _rotation(a, b, c, d) * np.array(
            [pixdim[1], pixdim[2], flip * pixdim[3]]
        )
        affine[:3, 3] = offset
        found["qform"] = TO_LPS @ scale @ affine
    return MappingProxyType({k: a for k, a in found.items() if _is_affine(a)})


def _is_affine(matrix: Affine) -> bool:
    """Whether a header's matrix says something: many are left full of zeros."""
    return bool(np.isfinite(matrix).all() and np.linalg.det(matrix) != 0)


def _rotation(a: float, b: float, c: float, d: float) -> Affine:
    """The rotation of a unit quaternion (a, b, c, d), a the real part."""
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def _start_and_size(path: Path, count: int) -> tuple[bytes, int]:
    """First bytes and full length; a gzip is read to its end, its check sum checked."""
    if path.suffix != ".gz":
        with path.open("rb") as file:
            return file.read(count), path.stat().st_size
    try:
        with gzip.open(path, "rb") as file:
            start = file.read(count)
            size = len(start)
            while block := file.read(CHUNK):
                size += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"the file is truncated or damaged; {AGAIN}") from error
    return start, size


# -- NRRD and MetaImage --------------------------------------------------------------


def nrrd(path: Path) -> Header:
    """Check the spacing in a .nrrd or .nhdr header; ITK turns NaN into 1."""
    text = _text(path)
    if not text.startswith("NRRD"):
        raise InputError("this is no NRRD file, whatever its name says")
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    fields = dict(re.findall(r"^([a-z ]+):\s*(.*?)\s*$", head, flags=re.M))
    kinds = fields.get("kinds", "").split()
    units = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))
    if wrong := sorted(OTHER_LENGTHS.intersection(units)):
        raise InputError(
            f"lengths are in {wrong[0]}, wanted mm; save it with a spacing in mm"
        )
    vectors = re.findall(r"\([^)]*\)|none", fields.get("space directions", ""))
    if vectors:
        _check_spacing(
            float(np.linalg.norm(_floats(v.strip("()").split(","))))
            for v in vectors
            if v != "none"
        )
    steps = fields.get("spacings", "").split()
    spatial = [
        step
        for i, step in enumerate(steps)
        if len(kinds) <= i or kinds[i] in ("domain", "space", "???", "none")
    ]
    _check_spacing(abs(v) for v in _floats(spatial))
    return Header(unit="mm" if vectors or steps else "px")


def metaimage(path: Path) -> Header:
    """Check spacing and length of a .mha or .mhd; MetaIO would complain on stderr."""
    text = _text(path)
    fields: dict[str, str] = {}
    end = 0
    for line in re.finditer(r"^\s*(\w+)\s*=\s*(.*?)\s*?$\n?", text, flags=re.M):
        fields[line[1]] = line[2]
        end = line.end()
        if line[1] == "ElementDataFile":
            break
    if not {"DimSize", "ElementType", "ElementDataFile"} <= fields.keys():
        raise InputError(f"this is no whole MetaImage file; {AGAIN}")
    steps = fields.get("ElementSpacing") or fields.get("ElementSize") or ""
    _check_spacing(abs(v) for v in _floats(steps.split()))
    _check_length(path, fields, end)
    return Header(unit="mm" if steps else "px")


def _check_length(path: Path, fields: Mapping[str, str], end: int) -> None:
    """Whether all voxels a MetaImage header promises are there."""
    place = fields["ElementDataFile"]
    data = path
    if place != "LOCAL":
        if place == "LIST" or "%" in place:
            return
        data = path.parent / place
        end = 0
        if not data.is_file():
            raise InputError(f"its voxels lie in {place}, which is not there")
    voxels = math.prod(int(v) for v in _floats(fields["DimSize"].split()))
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    needed = voxels * channels * ELEMENT_BYTES.get(fields["ElementType"], 1)
    if fields.get("CompressedData", "False").lower() == "true":
        needed = int(fields.get("CompressedDataSize", "1"))
    there = data.stat().st_size - end
    if there < needed:
        raise InputError(f"the file is truncated: {there} of {needed} bytes; {AGAIN}")


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(TEXT_LIMIT).decode("latin-1")  # one byte, one character


def _floats(words: Iterable[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"the header holds a damaged number ({error})") from error


def _check_spacing(steps: Iterable[float]) -> None:
    for step in steps:
        if not (math.isfinite(step) and step > 0):
            raise InputError(
                f"the header gives a voxel size of {step:g}, wanted a length above "
                "zero; export the scan again or correct its header"
            )

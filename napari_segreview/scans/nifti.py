"""What a NIfTI-1 header says and ITK keeps to itself.

ITK repairs a voxel size of zero or NaN to 1 mm without a word, fills up the missing
end of a truncated file with zeros, and turns NaN voxels into 0. All three would put
wrong numbers on the screen, so the raw file is checked before ITK sees it.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry_notes import NO_ORIENTATION
from napari_segreview.scans.headers import AGAIN, Header, check_spacing
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_segreview.core.geometry import Affine

LENGTH = 348
CHUNK = 1 << 22
TO_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unit code → mm
TO_MS = {8: 1000.0, 16: 1.0, 24: 0.001}
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
FLOATS = {16: "f4", 64: "f8"}  # data type code → numpy


@dataclass(frozen=True, slots=True)
class Raw:
    """The 348 bytes of the header and their byte order ("<" or ">")."""

    bytes: bytes
    order: str

    def at(self, offset: int, form: str) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + form, self.bytes, offset)

    @property
    def dim(self) -> tuple[int, ...]:
        """Sides along i, j, k, t and so on; empty if the header is damaged."""
        count, *sides = self.at(40, "8h")
        return tuple(sides[:count]) if 1 <= count <= 7 else ()

    @property
    def pixdim(self) -> tuple[float, ...]:
        return self.at(76, "8f")

    @property
    def offset(self) -> int:
        """Where the voxels begin."""
        return int(self.at(108, "f")[0]) or LENGTH + 4

    @property
    def needed(self) -> int:
        """Bytes the whole file must have."""
        bits: int = self.at(72, "h")[0]
        return self.offset + math.prod(self.dim) * bits // 8

    @property
    def floats(self) -> np.dtype[Any] | None:
        """The type of the voxels if it is float32 or float64."""
        name = FLOATS.get(self.at(70, "h")[0])
        return np.dtype(self.order + name) if name else None


def check(path: Path) -> Header:
    """Check a NIfTI-1 file; `path` ends in .nii or .nii.gz.

    A gzip is read to its end and its check sum checked.

    Raises
    ------
    InputError
        If it is empty, truncated, damaged, NIfTI-2 or states a voxel size ≤ 0 or NaN.
    """
    with _opened(path) as file:
        raw = _raw(file.read(LENGTH))
        if not raw.dim or min(raw.dim) < 1:
            raise InputError(f"the header gives an impossible size {raw.dim}; {AGAIN}")
        check_spacing(raw.pixdim[1 : 1 + min(len(raw.dim), 3)])
        if path.suffix != ".gz" and raw.floats is None:
            size, nonfinite = path.stat().st_size, False
        else:
            size, nonfinite = _rest(file, raw)
    if size < raw.needed:
        raise InputError(
            f"the file is truncated: {size} of {raw.needed} bytes; {AGAIN}"
        )
    units = raw.bytes[123]
    step = TO_MS.get(units & 0x38, math.nan) * raw.pixdim[4]
    timed = len(raw.dim) > 3 and math.isfinite(step) and step > 0
    affines = _affines(raw, TO_MM.get(units & 7, 1.0))
    return Header(
        frame_ms=step if timed else None,
        affines=affines,
        nonfinite=nonfinite,
        warnings=() if affines else (NO_ORIENTATION,),
    )


def float_voxels(path: Path) -> npt.NDArray[Any]:
    """The voxels of a float file as stored, (…, t, z, y, x), not rescaled."""
    with _opened(path) as file:
        raw = _raw(file.read(LENGTH))
        file.seek(raw.offset)
        count = math.prod(raw.dim)
        found = np.frombuffer(file.read(raw.needed - raw.offset), raw.floats, count)
    return found.reshape(raw.dim[::-1])


def extensions(path: Path) -> Iterator[bytes]:
    """What other programs have put between the header and the voxels, one by one.

    Ends at the first that states no possible length.
    """
    with _opened(path) as file:
        raw = _raw(file.read(LENGTH))
        after = file.read(max(0, raw.offset - LENGTH))
    at = 4  # four bytes say whether there are any
    while at + 8 <= len(after):
        (size,) = struct.unpack_from(raw.order + "i", after, at)
        if not 8 < size <= len(after) - at:
            return
        yield after[at + 8 : at + size]
        at += size


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The unpacked file."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"the file is truncated or damaged; {AGAIN}") from error


def _raw(start: bytes) -> Raw:
    if len(start) < LENGTH:
        raise InputError(f"the file ends after {len(start)} bytes; {AGAIN}")
    sizes = {order: struct.unpack(order + "i", start[:4])[0] for order in "<>"}
    if 540 in sizes.values():
        raise InputError("NIfTI-2 cannot be read; save it as NIfTI-1")
    for order, size in sizes.items():
        if size == LENGTH:
            return Raw(start, order)
    raise InputError("this is no NIfTI file, whatever its name says")


def _rest(file: IO[bytes], raw: Raw) -> tuple[int, bool]:
    """Read to the end: how long the file is, and whether voxels are no numbers."""
    size = LENGTH + len(file.read(raw.offset - LENGTH))
    nonfinite = False
    while block := file.read(CHUNK):
        size += len(block)
        if raw.floats and not nonfinite:
            whole = len(block) // raw.floats.itemsize
            nonfinite = not np.isfinite(np.frombuffer(block, raw.floats, whole)).all()
    return size, nonfinite


# -- geometry ------------------------------------------------------------------------


def _affines(raw: Raw, to_mm: float) -> Mapping[str, Affine]:
    """The sform and the qform, as far as the header has them, in LPS mm."""
    qform_code, sform_code = raw.at(252, "2h")
    scale = TO_LPS @ np.diag([to_mm, to_mm, to_mm, 1.0])
    found = {}
    if sform_code > 0:
        rows = np.reshape(raw.at(280, "12f"), (3, 4))
        found["sform"] = scale @ np.vstack([rows, [0, 0, 0, 1]])
    if qform_code > 0:
        b, c, d, *offset = raw.at(256, "6f")
        flip = -1.0 if raw.pixdim[0] < 0 else 1.0
        affine = np.eye(4)
        affine[:3, :3] = _rotation(b, c, d) * raw.pixdim[1:4] * [1.0, 1.0, flip]
        affine[:3, 3] = offset
        found["qform"] = scale @ affine
    return MappingProxyType({k: a for k, a in found.items() if _is_affine(a)})


def _is_affine(matrix: Affine) -> bool:
    """Whether a header's matrix says something: many are left full of zeros."""
    return bool(np.isfinite(matrix).all() and np.linalg.det(matrix) != 0)


def _rotation(b: float, c: float, d: float) -> Affine:
    """The rotation of the unit quaternion a + bi + cj + dk, a ≥ 0."""
    a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )

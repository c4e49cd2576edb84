"""Read DICOM-SEG: binary, fractional and label map segmentations (PS3.3, A.51, C.8.20)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Label, LabelMap, default_color
from napari_segreview.scans.dicom_codes import from_cielab, read_coding
from napari_segreview.scans.dicom_frames import UNREADABLE, Frame, frames_of
from napari_segreview.scans.quiet import quiet
from napari_segreview.scans.segments import Segment, label_maps, numbered
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydicom import Dataset

    from napari_segreview.scans.segments import Voxels

Pixels = npt.NDArray[Any]
PRIVATE, CREATOR, VALUE = 0x0063, "SegReview", 0x01  # the label's own value
# of a voxel: a series may itself lie up to 0.1 beside its even grid
LIES_ON, WORTH_A_NOTE = 0.15, 0.02
LONGEST = 10_000  # slices that a SEG without its series may span
ELSEWHERE = (
    "the segments do not lie on the slices of the series they name: they are shown on "
    "a grid of their own"
)


class OffGridError(InputError):
    """The frames of a SEG are not slices of a grid."""


def read(header: Dataset, path: Path, name: str, grid: Grid | None) -> list[LabelMap]:
    """Read a DICOM-SEG.

    Segments that overlap come as several label maps. A label keeps the value it had if
    this program wrote the file, else it has the segment's number. Fractions from one
    half up count as inside.

    Parameters
    ----------
    header : Dataset
        With or without its pixels.
    path : Path
        Of the file.
    name : str
        Of the label maps.
    grid : Grid or None
        Of the referenced series. None: the frames' own, which spans only what they
        cover. Frames off the series' grid are put on their own, with a warning.

    Raises
    ------
    InputError
        If it is damaged, has no position, or its frames make up no grid.
    """
    frames = frames_of(header, path)
    if not all(frame.placed for frame in frames):
        raise InputError("its segments have no position in the patient")
    said: list[str] = []
    if grid is not None:
        try:
            off = max(_place(frame, grid)[1] for frame in frames)
        except OffGridError:
            grid = None
            said.append(ELSEWHERE)
        else:
            if off > WORTH_A_NOTE:
                said.append(f"its slices lie up to {off:.2f} voxels beside the series'")
    grid = grid or _own_grid(header, frames)
    kind = str(header.get("SegmentationType", "BINARY"))
    if kind == "FRACTIONAL":
        said.append("fractions were cut at one half: from there on a voxel is inside")
    rows = _rows(header)
    with quiet():
        if kind == "LABELMAP":
            segments = _of_values(header, path, frames, rows, grid)
        else:
            segments = _of_frames(header, path, frames, rows, grid)
        return label_maps(segments, grid, name, tuple(said))


# -- what the segments are -----------------------------------------------------------


def _rows(header: Dataset) -> dict[int, Label]:
    """Segment number → label; the background of a label map left out."""
    described = {
        int(item.SegmentNumber): item
        for item in header.get("SegmentSequence") or []
        if int(item.SegmentNumber) > 0
    }
    labels = [_label(number, item) for number, item in described.items()]
    return dict(zip(described, numbered(labels), strict=True))


def _label(number: int, item: Dataset) -> Label:
    value = number
    with suppress(KeyError, ValueError):  # written by another program
        value = int(item.private_block(PRIVATE, CREATOR)[VALUE].value)
    lab = item.get("RecommendedDisplayCIELabValue")
    whole = lab is not None and len(lab) == 3
    color = from_cielab(lab) if whole else default_color(number)
    name = str(item.get("SegmentLabel") or f"segment {number}")
    return Label(value, name, color, read_coding(item))


# -- where its voxels are ------------------------------------------------------------


def _of_frames(
    header: Dataset,
    path: Path,
    frames: Sequence[Frame],
    rows: dict[int, Label],
    grid: Grid,
) -> Iterator[Segment]:
    """One segment after the other; each frame belongs to one."""
    half = 0.5
    if header.get("SegmentationType") == "FRACTIONAL":
        half = float(header.MaximumFractionalValue) / 2
    of: dict[int, list[int]] = {number: [] for number in rows}
    for at, frame in enumerate(frames):
        number = _segment_of(header, frame)
        if number not in of:
            raise InputError(
                f"frame {at + 1} belongs to segment {number}, not described"
            )
        of[number].append(at)
    for number, mine in of.items():
        if len({frames[at].position for at in mine}) < len(mine):
            raise InputError(
                f"segment {number} has several frames at one place (a drawing over "
                "time), which cannot be shown"
            )
        pixels = _pixels(path, mine)
        yield Segment(
            rows[number],
            [
                _voxels(data >= half, frames[at], grid)
                for at, data in zip(mine, pixels, strict=True)
            ],
        )


def _segment_of(header: Dataset, frame: Frame) -> int:
    name = "SegmentIdentificationSequence"
    own = header.PerFrameFunctionalGroupsSequence[frame.index]
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    found = own.get(name) or shared.get(name)
    if not found:
        raise InputError(f"frame {frame.index + 1} names no segment")
    return int(found[0].ReferencedSegmentNumber)


def _of_values(
    header: Dataset,
    path: Path,
    frames: Sequence[Frame],
    rows: dict[int, Label],
    grid: Grid,
) -> Iterator[Segment]:
    """Segments by the values of the pixels."""
    parts: dict[int, list[Voxels]] = {number: [] for number in rows}
    pixels = _pixels(path, range(len(frames)))
    for frame, data in zip(frames, pixels, strict=True):
        for number in np.unique(data[data > 0]):
            if int(number) not in parts:
                raise InputError(f"the value {number} is no segment that is described")
            parts[int(number)].append(_voxels(data == number, frame, grid))
    for number, mine in parts.items():
        yield Segment(rows[number], mine)


def _pixels(path: Path, wanted: Sequence[int]) -> Iterator[Pixels]:
    """Stored values of some frames, one at a time: unpacked, all would fill memory."""
    import pydicom
    from pydicom.pixels.utils import iter_pixels

    if not wanted:
        return
    try:
        header = pydicom.dcmread(path)
        packed = header.BitsAllocated == 1
        if packed and not header.file_meta.TransferSyntaxUID.is_encapsulated:
            yield from _bits(header, wanted)
        else:
            yield from iter_pixels(header, indices=wanted, raw=True)
    except UNREADABLE as error:
        raise InputError(f"the pixels are damaged ({error})") from error


def _bits(header: Dataset, wanted: Sequence[int]) -> Iterator[Pixels]:
    """Frames of single bits, which may begin inside a byte: pydicom 3.0 cannot do that."""
    packed = np.frombuffer(header.PixelData, np.uint8)
    size = header.Rows * header.Columns
    for at in wanted:
        first, begin = divmod(at * size, 8)
        last = -(-(at * size + size) // 8)
        bits = np.unpackbits(packed[first:last], bitorder="little")
        yield bits[begin : begin + size].reshape(header.Rows, header.Columns)


def _voxels(mask: Pixels, frame: Frame, grid: Grid) -> Voxels:
    """Flat indices on the grid of what a frame holds."""
    step, _ = _place(frame, grid)
    row, column = np.nonzero(mask)
    at = step @ np.array([column, row, np.ones_like(row)])  # x, y, z
    flat: Voxels = np.ravel_multi_index(tuple(at[::-1]), grid.shape)
    return flat


def _place(frame: Frame, grid: Grid) -> tuple[npt.NDArray[np.intp], float]:
    """(column, row, 1) → voxel (x, y, z), in whole numbers, and how far off it is.

    Frames may run along any axes of the grid, in any direction.

    Raises
    ------
    OffGridError
        If the frame's pixels are not voxels of the grid.
    """
    orientation, spacing = np.array(frame.orientation), frame.spacing or (1.0, 1.0)
    plane = np.zeros((4, 3))
    plane[:3, 0] = orientation[:3] * spacing[1]
    plane[:3, 1] = orientation[3:] * spacing[0]
    plane[:, 2] = [*(frame.position or ()), 1.0]
    exact = (np.linalg.inv(grid.affine) @ plane)[:3]
    whole = np.rint(exact).astype(np.intp)
    rows, columns, _ = frame.shape
    ends = np.array(
        [[i, j, 1] for i in (0, columns - 1) for j in (0, rows - 1)]
    ).T  # corners
    off = float(np.abs((exact - whole) @ ends).max())
    corners = whole @ ends
    inside = (corners >= 0).all() and (grid.shape[::-1] > corners.T).all()
    if off > LIES_ON or not inside or np.linalg.matrix_rank(whole[:, :2]) < 2:
        raise OffGridError(ELSEWHERE)
    return whole, off


def _own_grid(header: Dataset, frames: Sequence[Frame]) -> Grid:
    """The smallest even grid that holds all frames.

    Raises
    ------
    InputError
        If they differ in size or direction, or lie on no even grid.
    """
    kinds = {(f.shape, f.orientation, f.spacing) for f in frames}
    if len(kinds) > 1:
        raise InputError(
            "its slices differ in size or direction and the series they were drawn on "
            "is not here; put its images beside the file"
        )
    first = frames[0]
    orientation, spacing = np.array(first.orientation), first.spacing or (1.0, 1.0)
    normal = np.cross(orientation[:3], orientation[3:])
    places = np.array([frame.position for frame in frames])
    heights, which = np.unique(np.round(places @ normal, 3), return_index=True)
    gaps = np.diff(heights)
    step = float(gaps.min()) if len(gaps) else _thickness(header, first)
    count = round(float(heights[-1] - heights[0]) / step) + 1
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * spacing[1]
    affine[:3, 1] = orientation[3:] * spacing[0]
    affine[:3, 3] = places[which[0]]
    affine[:3, 2] = normal * step
    if count > 1:
        affine[:3, 2] = (places[which[-1]] - places[which[0]]) / (count - 1)
    if count > LONGEST:
        raise InputError(f"its slices would make up a volume of {count} slices")
    grid = Grid((count, first.shape[0], first.shape[1]), affine)
    try:
        for frame in frames:
            _place(frame, grid)
    except OffGridError:
        raise InputError(
            "its slices are unevenly spaced and the series they were drawn on is not "
            "here; put its images beside the file"
        ) from None
    return grid


def _thickness(header: Dataset, frame: Frame) -> float:
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    measures = shared.get("PixelMeasuresSequence") or [{}]
    return float(measures[0].get("SpacingBetweenSlices") or frame.thickness or 1.0)

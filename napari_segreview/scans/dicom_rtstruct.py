"""Read RTSTRUCT: contours in patient millimetres → label maps (PS3.3, A.19, C.8.8)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segreview.core.labels import Coding, Label, LabelMap, default_color
from napari_segreview.scans.contours import fill
from napari_segreview.scans.dicom_codes import read_code
from napari_segreview.scans.segments import Segment, label_maps, numbered
from src_models.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

    from napari_segreview.core.geometry import Grid

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
LEVEL = 0.5  # of a slice: a contour that leaves its plane by more is not in one slice
BETWEEN = 0.1  # of a slice: a contour farther from a slice is worth a note

HOLLOW = (
    "what is drawn in a slice holds no voxel's centre (too small, or beside the image) "
    "and was left out"
)


class NotPlanarError(InputError):
    """A contour does not lie in one slice."""


@dataclass(slots=True)
class Drawn:
    """What a region's contours come to.

    Attributes
    ----------
    planes : dict
        Slice → closed contours, (n, 2) arrays of x, y in pixels.
    oddities : Counter
        What was left out or is worth a note, in words, with how often.
    """

    planes: dict[int, list[npt.NDArray[np.float64]]] = field(default_factory=dict)
    oddities: Counter[str] = field(default_factory=Counter)


def read(header: Dataset, name: str, grid: Grid) -> list[LabelMap]:
    """Rasterise all regions of interest on the grid of the referenced series.

    A voxel is inside if its centre is. Contours of one region in one slice combine by
    exclusive or: one inside another is a hole. Each region has its own ROINumber as
    value; regions that overlap come as several label maps.

    Parameters
    ----------
    header : Dataset
    name : str
        Of the label maps.
    grid : Grid
        3D.

    Raises
    ------
    InputError
        If no region has a closed contour in a slice of the grid: with the reasons.
    """
    if grid.ndim != 3:
        raise InputError("contours need a series of slices with a position")
    drawn = {
        int(item.ReferencedROINumber): item
        for item in header.get("ROIContourSequence") or []
    }
    regions = header.get("StructureSetROISequence") or []
    labels = numbered([_label(item, header, drawn) for item in regions])
    segments, said = [], []
    for item, label in zip(regions, labels, strict=True):
        contours = drawn.get(int(item.ROINumber))
        try:
            found = _sorted(contours, grid)
        except NotPlanarError as error:
            said.append(f"{label.name}: left out: {error}")
            continue
        segment = _segment(label, found, grid)
        found.oddities[HOLLOW] += sum(not part.size for part in segment.parts)
        oddities = +found.oddities  # those that are there
        said += [f"{label.name}: {_times(*one)}" for one in oddities.items()]
        if found.planes:
            segments.append(segment)
    if not segments:
        reasons = "; ".join(said) or "it lists no region"
        raise InputError(f"no region of interest can be shown ({reasons})")
    return label_maps(segments, grid, name, tuple(said))


def _label(item: Dataset, header: Dataset, drawn: dict[int, Dataset]) -> Label:
    number = int(item.ROINumber)
    shown = drawn[number].get("ROIDisplayColor") if number in drawn else None
    color = default_color(max(number, 1))
    if shown is not None and len(shown) == 3:
        red, green, blue = (min(max(int(part), 0), 255) / 255 for part in shown)
        color = red, green, blue
    code = next(
        (
            read_code(seen.get("RTROIIdentificationCodeSequence"))
            for seen in header.get("RTROIObservationsSequence") or []
            if int(seen.get("ReferencedROINumber", -1)) == number
        ),
        None,
    )
    name = " ".join(str(item.get("ROIName") or "").split()) or f"region {number}"
    return Label(number, name, color, Coding(code) if code else None)


def _sorted(region: Dataset | None, grid: Grid) -> Drawn:
    """The closed contours of a region by slice.

    Raises
    ------
    NotPlanarError
        If one of them does not lie in a slice.
    """
    found = Drawn()
    inverse = np.linalg.inv(grid.affine)
    contours = (region.get("ContourSequence") if region is not None else None) or []
    if not contours:
        found.oddities["has no contour"] += 1
    for contour in contours:
        kind = str(contour.get("ContourGeometricType") or "")
        numbers = contour.get("ContourData")
        points = np.array([] if numbers is None else numbers, dtype=np.float64)
        if kind not in CLOSED and kind:
            found.oddities[f"{kind} is no closed contour and was left out"] += 1
        elif len(points) < 9 or len(points) % 3 or not np.isfinite(points).all():
            found.oddities["a contour without three whole points was left out"] += 1
        else:
            index = points.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
            _put(index, found, grid)
    if found.planes:
        gaps = max(found.planes) - min(found.planes) + 1 - len(found.planes)
        found.oddities["has no contour in a slice between others, left empty"] += gaps
    return found


def _put(index: npt.NDArray[np.float64], found: Drawn, grid: Grid) -> None:
    height = index[:, 2]
    if np.ptp(height) > LEVEL:
        raise NotPlanarError(
            "its contours do not lie in the slices of the series (they cross "
            f"{np.ptp(height):.1f} slices); draw or export them on that series"
        )
    middle = float(height.mean())
    at = round(middle)
    if not 0 <= at < grid.shape[0]:
        found.oddities["a contour above or below the series was left out"] += 1
        return
    if abs(middle - at) > BETWEEN:
        found.oddities["a contour between two slices was taken to the nearer"] += 1
    found.planes.setdefault(at, []).append(index[:, :2])


def _segment(label: Label, found: Drawn, grid: Grid) -> Segment:
    """The voxels inside."""
    size = grid.shape[1] * grid.shape[2]
    parts = []
    for at, contours in sorted(found.planes.items()):
        inside = fill(contours, (grid.shape[1], grid.shape[2]))
        parts.append(np.flatnonzero(inside) + at * size)
    return Segment(label, parts)


def _times(words: str, count: int) -> str:
    return words if count == 1 else f"{words} ({count} times)"

"""Re-read what was written and compare it with what should be there.

For volumes the second measurement is ITK's: its own index-to-patient transform, its
own label statistics. A mistake in this package's affines cannot hide there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segreview.scans.itk import ItkImage, load, simple_itk
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.geometry import Grid
    from napari_segreview.core.labels import LabelMap

Voxels = npt.NDArray[np.unsignedinteger]
Point = npt.NDArray[np.float64]
PLACE = 1e-3  # of the smallest spacing
SIZE = 1e-3  # of the volume
ROUNDING = 1e-6  # of the distance from the origin: float32 headers


class WriteError(InputError, OSError):
    """A file could not be written, or did not hold what was to be written."""


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """Where a label lies and how large it is.

    Attributes
    ----------
    centroid, low, high : (n,) array
        Its middle and the two corner voxels of its box: patient (x, y[, z]).
    volume : float
        mm³, mm² in 2D, or voxels.
    """

    centroid: Point
    low: Point
    high: Point
    volume: float


Sums = tuple[int, npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]
Measures = Mapping[tuple[int, int], Measure]  # (frame, value) →


def check_same(
    memory: LabelMap, back: LabelMap, path: Path | None = None, shade: float = 1e-6
) -> None:
    """Whether the labels that were re-read are those in memory.

    Parameters
    ----------
    memory, back : LabelMap
    path : Path, optional
        The NIfTI, NRRD or MetaImage that `back` came from: ITK then measures it.
    shade : float
        How far colours may be apart, of 1: formats round them.

    Raises
    ------
    WriteError
        If values, grid, names, or any label's centroid, box or volume differ.
    """
    if memory.data.shape != back.data.shape:
        raise WriteError(f"the shape became {back.data.shape}")
    if not np.array_equal(memory.data, back.data):
        changed = int((memory.data != back.data).sum())
        raise WriteError(f"{changed} voxels have another label")
    moved = memory.grid.difference(back.grid)
    if moved:
        raise WriteError(f"the labels would lie elsewhere: {moved}")
    _check_names(memory, back, shade)
    found = measure_image(load(path)) if path else measure(back)
    compare(measure(memory), found, memory.grid)


def compare(wanted: Measures, found: Measures, grid: Grid) -> None:
    """Raise `WriteError` on the first label that lies elsewhere in `found`."""
    if wanted.keys() != found.keys():
        odd = sorted(wanted.keys() ^ found.keys())[0]
        raise WriteError(f"label {odd[1]} is in only one of memory and file")
    n = grid.ndim
    for key, one in wanted.items():
        value, other = key[1], found[key]
        for name in ("centroid", "low", "high"):
            here, there = getattr(one, name), getattr(other, name)[:n]
            allowed = PLACE * min(grid.spacing) + ROUNDING * float(np.abs(here).max())
            apart = float(np.abs(here - there).max())
            if not apart <= allowed:
                raise WriteError(
                    f"the {name} of label {value} would lie {apart:.3g} {grid.unit} off"
                )
        if not abs(one.volume - other.volume) <= SIZE * one.volume:
            raise WriteError(
                f"label {value} would have a volume of {other.volume:.6g}, not "
                f"{one.volume:.6g}"
            )


def _check_names(memory: LabelMap, back: LabelMap, shade: float) -> None:
    for value, row in memory.table.items():
        other = back.table.get(value)
        if other is None or other.name.split() != row.name.split():
            raise WriteError(f"the name of label {value} would be lost")
        if not np.allclose(other.color, row.color, atol=shade):
            raise WriteError(f"the colour of label {value} would be lost")
        if other.coding != row.coding:
            raise WriteError(f"the code of label {value} would be lost")


# -- measuring -----------------------------------------------------------------------


def measure(labels: LabelMap) -> Measures:
    """Every label in every frame, by this package's own affine."""
    frames = labels.data if labels.has_time else labels.data[None]
    return {
        (t, value): one
        for t, frame in enumerate(frames)
        for value, one in _measure_frame(frame, labels.grid)
    }


def _measure_frame(frame: Voxels, grid: Grid) -> Iterator[tuple[int, Measure]]:
    """Plane by plane: a list of all indices of a large volume would fill memory."""
    sums: dict[int, list[Sums]] = {}
    for z, plane in enumerate(frame if frame.ndim == 3 else frame[None]):
        for value, part in _sums(plane, z):
            sums.setdefault(value, []).append(part)
    for value, parts in sums.items():
        count = sum(part[0] for part in parts)
        total = np.sum([part[1] for part in parts], axis=0)
        low = np.min([part[2] for part in parts], axis=0)
        high = np.max([part[3] for part in parts], axis=0)
        centre, low, high = (v[-grid.ndim :] for v in (total / count, low, high))
        yield (
            value,
            Measure(
                grid.to_world(centre),
                grid.to_world(low),
                grid.to_world(high),
                count * grid.voxel_volume,
            ),
        )


def _sums(plane: Voxels, z: int) -> Iterator[tuple[int, Sums]]:
    """Count, sum, smallest and largest index (z, y, x) of each label of a plane."""
    if not plane.any():
        return
    kinds, rank = np.unique(plane, return_inverse=True)
    rank = rank.reshape(plane.shape)
    spread = []
    for axis, side in enumerate(plane.shape):  # voxels of each label in each row
        place = np.expand_dims(np.arange(side), 1 - axis)
        bins = np.bincount((rank * side + place).ravel(), minlength=len(kinds) * side)
        spread.append(bins.reshape(len(kinds), side))
    for i, kind in enumerate(kinds):
        if kind:
            rows, columns = (one[i] for one in spread)
            y, x = np.flatnonzero(rows), np.flatnonzero(columns)
            count = int(rows.sum())
            total = np.array([count * z, rows[y] @ y, columns[x] @ x])
            ends = [np.array([z, y[end], x[end]]) for end in (0, -1)]
            yield int(kind), (count, total, ends[0], ends[1])


def measure_image(image: ItkImage) -> Measures:
    """The same by ITK alone, of a 2D, 3D or 4D (x, y, z, t) label image."""
    frames = [image]
    if image.GetDimension() == 4:
        frames = [image[:, :, :, t] for t in range(image.GetSize()[3])]
    return {
        (t, value): one
        for t, frame in enumerate(frames)
        for value, one in _measure_itk(frame)
    }


def _measure_itk(image: ItkImage) -> Iterator[tuple[int, Measure]]:
    def place(index: Iterable[float]) -> Point:
        at = [float(v) for v in index]
        return np.array(image.TransformContinuousIndexToPhysicalPoint(at))

    shape = simple_itk().LabelShapeStatisticsImageFilter()
    shape.Execute(image)
    n = image.GetDimension()
    # not its PhysicalSize: that multiplies the spacings even where axes are sheared
    sides = np.array([place(corner) - place(np.zeros(n)) for corner in np.eye(n)])
    voxel = abs(float(np.linalg.det(sides)))
    for value in shape.GetLabels():
        box = np.array(shape.GetBoundingBox(value))
        yield (
            value,
            Measure(
                np.array(shape.GetCentroid(value)),
                place(box[:n]),
                place(box[:n] + box[n:] - 1),
                shape.GetNumberOfPixels(value) * voxel,
            ),
        )

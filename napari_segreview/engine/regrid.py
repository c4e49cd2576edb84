"""Labels and images on another grid: turned where the voxels are the same, or resampled.

Plane by plane, so that memory beyond the answer stays small and one may stop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segreview.core.orientation import turn_between
from src_models.errors import InputError
from src_models.metrics.boxes import label_boxes
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_segreview.core.geometry import Grid
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.scan import Scan

Box = tuple[slice, ...]
PLANES = 8  # of the new grid that are made at a time


def labels_onto(
    labels: LabelMap, grid: Grid, whose: str
) -> Generator[Progress, None, tuple[LabelMap, str]]:
    """The labels on another grid, and a warning in words.

    Voxels that are the same, stored in another order, are turned: no value changes.
    Else each new voxel takes the label with the largest linear share of the eight (four
    in 2D) old ones round its middle; what lies outside the old grid is background.
    Of equal shares the lower value wins, background before all.

    Parameters
    ----------
    whose : str
        What has that grid, for the warning.

    Raises
    ------
    InputError
        If one grid is 2D and the other 3D, or just one has a size in mm.
    """
    matrix = _between(labels.grid, grid, labels.name, whose)
    turn = turn_between(labels.grid, grid)
    if turn is not None:
        data = np.ascontiguousarray(turn.apply(labels.data))
        said = f"{labels.name} was turned onto the axes of {whose}; no voxel changed."
        return replace(labels, data=data, grid=grid), said
    lead = labels.data.shape[: labels.has_time]
    data = np.zeros((*lead, *grid.shape), labels.data.dtype)
    frames = [(labels.data, data)]
    if labels.has_time:
        frames = list(zip(labels.data, data, strict=True))
    for at, (old, new) in enumerate(frames):
        for step in _vote(old, new, matrix):
            whole = len(frames) * step.total
            yield Progress(at * step.total + step.done, whole, "resampling")
    return replace(labels, data=data, grid=grid), _warning(labels, grid, whose)


def image_onto(scan: Scan, grid: Grid) -> Scan:
    """An image on another grid, by linear interpolation; outside: its lowest value.

    Raises
    ------
    InputError
        As `labels_onto`.
    """
    matrix = _between(scan.grid, grid, scan.name, "the labels")
    n, lead = grid.ndim, int(scan.has_time)
    old = np.moveaxis(scan.data, -1, 0) if scan.has_channels else scan.data[None]
    old = old.reshape(-1, *scan.grid.shape)
    new = np.empty((len(old), *grid.shape), np.float32)
    for source, target in zip(old, new, strict=True):
        ndimage.affine_transform(
            source.astype(np.float32),
            matrix[:n, :n],
            matrix[:n, n],
            output=target,
            order=1,
            cval=float(source.min()),
        )
    if np.issubdtype(scan.data.dtype, np.integer):
        new = np.rint(new)
    data = new.astype(scan.data.dtype)
    if scan.has_channels:
        data = data.reshape(scan.channels, *scan.data.shape[:lead], *grid.shape)
        data = np.moveaxis(data, 0, -1)
    else:
        data = data.reshape(*scan.data.shape[:lead], *grid.shape)
    return replace(scan, data=data, grid=grid)


def _between(old: Grid, new: Grid, name: str, whose: str) -> npt.NDArray[Any]:
    """New index → old index, homogeneous, in array order."""
    if old.ndim != new.ndim or old.unit != new.unit:
        kinds = (f"{one.ndim}D in {one.unit}" for one in (old, new))
        raise InputError(
            f"{name} and {whose} cannot be brought onto one grid: "
            f"{' against '.join(kinds)}"
        )
    found: npt.NDArray[Any] = np.linalg.solve(old.array_affine, new.array_affine)
    return found


def _warning(labels: LabelMap, grid: Grid, whose: str) -> str:
    coarse = max(*labels.grid.spacing, *grid.spacing)
    steps = (
        "×".join(f"{step:.3g}" for step in one.spacing[::-1])
        for one in (labels.grid, grid)
    )
    unit = grid.unit
    return (
        f"{labels.name} was resampled onto the grid of {whose} "
        f"({' to '.join(steps)} {unit}): distances below half a voxel "
        f"({coarse / 2:.2g} {unit}) mean nothing, and small structures may be lost."
    )


def _vote(
    old: npt.NDArray[Any], new: npt.NDArray[Any], matrix: npt.NDArray[Any]
) -> Generator[Progress, None, None]:
    """Fill `new` (zeros), one frame of labels, a few planes at a time."""
    boxes = label_boxes(old)
    where = {value: _reach(box, matrix, new.shape) for value, box in boxes.items()}
    for start in range(0, len(new), PLANES):
        slab = slice(start, min(start + PLANES, len(new)))
        best = np.zeros((slab.stop - slab.start, *new.shape[1:]), np.float32)
        whole = np.zeros_like(best)
        for value, near in where.items():
            first = slice(max(near[0].start, start), min(near[0].stop, slab.stop))
            part = (first, *near[1:])
            if any(side.start >= side.stop for side in part):
                continue
            share = _share(old, value, boxes[value], part, matrix)
            here = (slice(first.start - start, first.stop - start), *near[1:])
            wins = share > best[here]
            new[part][wins] = value
            best[here][wins] = share[wins]
            whole[here] += share
        new[slab][best <= 1 - whole] = 0
        yield Progress(slab.stop, len(new))


def _share(
    old: npt.NDArray[Any], value: int, box: Box, part: Box, matrix: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """How much of each new voxel in `part` one label is, 0..1."""
    n = old.ndim
    crop = _meet(_reach(part, np.linalg.inv(matrix), old.shape), box)
    corner = np.array([side.start for side in part])
    low = np.array([side.start for side in crop])
    share = np.zeros([side.stop - side.start for side in part], np.float32)
    if all(side.start < side.stop for side in crop):
        ndimage.affine_transform(
            (old[crop] == value).astype(np.float32),
            matrix[:n, :n],
            matrix[:n, :n] @ corner + matrix[:n, n] - low,
            output=share,
            order=1,
            mode="grid-constant",
        )
    return share


def _reach(box: Box, matrix: npt.NDArray[Any], shape: tuple[int, ...]) -> Box:
    """The box on the other grid that a box touches, with a voxel round it.

    `matrix` maps the other grid's index onto the box's.
    """
    n = len(box)
    ends = np.array(
        np.meshgrid(*[(side.start - 1, side.stop) for side in box])
    ).reshape(n, -1)
    back = np.linalg.inv(matrix)
    corners = back[:n, :n] @ ends + back[:n, n : n + 1]
    low, high = np.floor(corners.min(1)), np.ceil(corners.max(1)) + 1
    return tuple(
        slice(int(np.clip(a, 0, side)), int(np.clip(b, 0, side)))
        for a, b, side in zip(low, high, shape, strict=True)
    )


def _meet(one: Box, other: Box) -> Box:
    return tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(one, other, strict=True)
    )

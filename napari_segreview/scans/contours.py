"""Closed contours → the voxels they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def fill(contours: Sequence[Points], shape: tuple[int, int]) -> Mask:
    """Which pixel centres lie inside an odd number of closed contours.

    A contour inside another is a hole in it, one inside the hole is filled again. A
    centre right on an edge counts at the edge's left or upper side only, so that two
    shapes with a common border share no pixel and leave none out.

    Parameters
    ----------
    contours : sequence of (n, 2) array
        Points (x, y) in pixels; pixel centres are whole numbers. The last is joined to
        the first.
    shape : tuple of int
        (rows, columns).

    Returns
    -------
    (rows, columns) bool array
        All False for no contour.
    """
    rows, columns = shape
    toggles = np.zeros(rows * (columns + 1), np.intp)
    for contour in contours:
        at = _crossings(contour, rows, columns)
        toggles += np.bincount(at, minlength=len(toggles))
    odd = toggles.reshape(rows, columns + 1) % 2 == 1
    inside: Mask = np.logical_xor.accumulate(odd, axis=1)[:, :columns]
    return inside


def _crossings(contour: Points, rows: int, columns: int) -> npt.NDArray[np.intp]:
    """Flat (row, column) of the first centre right of each edge in each row."""
    x, y = contour.T
    ahead_x, ahead_y = np.roll(x, -1), np.roll(y, -1)
    first = np.ceil(np.minimum(y, ahead_y)).clip(0, rows).astype(np.intp)
    last = np.ceil(np.maximum(y, ahead_y)).clip(0, rows).astype(np.intp)  # not in it
    count = last - first
    edge = np.repeat(np.arange(len(x)), count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    row = first[edge] + step
    slope = (row - y[edge]) / (ahead_y - y)[edge]
    across = x[edge] + slope * (ahead_x - x)[edge]
    column = np.ceil(across).clip(0, columns).astype(np.intp)
    flat: npt.NDArray[np.intp] = row * (columns + 1) + column
    return flat

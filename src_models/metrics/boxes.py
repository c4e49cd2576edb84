"""Where labels are: the box of each value, so that no step walks a whole volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from src_models.metrics.checks import Labels

Box = tuple[slice, ...]

# Up to here a list with a place for every value is small; above, values are renumbered.
_LISTED = 65_535


def foreground_box(data: npt.NDArray[Any]) -> Box | None:
    """The smallest box around what is not 0, or None if all is 0.

    Axis by axis, each on what the one before has left: one pass over the array, and
    no memory beyond a line of it.
    """
    box: list[slice] = []
    for axis in range(data.ndim):
        inner = data[tuple(box)]
        others = tuple(other for other in range(data.ndim) if other != axis)
        filled = np.flatnonzero(inner.any(axis=others))
        if not filled.size:
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


def label_boxes(labels: Labels) -> dict[int, Box]:
    """The box of each value but 0.

    Parameters
    ----------
    labels : integer array ≥ 0, any number of axes
        Values may be large and sparse.

    Returns
    -------
    dict
        Value → box in the array's own indices, by rising value; empty without labels.
    """
    from scipy import ndimage

    crop = foreground_box(labels)
    if crop is None:
        return {}
    inner = labels[crop]
    values: npt.NDArray[Any] = np.arange(_LISTED + 1)
    if int(inner.max()) > _LISTED:
        inner, values = _renumbered(inner)
    return {
        int(value): _moved(box, crop)
        for value, box in zip(values[1:], ndimage.find_objects(inner), strict=False)
        if box is not None
    }


def union(*boxes: Box) -> Box:
    """The smallest box around all of one or more."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )


def _moved(box: Box, by: Box) -> Box:
    return tuple(
        slice(one.start + start.start, one.stop + start.start)
        for one, start in zip(box, by, strict=True)
    )


def _renumbered(labels: Labels) -> tuple[Labels, npt.NDArray[Any]]:
    """Labels as places in the sorted list of their values, 0 first; plane by plane."""
    values = np.zeros(1, labels.dtype)
    for plane in labels:
        values = np.union1d(values, plane)
    places = np.empty(labels.shape, np.int32)
    for plane, place in zip(labels, places, strict=True):
        place[...] = np.searchsorted(values, plane)
    return places, values

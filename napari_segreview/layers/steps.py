"""What napari tells of painting: steps, each a box and a mask, or indices and values.

It tells of a single step before that is written, of a stroke after; so what the array will
hold is worked out from the steps, which is the same either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_segreview.core.edits import Box


class Painted:
    """A layer's array once some steps are written to it; read by boxes.

    Parameters
    ----------
    data : array
        The layer's; only read.
    steps : sequence
        The value of napari's event ``paint``, in the order they were made.
    """

    def __init__(self, data: Any, steps: Sequence[Any]) -> None:
        self._data, self._steps = data, steps
        self.boxes = [_box(step) for step in steps]

    def __getitem__(self, box: Box) -> npt.NDArray[Any]:
        region = np.array(self._data[box])
        for step, reach in zip(self._steps, self.boxes, strict=True):
            common = tuple(
                slice(max(a.start, b.start), min(a.stop, b.stop))
                for a, b in zip(box, reach, strict=True)
            )
            if all(side.start < side.stop for side in common):
                _write(step, common, region[_within(common, box)])
        return region


def _write(step: Any, box: Box, part: npt.NDArray[Any]) -> None:
    """What a step does in a box, into that part of the labels."""
    if hasattr(step, "slice_key"):
        mask = (
            slice(None)
            if step.mask is None
            else step.mask[_within(box, step.slice_key)]
        )
        part[mask] = step.new_value
        return
    indices, _, values = step
    starts = [side.start for side in box]
    places = [np.asarray(axis) - at for axis, at in zip(indices, starts, strict=True)]
    inside = np.all(
        [(at >= 0) & (at < n) for at, n in zip(places, part.shape, strict=True)], axis=0
    )
    part[tuple(at[inside] for at in places)] = np.broadcast_to(values, inside.shape)[
        inside
    ]


def _box(step: Any) -> Box:
    if hasattr(step, "slice_key"):
        return tuple(step.slice_key)
    return tuple(slice(int(np.min(axis)), int(np.max(axis)) + 1) for axis in step[0])


def _within(box: Box, outer: Box) -> Box:
    """The same box, counted from the start of another."""
    return tuple(
        slice(a.start - b.start, a.stop - b.start)
        for a, b in zip(box, outer, strict=True)
    )

"""What a person has checked: only that may teach a model, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from src_models.card import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


class Mark(Record):
    """A part of a label layer that was looked at and is right as it is now.

    Attributes
    ----------
    kind : {"slice", "box", "scan"}
    axis, index : int
        Of a slice: a spatial axis (0: the first) and the plane along it.
    frame : int or None
        Of a layer with time; None: every frame.
    low, high : tuple of int
        Of a box: its first voxel, and the one after its last, on each spatial axis.
    """

    kind: Literal["slice", "box", "scan"] = "slice"
    axis: int = 0
    index: int = 0
    frame: int | None = None
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()


class Review(Record):
    """The marks of one label layer, as a project keeps them; JSON both ways."""

    labels: str
    marks: tuple[Mark, ...]


Marks = tuple[Mark, ...]


def box_mark(box: Sequence[slice], frame: int | None) -> Mark:
    """A region: the spatial slices of an array, and the frame of a layer with time."""
    low, high = (one.start for one in box), (one.stop for one in box)
    return Mark(kind="box", low=tuple(low), high=tuple(high), frame=frame)


def toggled(marks: Marks, mark: Mark) -> Marks:
    """With the mark; without it, if it was there."""
    if mark in marks:
        return tuple(one for one in marks if one != mark)
    return (*marks, mark)


def checked_mask(
    marks: Sequence[Mark], shape: Sequence[int], *, has_time: bool = False
) -> Mask:
    """True where something was checked; none without a mark.

    Parameters
    ----------
    shape : sequence of int
        Of the labels, (t?, z?, y, x). What a mark has beyond it is left out.
    """
    mask = np.zeros(tuple(shape), bool)
    for mark in marks:
        if mark.kind != "slice" or 0 <= mark.index < shape[mark.axis + has_time]:
            mask[_part(mark, len(shape) - has_time, has_time)] = True
    return mask


def checked_slices(
    marks: Sequence[Mark], shape: Sequence[int], *, has_time: bool = False
) -> tuple[int, int]:
    """(planes that are checked, of how many), along the axis of the latest slice.

    Planes are counted in every frame; a box checks no plane.
    """
    slices = [mark for mark in marks if mark.kind == "slice"]
    axis = slices[-1].axis if slices else 0
    frames = shape[0] if has_time else 1
    planes = shape[axis + has_time]
    done = np.zeros((frames, planes), bool)
    for mark in marks:
        rows = slice(None) if mark.frame is None else slice(mark.frame, mark.frame + 1)
        if mark.kind == "scan":
            done[rows] = True
        elif mark.kind == "slice" and mark.axis == axis and 0 <= mark.index < planes:
            done[rows, mark.index] = True
    return int(done.sum()), done.size


def _part(mark: Mark, ndim: int, has_time: bool) -> tuple[slice, ...]:
    """The slices of an array that a mark is of."""
    space = [slice(None)] * ndim
    if mark.kind == "slice":
        space[mark.axis] = slice(mark.index, mark.index + 1)
    elif mark.kind == "box":
        space = [
            slice(max(0, low), max(0, high))
            for low, high in zip(mark.low, mark.high, strict=True)
        ]
    if not has_time:
        return tuple(space)
    frame = mark.frame
    return (slice(None) if frame is None else slice(frame, frame + 1), *space)

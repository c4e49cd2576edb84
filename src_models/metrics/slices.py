"""Scores slice by slice: where in a volume a prediction goes wrong.

Shares and volumes are those of the slice alone. Distances are those of the whole
surfaces: a slice in which only one side is drawn is as far off as the other side's
nearest slice, not by the diagonal of the image.

House rule for an empty slice: both empty → Dice 1, one empty → Dice 0; a slice without
surface → distance 0; a label that one side lacks everywhere → the image's diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError
from src_models.metrics.columns import VOLUME_UNITS, Unit
from src_models.metrics.pair import Pair
from src_models.metrics.surface import (
    image_diagonal,
    surface_distances,
    surface_voxels,
)
from src_models.progress import Progress, drain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from src_models.metrics.checks import Mask

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SliceScores:
    """Scores of each label (L), frame (T, 1 without time) and slice (N).

    Attributes
    ----------
    values, names : tuple
        Of the labels, by rising value.
    axis : int or None
        The axis of space that is cut; None: each frame is one slice.
    has_time : bool
        Whether frames are frames.
    tp, predicted, referenced : (L, T, N) int array
        Voxels that agree, that are predicted, that are in the reference.
    farthest : (L, T, N) float array
        Largest distance of a surface voxel of the slice, of either side, to the other
        side's surface; in `unit`.
    spots : (L, T, N, axes of space) int array
        The voxel where that is; −1 where the slice has no surface.
    voxel : float
        Size of a voxel in `volume_unit`.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    axis: int | None
    has_time: bool
    tp: Numbers
    predicted: Numbers
    referenced: Numbers
    farthest: Floats
    spots: Numbers
    voxel: float
    unit: Unit
    volume_unit: str

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Whether either side has a voxel in the slice, (L, T, N)."""
        return (self.predicted + self.referenced) > 0

    @property
    def dice(self) -> Floats:
        """2 TP / (predicted + referenced), (L, T, N). Both empty: 1. One empty: 0."""
        whole = self.predicted + self.referenced
        found = np.ones(whole.shape)
        np.divide(2 * self.tp, whole, out=found, where=whole > 0)
        return found

    @property
    def false_volume(self) -> Floats:
        """Volume predicted wrongly plus volume missed, (L, T, N), in `volume_unit`."""
        wrong = self.predicted + self.referenced - 2 * self.tp
        return wrong.astype(np.float64) * self.voxel


def slice_scores(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    spacing: Sequence[float],
    axis: int | None = 0,
    unit: Unit = "mm",
    labels: Mapping[int, str] | None = None,
    has_time: bool = False,
) -> Generator[Progress, None, SliceScores]:
    """Score every slice of every label that either side holds; yields after each label.

    Parameters
    ----------
    prediction, reference : integer or bool array, (t,) (z,) y, x, same shape
    spacing : sequence of float
        Of the axes of space, in `unit`.
    axis : int or None
        The axis of space to cut, 0 for the first; None takes each frame as one slice,
        e.g. of 2D images.
    labels : mapping, optional
        Value → name; others are "label 5".

    Raises
    ------
    InputError
        At the first step, if anything of this does not hold.
    """
    pair = Pair.checked(prediction, reference, spacing, has_time)
    if axis is not None and not 0 <= axis < len(pair.grid):
        raise InputError(
            f"an axis of space from 0 to {len(pair.grid) - 1} is wanted, got {axis}"
        )
    volume_unit, size = VOLUME_UNITS[unit, len(pair.grid)]
    boxes = pair.boxes()
    slices = 1 if axis is None else pair.grid[axis]
    shape = (len(boxes), pair.frames, slices)
    counts = np.zeros((3, *shape), np.int64)
    farthest = np.zeros(shape)
    spots = np.full((*shape, len(pair.grid)), -1, np.int64)
    for row, (value, box) in enumerate(boxes.items()):
        corner = np.array([side.start for side in box[-len(pair.grid) :]])
        for frame, index in pair.in_frames(box):
            masks = pair.prediction[index] == value, pair.reference[index] == value
            start = 0 if axis is None else corner[axis]
            part = _counted(*masks, axis)
            counts[:, row, frame, start : start + part.shape[1]] = part
            at, distance = _surfaces(*masks, pair)
            at += corner
            own, far, spot = _largest(at, distance, axis)
            farthest[row, frame, own], spots[row, frame, own] = far, spot
        yield Progress(row + 1, len(boxes), (labels or {}).get(value, f"label {value}"))
    return SliceScores(
        values=tuple(boxes),
        names=tuple((labels or {}).get(value, f"label {value}") for value in boxes),
        axis=axis,
        has_time=has_time,
        tp=counts[0],
        predicted=counts[1],
        referenced=counts[2],
        farthest=farthest,
        spots=spots,
        voxel=math.prod(pair.spacing) / size,
        unit=unit,
        volume_unit=volume_unit,
    )


def slice_scores_all(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    spacing: Sequence[float],
    axis: int | None = 0,
    unit: Unit = "mm",
    labels: Mapping[int, str] | None = None,
    has_time: bool = False,
) -> SliceScores:
    """`slice_scores` run to its end."""
    steps = slice_scores(
        prediction,
        reference,
        spacing=spacing,
        axis=axis,
        unit=unit,
        labels=labels,
        has_time=has_time,
    )
    return drain(steps)


def _counted(mine: Mask, theirs: Mask, axis: int | None) -> Numbers:
    """True positives, predicted and reference voxels of each slice, (3, slices)."""
    others = tuple(one for one in range(mine.ndim) if one != axis)
    three = [
        np.atleast_1d(np.count_nonzero(part, axis=others))
        for part in (mine & theirs, mine, theirs)
    ]
    return np.stack(three).astype(np.int64)


def _surfaces(mine: Mask, theirs: Mask, pair: Pair) -> tuple[Numbers, Floats]:
    """Surface voxels of both, (n, axes), and how far each is from the other side, (n,)."""
    apart = surface_distances(mine, theirs, pair.spacing, grid=pair.grid)
    diagonal = image_diagonal(pair.grid, pair.spacing)
    places, distances = [], []
    for mask, found in ((mine, apart.to_reference), (theirs, apart.to_prediction)):
        at = np.argwhere(surface_voxels(mask))
        alone = np.isinf(
            found
        ).any()  # one entry for all, where the other side is empty
        places.append(at)
        distances.append(np.full(len(at), diagonal) if alone else found)
    return np.concatenate(places), np.concatenate(distances)


def _largest(
    at: Numbers, distance: Floats, axis: int | None
) -> tuple[Numbers, Floats, Numbers]:
    """(slices, largest distance in each, voxel of it)."""
    own = np.zeros(len(at), np.int64) if axis is None else at[:, axis]
    order = np.lexsort((distance, own))
    slices, first = np.unique(own[order], return_index=True)
    last = order[np.append(first[1:], len(order))[: len(first)] - 1]
    return slices, distance[last], at[last]

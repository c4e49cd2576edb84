"""Errors as maps to look at, on the grid of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from src_models.metrics.pair import Pair
from src_models.metrics.surface import surface_distances, surface_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.metrics.checks import Labels


def surface_map(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    spacing: Sequence[float],
    has_time: bool = False,
) -> npt.NDArray[np.float32]:
    """How far each surface voxel of the prediction is from the reference's surface.

    Parameters
    ----------
    prediction, reference : integer or bool array, (t,) (z,) y, x, same shape
    spacing : sequence of float
        Of the axes of space.

    Returns
    -------
    float32 array, same shape
        In the unit of the spacing: above 0 where the prediction's surface lies outside
        the reference's structure (too much), below 0 inside (too little), 0 on its
        surface; NaN elsewhere. Where the reference lacks the structure: the diagonal
        of the image.

    Raises
    ------
    InputError
        If the arrays or the spacing are not as said.
    """
    pair = Pair.checked(prediction, reference, spacing, has_time)
    found = np.full(pair.prediction.shape, np.nan, np.float32)
    for value, box in pair.boxes().items():
        for _, index in pair.in_frames(box):
            mine = pair.prediction[index] == value
            theirs = pair.reference[index] == value
            apart = surface_distances(mine, theirs, pair.spacing, grid=pair.grid)
            places = surface_voxels(mine)
            far = apart.sides[0]
            found[index][places] = np.where(theirs[places], -far, far)
    return found


def false_labels(prediction: Labels, reference: Labels) -> tuple[Labels, Labels]:
    """(predicted where the reference has another label, missed by the prediction)."""
    differ = prediction != reference
    return np.where(differ, prediction, 0), np.where(differ, reference, 0)

"""A picture's values as the click net wants them, whatever they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

TAILS = (0.1, 99.9)  # percentiles that become 0 and 1
QUARTER = np.float32(4)  # divided by it, differences of any two values stay finite


def unit_range(image: Array) -> npt.NDArray[np.float32]:
    """(y, x) or (y, x, c) → (c, y, x) in [0, 1], c one or three.

    The 0.1st and 99.9th percentile of all channels together become 0 and 1. NaN and
    infinities take the lowest finite value; a constant image becomes 0. Of four channels
    the last, opacity, is left out; of two or more than four the mean is taken.

    Raises
    ------
    InputError
        If the array is empty or has other axes.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(
            f"wanted an image (y, x) or (y, x, channel), got shape {image.shape}"
        )
    with np.errstate(over="ignore"):  # too large for single precision is infinite
        planes = np.atleast_3d(image).astype(np.float32)
    planes /= QUARTER
    if planes.shape[2] == 4:
        planes = planes[..., :3]
    finite = np.isfinite(planes)
    if not finite.all():
        lowest = planes[finite].min() if finite.any() else np.float32(0)
        planes = np.where(finite, planes, lowest)
    if planes.shape[2] not in (1, 3):
        planes = planes.mean(2, keepdims=True)
    step = max(1, int(max(planes.shape[:2]) / 256))
    low, high = np.percentile(planes[::step, ::step], TAILS)
    if not high > low:
        low, high = float(planes.min()), float(planes.max())
    span = float(high) - float(low)
    if not 0 < span < np.inf:
        return np.zeros((planes.shape[2], *planes.shape[:2]), np.float32)
    scaled = np.clip((planes - np.float32(low)) / np.float32(span), 0, 1)
    return np.ascontiguousarray(np.moveaxis(scaled, 2, 0), np.float32)

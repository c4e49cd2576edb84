"""A scan's grey values as the net wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from src_models.errors import InputError

if TYPE_CHECKING:
    from src_models.card import Intensity


def normalise(image_CS: npt.NDArray[Any], recipe: Intensity) -> npt.NDArray[np.float32]:
    """Apply the recipe, channel by channel; a constant channel becomes 0.

    Parameters
    ----------
    image_CS : (C, *S), any real type
        Finite values in the units of the file.

    Returns
    -------
    (C, *S) float32
    """
    if recipe.kind == "window":
        low, high = recipe.window or (0.0, 0.0)
        if not low < high:
            raise InputError(
                'intensity "window" needs its two ends, window = [low, high], the lower '
                f"first; got {recipe.window}"
            )
        clipped: npt.NDArray[np.float32] = np.clip(image_CS, low, high).astype(
            np.float32
        )
        clipped -= low
        clipped *= 2.0 / (high - low)
        clipped -= 1.0
        return clipped
    out = np.empty(image_CS.shape, np.float32)
    inside = field_of_view(image_CS) if recipe.kind == "foreground-zscore" else None
    for channel, target in zip(image_CS, out, strict=True):
        values = channel if inside is None else channel[inside]
        mean = float(values.mean(dtype=np.float64))
        sd = float(values.std(dtype=np.float64))
        np.subtract(channel, mean, out=target, casting="unsafe")
        target /= sd if sd > 1e-12 * max(1.0, abs(mean)) else 1.0
    return out


def field_of_view(image_CS: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(*S) bool: voxels above a tenth of the 99th percentile of the brightest channel.

    Holes are filled. A dark image has no surround: all of it is in view.
    """
    brightest = image_CS.max(axis=0)
    inside = ndimage.binary_fill_holes(brightest > 0.1 * np.percentile(brightest, 99))
    return inside if inside.any() else np.ones_like(inside)

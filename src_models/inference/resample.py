"""Between a scan's grid and a model's: images and labels, each done right.

Grids of one extent: the outer faces of their corner voxels agree, not the centres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME = 0.02  # spacings closer than 2 % count as equal: interpolating would cost more


def target_shape(
    shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float] | None
) -> tuple[int, ...]:
    """Shape of the same extent at another spacing; at least one voxel a side.

    Axes of `shape` before those of `spacing` (time) keep their side.
    """
    if wanted is None:
        return tuple(shape)
    lead = len(shape) - len(spacing)
    return *shape[:lead], *(
        side if abs(have / want - 1) < SAME else max(1, round(side * have / want))
        for side, have, want in zip(shape[lead:], spacing, wanted, strict=True)
    )


def resample_image(
    image_CS: npt.NDArray[np.float32], shape: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Linear interpolation onto `shape`.

    An axis that gets coarser is smoothed first (Gaussian, sd = (factor − 1) / 2 voxels),
    so that fine detail does not alias.
    """
    if tuple(shape) == image_CS.shape[1:]:
        return image_CS
    factors = [old / new for old, new in zip(image_CS.shape[1:], shape, strict=True)]
    smooth = [max(0.0, (factor - 1) / 2) for factor in factors]
    out = np.empty((len(image_CS), *shape), np.float32)
    for channel, target in zip(image_CS, out, strict=True):
        source = ndimage.gaussian_filter(channel, smooth) if any(smooth) else channel
        _linear(source, factors, [0] * len(factors), target)
    return out


def resample_labels(labels: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Labels onto `shape`: each voxel takes the label with the largest linear share.

    Smoother than the nearest voxel, and like it never makes up a value. One label at a
    time, inside its own box; between labels of equal share the lower value wins.
    """
    if tuple(shape) == labels.shape:
        return labels
    factors = [old / new for old, new in zip(labels.shape, shape, strict=True)]
    out = np.zeros(shape, labels.dtype)
    best = np.empty(shape, np.float32)
    _linear((labels == 0).astype(np.float32), factors, [0] * labels.ndim, best)
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        near = tuple(
            slice(
                max(0, int((part.start - 0.5) / factor) - 1),
                min(side, int((part.stop + 0.5) / factor) + 2),
            )
            for part, factor, side in zip(box, factors, shape, strict=True)
        )
        share = np.empty([part.stop - part.start for part in near], np.float32)
        mask = (labels == value).astype(np.float32)
        _linear(mask, factors, [part.start for part in near], share)
        wins = share > best[near]
        out[near][wins] = value
        best[near][wins] = share[wins]
    return out


def _linear(
    source: npt.NDArray[np.float32],
    factors: Sequence[float],
    first: Sequence[int],
    target: npt.NDArray[np.float32],
) -> None:
    """Fill `target`, whose voxel 0 is voxel `first` of the whole new grid."""
    offset = [
        (start + 0.5) * factor - 0.5
        for start, factor in zip(first, factors, strict=True)
    ]
    ndimage.affine_transform(
        source, np.asarray(factors), offset, output=target, order=1, mode="nearest"
    )

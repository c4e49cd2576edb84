"""Windows over an image: where they lie and how they blend."""

from __future__ import annotations

from functools import reduce
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence


def starts(side: int, window: int, overlap: float) -> list[int]:
    """First indices of windows that cover 0 … side−1, evenly spread.

    Neighbours share at least `overlap` (0 … <1) of a window. One window, at 0, if it
    covers the side.
    """
    if side <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = -(-(side - window) // step) + 1
    return [round(i * (side - window) / (count - 1)) for i in range(count)]


def rows_of_windows(
    shape: Sequence[int], window: Sequence[int], overlap: float
) -> list[tuple[int, list[tuple[int, ...]]]]:
    """(first index on axis 0, first indices of the windows there), in order.

    All windows that touch row z stand no later than those that start at z or before: what
    lies before the next row's start is final.
    """
    per_axis = [starts(side, w, overlap) for side, w in zip(shape, window, strict=True)]
    return [(z, list(product([z], *per_axis[1:]))) for z in per_axis[0]]


def gaussian(window: Sequence[int]) -> npt.NDArray[np.float32]:
    """Weights of a window: a Gaussian of sd side/8, 1 at the centre, never below 1e-3.

    As nnU-Net does (Isensee et al. 2021): a voxel counts most where the net sees most
    around it.
    """
    axes = []
    for side in window:
        at = np.arange(side) - (side - 1) / 2
        axes.append(np.exp(-0.5 * (at / (side / 8)) ** 2))
    weights: npt.NDArray[np.float32] = np.maximum(
        reduce(np.multiply.outer, axes), 1e-3
    ).astype(np.float32)
    return weights

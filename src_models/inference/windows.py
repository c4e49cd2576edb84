"""Windows over an image or a sequence: where they lie and how they blend."""

from __future__ import annotations

from functools import reduce
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

POWER = 0.1  # of the weights over time; that of the model that Bai et al. released


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


def clips(
    frames: int, window: int, overlap: float, *, cyclic: bool
) -> list[npt.NDArray[np.intp]]:
    """Frames of each window over a sequence, in their order; all if there are not more.

    Neighbours share at least `overlap` (0 … <1) of a window. `cyclic`: the last frame is
    followed by the first, so that each is as near to a window's middle as the others.
    """
    length = min(frames, window)
    if not cyclic:
        return [start + np.arange(length) for start in starts(frames, window, overlap)]
    count = -(-frames // max(1, int(length * (1 - overlap))))
    return [
        (round(i * frames / count) + np.arange(length)) % frames for i in range(count)
    ]


def time_weights(length: int, power: float = POWER) -> npt.NDArray[np.float32]:
    """(1 − |t − s| / R)^power of each frame, s the middle one, R = (length + 1) / 2.

    1 in the middle and never 0; power 0: all alike, 1: falls linearly. Bai et al.,
    "Recurrent neural networks for aortic image sequence segmentation with sparse
    annotations", MICCAI 2018, section 2.2. https://arxiv.org/abs/1808.00273
    """
    away = np.abs(np.arange(length) - (length - 1) / 2)
    weights: npt.NDArray[np.float32] = (
        (1 - away / ((length + 1) / 2)) ** power
    ).astype(np.float32)
    return weights

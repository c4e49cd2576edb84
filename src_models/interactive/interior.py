"""How deep inside a mask its pixels lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import edt
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


def interior(mask: Mask) -> npt.NDArray[np.float32]:
    """Distance to the nearest pixel outside the mask, in pixels; beyond is outside."""
    depth: npt.NDArray[np.float32] = edt.edt(
        np.ascontiguousarray(mask), black_border=True
    )
    return depth


def interior_point(
    mask: Mask, random: np.random.Generator | None = None, *, share: float = 0.6
) -> tuple[int, ...] | None:
    """The most interior pixel; of several the first. None if the mask is empty.

    With `random`, any pixel whose depth is at least `share` of the greatest.
    """
    if not mask.any():
        return None
    depth = interior(mask)
    if random is None:
        return tuple(map(int, np.unravel_index(int(depth.argmax()), depth.shape)))
    places = np.argwhere(depth >= share * depth.max())
    return tuple(places[int(random.integers(len(places)))].tolist())

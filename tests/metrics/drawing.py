"""Masks and labels as they are drawn: one character a voxel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def labels(*planes: str) -> npt.NDArray[np.uint8]:
    """Rows of digits, "." for 0; one drawing is (y, x), several are (z, y, x)."""
    drawn = [
        [[0 if c == "." else int(c) for c in row] for row in plane.split()]
        for plane in planes
    ]
    return np.array(drawn[0] if len(planes) == 1 else drawn, np.uint8)


def mask(*planes: str) -> npt.NDArray[np.bool_]:
    """The same with "#" for true."""
    return labels(*(plane.replace("#", "1") for plane in planes)) == 1

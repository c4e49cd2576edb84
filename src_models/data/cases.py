"""Cases as training sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image with its labels, ready for the net.

    Attributes
    ----------
    name, group : str
        The case; the patient or study it belongs to.
    image : (C, *S) float32
        After the intensity recipe, on the model's grid.
    labels : (*S) uint8
        0 background, 1..K−1.
    spacing : tuple of float
        Of the grid, array order.
    """

    name: str
    group: str
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    spacing: tuple[float, ...]

"""Tiny pieces that an answer adds beside the structure: nobody means them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

TINY = 0.03  # of the largest piece's area


def without_specks(mask: Mask, kept: Mask) -> Mask:
    """The mask without its tiny pieces; those that touch `kept` stay.

    Parameters
    ----------
    mask, kept : (y, x) bool
        An answer; what was marked, and the mask before.
    """
    parts, count = ndimage.label(mask, np.ones((3, 3), int))
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    stays = sizes >= TINY * sizes.max()
    stays[parts[kept & mask]] = True
    stays[0] = False
    left: Mask = stays[parts]
    return left

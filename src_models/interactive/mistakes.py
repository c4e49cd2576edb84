"""Whether the last click shows the mask all wrong, of pictures and of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import edt
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.floating[Any]]

DEEP = 0.12  # share of the mask in a ball round a click away that shows it all wrong
FAR = 1.0  # masks in a ball round a click on the structure that shows it too small
REACH = 2.5  # width to look at, in ways from a click away to one on the structure
WIDE = 1.07  # balls of that width in a mask that is too large to be mended


def mistaken(
    places: Floats,
    positive: Sequence[bool],
    mask: Mask,
    spacing: Sequence[float] | None = None,
) -> float:
    """How wide to look anew after the last click; 0 if the mask is to be mended.

    A click away from the structure that lies deep inside the mask says that the structure
    is not much wider than the way to the nearest click on it, and the mask all wrong if it
    is; a click on it, far from the mask, that it is any larger (infinity).

    Parameters
    ----------
    places : (n, axes)
        Of the clicks, the last one new, in pixels or voxels.
    positive : n of bool
        Which of them are on the structure.
    mask : (*S) bool
        Not empty.
    spacing : one number an axis
        In mm; the answer is in mm then. Ones if not given.
    """
    steps = np.ones(mask.ndim) if spacing is None else np.asarray(spacing, float)
    last, held = places[-1], np.argwhere(mask)
    size = len(held) * float(np.prod(steps))
    if positive[-1]:
        away = float(np.sqrt((((held - last) * steps) ** 2).sum(1).min()))
        return np.inf if _ball(away, mask.ndim) > FAR * size else 0.0
    low, high = held.min(0), held.max(0) + 1
    at = np.rint(last).astype(int)
    on = places[:-1][np.array(positive[:-1], bool)]
    if not len(on) or (at < low).any() or (at >= high).any():
        return 0.0
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    inside = np.ascontiguousarray(mask[box])
    depth = edt.edt(inside, anisotropy=tuple(steps.tolist()), black_border=True)
    if _ball(float(depth[tuple(at - low)]), mask.ndim) <= DEEP * size:
        return 0.0
    width = float(REACH * np.sqrt((((on - last) * steps) ** 2).sum(1).min()))
    return width if size > _ball(WIDE * width / 2, mask.ndim) else 0.0


def _ball(radius: float, ndim: int) -> float:
    """Area of a disc, volume of a ball."""
    return float(np.pi * radius**2 if ndim == 2 else 4 / 3 * np.pi * radius**3)

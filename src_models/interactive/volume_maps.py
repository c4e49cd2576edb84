"""Volume and clicks as the 3D click net reads them.

Seven channels: grey stretched to the window's own contrast; to the whole volume's;
positive clicks, negative clicks; previous mask; likeness of each voxel to the positive
clicks, to the negative ones.

Places are (z, y, x) voxel centres of the window that the net reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.interactive.prompt_maps import colours_at, likeness

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.floating[Any]]

CHANNELS = 7
RADIUS = 1.8  # voxels, of a click's ball


@dataclass(frozen=True, slots=True)
class Spot:
    """A voxel that belongs to the structure, or does not."""

    place: tuple[float, float, float]
    positive: bool = True


def balls(spots: Sequence[Spot], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Clicks drawn in their order; where two disagree the later one is seen.

    Returns
    -------
    (2, z, y, x)
        Positive balls, negative balls; 0 or 1.
    """
    drawn = np.zeros((2, *shape), np.float32)
    for spot in spots:
        low = [max(int(np.ceil(at - RADIUS)), 0) for at in spot.place]
        high = [
            min(int(np.floor(at + RADIUS)) + 1, n)
            for at, n in zip(spot.place, shape, strict=True)
        ]
        if any(a >= b for a, b in zip(low, high, strict=True)):
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        steps = np.ogrid[box]
        away = sum((s - at) ** 2 for s, at in zip(steps, spot.place, strict=True))
        inside = away <= RADIUS**2
        drawn[0][box][inside], drawn[1][box][inside] = spot.positive, not spot.positive
    return drawn


def stack(
    channels_CZYX: npt.NDArray[np.float32],
    spots: Sequence[Spot],
    previous_ZYX: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """All `CHANNELS` of a window.

    Parameters
    ----------
    channels_CZYX : (2, z, y, x)
        Of `prompt_maps.image_channels`.
    previous_ZYX : (z, y, x)
        The mask so far, in [0, 1]; zeros if there is none.
    """
    local = channels_CZYX[:1]
    alike = [
        likeness(local, colours_at(local, places(spots, positive=sign)))
        for sign in (True, False)
    ]
    drawn = balls(spots, previous_ZYX.shape)
    return np.concatenate([channels_CZYX, drawn, previous_ZYX[None], np.stack(alike)])


def places(spots: Sequence[Spot], *, positive: bool) -> Floats:
    """(n, 3) places of one sign."""
    found = [spot.place for spot in spots if spot.positive == positive]
    return np.array(found, float).reshape(-1, 3)

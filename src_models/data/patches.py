"""Patches out of cases, half of them round a structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.data.cases import Case

Index = npt.NDArray[np.intp]


class PatchSampler:
    """Draws patches: a case at random, then a place in it.

    Parameters
    ----------
    cases : sequence of Case
    size : tuple of int
        Spatial shape of a patch. Smaller images are mirrored at their edge.
    foreground : float
        Share of patches centred on a voxel of a structure; each structure of the case
        has the same chance, so that small ones are seen as often as large ones.
    """

    def __init__(
        self, cases: Sequence[Case], size: tuple[int, ...], foreground: float
    ) -> None:
        self._cases = cases
        self._size = size
        self._foreground = foreground
        self._places = [_places(case.labels) for case in cases]

    def draw(
        self, random: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """One (C, *size) image and its (*size) labels."""
        at = int(random.integers(len(self._cases)))
        case, places = self._cases[at], self._places[at]
        shape = case.labels.shape
        if places and random.random() < self._foreground:
            voxels = places[int(random.integers(len(places)))]
            centre = np.unravel_index(voxels[int(random.integers(len(voxels)))], shape)
            wish = [
                int(c) - int(random.integers(side // 4, side - side // 4))
                for c, side in zip(centre, self._size, strict=True)
            ]
        else:
            wish = [
                int(random.integers(min(0, full - side), max(0, full - side) + 1))
                for full, side in zip(shape, self._size, strict=True)
            ]
        indices = [
            _mirrored(start, side, full)
            for start, side, full in zip(wish, self._size, shape, strict=True)
        ]
        channels = np.arange(len(case.image))
        return case.image[np.ix_(channels, *indices)], case.labels[np.ix_(*indices)]


def _places(labels: npt.NDArray[np.uint8]) -> list[Index]:
    """Flat indices of each structure's voxels."""
    flat = labels.ravel()
    return [np.flatnonzero(flat == value) for value in np.unique(flat) if value]


def _mirrored(start: int, side: int, full: int) -> Index:
    """Indices start … start+side−1, reflected into [0, full)."""
    period = max(2 * (full - 1), 1)
    at = np.abs((np.arange(start, start + side) + full - 1) % period - (full - 1))
    return np.minimum(at, full - 1)

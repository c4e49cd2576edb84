"""Cubes in a volume of any spacing: cut out at the net's size, put back voxel by voxel.

Millimetres count from the centre of the first voxel, along the array's axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Cube:
    """Middle and side of a cube, in mm; it may reach beyond the volume."""

    middle_mm: tuple[float, float, float]
    side_mm: float

    def axes(self, size: int) -> tuple[Floats, Floats, Floats]:
        """Where the voxels of the cut-out lie along z, y and x, in mm."""
        steps = ((np.arange(size) + 0.5) / size - 0.5) * self.side_mm
        z, y, x = (steps + at for at in self.middle_mm)
        return z, y, x

    def places(self, places_mm: Floats, size: int) -> Floats:
        """(n, 3) in mm → voxel centres of the cut-out."""
        away = (places_mm - np.array(self.middle_mm)) / self.side_mm
        found: Floats = (away + 0.5) * size - 0.5
        return found

    def inside(self, shape: Sequence[int], spacing: Sequence[float]) -> Box:
        """The voxels of the volume whose centres lie in it; empty slices if none."""
        sides = []
        for at, step, n in zip(self.middle_mm, spacing, shape, strict=True):
            low = int(np.ceil((at - self.side_mm / 2) / step - 1e-6))
            high = int(np.floor((at + self.side_mm / 2) / step + 1e-6)) + 1
            low = min(max(low, 0), n)
            sides.append(slice(low, min(max(high, low), n)))
        return sides[0], sides[1], sides[2]


def whole(shape: Sequence[int], spacing: Sequence[float]) -> Cube:
    """The smallest cube with all of the volume, the volume in its middle."""
    sides = np.array(shape) * np.array(spacing)
    z, y, x = ((sides - np.array(spacing)) / 2).tolist()
    return Cube((z, y, x), float(sides.max()))


def cut(
    values_ZYX: npt.NDArray[Any], cube: Cube, size: int, spacing: Sequence[float]
) -> npt.NDArray[np.float32]:
    """A volume as the cube shows it, (size, size, size): zeros beyond, linear in between.

    Where the cut-out's voxels are larger, along an axis, those of the volume are averaged.
    """
    parts, weights = [], []
    for axis, step, n in zip(cube.axes(size), spacing, values_ZYX.shape, strict=True):
        part, weight = averages(axis / step, n)
        parts.append(part)
        weights.append(weight)
    return mixed(values_ZYX[tuple(parts)], weights)


def shown(
    shape: Sequence[int], cube: Cube, size: int, spacing: Sequence[float]
) -> npt.NDArray[np.bool_]:
    """Which voxels of a cut-out, (size, size, size), show the volume."""
    z, y, x = (
        averages(axis / step, n)[1].sum(1)
        for axis, step, n in zip(cube.axes(size), spacing, shape, strict=True)
    )
    found: npt.NDArray[np.bool_] = np.multiply.outer(np.multiply.outer(z, y), x) > 0.5
    return found


def mixed(
    values_ZYX: npt.NDArray[Any], weights: Sequence[Floats]
) -> npt.NDArray[np.float32]:
    """Values at a grid of places, each axis mixed by its weights (places, voxels)."""
    z, y, x = (torch.from_numpy(one.astype(np.float32)) for one in weights)
    values = torch.from_numpy(np.ascontiguousarray(values_ZYX, np.float32))
    values = (z @ values.flatten(1)).reshape(-1, *values.shape[1:])
    found: npt.NDArray[np.float32] = (y @ values @ x.T).numpy()
    return found


def linear(at: Floats, n: int) -> Floats:
    """(places, n) weights of an axis' voxels at places between them; none beyond."""
    found: Floats = np.maximum(1 - np.abs(at[:, None] - np.arange(n)), 0)
    return found


def averages(at: Floats, n: int) -> tuple[slice, Floats]:
    """The voxels of an axis of `n` that rising places are mixed of, and their weights.

    As `linear`, of means of as many voxels as lie between two places.
    """
    low = min(max(int(np.floor(at[0])) - 1, 0), n - 1)
    high = min(max(int(np.ceil(at[-1])) + 2, low + 1), n)
    apart = (at[-1] - at[0]) / max(len(at) - 1, 1)
    many = min(max(int(apart + 0.01), 1), high - low)
    of_voxel = np.arange(high - low) // many
    held = np.bincount(of_voxel)
    weights = linear((at - low + 0.5) / many - 0.5, len(held)) / held
    return slice(low, high), weights[:, of_voxel]


def put_back(
    values_ZYX: npt.NDArray[np.float32],
    cube: Cube,
    shape: Sequence[int],
    spacing: Sequence[float],
    within: Box | None = None,
) -> tuple[Box, npt.NDArray[np.float32]]:
    """A cut-out's values on the volume's own voxels, or on those of them `within` a box.

    Returns
    -------
    slices
        Where they belong on a volume of `shape`.
    (z, y, x) float32
        The values there.
    """
    box = cube.inside(shape, spacing)
    if within is not None:
        z, y, x = (
            slice(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))
            for a, b in zip(box, within, strict=True)
        )
        box = z, y, x
    size = len(values_ZYX)
    weights = []
    for part, step, at in zip(box, spacing, cube.middle_mm, strict=True):
        places = (np.arange(part.start, part.stop) * step - at) / cube.side_mm + 0.5
        weights.append(linear((places * size - 0.5).clip(0, size - 1), size))
    return box, mixed(values_ZYX, weights)

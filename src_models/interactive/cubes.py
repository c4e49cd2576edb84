"""Cubes in a volume of any spacing: cut out at the net's size, put back voxel by voxel.

Millimetres count from the centre of the first voxel, along the array's axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    Floats = npt.NDArray[np.float64]
    Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Cube:
    """Middle and side of a cube, in mm; it may reach beyond the volume."""

    middle_mm: tuple[float, float, float]
    side_mm: float

    def grid(self, size: int) -> Floats:
        """Where each voxel of the cut-out lies, (size, size, size, zyx) in mm."""
        axis = ((np.arange(size) + 0.5) / size - 0.5) * self.side_mm
        z, y, x = (axis + at for at in self.middle_mm)
        return np.stack(np.meshgrid(z, y, x, indexing="ij"), -1)

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


def sampled(layers_CZYX: Tensor, at: Floats) -> Tensor:
    """Layers at places (*S, zyx), in voxels: (C, *S); zeros beyond, linear in between.

    Where the places lie further apart than the voxels, along an axis, voxels are averaged
    first.
    """
    low = np.floor(at.reshape(-1, 3).min(0)).astype(int) - 1
    high = np.ceil(at.reshape(-1, 3).max(0)).astype(int) + 2
    shape = layers_CZYX.shape[1:]
    low = np.clip(low, 0, np.array(shape) - 1)
    high = np.clip(high, low + 1, shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = layers_CZYX[:, *box][None]
    apart = np.ptp(at.reshape(-1, 3), axis=0) / max(len(at) - 1, 1)
    kernel = np.clip(np.floor(apart + 0.01).astype(int), 1, part.shape[2:])
    if (kernel > 1).any():
        part = F.avg_pool3d(
            part, kernel.tolist(), ceil_mode=True, count_include_pad=False
        )
    there = (at - low + 0.5) / kernel - 0.5
    grid = (2 * there + 1) / np.array(part.shape[2:]) - 1
    points = torch.from_numpy(grid[None, ..., ::-1].astype(np.float32))
    found: Tensor = F.grid_sample(part, points, align_corners=False)[0]
    return found


def put_back(
    values_ZYX: Tensor,
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
    axes = []
    for part, step, at in zip(box, spacing, cube.middle_mm, strict=True):
        away = (np.arange(part.start, part.stop) * step - at) / cube.side_mm
        axes.append(2 * away)  # −1 … 1 from side to side
    if any(not len(axis) for axis in axes):
        return box, np.zeros([len(axis) for axis in axes], np.float32)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)[None, ..., ::-1]
    points = torch.from_numpy(grid.astype(np.float32))
    layers = values_ZYX.float()[None, None]
    found = F.grid_sample(layers, points, padding_mode="border", align_corners=False)
    return box, found[0, 0].numpy()

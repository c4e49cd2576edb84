"""Where voxels lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Literal

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

Affine = npt.NDArray[np.float64]
Unit = Literal["mm", "px"]

LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # towards −, + of LPS x, y, z


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxel grid of a scan: its shape and where it lies.

    Attributes
    ----------
    shape : tuple of int
        Spatial shape in array order, ``(y, x)`` or ``(z, y, x)``.
    affine : (n+1, n+1) float array
        Voxel index ``(i, j[, k])`` → patient ``(x, y[, z])``, in `unit`, LPS as in
        DICOM and ITK. Note the order: x first, the reverse of the array's.
    unit : {"mm", "px"}
        "px" where the file gives no size: lengths are then in pixels.

    Raises
    ------
    InputError
        If the affine is not finite, not invertible or of another dimension.
    """

    shape: tuple[int, ...]
    affine: Affine
    unit: Unit = "mm"

    def __post_init__(self) -> None:
        n = len(self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (n + 1, n + 1):
            raise InputError(
                f"a {n}D grid needs a {n + 1}×{n + 1} affine, got {affine.shape}"
            )
        if not np.isfinite(affine).all():
            raise InputError(
                "the voxel spacing or position is not a number; the file's header is "
                "damaged: export the scan again"
            )
        lengths = np.linalg.norm(affine[:-1, :-1], axis=0)
        if (lengths <= 0).any() or abs(
            np.linalg.det(affine[:-1, :-1] / lengths)
        ) < 1e-6:
            raise InputError(
                f"the voxel spacing must be above zero along {n} different directions, "
                f"got {' × '.join(f'{v:g}' for v in lengths)}: the file's header is damaged"
            )
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(side) for side in self.shape))

    @classmethod
    def from_spacing(
        cls, shape: tuple[int, ...], spacing: tuple[float, ...], unit: Unit = "mm"
    ) -> Grid:
        """An axis-aligned grid at the origin; shape and spacing in array order."""
        return cls(shape, np.diag([*spacing[::-1], 1.0]), unit)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @cached_property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbours along each array axis, (z,) y, x, in `unit`."""
        lengths = np.linalg.norm(self.affine[:-1, :-1], axis=0)
        return tuple(float(v) for v in lengths[::-1])

    @cached_property
    def array_affine(self) -> Affine:
        """The same map in array order: index (z, y, x) → position (z, y, x)."""
        n = self.ndim
        flip = [*range(n)[::-1], n]
        return self.affine[np.ix_(flip, flip)]

    @property
    def voxel_volume(self) -> float:
        """Volume (area in 2D) of one voxel, mm³ (mm²) or 1 in px."""
        return float(abs(np.linalg.det(self.affine[:-1, :-1])))

    @property
    def is_oblique(self) -> bool:
        """Whether any axis leaves its nearest patient axis by more than 0.5°."""
        axes = self.affine[:-1, :-1] / np.linalg.norm(self.affine[:-1, :-1], axis=0)
        return bool((np.abs(axes).max(axis=0) < np.cos(np.radians(0.5))).any())

    @property
    def orientation(self) -> str:
        """Where x, y, z of the file run to, e.g. "LPS"; "" for a 2D image."""
        if self.ndim != 3:
            return ""
        axes = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        rows = max(
            permutations(range(3)),
            key=lambda rows: sum(abs(axes[row, col]) for col, row in enumerate(rows)),
        )
        return "".join(
            LETTERS[row][int(axes[row, col] > 0)] for col, row in enumerate(rows)
        )

    def to_world(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Array index (z, y, x), (n,) or (m, n) → patient (x, y, z) in `unit`."""
        ijk = np.asarray(index, dtype=np.float64)[..., ::-1]
        return ijk @ self.affine[:-1, :-1].T + self.affine[:-1, -1]

    def difference(self, other: Grid, tolerance: float = 1e-3) -> str:
        """What sets two grids apart, in words; "" if nothing does.

        Corners may differ by `tolerance` times the smallest spacing plus one part in
        a million of their distance from the origin (what float32 headers lose).
        """
        if self.shape != other.shape:
            return f"shape {_times(self.shape)} against {_times(other.shape)}"
        if self.unit != other.unit:
            return f"lengths in {self.unit} against {other.unit}"
        ends = np.array(np.meshgrid(*[(0, side - 1) for side in self.shape]))
        corners = ends.reshape(self.ndim, -1).T
        mine, theirs = self.to_world(corners), other.to_world(corners)
        allowed = tolerance * min(self.spacing) + 1e-6 * np.abs(mine).max()
        if not np.allclose(self.spacing, other.spacing, rtol=1e-3):
            return (
                f"spacing {_times(self.spacing)} against {_times(other.spacing)} "
                f"{self.unit}"
            )
        apart = float(np.abs(mine - theirs).max())
        if apart > allowed:
            return f"position or direction: corners up to {apart:.3g} {self.unit} apart"
        return ""


def _times(values: tuple[float, ...]) -> str:
    return "×".join(f"{v:.4g}" for v in values)

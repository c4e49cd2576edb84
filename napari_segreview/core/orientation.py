"""Which way the axes of an array run, and turning it so that they run another way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import LETTERS, Grid

SLANTED = 0.3  # share of a direction (about 17°) from which its letter is shown too
PARALLEL = 0.999  # cosine of the angle (2.6°) from which two axes do not run alike


class Edges(NamedTuple):
    """What lies beyond the edges of a picture: "L", or "LA" where it is oblique."""

    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A permutation and flips of the trailing spatial axes; views, no copies.

    Attributes
    ----------
    axes : tuple of int
        New axis a is the old axis axes[a].
    flips : tuple of int
        New axes that run backwards.
    """

    axes: tuple[int, ...]
    flips: tuple[int, ...] = ()

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(..., *S) as the model wants it."""
        lead = array.ndim - len(self.axes)
        turned = array.transpose(*range(lead), *(lead + axis for axis in self.axes))
        return np.flip(turned, tuple(lead + axis for axis in self.flips))

    def undo(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The inverse of `apply`."""
        lead = array.ndim - len(self.axes)
        back = np.flip(array, tuple(lead + axis for axis in self.flips))
        inverse = np.argsort(self.axes)
        return back.transpose(*range(lead), *(lead + int(axis) for axis in inverse))

    def of(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """Values per axis (a spacing) in the new order."""
        return tuple(values[axis] for axis in self.axes)

    def grid(self, grid: Grid) -> Grid:
        """Where the voxels of a turned array lie: where they lay before."""
        n = grid.ndim
        affine = np.eye(n + 1)
        affine[:n, n] = grid.affine[:n, n]
        shape = tuple(grid.shape[axis] for axis in self.axes)
        for axis, old in enumerate(self.axes):
            step = grid.affine[:n, n - 1 - old]
            if axis in self.flips:
                affine[:n, n] += step * (shape[axis] - 1)
                step = -step
            affine[:n, n - 1 - axis] = step
        return Grid(shape, affine, grid.unit)


def turn_to(grid: Grid, letters: str) -> Turn:
    """The turn that makes x, y, z of a grid run to `letters`, e.g. "RAS".

    An oblique grid is turned to the nearest axes. No letters, or a 2D grid: no turn.
    """
    n = grid.ndim
    if not letters or n != 3:
        return Turn(tuple(range(n)))
    column_of = {_row(letter): at for at, letter in enumerate(grid.orientation)}
    axes, flips = [], []
    for axis in range(n):
        letter = letters[n - 1 - axis]
        column = column_of[_row(letter)]
        axes.append(n - 1 - column)
        if grid.orientation[column] != letter:
            flips.append(axis)
    return Turn(tuple(axes), tuple(flips))


def turn_between(grid: Grid, other: Grid) -> Turn | None:
    """The turn that takes arrays on one grid onto another of the same voxels.

    Programs store one scan with its axes in different orders and directions; the
    voxels are the same, and no value is interpolated.

    Returns
    -------
    Turn or None
        None if the voxels do not lie at the same places.
    """
    n = grid.ndim
    if n != other.ndim:
        return None
    mine, theirs = (
        one.affine[:n, :n] / np.linalg.norm(one.affine[:n, :n], axis=0)
        for one in (grid, other)
    )
    cosines = (theirs.T @ mine)[::-1, ::-1]  # array axes: [of other, of grid]
    axes = tuple(int(axis) for axis in np.abs(cosines).argmax(axis=1))
    along = cosines[np.arange(n), list(axes)]
    if len(set(axes)) < n or np.abs(along).min() < PARALLEL:
        return None
    turn = Turn(axes, tuple(int(axis) for axis in np.flatnonzero(along < 0)))
    return None if turn.grid(grid).difference(other) else turn


def edge_letters(grid: Grid, axes: tuple[int, int]) -> Edges:
    """Letters for the four edges of a displayed plane.

    Parameters
    ----------
    grid : Grid
    axes : tuple of int
        The array axes that run down and to the right on the screen.

    Returns
    -------
    Edges
        Letters of the patient (R, L, A, P, I, S), the main one first; all "" for a
        2D image or one without a voxel size: where it lies is not known.
    """
    if grid.ndim != 3 or grid.unit != "mm":
        return Edges("", "", "", "")
    down, right = (grid.affine[:3, 2 - axis] for axis in axes)
    return Edges(_letters(-right), _letters(right), _letters(-down), _letters(down))


def _letters(direction: npt.NDArray[np.float64]) -> str:
    """The patient's letters towards a direction, by how much it goes there."""
    unit = direction / np.linalg.norm(direction)
    rows = sorted(range(3), key=lambda row: -abs(unit[row]))
    shown = [row for row in rows if abs(unit[row]) >= SLANTED]
    return "".join(LETTERS[row][int(unit[row] > 0)] for row in shown)


def _row(letter: str) -> int:
    """Which patient axis (0 left-right, 1 front-back, 2 head-foot) a letter is of."""
    return next(row for row, pair in enumerate(LETTERS) if letter in pair)

"""Turning an array so that its axes run as a model wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import LETTERS, Grid


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


def _row(letter: str) -> int:
    """Which patient axis (0 left-right, 1 front-back, 2 head-foot) a letter is of."""
    return next(row for row, pair in enumerate(LETTERS) if letter in pair)

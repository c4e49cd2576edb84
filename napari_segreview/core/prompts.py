"""What a person marks on an image, as frozen facts.

Places are voxels of the scan's array, (z, y, x) or (y, x), whole numbers at voxel
centres. Every prompt lies in one plane of the array, whichever way it is looked at, or
speaks of the whole volume.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_segreview.core.edits import Box as ArrayBox
    from napari_segreview.core.scan import Scan

    Floats = npt.NDArray[np.float64]

Place = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a scan, or all of it.

    Attributes
    ----------
    axis : int or None
        The spatial axis that does not lie in it; None if all do: of a 2D scan, or where
        a 3D scan is marked as a whole.
    index : int
        Along that axis; 0 if there is none.
    frame : int
        Of a scan over time; 0 otherwise.
    """

    axis: int | None
    index: int = 0
    frame: int = 0

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The spatial axes that lie in it: rows, columns."""
        return tuple(axis for axis in range(ndim) if axis != self.axis)

    def box(self, scan: Scan) -> ArrayBox:
        """Where it lies in an array (t?, z?, y, x) of labels of the scan."""
        sides = [slice(0, side) for side in scan.grid.shape]
        if self.axis is not None:
            sides[self.axis] = slice(self.index, self.index + 1)
        frame = [slice(self.frame, self.frame + 1)] if scan.has_time else []
        return (*frame, *sides)

    def inside(self, scan: Scan) -> bool:
        """Whether the scan has such a plane."""
        ndim = scan.grid.ndim
        if not 0 <= self.frame < scan.frames:
            return False
        if self.axis is None:
            return self.index == 0
        if ndim == 2:
            return False
        return self.axis < ndim and 0 <= self.index < scan.grid.shape[self.axis]


@dataclass(frozen=True, slots=True)
class Point:
    """A voxel that belongs to the structure, or does not."""

    plane: Plane
    at: Place
    positive: bool = True

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.at,)


@dataclass(frozen=True, slots=True)
class Scribble:
    """A drawn curve through voxels that belong to the structure, or do not."""

    plane: Plane
    places: tuple[Place, ...]
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle round the structure; its corner voxels belong to the rectangle."""

    plane: Plane
    low: Place
    high: Place

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Lasso:
    """A closed curve round the structure."""

    plane: Plane
    corners: tuple[Place, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        return self.corners


Prompt = Point | Scribble | Box | Lasso
IN_A_SLICE = (
    "In 3D the object is marked with points and scribbles; turn “In 3D” off to use a box "
    "or a lasso in one slice."
)


def counted(prompts: Sequence[Prompt]) -> str:
    """E.g. "2 clicks"; "2 marks" if not all are points."""
    noun = "click" if all(isinstance(one, Point) for one in prompts) else "mark"
    return f"{len(prompts)} {noun}" + ("s" if len(prompts) != 1 else "")


def flat(prompt: Prompt, ndim: int) -> Floats:
    """(n, 2) places of a prompt within its plane, rows and columns; (n, 3) in a volume."""
    found = np.asarray(prompt.places, float).reshape(-1, ndim)
    return found[:, list(prompt.plane.axes(ndim))]


def outline(prompt: Prompt, ndim: int) -> Floats:
    """(n, ndim) places along which a prompt is drawn on the screen, a voxel apart."""
    places = np.asarray(prompt.places, float).reshape(-1, ndim)
    if isinstance(prompt, Point) or len(places) < 2:
        return places
    if isinstance(prompt, Box):
        (low, high), (rows, columns) = places, prompt.plane.axes(ndim)
        corner = low.copy()
        corner[columns] = high[columns]
        other = low.copy()
        other[rows] = high[rows]
        places = np.stack([low, corner, high, other])
    if not isinstance(prompt, Scribble):
        places = np.concatenate([places, places[:1]])
    pieces = [places[:1]]
    for a, b in pairwise(places):
        steps = max(1, int(np.ceil(np.abs(b - a).max())))
        pieces.append(a + (b - a) * np.linspace(0, 1, steps + 1)[1:, None])
    return np.concatenate(pieces)


def fitted(prompt: Prompt, scan: Scan) -> Prompt | None:
    """The prompt as far as it lies on the scan; None if nothing of it does.

    A box is cut at the rim of the image; of a scribble the places outside are left out;
    a lasso is kept whole if a corner lies inside.
    """
    if not prompt.plane.inside(scan):
        return None
    shape = np.array(scan.grid.shape)
    places = np.asarray(prompt.places, float).reshape(-1, scan.grid.ndim)
    on = np.isfinite(places).all(1) & (np.rint(places) >= 0).all(1)
    on &= (np.rint(places) < shape).all(1)
    if isinstance(prompt, Scribble):
        kept = tuple(p for p, keep in zip(prompt.places, on, strict=True) if keep)
        return replace(prompt, places=kept) if kept else None
    if isinstance(prompt, Box):
        low, high = places.min(0), places.max(0)
        apart = (np.rint(high) < 0) | (np.rint(low) >= shape)
        if not np.isfinite(places).all() or apart.any():
            return None
        low, high = np.clip(low, 0, shape - 1), np.clip(high, 0, shape - 1)
        return replace(prompt, low=tuple(low.tolist()), high=tuple(high.tolist()))
    if isinstance(prompt, Lasso):
        return prompt if on.any() and len(places) > 2 else None
    return prompt if on.all() else None

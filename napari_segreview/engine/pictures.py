"""A slice with two outlines, as PNG: made with numpy and pillow, no window."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from napari_segreview.core.geometry import Grid
    from napari_segreview.core.scan import Scan

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

# Apart in hue, lightness and stroke: the reference is dashed.
PREDICTION, REFERENCE = (230, 159, 0), (86, 180, 233)
SIDE, THICK, DASH = 440, 2, 7  # pixels of the longer side, of a line, of a dash
MARGIN, LEAST = 0.5, 48  # around the structure: share of its size, fewest voxels in all
HANG = "LPI"  # where axes run to on the page, as in the window: right, down


@dataclass(frozen=True, slots=True)
class Cut:
    """A slice of a grid: where, and how it hangs.

    Attributes
    ----------
    index : tuple of int
        Leading (t,) (z,) of the slice in the label array.
    flips : pair of bool
        Whether the axis down, the axis across is shown backwards.
    steps : pair of float
        Spacing of each.
    """

    index: tuple[int, ...]
    flips: tuple[bool, bool]
    steps: tuple[float, float]

    @classmethod
    def of(cls, grid: Grid, index: tuple[int, ...]) -> Cut:
        """The last two axes of the grid at a voxel."""
        letters = grid.orientation[::-1][-2:] or "LL"
        down, across = (one not in HANG for one in letters)
        step_down, step_across = grid.spacing[-2:]
        return cls(index[:-2], (down, across), (step_down, step_across))

    def take(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The slice of an array, (y, x) or (y, x, channels), as it hangs."""
        found = np.asarray(array[self.index])
        flipped = tuple(axis for axis in (0, 1) if self.flips[axis])
        return np.flip(found, flipped)


def across_and_down(grid: Grid) -> str:
    """How the picture hangs, e.g. "left to right: R to L, top to bottom: A to P"."""
    if not grid.orientation:
        return ""
    pairs = {"L": "R to L", "P": "A to P", "I": "S to I"}
    hung = {"R": "L", "A": "P", "S": "I"}
    down, across = (pairs[hung.get(one, one)] for one in grid.orientation[::-1][-2:])
    return f"left to right: {across}, top to bottom: {down}"


def outlined(scan: Scan | None, prediction: Mask, reference: Mask, cut: Cut) -> bytes:
    """The PNG of the neighbourhood of two masks in one slice.

    Parameters
    ----------
    scan : Scan or None
        On the masks' grid; None draws on black.
    prediction, reference : bool array, (y, x), as `cut` hangs them
    """
    both = prediction | reference
    box = _around(both, MARGIN, LEAST)
    height, width = _size(prediction[box].shape, cut.steps)
    grey = np.zeros((*prediction[box].shape, 3), np.uint8)
    if scan is not None:
        grey = _pixels(scan, cut, _around(both, MARGIN / 2, 0))[box]
    picture = np.array(
        Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    )
    lines = {PREDICTION: (prediction, False), REFERENCE: (reference, True)}
    for colour, (mask, dashed) in lines.items():
        large = np.array(
            Image.fromarray(mask[box]).resize((width, height), Image.Resampling.NEAREST)
        )
        picture[_outline(large, dashed)] = colour
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def as_source(png: bytes) -> str:
    """For the `src` of an `img`: the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _pixels(scan: Scan, cut: Cut, near: tuple[slice, slice]) -> Pixels:
    """The slice as RGB, from the 1st to the 99th percentile of what is near."""
    part = cut.take(scan.data)
    if scan.has_channels:
        part = part[..., :3] if scan.channels in (3, 4) else part[..., :1]
    else:
        part = part[..., None]
    values = np.nan_to_num(part.astype(np.float32))
    colour = part.dtype == np.uint8 and part.shape[-1] == 3
    low, high = (0, 255) if colour else np.percentile(values[near], (1, 99))
    scaled = np.clip((values - low) / max(float(high - low), 1e-9), 0, 1) * 255
    return np.broadcast_to(scaled, (*part.shape[:2], 3)).astype(np.uint8)


def _around(mask: Mask, margin: float, least: int) -> tuple[slice, slice]:
    """A box around the mask with a margin; all of it if the mask is empty."""
    sides = []
    for axis, length in enumerate(mask.shape):
        filled = np.flatnonzero(mask.any(axis=1 - axis))
        if not filled.size:
            return slice(None), slice(None)
        start, stop = int(filled[0]), int(filled[-1]) + 1
        more = max(round((stop - start) * margin), (least - (stop - start)) // 2, 0)
        sides.append(slice(max(0, start - more), min(length, stop + more)))
    return sides[0], sides[1]


def _size(shape: tuple[int, ...], steps: tuple[float, float]) -> tuple[int, int]:
    """Height and width in pixels: millimetres keep their proportions."""
    lengths = [side * step for side, step in zip(shape, steps, strict=True)]
    factor = SIDE / max(lengths)
    height, width = (max(8, round(length * factor)) for length in lengths)
    return height, width


def _outline(mask: Mask, dashed: bool) -> Mask:
    """The mask's inner rim, `THICK` pixels wide."""
    inner = np.pad(mask, THICK)
    for axis in (0, 1):
        inner = np.logical_and.reduce(
            [np.roll(inner, shift, axis) for shift in range(-THICK, THICK + 1)]
        )
    rim: Mask = mask & ~inner[THICK:-THICK, THICK:-THICK]
    if dashed:
        down, across = np.indices(mask.shape)
        rim &= (down + across) // DASH % 2 == 0
    return rim

"""Square windows on an image: cut out at the net's size, put back pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from src_models.interactive.prompt_maps import Places


@dataclass(frozen=True, slots=True)
class Window:
    """Pixels y … y + side − 1 by x … x + side − 1; it may reach beyond the image.

    Attributes
    ----------
    y, x : int
        First row and column, in pixels of the image; may be negative.
    side : int
        Rows and columns, ≥ 1.
    """

    y: int
    x: int
    side: int

    def inside(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The part that lies on an image of `shape`; empty slices if there is none."""
        rows, columns = (
            slice(min(max(start, 0), n), min(max(start + self.side, 0), n))
            for start, n in zip((self.y, self.x), shape, strict=True)
        )
        return rows, columns

    def places(self, places: Places, size: int) -> npt.NDArray[np.float64]:
        """(n, 2) pixel centres of the image → those of the cut-out of `size`²."""
        at = np.asarray(places, float).reshape(-1, 2) - (self.y, self.x) + 0.5
        return at * (size / self.side) - 0.5


def whole(shape: tuple[int, int]) -> Window:
    """The smallest window with all of the image, the image in its middle."""
    side = max(shape)
    return Window((shape[0] - side) // 2, (shape[1] - side) // 2, side)


def around(
    low: tuple[float, float], high: tuple[float, float], *, margin: float, least: int
) -> Window:
    """The window round a box, `margin` times its longer side, at least `least` pixels.

    Parameters
    ----------
    low, high : (y, x)
        First and last pixel of the box.
    """
    longest = max(high[0] - low[0], high[1] - low[1]) + 1
    side = max(int(np.ceil(longest * margin)), least)
    middle = ((low[0] + high[0] + 1) / 2, (low[1] + high[1] + 1) / 2)
    return Window(round(middle[0] - side / 2), round(middle[1] - side / 2), side)


def cut(image_CYX: Tensor, window: Window, size: int) -> Tensor:
    """The window at `size`² pixels; zeros beyond the image.

    Smaller than the window: averaged (antialiased); larger: bilinear; equal: exact.
    """
    shape = (image_CYX.shape[1], image_CYX.shape[2])
    rows, columns = window.inside(shape)
    if window.inside(shape) == (slice(0, shape[0]), slice(0, shape[1])) and (
        shape == (window.side, window.side)
    ):
        framed = image_CYX
    else:
        framed = image_CYX.new_zeros((len(image_CYX), window.side, window.side))
        framed[
            :,
            rows.start - window.y : rows.stop - window.y,
            columns.start - window.x : columns.stop - window.x,
        ] = image_CYX[:, rows, columns]
    return resized(framed, size)


def resized(values_CYX: Tensor, size: int) -> Tensor:
    """Bilinear, antialiased where it shrinks; the same tensor if it fits already."""
    if values_CYX.shape[1:] == (size, size):
        return values_CYX
    return F.interpolate(
        values_CYX[None],
        (size, size),
        mode="bilinear",
        antialias=size < values_CYX.shape[1],
    )[0]


def put_back(
    values_YX: Tensor, window: Window, shape: tuple[int, int]
) -> tuple[tuple[slice, slice], npt.NDArray[np.float32]]:
    """A cut-out's values on the image's own pixels.

    Returns
    -------
    slices
        Where they belong on an image of `shape`.
    (y, x) float32
        The values there.
    """
    full = resized(values_YX[None].float(), window.side)[0]
    rows, columns = window.inside(shape)
    held = full[
        rows.start - window.y : rows.stop - window.y,
        columns.start - window.x : columns.stop - window.x,
    ]
    return (rows, columns), held.numpy()


def fraction(mask_YX: npt.NDArray[np.bool_], window: Window, size: int) -> Tensor:
    """A mask's share of each pixel of the cut-out, (1, size, size) in [0, 1]."""
    return cut(torch.from_numpy(mask_YX.astype(np.float32))[None], window, size)

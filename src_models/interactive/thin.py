"""Thin structures that run on over the whole picture: looked for window by window.

Seen as a whole at the net's size they would be less than a few pixels thick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from src_models.interactive.focus import Window, put_back
from src_models.interactive.looks import BEYOND, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from src_models.interactive.looks import Look
    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]

THIN = 45  # thicknesses beyond which a window shows a structure too thin to be seen
TREE = 30  # of a mask that is mended at its own scale: what was followed stays one
BEST = 28  # thicknesses that a window should span
SLIM = 9  # thicknesses that a window spans at least, of what may be followed
LONG = 12  # squared thicknesses of its area
GAP = 8  # thicknesses that may be missing between two pieces of one structure
MOST = 36  # windows over a picture; there are wider ones if they were more
DEEPEST = 1.72  # thicknesses from the nearest rim: trunks reach 1.7, discs more
STEP = 0.75  # of a window's side, from one to the next


def thickness(mask: Mask) -> float:
    """Of a structure, in pixels: twice its area by its rim; 0 of an empty one."""
    rim = int((mask & ~ndimage.binary_erosion(mask)).sum())
    return 2 * int(mask.sum()) / max(rim, 1)


def is_tree(mask: Mask) -> bool:
    """Whether a mask is too thin to be seen through a window round all of it."""
    where = np.argwhere(mask)
    longest = int(np.ptp(where, axis=0).max()) + 1 if len(where) else 0
    return longest > TREE * thickness(mask)


def side_of_tree(looks: Sequence[Look]) -> int:
    """Pixels that a window on the image should span to follow what was clicked.

    0 unless a look shows it thin, long and leaving by two sides of the window. The mean,
    in the logarithm, of the closest two that do: the wider a view, the thicker it draws.

    Parameters
    ----------
    looks : sequence of Look
        The widest first.
    """
    sides = []
    for found in looks:
        mask = (found.raw > 0).numpy() & found.valid.numpy()
        thick = thickness(mask)
        size = len(mask)
        cut = found.cut_off().numpy()
        left_by = sum(
            bool(rim.any()) for rim in (cut[0], cut[-1], cut[:, 0], cut[:, -1])
        )
        long = mask.sum() > LONG * thick**2
        if left_by >= 2 and long and 0 < thick * SLIM < size:
            sides.append(round(BEST * thick * found.window.side / size))
    return round(float(np.exp(np.mean(np.log(sides[-2:]))))) if sides else 0


def thick_at(mask: Mask, places: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether a place lies deeper in a mask than a thin structure has room for.

    As a click on the disc of a fundus does, from which vessels run in all directions.
    """
    depth = ndimage.distance_transform_edt(mask)
    at = np.clip(np.rint(places).astype(int), 0, np.array(mask.shape) - 1)
    deepest = float(depth[at[:, 0], at[:, 1]].max(initial=0))
    return deepest > DEEPEST * thickness(mask)


def connected(mask: Mask, places: npt.NDArray[np.floating[Any]]) -> Mask:
    """What hangs together with the places, gaps of eight thicknesses bridged.

    All of it if no place lies on it.
    """
    bridged = ndimage.distance_transform_edt(~mask) <= GAP / 2 * thickness(mask)
    parts, _ = ndimage.label(bridged, np.ones((3, 3), int))
    at = np.clip(np.rint(places).astype(int), 0, np.array(mask.shape) - 1)
    wanted = np.unique(parts[at[:, 0], at[:, 1]])
    kept: Mask = mask & np.isin(parts, wanted[wanted > 0])
    return kept if kept.any() else mask


def tiles(shape: tuple[int, int], side: int) -> list[Window]:
    """Windows that cover an image, overlapping by a quarter or more, its rim kept inside.

    One of the whole image's side, or more, is in the middle of it.
    """
    firsts = []
    for n in shape:
        count = 1 + max(0, int(np.ceil((n - side) / (STEP * side))))
        last = n - side
        firsts.append(
            np.rint(np.linspace(0, last, count)).astype(int).tolist()
            if count > 1
            else [last // 2]
        )
    return [Window(y, x, side) for y in firsts[0] for x in firsts[1]]


def spread(
    looks: Callable[[Sequence[Question]], list[Look]],
    prompts: Sequence[Prompt],
    shape: tuple[int, int],
    side: int,
) -> npt.NDArray[np.float32]:
    """Logits (y, x) of all windows of a `side`; the nearest middle's count more.

    The side grows until there are `MOST` windows or fewer.
    """
    while len(tiles(shape, side)) > MOST:
        side = side * 9 // 8 + 1
    total = np.zeros(shape, np.float32)
    weight = np.zeros(shape, np.float32)
    rise = np.minimum(np.arange(side) + 1, side - np.arange(side)) / side
    tent = np.minimum.outer(rise, rise).astype(np.float32)
    windows = tiles(shape, side)
    for start in range(0, len(windows), 8):
        questions = [Question(one, prompts) for one in windows[start : start + 8]]
        for found in looks(questions):
            window = found.window
            where, values = put_back(found.raw, window, shape)
            rows, columns = where
            held = tent[
                rows.start - window.y : rows.stop - window.y,
                columns.start - window.x : columns.stop - window.x,
            ]
            total[where] += held * values
            weight[where] += held
    return np.where(weight > 0, total / np.maximum(weight, 1e-6), BEYOND)

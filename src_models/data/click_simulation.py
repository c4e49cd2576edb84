"""A user of click-to-segment, simulated: where they would click, draw, frame.

Xu et al., "Deep Interactive Object Selection", CVPR 2016 (clicks); Mahadevan, Voigtlaender
& Leibe, "Iteratively Trained Interactive Segmentation", BMVC 2018 (on the errors so far).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from src_models.interactive.interior import interior, interior_point
from src_models.interactive.prompt_maps import Click, Region, Stroke, box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]


def largest(mask: Mask) -> Mask:
    """The largest component, diagonals included, of equals the first; empty stays empty."""
    parts, count = ndimage.label(mask, np.ones((3,) * mask.ndim, int))
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    found: Mask = parts == sizes.argmax()
    return found


def largest_error(truth: Mask, guess: Mask) -> tuple[Mask, bool] | None:
    """The largest connected piece that is missing, or too much.

    Returns
    -------
    (mask, positive) or None
        Positive where something is missing, which also wins between equals; None if
        nothing is wrong.
    """
    missing = largest(truth & ~guess)
    extra = largest(guess & ~truth)
    if not missing.any() and not extra.any():
        return None
    positive = int(missing.sum()) >= int(extra.sum())
    return (missing if positive else extra), positive


def next_place(
    truth: Mask,
    guess: Mask,
    random: np.random.Generator | None = None,
    *,
    share: float = 0.6,
) -> tuple[tuple[int, ...], bool] | None:
    """The most interior pixel of the largest error, and whether it is missing.

    Of pictures and volumes. None if nothing is wrong.
    """
    error = largest_error(truth, guess)
    if error is None:
        return None
    place = interior_point(error[0], random, share=share)
    return None if place is None else (place, error[1])


def next_click(
    truth_YX: Mask,
    guess_YX: Mask,
    random: np.random.Generator | None = None,
    *,
    share: float = 0.6,
) -> Click | None:
    """The click at `next_place` of a picture."""
    found = next_place(truth_YX, guess_YX, random, share=share)
    if found is None:
        return None
    (y, x), positive = found
    return Click(y, x, positive)


def next_stroke(
    truth_YX: Mask, guess_YX: Mask, random: np.random.Generator
) -> Stroke | None:
    """A curve with its corners in the largest error; None if nothing is wrong."""
    error = largest_error(truth_YX, guess_YX)
    if error is None:
        return None
    mask, positive = error
    depth = interior(mask)
    ys, xs = np.nonzero(depth >= 0.4 * depth.max())
    picks = random.integers(len(ys), size=int(random.integers(2, 5)))
    corners = np.stack([ys[picks], xs[picks]], 1)
    order = np.argsort(corners @ random.normal(size=2))  # along one direction
    places = [tuple(map(float, corner)) for corner in corners[order]]
    return Stroke(tuple((y, x) for y, x in places), positive=positive)


def frame(mask_YX: Mask, random: np.random.Generator, *, slack: float = 0.08) -> Region:
    """A box round the mask, its sides off by up to `slack` of its longer side.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    ys, xs = np.nonzero(mask_YX)
    if not len(ys):
        raise ValueError("an empty mask has no box")
    off = slack * (max(np.ptp(ys), np.ptp(xs)) + 1)
    top, left, bottom, right = random.uniform(-off / 2, off, 4)
    return box(
        float(ys.min() - top),
        float(xs.min() - left),
        float(ys.max() + bottom),
        float(xs.max() + right),
    )


def lasso(mask_YX: Mask, random: np.random.Generator) -> Region:
    """A wavering closed curve round the mask, seen from its middle.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    ys, xs = np.nonzero(mask_YX)
    if not len(ys):
        raise ValueError("an empty mask has no lasso")
    middle_y, middle_x = ys.mean(), xs.mean()
    angles = np.arctan2(ys - middle_y, xs - middle_x)
    radii = np.hypot(ys - middle_y, xs - middle_x)
    rays = 24
    bins = ((angles + np.pi) / (2 * np.pi) * rays).astype(int) % rays
    reach = np.zeros(rays)
    np.maximum.at(reach, bins, radii)
    reach = ndimage.maximum_filter1d(reach, 3, mode="wrap")
    reach = reach * random.uniform(1.02, 1.2, rays) + random.uniform(0.5, 3)
    at = (np.arange(rays) + 0.5) / rays * 2 * np.pi - np.pi
    ring = zip(
        middle_y + reach * np.sin(at), middle_x + reach * np.cos(at), strict=True
    )
    return Region(tuple((float(y), float(x)) for y, x in ring))


def opening(truth_YX: Mask, random: np.random.Generator) -> Sequence[Prompt]:
    """What a simulated user starts with: mostly a click, at times something drawn."""
    nothing = np.zeros_like(truth_YX)
    style = random.random()
    if style < 0.06:
        return [frame(truth_YX, random)]
    if style < 0.1:
        return [lasso(truth_YX, random)]
    stroke = next_stroke(truth_YX, nothing, random) if style < 0.17 else None
    if stroke is not None:
        return [stroke]
    share = random.choice([0.9, 0.6, 0.3])
    click = next_click(truth_YX, nothing, random, share=float(share))
    return [] if click is None else [click]


def spoiled(truth: Mask, random: np.random.Generator) -> Mask:
    """The mask as a coarse look or a hasty painter leaves it: blurred, cut, spread."""
    depth = interior(truth) - interior(~truth)
    reach = max(2.0, float(depth.max()))
    coarse = random.normal(size=(9,) * truth.ndim)
    bend = ndimage.zoom(coarse, (np.array(depth.shape) + 1) / 9, order=3)
    bend = bend[tuple(slice(n) for n in depth.shape)]
    shift = random.normal(0, 0.25) + random.uniform(0, 0.6) * bend
    guess: Mask = depth + reach * shift > 0
    if random.random() < 0.3:  # a side of it is missing, or too much is there
        places = np.argwhere(truth)
        middle = places[int(random.integers(len(places)))]
        across = random.normal(size=truth.ndim)
        steps = np.meshgrid(*map(np.arange, truth.shape), indexing="ij", sparse=True)
        pairs = zip(steps, middle, across, strict=True)
        guess = guess & (sum((step - at) * way for step, at, way in pairs) > 0)
    return guess

"""Image and prompts as the click net reads them.

Ten channels: three of the image, stretched to the window's own contrast; its grey
stretched to the whole image's; positive marks, negative marks, region; previous mask;
likeness of each pixel to the positive marks, to the negative ones.

Places are (y, x) pixel centres of the window that the net reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from skimage import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Floats = npt.NDArray[np.floating[Any]]
    Places = Sequence[tuple[float, float]] | Floats

CHANNELS = 10
RADIUS = 3.0  # pixels, of a click's disc
STROKE = 1.6  # pixels, half a stroke's width
SEEDS = 8  # places that likeness is measured to
SHARP = 10.0  # how fast likeness falls; the window's contrast spans 2


@dataclass(frozen=True, slots=True)
class Click:
    """A point that belongs to the structure, or does not."""

    y: float
    x: float
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Stroke:
    """A drawn curve through places that belong to the structure, or do not."""

    places: tuple[tuple[float, float], ...]
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Region:
    """A polygon round the structure: four corners of a box, or a lasso."""

    corners: tuple[tuple[float, float], ...]


Prompt = Click | Stroke | Region


def box(top: float, left: float, bottom: float, right: float) -> Region:
    """The region of a rectangle; its corner pixels belong to it."""
    return Region(((top, left), (top, right), (bottom, right), (bottom, left)))


def moved(prompt: Prompt, place: Callable[[Places], npt.NDArray[np.float64]]) -> Prompt:
    """The same prompt where `place` puts its places."""
    match prompt:
        case Click(y, x):
            ((y, x),) = place([(y, x)]).tolist()
            return replace(prompt, y=y, x=x)
        case Stroke(places):
            return replace(prompt, places=tuple(map(tuple, place(places).tolist())))
        case Region(corners):
            return Region(tuple(map(tuple, place(corners).tolist())))


def marks(prompts: Sequence[Prompt], size: int) -> npt.NDArray[np.float32]:
    """Prompts drawn in their order; where two disagree the later one is seen.

    Returns
    -------
    (3, size, size)
        Positive marks, negative marks, region; 0 or 1.
    """
    drawn = np.zeros((3, size, size), np.float32)
    for prompt in prompts:
        if isinstance(prompt, Region):
            corners = np.asarray(prompt.corners, float).reshape(-1, 2)
            drawn[2, *draw.polygon(corners[:, 0], corners[:, 1], (size, size))] = 1
            continue
        for y, x in traced(prompt):
            radius = RADIUS if isinstance(prompt, Click) else STROKE
            at = draw.disk((y, x), radius, shape=(size, size))
            drawn[0, *at], drawn[1, *at] = prompt.positive, not prompt.positive
    return drawn


def traced(prompt: Click | Stroke) -> Floats:
    """(n, 2) places along a prompt, a pixel apart or less."""
    if isinstance(prompt, Click):
        return np.array([[prompt.y, prompt.x]])
    corners = np.asarray(prompt.places, float).reshape(-1, 2)
    pieces = [corners[:1]]
    for a, b in pairwise(corners):
        steps = max(1, int(np.ceil(np.abs(b - a).max())))
        pieces.append(a + (b - a) * np.linspace(0, 1, steps + 1)[1:, None])
    return np.concatenate(pieces)


def image_channels(
    image_CS: npt.NDArray[np.float32], valid_S: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """(C, *S) in [0, 1] → (C + 1, *S): contrast of the window, grey of the whole image.

    The window's 1st and 99th percentile of grey become −1 and 1, beyond them up to ±1.5.
    Pixels that are not `valid`, beyond the image, become 0.
    """
    grey = image_CS.mean(0)
    out = np.concatenate([contrast(image_CS, valid_S)(image_CS), 2 * grey[None] - 1])
    out[:, ~valid_S] = 0
    return out.astype(np.float32, copy=False)


def contrast(
    image_CS: npt.NDArray[np.float32], valid_S: npt.NDArray[np.bool_]
) -> Callable[[Floats], Floats]:
    """What stretches colours to a window's contrast, as `image_channels` says."""
    grey = image_CS.mean(0)
    every_other = (slice(None, None, 2),) * grey.ndim
    seen = grey[every_other][valid_S[every_other]]
    if not seen.size:
        seen = grey[valid_S] if valid_S.any() else np.zeros(1, np.float32)
    low, high = np.percentile(seen, (1, 99))
    span = max(float(high - low), 1e-3)
    return lambda colours: np.clip((colours - low) * (2 / span) - 1, -1.5, 1.5)


def colours_at(image_CS: npt.NDArray[np.float32], places: Floats) -> Floats:
    """(n, C) means of three pixels a side at those of the places that lie inside."""
    shape = image_CS.shape[1:]
    at = np.rint(places).astype(int).reshape(-1, len(shape))
    at = at[((at >= 0) & (at < shape)).all(1)]
    found = [
        image_CS[:, *(slice(max(n - 1, 0), n + 2) for n in place)]
        .reshape(len(image_CS), -1)
        .mean(1)
        for place in at
    ]
    return np.array(found, np.float32).reshape(-1, len(image_CS))


def likeness(
    image_CS: npt.NDArray[np.float32], colours: Floats
) -> npt.NDArray[np.float32]:
    """How like the most alike of the colours a pixel is: 1 / (1 + SHARP · difference).

    Parameters
    ----------
    image_CS : (C, *S)
        A picture or a volume.
    colours : (n, C)
        Of marked places; the last `SEEDS` count.

    Returns
    -------
    (*S)
        In (0, 1]; all 0 if there is no colour.
    """
    if not len(colours):
        return np.zeros(image_CS.shape[1:], np.float32)
    nearest = np.full(image_CS.shape[1:], np.inf, np.float32)
    for colour in colours[-SEEDS:]:
        one = np.asarray(colour, np.float32).reshape(-1, *(1,) * nearest.ndim)
        np.minimum(nearest, np.abs(image_CS - one).mean(0), out=nearest)
    return (1 / (1 + SHARP * nearest)).astype(np.float32, copy=False)


def seeds(prompts: Sequence[Prompt], *, positive: bool) -> Floats:
    """(n, 2) places of one sign: every click, four along each stroke."""
    found = [np.zeros((0, 2))]
    for prompt in prompts:
        if isinstance(prompt, Region) or prompt.positive != positive:
            continue
        along = traced(prompt)
        count = 1 if isinstance(prompt, Click) else 4
        found.append(along[np.linspace(0, len(along) - 1, count).astype(int)])
    return np.concatenate(found)


def stack(
    channels_CYX: npt.NDArray[np.float32],
    prompts: Sequence[Prompt],
    previous_YX: npt.NDArray[np.float32],
    elsewhere: Floats | None = None,
) -> npt.NDArray[np.float32]:
    """All `CHANNELS` of a window.

    Parameters
    ----------
    channels_CYX : (4, size, size)
        Of `image_channels`.
    previous_YX : (size, size)
        The mask so far, in [0, 1]; zeros if there is none.
    elsewhere : (n, 3), optional
        Colours, in the window's contrast, of positive marks outside it.
    """
    local = channels_CYX[:3]
    like, unlike = (
        colours_at(local, seeds(prompts, positive=sign)) for sign in (True, False)
    )
    if elsewhere is not None:
        like = np.concatenate([elsewhere, like])
    alike = [likeness(local, colours) for colours in (like, unlike)]
    drawn = marks(prompts, local.shape[-1])
    return np.concatenate([channels_CYX, drawn, previous_YX[None], np.stack(alike)])

"""Image and clicks in, mask out: looks at all scales, then the window round the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from skimage import draw

from src_models.errors import InputError
from src_models.interactive.choice import most_agreed, promises
from src_models.interactive.focus import around, whole
from src_models.interactive.image import unit_range
from src_models.interactive.interior import interior_point
from src_models.interactive.looks import Question, look, scales, widened
from src_models.interactive.mistakes import mistaken
from src_models.interactive.prompt_maps import Click, Region, traced
from src_models.interactive.specks import without_specks
from src_models.interactive.thin import (
    BEST,
    connected,
    is_tree,
    side_of_tree,
    spread,
    thick_at,
    thickness,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from src_models.interactive.focus import Window
    from src_models.interactive.looks import Look
    from src_models.interactive.net import ClickNet
    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]


GROWTH = 2  # times that a window may be widened for one answer


@dataclass(frozen=True, slots=True)
class Manner:
    """How the net is used.

    Attributes
    ----------
    size : int
        Pixels of a window's side as the net sees it.
    margin : float
        Side of the focused window, in sides of the object.
    least : int
        Pixels of the image that a window spans at least.
    near : float
        A click decides within this many object sides of it …
    sure : float
        … and beyond only where the net's probability is this far from the last mask.
    closer, near_closer : float
        A click is looked at once more from so many sides of the last window, and decides
        within so many sides of this one.
    tree : float
        A structure that runs on over the picture is followed unless an answer promises
        an IoU of at least this.
    half : bool
        Whether the net runs in bfloat16.
    """

    size: int = 144
    margin: float = 1.7
    least: int = 24
    near: float = 0.35
    sure: float = 0.8
    closer: float = 0.5
    near_closer: float = 0.3
    tree: float = 0.6
    half: bool = False


class ClickPredictor:
    """Segments what was clicked on one image at a time.

    Parameters
    ----------
    net : ClickNet
        In evaluation mode.
    """

    def __init__(self, net: ClickNet, manner: Manner | None = None) -> None:
        self.net = net
        self.manner = manner or Manner()
        self._image: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image.

        Raises
        ------
        InputError
            Before `set_image`.
        """
        if self._image is None:
            raise InputError("no image yet; call set_image before predict")
        return self._image.shape[1], self._image.shape[2]

    def set_image(self, image: npt.NDArray[Any]) -> None:
        """Take an image (y, x) or (y, x, channel) of any numbers.

        Raises
        ------
        InputError
            If it is empty or has other axes.
        """
        self._image = torch.from_numpy(unit_range(image))

    def predict(
        self,
        clicks: Iterable[tuple[float, float, bool]],
        previous_mask: Mask | None = None,
    ) -> Mask:
        """The structure under all clicks so far, the last one new: (y, x) bool.

        Every clicked pixel is on its side of the mask; of clicks on one pixel the last.

        Raises
        ------
        InputError
            If a click lies outside the image, the previous mask has another shape, or
            there is no image.
        """
        prompts = [Click(float(y), float(x), bool(sign)) for y, x, sign in clicks]
        return self.answer(prompts, previous_mask)

    def answer(self, prompts: Sequence[Prompt], previous: Mask | None = None) -> Mask:
        """As `predict`, for clicks, strokes and regions in their order.

        Strokes and regions may reach beyond the image; those of no place are nothing.
        """
        shape = self.shape
        prompts = [one for one in prompts if len(spots(one))]
        check_prompts(prompts, previous, shape)
        before = np.zeros(shape, bool) if previous is None else previous.astype(bool)
        if not prompts:
            return before
        if before.any():
            mask = self._mended(prompts, before)
        else:
            mask = self._found(prompts, self.first_looks(prompts))
            regions = [one for one in prompts if isinstance(one, Region)]
            alone = len(regions) == len(prompts)
            if alone and (inside := interior_point(mask) or innermost(regions, shape)):
                # A net that is shown one place of the structure draws it better.
                y, x = inside
                shown = [*prompts, Click(y, x)]
                mask = self._found(shown, self.first_looks(shown))
        mask = obeyed(mask, prompts)
        if is_tree(mask):
            return mask  # of many pieces, as it is seen
        return without_specks(mask, obeyed(before, prompts))

    def _mended(self, prompts: Sequence[Prompt], mask: Mask) -> Mask:
        """Mended near the last prompt or, if that shows it all wrong, found anew.

        What is found anew must agree with everything that was marked before.
        """
        widest = 0.0 if is_tree(mask) else _scale_anew(prompts, mask)
        if widest:
            # Clicks away have told the scale; so near to others they would mislead.
            wanted = [one for one in prompts if _wanted(one)]
            shown = wanted if np.isfinite(widest) else prompts
            found = self._found(shown, self.first_looks(shown, widest))
            if np.array_equal(obeyed(found, prompts), found):
                return found
        return self._refined(prompts, mask)

    def _found(self, prompts: Sequence[Prompt], looks: Sequence[Look]) -> Mask:
        """Of answers at all scales the best one, or the tree that runs on beyond them."""
        promised = promises(self.net, looks)
        if max(promised) < self.manner.tree and (side := side_of_tree(looks)):
            found = spread(self._looks, prompts, self.shape, side) > 0
            wanted = [spots(one) for one in prompts if _wanted(one)]
            places = np.concatenate([np.zeros((0, 2)), *wanted])
            if not thick_at(found, places):
                return connected(found, places)
        masks = [one.mask() for one in looks]
        return masks[most_agreed(promised, masks)]

    def first_looks(
        self, prompts: Sequence[Prompt], widest: float = np.inf
    ) -> list[Look]:
        """Answers at all scales, the widest first; those wider than `widest` are left out.

        One at least.
        """
        low, high = _box(prompts, None, self.shape)
        least = self.manner.least
        windows = scales(low, high, self.shape, margin=1.3, least=least)
        windows = [one for one in windows if one.side <= widest] or windows[-1:]
        return self._looks([Question(window, prompts) for window in windows])

    def _refined(self, prompts: Sequence[Prompt], mask: Mask) -> Mask:
        """The mask mended by the last prompt, near it, and where the net is sure."""
        manner = self.manner
        window = self._window(prompts, mask)
        thin = is_tree(mask)
        if thin:
            low, high = _box(prompts[-1:], None, self.shape)
            least = int(BEST * thickness(mask))
            window = around(low, high, margin=manner.margin, least=least)
        (found,) = self._looks([Question(window, prompts, mask)])
        for _ in range(0 if thin else GROWTH):
            if not found.reaches_out():
                break
            window = widened(window, mask.shape)
            (found,) = self._looks([Question(window, prompts, mask)])
        edge = np.log(manner.sure / (1 - manner.sure))
        reach = max(manner.near * window.side / manner.margin, 8.0)
        close = near(prompts[-1], mask.shape, reach)
        out = _taken(mask, found, close | (np.abs(found.logits()) > edge))
        if thin or not isinstance(prompts[-1], Click):
            return out
        return self._closer(prompts, obeyed(out, prompts), window.side)

    def _closer(self, prompts: Sequence[Prompt], mask: Mask, side: int) -> Mask:
        """Mended once more round the last click, seen from nearer than a window's side."""
        manner = self.manner
        at, _ = _box(prompts[-1:], None, self.shape)
        least = max(int(manner.closer * side), manner.least)
        window = around(at, at, margin=1, least=least)
        (found,) = self._looks([Question(window, prompts, mask)])
        reach = max(manner.near_closer * least, 4.0)
        return _taken(mask, found, near(prompts[-1], mask.shape, reach))

    def _window(self, prompts: Sequence[Prompt], mask: Mask) -> Window:
        """Round the mask and all prompts, but never larger than the image needs."""
        low, high = _box(prompts, mask, self.shape)
        manner = self.manner
        found = around(low, high, margin=manner.margin, least=manner.least)
        widest = whole(self.shape)
        return widest if found.side >= widest.side else found

    def _looks(self, questions: Sequence[Question]) -> list[Look]:
        if self._image is None:
            raise InputError("no image yet; call set_image before predict")
        manner = self.manner
        return look(self.net, self._image, questions, manner.size, half=manner.half)


def _taken(mask: Mask, found: Look, where: Mask) -> Mask:
    """The mask with what a look says, `where` that counts and the look shows it."""
    rows, columns = found.window.inside(mask.shape)
    out = mask.copy()
    said, counts = found.logits() > 0, where[rows, columns]
    out[rows, columns][counts] = said[rows, columns][counts]
    return out


def _wanted(prompt: Prompt) -> bool:
    return isinstance(prompt, Region) or prompt.positive


def _scale_anew(prompts: Sequence[Prompt], mask: Mask) -> float:
    """How many pixels wide to look anew; 0 to mend, as after a drawing."""
    clicks = [one for one in prompts if isinstance(one, Click)]
    if not isinstance(prompts[-1], Click):
        return 0.0
    places = np.array([(one.y, one.x) for one in clicks])
    return mistaken(places, [one.positive for one in clicks], mask)


def _box(
    prompts: Sequence[Prompt], mask: Mask | None, shape: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """First and last (y, x) on the image of all prompts and the mask."""
    places = [spots(prompt) for prompt in prompts]
    if mask is not None and mask.any():
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        places.append(np.array([[rows[0], columns[0]], [rows[-1], columns[-1]]]))
    every = np.clip(np.concatenate(places), 0, np.array(shape) - 1)
    low, high = every.min(0), every.max(0)
    return (low[0], low[1]), (high[0], high[1])


def check_prompts(
    prompts: Sequence[Prompt], previous: Mask | None, shape: tuple[int, int]
) -> None:
    """Refuse clicks outside an image of `shape`, and a mask of another one.

    Raises
    ------
    InputError
        Saying which.
    """
    if previous is not None and previous.shape != shape:
        raise InputError(
            f"the previous mask has shape {previous.shape}, the image {shape}"
        )
    for prompt in prompts:
        if not isinstance(prompt, Click):
            continue
        y, x = np.rint((prompt.y, prompt.x))
        if not (0 <= y < shape[0] and 0 <= x < shape[1]):
            raise InputError(
                f"the click at ({prompt.y:g}, {prompt.x:g}) lies outside the image of "
                f"{shape[0]}×{shape[1]} pixels"
            )


def spots(prompt: Prompt) -> npt.NDArray[np.floating[Any]]:
    """(n, 2) places of a prompt."""
    if isinstance(prompt, Region):
        return np.asarray(prompt.corners, float).reshape(-1, 2)
    return traced(prompt)


def innermost(
    regions: Sequence[Region], shape: tuple[int, int]
) -> tuple[int, ...] | None:
    """The most interior pixel of regions; None if there is none in the image."""
    held = np.zeros(shape, bool)
    for one in regions:
        held[draw.polygon(*np.rint(spots(one)).T, shape)] = True
    return interior_point(held)


def near(prompt: Prompt, shape: tuple[int, int], reach: float) -> Mask:
    """Pixels at most `reach` from a click or a stroke, or in a region's box so widened."""
    places = spots(prompt)
    low, high = places.min(0) - reach, places.max(0) + reach
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside: Mask = (y >= low[0]) & (y <= high[0]) & (x >= low[1]) & (x <= high[1])
    if isinstance(prompt, Click):
        inside = inside & ((y - prompt.y) ** 2 + (x - prompt.x) ** 2 <= reach**2)
    return inside


def obeyed(mask: Mask, prompts: Sequence[Prompt]) -> Mask:
    """The mask with every clicked or stroked pixel on its side; the later prompt wins."""
    out = mask.copy()
    for prompt in prompts:
        if isinstance(prompt, Region):
            continue
        at = np.rint(traced(prompt)).astype(int)
        at = at[((at >= 0) & (at < mask.shape)).all(1)]
        out[at[:, 0], at[:, 1]] = prompt.positive
    return out

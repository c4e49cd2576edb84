"""The net's answers through windows of an image, and what each of them promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from src_models.interactive.choice import overlap
from src_models.interactive.focus import Window, cut, fraction, put_back, whole
from src_models.interactive.prompt_maps import (
    colours_at,
    contrast,
    image_channels,
    moved,
    seeds,
    stack,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from src_models.interactive.net import ClickNet
    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]

BEYOND = -20.0  # logit of what a window does not show


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What the net is asked: a window, the prompts, the mask so far if there is one."""

    window: Window
    prompts: Sequence[Prompt]
    mask: Mask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """An answer.

    Attributes
    ----------
    window : Window
    shape : (int, int)
        Rows and columns of the image.
    raw : (size, size) float32
        Logits on the pixels that the net saw.
    valid : (size, size) bool
        Where the window shows the image.
    facts : (F)
        What a judge reads of the answer: `net.Judge.facts`.
    """

    window: Window
    shape: tuple[int, int]
    raw: Tensor
    valid: Tensor
    facts: Tensor

    @property
    def side(self) -> float:
        """Of the window, in pixels."""
        return self.window.side

    def agreement(self, closer: Look) -> float:
        """The IoU of the two answers in the closer window; 1 if both are empty."""
        where = closer.window.inside(closer.shape)
        return overlap(self.mask()[where], closer.mask()[where])

    def logits(self) -> Floats:
        """On the image's pixels, (y, x); `BEYOND` outside the window."""
        out = np.full(self.shape, BEYOND, np.float32)
        where, values = put_back(self.raw, self.window, self.shape)
        out[where] = values
        return out

    def mask(self) -> Mask:
        """On the image's pixels."""
        out = np.zeros(self.shape, bool)
        where, values = put_back(self.raw, self.window, self.shape)
        out[where] = values > 0
        return out

    def reaches_out(self) -> bool:
        """Whether the structure goes on where the window ends and the image does not."""
        return bool(self.cut_off().any())

    def cut_off(self) -> Tensor:
        """Structure on the window's own rim: (size, size) bool."""
        rim = torch.zeros_like(self.valid)
        first = (self.window.y, self.window.x)
        for axis in (0, 1):
            if first[axis] > 0:
                rim.select(axis, 0)[:] = True
            if first[axis] + self.window.side < self.shape[axis]:
                rim.select(axis, -1)[:] = True
        return rim & self.valid & (self.raw > 0)


def look(
    net: ClickNet,
    image_CYX: Tensor,
    questions: Sequence[Question],
    size: int,
    *,
    half: bool = False,
) -> list[Look]:
    """What the net says to each question, seen at `size`² pixels, in one batch.

    Parameters
    ----------
    image_CYX : (1 or 3, y, x) in [0, 1]
    half : bool
        In bfloat16.
    """
    shape = (image_CYX.shape[1], image_CYX.shape[2])
    seen, valid = zip(*(_seen(image_CYX, one, size) for one in questions), strict=True)
    x_BCYX = torch.from_numpy(np.stack(seen)).to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits_BYX, facts_BF = net.answer(x_BCYX)
    windows = [one.window for one in questions]
    found = zip(windows, logits_BYX.float(), valid, facts_BF.float(), strict=True)
    return [Look(window, shape, *rest) for window, *rest in found]


def _seen(image: Tensor, question: Question, size: int) -> tuple[Floats, Tensor]:
    """The net's input, and where it shows the image."""
    window, mask = question.window, question.mask
    colour = cut(image, window, size).expand(3, size, size).numpy()
    shape = (image.shape[1], image.shape[2])
    valid = fraction(np.ones(shape, bool), window, size)[0] > 0.5
    there = [moved(p, lambda at: window.places(at, size)) for p in question.prompts]
    previous = np.zeros((size, size), np.float32)
    if mask is not None and mask.any():
        previous = fraction(mask, window, size)[0].numpy()
    elsewhere = contrast(colour, valid.numpy())(_beyond(image, question))
    channels = image_channels(colour, valid.numpy())
    return stack(channels, there, previous, elsewhere), valid


def _beyond(image: Tensor, question: Question) -> Floats:
    """(n, 3) colours of what was marked as structure outside the window."""
    window = question.window
    places = seeds(question.prompts, positive=True)
    inside = (places >= (window.y, window.x)) & (
        places < (window.y + window.side, window.x + window.side)
    )
    colours = colours_at(image.expand(3, -1, -1).numpy(), places[~inside.all(1)])
    return colours.astype(np.float32, copy=False)


def scales(
    low: tuple[float, float],
    high: tuple[float, float],
    shape: tuple[int, int],
    *,
    margin: float,
    least: int,
) -> list[Window]:
    """Windows round a box: the whole image, then half the side again and again.

    The last is the smallest of at least `least` pixels and `margin` sides of the box.
    """
    found = [whole(shape)]
    longest = max(high[0] - low[0], high[1] - low[1]) + 1
    middle = ((low[0] + high[0] + 1) / 2, (low[1] + high[1] + 1) / 2)
    side = found[0].side // 2
    while side >= max(least, margin * longest):
        found.append(
            Window(round(middle[0] - side / 2), round(middle[1] - side / 2), side)
        )
        side //= 2
    return found


def widened(window: Window, shape: tuple[int, int]) -> Window:
    """Twice the side round the same middle, or the whole image if that is no larger."""
    half = window.side // 2
    grown = Window(window.y - half, window.x - half, window.side + 2 * half)
    widest = whole(shape)
    return widest if grown.side >= widest.side else grown

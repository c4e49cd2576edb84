"""Prompts in any plane of a scan → the structure there, by a predictor of pictures."""

from __future__ import annotations

import copy
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_segreview.core.prompts import Box, Lasso, Point, flat
from napari_segreview.engine.click_volume import VolumeEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_segreview.core.prompts import Plane, Prompt
    from napari_segreview.core.protocols import Question
    from napari_segreview.core.scan import Scan
    from src_models.interactive.prompt_maps import Prompt as Mark

    Mask = npt.NDArray[np.bool_]

KEPT = 4  # planes whose image is ready
LONGEST = 2048  # pixels that a side is stretched to at most
HINTS = 12  # points of each sign that stand for a mask there was before


class Predictor(Protocol):
    """Of pictures with square pixels."""

    def set_image(self, image: npt.NDArray[Any], /) -> None: ...

    def answer(
        self, prompts: Sequence[Mark], previous: Mask | None = None, /
    ) -> Mask: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Between a plane of the scan and its picture with square pixels.

    Attributes
    ----------
    shape, square : (int, int)
        Rows and columns of the plane; of the picture.
    """

    shape: tuple[int, int]
    square: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int], spacing: tuple[float, float]) -> Stretch:
        """The picture as fine as the finer of the two spacings, `LONGEST` at most."""
        fine = min(spacing)
        sides = [
            max(n, min(round(n * step / fine), max(LONGEST, n)))
            for n, step in zip(shape, spacing, strict=True)
        ]
        if all(abs(a - b) <= 0.02 * a for a, b in zip(shape, sides, strict=True)):
            return cls(shape, shape)
        return cls(shape, (sides[0], sides[1]))

    def places(self, at: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """(n, 2) pixel centres of the plane → of the picture."""
        factors = np.array(self.square) / np.array(self.shape)
        moved: npt.NDArray[np.float64] = (at + 0.5) * factors - 0.5
        return moved.clip(0, np.array(self.square) - 1)

    def picture(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(y, x[, c]) of the plane → of the picture, linear in between."""
        if self.shape == self.square:
            return image
        kept = np.nan_to_num(image.astype(np.float32))
        return _resized(kept, (*self.square, *image.shape[2:]))

    def stretched(self, mask: Mask) -> Mask:
        """A mask of the plane as one of the picture."""
        if self.shape == self.square:
            return mask
        return _resized(mask.astype(np.float32), self.square) > 0.5

    def back(self, mask: Mask) -> Mask:
        """A mask of the picture as one of the plane: what fills half a pixel or more."""
        if self.shape == self.square:
            return mask
        return _resized(mask.astype(np.float32), self.shape) >= 0.5


def _resized(
    image: npt.NDArray[np.float32], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    from skimage.transform import resize

    found: npt.NDArray[np.float32] = resize(
        image, shape, order=1, mode="edge", anti_aliasing=False, preserve_range=True
    )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A plane whose picture a predictor has taken."""

    data: Any  # the scan's array; that it is the same one is how the scan is known
    plane: Plane
    stretch: Stretch
    predictor: Predictor


class ClickEngine:
    """Answers questions about planes; pictures of the last few stay prepared.

    Parameters
    ----------
    make : callable
        Makes the predictor, when the first question comes.
    volumes : VolumeEngine, optional
        Answers questions about whole volumes.
    """

    def __init__(
        self,
        make: Callable[[], Predictor] | None = None,
        volumes: VolumeEngine | None = None,
    ) -> None:
        self._make = make or _chosen
        self._volumes = volumes or VolumeEngine()
        self._first: Predictor | None = None
        self._ready: OrderedDict[tuple[int, Plane], _Ready] = OrderedDict()
        self._lock = threading.Lock()  # clicks and the way through slices may meet

    def warm(self) -> None:
        """Make the predictor, if it is not made yet; raises InputError if it cannot."""
        with self._lock:
            self._predictor()

    def answer(self, question: Question) -> Mask:
        """The structure in the question's plane, (y, x), or volume, (z, y, x).

        Raises
        ------
        InputError
            If the predictor cannot read the image.
        """
        if question.plane.axis is None and question.scan.grid.ndim == 3:
            return _held(self._volumes.answer(question), question)
        with self._lock:
            return self._answer(question)

    def _answer(self, question: Question) -> Mask:
        scan, plane = question.scan, question.plane
        ready = self._prepared(scan, plane)
        stretch = ready.stretch
        shown = [as_mark(one, scan.grid.ndim, stretch) for one in question.prompts]
        if question.base is not None:
            shown = [*_hints(question, stretch), *shown]
        previous = question.previous
        seen = None if previous is None else stretch.stretched(previous)
        mask = stretch.back(ready.predictor.answer(shown, seen))
        return _held(mask, question)

    def _predictor(self) -> Predictor:
        if self._first is None:
            self._first = self._make()
        return self._first

    def _prepared(self, scan: Scan, plane: Plane) -> _Ready:
        key = (id(scan.data), plane)
        ready = self._ready.pop(key, None)
        if ready is None or ready.data is not scan.data:
            image = image_of(scan, plane)
            rows, columns = plane.axes(scan.grid.ndim)
            spacing = scan.grid.spacing[rows], scan.grid.spacing[columns]
            stretch = Stretch.of((image.shape[0], image.shape[1]), spacing)
            predictor = copy.copy(self._predictor())  # the weights are shared
            predictor.set_image(stretch.picture(image))
            ready = _Ready(scan.data, plane, stretch, predictor)
        self._ready[key] = ready
        while len(self._ready) > KEPT:
            self._ready.popitem(last=False)
        return ready


def _chosen() -> Predictor:
    """The bundled predictor, unless the user has named a server."""
    from napari_segreview.engine import nninteractive
    from src_models.interactive import bench_predictor  # wakes torch

    if os.environ.get(nninteractive.VARIABLE):
        return nninteractive.server_predictor()
    return bench_predictor()


def image_of(scan: Scan, plane: Plane) -> npt.NDArray[Any]:
    """(y, x) or (y, x, channel) of a plane of the scan."""
    data = scan.data[plane.frame] if scan.has_time else scan.data
    if plane.axis is not None:
        data = data[(slice(None),) * plane.axis + (plane.index,)]
    return np.asarray(data)


def as_mark(prompt: Prompt, ndim: int, stretch: Stretch) -> Mark:
    """The prompt as the predictor reads it, on the picture."""
    from src_models.interactive import prompt_maps as marks

    places = stretch.places(flat(prompt, ndim))
    tuples = tuple((float(y), float(x)) for y, x in places)
    if isinstance(prompt, Point):
        ((y, x),) = tuples
        return marks.Click(y, x, prompt.positive)
    if isinstance(prompt, Box):
        (top, left), (bottom, right) = tuples
        return marks.box(top, left, bottom, right)
    if isinstance(prompt, Lasso):
        return marks.Region(tuples)
    return marks.Stroke(tuples, prompt.positive)


def _held(mask: Mask, question: Question) -> Mask:
    """The mask with each marked pixel on its side, after stretching too."""
    shape, out = np.array(mask.shape), mask.copy()
    for prompt in question.prompts:
        if isinstance(prompt, (Box, Lasso)):
            continue
        at = np.rint(flat(prompt, question.scan.grid.ndim)).astype(int)
        at = at[((at >= 0) & (at < shape)).all(1)]
        out[tuple(at.T)] = prompt.positive
    return out


def _hints(question: Question, stretch: Stretch) -> list[Mark]:
    """Points that stand for the mask there was before the first prompt.

    None lies near a prompt that says the opposite.
    """
    from src_models.interactive.prompt_maps import Click

    if question.base is None:
        return []
    said = [flat(one, question.scan.grid.ndim) for one in question.prompts]
    near = np.concatenate(said) if said else np.zeros((0, 2))
    inner, outer = support(question.base)
    reach = max(3.0, 0.35 * float(np.sqrt(question.base.sum() / np.pi)))
    found: list[Mark] = []
    for places, positive in ((inner, True), (outer, False)):
        for place in places:
            if len(near) and np.linalg.norm(near - place, axis=1).min() <= reach:
                continue
            ((y, x),) = stretch.places(place[None])
            found.append(Click(float(y), float(x), positive))
    return found


def support(
    mask: Mask, most: int = HINTS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(n, 2) places well inside a mask, and some round it; none of an empty one."""
    from scipy import ndimage

    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    if not mask.any():
        return np.zeros((0, 2)), np.zeros((0, 2))
    deepest = float(depth.max())
    away = ndimage.distance_transform_edt(~mask)
    gap = 2 + 0.5 * deepest
    ring = (away >= gap) & (away < gap + 1.5)
    return _spread(depth >= 0.6 * depth.max(), depth, most), _spread(ring, away, most)


def _spread(
    where: Mask, worth: npt.NDArray[np.float64], most: int
) -> npt.NDArray[np.float64]:
    """(n, 2) places far from each other, the worthiest first."""
    places = np.argwhere(where).astype(float)
    if not len(places):
        return places
    order = np.argsort(-worth[where], kind="stable")
    places = places[order]
    chosen, far = [places[0]], np.full(len(places), np.inf)
    while len(chosen) < most:
        far = np.minimum(far, np.linalg.norm(places - chosen[-1], axis=1))
        if far.max() < 2:
            break
        chosen.append(places[far.argmax()])
    return np.array(chosen)

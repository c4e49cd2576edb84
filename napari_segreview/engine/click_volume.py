"""Prompts anywhere in a 3D scan → the structure in all of it, by a predictor of volumes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_segreview.core.prompts import IN_A_SLICE, Box, Lasso, flat
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_segreview.core.protocols import Question
    from src_models.interactive.volume_maps import Spot

    Mask = npt.NDArray[np.bool_]

STEPS = 6  # places that stand for a scribble


class Predictor(Protocol):
    """Of volumes with any spacing."""

    def set_volume(
        self, volume: npt.NDArray[Any], spacing: Sequence[float], /
    ) -> None: ...

    def answer(
        self, spots: Sequence[Spot], previous: Mask | None = None, /
    ) -> Mask: ...


class VolumeEngine:
    """Answers questions about whole volumes; the last one stays prepared.

    Parameters
    ----------
    make : callable
        Makes the predictor, when the first question comes.
    """

    def __init__(self, make: Callable[[], Predictor] | None = None) -> None:
        self._make = make or _bundled
        self._predictor: Predictor | None = None
        self._ready: tuple[Any, int] = (None, 0)  # the scan's array, the frame
        self._lock = threading.Lock()

    def answer(self, question: Question) -> Mask:
        """The structure in the question's frame, (z, y, x).

        Raises
        ------
        InputError
            If a box or a lasso is among the prompts, or the predictor cannot read the scan.
        """
        with self._lock:
            return self._answer(question)

    def _answer(self, question: Question) -> Mask:
        scan, frame = question.scan, question.plane.frame
        spots = [spot for prompt in question.prompts for spot in as_spots(prompt)]
        predictor = self._predictor = self._predictor or self._make()
        if self._ready[0] is not scan.data or self._ready[1] != frame:
            data = scan.data[frame] if scan.has_time else scan.data
            predictor.set_volume(np.asarray(data), scan.grid.spacing)
            self._ready = scan.data, frame
        return predictor.answer(spots, question.previous)


def as_spots(prompt: Any) -> list[Spot]:
    """The prompt as voxels: a point as it is, of a scribble a few places."""
    from src_models.interactive.volume_maps import Spot

    if isinstance(prompt, (Box, Lasso)):
        raise InputError(IN_A_SLICE)
    places = flat(prompt, 3)
    if len(places) > STEPS:
        places = places[np.linspace(0, len(places) - 1, STEPS).astype(int)]
    return [Spot((z, y, x), prompt.positive) for z, y, x in places.tolist()]


def _bundled() -> Predictor:
    from src_models.interactive import volume_predictor  # wakes torch

    return volume_predictor()

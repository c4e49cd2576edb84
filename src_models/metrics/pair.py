"""Two label arrays over one grid, with or without time before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src_models.metrics.boxes import label_boxes, union
from src_models.metrics.checks import Labels, checked_pair, checked_spacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from src_models.metrics.boxes import Box


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A prediction and a reference, (t,) (z,) y, x, and the spacing of their space."""

    prediction: Labels
    reference: Labels
    spacing: tuple[float, ...]

    @classmethod
    def checked(
        cls,
        prediction: npt.ArrayLike,
        reference: npt.ArrayLike,
        spacing: Sequence[float],
        has_time: bool,
    ) -> Pair:
        """Refuse what is no such pair; see `checked_pair` and `checked_spacing`."""
        pair = checked_pair(prediction, reference, has_time=has_time)
        return cls(*pair, checked_spacing(spacing, pair[0].ndim - has_time))

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the space."""
        return self.prediction.shape[-len(self.spacing) :]

    @property
    def frames(self) -> int:
        """How many there are; 1 without time."""
        return self.prediction.size // math.prod(self.grid)

    def boxes(self) -> dict[int, Box]:
        """Label value → box that holds it in both arrays."""
        mine, theirs = label_boxes(self.prediction), label_boxes(self.reference)
        shared = {
            value: union(mine[value], theirs[value]) for value in mine & theirs.keys()
        }
        return mine | theirs | shared

    def in_frames(
        self, box: Box | None
    ) -> Iterator[tuple[int, tuple[int | slice, ...]]]:
        """(frame, index of the box in it); nothing without a box."""
        if box is None:
            return
        if len(box) == len(self.spacing):
            yield 0, box
            return
        for frame in range(box[0].start, box[0].stop):
            yield frame, (frame, *box[1:])

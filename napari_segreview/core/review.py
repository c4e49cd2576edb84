"""What a comparison found: facts that the engine makes and the window shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from napari_segreview.core.labels import LabelMap
    from src_models.metrics import Report, SliceScores


@dataclass(frozen=True, slots=True, eq=False)
class Review:
    """The scores of a pair, of the whole and slice by slice.

    `own` says what the prediction itself calls the values of the report, where that
    differs.
    """

    report: Report
    slices: SliceScores
    own: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMaps:
    """Where a prediction is wrong.

    Attributes
    ----------
    false, missed : LabelMap
        Predicted where the reference says otherwise; the reverse.
    surface : float32 array
        Of the labels' shape: how far the prediction's surface lies outside (above 0) or
        inside (below 0) the reference, in `unit`; NaN away from that surface.
    limit : float
        What the strongest colours stand for, in `unit`.
    """

    false: LabelMap
    missed: LabelMap
    surface: npt.NDArray[np.float32]
    limit: float

    @property
    def unit(self) -> str:
        return self.false.grid.unit

    @property
    def title(self) -> str:
        """For the layer of distances: what its colours stand for."""
        return f"surface distance −{self.limit:g} to +{self.limit:g} {self.unit}"

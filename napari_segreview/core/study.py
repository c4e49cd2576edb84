"""What was found of several readers' labels of the same cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_segreview.core.labels import LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two readers' labels of one structure of one case.

    `dice`, `nsd` in [0, 1]; `hd95` in the study's unit; volumes in its unit of volume.
    """

    case: str
    structure: str
    first: str
    second: str
    dice: float
    nsd: float
    hd95: float
    volume_first: float
    volume_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All pairs of readers over all cases. `model` is "" where all are people."""

    readers: tuple[str, ...]
    model: str
    pairs: tuple[Agreement, ...]
    unit: str
    volume_unit: str
    tolerance: float

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.structure for one in self.pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """What the readers of one case agree on.

    Attributes
    ----------
    majority, staple : LabelMap
        The label that more than half of the readers gave; that of STAPLE.
    disagreement : (like the labels) float32 array
        Share of the readers, 0 to below 1, that do not give the most frequent label.
    """

    majority: LabelMap
    staple: LabelMap
    disagreement: npt.NDArray[np.float32]

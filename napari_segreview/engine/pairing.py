"""Two label maps made comparable: on one grid, under one numbering. Wakes no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segreview.core.matching import renumbered, renumbering
from napari_segreview.engine.regrid import labels_onto
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_segreview.core.labels import LabelMap
    from src_models.progress import Progress

RESAMPLE = (
    ", or have one resampled (“Resample where grids differ”; on the command line "
    "--resample)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """A prediction and a reference, voxel on voxel and label by label.

    Attributes
    ----------
    prediction, reference : LabelMap
        On the reference's grid and under its values.
    notes : tuple of str
        What was done to the prediction, in words; empty for nothing.
    own : mapping
        Value → what the prediction itself calls it; values that are not in it are the
        same in both.
    """

    prediction: LabelMap
    reference: LabelMap
    notes: tuple[str, ...]
    own: Mapping[int, int]

    @property
    def names(self) -> dict[int, str]:
        """Value → name; the reference's counts."""
        return {
            value: row.name
            for table in (self.prediction.table, self.reference.table)
            for value, row in table.items()
        }


def paired_up(
    prediction: LabelMap, reference: LabelMap, *, resample: bool = False
) -> Generator[Progress, None, Pairing]:
    """Bring the prediction onto the reference's grid, if asked, and under its values.

    Raises
    ------
    InputError
        If the grids differ and `resample` is false, or they cannot be brought together.
    """
    notes = []
    if not resample:
        check_grids(prediction, reference, or_else=RESAMPLE)
    elif prediction.grid.difference(reference.grid):
        prediction, said = yield from labels_onto(
            prediction, reference.grid, reference.name
        )
        notes.append(said)
    check_grids(prediction, reference)
    new, said = renumbering(prediction, reference)
    if said:
        notes.append(said)
    return Pairing(
        renumbered(prediction, new),
        reference,
        tuple(notes),
        {mine: own for own, mine in new.items()},
    )


def check_grids(*maps: LabelMap, or_else: str = "") -> None:
    """Refuse label maps of different grids, with what differs.

    Parameters
    ----------
    or_else : str
        What else can be done than to export them anew, in words.

    Raises
    ------
    InputError
    """
    first = maps[0]
    for other in maps[1:]:
        if first.has_time != other.has_time:
            raise InputError(
                f"{first.name} and {other.name} cannot be compared: only one of them "
                "has frames"
            )
        apart = first.grid.difference(other.grid)
        if not apart and first.data.shape != other.data.shape:
            apart = f"{len(first.data)} frames against {len(other.data)}"
        if apart:
            raise InputError(
                f"{first.name} and {other.name} lie on different grids ({apart}); "
                f"export both on the scan's own grid{or_else}"
            )

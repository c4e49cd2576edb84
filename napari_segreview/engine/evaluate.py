"""Two label maps in, a report out. Wakes no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src_models.errors import InputError
from src_models.metrics import Report, score

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_segreview.core.labels import LabelMap
    from src_models.progress import Progress


def compare(
    prediction: LabelMap, reference: LabelMap, tolerance: float
) -> Generator[Progress, None, Report]:
    """Score each structure of the prediction against the reference.

    Parameters
    ----------
    tolerance : float
        For the NSD, in the grid's unit (mm or px).

    Raises
    ------
    InputError
        If the two lie on different grids: then no voxel can be compared with another.
    """
    if prediction.has_time != reference.has_time:
        raise InputError(
            f"{prediction.name} and {reference.name} cannot be compared: only one of them "
            "has frames"
        )
    apart = prediction.grid.difference(reference.grid)
    if not apart and prediction.data.shape != reference.data.shape:
        apart = f"{len(prediction.data)} frames against {len(reference.data)}"
    if apart:
        raise InputError(
            f"{prediction.name} and {reference.name} lie on different grids ({apart}); "
            "export both on the scan's own grid"
        )
    names = {
        **{v: row.name for v, row in prediction.table.items()},
        **{v: row.name for v, row in reference.table.items()},
    }
    return (
        yield from score(
            prediction.data,
            reference.data,
            spacing=prediction.grid.spacing,
            unit=prediction.grid.unit,
            tolerance=tolerance,
            labels=names,
            has_time=prediction.has_time,
            names=(prediction.name, reference.name),
        )
    )

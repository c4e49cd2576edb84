"""Two label maps in, scores and maps of errors out. Wakes no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_segreview.core.labels import RGB, Label, LabelMap, LabelTable
from napari_segreview.core.matching import match_names
from napari_segreview.core.review import ErrorMaps, Review
from src_models.errors import InputError
from src_models.metrics import (
    Report,
    false_labels,
    score,
    slice_scores,
    surface_map,
)
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import numpy.typing as npt

TOO_MUCH: RGB = (0.84, 0.37, 0.00)  # as the ends of the colours of surface distances
TOO_LITTLE: RGB = (0.00, 0.45, 0.70)
LIMIT_TOLERANCES = 2.0  # the strongest colour, in tolerances


def compare(
    prediction: LabelMap, reference: LabelMap, tolerance: float
) -> Generator[Progress, None, Report]:
    """Score each structure of the prediction against the reference.

    Labels whose tables differ are matched by name; see `match_names`.

    Parameters
    ----------
    tolerance : float
        For the NSD and the boundary IoU, in the grid's unit (mm or px).

    Raises
    ------
    InputError
        If the two lie on different grids: then no voxel can be compared with another.
    """
    check_grids(prediction, reference)
    prediction, _ = match_names(prediction, reference)
    return (
        yield from score(
            prediction.data,
            reference.data,
            spacing=prediction.grid.spacing,
            unit=prediction.grid.unit,
            tolerance=tolerance,
            labels=_names(prediction, reference),
            has_time=prediction.has_time,
            names=(prediction.name, reference.name),
        )
    )


def review(
    prediction: LabelMap, reference: LabelMap, tolerance: float
) -> Generator[Progress, None, Review]:
    """The same, and the scores of each slice along the first axis of a volume."""
    report = yield from compare(prediction, reference, tolerance)
    matched, note = match_names(prediction, reference)
    slices = yield from slice_scores(
        matched.data,
        reference.data,
        spacing=matched.grid.spacing,
        axis=0 if matched.grid.ndim == 3 else None,
        unit=matched.grid.unit,
        labels=_names(matched, reference),
        has_time=matched.has_time,
    )
    return Review(report, slices, note)


def error_maps(
    prediction: LabelMap, reference: LabelMap, tolerance: float
) -> Generator[Progress, None, ErrorMaps]:
    """What is predicted wrongly, what is missed, how far the surface is off.

    Raises
    ------
    InputError
        If the two lie on different grids.
    """
    check_grids(prediction, reference)
    matched, _ = match_names(prediction, reference)
    names = _names(matched, reference)
    yield Progress(0, 2, "false and missed voxels")
    false, missed = false_labels(matched.data, reference.data)
    yield Progress(1, 2, "surface distances")
    surface = surface_map(
        matched.data,
        reference.data,
        spacing=matched.grid.spacing,
        has_time=matched.has_time,
    )
    return ErrorMaps(
        _one_colour(matched, false, "false positive", names.items(), TOO_MUCH),
        _one_colour(matched, missed, "false negative", names.items(), TOO_LITTLE),
        surface,
        LIMIT_TOLERANCES * tolerance,
    )


def check_grids(*maps: LabelMap) -> None:
    """Refuse label maps of different grids, with what differs.

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
                "export both on the scan's own grid"
            )


def _one_colour(
    beside: LabelMap,
    data: npt.NDArray[Any],
    name: str,
    names: Iterable[tuple[int, str]],
    colour: RGB,
) -> LabelMap:
    table = LabelTable(tuple(Label(v, f"{name}: {s}", colour) for v, s in names))
    return replace(beside, data=data, table=table, name=name)


def _names(prediction: LabelMap, reference: LabelMap) -> dict[int, str]:
    """Value → name; the reference's counts."""
    return {
        **{v: row.name for v, row in prediction.table.items()},
        **{v: row.name for v, row in reference.table.items()},
    }

"""Two label maps in, scores and maps of errors out. Wakes no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_segreview.core.labels import RGB, Label, LabelMap, LabelTable
from napari_segreview.core.review import ErrorMaps, Review
from napari_segreview.engine.pairing import Pairing, paired_up
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
NOTHING = "Neither side has a label: there is nothing to compare."
LIMIT_TOLERANCES = 2.0  # the strongest colour, in tolerances


def compare(
    prediction: LabelMap,
    reference: LabelMap,
    tolerance: float,
    *,
    resample: bool = False,
) -> Generator[Progress, None, Report]:
    """Score each structure of the prediction against the reference.

    Labels whose tables differ are matched by name; see `matching.renumbering`.

    Parameters
    ----------
    tolerance : float
        For the NSD and the boundary IoU, in the grid's unit (mm or px).
    resample : bool
        Bring a prediction on another grid onto the reference's; the report says so.

    Raises
    ------
    InputError
        If the two lie on different grids: then no voxel can be compared with another.
    """
    pair = yield from paired_up(prediction, reference, resample=resample)
    return (yield from _scored(pair, tolerance))


def review(
    prediction: LabelMap,
    reference: LabelMap,
    tolerance: float,
    *,
    resample: bool = False,
) -> Generator[Progress, None, Review]:
    """The same, and the scores of each slice along the first axis of a volume."""
    pair = yield from paired_up(prediction, reference, resample=resample)
    return (yield from reviewed(pair, tolerance))


def reviewed(pair: Pairing, tolerance: float) -> Generator[Progress, None, Review]:
    """`review` of a pair that is comparable already."""
    report = yield from _scored(pair, tolerance)
    grid = pair.reference.grid
    slices = yield from slice_scores(
        pair.prediction.data,
        pair.reference.data,
        spacing=grid.spacing,
        axis=0 if grid.ndim == 3 else None,
        unit=grid.unit,
        labels=pair.names,
        has_time=pair.reference.has_time,
    )
    return Review(report, slices, pair.own)


def error_maps(
    prediction: LabelMap,
    reference: LabelMap,
    tolerance: float,
    *,
    resample: bool = False,
) -> Generator[Progress, None, ErrorMaps]:
    """What is predicted wrongly, what is missed, how far the surface is off.

    On the reference's grid.

    Raises
    ------
    InputError
        As `compare`.
    """
    pair = yield from paired_up(prediction, reference, resample=resample)
    yield Progress(0, 2, "false and missed voxels")
    both = pair.prediction.data, pair.reference.data
    false, missed = false_labels(*both)
    yield Progress(1, 2, "surface distances")
    surface = surface_map(
        *both,
        spacing=pair.reference.grid.spacing,
        has_time=pair.reference.has_time,
    )
    names = pair.names.items()
    return ErrorMaps(
        _one_colour(pair.reference, false, "false positive", names, TOO_MUCH),
        _one_colour(pair.reference, missed, "false negative", names, TOO_LITTLE),
        surface,
        LIMIT_TOLERANCES * tolerance,
    )


def _scored(pair: Pairing, tolerance: float) -> Generator[Progress, None, Report]:
    grid = pair.reference.grid
    report = yield from score(
        pair.prediction.data,
        pair.reference.data,
        spacing=grid.spacing,
        unit=grid.unit,
        tolerance=tolerance,
        labels=pair.names,
        has_time=pair.reference.has_time,
        names=(pair.prediction.name, pair.reference.name),
    )
    nothing = () if report.rows else (NOTHING,)
    return replace(report, notes=(*pair.notes, *nothing))


def _one_colour(
    beside: LabelMap,
    data: npt.NDArray[Any],
    name: str,
    names: Iterable[tuple[int, str]],
    colour: RGB,
) -> LabelMap:
    table = LabelTable(tuple(Label(v, f"{name}: {s}", colour) for v, s in names))
    return replace(beside, data=data, table=table, name=name)

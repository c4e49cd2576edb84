"""Two label volumes → a report, one label at a time.

Each label is looked at inside the box that holds it in both volumes, so the memory
needed beyond the volumes grows with the largest label, not with their number.

With time before space, voxels are counted over all frames; surface distances are taken
within each frame and pooled, where a frame in which just one side is empty adds the
diagonal of the image once; volumes are means of the frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src_models.errors import InputError
from src_models.metrics import overlap
from src_models.metrics.boundary import boundary_counts
from src_models.metrics.checks import checked_tolerance
from src_models.metrics.columns import VOLUME_UNITS, Unit
from src_models.metrics.pair import Pair
from src_models.metrics.report import LabelScore, Report
from src_models.metrics.surface import (
    SurfaceDistances,
    assd,
    hd95,
    image_diagonal,
    nsd,
    pooled,
    surface_distances,
)
from src_models.progress import Progress, drain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import numpy.typing as npt

    from src_models.metrics.boxes import Box
    from src_models.metrics.overlap import Counts


def score(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    spacing: Sequence[float],
    unit: Unit = "mm",
    tolerance: float = 2.0,
    labels: Mapping[int, str] | None = None,
    has_time: bool = False,
    names: tuple[str, str] = ("prediction", "reference"),
) -> Generator[Progress, None, Report]:
    """Score every label; yields after each, returns the report.

    Parameters
    ----------
    prediction, reference : integer or bool array, (t,) (z,) y, x, same shape
        Labels ≥ 0; 0 is background and never scored. A bool mask is label 1.
    spacing : sequence of float
        Distance between neighbours along each axis of space, in `unit`.
    unit : {"mm", "px"}
        "px" for grids without a size.
    tolerance : float
        Of the NSD and the boundary IoU, in `unit`, above zero.
    labels : mapping, optional
        Value → name; scored even where both arrays lack them. Others are "label 5".
    has_time : bool
        Whether the first axis is time; see the top of this file.
    names : pair of str
        What is compared, for the report.

    Raises
    ------
    InputError
        At the first step, if anything of this does not hold.
    """
    pair = Pair.checked(prediction, reference, spacing, has_time)
    volume_unit, size = VOLUME_UNITS[unit, len(pair.spacing)]
    tolerance = checked_tolerance(tolerance)
    voxel = math.prod(pair.spacing) / pair.frames  # volumes are means of the frames
    rows = yield from _rows(pair, labels or {}, tolerance, voxel / size)
    return Report(
        rows=rows,
        spacing=pair.spacing,
        unit=unit,
        volume_unit=volume_unit,
        tolerance=tolerance,
        prediction=names[0],
        reference=names[1],
    )


def score_all(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    spacing: Sequence[float],
    unit: Unit = "mm",
    tolerance: float = 2.0,
    labels: Mapping[int, str] | None = None,
    has_time: bool = False,
    names: tuple[str, str] = ("prediction", "reference"),
) -> Report:
    """`score` run to its end, for scripts and loops."""
    steps = score(
        prediction,
        reference,
        spacing=spacing,
        unit=unit,
        tolerance=tolerance,
        labels=labels,
        has_time=has_time,
        names=names,
    )
    return drain(steps)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Of one label: voxels, voxels of the rims, distances."""

    counts: Counts
    rims: Counts
    distances: SurfaceDistances


def _measure(pair: Pair, value: int, box: Box | None, tolerance: float) -> _Measured:
    """One label, which lies in `box` or is nowhere."""
    masks, rims, parts = [], [], []
    for _, frame in pair.in_frames(box):
        mine, theirs = pair.prediction[frame] == value, pair.reference[frame] == value
        masks.append(overlap.counts(mine, theirs))
        rims.append(boundary_counts(mine, theirs, pair.spacing, tolerance))
        parts.append(surface_distances(mine, theirs, pair.spacing, grid=pair.grid))
    whole = pair.prediction.size
    diagonal = image_diagonal(pair.grid, pair.spacing)
    return _Measured(
        overlap.summed(masks, whole),
        overlap.summed(rims, whole),
        pooled(parts, diagonal),
    )


def _rows(
    pair: Pair, table: Mapping[int, str], tolerance: float, per_voxel: float
) -> Generator[Progress, None, tuple[LabelScore, ...]]:
    if table and min(table) < 0:
        raise InputError(
            f"a label table with values of 0 or more is wanted, got {min(table)}; give "
            "that label a value of its own"
        )
    boxes = pair.boxes()
    values = sorted((table.keys() | boxes.keys()) - {0})
    rows = []
    for done, value in enumerate(values, 1):
        name = table.get(value, f"label {value}")
        measured = _measure(pair, value, boxes.get(value), tolerance)
        rows.append(_row(value, name, measured, tolerance, per_voxel))
        yield Progress(done, len(values), name)
    return tuple(rows)


def _row(
    value: int,
    name: str,
    measured: _Measured,
    tolerance: float,
    per_voxel: float,
) -> LabelScore:
    counts, distances = measured.counts, measured.distances
    return LabelScore(
        value=value,
        name=name,
        case=counts.case,
        dice=overlap.dice(counts),
        iou=overlap.iou(counts),
        sensitivity=overlap.sensitivity(counts),
        specificity=overlap.specificity(counts),
        precision=overlap.precision(counts),
        hd95=hd95(distances),
        assd=assd(distances),
        nsd=nsd(distances, tolerance),
        volume_prediction=counts.predicted * per_voxel,
        volume_reference=counts.referenced * per_voxel,
        volume_difference=(counts.predicted - counts.referenced) * per_voxel,
        boundary_iou=overlap.iou(measured.rims),
    )

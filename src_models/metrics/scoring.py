"""Two label volumes → a report, one label at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src_models.errors import InputError
from src_models.metrics import overlap
from src_models.metrics.boxes import label_boxes, union
from src_models.metrics.checks import (
    Labels,
    checked_pair,
    checked_spacing,
    checked_tolerance,
)
from src_models.metrics.columns import VOLUME_UNITS, Unit
from src_models.metrics.report import LabelScore, Report
from src_models.metrics.surface import (
    SurfaceDistances,
    assd,
    hd95,
    nsd,
    pooled,
    surface_distances,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from src_models.metrics.boxes import Box


@dataclass(frozen=True, slots=True)
class ScoreStep:
    """So far: `done` of `total` labels, the last one named in `note`."""

    done: int
    total: int
    note: str


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
) -> Generator[ScoreStep, None, Report]:
    """Score every label; yields after each, returns the report.

    Each label is looked at inside the box that holds it in both volumes, so the memory
    needed beyond the volumes grows with the largest label, not with their number.

    Parameters
    ----------
    prediction, reference : integer or bool array, (t,) (z,) y, x, same shape
        Labels ≥ 0; 0 is background and never scored. A bool mask is label 1.
    spacing : sequence of float
        Distance between neighbours along each axis of space, in `unit`.
    unit : {"mm", "px"}
        "px" for grids without a size.
    tolerance : float
        Of the NSD, in `unit`, above zero.
    labels : mapping, optional
        Value → name. Its values are scored even where both arrays lack them; values
        that it lacks are scored as "label 5".
    has_time : bool
        Whether the first axis is time. Voxels are then counted over all frames, and
        surface distances taken within each frame and pooled; a frame in which just one
        side is empty adds the diagonal of the image once. Volumes are means of frames.
    names : pair of str
        What is compared, for the report.

    Raises
    ------
    InputError
        At the first step: if the shapes differ, labels are fractions or negative, or
        the spacing or the tolerance is none.
    """
    mine, theirs = checked_pair(prediction, reference, has_time=has_time)
    steps = checked_spacing(spacing, mine.ndim - has_time)
    tolerance = checked_tolerance(tolerance)
    volume_unit, size = VOLUME_UNITS[unit, len(steps)]
    per_voxel = float(np.prod(steps)) / size / (mine.shape[0] if has_time else 1)

    boxes = (label_boxes(mine), label_boxes(theirs))
    titles = _titles(labels or {}, boxes[0].keys() | boxes[1].keys())
    rows = []
    for done, (value, name) in enumerate(titles.items(), 1):
        box = union(boxes[0].get(value), boxes[1].get(value))
        found, apart = _measure(value, box, mine, theirs, steps)
        rows.append(_row(value, name, found, apart, tolerance, per_voxel))
        yield ScoreStep(done, len(titles), name)
    return Report(
        rows=tuple(rows),
        spacing=steps,
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
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: Report = end.value
            return report


def _titles(table: Mapping[int, str], found: set[int]) -> dict[int, str]:
    """Value → name of all that is scored, by rising value."""
    if table and min(table) < 0:
        raise InputError(
            f"a label table with values of 0 or more is wanted, got {min(table)}; give "
            "that label a value of its own"
        )
    values = sorted((table.keys() | found) - {0})
    return {value: table.get(value, f"label {value}") for value in values}


def _measure(
    value: int,
    box: Box | None,
    prediction: Labels,
    reference: Labels,
    spacing: tuple[float, ...],
) -> tuple[overlap.Counts, SurfaceDistances]:
    """Counts and distances of one label over all frames that may hold it."""
    grid = prediction.shape[-len(spacing) :]
    tp = fp = fn = 0
    parts = []
    for frame in _frames(box, len(spacing)):
        mine, theirs = prediction[frame] == value, reference[frame] == value
        found = overlap.counts(mine, theirs)
        tp, fp, fn = tp + found.tp, fp + found.fp, fn + found.fn
        parts.append(surface_distances(mine, theirs, spacing, grid=grid))
    tn = prediction.size - tp - fp - fn
    diagonal = float(np.linalg.norm(np.multiply(grid, spacing)))
    return overlap.Counts(tp, fp, fn, tn), pooled(parts, diagonal)


def _frames(box: Box | None, ndim: int) -> Iterator[tuple[int | slice, ...]]:
    """A box of space as it is; one with time before it, frame by frame."""
    if box is None:
        return
    if len(box) == ndim:
        yield box
        return
    for frame in range(box[0].start, box[0].stop):
        yield (frame, *box[1:])


def _row(
    value: int,
    name: str,
    found: overlap.Counts,
    apart: SurfaceDistances,
    tolerance: float,
    per_voxel: float,
) -> LabelScore:
    return LabelScore(
        value=value,
        name=name,
        case=found.case,
        dice=overlap.dice(found),
        iou=overlap.iou(found),
        sensitivity=overlap.sensitivity(found),
        specificity=overlap.specificity(found),
        precision=overlap.precision(found),
        hd95=hd95(apart),
        assd=assd(apart),
        nsd=nsd(apart, tolerance),
        volume_prediction=found.predicted * per_voxel,
        volume_reference=found.referenced * per_voxel,
        volume_difference=(found.predicted - found.referenced) * per_voxel,
    )

"""From some slices of a structure to the others.

Between two slices that were clicked: shape-based interpolation of their signed distances
(Raya and Udupa, IEEE TMI 9(1), 1990). Beyond them: as far as the predictor of volumes
finds the structure, slice after slice, the last mask's interior as positive clicks, its
surroundings as negative ones, the mask as the previous one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.prompts import Plane, Point
from napari_segreview.core.protocols import Question
from napari_segreview.engine.clicks import image_of, support
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import numpy.typing as npt

    from napari_segreview.core.scan import Scan
    from napari_segreview.engine.clicks import ClickEngine

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

FEWEST = 0.3  # share of the area, or of the interior points, below which it has ended
MOST = 2.0  # times the area above which the answer has leaked
LIKE = 2.5  # standard deviations of the structure's grey that still are the structure
TINY = 9  # pixels below which an area says nothing
WITHIN, BESIDE = 4, 2  # points that tell a slice to the predictor of volumes


def through(
    engine: ClickEngine, scan: Scan, masks: Mapping[Plane, Mask]
) -> Generator[Progress, None, dict[Plane, Mask]]:
    """The structure's other slices; those given are not among them.

    Parameters
    ----------
    masks : Plane → (y, x) bool
        Parallel slices of one frame; empty ones end the structure.

    Yields
    ------
    Progress
        After each slice; beyond the ends the number of slices is the most there can be.
    """
    planes = sorted(masks, key=lambda plane: plane.index)
    if not planes or planes[0].axis is None:
        return {}
    count = scan.grid.shape[planes[0].axis]
    rows, columns = planes[0].axes(scan.grid.ndim)
    spacing = scan.grid.spacing[rows], scan.grid.spacing[columns]
    found: dict[Plane, Mask] = {}
    yield Progress(0, count, "how far it reaches")
    first, end = extent(engine, scan, masks)
    for low, high in pairwise(planes):
        between = range(low.index + 1, high.index)
        if not between or not (masks[low].any() and masks[high].any()):
            continue
        ends = [signed_distance(masks[one], spacing) for one in (low, high)]
        for index in between:
            share = (index - low.index) / (high.index - low.index)
            found[replace(low, index=index)] = interpolated(ends[0], ends[1], share)
            yield Progress(len(found), count, f"slice {index}")
    for plane, step in ((planes[-1], 1), (planes[0], -1)):
        last = masks[plane]
        while last.any():
            plane = replace(plane, index=plane.index + step)
            if not first <= plane.index <= end:
                break
            before = replace(plane, index=plane.index - step)
            last = next_slice(engine, scan, before, plane, last)
            if last.any():
                found[plane] = last
            yield Progress(min(len(found), count), count, f"slice {plane.index}")
    return found


def extent(
    engine: ClickEngine, scan: Scan, masks: Mapping[Plane, Mask]
) -> tuple[int, int]:
    """First and last slice that the structure reaches without a gap.

    As the predictor of volumes sees it; the slices given are always within.
    """
    planes = sorted(masks, key=lambda plane: plane.index)
    first, end, axis = planes[0].index, planes[-1].index, planes[0].axis
    inner: list[Point] = []
    outer: list[Point] = []
    for plane, mask in masks.items():
        within, beside = support(mask, WITHIN)
        inner += [_lifted(plane, place, positive=True) for place in within]
        outer += [_lifted(plane, place, positive=False) for place in beside[:BESIDE]]
    if not inner or axis is None:
        return first, end
    everywhere = replace(planes[0], axis=None, index=0)
    prompts = tuple(replace(one, plane=everywhere) for one in (*outer, *inner))
    body = engine.answer(Question(scan=scan, plane=everywhere, prompts=prompts))
    others = tuple(other for other in range(3) if other != axis)
    there: list[bool] = np.any(body, axis=others).tolist()
    while first > 0 and there[first - 1]:
        first -= 1
    while end + 1 < len(there) and there[end + 1]:
        end += 1
    return first, end


def next_slice(
    engine: ClickEngine, scan: Scan, before: Plane, plane: Plane, mask: Mask
) -> Mask:
    """The structure in a slice beside one where it is `mask`; empty if it has ended."""
    nothing = np.zeros_like(mask)
    inner, outer = support(mask)
    alike = _alike(image_of(scan, before)[mask], image_of(scan, plane), inner)
    if alike.sum() < FEWEST * len(inner):
        return nothing
    points = [_lifted(plane, place, positive=False) for place in outer]
    points += [_lifted(plane, place, positive=True) for place in inner[alike]]
    question = Question(scan=scan, plane=plane, prompts=tuple(points), previous=mask)
    answer = engine.answer(question)
    area, had = int(answer.sum()), int(mask.sum())
    if area < max(FEWEST * had, 1) or (area > MOST * had and area > TINY):
        return nothing
    return answer


def _alike(
    inside: npt.NDArray[np.generic], image: npt.NDArray[np.generic], at: Floats
) -> Mask:
    """Which places of an image look like the voxels inside the structure."""
    known = inside.astype(float).reshape(len(inside), -1)
    rows, columns = np.rint(at).astype(int).T
    there = image[rows, columns].astype(float).reshape(len(at), -1)
    middle = np.median(known, axis=0)
    spread = known.std(axis=0)
    whole = image.astype(float).std() * 0.1  # noise that one slice may not show
    near: Mask = (np.abs(there - middle) <= LIKE * np.maximum(spread, whole)).all(1)
    return near


def _lifted(plane: Plane, place: Floats, *, positive: bool) -> Point:
    """A place of a plane as a voxel of the scan."""
    at = [float(v) for v in place]
    if plane.axis is not None:
        at.insert(plane.axis, float(plane.index))
    return Point(plane, tuple(at), positive)


def signed_distance(mask: Mask, spacing: tuple[float, float]) -> Floats:
    """Distance to the mask's edge, negative inside; the mask is not empty."""
    from scipy import ndimage

    def distance(to: Mask) -> Floats:
        found: Floats = ndimage.distance_transform_edt(to, sampling=spacing)
        return found

    inside, outside = distance(np.pad(mask, 1))[1:-1, 1:-1], distance(~mask)
    half = min(spacing) / 2  # voxel centres lie half a voxel from the edge
    return np.where(mask, half - inside, outside - half)


def interpolated(low: Floats, high: Floats, share: float) -> Mask:
    """Where the two signed distances, mixed by `share` of the second, are inside."""
    return (1 - share) * low + share * high < 0

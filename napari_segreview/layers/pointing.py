"""Where on a scan the mouse is, in the 2D and in the 3D view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.errors import InputError
from napari_segreview.core.prompts import Plane
from napari_segreview.layers.placing import transform_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.prompts import Place
    from napari_segreview.core.scan import Scan

    Floats = npt.NDArray[np.floating[Any]]

SAMPLES = 2  # a voxel's length, along a line of sight
OUTSIDE = "The slider is outside this scan: move it back to click."


def plane_shown(viewer: ViewerModel, image: Layer, scan: Scan) -> Plane:
    """The plane of the scan that is on the screen.

    Raises
    ------
    InputError
        If the axes shown are not two of the scan's space, or the slider is beside the scan.
    """
    index = _hidden(viewer, image)
    if (scan.has_time and 0 not in index) or len(index) != image.ndim - 2:
        raise InputError("Show two axes of the scan's space to click on it.")
    frame = index.pop(0) if scan.has_time else 0
    axis, where = next(iter(index.items()), (None, 0))
    plane = Plane(None if axis is None else axis - scan.has_time, where, frame)
    if not plane.inside(scan):
        raise InputError(OUTSIDE)
    return plane


def _hidden(viewer: ViewerModel, image: Layer) -> dict[int, int]:
    """Where each of the image's axes that is not shown is cut: axis → index."""
    lead = viewer.dims.ndim - image.ndim
    hidden = [axis - lead for axis in viewer.dims.not_displayed if axis >= lead]
    matrix = np.linalg.inv(transform_of(image))
    point = np.asarray(viewer.dims.point, float)[lead:]
    # As napari slices: by the part of the map that leaves out the axes shown.
    at = matrix[np.ix_(hidden, hidden)] @ point[hidden] + matrix[hidden, -1]
    return dict(zip(hidden, np.rint(at).astype(int).tolist(), strict=True))


def place_of(
    viewer: ViewerModel, image: Layer, scan: Scan, plane: Plane, event: Any
) -> Place:
    """Where the mouse is, as a voxel of the scan."""
    lead = viewer.dims.ndim - image.ndim
    shown = [axis - lead for axis in event.dims_displayed]
    world = np.asarray(event.position, float)[lead:]
    at = on_screen(image, shown, world)[int(scan.has_time) :]
    if plane.axis is not None:
        at[plane.axis] = plane.index
    return tuple(float(v) for v in at)


def on_screen(
    image: Layer, shown: list[int], world: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The data place at a world place of the screen; 0 along the axes not shown.

    As napari draws: by the part of the map within the axes shown.
    """
    matrix = transform_of(image)
    part = matrix[np.ix_(shown, shown)]
    at = np.zeros(image.ndim)
    at[shown] = np.linalg.solve(part, world[shown] - matrix[shown, -1])
    return at


def voxel_seen(
    viewer: ViewerModel, image: Layer, scan: Scan, event: Any
) -> tuple[Plane, Place]:
    """The first visible voxel under the mouse in the 3D view, and the slice across it.

    What is visible is as the layer is drawn: the brightest voxel on the line of sight
    (the darkest for "minip"), the first above the threshold of "iso", or the first above
    the middle of the contrast limits where rays add up.

    Raises
    ------
    InputError
        If an axis of time is shown, or nothing can be seen there.
    """
    lead = viewer.dims.ndim - image.ndim
    shown = [axis - lead for axis in event.dims_displayed]
    if scan.grid.ndim != 3 or min(shown) < scan.has_time:
        raise InputError("Show the three axes of a scan's space, or press Ctrl+Y.")
    space = [axis - scan.has_time for axis in shown]
    frame = _hidden(viewer, image)[0] if scan.has_time else 0
    if not Plane(None, 0, frame).inside(scan):
        raise InputError(OUTSIDE)
    matrix = transform_of(image)
    part = matrix[np.ix_(shown, shown)]
    position, along = (
        np.asarray(found, float)[lead:][shown]
        for found in (event.position, event.view_direction)
    )
    start = np.linalg.solve(part, position - matrix[shown, -1])
    sides = [scan.grid.shape[axis] for axis in space]
    line = crossed(start, np.linalg.solve(part, along), sides)
    voxels = np.empty_like(line)
    voxels[:, space] = line
    data = scan.data[frame] if scan.has_time else scan.data
    values = np.asarray(data[tuple(voxels.T)], float)
    at = visible(values.mean(-1) if scan.has_channels else values, image)
    if at is None:
        raise InputError("Nothing of the scan is seen there: click on what you see.")
    across = space[int(np.abs(along).argmax())]
    plane = Plane(across, int(voxels[at, across]), frame)
    return plane, tuple(map(float, voxels[at]))


def crossed(start: Floats, step: Floats, sides: Sequence[int]) -> npt.NDArray[np.int_]:
    """Voxels of a box of `sides` that a line meets, in its order, (n, axes); 0 if none.

    A voxel may come twice; one of which less than half a voxel's length is crossed may
    be missing.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = (
            np.array([np.full(len(sides), -0.5), np.array(sides) - 0.5]) - start
        ) / step
    ends = np.where(step == 0, [[-np.inf], [np.inf]], ends)
    missed = (step == 0) & ((start < -0.5) | (start > np.array(sides) - 0.5))
    first, last = ends.min(0).max(), ends.max(0).min()
    if missed.any() or first > last:
        return np.zeros((0, len(sides)), int)
    count = 1 + SAMPLES * int(np.ceil((last - first) * np.linalg.norm(step)))
    along = np.linspace(first, last, count)[:, None]
    found = np.rint(start + along * step).astype(int)
    return found.clip(0, np.array(sides) - 1)


def visible(values: Floats, image: Layer) -> int | None:
    """Which of the values on a line of sight is seen, as the layer is drawn; no NaN."""
    if not np.isfinite(values).any():
        return None
    drawn, (low, high) = str(image.rendering), image.contrast_limits
    if drawn == "minip":
        seen = (values == np.nanmin(values)) & (values < high)
    elif drawn == "iso":
        seen = values >= image.iso_threshold
    elif drawn.endswith("mip"):
        seen = (values == np.nanmax(values)) & (values > low)
    else:
        seen = values > (low + high) / 2
    return int(seen.argmax()) if seen.any() else None

"""Moving the view to where something is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.errors import InputError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.edits import Box


def look_at(viewer: ViewerModel, layer: Layer, box: Box) -> None:
    """Move the sliders so that a box of the layer's data is seen; not if it is already."""
    lead = viewer.dims.ndim - layer.ndim
    at = np.array(layer.world_to_data(viewer.dims.point[lead:]), dtype=float)
    hidden = [axis - lead for axis in viewer.dims.not_displayed if axis >= lead]
    for axis in hidden:
        if not box[axis].start <= round(at[axis]) < box[axis].stop:
            at[axis] = (box[axis].start + box[axis].stop - 1) // 2
    world = layer.data_to_world(at)
    for axis in hidden:
        viewer.dims.set_point(axis + lead, world[axis])


def plane_of(
    viewer: ViewerModel, layer: Layer, has_time: bool
) -> tuple[int, int, int | None]:
    """The spatial axis and the plane along it in which a layer is seen; the frame.

    Raises
    ------
    InputError
        If the layer is shown in 3D, or has no axis to cut.
    """
    lead = viewer.dims.ndim - layer.ndim
    at = np.array(layer.world_to_data(viewer.dims.point[lead:]), dtype=float)
    hidden = [axis - lead for axis in viewer.dims.not_displayed if axis >= lead]
    frame = round(at[0]) if has_time and 0 in hidden else None
    cut = [axis for axis in hidden if axis >= has_time]
    if len(cut) != 1:
        raise InputError(
            "slices are marked where one is looked at; switch to the 2D view of the scan"
        )
    side = layer.data.shape[cut[0]]
    return cut[0] - has_time, int(np.clip(round(at[cut[0]]), 0, side - 1)), frame

"""Moving the view to where something is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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

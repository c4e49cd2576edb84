"""A rectangle that is dragged once, in the plane of a layer that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.clicks import NO_CLICKS
from napari_segreview.core.errors import InputError
from napari_segreview.core.prompts import Box
from napari_segreview.core.scan import Scan
from napari_segreview.layers.pointer import LEFT
from napari_segreview.layers.pointing import place_of, plane_shown
from napari_segreview.layers.preview import Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.edits import Box as ArrayBox
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.prompts import Place, Plane

Taken = tuple["ArrayBox", "int | None"]


class RegionDrag:
    """Waits for one drag with the left button; then all of napari is as it was.

    Parameters
    ----------
    then : callable
        Gets the spatial slices, and the frame of a layer with time.

    Raises
    ------
    InputError
        If the layer is shown in 3D, or the slider is beside it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Layer,
        labels: LabelMap,
        then: Callable[[Taken], None],
    ) -> None:
        self._viewer, self._layer, self._then = viewer, layer, then
        self._of = Scan(
            data=labels.data, grid=labels.grid, name="", has_time=labels.has_time
        )
        if viewer.dims.ndisplay == 3:
            raise InputError("regions are marked in the 2D view: press Ctrl+Y")
        plane_shown(viewer, layer, self._of)
        self._preview = Preview(viewer)
        self._modes = [(one, one.mode) for one in viewer.layers]
        for one, _ in self._modes:
            one.mode = "pan_zoom"
        viewer.mouse_drag_callbacks.append(self._pressed)

    def stop(self) -> None:
        """Wait no longer; stopping twice is once."""
        if self._pressed not in self._viewer.mouse_drag_callbacks:
            return
        self._viewer.mouse_drag_callbacks.remove(self._pressed)
        self._preview.show(None, None, NO_CLICKS)
        for layer, mode in self._modes:
            if layer in self._viewer.layers:
                layer.mode = mode

    def _pressed(self, _: Any, event: Any) -> Generator[None, None, None]:
        """Napari runs this from press to release, a step at each move."""
        if event.button != LEFT or self._layer not in self._viewer.layers:
            return
        try:
            plane = plane_shown(self._viewer, self._layer, self._of)
        except InputError:
            return
        event.handled = True  # or the camera would pan
        first = last = self._place(plane, event)
        yield
        while event.type == "mouse_move":
            event.handled = True
            last = self._place(plane, event)
            ends = np.sort([first, last], axis=0)
            low, high = (tuple(map(float, end)) for end in ends)
            self._preview.mark(self._layer, self._of, [Box(plane, low, high)])
            yield
        event.handled = True
        self.stop()
        self._then(region(self._of, plane, first, last))

    def _place(self, plane: Plane, event: Any) -> Place:
        return place_of(self._viewer, self._layer, self._of, plane, event)


def region(scan: Scan, plane: Plane, first: Place, last: Place) -> Taken:
    """The voxels between two places of a plane, both included, as far as they exist."""
    shape = np.array(scan.grid.shape)
    low, high = np.clip(np.rint(np.sort([first, last], axis=0)), 0, shape - 1)
    box = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    return box, plane.frame if scan.has_time else None

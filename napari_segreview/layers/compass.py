"""Letters at the edges of the view: which way the patient's sides lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.components.overlays import TextOverlay

from napari_segreview.core.geometry_notes import NO_ORIENTATION
from napari_segreview.core.orientation import Edges, edge_letters
from napari_segreview.layers.conversion import origin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

PLACES = Edges("middle_left", "middle_right", "top_center", "bottom_center")
NONE = Edges("", "", "", "")
SIZE = 12  # points


class Compass:
    """Keeps the letters true: axes swapped or turned, layers that come, go or are moved.

    They are those of the uppermost visible layer whose place in the patient is known.
    There are none in 3D, and none where left and right are not known.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._overlays = [TextOverlay(position=at, font_size=SIZE) for at in PLACES]
        for place, overlay in zip(PLACES, self._overlays, strict=True):
            viewer.canvas.overlays[f"segreview_{place}"] = overlay
        layers, dims = viewer.layers.events, viewer.dims.events
        turned = viewer.scene.camera.events.orientation
        for event in (
            layers.removed,
            layers.reordered,
            dims.order,
            dims.ndisplay,
            turned,
        ):
            event.connect(self._update)
        layers.inserted.connect(lambda event: self._follow(event.value))  # keeps us
        for layer in viewer.layers:
            self._follow(layer)
        self._update()

    def _follow(self, layer: Layer) -> None:
        for name in ("visible", "scale", "affine", "rotate", "translate", "shear"):
            getattr(layer.events, name).connect(self._update)
        self._update()

    def _update(self, _: object = None) -> None:
        for overlay, said in zip(self._overlays, self._letters(), strict=True):
            overlay.text = said
            overlay.visible = bool(said)

    def _letters(self) -> Edges:
        dims = self._viewer.dims
        if dims.ndisplay == 2:
            shown = (layer for layer in reversed(self._viewer.layers) if layer.visible)
            for layer in shown:
                edges = _edges(layer, [axis - dims.ndim for axis in dims.displayed])
                if any(edges):
                    return _turned(edges, self._viewer.scene.camera.orientation2d)
        return NONE


def _edges(layer: Layer, displayed: Sequence[int]) -> Edges:
    """Letters of a layer; the axes that run down and across are counted from the last."""
    origin = origin_of(layer)
    if origin is None or NO_ORIENTATION in origin.warnings:
        return NONE
    n = origin.grid.ndim
    if min(displayed) < -n:
        return NONE  # time is no side of the patient
    down, across = displayed
    found = edge_letters(origin.grid, (down + n, across + n))
    backward = np.diag(origin.shown)[:-1] < 0  # axes that are shown the other way
    if backward[across]:
        found = found._replace(left=found.right, right=found.left)
    if backward[down]:
        found = found._replace(top=found.bottom, bottom=found.top)
    return found


def _turned(found: Edges, camera: tuple[str, str]) -> Edges:
    """As seen by a camera that lets axes run up, or to the left."""
    vertical, horizontal = camera
    if vertical == "up":
        found = found._replace(top=found.bottom, bottom=found.top)
    if horizontal == "left":
        found = found._replace(left=found.right, right=found.left)
    return found

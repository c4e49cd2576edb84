"""What is being clicked, on the screen: the outline so far, and where the marks are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points
from napari.utils.colormaps import DirectLabelColormap

from napari_segreview.core.clicks import drawn, reach
from napari_segreview.core.edits import hull
from napari_segreview.core.prompts import Box, Lasso, outline
from napari_segreview.layers.conversion import TRANSFORM
from napari_segreview.layers.placing import DRAWING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.clicks import Clicks, Step
    from napari_segreview.core.prompts import Prompt
    from napari_segreview.core.scan import Scan

OUTLINE, MARKS = "Click: outline", "Click: marks"
POSITIVE, NEGATIVE = "#2fd05b", "#ff3df0"
WIDTH, DOT, LINE = 2, 11, 4  # pixels of the screen: outline, point, drawn line
BODY = 0.6  # opacity in the 3D view


class Preview:
    """Two layers of a viewer, there only while something is open.

    They belong to nobody: a user who deletes them loses nothing, and the next click
    draws them again.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._outline: Labels | None = None
        self._marks: Points | None = None
        self._steps: tuple[Step, ...] = ()  # that the outline shows
        self._sizes = np.zeros(0)  # of the marks, in pixels of the screen
        viewer.scene.camera.events.zoom.connect(self._zoomed)
        # Before napari draws: it complains of contours in the 3D view.
        viewer.dims.events.ndisplay.connect(self._zoomed, position="first")

    def close(self) -> None:
        """Let go of the viewer's camera and axes."""
        self._viewer.scene.camera.events.zoom.disconnect(self._zoomed)
        self._viewer.dims.events.ndisplay.disconnect(self._zoomed)

    def show(self, image: Layer | None, scan: Scan | None, clicks: Clicks) -> None:
        """Draw the object that is open on its image; nothing if none is."""
        if image is None or scan is None or not clicks.done:
            self._remove()
            return
        self._show_outline(image, scan, clicks)
        prompts = [step.prompt for step in clicks.done if step.prompt is not None]
        self.mark(image, scan, prompts)

    def mark(self, image: Layer, scan: Scan, prompts: Sequence[Prompt]) -> None:
        """Draw prompts: a disc belongs, a cross does not, small dots are outlines."""
        ndim = scan.grid.ndim
        places, symbols, colours, sizes = [np.zeros((0, image.ndim))], [], [], []
        for prompt in prompts:
            along = outline(prompt, ndim)
            lead = np.full((len(along), image.ndim - ndim), float(prompt.plane.frame))
            places.append(np.concatenate([lead, along], axis=1))
            belongs = isinstance(prompt, (Box, Lasso)) or prompt.positive
            symbols += ["disc" if belongs else "x"] * len(along)
            colours += [POSITIVE if belongs else NEGATIVE] * len(along)
            sizes += [DOT if len(prompt.places) == 1 else LINE] * len(along)
        layer = self._marks_layer(image)
        layer.data = np.concatenate(places)
        self._sizes = np.array(sizes, float)
        if len(layer.data):
            layer.symbol = symbols
            layer.face_color = layer.border_color = colours
            layer.size = self._sizes / self._zoom

    @property
    def _zoom(self) -> float:
        """Pixels of the screen for a unit of the world."""
        return max(float(self._viewer.scene.camera.zoom), 1e-6)

    def _zoomed(self, _: Any = None) -> None:
        """Marks and outline stay as wide on the screen as they were."""
        marks, outlined = self._marks, self._outline
        if marks is not None and 0 < len(marks.data) == len(self._sizes):
            marks.size = self._sizes / self._zoom
        if outlined is not None:
            self._set_width(outlined)

    def _set_width(self, layer: Labels) -> None:
        """In the 3D view a body that the scan shows through stands for the outline."""
        in_3d = self._viewer.dims.ndisplay == 3
        voxel = float(np.min(np.abs(layer.scale[-2:])))
        width = 0 if in_3d else max(1, round(WIDTH / (self._zoom * voxel)))
        if layer.contour != width:
            layer.contour = width
        layer.opacity = BODY if in_3d else 1.0

    def _show_outline(self, image: Layer, scan: Scan, clicks: Clicks) -> None:
        layer = self._outline_layer(image, scan)
        self._set_width(layer)  # first: napari draws what is new as it is set
        boxes = [box for box in (reach(self._steps), reach(clicks.done)) if box]
        if boxes and clicks.done != self._steps:
            box = hull(boxes)
            layer.data[box] = drawn(clicks.done, box)
            layer.refresh()
        self._steps = clicks.done
        colour = (*clicks.table.color(clicks.label), 1.0)
        layer.colormap = DirectLabelColormap(color_dict={None: colour, 0: (0, 0, 0, 0)})

    def _outline_layer(self, image: Layer, scan: Scan) -> Labels:
        shape = scan.data.shape[: scan.data.ndim - scan.has_channels]
        layer = self._outline
        if (
            layer is None
            or layer not in self._viewer.layers
            or layer.data.shape != shape
        ):
            self._remove()
            layer = Labels(np.zeros(shape, np.uint8), **_facts(OUTLINE, image))
            self._add(layer)
            layer.editable = False
            self._outline = layer
        return layer

    def _marks_layer(self, image: Layer) -> Points:
        layer = self._marks
        if layer is None or layer not in self._viewer.layers:
            layer = Points(ndim=image.ndim, **_facts(MARKS, image))
            layer.border_width = 0.0
            self._add(layer)
            layer.editable = False
            self._marks = layer
        return layer

    def _add(self, layer: Layer) -> None:
        """Show a layer; what the user has chosen stays chosen."""
        chosen = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection = chosen
        self._viewer.layers.selection.active = active

    def _remove(self) -> None:
        for layer in (self._marks, self._outline):
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._outline = self._marks = None
        self._steps = ()


def _facts(name: str, image: Layer) -> dict[str, Any]:
    """A layer where the image is, that is nobody's labels."""
    place = {key: getattr(image, key) for key in TRANSFORM}
    return {"name": name, "metadata": {DRAWING: True}, **place}

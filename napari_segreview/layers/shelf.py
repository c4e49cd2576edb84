"""The open layers, as the session sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_segreview.core.errors import InputError
from napari_segreview.core.geometry_notes import mismatch
from napari_segreview.core.protocols import LayerRef
from napari_segreview.core.scan import Scan
from napari_segreview.layers.conversion import (
    add_to_table,
    grid_of,
    image_layers,
    labels_layer,
    table_of,
    to_label_map,
    to_scan,
)
from napari_segreview.layers.edits import LayerEdits
from napari_segreview.layers.errors import (
    consensus_layers,
    doubt_layer,
    error_layers,
    go_to,
    is_shown_only,
    shows_doubts,
)
from napari_segreview.layers.looking import look_at, plane_of
from napari_segreview.layers.placing import is_drawing, transform_of
from napari_segreview.layers.regions import RegionDrag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.edits import Box, Tool
    from napari_segreview.core.keeper import Keeper
    from napari_segreview.core.labels import Label, LabelMap, LabelTable
    from napari_segreview.core.protocols import Doubts
    from napari_segreview.core.review import ErrorMaps
    from napari_segreview.core.study import Consensus
    from napari_segreview.layers.regions import Taken


class NapariShelf:
    """A viewer's layers. Keys are napari's own ids: renaming a layer changes nothing."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._edits: dict[str, LayerEdits] = {}
        self._drag: RegionDrag | None = None

    def images(self) -> tuple[LayerRef, ...]:
        return self._refs(Image)

    def label_layers(self) -> tuple[LayerRef, ...]:
        return self._refs(Labels)

    def scan(self, key: str) -> Scan:
        return to_scan(self._get(key, Image))

    def label_map(self, key: str) -> LabelMap:
        return to_label_map(self._get(key, Labels), self._viewer.layers)

    def add(self, item: Scan | LabelMap) -> LayerRef:
        layers: list[Layer] = (
            [*image_layers(item)] if isinstance(item, Scan) else [labels_layer(item)]
        )
        first = not self._viewer.layers
        for layer in layers:
            self._viewer.add_layer(layer)
        if first:
            self._viewer.canvas.overlays.scale_bar.visible = True
        return _ref(layers[-1])

    def show(self, labels: LabelMap, beside: str) -> LayerRef:
        layer = labels_layer(labels, self._find(beside))
        self._viewer.add_layer(layer)
        return _ref(layer)

    def mismatch(self, key: str, scan_key: str) -> str:
        labels, image = self._find(key), self._find(scan_key)
        if labels is None or image is None:
            return ""
        mine, its = (grid_of(one, self._viewer.layers) for one in (labels, image))
        words = mismatch(mine, its) if mine is not None and its is not None else ""
        return f"{labels.name}: {words}" if words else ""

    def show_only(self, keys: Sequence[str]) -> None:
        shown = [layer for layer in self._viewer.layers if _ref(layer).key in keys]
        for layer in self._viewer.layers:
            layer.visible = layer in shown
        self._viewer.reset_view(layers=shown)

    def go_to(self, key: str, index: tuple[int, ...]) -> None:
        go_to(self._viewer, self._get(key, Labels), index)

    def pick_up(self, key: str, label: Label) -> None:
        layer = self._get(key, Labels)
        if not layer.editable:
            raise InputError(
                f"{layer.name} is read-only: duplicate the layer and correct the copy"
            )
        if label.value > np.iinfo(layer.dtype).max:
            raise InputError(
                f"{layer.name}: its type {layer.dtype} cannot hold label {label.value}; "
                "convert the layer to a wider one"
            )
        if label.value not in table_of(layer):
            add_to_table(layer, label)
        layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.selected_label = label.value
        layer.mode = "paint"

    def show_errors(self, maps: ErrorMaps, beside: str) -> None:
        fresh = error_layers(maps, self._find(beside))
        self._remove(
            [
                one
                for one in self._viewer.layers
                if is_shown_only(one) and not shows_doubts(one)
            ]
        )
        for layer in fresh:
            self._viewer.add_layer(layer)

    def show_doubts(self, found: Mapping[str, Doubts]) -> None:
        self._remove([one for one in self._viewer.layers if shows_doubts(one)])
        active = self._viewer.layers.selection.active  # painting goes on there
        for key, doubts in found.items():
            beside = self._find(key)
            if beside is not None:  # not closed meanwhile
                self._viewer.add_layer(doubt_layer(doubts, beside))
        if active in self._viewer.layers:
            self._viewer.layers.selection.active = active

    def show_consensus(self, found: Consensus, beside: str) -> None:
        for layer in consensus_layers(found, self._find(beside)):
            self._viewer.add_layer(layer)

    def on_key(self, key: str, then: Callable[[], None]) -> None:
        """Call `then` when the key is pressed over the image."""
        self._viewer.bind_key(key, lambda _: then(), overwrite=True)

    def bind(self, key: str, keeper: Keeper, outgrown: Callable[[], None]) -> None:
        layer = self._get(key, Labels)
        self._edits[key] = LayerEdits(
            layer, keeper, outgrown, lambda box: look_at(self._viewer, layer, box)
        )

    def release(self, key: str) -> None:
        self._edits.pop(key).release()

    def plane(self, key: str) -> tuple[int, int, int | None]:
        layer = self._get(key, Labels)
        return plane_of(self._viewer, layer, self.label_map(key).has_time)

    def look(self, key: str, plane: int) -> None:
        layer = self._get(key, (Image, Labels))
        of = self.label_map(key) if isinstance(layer, Labels) else self.scan(key)
        time = int(of.has_time)
        box = [slice(0, side) for side in _shape(layer)[: layer.ndim]]
        box[time] = slice(plane, plane + 1)
        look_at(self._viewer, layer, tuple(box))

    def drag_box(self, key: str, then: Callable[[Taken], None]) -> None:
        if self._drag is not None:
            self._drag.stop()
        layer, labels = self._get(key, Labels), self.label_map(key)
        self._drag = RegionDrag(self._viewer, layer, labels, then)

    def freeze(self, key: str) -> None:
        self._get(key, Labels).editable = False

    def table(self, key: str) -> LabelTable:
        return table_of(self._get(key, Labels))

    def fits(self, key: str, scan_key: str) -> bool:
        labels, image = self._find(key), self._find(scan_key)
        if labels is None or image is None or labels.ndim != image.ndim:
            return False
        return _shape(labels) == _shape(image)[: image.ndim] and np.allclose(
            transform_of(labels), transform_of(image)
        )

    def voxels(self, key: str, box: Box) -> Any:
        layer = self._get(key, Labels)
        return np.array((layer.data[0] if layer.multiscale else layer.data)[box])

    def write(
        self, key: str, box: Box, values: Any, tool: Tool, label: int = 0
    ) -> None:
        layer = self._get(key, Labels)
        if not layer.editable:
            raise InputError(
                f"{layer.name} is read-only: duplicate the layer and choose the copy "
                "under Correct"
            )
        layer.visible = True  # what is written is seen
        if key in self._edits:
            self._edits[key].write(box, values, tool, label)
        else:  # no journals are kept here
            layer.data[box] = values
            layer.refresh()

    def name_label(self, key: str, label: Label) -> None:
        layer = self._get(key, Labels)
        add_to_table(layer, label)

    def on_change(self, then: Callable[[], None]) -> None:
        """Call `then` whenever layers come, go or are renamed."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(lambda _: then())
        events.inserted.connect(lambda event: _on_rename(event.value, then))
        for layer in self._viewer.layers:
            _on_rename(layer, then)

    def _refs(self, kind: type[Layer]) -> tuple[LayerRef, ...]:
        return tuple(
            _ref(layer)
            for layer in self._viewer.layers
            if isinstance(layer, kind)
            and not is_shown_only(layer)
            and not is_drawing(layer)
        )

    def _find(self, key: str) -> Layer | None:
        return next(
            (layer for layer in self._viewer.layers if _ref(layer).key == key), None
        )

    def _remove(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            self._viewer.layers.remove(layer)

    def _get(self, key: str, kind: type[Layer] | tuple[type[Layer], ...]) -> Layer:
        layer = self._find(key)
        if not isinstance(layer, kind):
            raise InputError("that layer was closed; choose another one")
        return layer


def _ref(layer: Layer) -> LayerRef:
    return LayerRef(str(layer.unique_id), layer.name)


def _on_rename(layer: Layer, then: Callable[[], None]) -> None:
    layer.events.name.connect(lambda _: then())


def _shape(layer: Layer) -> tuple[int, ...]:
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)

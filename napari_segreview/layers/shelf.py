"""The open layers, as the session sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image, Labels

from napari_segreview.core.errors import InputError
from napari_segreview.core.protocols import LayerRef
from napari_segreview.core.scan import Scan
from napari_segreview.layers.conversion import (
    image_layers,
    labels_layer,
    to_label_map,
    to_scan,
)
from napari_segreview.layers.edits import LayerEdits
from napari_segreview.layers.looking import look_at, plane_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.keeper import Keeper
    from napari_segreview.core.labels import LabelMap


class NapariShelf:
    """A viewer's layers. Keys are napari's own ids: renaming a layer changes nothing."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._edits: dict[str, LayerEdits] = {}

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
        layer = self._get(key, Labels)
        time = int(self.label_map(key).has_time)
        box = [slice(0, side) for side in layer.data.shape]
        box[time] = slice(plane, plane + 1)
        look_at(self._viewer, layer, tuple(box))

    def freeze(self, key: str) -> None:
        self._get(key, Labels).editable = False

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
            _ref(layer) for layer in self._viewer.layers if isinstance(layer, kind)
        )

    def _find(self, key: str) -> Layer | None:
        return next(
            (layer for layer in self._viewer.layers if _ref(layer).key == key), None
        )

    def _get(self, key: str, kind: type[Layer]) -> Layer:
        layer = self._find(key)
        if not isinstance(layer, kind):
            raise InputError("that layer was closed; choose another one")
        return layer


def _ref(layer: Layer) -> LayerRef:
    return LayerRef(str(layer.unique_id), layer.name)


def _on_rename(layer: Layer, then: Callable[[], None]) -> None:
    layer.events.name.connect(lambda _: then())

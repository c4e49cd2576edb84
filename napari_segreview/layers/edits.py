"""One napari Labels layer, each change of it kept, its undo ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segreview.core.errors import InputError
from napari_segreview.layers.conversion import table_of
from napari_segreview.layers.steps import Painted

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels

    from napari_segreview.core.edits import Box, Edit, Tool
    from napari_segreview.core.keeper import Keeper

TOOLS: dict[str, Tool] = {  # napari's mode → what the journal calls it
    "paint": "brush",
    "fill": "fill",
    "erase": "eraser",
    "polygon": "polygon",
}


class LayerEdits:
    """Between a Labels layer and its keeper, until `release`.

    - A stroke (press to release), a fill, a polygon, a call of `data_setitem` and the like
      are one edit each: napari tells the boxes it wrote to, the keeper compares them with
      its own copy.
    - A new array (``layer.data = …``) is compared as a whole. One of another shape or type
      is another case: `outgrown` is called.
    - Undo and redo of the layer, by key or by call, are the keeper's.
    - Names, colours and codes of its labels are kept as they change.

    Voxels written straight into the array tell nobody; they are kept with the next edit
    beside them, at ``layer.data = layer.data``, or when the layer is released.

    Parameters
    ----------
    look : callable
        Shows the user a box that changed.
    """

    def __init__(
        self,
        layer: Labels,
        keeper: Keeper,
        outgrown: Callable[[], None],
        look: Callable[[Box], None],
    ) -> None:
        if layer.multiscale:
            raise InputError(
                f"{layer.name}: labels at several resolutions cannot be corrected; save "
                "them at one and open that"
            )
        self._layer: Any = layer
        self._keeper = keeper
        self._outgrown, self._look = outgrown, look
        self._kind = (layer.data.shape, layer.data.dtype)
        layer.editable = True
        layer.events.paint.connect(self._painted)
        layer.events.data.connect(self._replaced)
        layer.events.features.connect(self._named)
        # Shadows the class's methods, which napari's keys call: its own history ends
        # after 100 steps and knows nothing of a new array.
        self._layer.undo, self._layer.redo = self.undo, self.redo

    def release(self) -> None:
        """Keep what is not kept yet, and give the layer back to napari."""
        layer = self._layer
        layer.events.paint.disconnect(self._painted)
        layer.events.data.disconnect(self._replaced)
        layer.events.features.disconnect(self._named)
        del layer.undo, layer.redo
        if self._fits():
            self._keeper.note(layer.data)
        mode = layer.mode
        layer.editable = False  # napari forgets its own history, stale by now
        layer.editable = True
        layer.mode = mode

    def undo(self) -> None:
        """Take the last edit back, wherever it was."""
        self._show(self._keeper.undo())

    def redo(self) -> None:
        """Do again what was undone last."""
        self._show(self._keeper.redo())

    def write(self, box: Box, values: Any, tool: Tool, label: int = 0) -> None:
        """Put `values` into a box of the layer, as one edit."""
        self._layer.data[box] = values
        self._layer.refresh()
        self._keeper.note(self._layer.data, [box], tool=tool, label=label)

    def _painted(self, event: Any) -> None:
        layer = self._layer
        tool = TOOLS.get(str(layer.mode), "program")
        label = 0 if tool == "eraser" else int(layer.selected_label)
        painted = Painted(layer.data, event.value)
        self._keeper.note(painted, painted.boxes, tool=tool, label=label)

    def _replaced(self, _: Any) -> None:
        if self._fits():
            self._keeper.note(self._layer.data)
        else:
            self._outgrown()

    def _named(self, _: Any) -> None:
        self._keeper.relabel(table_of(self._layer))

    def _fits(self) -> bool:
        data = self._layer.data
        return (data.shape, data.dtype) == self._kind

    def _show(self, edit: Edit | None) -> None:
        if edit is not None:
            edit.apply(self._layer.data)
            self._layer.refresh()
            self._look(edit.box)

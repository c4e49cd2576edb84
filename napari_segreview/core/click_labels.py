"""Which labels an object that was clicked may be accepted into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.labels import LabelTable, values_in
from src_models.errors import InputError

if TYPE_CHECKING:
    from napari_segreview.core.labels import Label
    from napari_segreview.core.protocols import Shelf


def choosable(shelf: Shelf, key: str, made: Label | None) -> LabelTable:
    """Labels of the layer, then the one that was made; of no layer only that one."""
    try:
        table = shelf.table(key) if key else LabelTable()
    except InputError:
        table = LabelTable()
    if made is None or made.value in table:
        return table
    return LabelTable((*table.rows, made))


def values_on(shelf: Shelf, key: str) -> tuple[int, ...]:
    """Labels that occur in the layer; none of no layer."""
    try:
        return values_in(shelf.label_map(key).data) if key else ()
    except InputError:
        return ()

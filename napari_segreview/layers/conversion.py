"""Scans and label maps ↔ napari layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_segreview.core.errors import InputError
from napari_segreview.core.labels import Coding, Label, LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.layers.placing import (
    KEY,
    Origin,
    grid_beside,
    grid_from_transform,
    placement,
    transform_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer

    from napari_segreview.core.geometry import Grid

TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
CODES = "segreview-codes"  # in a layer's metadata: label value → its coding
COLOURED = 255  # values up to here have colours of their own without a name


def image_layers(scan: Scan) -> list[Image]:
    """One layer; a scan with other than 3 or 4 channels gets one a channel."""
    place = placement(scan.grid, scan.has_time, scan.frame_ms)
    colour = scan.has_channels and scan.channels in (3, 4)
    if scan.has_channels and not colour:
        parts = [
            (scan.data[..., c], f"{scan.name} · channel {c + 1}")
            for c in range(scan.channels)
        ]
    else:
        parts = [(scan.data, scan.name)]
    layers = [Image(data, name=name, rgb=colour, **place) for data, name in parts]
    for layer in layers:
        _remember(
            layer,
            scan.grid,
            scan.has_time,
            modality=scan.modality,
            subject=scan.subject,
            frame_ms=scan.frame_ms,
            warnings=scan.warnings,
            source=scan.source,
        )
    return layers


def labels_layer(labels: LabelMap, beside: Layer | None = None) -> Labels:
    """A Labels layer with names and colours; placed as `beside` is, if given."""
    if beside is not None and beside.ndim == labels.data.ndim:
        place = {key: getattr(beside, key) for key in TRANSFORM}
    else:
        place = placement(labels.grid, labels.has_time, None)
    layer = Labels(
        labels.data,
        name=labels.name,
        features=_features(labels.table),
        colormap=_colormap(labels.table),
        opacity=0.6,
        metadata={CODES: _codes(labels.table)},
        **place,
    )
    _remember(layer, labels.grid, labels.has_time, warnings=labels.warnings)
    return layer


def to_scan(layer: Image) -> Scan:
    """The scan behind an image layer; its array is the layer's own, not a copy.

    Raises
    ------
    InputError
        If it has more axes than time and space, or is multiscale.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    origin = origin_of(layer)
    has_time = origin.has_time if origin else layer.ndim == 4
    n = layer.ndim - has_time
    if n not in (2, 3):
        raise InputError(
            f"{layer.name}: 2D, 3D, or one of them over time is wanted; this layer has "
            f"{layer.ndim} axes"
        )
    shape = tuple(data.shape[has_time : has_time + n])
    return Scan(
        data=data,
        grid=origin.grid if origin else _off_grid(layer, shape),
        name=layer.name,
        has_time=has_time,
        has_channels=bool(layer.rgb),
        frame_ms=origin.frame_ms if origin else None,
        modality=origin.modality if origin else "",
        subject=origin.subject if origin else "",
        source=origin.source if origin else None,
        warnings=origin.warnings if origin else (),
    )


def to_label_map(layer: Labels, others: Iterable[Layer] = ()) -> LabelMap:
    """The labels of a layer, as they are now (copied: painting may go on).

    A layer without a grid of its own (napari's "new labels") takes that of the layer
    among `others` that has the same shape and place; if there is none, it lies where it
    is seen over the first of them that has one.

    Raises
    ------
    InputError
        If a label is negative, or the layer has too many axes.
    """
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if data.dtype.kind == "i":
        if data.size and data.min() < 0:
            raise InputError(f"{layer.name}: labels must be ≥ 0, got {data.min()}")
        data = data.astype(f"u{data.dtype.itemsize}")
    elif data.dtype.kind == "b":
        data = data.astype(np.uint8)
    else:
        data = data.copy()
    origin = origin_of(layer) or _twin(layer, data.shape, others)
    has_time = origin.has_time if origin else data.ndim == 4
    shape = data.shape[has_time:]
    if len(shape) not in (2, 3):
        raise InputError(
            f"{layer.name}: labels of {data.ndim} axes cannot be used; 2D, 3D, or one of "
            "them over time is wanted"
        )
    return LabelMap(
        data=data,
        grid=origin.grid if origin else _off_grid(layer, shape, others),
        table=table_of(layer),
        name=layer.name,
    )


def grid_of(layer: Layer, others: Iterable[Layer] = ()) -> Grid | None:
    """Where a layer lies, as `to_scan` and `to_label_map` have it; None: no such axes."""
    data = layer.data[0] if layer.multiscale else layer.data
    origin = origin_of(layer) or _twin(layer, tuple(data.shape[: layer.ndim]), others)
    if origin is not None:
        return origin.grid
    shape = tuple(data.shape[layer.ndim == 4 : layer.ndim])
    return _off_grid(layer, shape, others) if len(shape) in (2, 3) else None


def origin_of(layer: Layer) -> Origin | None:
    """What the layer keeps of its scan, unless it was moved or got other voxels since."""
    origin = layer.metadata.get(KEY)
    if not isinstance(origin, Origin):
        return None
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    if shape[origin.has_time :][: origin.grid.ndim] != origin.grid.shape:
        return None
    return origin if np.allclose(origin.shown, transform_of(layer)) else None


def _remember(layer: Layer, grid: Grid, has_time: bool, **facts: Any) -> None:
    layer.metadata[KEY] = Origin(grid, has_time, transform_of(layer), **facts)


def _twin(
    layer: Layer, shape: tuple[int, ...], others: Iterable[Layer]
) -> Origin | None:
    origins = (origin_of(one) for one in others if _same_voxels(layer, shape, one))
    return next((one for one in origins if one is not None), None)


def _same_voxels(layer: Layer, shape: tuple[int, ...], other: Layer) -> bool:
    return (
        other is not layer
        and isinstance(other, (Image, Labels))
        and other.ndim == layer.ndim
        and tuple(other.data.shape[: layer.ndim]) == shape
        and np.allclose(transform_of(other), transform_of(layer))
    )


def _is_drawn(layer: Layer) -> bool:
    """Whether labels were made in napari, over what was open there."""
    return isinstance(layer, Labels) and layer.source.reader_plugin is None


def _off_grid(
    layer: Layer, shape: tuple[int, ...], others: Iterable[Layer] = ()
) -> Grid:
    """Where a layer lies that is on no scan's voxels: moved, cut, or not from here."""
    kept = layer.metadata.get(KEY)
    if not isinstance(kept, Origin) and _is_drawn(layer):
        whole = tuple(layer.data.shape[: layer.ndim])
        foreign = (one for one in others if not _is_drawn(one))
        if not any(_same_voxels(layer, whole, one) for one in foreign):
            kept = next((found for one in others if (found := origin_of(one))), None)
    if isinstance(kept, Origin) and kept.grid.ndim == len(shape):
        return grid_beside(layer, shape, kept)
    return grid_from_transform(layer, shape)


def _features(table: LabelTable) -> dict[str, list[Any]]:
    """Napari says "2; name: liver, code: SCT 10200004" in its status bar."""
    if not table:
        return {}
    rows = table.values()
    found = {
        "index": [0, *table],
        "name": ["background", *(row.name for row in rows)],
    }
    if _codes(table):
        kinds = (row.coding.type if row.coding else None for row in rows)
        said = (f"{kind.scheme} {kind.value}" if kind else None for kind in kinds)
        found["code"] = [None, *said]
    return found


def _codes(table: LabelTable) -> dict[int, Coding]:
    return {value: row.coding for value, row in table.items() if row.coding}


def _colormap(table: LabelTable) -> DirectLabelColormap | None:
    if not table:
        return None
    # Values that nobody has named yet are told apart too.
    values = {*range(1, COLOURED + 1), *table}
    colors: dict[int | None, Any] = {v: (*table.color(v), 1.0) for v in values}
    return DirectLabelColormap(
        color_dict={None: (0.6, 0.6, 0.6, 1.0), 0: (0, 0, 0, 0), **colors}
    )


def table_of(layer: Labels) -> LabelTable:
    """Names, colours and codes, as the layer has them now."""
    features = layer.features
    if "index" not in features or "name" not in features:
        return LabelTable()
    codes = layer.metadata.get(CODES, {})
    rows = []
    for value, name in zip(features["index"], features["name"], strict=True):
        if int(value) > 0:
            red, green, blue, _ = (float(v) for v in layer.get_color(int(value)))
            coding = codes.get(int(value))
            rows.append(Label(int(value), str(name), (red, green, blue), coding))
    return LabelTable(tuple(rows))


def add_to_table(layer: Labels, label: Label) -> None:
    """Give a label a name and a colour; what the layer has already stays."""
    set_table(layer, table_of(layer).updated(LabelTable((label,))))


def set_table(layer: Labels, table: LabelTable) -> None:
    """Give all labels of a layer their names, colours and codes."""
    layer.metadata[CODES] = _codes(table)
    layer.colormap = _colormap(table)
    layer.features = _features(table)  # last: who keeps the labels listens to it

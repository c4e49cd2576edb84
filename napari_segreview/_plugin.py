"""Readers, writer and samples, as the manifest names them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segreview.core.scan import Scan
from napari_segreview.scans import (
    SAMPLES,
    can_read,
    looks_like_labels,
    read_all,
    read_labels,
)
from napari_segreview.scans import (
    write_labels as write_label_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_segreview.core.labels import LabelMap

LayerData = tuple[Any, dict[str, Any], str]

SAMPLE_TITLES = {
    "retina": "Retina (fundus photograph)",
    "brain-template": "Brain template (T1 MRI)",
    "dicom-ct": "CT (DICOM)",
    "phantom": "Phantom (3D, truth known)",
}


class ScanLibrary:
    """Files and samples, for the session."""

    def read(self, path: Path) -> Sequence[Scan | LabelMap]:
        items = read_all(path)
        if (
            len(items) == 1
            and isinstance(items[0], Scan)
            and looks_like_labels(items[0])
        ):
            return [_labels(path)]
        return items

    def samples(self) -> Mapping[str, str]:
        return SAMPLE_TITLES

    def sample(self, key: str) -> Sequence[Scan | LabelMap]:
        found = SAMPLES[key]()
        return [found.scan] if found.labels is None else [found.scan, found.labels]


# ── readers, writer, samples ───────────────────────────────────────────────────────


def get_reader(
    path: str | Sequence[str],
) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Napari asks who can read a path (or several); None: not we."""
    return read_layers if all(can_read(one) for one in _paths(path)) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Each scan or label map as napari's layer data."""
    library = ScanLibrary()
    found = [item for one in _paths(path) for item in library.read(one)]
    return [data for item in found for data in _layer_data(item)]


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save one Labels layer on its scan's grid; read back and checked."""
    from napari import current_viewer
    from napari.layers import Labels

    from napari_segreview.layers.conversion import TRANSFORM, to_label_map

    viewer = current_viewer()
    beside = tuple(viewer.layers) if viewer else ()
    layer = next((one for one in beside if one.data is data), None)
    if not isinstance(layer, Labels):
        kept = ("name", "metadata", "features", "colormap", *TRANSFORM)
        layer = Labels(data, **{key: meta[key] for key in kept if key in meta})
    write_label_file(to_label_map(layer, beside), path)
    return [path]


def sample_retina() -> list[LayerData]:
    return _sample("retina")


def sample_phantom() -> list[LayerData]:
    return _sample("phantom")


def sample_brain_template() -> list[LayerData]:
    return _sample("brain-template")


def sample_dicom_ct() -> list[LayerData]:
    return _sample("dicom-ct")


def _sample(key: str) -> list[LayerData]:
    return [data for item in ScanLibrary().sample(key) for data in _layer_data(item)]


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(one) for one in ([path] if isinstance(path, str) else path)]


def _labels(path: Path) -> LabelMap:
    """Named apart from the scan, which often has the same file name."""
    labels = read_labels(path)
    return replace(labels, name=f"{labels.name} (labels)")


def _layer_data(item: Scan | LabelMap) -> list[LayerData]:
    from napari_segreview.layers.conversion import image_layers, labels_layer

    layers = image_layers(item) if isinstance(item, Scan) else [labels_layer(item)]
    return [layer.as_layer_data_tuple() for layer in layers]

"""Files ↔ `Scan` and `LabelMap`. Importing this wakes neither SimpleITK nor pydicom."""

from __future__ import annotations

from napari_segreview.scans.guard import WriteError
from napari_segreview.scans.reading import (
    READABLE,
    can_read,
    looks_like_labels,
    read,
    read_all,
    read_label_maps,
    read_labels,
    read_one,
)
from napari_segreview.scans.samples import SAMPLES, Sample
from napari_segreview.scans.table_files import read_table
from napari_segreview.scans.writing import (
    WRITABLE,
    check_apart,
    check_writable,
    write_labels,
)

__all__ = [
    "READABLE",
    "SAMPLES",
    "WRITABLE",
    "Sample",
    "WriteError",
    "can_read",
    "check_apart",
    "check_writable",
    "looks_like_labels",
    "read",
    "read_all",
    "read_label_maps",
    "read_labels",
    "read_one",
    "read_table",
    "write_labels",
]

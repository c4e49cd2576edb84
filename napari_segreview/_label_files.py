"""Label tables and DICOM-SEG for the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview._cli_convert import fitting
from napari_segreview.scans import read_table
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap, LabelTable
    from napari_segreview.core.scan import Scan


class TableFiles:
    """Tables and series on this machine."""

    def read_table(self, path: Path) -> LabelTable:
        return read_table(path)

    def write_seg(
        self, labels: LabelMap, scan: Scan, path: Path, *, deidentified: bool
    ) -> Generator[Progress, None, tuple[str, ...]]:
        from napari_segreview.scans.dicom_labels import series_of
        from napari_segreview.scans.dicom_seg_write import write_seg

        if scan.source is None or not scan.source.exists():
            raise InputError(
                f"{scan.name}: its files are not known; open the DICOM series and choose "
                "it under Scan, then write the labels again"
            )
        yield Progress(0, 2, "reading the series")
        folder = scan.source if scan.source.is_dir() else scan.source.parent
        known = series_of(folder)
        named = [one for one in known if one.scan.name == scan.name]
        yield Progress(1, 2, "writing")
        series = fitting(labels, named or known)
        return write_seg(labels, series, path, deidentified=deidentified)

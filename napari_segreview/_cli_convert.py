"""`segreview convert`: label files ↔ DICOM-SEG, RTSTRUCT → label files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.labels import LabelTable
from napari_segreview.core.orientation import turn_between
from napari_segreview.scans import (
    check_apart,
    read_label_maps,
    read_table,
    write_labels,
)
from napari_segreview.scans.dicom_labels import series_of
from napari_segreview.scans.dicom_seg_write import write_seg
from napari_segreview.scans.suffixes import stem_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.scans.dicom import Series

SEG = ".dcm"


def convert(
    source: Path,
    output: Path,
    series: Path | None = None,
    table: Path | None = None,
    *,
    deidentified: bool = False,
) -> tuple[list[Path], tuple[str, ...]]:
    """Read labels of any kind and write them as another.

    Parameters
    ----------
    source : Path
        A label file, a DICOM-SEG, an RTSTRUCT, or a folder of one.
    output : Path
        Its suffix chooses the kind; ".dcm" is a DICOM-SEG.
    series : Path, optional
        Folder of the images that the labels lie on: needed to write a DICOM-SEG, and
        to read a SEG or RTSTRUCT whose images are not beside it.
    table : Path, optional
        Names, colours and codes (`read_table`) that go over the labels' own.
    deidentified : bool
        For a DICOM-SEG.

    Returns
    -------
    list of Path
        What was written: `output`; of segments that overlap "…-1", "…-2" in its place.
    tuple of str
        What is worth a note.

    Raises
    ------
    InputError, WriteError
        As reading and writing do; if what is read would be written over; or if
        de-identifying is asked of another format.
    """
    to_seg = output.suffix.lower() == SEG
    if deidentified and not to_seg:
        raise InputError(
            f"{output.name}: only a DICOM-SEG ({SEG}) is de-identified; other formats "
            "hold no patient"
        )
    names = read_table(table) if table else None
    maps = read_label_maps(source, series)
    if names is not None:
        maps = [_renamed(one, names) for one in maps]
    known = _known(series, output) if to_seg else []
    notes = [words for one in maps for words in one.warnings]
    paths = _paths(output, len(maps))
    for path in paths:
        for read in filter(None, (source, series)):
            check_apart(path, read)
    for one, path in zip(maps, paths, strict=True):
        if to_seg:
            notes += write_seg(
                one, fitting(one, known), path, deidentified=deidentified
            )
        else:
            write_labels(one, path)
    return paths, tuple(dict.fromkeys(notes))


def _paths(output: Path, count: int) -> list[Path]:
    if count == 1:
        return [output]
    stem = stem_of(output)
    rest = output.name.removeprefix(stem)
    return [output.with_name(f"{stem}-{i}{rest}") for i in range(1, count + 1)]


def _renamed(labels: LabelMap, table: LabelTable) -> LabelMap:
    """Labels with the rows of a table, as far as these occur."""
    there = set(np.unique(labels.data).tolist())
    rows = tuple(row for value, row in table.items() if value in there)
    return replace(labels, table=labels.table.updated(LabelTable(rows)))


def _known(folder: Path | None, output: Path) -> list[Series]:
    if folder is None:
        raise InputError(
            f"{output.name}: a DICOM-SEG belongs to a series of images; give their "
            "folder with --series"
        )
    return series_of(folder)


def fitting(labels: LabelMap, known: Sequence[Series]) -> Series:
    """The one series whose voxels the labels have."""
    fits = [
        one for one in known if turn_between(labels.grid, one.scan.grid) is not None
    ]
    if len(fits) > 1:
        names = "; ".join(one.scan.name for one in fits)
        raise InputError(
            f"the labels fit {len(fits)} series of the folder: {names}; give the folder "
            "of one"
        )
    if fits or len(known) == 1:
        return (fits or known)[0]  # a single one says itself what is wrong
    raise InputError(
        "the labels lie on none of the series of the folder: "
        f"{'; '.join(one.scan.name for one in known)}; resample them to one first"
    )

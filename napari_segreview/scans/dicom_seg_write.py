"""Write DICOM-SEG on the slices of the series it belongs to."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview import __version__
from napari_segreview.core.geometry_notes import mismatch
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.orientation import turn_between
from napari_segreview.scans import deidentify, dicom_seg, guard, writing
from napari_segreview.scans.dicom_codes import to_cielab, write_coding
from napari_segreview.scans.quiet import quiet
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from napari_segreview.scans.dicom import Series

SHADE = 0.01  # of 1: what 16 bits of CIE L*a*b* may lose of a dark colour
WORDS = 64  # characters of a name or of a code's words
MOST = 2**16 - 1  # segments, and label values that are kept
FEW = 5  # labels that one line names
# patient and study attributes that must be there, if only empty
EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
HOW = (
    'give it a SNOMED CT code: --table FILE with, for it, "coding": {"type": ["SCT", '
    '"10200004", "Liver"], "category": ["SCT", "123037004", "Anatomical Structure"]}'
)


def write_seg(
    labels: LabelMap, series: Series, path: str | Path, *, deidentified: bool = False
) -> tuple[str, ...]:
    """Write labels as a binary DICOM-SEG, read it again and compare; or write nothing.

    Parameters
    ----------
    labels : LabelMap
        On the voxels of the series, in any order and direction of the axes. Each
        label that occurs needs a type and a category code; none is ever assumed.
    series : Series
        The images it belongs to; every frame refers to its own.
    path : path
        Ends in .dcm.
    deidentified : bool
        Leave out who and when, and map every UID (`deidentify`).

    Returns
    -------
    tuple of str
        What was left out.

    Raises
    ------
    InputError
        If the labels are empty, over time, uncoded, or lie on another grid.
    WriteError
        As `writing.write_labels`.
    """
    path = Path(path)
    if path.suffix.lower() != ".dcm":
        raise InputError(f"{path.name}: a DICOM-SEG needs a name that ends in .dcm")
    whole = _on_series(labels, series)
    with writing.drafts(path) as place, quiet():
        draft = place / path.name
        sources, order = _sources(series)
        invalid = sorted({name for one in sources for name in _empty_invalid(one)})
        dataset = _dataset(whole, series, sources, order)
        if deidentified:
            deidentify.apply(dataset)
        dataset.save_as(draft, enforce_file_format=True)
        _check(whole, series, draft)
        _sync(draft)
        os.replace(draft, path.absolute())
    writing.flush(path.absolute().parent)
    idle = [row.name for value, row in labels.table.items() if value not in whole.table]
    said = {
        "labels without a voxel": idle,
        "values of the series that DICOM does not allow": []
        if deidentified
        else invalid,
    }
    return tuple(f"{what} were left out: {_some(n)}" for what, n in said.items() if n)


# -- what can be written -------------------------------------------------------------


def _on_series(labels: LabelMap, series: Series) -> LabelMap:
    """The labels on the series' own grid, with a row for each value that occurs."""
    scan = series.scan
    if labels.has_time or scan.has_time:
        raise InputError("labels over time are no DICOM-SEG; save them as .nii.gz")
    if scan.grid.ndim != 3 or not all(frame.placed for frame in series.slices):
        raise InputError(
            f"{scan.name}: its images have no position in the patient, which a "
            "DICOM-SEG needs; save the labels as .png or .tif"
        )
    turn = turn_between(labels.grid, scan.grid)
    if turn is None:
        words = mismatch(labels.grid, scan.grid)
        raise InputError(f"{words}; resample the labels to {scan.name} first")
    data = np.ascontiguousarray(turn.apply(labels.data))
    values = [int(value) for value in np.unique(data) if value]
    if not values:
        raise InputError("the labels are empty: there is nothing to write")
    if values[-1] > MOST:
        raise InputError(f"label values up to {MOST} can be written, got {values[-1]}")
    rows = tuple(_writable(labels.table.row(value)) for value in values)
    _check_codes(rows)
    return replace(labels, data=data, grid=scan.grid, table=LabelTable(rows))


def _writable(row: Label) -> Label:
    """A label whose name DICOM holds."""
    name = " ".join(row.name.split())
    if len(name) > WORDS or "\\" in name or not name:
        raise InputError(
            f"label {row.value}: DICOM holds names of 1 to {WORDS} characters without a "
            f"backslash, got {name!r}; rename it"
        )
    return replace(row, name=name)


def _check_codes(rows: Sequence[Label]) -> None:
    bare = [f"{row.value} ({row.name})" for row in rows if row.coding is None]
    if bare:
        raise InputError(f"no code says what label {_some(bare)} is; {HOW}")
    kinds = [
        f"{row.value} ({row.name})"
        for row in rows
        if row.coding is not None and row.coding.category is None
    ]
    if kinds:
        raise InputError(f"the code of label {_some(kinds)} has no category; {HOW}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


# -- the object ----------------------------------------------------------------------


def _dataset(
    labels: LabelMap, series: Series, sources: list[Dataset], order: list[int]
) -> Dataset:
    """The segmentation, by highdicom, with the positions of the images themselves."""
    import highdicom
    from pydicom.uid import generate_uid

    number_of = np.zeros(max(labels.table) + 1, np.uint16)
    number_of[list(labels.table)] = np.arange(1, len(labels.table) + 1)
    dataset = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=number_of[labels.data[order]],
        segmentation_type="BINARY",
        segment_descriptions=[
            _describe(number, row)
            for number, row in enumerate(labels.table.values(), 1)
        ],
        pixel_measures=_measures(series),
        series_instance_uid=generate_uid(),
        series_number=int(sources[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="SegReview",
        manufacturer_model_name="SegReview",
        software_versions=__version__,
        device_serial_number=__version__,
        content_label="SEGMENTATION",
        series_description=" ".join(labels.name.split())[:WORDS] or "Segmentation",
    )
    dataset.SpecificCharacterSet = "ISO_IR 192"  # names of labels are of any script
    return dataset


def _sources(series: Series) -> tuple[list[Dataset], list[int]]:
    """The headers of the images, and which plane of the labels lies on which frame."""
    import pydicom

    paths = dict.fromkeys(frame.path for frame in series.slices)
    headers: list[Dataset] = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in paths
    ]
    for header in headers:
        for name in EMPTY:
            if name not in header:
                setattr(header, name, None)
        if not header.get("SpecificCharacterSet"):  # there, but empty
            header.SpecificCharacterSet = "ISO_IR 192"
        for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
            if not header.get(name):
                raise InputError(
                    f"{series.scan.name}: its images lack the {name} that a DICOM-SEG "
                    "must refer to; export the series again"
                )
    frames = [frame.index for frame in series.slices]
    if len(paths) == 1 and len(frames) > 1:
        return headers, [int(at) for at in np.argsort(frames)]
    return headers, list(range(len(frames)))


def _empty_invalid(header: Dataset) -> list[str]:
    """Empty what the study says in a form that DICOM forbids; returns the names.

    A segmentation carries it on, and a strict archive would refuse that.
    """
    from pydicom.config import RAISE
    from pydicom.valuerep import validate_value

    found = []
    for name in EMPTY:
        element = header[name]
        try:
            validate_value(element.VR, element.value and str(element.value), RAISE)
        except ValueError:
            element.value = None
            found.append(name)
    return found


def _describe(number: int, row: Label) -> Any:
    from highdicom.seg import SegmentDescription
    from pydicom.sr.coding import Code

    coding = row.coding
    if coding is None or coding.category is None:  # `_check_codes` has seen to it
        raise InputError(f"label {row.value} has no code")
    category, kind = (
        Code(one.value, one.scheme, one.meaning)
        for one in (coding.category, coding.type)
    )
    item = SegmentDescription(number, row.name, category, kind, "MANUAL")
    write_coding(item, coding)
    item.RecommendedDisplayCIELabValue = to_cielab(row.color)
    # highdicom wants an algorithm's code where it is not drawn by hand alone
    item.SegmentAlgorithmType = "SEMIAUTOMATIC"
    item.SegmentAlgorithmName = "SegReview"
    block = item.private_block(dicom_seg.PRIVATE, dicom_seg.CREATOR, create=True)
    block.add_new(dicom_seg.VALUE, "UL", row.value)
    return item


def _measures(series: Series) -> Any:
    """Pixel size as in the images; the distance of slices from their positions."""
    from highdicom import PixelMeasuresSequence

    first = series.slices[0]
    affine = series.scan.grid.affine
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    apart = abs(float(affine[:3, 2] @ normal / np.linalg.norm(normal)))
    return PixelMeasuresSequence(
        pixel_spacing=first.spacing or (1.0, 1.0),
        slice_thickness=first.thickness or apart,
        spacing_between_slices=apart,
    )


def _check(labels: LabelMap, series: Series, draft: Path) -> None:
    """Read it again, without highdicom, and compare voxels, names, colours, codes."""
    import pydicom

    header = pydicom.dcmread(draft, stop_before_pixels=True)
    (back,) = dicom_seg.read(header, draft, labels.name, series.scan.grid)
    guard.check_same(labels, back, shade=SHADE)


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

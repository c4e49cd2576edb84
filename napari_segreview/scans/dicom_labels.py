"""DICOM-SEG and RTSTRUCT objects and the series they were drawn on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_segreview.scans import dicom, dicom_rtstruct, dicom_seg
from napari_segreview.scans.dicom_frames import UNREADABLE
from napari_segreview.scans.quiet import quiet
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydicom import Dataset

    from napari_segreview.core.geometry import Grid
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.scan import Scan
    from napari_segreview.scans.dicom import Found, Series

BESIDE = "put its images into the same folder, or give theirs with --series"


@dataclass(frozen=True, slots=True)
class Target:
    """What an object says it was drawn on.

    Attributes
    ----------
    series : str
        SeriesInstanceUID, "" if it names none.
    images : frozenset of str
        SOPInstanceUIDs.
    place : str
        FrameOfReferenceUID, "" if it names none.
    """

    series: str
    images: frozenset[str]
    place: str


def read_folder(path: Path) -> list[Scan | LabelMap]:
    """Every series and every drawing of a file or folder.

    A drawing that cannot be shown is told of in the warnings of the scans.

    Raises
    ------
    InputError
        If nothing at all can be shown.
    """
    found = dicom.find(path)
    if not found.drawings:
        return [one.scan for one in dicom.read_series(found, path)]
    if not found.images:
        return list(read_labels(path))
    series = dicom.read_series(found, path)
    maps: list[LabelMap] = []
    failed: list[str] = []
    for drawing in found.drawings:
        try:
            maps += _read(drawing, series)
        except InputError as error:
            failed.append(f"{drawing.name} could not be shown: {error}")
    scans = [
        replace(one.scan, warnings=(*failed, *one.scan.warnings)) for one in series
    ]
    return [*scans, *maps]


def read_labels(path: Path, series: Path | None = None) -> list[LabelMap]:
    """The label maps of a file, or of all SEG and RTSTRUCT files below a folder.

    Parameters
    ----------
    path : Path
    series : Path, optional
        Folder of the images they were drawn on. Without it these are looked for in
        `path`, beside it and in the folder above. A SEG then does without, too: on a
        grid of its own.

    Returns
    -------
    list of LabelMap
        Empty if there is no such file.

    Raises
    ------
    InputError
        If one is damaged, was drawn on another series than the one that is given, or
        is an RTSTRUCT whose series is not there.
    """
    found = dicom.find(path)
    if not found.drawings:
        return []
    known: list[Series] = []
    if series is not None:
        known = series_of(series)
    elif found.images:
        known = dicom.read_series(found, path)
    maps: list[LabelMap] = []
    for one in found.drawings:
        try:
            maps += _read(one, known or _search(one), given=series is not None)
        except InputError as error:
            if one == path:
                raise
            raise InputError(f"{one.name}: {error}") from error
    return maps


def series_of(folder: Path) -> list[Series]:
    """The series of a folder."""
    return dicom.read_series(dicom.find(folder), folder)


def _read(path: Path, known: Sequence[Series], given: bool = False) -> list[LabelMap]:
    """The label maps of one file.

    `given`: the user said that these are the series, so it must be one of them.
    """
    try:
        header = _header(path)
        target = _target(header)
        series, said = _choose(target, known)
        if series is None and given:
            raise InputError(
                "was drawn on another series than the one that is given; give the "
                f"folder of the series {target.series or 'it was drawn on'}"
            )
        name = _name(header, path)
        if header.Modality == "SEG":
            grid = _grid(series)
            if grid is None:
                said = f"the series it was drawn on is not here; {BESIDE}"
            maps = dicom_seg.read(header, path, name, grid)
        elif series is None:
            raise InputError(f"the series it was drawn on is not here; {BESIDE}")
        else:
            maps = dicom_rtstruct.read(header, name, series.scan.grid)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"the file is damaged ({error})") from error
    extra = (said,) if said else ()
    return [replace(one, warnings=(*extra, *one.warnings)) for one in maps]


def _grid(series: Series | None) -> Grid | None:
    """The grid of a series that has a place in the patient."""
    return series.scan.grid if series and series.scan.grid.ndim == 3 else None


def _header(path: Path) -> Dataset:
    import pydicom

    with quiet():
        return pydicom.dcmread(path, stop_before_pixels=True, force=True)


def _name(header: Dataset, path: Path) -> str:
    """What the object is called; never by the patient."""
    names = ("SeriesDescription", "StructureSetLabel", "ContentLabel")
    texts = (" ".join(str(header.get(name) or "").split()) for name in names)
    return next((text for text in texts if text), path.stem)


# -- which series --------------------------------------------------------------------


def _target(header: Dataset) -> Target:
    if header.Modality == "SEG":
        named = header.get("ReferencedSeriesSequence") or []
        images = {uid for item in named for uid in _uids(item, "ReferencedInstance")}
        place = header.get("FrameOfReferenceUID")
    else:
        frames = header.get("ReferencedFrameOfReferenceSequence") or []
        named = [
            series
            for frame in frames
            for study in frame.get("RTReferencedStudySequence") or []
            for series in study.get("RTReferencedSeriesSequence") or []
        ]
        images = {uid for item in named for uid in _uids(item, "ContourImage")}
        regions = header.get("StructureSetROISequence") or []
        places = [item.get("ReferencedFrameOfReferenceUID") for item in regions]
        place = next((one for one in places if one), None) or (
            frames[0].get("FrameOfReferenceUID") if frames else None
        )
    series = next((str(item.get("SeriesInstanceUID") or "") for item in named), "")
    if not images:
        images = set(_frame_images(header))
    return Target(series, frozenset(images), str(place or ""))


def _uids(item: Dataset, kind: str) -> Iterator[str]:
    for one in item.get(f"{kind}Sequence") or []:
        yield str(one.get("ReferencedSOPInstanceUID", ""))


def _frame_images(header: Dataset) -> Iterator[str]:
    """Source images that only the frames, or the contours, name."""
    for frame in header.get("PerFrameFunctionalGroupsSequence") or []:
        for step in frame.get("DerivationImageSequence") or []:
            yield from _uids(step, "SourceImage")
    for region in header.get("ROIContourSequence") or []:
        for contour in region.get("ContourSequence") or []:
            yield from _uids(contour, "ContourImage")


def _choose(target: Target, known: Sequence[Series]) -> tuple[Series | None, str]:
    """The series by its UID, by its images, or by the only common place; a note."""

    def share(one: Series) -> int:
        return len({frame.uid for frame in one.slices} & target.images)

    named = [one for one in known if target.series and one.uid == target.series]
    seen = named or [one for one in known if share(one)]
    if seen:
        return max(seen, key=share), ""
    if target.series or target.images or not target.place:
        return None, ""
    near = [one for one in known if one.frame_of_reference == target.place]
    if len(near) != 1:
        return None, ""
    words = (
        "it names no series: it was placed on the only one in its frame of reference"
    )
    return near[0], words


def _search(path: Path) -> list[Series]:
    """The series of a lone file: in its folder, below it, or in the folder above."""
    target = _target(_header(path))
    if not target.series:
        return []
    for folder in dict.fromkeys(
        (path.absolute().parent, path.absolute().parent.parent)
    ):
        found: Found = dicom.find(folder, series=target.series)
        if found.images:
            return dicom.read_series(found, folder)
    return []

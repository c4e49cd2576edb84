"""DICOM folders and files: walk, group into series, stack.

Slice distances come from the positions, never from SliceThickness; the patient's
name goes nowhere.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segreview.scans.dicom_frames import UNREADABLE, Frame, frames_of
from napari_segreview.scans.dicom_stack import slices, split, stack
from napari_segreview.scans.quiet import quiet
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    from napari_segreview.core.scan import Scan

# modality → the word for what is no image to segment
NO_IMAGES = {
    "RTSTRUCT": "RTSTRUCT",
    "RTPLAN": "RTPLAN",
    "RTDOSE": "RTDOSE",
    "SEG": "SEG",
    "SR": "SR",
    "PR": "presentation state",
    "KO": "key object",
    "REG": "registration",
}
DRAWINGS = ("SEG", "RTSTRUCT")  # labels on the images of a series
LOOK_AT = 200  # files that `has_dicom` opens at most
SEARCHED = 5000  # files that are opened at most to find one series


@dataclass(frozen=True, slots=True)
class Object:
    """One readable image file."""

    header: Dataset
    frames: list[Frame]


def is_dicom(path: Path) -> bool:
    """Whether a file bears DICOM's magic bytes."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def has_dicom(folder: Path) -> bool:
    """Whether one of the first files anywhere in a folder is DICOM."""
    return any(is_dicom(path) for path in islice(_files(folder), LOOK_AT))


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A scan and the images it was stacked of.

    Attributes
    ----------
    scan : Scan
    uid, frame_of_reference : str
        SeriesInstanceUID, FrameOfReferenceUID; "" where the files have none.
    slices : tuple of Frame
        In array order; of a cine those of its first moment.
    """

    scan: Scan
    uid: str
    frame_of_reference: str
    slices: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is below a folder.

    Attributes
    ----------
    images : list of Object
    drawings : list of Path
        DICOM-SEG and RTSTRUCT objects.
    skipped : Counter
        Files that are none of the two, by kind.
    """

    images: list[Object]
    drawings: list[Path]
    skipped: Counter[str]


def read(path: Path) -> list[Scan]:
    """Read a DICOM file or every image in a folder; one Scan a series.

    A series of several orientations or image sizes gives one Scan for each.

    Raises
    ------
    InputError
        If there is no image, or if of every series a slice is missing or the pixels
        are damaged. Where some series can be read, a warning tells of the others.
    """
    return [one.scan for one in read_series(find(path, drawings=False), path)]


def find(path: Path, drawings: bool = True, series: str = "") -> Found:
    """Look at a file, or at all files below a folder.

    Parameters
    ----------
    drawings : bool
        Whether SEG and RTSTRUCT objects are wanted; else they count as skipped.
    series : str
        The only SeriesInstanceUID that is wanted; "" for all.
    """
    paths = list(_files(path)) if path.is_dir() else [path]
    if series:
        paths = [one for one in islice(paths, SEARCHED) if _is_of(one, series)]
    found = Found([], [], Counter())
    seen: set[str] = set()
    for one in paths:
        what = _look(one, trusted=one == path)
        if isinstance(what, str):
            if drawings and what in DRAWINGS:
                found.drawings.append(one)
            else:
                found.skipped[what] += 1
        elif what.frames[0].uid in seen:
            found.skipped["double"] += 1
        else:
            seen.add(what.frames[0].uid)
            found.images.append(what)
    return found


def read_series(found: Found, path: Path) -> list[Series]:
    """Stack the images that were found at `path`.

    Raises
    ------
    InputError
        As `read`.
    """
    if not found.images:
        raise InputError(f"wanted DICOM images, found none{_why(found.skipped)}")
    notes = (
        [f"files that were left out: {_list(found.skipped)}"] if found.skipped else []
    )
    whole: list[Series] = []
    failed: list[str] = []
    for group, name in _series(found.images):
        try:
            whole += _stacked(group, name, path)
        except InputError as error:
            failed.append(f"{name}: {error}")
    if not whole:
        raise InputError(f"{'; '.join(failed)}{_why(found.skipped)}")
    notes += [f"a series could not be read, {words}" for words in failed]
    return [
        replace(one, scan=replace(one.scan, warnings=(*notes, *one.scan.warnings)))
        for one in whole
    ]


def _stacked(group: list[Object], name: str, path: Path) -> list[Series]:
    """One for each orientation and size in a series."""
    frames = [frame for one in group for frame in one.frames]
    header = group[0].header
    place = str(header.get("FrameOfReferenceUID") or "")
    return [
        Series(
            stack(part, header, called, path),
            frames[0].series,
            place,
            tuple(slices(part)),
        )
        for called, part in split(frames, name)
    ]


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder in a fixed order, hidden ones left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if name[0] != ".")


def _is_of(path: Path, series: str) -> bool:
    """Whether a file belongs to a series; reads that one attribute."""
    import pydicom

    if not is_dicom(path):
        return False
    try:
        with quiet():
            tags = ["SeriesInstanceUID"]
            header = pydicom.dcmread(path, specific_tags=tags, stop_before_pixels=True)
            return str(header.get("SeriesInstanceUID", "")) == series
    except UNREADABLE:
        return False


def _look(path: Path, trusted: bool) -> Object | str:
    """The image in a file, or a word for what else it is."""
    import pydicom

    if not (trusted or is_dicom(path) or path.suffix.lower() in (".dcm", ".ima")):
        return "other"
    try:
        with quiet():
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            modality = str(header.get("Modality", ""))
            if modality in NO_IMAGES:
                return NO_IMAGES[modality]
            if "Rows" not in header:
                return "DICOMDIR" if "DirectoryRecordSequence" in header else "other"
            return Object(header, frames_of(header, path))
    except (InputError, *UNREADABLE):
        return "damaged"


def _series(objects: list[Object]) -> list[tuple[list[Object], str]]:
    """Objects by SeriesInstanceUID, with a name for each, by SeriesNumber."""
    groups: dict[str, list[Object]] = {}
    for one in objects:
        groups.setdefault(one.frames[0].series, []).append(one)

    def number(group: list[Object]) -> tuple[int, str]:
        text = str(group[0].header.get("SeriesNumber") or "")
        return int(text) if text.isdigit() else 0, group[0].frames[0].series

    return [
        (group, _name(group[0].header)) for group in sorted(groups.values(), key=number)
    ]


def _name(header: Dataset) -> str:
    """What the series is called; never by the patient."""
    described = " ".join(str(header.get("SeriesDescription") or "").split())
    modality = str(header.get("Modality") or "DICOM")
    number = str(header.get("SeriesNumber") or "")
    return described or f"{modality} {number}".strip()


def _why(skipped: Counter[str]) -> str:
    return f" (left out: {_list(skipped)})" if skipped else ""


def _list(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in skipped.items())

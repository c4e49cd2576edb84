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
from napari_segreview.scans.dicom_stack import split, stack
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
LOOK_AT = 200  # files that `has_dicom` opens at most


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


def read(path: Path) -> list[Scan]:
    """Read a DICOM file or everything in a folder; one Scan a series.

    A series of several orientations or image sizes gives one Scan for each.

    Raises
    ------
    InputError
        If there is no image, or if of every series a slice is missing or the pixels
        are damaged. Where some series can be read, a warning tells of the others.
    """
    paths = list(_files(path)) if path.is_dir() else [path]
    objects, skipped = _open(paths, path)
    if not objects:
        raise InputError(f"wanted DICOM images, found none{_why(skipped)}")
    notes = [f"files that were left out: {_list(skipped)}"] if skipped else []
    scans: list[Scan] = []
    failed: list[str] = []
    for group, name in _series(objects):
        try:
            scans += _scans(group, name, path)
        except InputError as error:
            failed.append(f"{name}: {error}")
    if not scans:
        raise InputError(f"{'; '.join(failed)}{_why(skipped)}")
    notes += [f"a series could not be read, {words}" for words in failed]
    return [replace(scan, warnings=(*notes, *scan.warnings)) for scan in scans]


def _scans(group: list[Object], name: str, path: Path) -> list[Scan]:
    """One Scan for each orientation and size in a series."""
    frames = [frame for one in group for frame in one.frames]
    header = group[0].header
    return [stack(part, header, called, path) for called, part in split(frames, name)]


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder in a fixed order, hidden ones left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if name[0] != ".")


def _open(paths: list[Path], start: Path) -> tuple[list[Object], Counter[str]]:
    """The images among the files; how many others there were, by kind."""
    objects: list[Object] = []
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    for path in paths:
        found = _look(path, trusted=path == start)
        if isinstance(found, str):
            skipped[found] += 1
        elif found.frames[0].uid in seen:
            skipped["double"] += 1
        else:
            seen.add(found.frames[0].uid)
            objects.append(found)
    return objects, skipped


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

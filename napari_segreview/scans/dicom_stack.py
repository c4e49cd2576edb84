"""Frames of one DICOM series → scans with a grid."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import Affine, Grid
from napari_segreview.core.scan import Scan
from napari_segreview.scans.dicom_frames import MOMENTS, Frame, Pixels, pixels
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

SAME_PLACE = 0.01  # mm along the normal: images nearer than this lie at one place
GAP = 1.5  # of the usual distance: from here on a slice is missing
UNEVEN = 0.01  # of the usual distance: from here on it is worth a warning
TOO_UNEVEN = 0.1  # of the usual distance: from here on the grid would be wrong
INTEGERS = (np.int16, np.int32, np.int64)
PER_CM = 3  # DICOM's code for cm in ultrasound regions


@dataclass(frozen=True, slots=True)
class Order:
    """Frames in array order, (t, z) flattened, and how long a frame lasts."""

    frames: list[Frame]
    times: int
    frame_ms: float | None = None
    warnings: tuple[str, ...] = ()


def split(frames: list[Frame], name: str) -> list[tuple[str, list[Frame]]]:
    """Frames of a series by orientation and image size, with a name for each part."""
    groups: dict[object, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(_plane(frame), []).append(frame)
    parts = list(groups.values())
    if len(parts) == 1:
        return [(name, parts[0])]
    return [(f"{name} ({i})", part) for i, part in enumerate(parts, 1)]


def stack(frames: list[Frame], header: Dataset, name: str, source: Path) -> Scan:
    """One Scan of frames of one orientation and size.

    Raises
    ------
    InputError
        If a slice is missing, slices are unevenly spaced or pixels are damaged.
    """
    make = _volume if frames[0].placed else _flat
    scan = make(frames, header, name, source, _pixel_notes(header))
    return replace(scan, subject=_subject(header))


def _subject(header: Dataset) -> str:
    """A hash of the patient's id and who gave it; of the study where that is empty."""
    for names in (("PatientID", "IssuerOfPatientID"), ("StudyInstanceUID",)):
        said = [str(header.get(name) or "").strip() for name in names]
        if said[0]:
            text = "\n".join(said).encode()
            return hashlib.blake2b(text, digest_size=16).hexdigest()
    return ""


def slices(frames: list[Frame]) -> list[Frame]:
    """The frames behind the planes of a stack, in array order; of a cine the first."""
    if not frames[0].placed:
        return frames
    order = _sort(frames)
    return order.frames[: len(order.frames) // order.times]


def _plane(frame: Frame) -> object:
    """What frames of one stack have in common; each unplaced file is its own."""
    if not frame.placed:
        return frame.path
    return (
        frame.shape,
        tuple(np.round(frame.orientation or (), 3)),
        tuple(np.round(frame.spacing or (), 4)),
    )


def _pixel_notes(header: Dataset) -> tuple[str, ...]:
    notes = []
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append(
            "stored with black as the largest value (MONOCHROME1); values kept"
        )
    if "ModalityLUTSequence" in header:
        notes.append("a modality look-up table is not applied: stored values are shown")
    if "MOSAIC" in (header.get("ImageType") or ()):
        notes.append("a mosaic: its slices lie side by side in one image")
    return tuple(notes)


# -- frames with a place in the patient ----------------------------------------------


def _volume(
    frames: list[Frame],
    header: Dataset,
    name: str,
    source: Path,
    notes: tuple[str, ...],
) -> Scan:
    order = _sort(frames)
    slices = len(order.frames) // order.times
    affine, uneven = _affine(order.frames[:slices])
    data = _load(order.frames)
    grid = Grid((slices, *data.shape[1:3]), affine)
    has_channels = data.ndim == 4
    if order.times > 1:
        data = data.reshape(order.times, slices, *data.shape[1:])
    return Scan(
        data=data,
        grid=grid,
        name=name,
        has_time=order.times > 1,
        has_channels=has_channels,
        frame_ms=order.frame_ms,
        modality=str(header.get("Modality") or ""),
        source=source,
        warnings=(*notes, *order.warnings, *uneven),
    )


def _normal(frame: Frame) -> npt.NDArray[np.float64]:
    orientation = np.array(frame.orientation)
    return np.cross(orientation[:3], orientation[3:])


def _sort(frames: list[Frame]) -> Order:
    """By time, then along the slice normal.

    Raises
    ------
    InputError
        If the places have different numbers of images.
    """
    normal = _normal(frames[0])
    along = np.array([np.dot(frame.position or (), normal) for frame in frames])
    places: list[list[Frame]] = []
    last = -np.inf
    for at in np.argsort(along, kind="stable"):
        if along[at] - last > SAME_PLACE:
            places.append([])
        places[-1].append(frames[at])
        last = along[at]
    counts = [len(place) for place in places]
    times = max(counts)
    if min(counts) < times:
        odd = min(range(len(places)), key=counts.__getitem__)
        raise InputError(
            f"{times} images at some slice positions but {counts[odd]} at slice "
            f"{odd + 1} of {len(places)}: files are missing or mixed; export the "
            "series again"
        )
    if times == 1:
        return Order([place[0] for place in places], 1)
    key = _moment(places)
    places = [sorted(place, key=lambda frame: frame.moments[key]) for place in places]
    ordered = [place[t] for t in range(times) for place in places]
    steps = [np.diff([frame.moments[key] for frame in place]) for place in places]
    said = (
        ()
        if MOMENTS[key] or key.startswith("Temporal")
        else (f"{times} images at each position, ordered by {key}",)
    )
    frame_ms = float(np.median(steps)) if MOMENTS[key] else None
    return Order(ordered, times, frame_ms, said)


def _moment(places: list[list[Frame]]) -> str:
    """The best attribute that tells the images at each place apart."""
    for key in MOMENTS:
        values = [{frame.moments.get(key) for frame in place} for place in places]
        if all(
            None not in there and len(there) == len(place)
            for there, place in zip(values, places, strict=True)
        ):
            return key
    raise InputError(
        f"{len(places[0])} images at each position and nothing that tells their order; "
        "export the series again"
    )


def _affine(slices: list[Frame]) -> tuple[Affine, tuple[str, ...]]:
    """Voxel (i, j, k) → mm by the positions; a warning where these are uneven.

    Raises
    ------
    InputError
        If a slice is missing or the positions lie on no line.
    """
    first = slices[0]
    orientation, spacing = np.array(first.orientation), first.spacing or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * spacing[1]
    affine[:3, 1] = orientation[3:] * spacing[0]
    affine[:3, 3] = np.array(first.position)
    if len(slices) == 1:
        affine[:3, 2] = _normal(first) * (first.thickness or 1.0)
        known = first.thickness
        return affine, () if known else ("one slice of unknown thickness: 1 mm taken",)
    positions = np.array([frame.position for frame in slices])
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(slices) - 1)
    return affine, _unevenness(positions, _normal(first))


def _unevenness(
    positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]
) -> tuple[str, ...]:
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    widest = int(np.argmax(gaps))
    if gaps[widest] > GAP * usual:
        raise InputError(
            f"a slice is missing between slices {widest + 1} and {widest + 2}: they "
            f"are {gaps[widest]:.4g} mm apart, the others {usual:.4g} mm; copy the "
            "whole series"
        )
    even = np.linspace(positions[0], positions[-1], len(positions))
    off = float(np.linalg.norm(positions - even, axis=1).max())
    if off > TOO_UNEVEN * usual:
        raise InputError(
            f"the slices are unevenly spaced: up to {off:.3g} mm beside an even grid "
            f"of {usual:.4g} mm; reformat the series to even slices"
        )
    if off > UNEVEN * usual:
        return (f"slices are unevenly spaced: up to {off:.3g} mm beside their grid",)
    return ()


# -- frames without: ultrasound, photographs, radiographs ----------------------------


def _flat(
    frames: list[Frame],
    header: Dataset,
    name: str,
    source: Path,
    notes: tuple[str, ...],
) -> Scan:
    if len(frames) > 1 and "SliceVector" in header:
        raise InputError(
            "tomographic nuclear medicine in one file cannot be read; export it as a "
            "series of slices"
        )
    data = _load(frames)
    many = len(frames) > 1
    step, note = _pixel_size(header)
    frame_ms = float(header.get("FrameTime") or 0) or None
    return Scan(
        data=data if many else data[0],
        grid=Grid.from_spacing(
            data.shape[1:3], step or (1.0, 1.0), "mm" if step else "px"
        ),
        name=name,
        has_time=many,
        has_channels=data.ndim == 4,
        frame_ms=frame_ms if many else None,
        modality=str(header.get("Modality") or ""),
        source=source,
        warnings=(*notes, *note),
    )


def _pixel_size(header: Dataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Pixel size (y, x) in mm of a flat image, None if it says none; and a warning."""
    if header.get("PixelSpacing"):
        row, column = header.PixelSpacing
        return (float(row), float(column)), ()
    if header.get("ImagerPixelSpacing"):
        row, column = header.ImagerPixelSpacing
        note = "pixel size is that at the detector: lengths in the patient are shorter"
        return (float(row), float(column)), (note,)
    sizes = {
        (abs(float(one.PhysicalDeltaY)) * 10, abs(float(one.PhysicalDeltaX)) * 10)
        for one in header.get("SequenceOfUltrasoundRegions") or []
        if one.get("PhysicalUnitsXDirection") == PER_CM
        and one.get("PhysicalUnitsYDirection") == PER_CM
    }
    if len(sizes) == 1:
        return sizes.pop(), ()
    return None, ()


# -- pixels --------------------------------------------------------------------------


def _load(frames: list[Frame]) -> Pixels:
    """Pixels in the order of the frames, rescaled; (frames, y, x[, 3])."""
    files: dict[Path, tuple[Pixels, bool]] = {}
    for frame in frames:
        if frame.path not in files:
            files[frame.path] = pixels(frame.path)
    if any(done for _, done in files.values()):
        own = {frame.rescale for frame in frames}
        if len(own) > 1 and len(files) < len(frames):
            raise InputError("frames of one compressed file with different rescaling")
    images = []
    rescale = []
    for frame in frames:
        data, done = files[frame.path]
        if frame.index >= len(data):
            raise InputError(f"{frame.path.name}: frame {frame.index + 1} is missing")
        images.append(data[frame.index])
        rescale.append((1.0, 0.0) if done else frame.rescale)
    if len({image.shape for image in images}) > 1:
        raise InputError("grey and colour images are mixed")
    return _rescale(images, rescale)


def _rescale(images: list[Pixels], rescale: list[tuple[float, float]]) -> Pixels:
    """Slope · stored + intercept, in the smallest type that holds it exactly.

    Stored values of several types meet in the one that holds all; whole slopes and
    intercepts give int16 or int32, others float32.
    """
    stored = np.result_type(*{image.dtype for image in images})
    out: Pixels
    if set(rescale) == {(1.0, 0.0)}:
        out = np.empty((len(images), *images[0].shape), stored)
        for at, image in enumerate(images):
            out[at] = image
        return out
    whole = stored.kind in "iu" and all(
        v.is_integer() for pair in rescale for v in pair
    )
    ends = [
        slope * float(end) + intercept
        for image, (slope, intercept) in zip(images, rescale, strict=True)
        for end in (image.min(), image.max())
    ]
    types = INTEGERS if whole else ()
    dtype = next((np.dtype(t) for t in types if _holds(t, ends)), np.dtype(np.float32))
    out = np.empty((len(images), *images[0].shape), dtype)
    for at, (image, (slope, intercept)) in enumerate(zip(images, rescale, strict=True)):
        out[at] = image * slope + intercept
    return out


def _holds(dtype: type[np.signedinteger], ends: list[float]) -> bool:
    info = np.iinfo(dtype)
    return info.min <= min(ends) and max(ends) <= info.max

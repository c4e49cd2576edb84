"""One DICOM image frame: what its header says, and its pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.scans.itk import load, simple_itk
from napari_segreview.scans.quiet import quiet
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

Pixels = npt.NDArray[Any]

# attribute → the functional group of an enhanced object that holds it
GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
}
CLOCKS = ("AcquisitionTime", "ContentTime")  # HHMMSS.ffffff
# What may order images at one place, best first; the flag: it is a time in ms.
MOMENTS = {
    "TriggerTime": True,
    "NominalCardiacTriggerDelayTime": True,
    "TemporalPositionIdentifier": False,
    "TemporalPositionIndex": False,
    "AcquisitionTime": True,
    "ContentTime": False,
    "InstanceNumber": False,
}
UNREADABLE = (
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where and when one 2D image was taken.

    Attributes
    ----------
    path, index
        The file and the frame's number in it.
    series, uid : str
        SeriesInstanceUID, SOPInstanceUID.
    shape : tuple of int
        (rows, columns, samples).
    position : (3,) tuple or None
        Centre of the first pixel, patient mm (LPS).
    orientation : (6,) tuple or None
        Direction of a row, then of a column.
    spacing : tuple or None
        mm from row to row, from column to column.
    thickness : float or None
        mm; used only for a single slice.
    rescale : tuple of float
        Slope and intercept.
    moments : dict
        Keys of `MOMENTS` → number.
    """

    path: Path
    index: int
    series: str
    uid: str
    shape: tuple[int, int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    rescale: tuple[float, float]
    moments: dict[str, float]

    @property
    def placed(self) -> bool:
        """Whether the frame has a place in the patient."""
        return None not in (self.position, self.orientation, self.spacing)


def frames_of(header: Dataset, path: Path) -> list[Frame]:
    """All frames of one object.

    Raises
    ------
    InputError
        If a number in the header is damaged.
    """
    try:
        count = int(header.get("NumberOfFrames") or 1)
        return [_frame(header, path, i) for i in range(count)]
    except UNREADABLE as error:
        raise InputError(f"damaged header ({error})") from error


def _frame(header: Dataset, path: Path, index: int) -> Frame:
    slope = _numbers(header, index, "RescaleSlope", 1) or (1.0,)
    intercept = _numbers(header, index, "RescaleIntercept", 1) or (0.0,)
    thickness = _numbers(header, index, "SliceThickness", 1)
    moments = {key: _moment(header, index, key) for key in MOMENTS}
    return Frame(
        path=path,
        index=index,
        series=str(header.get("SeriesInstanceUID", "")),
        uid=str(header.get("SOPInstanceUID", path)),
        shape=(
            int(header.Rows),
            int(header.Columns),
            int(header.get("SamplesPerPixel", 1)),
        ),
        position=_numbers(header, index, "ImagePositionPatient", 3),
        orientation=_numbers(header, index, "ImageOrientationPatient", 6),
        spacing=_numbers(header, index, "PixelSpacing", 2),
        thickness=thickness[0] if thickness else None,
        rescale=(slope[0], intercept[0]),
        moments={key: value for key, value in moments.items() if value is not None},
    )


def _find(header: Dataset, index: int, name: str) -> Any:
    """An attribute of one frame: its functional group, the shared one, the object."""
    group = GROUPS.get(name, "")
    for holders in (
        "PerFrameFunctionalGroupsSequence",
        "SharedFunctionalGroupsSequence",
    ):
        items = header.get(holders) or []
        at = index if holders.startswith("Per") else 0
        if at < len(items) and items[at].get(group):
            found = items[at][group][0].get(name)
            if found is not None:
                return found
    return header.get(name)


def _numbers(
    header: Dataset, index: int, name: str, count: int
) -> tuple[float, ...] | None:
    value = _find(header, index, name)
    if value is None or value == "":
        return None
    many = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = tuple(float(v) for v in (value if many else [value]))
    if len(numbers) != count or not all(math.isfinite(v) for v in numbers):
        raise ValueError(f"{name} is {value}")
    return numbers


def _moment(header: Dataset, index: int, name: str) -> float | None:
    if name in CLOCKS:
        text = str(header.get(name) or "")
        if len(text) < 6:
            return None
        minutes = int(text[:2]) * 60 + int(text[2:4])
        return (minutes * 60 + float(text[4:])) * 1000
    numbers = _numbers(header, index, name, 1)
    return numbers[0] if numbers else None


# -- pixels --------------------------------------------------------------------------


def pixels(path: Path) -> tuple[Pixels, bool]:
    """Stored values of a file, and whether the rescaling is already applied.

    Returns
    -------
    array
        (frames, y, x) or (frames, y, x, 3); YBR and palette colours as RGB.
    bool
        True if GDCM had to decode them (JPEG-LS, 12-bit and lossless JPEG): it
        rescales by itself.

    Raises
    ------
    InputError
        If they are truncated or cannot be decoded.
    """
    import pydicom

    try:
        with quiet():
            header = pydicom.dcmread(path, force=True)
            return _decode(header), False
    except UNREADABLE as error:
        syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
        if syntax is None or not syntax.is_compressed:
            raise InputError(
                f"{path.name}: the pixels are damaged ({error})"
            ) from error
    return _by_gdcm(path), True


def _decode(header: Dataset) -> Pixels:
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    data = pixel_array(header)
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        data = apply_color_lut(data, header)
        if data.dtype == np.uint16 and not (data & 0xFF).any():
            data = (data >> 8).astype(np.uint8)  # 8-bit colours in the upper byte
    if int(header.get("NumberOfFrames") or 1) == 1:
        data = data[None]
    return data.astype(data.dtype.newbyteorder("="), copy=False)


def _by_gdcm(path: Path) -> Pixels:
    try:
        data: Pixels = simple_itk().GetArrayFromImage(load(path))
    except InputError as error:
        raise InputError(f"{path.name}: the compressed pixels are damaged") from error
    return data

"""Small DICOM files, made to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERIES = generate_uid()
ACROSS = [1, 0, 0, 0, 1, 0]  # an axial slice


def make_slice(path: Path, position: tuple[float, ...] | None, **tags: Any) -> Path:
    """Write one 3×4 slice whose pixels are its InstanceNumber; `tags` override."""
    number = tags.setdefault("InstanceNumber", 1)
    pixels = tags.pop("pixels", np.full((3, 4), number, np.int16))
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.PatientName = "Secret^Name"
    ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber = "CT", SERIES, 7
    if position is not None:
        ds.ImagePositionPatient, ds.ImageOrientationPatient = list(position), ACROSS
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.25], 9.0
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = pixels.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    for key, value in tags.items():
        setattr(ds, key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def dicom_slice() -> Callable[..., Path]:
    return make_slice

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


def make_series(
    folder: Path, affine: np.ndarray, shape: tuple[int, int, int], **tags: Any
) -> Path:
    """Write a whole series on a grid: voxel (i, j, k) → mm as `affine` says.

    Files are numbered against the order of the slices.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    across = (affine[:3, :2] / spacing[:2]).T.ravel()
    facts = {
        "SeriesInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "ImageOrientationPatient": [f"{v:.10f}" for v in across],
        "PixelSpacing": [f"{v:.10f}" for v in spacing[1::-1]],
        "PatientID": "Secret-4711",
        "StudyDate": "20190807",
    }
    for k in range(shape[0]):
        place = [f"{v:.8f}" for v in affine[:3, 3] + k * affine[:3, 2]]
        pixels = np.full(shape[1:], k, np.int16)
        number = shape[0] - k
        make_slice(
            folder / f"{number:03}.dcm",
            (0, 0, 0),
            **{
                **facts,
                "InstanceNumber": number,
                "pixels": pixels,
                "ImagePositionPatient": place,
                **tags,
            },
        )
    return folder


@pytest.fixture
def dicom_series() -> Callable[..., Path]:
    return make_series


@pytest.fixture
def dicom_slice() -> Callable[..., Path]:
    return make_slice

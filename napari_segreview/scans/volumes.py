"""NIfTI, NRRD and MetaImage, read by SimpleITK."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import Affine, Grid, Unit
from napari_segreview.core.scan import Scan
from napari_segreview.scans import headers, nifti
from napari_segreview.scans.itk import ItkImage, load, simple_itk
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_segreview.scans.headers import Header

HEADERS: Mapping[str, Callable[[Path], Header]] = MappingProxyType(
    {
        ".nii": nifti.check,
        ".nii.gz": nifti.check,
        ".nrrd": headers.nrrd,
        ".nhdr": headers.nrrd,
        ".mha": headers.metaimage,
        ".mhd": headers.metaimage,
    }
)
SAME_PLACE = 0.1  # of a voxel: how far a header's two statements may lie apart


@dataclass(frozen=True, slots=True)
class Volume:
    """A scan together with the free text of its header (NRRD, MetaImage)."""

    scan: Scan
    meta: Mapping[str, str]


def read(path: Path, suffix: str) -> Volume:
    """Read one volume; `suffix` is a key of `HEADERS`.

    Raises
    ------
    InputError
        If the file is damaged, its header contradicts itself, its axes are sheared
        (NIfTI), its voxels are complex or it has five or more axes.
    """
    header = HEADERS[suffix](path)
    image = load(path)
    grid = grid_of(image, header.unit)
    if image.GetDimension() > 4:
        raise InputError(
            f"an image of {image.GetDimension()} axes {image.GetSize()}; wanted at "
            "most x, y, z and time: split it first"
        )
    data = _array(image)
    if header.nonfinite:
        data = _with_nonfinite(data, path)
    has_time = image.GetDimension() == 4
    if has_time and data.shape[0] == 1:
        data, has_time = data[0], False
    scan = Scan(
        data=data,
        grid=grid,
        name=path.name.removesuffix(suffix),
        has_time=has_time,
        has_channels=image.GetNumberOfComponentsPerPixel() > 1,
        frame_ms=header.frame_ms if has_time else None,
        source=path,
        warnings=(*header.warnings, *_compare(grid, header)),
    )
    meta = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return Volume(scan, MappingProxyType(meta))


def grid_of(image: ItkImage, unit: Unit = "mm") -> Grid:
    """The grid of the spatial axes (at most three) of an ITK image.

    Raises
    ------
    InputError
        If the time axis is mixed into space.
    """
    ndim = image.GetDimension()
    n = min(ndim, 3)
    direction = np.reshape(image.GetDirection(), (ndim, ndim))
    if direction[:n, n:].any() or direction[n:, :n].any():
        raise InputError("time and space are mixed in the header; export it again")
    affine: Affine = np.eye(n + 1)
    affine[:n, :n] = direction[:n, :n] * np.array(image.GetSpacing()[:n])
    affine[:n, n] = image.GetOrigin()[:n]
    return Grid(image.GetSize()[:n][::-1], affine, unit)


def _array(image: ItkImage) -> npt.NDArray[Any]:
    if image.GetPixelIDTypeAsString().startswith("complex"):
        raise InputError("the voxels are complex numbers; save their magnitude")
    data: npt.NDArray[Any] = simple_itk().GetArrayFromImage(image)
    return data


def _with_nonfinite(data: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """Put back the NaN and infinite voxels that ITK reads as 0."""
    stored = nifti.float_voxels(path)
    if stored.squeeze().shape != data.squeeze().shape:  # a vector image
        raise InputError("voxels are NaN or infinite; replace them first")
    bad = ~np.isfinite(stored)
    whole = data.reshape(stored.shape)
    whole[bad] = stored[bad]
    return whole.reshape(data.shape)


def _compare(grid: Grid, header: Header) -> tuple[str, ...]:
    """Check ITK's geometry against what the header states.

    ITK takes the directions from one field and the lengths from another. It must
    agree with at least one of the statements as a whole. A 2D image has no full one.
    """
    if grid.ndim != 3:
        return ()
    apart = {
        name: Grid(grid.shape, affine, grid.unit).difference(grid, SAME_PLACE)
        for name, affine in header.affines.items()
    }
    if not any(apart.values()):
        return ()
    if all(apart.values()):
        name, words = next(iter(apart.items()))
        raise InputError(
            f"the header contradicts itself: {name} and voxel size (pixdim) differ, "
            f"{words}; correct its header"
        )
    used = next(name for name, words in apart.items() if not words)
    return (f"the header gives two positions (sform and qform); the {used} is used",)

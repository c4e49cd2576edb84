"""SimpleITK, imported at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segreview.scans.headers import AGAIN
from napari_segreview.scans.quiet import quiet
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

ItkImage = Any  # a SimpleITK.Image; its type hints are only half there


def simple_itk() -> Any:
    """The module SimpleITK."""
    import SimpleITK

    return SimpleITK


def load(path: Path) -> ItkImage:
    """`SimpleITK.ReadImage` with an error in plain words.

    Raises
    ------
    InputError
        If ITK cannot read the file.
    """
    itk = simple_itk()
    try:
        with quiet():
            return itk.ReadImage(str(path))
    except RuntimeError as error:
        words = str(error)
        if "orthonormal" in words:
            raise InputError(
                "the axes of this NIfTI are not at right angles (sheared); resample "
                "it first or save it as .nrrd"
            ) from error
        if "-valued spacing" in words:
            raise InputError(
                "the header gives a voxel size of zero; correct its header"
            ) from error
        raise InputError(
            f"the file is damaged or of another format; {AGAIN}"
        ) from error

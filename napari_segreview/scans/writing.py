"""Write labels: a draft beside the file, re-read and measured, then put in place."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.scans import guard, label_table
from napari_segreview.scans.guard import WriteError
from napari_segreview.scans.itk import ItkImage, simple_itk
from napari_segreview.scans.quiet import quiet
from napari_segreview.scans.reading import read_labels, smallest_unsigned
from napari_segreview.scans.suffixes import suffix_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_segreview.core.labels import LabelMap

DRAFT = ".segreview-"
RIGHT_ANGLE = 1e-4  # the largest cosine between two axes that NIfTI is trusted with


@dataclass(frozen=True, slots=True)
class Format:
    """How labels are written under a suffix.

    Attributes
    ----------
    write : callable
        (labels in the smallest type, path); raises OSError or RuntimeError.
    largest : int
        The largest label value the format holds.
    axes : tuple of str
        Which of `label_table.AXES` it holds.
    sidecar : bool
        Whether names, and what else is missing, go to a file beside it.
    shear : bool
        Whether it can hold axes that are not at right angles.
    volume : bool
        Whether ITK reads it with its geometry.
    """

    write: Callable[[LabelMap, Path], None]
    largest: int = 2**32 - 1
    axes: tuple[str, ...] = label_table.AXES
    sidecar: bool = True
    shear: bool = True
    volume: bool = True


def write_labels(labels: LabelMap, path: str | Path) -> None:
    """Write labels so that they lie where they lay, or not at all.

    The file is written under another name in the same folder, read again, compared
    voxel by voxel and measured in patient coordinates; only then does it replace an
    earlier one. NIfTI, PNG and TIFF get the names and colours in a sidecar
    (`mask.labels.json`), NRRD and MetaImage in their header.

    Parameters
    ----------
    labels : LabelMap
        Stored in the smallest unsigned type that holds its values.
    path : path
        Ends in one of `WRITABLE`.

    Raises
    ------
    InputError
        If the format cannot hold these labels.
    WriteError
        If the folder is missing, full or not writable, or the file does not hold what
        was written. An earlier file is then as it was.
    """
    path = Path(path)
    form = _format(labels, path)
    largest = int(labels.data.max(initial=0))
    small = replace(labels, data=labels.data.astype(smallest_unsigned(largest)))
    folder = path.absolute().parent
    with drafts(path) as place:
        draft = place / path.name
        written = _write(form, small, draft)
        guard.check_same(small, read_labels(draft), draft if form.volume else None)
        for file in written:
            os.replace(file, folder / file.name)
    flush(folder)


def check_writable(path: str | Path, like: LabelMap | None = None) -> None:
    """Say before the work, not after it, that labels cannot be saved there.

    Parameters
    ----------
    like : LabelMap, optional
        Labels of the kind to come: whether the format holds their axes and grid.

    Raises
    ------
    InputError
        If the suffix is none of `WRITABLE`, or the format does not hold such labels.
    WriteError
        If the folder is missing or not writable.
    """
    path = Path(path)
    _suffix(path) if like is None else _format(like, path)
    if path.is_dir():
        raise WriteError(f"{path.name} is a folder; name a file")
    with drafts(path):
        pass


def check_apart(output: Path, source: Path) -> None:
    """Refuse to write over what is read: a file, or one of a folder's own files.

    Raises
    ------
    InputError
        If `output` is there already and is `source`, or lies in the folder `source`.
    """
    if not (output.exists() and source.exists()):
        return
    if source.samefile(output.parent if source.is_dir() else output):
        raise InputError(
            f"{output.name} is part of what is read; name another file for the result"
        )


@contextmanager
def drafts(path: Path) -> Iterator[Path]:
    """A folder beside `path` that is gone afterwards."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise WriteError(f"{path.name}: there is no folder {folder}; make it first")
    with _told(path), tempfile.TemporaryDirectory(dir=folder, prefix=DRAFT) as place:
        yield Path(place)


def _suffix(path: Path) -> str:
    suffix = suffix_of(path, FORMATS)
    if not suffix:
        raise InputError(f"{path.name}: labels can be saved as {', '.join(WRITABLE)}")
    return suffix


def _format(labels: LabelMap, path: Path) -> Format:
    """The format of the suffix, if it holds these labels."""
    suffix = _suffix(path)
    form = FORMATS[suffix]
    axes = label_table.axes_of(labels)
    if axes not in form.axes:
        raise InputError(
            f"{path.name}: {suffix} holds one 2D image, these labels have the axes "
            f"{', '.join(axes)}; save them as .nii.gz or .tif"
        )
    largest = int(labels.data.max(initial=0))
    if largest > form.largest:
        raise InputError(
            f"{path.name}: {suffix} holds label values up to {form.largest}, got "
            f"{largest}; save as another format"
        )
    if not form.shear and _is_sheared(labels):
        raise InputError(
            f"{path.name}: the axes of this scan are not at right angles (gantry "
            "tilt), which NIfTI does not hold safely; save as .nrrd"
        )
    return form


def _is_sheared(labels: LabelMap) -> bool:
    axes = labels.grid.affine[:-1, :-1]
    axes = axes / np.linalg.norm(axes, axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(len(axes))).max() > RIGHT_ANGLE)


def _write(form: Format, labels: LabelMap, draft: Path) -> list[Path]:
    """Write the draft and its sidecar to the disk; the files, the image first."""
    form.write(labels, draft)
    written = [draft]
    if form.sidecar:
        side = label_table.sidecar(draft)
        side.write_text(label_table.to_json(labels), encoding="utf-8")
        written.append(side)
    for file in written:
        handle = os.open(file, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return written


def flush(folder: Path) -> None:
    """Bring the new names to the disk too, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Every failure as one line that names the file and says what is still there."""
    kept = "; the earlier file is unchanged" if path.exists() else ""
    try:
        yield
    except (InputError, RuntimeError) as error:
        words = str(error).splitlines()[-1] if str(error) else "unknown reason"
        raise WriteError(f"{path.name} was not saved: {words}{kept}") from error
    except OSError as error:
        words = error.strerror or str(error)
        raise WriteError(f"{path.name} was not saved: {words}{kept}") from error


# -- the formats ---------------------------------------------------------------------


def _nifti(labels: LabelMap, path: Path) -> None:
    _save(_image(labels), path)


def _with_keys(labels: LabelMap, path: Path) -> None:
    """NRRD or MetaImage: names as 3D Slicer writes them."""
    image = _image(labels)
    for key, value in label_table.to_slicer(labels).items():
        image.SetMetaData(key, value)
    _save(image, path)


def _save(image: ItkImage, path: Path) -> None:
    with quiet():
        simple_itk().WriteImage(image, str(path), useCompression=True)


def _image(labels: LabelMap) -> ItkImage:
    """An ITK image (x, y[, z[, t]]); 2D + time gets one slice, as t comes fourth."""
    n = labels.grid.ndim
    flat_cine = labels.has_time and n == 2
    data = labels.data[:, None] if flat_cine else labels.data
    ndim = data.ndim
    affine = labels.grid.affine
    spacing, direction, origin = np.ones(ndim), np.eye(ndim), np.zeros(ndim)
    spacing[:n] = np.linalg.norm(affine[:n, :n], axis=0)
    direction[:n, :n] = affine[:n, :n] / spacing[:n]
    origin[:n] = affine[:n, n]
    image = simple_itk().GetImageFromArray(data, isVector=False)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    return image


def _png(labels: LabelMap, path: Path) -> None:
    from PIL import Image

    Image.fromarray(labels.data).save(path)


def _tiff(labels: LabelMap, path: Path) -> None:
    import tifffile

    tifffile.imwrite(
        path,
        labels.data,
        photometric="minisblack",
        compression="zlib",
        metadata={"axes": label_table.axes_of(labels).upper()},
    )


NIFTI = Format(_nifti, shear=False)
KEYED = Format(_with_keys, sidecar=False)
TIFF = Format(_tiff, volume=False)
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".nii.gz": NIFTI,
        ".nii": NIFTI,
        ".nrrd": KEYED,
        ".mha": KEYED,
        ".png": Format(_png, largest=2**16 - 1, axes=("yx",), volume=False),
        ".tif": TIFF,
        ".tiff": TIFF,
    }
)
WRITABLE = tuple(FORMATS)

"""Read scans and labels: the suffix chooses the reader."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core import geometry_notes
from napari_segreview.core.labels import LabelMap
from napari_segreview.core.scan import Scan
from napari_segreview.scans import (
    dicom,
    dicom_labels,
    images,
    label_table,
    table_files,
    tiff,
    volumes,
)
from napari_segreview.scans.suffixes import stem_of, suffix_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_segreview.scans.label_table import Notes

FEW = 256  # distinct values up to which integers may be labels
LABEL_WORDS = re.compile(
    r"(?:^|[^a-z])(?:labels?|masks?|seg|segs|segmentations?|annotations?|gt)"
    r"(?:[^a-z]|$)|(?:labels?|masks?)$"
)
# what a damaged header can raise beside InputError
DAMAGED = (OSError, EOFError, OverflowError, MemoryError)


@dataclass(frozen=True, slots=True)
class Read:
    """What came from a file: its scans, and notes on labels in its own header."""

    scans: list[Scan]
    notes: Notes | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """How a suffix is read.

    Attributes
    ----------
    read : callable
        Path → `Read`, for showing.
    read_labels : callable
        The same for labels: palette images give their indices.
    geometry : bool
        Whether the file itself says where its voxels lie.
    sidecar : bool
        Whether the names of labels lie in a file beside it.
    """

    read: Callable[[Path], Read]
    read_labels: Callable[[Path], Read]
    geometry: bool = True
    sidecar: bool = False


def _dicom(path: Path) -> Read:
    return Read(dicom.read(path))


def _volume(suffix: str) -> Callable[[Path], Read]:
    return lambda path: Read([volumes.read(path, suffix).scan])


def _label_volume(suffix: str) -> Callable[[Path], Read]:
    def read(path: Path) -> Read:
        volume = volumes.read(path, suffix)
        if suffix.startswith(".nii"):
            notes = label_table.Notes(table_files.from_nifti(path))
        else:
            notes = label_table.from_slicer(volume.meta)
        return Read([volume.scan], notes)

    return read


def _picture(reader: Callable[[Path], Scan]) -> Callable[[Path], Read]:
    return lambda path: Read([reader(path)])


def _formats() -> Iterator[tuple[str, Format]]:
    for suffix in volumes.HEADERS:
        beside = suffix.startswith(".nii")
        yield suffix, Format(_volume(suffix), _label_volume(suffix), sidecar=beside)
    for suffix in (".png", ".jpg", ".jpeg"):
        show, index = _picture(images.read), _picture(images.read_indices)
        yield suffix, Format(show, index, geometry=False, sidecar=True)
    for suffix in (".tif", ".tiff"):
        show, index = _picture(tiff.read), _picture(tiff.read_indices)
        yield suffix, Format(show, index, geometry=False, sidecar=True)
    for suffix in (".dcm", ".ima"):
        yield suffix, DICOM


DICOM = Format(_dicom, _dicom)
FORMATS: Mapping[str, Format] = MappingProxyType(dict(_formats()))
READABLE = tuple(FORMATS)


def can_read(path: str | Path) -> bool:
    """Whether `read` has a reader for it; opens nothing but DICOM's magic bytes."""
    path = Path(path)
    if path.is_dir():
        return dicom.has_dicom(path)
    return bool(suffix_of(path, READABLE)) or dicom.is_dicom(path)


def read(path: str | Path) -> list[Scan]:
    """Read a file, or every DICOM series in a folder.

    Returns
    -------
    list of Scan
        One; or several from a DICOM folder, or a series of several orientations.
        Nothing is resampled, reoriented or altered.

    Raises
    ------
    InputError
        In one line that names the file: it is not there, of no known format,
        damaged, or its header gives no usable voxel size.
    """
    path = Path(path)
    with _named(path):
        return [_noticed(scan) for scan in _format(path).read(path).scans]


def read_all(path: str | Path) -> list[Scan | LabelMap]:
    """Read a file or folder as `read`, with the labels drawn on DICOM series.

    Returns
    -------
    list of Scan and LabelMap
        The scans; then the label maps of every DICOM-SEG and RTSTRUCT, on the grid of
        the series they were drawn on. One that cannot be shown is told of in the
        warnings of the scans.

    Raises
    ------
    InputError
        As `read`.
    """
    path = Path(path)
    if _format_or_error(path) is not DICOM:
        return [*read(path)]
    with _named(path):
        return [
            _noticed(item) if isinstance(item, Scan) else item
            for item in dicom_labels.read_folder(path)
        ]


def read_one(path: str | Path) -> Scan:
    """Read exactly one scan.

    Raises
    ------
    InputError
        As `read`; or if there are several, with their names.
    """
    scans = read(path)
    if len(scans) > 1:
        raise InputError(
            f"{Path(path).name}: wanted one scan, found {len(scans)}: "
            f"{'; '.join(scan.name for scan in scans)}. Put one series into a "
            "folder of its own"
        )
    return scans[0]


def read_labels(path: str | Path, series: str | Path | None = None) -> LabelMap:
    """Read whole numbers ≥ 0 as labels, with names and colours where there are any.

    Signed and whole-valued float types become the smallest unsigned type that holds
    the values; a float type is noted in the warnings.

    Parameters
    ----------
    path : path
        A label image, a DICOM-SEG or an RTSTRUCT.
    series : path, optional
        Folder of the images that a SEG or RTSTRUCT was drawn on; without it they are
        looked for beside it.

    Raises
    ------
    InputError
        As `read_one`; or if values are negative, fractional or NaN, if the image is in
        colour, or if segments overlap.
    """
    maps = read_label_maps(path, series)
    if len(maps) > 1:
        raise InputError(
            f"{Path(path).name}: wanted one set of labels, found {len(maps)}, of several "
            "files or of segments that overlap: "
            f"{'; '.join(one.name for one in maps)}. `segreview convert` writes each to "
            "a file of its own"
        )
    return maps[0]


def read_label_maps(
    path: str | Path, series: str | Path | None = None
) -> list[LabelMap]:
    """The same, but segments that overlap come as several label maps."""
    path = Path(path)
    form = _format_or_error(path)
    with _named(path):
        if form is DICOM:
            drawn = dicom_labels.read_labels(path, Path(series) if series else None)
            if drawn:
                return drawn
        found = form.read_labels(path)
        if len(found.scans) > 1:
            raise InputError(f"wanted one label image, found {len(found.scans)}")
        scan = found.scans[0]
        values, said = _grey(scan)
        data, cast = _whole(values)
        labels = LabelMap(
            data=data,
            grid=scan.grid,
            name=scan.name,
            warnings=(*scan.warnings, *said, *cast),
        )
        return [_with_notes(labels, found.notes, form, path)]


def looks_like_labels(scan: Scan) -> bool:
    """Whether a scan is likely a label image: by its place and by its values.

    The file or its folder is called like labels, or names of labels lie beside or in
    it; and all values are whole, ≥ 0 and at most 256 different ones.
    """
    if scan.source is None or scan.has_channels:
        return False
    if not (_called_labels(scan.source) or _has_names(scan.source)):
        return False
    return _few_whole(scan.data)


def smallest_unsigned(largest: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned type that holds 0 … `largest`."""
    return np.dtype(np.min_scalar_type(largest))


# -- the parts -----------------------------------------------------------------------


def _format_or_error(path: Path) -> Format:
    with _named(path):
        return _format(path)


def _format(path: Path) -> Format:
    if not path.exists():
        raise InputError("there is no such file or folder")
    if path.is_dir():
        return DICOM
    suffix = suffix_of(path, FORMATS)
    if path.stat().st_size == 0:
        raise InputError("the file is empty; copy or export it again")
    if suffix:
        return FORMATS[suffix]
    if dicom.is_dicom(path):
        return DICOM
    raise InputError(f"wanted one of {', '.join(READABLE)} or a DICOM folder")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors that name the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except DAMAGED as error:
        reason = getattr(error, "strerror", None) or str(error) or "too large"
        raise InputError(f"{path.name}: cannot be read ({reason})") from error


def _noticed(scan: Scan) -> Scan:
    """The scan, with warnings of its geometry and of voxels that are no numbers."""
    scan = replace(scan, warnings=(*scan.warnings, *geometry_notes.notes(scan.grid)))
    if scan.data.dtype.kind != "f":
        return scan
    bad = sum(int(part.size - np.isfinite(part).sum()) for part in scan.data)
    if not bad:
        return scan
    words = f"{bad} of {scan.data.size} voxels are not numbers (NaN or infinite)"
    return replace(scan, warnings=(*scan.warnings, words))


def _grey(scan: Scan) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Values without the colour axis, if all channels say the same."""
    if not scan.has_channels:
        return scan.data, ()
    first = scan.data[..., :1]
    if (scan.data != first).any():
        raise InputError(
            f"wanted one label per voxel, got {scan.channels} channels that differ "
            "(colours, or segments that overlap); save labels as whole numbers"
        )
    return first[..., 0], (f"{scan.channels} equal channels were read as one",)


def _whole(
    values: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.unsignedinteger], tuple[str, ...]]:
    """The same values in an unsigned type."""
    said: tuple[str, ...] = ()
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise InputError("labels must be whole numbers ≥ 0, got NaN or infinity")
        if (values != np.rint(values)).any():
            some = values[values != np.rint(values)].flat[0]
            raise InputError(
                f"labels must be whole numbers ≥ 0, got {some:g}; a probability map "
                "must be cut at a threshold first"
            )
        said = (f"labels stored as {values.dtype} were read as whole numbers",)
    if values.min() < 0:
        raise InputError(f"labels must be whole numbers ≥ 0, got {values.min():g}")
    if values.dtype.kind == "u":
        return values, said
    return values.astype(smallest_unsigned(int(values.max()))), said


def _with_notes(
    labels: LabelMap, inside: Notes | None, form: Format, path: Path
) -> LabelMap:
    """Names from the header, or else from the sidecar."""
    notes = inside
    place = label_table.sidecar(path)
    if form.sidecar and place.is_file():
        try:
            notes = label_table.from_json(place.read_text(encoding="utf-8"))
        except (InputError, OSError, UnicodeDecodeError):
            said = f"{place.name} is damaged: names and colours were not read"
            return replace(labels, warnings=(*labels.warnings, said))
    if notes is None:
        return labels
    return label_table.restore(labels, notes, geometry=not form.geometry)


def _called_labels(source: Path) -> bool:
    names = (stem_of(source).lower(), source.absolute().parent.name.lower())
    return any(LABEL_WORDS.search(name) for name in names)


def _has_names(source: Path) -> bool:
    """Whether a sidecar lies beside it, or 3D Slicer's keys in its header."""
    if source.is_dir():
        return False
    if label_table.sidecar(source).is_file():
        return True
    if suffix_of(source, (".nrrd", ".nhdr", ".mha", ".mhd")):
        with source.open("rb") as file:
            return b"Segment0_" in file.read(1 << 16)
    return False


def _few_whole(data: npt.NDArray[Any]) -> bool:
    """Whether all values are whole, ≥ 0 and at most `FEW` different ones."""
    if data.dtype.kind not in "uif":
        return False
    seen: set[float] = set()
    for part in data:  # slice by slice: an image gives itself away early
        values = np.unique(part)
        if values[0] < 0 or (values != np.rint(values)).any():
            return False
        seen.update(values.tolist())
        if len(seen) > FEW:
            return False
    return True

"""Scans of many sets as plain arrays on disk, to draw slices from quickly.

A folder holds ``index.json`` and, for each entry, ``<name>.image.npy`` (z, y, x, c) and
``<name>.labels.npy`` (z, y, x); a 2D image has one z.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INDEX = "index.json"
STRETCHED = 3.0  # pixels longer than this times their width are no picture
FEWEST = 16  # rows and columns of a slice worth looking at


@dataclass(frozen=True, slots=True)
class Entry:
    """One volume or picture with its labels.

    Attributes
    ----------
    set, name, group : str
        The set; the array's name in the folder; the patient or study.
    spacing : (z, y, x)
        In mm; ones if unknown.
    instances : bool
        Whether each label value is one object of a kind, rather than a kind.
    """

    set: str
    name: str
    group: str
    spacing: tuple[float, float, float]
    instances: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """A cached entry, opened: slices in each plane that makes a picture.

    Attributes
    ----------
    slices : dict
        Axis → indices of the slices along it that have labels.
    """

    entry: Entry
    image: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    slices: dict[int, npt.NDArray[np.intp]]

    def picture(self, axis: int, at: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Image (y, x, c) and labels (y, x) of a slice."""
        return self.image.take(at, axis), self.labels.take(at, axis)


def store(
    folder: Path,
    entry: Entry,
    image: npt.NDArray[Any],
    labels: npt.NDArray[np.unsignedinteger],
) -> None:
    """Write an entry's arrays; floats and long integers are stretched over 16 bits.

    Parameters
    ----------
    image : (z, y, x, c)
    labels : (z, y, x)
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{entry.name}.image.npy", _compact(image))
    few = labels.max(initial=0) < 256
    np.save(
        folder / f"{entry.name}.labels.npy",
        labels.astype(np.uint8 if few else np.uint16),
    )


def write_index(folder: Path, entries: Iterable[Entry]) -> None:
    """Name what the folder holds; written last, so an index is never of half a cache."""
    fresh = folder / (INDEX + ".new")
    fresh.write_text(json.dumps([asdict(entry) for entry in entries], indent=1))
    os.replace(fresh, folder / INDEX)


def read_index(folder: Path) -> list[Entry]:
    """The entries of a cache.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    path = folder / INDEX
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Entry(**{**row, "spacing": tuple(row["spacing"])}) for row in rows]
    except OSError:
        raise InputError(f"no cache of scans in {folder}; prepare it first") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} is damaged ({error}); delete {folder} and prepare it again"
        ) from None


def open_entry(folder: Path, entry: Entry) -> Planes:
    """Map an entry's arrays into memory and find its slices with labels."""
    image, labels = (
        np.load(folder / f"{entry.name}.{part}.npy", mmap_mode="r", allow_pickle=False)
        for part in ("image", "labels")
    )
    present = np.asarray(labels) > 0
    slices = {}
    for axis in range(3):
        rest = [other for other in range(3) if other != axis]
        lengths = [entry.spacing[other] for other in rest]
        if axis and max(lengths) > STRETCHED * min(lengths):
            continue
        if axis and min(labels.shape[other] for other in rest) < FEWEST:
            continue
        found = np.flatnonzero(present.any(axis=tuple(rest)))
        if len(found):
            slices[axis] = found
    return Planes(entry, image, labels, slices)


def _compact(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """uint8 as it is; else the range of all but 1 in 5000 voxels over 16 bits."""
    if image.dtype == np.uint8:
        return image
    low, high = np.percentile(image, (0.02, 99.98))
    scaled = (image.astype(np.float32) - low) * (65535 / max(high - low, 1e-9))
    held: npt.NDArray[np.uint16] = np.clip(scaled, 0, 65535).astype(np.uint16)
    return held
